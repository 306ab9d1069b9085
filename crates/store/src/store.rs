//! The store as a whole.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_base::{Clock, Entropy, Sealer, Timestamp};

use crate::counters::Counters;
use crate::engine::{Engine, Failure, Job, Stop};
use crate::error::{DatabaseError, OpenError};
use crate::lease::Leases;
use crate::link::{Link, Value};
use crate::names::{Digest, Names};
use crate::objects::Objects;
use crate::outbox::Outbox;
use crate::postgres::Postgres;
use crate::scope::Scope;
use crate::settings::{Database, Settings, is_namespace};
use crate::sqlite::Sqlite;

/// Records, outbox, leases, counters and objects of one installation. Cheap to clone.
///
/// It belongs to the runtime that opened it: others may use it for as long as that one runs.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    counters: Counters,
    objects: Objects,
    names: Names,
    tools: Tools,
    /// Tenants that the database knows for certain, so that not each change has to say so again. Held for a look or an
    /// insertion.
    known: Mutex<HashSet<Digest>>,
}

/// What the store is handed.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "whoever opens a store brings all of them")]
pub struct Tools {
    /// Holds the keys.
    pub sealer: Arc<dyn Sealer>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives chance.
    pub entropy: Arc<dyn Entropy>,
}

/// What it is opened for.
#[derive(Debug, Clone, Copy)]
enum Aim {
    /// To read and to change.
    Work,
    /// To read, beside whoever works.
    Look,
}

impl Store {
    /// Opens every place that the settings name. A SQLite file is made or brought up to date; a PostgreSQL schema must
    /// be up to date ([`crate::migrate`]).
    ///
    /// # Errors
    /// [`OpenError`]; each says what to do about it.
    pub async fn open(settings: Settings, tools: Tools) -> Result<Self, OpenError> {
        let store = Self::open_target(settings, tools).await?;
        if store.engine().read(Fact { name: MOVING }).await.map_err(crate::engine::plain)?.is_some() {
            let database = store.engine().name().to_owned();
            store.close().await;
            return Err(OpenError::Unfinished { database });
        }
        Ok(store)
    }

