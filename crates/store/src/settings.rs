//! Where a deployment keeps what it keeps.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reeve_base::Secret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// The places of one installation.
#[derive(Debug)]
pub struct Settings {
    /// Records, outbox and leases.
    pub database: Database,
    /// Counters.
    pub counters: CounterPlace,
    /// Objects.
    pub objects: ObjectPlace,
    /// What tells this installation from others on the same servers: the schema in PostgreSQL, the prefix of keys in
    /// Redis and in a bucket. Lower-case letters, digits and `_`, a letter first, at most 32 characters.
    pub namespace: String,
}

/// The database of records.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the two databases that the store speaks")]
pub enum Database {
    /// A file, made when it is missing. One process at a time.
    Sqlite(PathBuf),
    /// A server, already migrated (see [`crate::migrate`]). Several processes may share it.
    Postgres(Server),
}

/// A PostgreSQL server, database and role.
#[derive(Clone)]
pub struct Server {
    options: Box<PgConnectOptions>,
    /// How it is named in messages: without a password.
    shown: String,
}

/// Where counters are.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the two places that the store speaks to")]
pub enum CounterPlace {
    /// In this process: gone when it ends, and not shared.
    Memory,
    /// In Valkey or Redis.
    Redis {
        /// `redis://[USER@]HOST[:PORT][/DB]`, or `redis+unix:///path`.
        url: String,
        /// The password, which the URL should not hold.
        password: Option<Secret<String>>,
    },
}

/// Where objects are.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the two places that the store speaks to")]
pub enum ObjectPlace {
    /// A folder, made when it is missing.
    Folder(PathBuf),
    /// A bucket that speaks S3.
    Bucket(Bucket),
}

/// A bucket and how to reach it.
#[derive(Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The region; `us-east-1` where a server does not care.
    pub region: String,
    /// The server, unless it is AWS: `https://s3.example.org`. Plain `http` only for an address of this machine.
    pub endpoint: Option<String>,
    /// The id of the access key.
    pub key_id: String,
    /// The secret of the access key.
    pub key_secret: Secret<String>,
}

impl Server {
    /// A server by its URL, `postgres://ROLE@HOST[:PORT]/DATABASE[?sslmode=…&sslrootcert=…]`; for a unix socket,
    /// `postgres://ROLE@%2Frun%2Fpostgresql/DATABASE`.
    ///
    /// Unless the URL says otherwise, a server that is not on this machine must show a certificate for its name
    /// (`sslmode=verify-full`).
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn new(url: &str, password: Option<&Secret<String>>) -> Result<Self, ServerError> {
        let parsed = url::Url::parse(url).map_err(|cause| ServerError::Unreadable(cause.to_string()))?;
        if !matches!(parsed.scheme(), "postgres" | "postgresql") {
            return Err(ServerError::Unreadable(format!("`{}` is not `postgres`", parsed.scheme())));
        }
        if parsed.password().is_some() {
            return Err(ServerError::PasswordInUrl);
        }
        let missing = |what| ServerError::Unreadable(format!("it names no {what}"));
        if parsed.username().is_empty() {
            return Err(missing("role"));
        }
        if parsed.path().trim_start_matches('/').is_empty() {
            return Err(missing("database"));
        }
        let mut options =
            PgConnectOptions::from_str(url).map_err(|cause| ServerError::Unreadable(cause.to_string()))?;
        let local = options.get_socket().is_some() || is_this_machine(options.get_host());
        if !local && !parsed.query_pairs().any(|(key, _)| key == "sslmode" || key == "ssl-mode") {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        if let Some(password) = password {
            options = options.password(password.expose());
        }
        let shown = shown(&parsed, &options);
        Ok(Self { options: Box::new(options), shown })
    }

    /// The role's name.
    #[must_use]
    pub fn role(&self) -> &str {
        self.options.get_username()
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        (*self.options).clone()
    }
}

fn shown(parsed: &url::Url, options: &PgConnectOptions) -> String {
    let place = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None if options.get_host().starts_with('/') => options.get_host().to_owned(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    format!("postgres://{}@{place}{}", parsed.username(), parsed.path())
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.shown)
    }
}

/// What is wrong with the URL of a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It is not of the expected form. Its text is not repeated, it may hold a secret.
    #[error("this is no `postgres://ROLE@HOST/DATABASE`: {0}")]
    Unreadable(String),
    /// Settings are read by more people than secrets should be.
    #[error("the URL holds a password; put it into a file and name that in `password_file`")]
    PasswordInUrl,
}

/// Whether it may name a schema, a prefix of keys and a folder.
pub(crate) fn is_namespace(text: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= NAMESPACE_CHARACTERS_MAX
        && text.bytes().all(letters)
        && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
}

const NAMESPACE_CHARACTERS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn mode(url: &str, expected: PgSslMode) {
        let found = Server::new(url, None).unwrap().options.get_ssl_mode();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{url}");
    }

    #[test]
    fn a_server_elsewhere_must_show_a_certificate_unless_the_url_says_otherwise() {
        mode("postgres://reeve@db.example.org/reeve", PgSslMode::VerifyFull);
        mode("postgres://reeve@192.0.2.1:5433/reeve", PgSslMode::VerifyFull);
        mode("postgres://reeve@db.example.org/reeve?sslmode=require", PgSslMode::Require);
        mode("postgres://reeve@127.0.0.1/reeve", PgSslMode::Prefer);
        mode("postgres://reeve@[::1]/reeve", PgSslMode::Prefer);
        mode("postgres://reeve@%2Frun%2Fpostgresql/reeve", PgSslMode::Prefer);
    }

    #[track_caller]
    fn refused(url: &str, message: &str) {
        assert_eq!(Server::new(url, None).unwrap_err().to_string(), message);
    }

    #[test]
    fn a_url_that_lacks_something_or_holds_a_password_is_refused() {
        refused("postgres://h/db", "this is no `postgres://ROLE@HOST/DATABASE`: it names no role");
        refused("postgres://r@h/", "this is no `postgres://ROLE@HOST/DATABASE`: it names no database");
        refused("mysql://r@h/d", "this is no `postgres://ROLE@HOST/DATABASE`: `mysql` is not `postgres`");
        refused(
            "postgres://r:hunter2@h/d",
            "the URL holds a password; put it into a file and name that in `password_file`",
        );
    }

    #[test]
    fn a_server_shows_without_its_password() {
        let password = Secret::new(String::from("hunter2"));
        let server = Server::new("postgres://reeve@db.example.org/main", Some(&password)).unwrap();
        assert_eq!(format!("{server} {server:?}").matches("hunter2").count(), 0);
        assert_eq!(server.to_string(), "postgres://reeve@db.example.org:5432/main");
    }

    #[test]
    fn namespaces_are_plain_words() {
        assert!(is_namespace("reeve") && is_namespace("reeve_2"));
        for bad in ["", "2", "Reeve", "a-b", "a\"; DROP", &"a".repeat(33)] {
            assert!(!is_namespace(bad), "{bad}");
        }
    }
}
