//! What only PostgreSQL has: roles, row-level security, and a server that goes away.

use std::time::Duration;

use reeve_base::SystemEntropy;
use reeve_store::{
    CounterPlace, Database, DatabaseError, Expect, MigrateError, ObjectPlace, OpenError, ReadError, Server, Settings,
    Store, WriteError, migrate,
};
use reeve_testkit::Postgres;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio::time::timeout;

use crate::house::{Account, House, ROLE, ROLE_PASSWORD, password};

/// One server for all of these: they need it whole, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_postgresql_has() {
    let mut server =
        Postgres::start(&["fsync=off", "log_statement=all", "log_min_duration_statement=0"]).await.unwrap();
    a_tenant_is_all_that_the_role_sees(&server).await;
    the_role_can_lift_nothing(&server).await;
    roles_that_could_are_refused(&server).await;
    a_schema_is_migrated_once_and_only_by_another_role(&server).await;
    the_server_never_learns_the_password(&server);
    a_wrong_password_is_named_and_not_shown(&server).await;
    a_server_that_went_away_comes_back(&mut server).await;
    a_server_must_show_the_certificate_that_is_asked_for(&mut server).await;
    a_server_that_is_not_there_is_named().await;
}

async fn count(session: &mut PgConnection, sql: &str) -> Result<i64, String> {
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(session).await.map_err(|error| error.to_string())?;
    Ok(row.get(0))
}

async fn refused(session: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(session).await;
    let error = done.err().unwrap_or_else(|| panic!("it may: {sql}")).to_string();
    assert!(
        ["permission denied", "must be owner", "must be superuser", "must have", "row-level security"]
            .iter()
            .any(|words| error.contains(words)),
        "{sql}: {error}"
    );
}

async fn a_tenant_is_all_that_the_role_sees(server: &Postgres) {
    let house = House::postgres(server, "tenants").await;
    let store = house.open().await;
    for (tenant, ids) in [("acme", 3), ("umbrella", 5)] {
        for number in 0..ids {
            let account = Account::new(&format!("{number}@{tenant}.example"));
            store.tenant(tenant).put(&number.to_string(), Expect::New, &account).await.unwrap();
        }
    }
    let mut session = house.session_of_role().await;
    // Without a word about the tenant there is an error, with an empty one nothing.
    let unsaid = count(&mut session, "SELECT count(*) FROM records").await.unwrap_err();
    assert!(unsaid.contains("reeve.tenant"), "{unsaid}");
    count(&mut session, "SELECT count(set_config('reeve.tenant', '', false))").await.unwrap();
    assert_eq!(count(&mut session, "SELECT count(*) FROM records").await, Ok(0));

    let mut seen = Vec::new();
    for number in 0..2 {
        let name = format!(
            "SELECT count(set_config('reeve.tenant', (SELECT encode(tenant, 'hex') FROM tenants ORDER BY tenant OFFSET {number} LIMIT 1), false))"
        );
        count(&mut session, &name).await.unwrap();
        for table in ["records", "lookups"] {
            seen.push(count(&mut session, &format!("SELECT count(*) FROM {table}")).await.unwrap());
        }
        let others = "SELECT count(*) FROM records WHERE tenant <> decode(current_setting('reeve.tenant'), 'hex')";
        assert_eq!(count(&mut session, others).await, Ok(0));
    }
    seen.sort_unstable();
    assert_eq!(seen, [3, 5, 6, 10]);
    // Nor can a row be put, moved or deleted under another's name.
    let other = "(SELECT tenant FROM tenants WHERE tenant <> decode(current_setting('reeve.tenant'), 'hex'))";
    refused(&mut session, &format!("INSERT INTO records VALUES ({other}, 'accounts', 'x', 1, 0, 'x', 0)")).await;
    refused(&mut session, &format!("UPDATE records SET tenant = {other}")).await;
    let gone =
        sqlx::raw_sql(AssertSqlSafe(format!("DELETE FROM records WHERE tenant = {other}"))).execute(&mut session).await;
    assert_eq!(gone.unwrap().rows_affected(), 0);
}

