//! Objects: whole or not at all, and only where they belong.

use std::path::PathBuf;

use reeve_base::SealError;
use reeve_store::{ObjectError, Scope, Store};

use crate::house::House;

/// Sizes around the borders of a chunk (64 KiB) and of a part (5 MiB).
const SIZES: [usize; 9] = [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000, 5_242_880, 5_500_000];

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect()
}

fn only_file(house: &House) -> PathBuf {
    let shelves = std::fs::read_dir(house.objects().join("reeve")).unwrap();
    let mut files: Vec<_> = shelves
        .flat_map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.pop().unwrap()
}

#[track_caller]
fn refused<T>(result: Result<T, ObjectError>) {
    match result {
        Err(ObjectError::Sealed(SealError::Refused(_))) => {}
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it opens"),
    }
}

async fn get(store: &Store, scope: &Scope, name: &str) -> Result<Option<Vec<u8>>, ObjectError> {
    Ok(store.objects().get(scope, name).await?.map(|secret| secret.expose().clone()))
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_written() {
    let house = House::sqlite();
    let store = house.open().await;
    let scope = store.tenant("acme");
    for size in SIZES {
        let name = format!("report-{size}.pdf");
        store.objects().put(&scope, &name, &content(size)).await.unwrap();
        assert!(get(&store, &scope, &name).await.unwrap() == Some(content(size)), "{size} bytes");
        assert_eq!(get(&store, &store.tenant("umbrella"), &name).await.unwrap(), None);
    }
    // In pieces of any size it is the same.
    let mut writer = store.objects().write(&scope, "pieces").await.unwrap();
    for piece in content(200_000).chunks(997) {
        writer.write(piece).await.unwrap();
    }
    assert_eq!(get(&store, &scope, "pieces").await.unwrap(), None, "not before it is finished");
    writer.finish().await.unwrap();
    assert_eq!(get(&store, &scope, "pieces").await.unwrap(), Some(content(200_000)));

    store.objects().delete(&scope, "pieces").await.unwrap();
    store.objects().delete(&scope, "pieces").await.unwrap();
    assert_eq!(get(&store, &scope, "pieces").await.unwrap(), None);
}

#[tokio::test]
async fn what_was_given_up_leaves_nothing_and_what_was_there_stays() {
    let house = House::sqlite();
    let store = house.open().await;
    let scope = store.tenant("acme");
    store.objects().put(&scope, "report", b"first").await.unwrap();
    for large in [10, 6_000_000] {
        let mut writer = store.objects().write(&scope, "report").await.unwrap();
        writer.write(&content(large)).await.unwrap();
        writer.abort().await.unwrap();
        let mut writer = store.objects().write(&scope, "report").await.unwrap();
        writer.write(&content(large)).await.unwrap();
        drop(writer);
        assert_eq!(get(&store, &scope, "report").await.unwrap(), Some(b"first".to_vec()));
    }
    only_file(&house);
}

#[tokio::test]
async fn an_altered_object_does_not_open() {
    let house = House::sqlite();
    let store = house.open().await;
    let scope = store.tenant("acme");
    store.objects().put(&scope, "report", &content(150_000)).await.unwrap();
    let path = only_file(&house);
    let whole = std::fs::read(&path).unwrap();
    let frame = 4 + 13 + 65_536 + 16;

    let mut altered = Vec::new();
    for at in [0, 10, 22, 40, 20 + frame + 30, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        altered.push(flipped);
    }
    // Cut between chunks and within; a chunk left out, repeated, exchanged; something behind the end; nothing at all.
    altered.extend([0, 3, 20, 24, 20 + frame, 20 + frame + 9, whole.len() - 1].map(|cut| whole[..cut].to_vec()));
    let (head, first, second, third) =
        (&whole[..20], &whole[20..20 + frame], &whole[20 + frame..20 + 2 * frame], &whole[20 + 2 * frame..]);
    altered.push([head, first, third].concat());
    altered.push([head, first, first, second, third].concat());
    altered.push([head, second, first, third].concat());
    altered.push([&whole, b"x".as_slice()].concat());
    for content in altered {
        std::fs::write(&path, content).unwrap();
        refused(get(&store, &scope, "report").await);
    }

    // The first half of an older content under the same name.
    std::fs::write(&path, &whole).unwrap();
    store.objects().put(&scope, "report", &content(150_000)).await.unwrap();
    let newer = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&newer[..20 + frame], second, third].concat()).unwrap();
    refused(get(&store, &scope, "report").await);

    // Whole, but under another name.
    std::fs::write(&path, &newer).unwrap();
    store.objects().put(&scope, "other", b"x").await.unwrap();
    for shelf in std::fs::read_dir(house.objects().join("reeve")).unwrap() {
        for file in std::fs::read_dir(shelf.unwrap().path()).unwrap() {
            std::fs::write(file.unwrap().path(), &newer).unwrap();
        }
    }
    assert_eq!(get(&store, &scope, "report").await.unwrap(), Some(content(150_000)));
    refused(get(&store, &scope, "other").await);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_says_so() {
    let house = House::sqlite();
    std::fs::write(house.objects(), "a file").unwrap();
    let refused = house.try_open().await.err().unwrap().to_string();
    assert!(refused.contains("objects") && refused.contains("check the folder's owner"), "{refused}");
}
