//! Objects in a bucket: the same as in a folder.
//!
//! This needs a server that speaks S3: its address in `REEVE_TEST_S3`. `tests/acceptance/66-objects-bucket.sh` starts one.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use reeve_store::{Bucket, ObjectPlace, Position, Settings, Store};

use crate::house::{House, password};

/// Around the borders of a chunk (64 KiB), and past that of a part (5 MiB).
const SIZES: [usize; 6] = [0, 1, 65_536, 65_537, 5_242_880, 12_000_000];

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect()
}

async fn open(house: &House, name: &str, endpoint: &str) -> Store {
    let bucket = Bucket {
        name: name.to_owned(),
        region: String::from("us-east-1"),
        endpoint: Some(endpoint.to_owned()),
        key_id: String::from("test"),
        key_secret: password("test"),
    };
    let settings = Settings { objects: ObjectPlace::Bucket(bucket), ..house.settings() };
    Store::open(settings, house.tools()).await.unwrap()
}

#[tokio::test]
#[ignore = "needs a server that speaks S3"]
async fn a_bucket_holds_objects_as_a_folder_does() {
    let server = std::env::var("REEVE_TEST_S3").unwrap_or_else(|_| panic!("REEVE_TEST_S3 is not set"));
    let address = server.strip_prefix("http://").unwrap();
    let name = format!("objects-{}", std::process::id());
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "PUT /{name} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let house = House::sqlite();
    let store = open(&house, &name, &server).await;
    let (scope, objects) = (store.tenant("acme"), store.objects());
    assert!(objects.get(&scope, "nothing").await.unwrap().is_none());
    for size in SIZES {
        let name = format!("report-{size}.pdf");
        objects.put(&scope, &name, &content(size)).await.unwrap();
        assert!(objects.get(&scope, &name).await.unwrap().unwrap().expose() == &content(size), "{size} bytes");
        assert!(objects.get(&store.tenant("umbrella"), &name).await.unwrap().is_none());
    }
    let mut writer = objects.write(&scope, "report-1.pdf").await.unwrap();
    writer.write(&content(6_000_000)).await.unwrap();
    writer.abort().await.unwrap();
    assert_eq!(objects.get(&scope, "report-1.pdf").await.unwrap().unwrap().expose(), &content(1));
    objects.put(&scope, "report-1.pdf", b"newer").await.unwrap();
    assert_eq!(objects.get(&scope, "report-1.pdf").await.unwrap().unwrap().expose(), b"newer");

    house.keys.rotate();
    let (mut position, mut resealed) = (Some(Position::default()), 0);
    while let Some(from) = position {
        let step = store.reseal(from, 100).await.unwrap();
        resealed += step.resealed;
        position = step.next;
    }
    house.keys.destroy_old();
    assert_eq!(resealed, SIZES.len() as u64);
    assert!(objects.get(&scope, "report-12000000.pdf").await.unwrap().unwrap().expose() == &content(12_000_000));

    objects.delete(&scope, "report-0.pdf").await.unwrap();
    objects.delete(&scope, "report-0.pdf").await.unwrap();
    assert!(objects.get(&scope, "report-0.pdf").await.unwrap().is_none());
    store.close().await;

    // A bucket that is not there, and a server that is not there, are named.
    let store = open(&house, "no-such-bucket", &server).await;
    let refused = store.objects().put(&store.tenant("acme"), "x", b"x").await.unwrap_err().to_string();
    assert!(refused.contains("s3://no-such-bucket") && refused.contains("NoSuchBucket"), "{refused}");
    store.close().await;
    let [port] = reeve_testkit::free_ports().await.unwrap();
    let store = open(&house, &name, &format!("http://127.0.0.1:{port}")).await;
    let refused = store.objects().put(&store.tenant("acme"), "x", b"x").await.unwrap_err().to_string();
    assert!(refused.contains("Connection refused"), "{refused}");
}