async fn the_role_can_lift_nothing(server: &Postgres) {
    let house = House::postgres(server, "powers").await;
    house.open().await.close().await;
    let mut session = house.session_of_role().await;
    for sql in [
        "ALTER TABLE records DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE records NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON records",
        "CREATE POLICY open ON records USING (true)",
        "ALTER POLICY tenant ON records USING (true)",
        "ALTER TABLE records ADD COLUMN clear TEXT",
        "DROP TABLE records",
        "TRUNCATE records",
        "TRUNCATE leases",
        "DELETE FROM leases",
        "DELETE FROM tenants",
        "UPDATE history SET version = 9",
        "CREATE TABLE mine (x INT)",
        "CREATE FUNCTION mine() RETURNS INT LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION tenants_due(now BIGINT, most BIGINT) RETURNS TABLE (tenant BYTEA) LANGUAGE sql AS 'SELECT tenant FROM records'",
        "ALTER FUNCTION tenants_due(BIGINT, BIGINT) SECURITY INVOKER",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "CREATE ROLE friend SUPERUSER",
        "COPY records TO PROGRAM 'cat'",
        "COPY records TO '/tmp/records'",
        "SELECT pg_read_file('PG_VERSION')",
        "SET row_security = off; SELECT count(*) FROM records",
    ] {
        refused(&mut session, sql).await;
    }
    // A temporary table in the way does not lead the function astray that runs as the owner.
    sqlx::raw_sql("CREATE TEMP TABLE outbox AS SELECT 'x'::bytea AS tenant, 'x'::bytea AS lane, 0::bigint AS due, 0::bigint AS claimed_until, 1::bigint AS seq")
        .execute(&mut session)
        .await
        .unwrap();
    assert_eq!(count(&mut session, "SELECT count(*) FROM tenants_due(1, 10)").await, Ok(0));
}

async fn roles_that_could_are_refused(server: &Postgres) {
    let house = House::postgres(server, "refusals").await;
    let admin = Server::new(&server.url("postgres", "postgres"), Some(&password(server.password()))).unwrap();
    let open = async |server: Server| {
        let settings = Settings { database: Database::Postgres(server), ..house.settings() };
        match Store::open(settings, house.tools()).await {
            Err(error @ OpenError::TooPowerful { .. }) => error.to_string(),
            Err(other) => panic!("another error: {other}"),
            Ok(_) => panic!("it opens"),
        }
    };
    let message = open(admin).await;
    assert!(message.contains("`postgres` is a superuser"), "{message}");
    for (attribute, words) in [
        ("BYPASSRLS", "bypasses row-level security"),
        ("CREATEROLE", "may make objects in the schema, or roles"),
        ("IN ROLE pg_read_all_data, postgres", "owns the tables, or may become their owner"),
    ] {
        house.raw(&format!("CREATE ROLE strong LOGIN PASSWORD 'strong-strong' {attribute}; GRANT USAGE ON SCHEMA refusals TO strong; GRANT SELECT ON refusals.history TO strong")).await;
        let strong = Server::new(&server.url("strong", "postgres"), Some(&password("strong-strong"))).unwrap();
        let message = open(strong).await;
        assert!(message.contains(words) && message.contains("reeve store migrate"), "{message}");
        house.raw("DROP OWNED BY strong; DROP ROLE strong").await;
    }
}

