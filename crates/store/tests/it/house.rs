//! A store in a place of its own, on either database, and raw access to its rows.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use reeve_base::{Secret, SystemEntropy};
use reeve_store::{
    CounterPlace, Database, Lookup, ObjectPlace, OpenError, Record, Server, Settings, Store, Tools, migrate,
};
use reeve_testkit::Postgres;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use crate::keys::{Hands, Keys};

/// Where a store is, and what it is opened with.
pub(crate) struct House {
    pub(crate) folder: PathBuf,
    /// Takes the folder away at the end.
    _temporary: Option<TempDir>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: Arc<Hands>,
    place: Place,
}

enum Place {
    Sqlite,
    Postgres { store: Server, admin: Server, namespace: String },
}

impl House {
    pub(crate) fn sqlite() -> Self {
        Self::new(Place::Sqlite)
    }

    /// In a folder that stays.
    pub(crate) fn sqlite_in(folder: PathBuf) -> Self {
        Self { folder, _temporary: None, ..Self::sqlite() }
    }

    fn new(place: Place) -> Self {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path().to_owned();
        Self { folder, _temporary: Some(temporary), keys: Keys::new(1), clock: Hands::new(), place }
    }

    /// A schema of its own on a running server, migrated.
    pub(crate) async fn postgres(server: &Postgres, namespace: &str) -> Self {
        let admin = Server::new(&server.url("postgres", "postgres"), Some(&password(server.password()))).unwrap();
        let store = Server::new(&server.url(ROLE, "postgres"), Some(&password(ROLE_PASSWORD))).unwrap();
        migrate(&admin, &store, Some(&password(ROLE_PASSWORD)), namespace, &SystemEntropy).await.unwrap();
        Self::new(Place::Postgres { store, admin, namespace: namespace.to_owned() })
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("store.db")
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    pub(crate) fn tools(&self) -> Tools {
        let (sealer, clock) = (Arc::clone(&self.keys), Arc::clone(&self.clock));
        Tools { sealer, clock, entropy: Arc::new(SystemEntropy) }
    }

    pub(crate) fn settings(&self) -> Settings {
        let (database, namespace) = match &self.place {
            Place::Sqlite => (Database::Sqlite(self.database()), String::from("reeve")),
            Place::Postgres { store, namespace, .. } => (Database::Postgres(store.clone()), namespace.clone()),
        };
        let objects = ObjectPlace::Folder(self.objects());
        Settings { database, counters: CounterPlace::Memory, objects, namespace }
    }

    pub(crate) async fn try_open(&self) -> Result<Store, OpenError> {
        Store::open(self.settings(), self.tools()).await
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    /// Runs SQL as somebody who has got at the database: its file, or the superuser's password.
    pub(crate) async fn raw(&self, sql: &str) -> u64 {
        match &self.place {
            Place::Sqlite => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.database());
                let mut connection = options.connect().await.unwrap();
                let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                done.rows_affected()
            }
            Place::Postgres { admin, .. } => {
                let mut connection = self.session(admin).await;
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap().rows_affected()
            }
        }
    }

    /// A session of the store's own role.
    pub(crate) async fn session_of_role(&self) -> sqlx::PgConnection {
        match &self.place {
            Place::Postgres { store, .. } => self.session(store).await,
            Place::Sqlite => panic!("SQLite has no roles"),
        }
    }

    async fn session(&self, server: &Server) -> sqlx::PgConnection {
        let Place::Postgres { namespace, .. } = &self.place else { panic!("SQLite has no sessions") };
        let secret = if server.role() == ROLE { ROLE_PASSWORD } else { "superuser-of-the-tests" };
        let url = server.to_string().replace('@', &format!(":{secret}@"));
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        options.options([("search_path", namespace)]).connect().await.unwrap()
    }
}

pub(crate) fn password(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// The first file below a folder in which one of these texts stands, as `grep` finds it.
pub(crate) fn stands_below(folder: &Path, wanted: &[String]) -> Option<String> {
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), wanted.join("\n")).unwrap();
    let found = Command::new("grep")
        .args([
            "--recursive",
            "--text",
            "--fixed-strings",
            "--ignore-case",
            "--only-matching",
            "--max-count=1",
            "--file",
        ])
        .args([list.path(), folder])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    // 1: nothing was found; anything greater: it could not look.
    assert!(found.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8_lossy(&found.stdout).lines().next().map(str::to_owned)
}

/// A record as most are.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Account {
    pub(crate) mail: String,
    pub(crate) role: String,
    pub(crate) visits: u64,
}

impl Account {
    pub(crate) fn new(mail: &str) -> Self {
        Self { mail: mail.to_owned(), role: String::from("member"), visits: 0 }
    }
}

impl Record for Account {
    const COLLECTION: &'static str = "accounts";
    const SCHEMA: u16 = 1;

    fn lookups(&self) -> Vec<Lookup> {
        vec![Lookup::sole("mail", &self.mail), Lookup::shared("role", &self.role)]
    }
}

pub(crate) const ROLE: &str = "reeve_store";
pub(crate) const ROLE_PASSWORD: &str = "the-role-of-the-tests";
