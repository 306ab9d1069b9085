//! The role that the store works as: made when it is missing, given what it needs, nothing else.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reeve_base::{Entropy, Secret};
use sqlx::PgConnection;

use super::{MigrateError, PASSWORD_CHARACTERS_MIN};
use crate::error::DatabaseError;
use crate::link::{Link, Value};

/// What the role is to be.
pub(super) struct Role<'r> {
    pub(super) name: &'r str,
    pub(super) namespace: &'r str,
    pub(super) password: Option<&'r Secret<String>>,
    pub(super) entropy: &'r dyn Entropy,
}

/// The statement that makes the role; nothing if there is one already. Asked before anything is changed.
pub(super) async fn making(
    connection: &mut PgConnection,
    database: &str,
    role: &Role<'_>,
) -> Result<Option<String>, MigrateError> {
    let known = Link::Postgres(connection)
        .number("SELECT count(*) FROM pg_roles WHERE rolname = $1", &[Value::Text(role.name)])
        .await
        .map_err(|error| MigrateError::Database(DatabaseError::of(database, &error)))?;
    if known > 0 {
        return Ok(None);
    }
    let no_password = || MigrateError::NoPassword { database: database.to_owned(), role: role.name.to_owned() };
    let verifier = verifier(role.password.ok_or_else(no_password)?, role.entropy)?;
    let attributes = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT";
    Ok(Some(format!("CREATE ROLE {} {attributes} PASSWORD '{verifier}';", quoted(role.name))))
}

/// Makes the role, if it is to be made, and gives it its rights.
pub(super) async fn equip(
    connection: &mut PgConnection,
    database: &str,
    role: &Role<'_>,
    making: Option<String>,
) -> Result<(), MigrateError> {
    let script = format!("BEGIN; {} {} COMMIT", making.unwrap_or_default(), rights(role));
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(connection).await;
    done.map(drop).map_err(|error| MigrateError::Database(DatabaseError::of(database, &error)))
}

fn rights(role: &Role<'_>) -> String {
    let (name, schema) = (quoted(role.name), role.namespace);
    format!(
        "GRANT USAGE ON SCHEMA {schema} TO {name};
         GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.records, {schema}.lookups, {schema}.outbox TO {name};
         GRANT SELECT, INSERT, UPDATE ON {schema}.leases TO {name};
         GRANT SELECT, INSERT ON {schema}.tenants TO {name};
         GRANT SELECT, INSERT, DELETE ON {schema}.facts TO {name};
         GRANT SELECT ON {schema}.history TO {name};
         GRANT EXECUTE ON FUNCTION {schema}.record_of(BYTEA, TEXT, BYTEA) TO {name};
         GRANT EXECUTE ON FUNCTION {schema}.tenants_due(BIGINT, BIGINT) TO {name};"
    )
}

/// An identifier in quotes (PostgreSQL manual, 4.1.1).
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What the server keeps instead of a password (RFC 5802 with SHA-256, RFC 7677): made here, so that the password is
/// in no statement and therefore in no log of the server.
fn verifier(password: &Secret<String>, entropy: &dyn Entropy) -> Result<String, MigrateError> {
    let text = password.expose();
    // Other characters would have to be normalised (RFC 4013) exactly as every client does it.
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !printable || text.len() < PASSWORD_CHARACTERS_MIN {
        return Err(MigrateError::Password);
    }
    let mut salt = [0; 16];
    entropy.fill(&mut salt).map_err(|cause| MigrateError::Entropy(cause.to_string()))?;
    Ok(scram(text, &salt))
}

fn scram(password: &str, salt: &[u8]) -> String {
    let mut salted = zeroize::Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), salted.as_mut_slice());
    let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_slice());
    let stored = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let text = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    format!("SCRAM-SHA-256${ITERATIONS}:{}${}:{}", text(salt), text(stored.as_ref()), text(server.as_ref()))
}

/// PostgreSQL's own count; the password is a long random one, so more would only cost time at each connection.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4_096).unwrap();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_that_of_rfc_7677() {
        // The example of RFC 7677, section 3, has the salt `W22ZaJ0SNY7soEsUEjb6gQ==`, 4096 iterations and the password
        // `pencil`; that the server accepts what is made so is shown by the tests with a real one.
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let expected = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(scram("pencil", &salt), expected);
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"; DROP"), "\"a\"\"; DROP\"");
    }
}