    /// The same, for the target of a move: it may be one that did not finish.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_target(settings: Settings, tools: Tools) -> Result<Self, OpenError> {
        let store = Self::assemble(settings, tools, Aim::Work).await?;
        let print = store.names().fingerprint(&store.number().await?);
        let compared = store.engine().write(Imprint { print }).await;
        store.accept_keys(compared).await
    }

    /// Opens what is there for reading, even beside a process that works on a SQLite file. Changes are refused.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn look(settings: Settings, tools: Tools) -> Result<Self, OpenError> {
        let store = Self::assemble(settings, tools, Aim::Look).await?;
        let print = store.names().fingerprint(&store.number().await?);
        let found = store.engine().read(Fact { name: PRINT }).await.map_err(crate::engine::plain)?;
        let same = found.is_none_or(|found| found == print);
        store.accept_keys(if same { Ok(()) } else { Err(Failure::Refused(ForeignKey)) }).await
    }

    async fn assemble(settings: Settings, tools: Tools, aim: Aim) -> Result<Self, OpenError> {
        let Settings { database, counters, objects, namespace } = settings;
        if !is_namespace(&namespace) {
            return Err(OpenError::Namespace(namespace));
        }
        let names = Names::new(Arc::clone(&tools.sealer));
        let counters = Counters::open(counters, &namespace, names.clone(), &tools).await?;
        let objects = Objects::open(objects, &namespace, &tools)?;
        let engine = match (&database, aim) {
            (Database::Sqlite(path), Aim::Work) => Engine::Sqlite(Sqlite::open(path).await?),
            (Database::Sqlite(path), Aim::Look) => Engine::Sqlite(Sqlite::look(path)?),
            (Database::Postgres(server), _) => Engine::Postgres(Postgres::open(server, &namespace).await?),
        };
        Ok(Self { inner: Arc::new(Inner { engine, counters, objects, names, tools, known: Mutex::default() }) })
    }

    /// Refuses keys that are not those that the first opening was made with.
    async fn accept_keys(self, compared: Result<(), Failure<ForeignKey>>) -> Result<Self, OpenError> {
        match compared {
            Ok(()) => Ok(self),
            Err(Failure::Refused(ForeignKey)) => {
                let database = self.name().to_owned();
                self.close().await;
                Err(OpenError::ForeignKey { database })
            }
            Err(Failure::Database(error)) => Err(error.into()),
        }
    }

    /// One tenant's records. An installation without tenants has one, by whatever name.
    #[must_use]
    pub fn tenant(&self, tenant: &str) -> Scope {
        Scope::new(self.clone(), tenant)
    }

    /// Messages on their way out.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.clone())
    }

    /// Leases.
    #[must_use]
    pub fn leases(&self) -> Leases {
        Leases::new(self.clone())
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Objects.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.inner.objects
    }

    /// What the database is called, without a password.
    #[must_use]
    pub fn name(&self) -> &str {
        self.engine().name()
    }

    /// Finishes what was begun and closes the database. Everything after that is refused.
    pub async fn close(&self) {
        self.inner.engine.close().await;
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn names(&self) -> &Names {
        &self.inner.names
    }

    pub(crate) fn sealer(&self) -> &Arc<dyn Sealer> {
        &self.inner.tools.sealer
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.inner.tools.entropy.as_ref()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.tools.clock.now()
    }

    pub(crate) fn knows(&self, tenant: &Digest) -> bool {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner).contains(tenant)
    }

    pub(crate) fn remember(&self, tenant: Digest) {
        let mut known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Past the bound each change of a tenant says again who it is, which costs a statement and nothing else.
        if known.len() < KNOWN_MAX {
            known.insert(tenant);
        }
    }

    /// The number that the database was given when it was made.
    pub(crate) async fn number(&self) -> Result<Vec<u8>, DatabaseError> {
        let number = self.engine().read(Fact { name: "store" }).await.map_err(crate::engine::plain)?;
        number.ok_or_else(|| DatabaseError::Damaged {
            database: self.name().to_owned(),
            cause: String::from("its own number is missing"),
        })
    }
}

/// Reads a fact.
pub(crate) struct Fact {
    pub(crate) name: &'static str,
}

impl Job for Fact {
    type Answer = Option<Vec<u8>>;
    type Refusal = crate::engine::Never;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Self::Answer, Stop<Self::Refusal>> {
        Ok(fact(link, self.name).await?)
    }
}

/// A fact, if it is there.
pub(crate) async fn fact(link: &mut Link<'_>, name: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
    link.row("SELECT value FROM facts WHERE name = $1", &[Value::Text(name)]).await?.map(|row| row.bytes(0)).transpose()
}

/// Writes a fact that is not there yet.
pub(crate) async fn note(link: &mut Link<'_>, name: &str, value: &[u8]) -> Result<(), sqlx::Error> {
    let values = [Value::Text(name), Value::Bytes(value)];
    link.run("INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", &values).await.map(drop)
}

/// Leaves the print of the keys, or compares it.
struct Imprint {
    print: Digest,
}

/// The keys are others.
struct ForeignKey;

impl Job for Imprint {
    type Answer = ();
    type Refusal = ForeignKey;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<ForeignKey>> {
        note(link, PRINT, &self.print).await?;
        match fact(link, PRINT).await? {
            Some(found) if found == self.print => Ok(()),
            _ => Err(Stop::Refused(ForeignKey)),
        }
    }
}

/// The fact that holds the number of the store that is being moved here.
pub(crate) const MOVING: &str = "moving";

/// The fact that holds the print of the keys.
const PRINT: &str = "keys";

/// Three megabytes of hashes.
const KNOWN_MAX: usize = 65_536;