async fn a_schema_is_migrated_once_and_only_by_another_role(server: &Postgres) {
    let admin = Server::new(&server.url("postgres", "postgres"), Some(&password(server.password()))).unwrap();
    let fresh = Server::new(&server.url("fresh", "postgres"), Some(&password(ROLE_PASSWORD))).unwrap();
    let secret = password(ROLE_PASSWORD);
    let settings = |namespace: &str| Settings {
        database: Database::Postgres(fresh.clone()),
        counters: CounterPlace::Memory,
        objects: ObjectPlace::Folder(std::env::temp_dir()),
        namespace: namespace.to_owned(),
    };
    let no_password = migrate(&admin, &fresh, None, "fresh", &SystemEntropy).await.unwrap_err();
    assert!(matches!(no_password, MigrateError::NoPassword { .. }), "{no_password}");
    let first = migrate(&admin, &fresh, Some(&secret), "fresh", &SystemEntropy).await.unwrap();
    assert_eq!((first.from, first.to, first.role_made), (0, 1, true));
    let second = migrate(&admin, &fresh, None, "fresh", &SystemEntropy).await.unwrap();
    assert_eq!((second.from, second.to, second.role_made), (1, 1, false));

    let same = migrate(&fresh, &fresh, None, "fresh", &SystemEntropy).await.unwrap_err();
    assert!(matches!(same, MigrateError::SameRole(_)), "{same}");
    let weak = migrate(&fresh, &admin, None, "fresh", &SystemEntropy).await.unwrap_err();
    assert!(matches!(weak, MigrateError::Database(DatabaseError::Refused { .. })), "{weak}");
    let short = Server::new(&server.url("short", "postgres"), None).unwrap();
    let short = migrate(&admin, &short, Some(&password("short")), "fresh", &SystemEntropy).await.unwrap_err();
    assert!(matches!(short, MigrateError::Password), "{short}");
    let bad = migrate(&admin, &fresh, None, "fresh; DROP", &SystemEntropy).await.unwrap_err();
    assert!(matches!(bad, MigrateError::Namespace(_)), "{bad}");

    let house = House::postgres(server, "migrations").await;
    let missing = Store::open(settings("nowhere"), house.tools()).await.err().unwrap();
    assert!(matches!(missing, OpenError::NotMigrated { found: 0, needed: 1, .. }), "{missing}");
    assert!(missing.to_string().ends_with("run `reeve store migrate`"), "{missing}");
    house.raw("INSERT INTO fresh.history SELECT 99, description, installed_on, success, checksum, execution_time FROM fresh.history").await;
    let newer = Store::open(settings("fresh"), house.tools()).await.err().unwrap();
    assert!(matches!(newer, OpenError::ForeignSchema { .. }), "{newer}");
    house.raw("DELETE FROM fresh.history WHERE version = 99; UPDATE fresh.history SET checksum = 'x'").await;
    let other = Store::open(settings("fresh"), house.tools()).await.err().unwrap();
    assert!(matches!(other, OpenError::ForeignSchema { .. }), "{other}");
}

/// The log has every statement: the verifier is there, the password is not.
fn the_server_never_learns_the_password(server: &Postgres) {
    let log = server.log();
    assert!(log.contains("SCRAM-SHA-256$4096:"));
    assert!(!log.contains(ROLE_PASSWORD));
    assert!(!log.contains("@acme.example"), "nor a value");
}

async fn a_wrong_password_is_named_and_not_shown(server: &Postgres) {
    let house = House::postgres(server, "passwords").await;
    let wrong = Server::new(&server.url(ROLE, "postgres"), Some(&password("not-the-password"))).unwrap();
    let settings = Settings { database: Database::Postgres(wrong), ..house.settings() };
    let refused = Store::open(settings, house.tools()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Database(DatabaseError::Refused { .. })), "{refused}");
    let message = refused.to_string();
    assert!(message.contains("password authentication failed") && !message.contains("not-the-password"), "{message}");
}

