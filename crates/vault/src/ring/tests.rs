//! The text of the ring, tried bit by bit.

use aws_lc_rs::hmac::HMAC_SHA256;
use proptest::prelude::*;
use reeve_base::SystemEntropy;

use super::inspect::{Inspection, SealKind};
use super::*;
use crate::locked::Key;
use crate::seal::{Making, NewSeal};

fn key(byte: u8) -> hmac::Key {
    hmac::Key::new(HMAC_SHA256, &[byte; 32])
}

fn version(created: i64) -> WrappedVersion {
    let created = Timestamp::from_second(created).unwrap();
    WrappedVersion { created, superseded: None, destroyed: None, uses: 0, wrapped: Some(Bytes(vec![1; 70])) }
}

fn ring() -> Ring {
    let (root, installation) = (Key::new(&[5; 32]).unwrap(), InstallationId([7; 16]));
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let making = Making { root: &root, installation, now, entropy: &SystemEntropy };
    let mut ring = Ring::new(installation);
    ring.seals.push(making.make(NewSeal::File("unused".into())).unwrap().sealed);
    ring.versions.push(version(1_800_000_000));
    ring
}

#[track_caller]
fn refused(ring: &Ring, expected: &str) {
    let Err(Fault::Damaged(cause)) = Unverified::read(ring.write(&key(1)).unwrap().as_bytes()) else {
        panic!("it was read");
    };
    assert!(cause.contains(expected), "{cause}");
}

#[test]
fn what_is_written_is_read() {
    let ring = ring();
    let text = ring.write(&key(1)).unwrap();
    let read = Unverified::read(text.as_bytes()).unwrap();
    assert_eq!(read.verify(&key(1)).unwrap(), ring);
    let seen = Inspection::read(text.as_bytes()).unwrap();
    assert_eq!((seen.installation, seen.seals), (ring.installation, vec![(ring.seals[0].id, SealKind::File)]));
}

#[test]
fn no_flipped_bit_is_believed() {
    let text = ring().write(&key(1)).unwrap();
    for bit in 0..text.len() * 8 {
        let mut flipped = text.clone().into_bytes();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let believed = Unverified::read(&flipped).ok().and_then(|read| read.verify(&key(1)));
        assert!(believed.is_none(), "bit {bit}");
    }
}

#[test]
fn every_cut_is_called_a_cut() {
    let text = ring().write(&key(1)).unwrap();
    for length in 0..text.len() {
        assert_eq!(Unverified::read(&text.as_bytes()[..length]).unwrap_err(), Fault::Cut, "cut to {length}");
    }
}

#[test]
fn a_foreign_code_is_not_believed_though_the_checksum_fits() {
    let mut ring = ring();
    ring.generation = 9;
    let text = ring.write(&key(2)).unwrap();
    assert!(Unverified::read(text.as_bytes()).unwrap().verify(&key(1)).is_none());
}

#[test]
fn a_ring_of_a_later_reeve_is_called_so_whatever_its_form() {
    let later = |body: &str| Unverified::read(format!("{body}\n{}\nmac 0\n", checksum(body)).as_bytes()).unwrap_err();
    let future = Fault::Future(String::from("reeve.ring/2"));
    assert_eq!(later(r#"{"schema":"reeve.ring/2","stars":3}"#), future);
    assert_eq!(Unverified::read(br#"{"schema":"reeve.ring/2"}"#).unwrap_err(), future);
    assert!(matches!(later(r#"{"schema":"another/1"}"#), Fault::Damaged(_)));
}

#[test]
fn a_ring_that_contradicts_itself_is_refused() {
    let mut without_seals = ring();
    without_seals.seals.clear();
    refused(&without_seals, "no seal");

    let mut too_many = ring();
    let seal = too_many.seals[0].clone();
    too_many.seals.resize(SEALS_MAX, seal.clone());
    assert!(Unverified::read(too_many.write(&key(1)).unwrap().as_bytes()).is_ok());
    too_many.seals.push(seal);
    refused(&too_many, "too many");

    let mut without_versions = ring();
    without_versions.versions.clear();
    refused(&without_versions, "no current version");

    let mut two_current = ring();
    two_current.versions.push(version(1_800_000_001));
    refused(&two_current, "two current versions");

    let mut lost = two_current.clone();
    lost.versions[0].superseded = Some(lost.versions[1].created);
    lost.versions[0].wrapped = None;
    refused(&lost, "neither there nor destroyed");
    lost.versions[0].destroyed = Some(lost.versions[1].created);
    assert!(Unverified::read(lost.write(&key(1)).unwrap().as_bytes()).is_ok());
}

#[test]
fn the_largest_ring_fits() {
    let mut ring = ring();
    let making_room = ring.seals[0].clone();
    ring.seals.resize(SEALS_MAX, making_room);
    let mut old = version(1_800_000_000);
    old.superseded = Some(old.created);
    old.uses = u64::MAX;
    ring.versions = vec![old; VERSIONS_MAX - 1];
    ring.versions.push(version(1_800_000_000));
    let text = ring.write(&key(1)).unwrap();
    assert!(Unverified::read(text.as_bytes()).is_ok());
    assert!(text.len() < RING_BYTES_MAX / 2, "{}", text.len());
    ring.versions.insert(0, ring.versions[0].clone());
    refused(&ring, "too many versions");
    let long = " ".repeat(RING_BYTES_MAX + 1);
    assert!(matches!(Unverified::read(long.as_bytes()), Err(Fault::Damaged(_))));
}

proptest! {
    #[test]
    fn foreign_bytes_are_refused_in_words(bytes: Vec<u8>) {
        prop_assert!(Unverified::read(&bytes).is_err());
    }
}
