//! The schema of both databases, step by step.
//!
//! SQLite's file is brought up to date when it is opened: it is ours alone. PostgreSQL's is not: the store's role cannot
//! change a schema, so [`migrate`] runs with another role, once, before the store is opened.

mod role;

use sqlx::migrate::{Migrate as _, MigrateError as Cause, Migration, MigrationType, Migrator};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection};

use reeve_base::{Entropy, Secret};

use crate::error::{DatabaseError, OpenError, error_text};
use crate::link::{Link, Value};
use crate::postgres;
use crate::settings::{Server, is_namespace};

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The version before; 0 if there was no schema.
    pub from: i64,
    /// The version now.
    pub to: i64,
    /// Whether the store's role had to be made.
    pub role_made: bool,
}

/// Why the schema cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The schema is not one that this program can go on from.
    #[error(
        "the schema of `{database}` is not one that this program knows ({cause}); use the program that wrote it, or a newer one"
    )]
    ForeignSchema {
        /// Which database.
        database: String,
        /// What differs.
        cause: String,
    },
    /// The store's role is to be made and no password was given.
    #[error(
        "`{database}`: there is no role `{role}`; name a `password_file` for it and run this again, or make the role yourself"
    )]
    NoPassword {
        /// Which database.
        database: String,
        /// The role.
        role: String,
    },
    /// The same role for both would make the store's role the owner of the tables.
    #[error("`{0}` is the store's own role; migrate with another one, such as `postgres`")]
    SameRole(String),
    /// The password of the store's role.
    #[error(
        "the password of the store's role must be of printable ASCII characters, at least {PASSWORD_CHARACTERS_MIN} of them"
    )]
    Password,
    /// The system gives no randomness.
    #[error("cannot make the role's password: {0}")]
    Entropy(String),
    /// The namespace of the settings.
    #[error("`{0}` cannot be a namespace: lower-case letters, digits and `_`, a letter first, at most 32 characters")]
    Namespace(String),
    /// The database itself.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Brings the schema `namespace` on a server up to date as `admin`, makes the store's role if there is none, and gives
/// it the rights that it needs and no others. What is up to date already stays as it is.
///
/// `store` is the server as the store will open it: the same database, another role. `password` is for a role that has
/// to be made; the server gets a verifier and never the password itself.
///
/// # Errors
/// [`MigrateError`]. Each step is a transaction: one that failed has changed nothing.
pub async fn migrate(
    admin: &Server,
    store: &Server,
    password: Option<&Secret<String>>,
    namespace: &str,
    entropy: &dyn Entropy,
) -> Result<Migrated, MigrateError> {
    if !is_namespace(namespace) {
        return Err(MigrateError::Namespace(namespace.to_owned()));
    }
    if admin.role() == store.role() {
        return Err(MigrateError::SameRole(admin.role().to_owned()));
    }
    let name = admin.to_string();
    let failed = |error: sqlx::Error| MigrateError::Database(DatabaseError::of(&name, &error));
    let mut connection = postgres::options(admin, namespace).connect().await.map_err(failed)?;
    let role = role::Role { name: store.role(), namespace, password, entropy };
    let making = role::making(&mut connection, &name, &role).await?;
    let role_made = making.is_some();
    let (from, to) = steps(&mut connection, &name, namespace).await?;
    role::equip(&mut connection, &name, &role, making).await?;
    // Everything is committed; how the connection ends does not matter.
    let _ = connection.close().await;
    Ok(Migrated { from, to, role_made })
}