async fn a_server_that_went_away_comes_back(server: &mut Postgres) {
    let house = House::postgres(server, "restarts").await;
    let store = house.open().await;
    let scope = store.tenant("acme");
    scope.put("ada", Expect::New, &Account::new("ada@example.org")).await.unwrap();
    // Several connections, so that several are dead afterwards.
    let reads: Vec<_> = (0..16)
        .map(|_| {
            let scope = scope.clone();
            tokio::spawn(async move { scope.get::<Account>("ada").await.unwrap() })
        })
        .collect();
    for read in reads {
        read.await.unwrap();
    }
    server.stop().unwrap();
    let gone = scope.get::<Account>("ada").await.unwrap_err();
    assert!(matches!(gone, ReadError::Database(DatabaseError::Unreachable { .. })), "{gone}");
    let gone = scope.put("ada", Expect::Any, &Account::new("ada@example.org")).await.unwrap_err();
    assert!(matches!(gone, WriteError::Database(DatabaseError::Unreachable { .. })), "{gone}");
    assert!(gone.to_string().contains("nothing was changed"), "{gone}");

    server.resume().await.unwrap();
    assert_eq!(scope.get::<Account>("ada").await.unwrap().unwrap().version, 1);
    assert_eq!(scope.put("ada", Expect::Version(1), &Account::new("ada@example.org")).await.unwrap(), 2);

    // Restarted between two operations, nobody notices.
    server.stop().unwrap();
    server.resume().await.unwrap();
    assert_eq!(scope.put("ada", Expect::Version(2), &Account::new("ada@example.org")).await.unwrap(), 3);

    // Restarted under load: whoever tries again gets through, and what was acknowledged is there.
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let scope = scope.clone();
            tokio::spawn(async move {
                for number in 0..150 {
                    let id = format!("{writer}-{number}");
                    loop {
                        match scope.put(&id, Expect::Any, &Account::new(&format!("{id}@example.org"))).await {
                            Ok(_) => break,
                            Err(WriteError::Database(
                                DatabaseError::Unreachable { .. } | DatabaseError::Uncertain { .. },
                            )) => tokio::task::yield_now().await,
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            })
        })
        .collect();
    let under_way = timeout(Duration::from_secs(20), async {
        while scope.get::<Account>("0-20").await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    });
    under_way.await.unwrap();
    server.stop().unwrap();
    server.resume().await.unwrap();
    for (number, writer) in writers.into_iter().enumerate() {
        writer.await.unwrap();
        for id in 0..150 {
            let found = scope.get::<Account>(&format!("{number}-{id}")).await.unwrap();
            assert!(found.is_some(), "{number}-{id} was acknowledged");
        }
    }
}

async fn a_server_must_show_the_certificate_that_is_asked_for(server: &mut Postgres) {
    let house = House::postgres(server, "certificates").await;
    let certified = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    server.stop().unwrap();
    server.certify(&certified.cert.pem(), &certified.signing_key.serialize_pem()).unwrap();
    server.resume().await.unwrap();
    let trusted = house.folder.join("ca.pem");
    std::fs::write(&trusted, certified.cert.pem()).unwrap();
    let open = async |host: &str, query: &str| {
        let url = server.url(ROLE, "postgres").replace("127.0.0.1", host);
        let asked = Server::new(&format!("{url}?{query}"), Some(&password(ROLE_PASSWORD))).unwrap();
        Store::open(Settings { database: Database::Postgres(asked), ..house.settings() }, house.tools()).await
    };
    let root = format!("sslmode=verify-full&sslrootcert={}", trusted.display());
    open("localhost", &root).await.unwrap().close().await;
    for (host, query) in [("localhost", "sslmode=verify-full"), ("127.0.0.1", root.as_str())] {
        let refused = open(host, query).await.err().unwrap();
        assert!(matches!(refused, OpenError::Database(DatabaseError::Unreachable { .. })), "{refused}");
        assert!(refused.to_string().contains("certificate"), "{refused}");
    }
}

async fn a_server_that_is_not_there_is_named() {
    let [port] = reeve_testkit::free_ports().await.unwrap();
    let house = House::sqlite();
    let nowhere = Server::new(&format!("postgres://reeve@127.0.0.1:{port}/reeve"), None).unwrap();
    let settings = Settings { database: Database::Postgres(nowhere), ..house.settings() };
    let message = Store::open(settings, house.tools()).await.err().unwrap().to_string();
    assert!(message.contains(&format!("postgres://reeve@127.0.0.1:{port}/reeve")), "{message}");
    assert!(message.contains("Connection refused"), "{message}");
}
