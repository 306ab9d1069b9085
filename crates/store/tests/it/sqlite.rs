//! What only SQLite has: a file, its lock, its damage, and a process that can be killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use reeve_store::{DatabaseError, Expect, OpenError, ReadError, Store, WriteError};

use crate::house::{Account, House};
use crate::keys::Keys;

async fn filled() -> House {
    let house = House::sqlite();
    let store = house.open().await;
    for number in 0..300 {
        let account = Account::new(&format!("{number}@example.org"));
        store.tenant("acme").put(&number.to_string(), Expect::New, &account).await.unwrap();
    }
    store.close().await;
    house
}

async fn damaged(house: &House) -> String {
    match house.try_open().await {
        Err(OpenError::Database(error @ DatabaseError::Damaged { .. })) => error.to_string(),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it opens"),
    }
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_lock_named() {
    let house = House::sqlite();
    let store = house.open().await;
    let refused = house.try_open().await.err().unwrap();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains("store.db.lock"), "{refused}");
    store.close().await;
    house.open().await;
}

#[tokio::test]
async fn whoever_only_looks_needs_no_lock_and_changes_nothing() {
    let house = House::sqlite();
    let missing = Store::look(house.settings(), house.tools()).await.err().unwrap();
    assert!(matches!(missing, OpenError::Missing { .. }), "{missing}");
    let store = house.open().await;
    store.tenant("acme").put("ada", Expect::New, &Account::new("ada@example.org")).await.unwrap();
    let looking = Store::look(house.settings(), house.tools()).await.unwrap();
    assert_eq!(looking.status().await.unwrap(), store.status().await.unwrap());
    assert_eq!(looking.tenant("acme").get::<Account>("ada").await.unwrap().unwrap().version, 1);
    let refused = looking.tenant("acme").delete::<Account>("ada", Expect::Any).await.unwrap_err();
    assert!(matches!(refused, WriteError::Database(DatabaseError::ReadOnly { .. })), "{refused}");
    let mut stranger = House::sqlite_in(house.folder.clone());
    stranger.keys = Keys::new(2);
    let refused = Store::look(stranger.settings(), stranger.tools()).await.err().unwrap();
    assert!(matches!(refused, OpenError::ForeignKey { .. }), "{refused}");
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
    let house = House::sqlite();
    let store = house.open().await;
    store.tenant("acme").put("ada", Expect::New, &Account::new("ada@example.org")).await.unwrap();
    for ending in ["", "-wal", "-shm", ".lock"] {
        let path = PathBuf::from(format!("{}{ending}", house.database().display()));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_the_way_out() {
    let house = filled().await;
    let whole = std::fs::read(house.database()).unwrap();
    assert!(whole.len() > 40_000);
    // Cut in the middle of a page, at a page, in the header, to nothing but a log.
    for length in [whole.len() - 4_096, 20_000, 8_192, 4_096, 50, 7] {
        std::fs::write(house.database(), &whole[..length]).unwrap();
        let message = damaged(&house).await;
        assert!(message.contains("restore the last backup"), "{message}");
    }
    std::fs::write(house.database(), "").unwrap();
    std::fs::write(format!("{}-wal", house.database().display()), "x").unwrap();
    assert!(damaged(&house).await.contains("it is empty"), "an empty file beside a log is not a new one");
    std::fs::remove_file(format!("{}-wal", house.database().display())).unwrap();

    std::fs::write(house.database(), vec![0xa5; 100_000]).unwrap();
    assert!(damaged(&house).await.contains("does not begin as a SQLite database"));
    for page in 2..whole.len() / 4_096 {
        let mut zeroed = whole.clone();
        zeroed[page * 4_096..(page + 1) * 4_096].fill(0);
        std::fs::write(house.database(), &zeroed).unwrap();
        damaged(&house).await;
    }
    std::fs::write(house.database(), &whole).unwrap();
    house.open().await;
}

/// Damage to a value is no damage to SQLite: the seal finds it.
#[tokio::test]
async fn a_flipped_bit_never_gives_a_wrong_answer() {
    let house = filled().await;
    let whole = std::fs::read(house.database()).unwrap();
    let mut noticed = 0;
    for round in 0..60 {
        let mut flipped = whole.clone();
        let at = 4_096 + (round * 7_919) % (whole.len() - 4_096);
        flipped[at] ^= 1 << (round % 8);
        std::fs::write(house.database(), &flipped).unwrap();
        let Ok(store) = house.try_open().await else {
            noticed += 1;
            continue;
        };
        for number in 0..300 {
            match store.tenant("acme").get::<Account>(&number.to_string()).await {
                Ok(Some(found)) => assert_eq!(found.value.mail, format!("{number}@example.org")),
                Ok(None) | Err(ReadError::Sealed { .. } | ReadError::Database(_)) => noticed += 1,
                Err(other) => panic!("{other}"),
            }
        }
        store.close().await;
    }
    assert!(noticed > 10, "{noticed}");
}

#[tokio::test]
async fn a_folder_that_does_not_let_us_in_says_so() {
    let house = House::sqlite();
    std::fs::create_dir(house.database()).unwrap();
    let refused = house.try_open().await.err().unwrap().to_string();
    assert!(refused.contains("store.db") && refused.contains("Is a directory"), "{refused}");
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_refused() {
    let house = filled().await;
    house.raw("INSERT INTO history (version, description, success, checksum, execution_time) VALUES (99, 'x', 1, x'00', 0)").await;
    let refused = house.try_open().await.err().unwrap();
    assert!(matches!(refused, OpenError::ForeignSchema { .. }), "{refused}");
}

/// Fills a disk of two megabytes, which the test below has put under its folder.
#[tokio::test]
#[ignore = "run by the test below, in a process of its own"]
async fn writer_on_a_small_disk() {
    let Ok(path) = std::env::var("REEVE_TEST_FOLDER") else { return };
    let house = House::sqlite_in(path.into());
    let store = house.open().await;
    let scope = store.tenant("acme");
    let large = |number: u32| Account { role: "x".repeat(20_000), ..Account::new(&format!("{number}@example.org")) };
    let mut put = 0;
    let refused = loop {
        match scope.put(&put.to_string(), Expect::New, &large(put)).await {
            Ok(_) => put += 1,
            Err(error) => break error,
        }
        assert!(put < 1_000, "the disk never fills");
    };
    assert!(matches!(refused, WriteError::Database(DatabaseError::Full { .. })), "{refused}");
    assert!(refused.to_string().contains("free space"), "{refused}");
    assert!(put > 10, "{put}");
    for number in 0..put {
        assert!(scope.get::<Account>(&number.to_string()).await.unwrap().is_some());
    }
    assert_eq!(scope.get::<Account>(&put.to_string()).await.unwrap(), None);

    // With space again it goes on by itself.
    std::fs::remove_file(house.folder.join("ballast")).unwrap();
    scope.put(&put.to_string(), Expect::New, &large(put)).await.unwrap();
    store.examine().await.unwrap();
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let house = House::sqlite();
    let script = r#"mount -t tmpfs -o size=2m tmpfs "$REEVE_TEST_FOLDER" &&
        head -c 500000 /dev/zero >"$REEVE_TEST_FOLDER/ballast" &&
        exec "$0" --exact sqlite::writer_on_a_small_disk --ignored --nocapture"#;
    // A mount that nobody else sees; as an ordinary user, in a user namespace where the system allows it.
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("REEVE_TEST_FOLDER", &house.folder)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// Writes until it is killed, and says what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test below, in a process of its own"]
async fn writer_that_is_killed() {
    let Ok(path) = std::env::var("REEVE_TEST_FOLDER") else { return };
    let house = House::sqlite_in(path.into());
    let store = house.open().await;
    let writers = (0..8).map(|writer| {
        let scope = store.tenant("acme");
        tokio::spawn(async move {
            for number in 0.. {
                let id = format!("{writer}-{number}");
                scope.put(&id, Expect::New, &Account::new(&format!("{id}@example.org"))).await.unwrap();
                println!("acknowledged {id}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let house = House::sqlite();
    for (round, lines) in [40, 400, 900].into_iter().enumerate() {
        let folder = house.folder.join(round.to_string());
        std::fs::create_dir(&folder).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite::writer_that_is_killed", "--ignored", "--nocapture"])
            .env("REEVE_TEST_FOLDER", &folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = |line: std::io::Result<String>| Some(line.ok()?.strip_prefix("acknowledged ")?.to_owned());
        let mut ids: Vec<_> = output.by_ref().filter_map(acknowledged).take(lines).collect();
        // SIGKILL: nothing is flushed, nobody says goodbye. What it had said by then still stands in the pipe.
        child.kill().unwrap();
        ids.extend(output.filter_map(acknowledged));
        child.wait().unwrap();
        assert!(ids.len() >= lines);

        let again = House::sqlite_in(folder);
        let store = again.open().await;
        for id in &ids {
            let found = store.tenant("acme").get::<Account>(id).await.unwrap();
            assert_eq!(found.unwrap().value.mail, format!("{id}@example.org"));
        }
        store.examine().await.unwrap();
        store.close().await;
    }
}