async fn steps(connection: &mut PgConnection, name: &str, namespace: &str) -> Result<(i64, i64), MigrateError> {
    let failed = |error: sqlx::Error| MigrateError::Database(DatabaseError::of(name, &error));
    // `IF NOT EXISTS` would ask for the right to make schemas even where there is nothing to make.
    let known = Link::Postgres(connection)
        .number("SELECT count(*) FROM pg_namespace WHERE nspname = $1", &[Value::Text(namespace)])
        .await
        .map_err(failed)?;
    if known == 0 {
        let make = format!("CREATE SCHEMA {namespace}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut *connection).await.map_err(failed)?;
    }
    let migrator = migrator(POSTGRES);
    connection.ensure_migrations_table(HISTORY).await.map_err(|cause| refused(name, cause))?;
    let from = newest(connection.list_applied_migrations(HISTORY).await.map_err(|cause| refused(name, cause))?);
    migrator.run_direct(None, connection, false).await.map_err(|cause| refused(name, cause))?;
    Ok((from, needed(POSTGRES)))
}

/// Brings a SQLite file up to date.
pub(crate) async fn sqlite(connection: &mut SqliteConnection, name: &str) -> Result<(), OpenError> {
    migrator(SQLITE).run_direct(None, connection, false).await.map_err(|cause| match refused(name, cause) {
        MigrateError::Database(error) => OpenError::Database(error),
        other => OpenError::ForeignSchema { database: name.to_owned(), cause: other.to_string() },
    })
}

/// Whether the schema on a server is the one that this program needs.
pub(crate) async fn check_postgres(link: &mut Link<'_>, name: &str, namespace: &str) -> Result<(), OpenError> {
    let needed = needed(POSTGRES);
    let not_migrated = |found| OpenError::NotMigrated { database: name.to_owned(), found, needed };
    let failed = |error: sqlx::Error| OpenError::Database(DatabaseError::of(name, &error));
    let there = link
        .number(
            "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = $2",
            &[Value::Text(namespace), Value::Text(HISTORY)],
        )
        .await
        .map_err(failed)?;
    if there == 0 {
        return Err(not_migrated(0));
    }
    let rows = link.rows("SELECT version, checksum FROM history ORDER BY version", &[]).await.map_err(failed)?;
    let migrator = migrator(POSTGRES);
    let mut found = 0;
    for row in rows {
        found = row.number(0).map_err(failed)?;
        let checksum = row.bytes(1).map_err(failed)?;
        let foreign = |cause| OpenError::ForeignSchema { database: name.to_owned(), cause };
        match migrator.iter().find(|step| step.version == found) {
            None => return Err(foreign(format!("it is at version {found}, the newest known is {needed}"))),
            Some(step) if *step.checksum != *checksum => return Err(foreign(format!("its version {found} differs"))),
            Some(_) => {}
        }
    }
    if found < needed { Err(not_migrated(found)) } else { Ok(()) }
}

fn migrator(steps: &'static [Step]) -> Migrator {
    let steps = steps.iter().map(|(version, description, sql)| {
        Migration::new(*version, (*description).into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(steps.collect());
    migrator.dangerous_set_table_name(HISTORY);
    migrator
}

fn newest(applied: Vec<sqlx::migrate::AppliedMigration>) -> i64 {
    applied.iter().map(|step| step.version).max().unwrap_or_default()
}

fn needed(steps: &[Step]) -> i64 {
    steps.iter().map(|(version, ..)| *version).max().unwrap_or_default()
}

fn refused(name: &str, cause: Cause) -> MigrateError {
    let database = name.to_owned();
    match cause {
        Cause::Execute(error) | Cause::ExecuteMigration(error, _) => match DatabaseError::of(name, &error) {
            DatabaseError::Failed { .. } => {
                MigrateError::Database(DatabaseError::Failed { database, cause: error_text(&error) })
            }
            known => MigrateError::Database(known),
        },
        other => MigrateError::ForeignSchema { database, cause: other.to_string() },
    }
}

/// Version, what it does, how.
type Step = (i64, &'static str, &'static str);

/// The steps of SQLite. A step that was released is never changed again; another is added.
const SQLITE: &[Step] = &[(1, "records, outbox, leases", include_str!("../migrations/sqlite/1.sql"))];

/// The steps of PostgreSQL, with the same numbers and the same tables.
const POSTGRES: &[Step] = &[(1, "records, outbox, leases", include_str!("../migrations/postgres/1.sql"))];

/// The table that remembers which steps were taken.
const HISTORY: &str = "history";

const PASSWORD_CHARACTERS_MIN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_steps() {
        let names = |steps: &[Step]| steps.iter().map(|(version, name, _)| (*version, *name)).collect::<Vec<_>>();
        assert_eq!(names(SQLITE), names(POSTGRES));
    }
}
