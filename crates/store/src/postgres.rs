//! PostgreSQL: a pool of connections, a transaction for each job, and another try where the server asks for one.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::time::sleep;

use crate::engine::{Failure, Job, Stop};
use crate::error::{DatabaseError, Kind, OpenError, error_text};
use crate::link::{Link, hexadecimal};
use crate::migrate;
use crate::pool::{Pool, Turn};
use crate::settings::Server;

/// A server that has been connected to.
pub(crate) struct Postgres {
    name: String,
    pool: Pool<PgConnection>,
}

impl Postgres {
    /// Connects, and looks whether schema and role are as they must be.
    pub(crate) async fn open(server: &Server, namespace: &str) -> Result<Self, OpenError> {
        let name = server.to_string();
        let pool = Pool::new(options(server, namespace), CONNECTIONS, name.clone());
        let mut turn = pool.turn().await?;
        let mut link = Link::Postgres(turn.connection()?);
        migrate::check_postgres(&mut link, &name, namespace).await?;
        check_role(&mut link, &name, server.role()).await?;
        turn.done();
        Ok(Self { name, pool })
    }

    /// Runs a job in a transaction: again after a deadlock, and on a new connection where an idle one has died.
    pub(crate) async fn transact<J: Job>(&self, job: &J) -> Result<J::Answer, Failure<J::Refusal>> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                // Of those that collided, the others need a moment to get out of the way.
                sleep(PAUSE * attempt * attempt).await;
            }
            let mut turn = self.begin(job).await?;
            let outcome = job.perform(&mut Link::Postgres(turn.connection()?)).await;
            match self.end(turn, outcome).await? {
                Ended::Answer(answer) => return Ok(answer),
                Ended::Refusal(refusal) => return Err(Failure::Refused(refusal)),
                Ended::Again => {}
            }
        }
        Err(Failure::Database(DatabaseError::Contended { database: self.name.clone(), attempts: ATTEMPTS }))
    }

    /// Runs a job of a single statement without a transaction. It only reads, so it may be run again on a new connection.
    pub(crate) async fn glance<J: Job>(&self, job: &J) -> Result<J::Answer, Failure<J::Refusal>> {
        loop {
            let mut turn = self.pool.turn().await?;
            match job.perform(&mut Link::Postgres(turn.connection()?)).await {
                Ok(answer) => {
                    turn.done();
                    return Ok(answer);
                }
                Err(Stop::Refused(refusal)) => {
                    turn.done();
                    return Err(Failure::Refused(refusal));
                }
                // A statement that only reads collides with nobody.
                Err(Stop::Again) => {}
                Err(Stop::Failed(error)) if turn.used() && Kind::of(&error) == Kind::Lost => self.pool.forget(),
                Err(Stop::Failed(error)) => return Err(Failure::Database(DatabaseError::of(&self.name, &error))),
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// A connection inside a transaction that shows the job's tenant alone.
    async fn begin<J: Job>(&self, job: &J) -> Result<Turn<'_, PgConnection>, DatabaseError> {
        // One round trip for both. The hash is hexadecimal digits of our own making, so nothing can be smuggled in.
        let begin = match job.tenant() {
            Some(tenant) => format!("BEGIN; SET LOCAL reeve.tenant = '{}'", hexadecimal(tenant)),
            None => String::from("BEGIN"),
        };
        loop {
            let mut turn = self.pool.turn().await?;
            let begun = sqlx::raw_sql(sqlx::AssertSqlSafe(begin.as_str())).execute(turn.connection()?).await;
            match begun {
                Ok(_) => return Ok(turn),
                // The server was restarted since. Nothing has begun, so a new connection may begin it.
                Err(error) if turn.used() && Kind::of(&error) == Kind::Lost => self.pool.forget(),
                Err(error) => return Err(DatabaseError::of(&self.name, &error)),
            }
        }
    }

    async fn end<A, R>(
        &self,
        mut turn: Turn<'_, PgConnection>,
        outcome: Result<A, Stop<R>>,
    ) -> Result<Ended<A, R>, DatabaseError> {
        match outcome {
            Ok(answer) => {
                let committed = sqlx::raw_sql("COMMIT").execute(turn.connection()?).await;
                match committed {
                    Ok(_) => {
                        turn.done();
                        Ok(Ended::Answer(answer))
                    }
                    Err(error) => self.again(&error, Phase::Commit),
                }
            }
            Err(Stop::Refused(refusal)) => {
                if sqlx::raw_sql("ROLLBACK").execute(turn.connection()?).await.is_ok() {
                    turn.done();
                }
                Ok(Ended::Refusal(refusal))
            }
            // The connection is dropped and with it the transaction.
            Err(Stop::Again) => Ok(Ended::Again),
            Err(Stop::Failed(error)) => self.again(&error, Phase::Work),
        }
    }

    fn again<A, R>(&self, error: &sqlx::Error, phase: Phase) -> Result<Ended<A, R>, DatabaseError> {
        match (Kind::of(error), phase) {
            (Kind::Contended, _) => Ok(Ended::Again),
            (Kind::Lost, Phase::Commit) => {
                Err(DatabaseError::Uncertain { database: self.name.clone(), cause: error_text(error) })
            }
            _ => Err(DatabaseError::of(&self.name, error)),
        }
    }
}

/// How a transaction ended.
enum Ended<A, R> {
    Answer(A),
    Refusal(R),
    Again,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Work,
    Commit,
}

/// Refuses a role that row-level security does not bind, or that could lift it.
async fn check_role(link: &mut Link<'_>, database: &str, role: &str) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| OpenError::Database(DatabaseError::of(database, &error));
    let row = link.row(POWERS, &[]).await.map_err(failed)?.ok_or_else(|| failed(sqlx::Error::RowNotFound))?;
    let too_powerful = |cause: &str| {
        let (database, role, cause) = (database.to_owned(), role.to_owned(), cause.to_owned());
        Err(OpenError::TooPowerful { database, role, cause })
    };
    let mut powers = [false; 3];
    for (column, power) in powers.iter_mut().enumerate() {
        *power = row.number(column).map_err(failed)? != 0;
    }
    match powers {
        [true, _, _] => too_powerful("is a superuser or bypasses row-level security"),
        [_, true, _] => too_powerful("owns the tables, or may become their owner"),
        [_, _, true] => too_powerful("may make objects in the schema, or roles"),
        [false, false, false] => Ok(()),
    }
}

/// Three truths as numbers: above row-level security; owner; may make things.
const POWERS: &str = "
SELECT (r.rolsuper OR r.rolbypassrls)::int::bigint,
       EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
               AND pg_has_role(r.oid, c.relowner, 'MEMBER'))::int::bigint,
       (has_schema_privilege(r.oid, current_schema(), 'CREATE') OR r.rolcreaterole)::int::bigint
FROM pg_roles r WHERE r.rolname = current_user";

/// How the store's connections are made. Unqualified names mean the namespace first: left to itself, PostgreSQL would
/// look among a session's temporary tables before.
pub(crate) fn options(server: &Server, namespace: &str) -> PgConnectOptions {
    let path = format!("{namespace},pg_temp");
    let options = server.options().application_name("reeve").options([
        ("search_path", path.as_str()),
        // A statement of ours takes milliseconds; one that hangs must not hold its locks for ever.
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "60s"),
        ("default_transaction_isolation", "read committed"),
    ]);
    sqlx::ConnectOptions::disable_statement_logging(options)
}

/// One for each core of a middling server; more would only queue there instead of here.
const CONNECTIONS: usize = 8;

/// How often a job is tried against deadlocks.
const ATTEMPTS: u32 = 12;

/// The first pause between tries; the next ones are its squares' multiples.
const PAUSE: Duration = Duration::from_millis(5);
