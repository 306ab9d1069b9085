//! What is sealed: it opens where it belongs, and nowhere else.

use reeve_base::{Purpose, SealError, Sealer};
use reeve_vault::Vault;

use crate::place::{Place, at};

const PURPOSES: [Purpose; 6] = [
    Purpose::LedgerSigning,
    Purpose::LedgerDay,
    Purpose::StoreRecord,
    Purpose::StoreMessage,
    Purpose::StoreObject,
    Purpose::Certificate,
];

#[track_caller]
fn refused(vault: &Vault, purpose: Purpose, context: &[u8], sealed: &[u8]) {
    assert_eq!(vault.open(purpose, context, sealed).unwrap_err(), SealError::Refused(purpose));
}

#[test]
fn a_value_opens_for_its_purpose_and_in_its_place_alone() {
    let place = Place::new(1);
    let vault = place.create();
    for purpose in PURPOSES {
        let sealed = vault.seal(purpose, b"table/7", b"Ada Lovelace").unwrap();
        assert_eq!(vault.open(purpose, b"table/7", &sealed).unwrap().expose(), b"Ada Lovelace");
        assert!(vault.is_current(&sealed));
        refused(&vault, purpose, b"table/8", &sealed);
        for other in PURPOSES.into_iter().filter(|other| *other != purpose) {
            refused(&vault, other, b"table/7", &sealed);
            // Nor if the purpose in its header is exchanged: the key is another one.
            let mut dressed = sealed.clone();
            dressed[5] = other as u8;
            refused(&vault, other, b"table/7", &dressed);
        }
    }
}

#[test]
fn no_flipped_bit_opens() {
    let place = Place::new(2);
    let vault = place.create();
    let sealed = vault.seal(Purpose::StoreRecord, b"here", b"kept").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&vault, Purpose::StoreRecord, b"here", &flipped);
    }
    for length in 0..sealed.len() {
        refused(&vault, Purpose::StoreRecord, b"here", &sealed[..length]);
    }
}

#[test]
fn a_value_of_another_installation_does_not_open() {
    let places = [Place::new(3), Place::new(4)];
    let [one, other] = places.each_ref().map(Place::create);
    let mut sealed = one.seal(Purpose::StoreRecord, b"here", b"kept").unwrap();
    refused(&other, Purpose::StoreRecord, b"here", &sealed);
    assert!(!other.is_current(&sealed));
    let own = other.seal(Purpose::StoreRecord, b"here", b"").unwrap();
    sealed[6..22].copy_from_slice(&own[6..22]);
    refused(&other, Purpose::StoreRecord, b"here", &sealed);
}

#[test]
fn rotation_seals_anew_at_once_and_opens_what_was_sealed_before() {
    let place = Place::new(5);
    let vault = place.create();
    let mut kept = Vec::new();
    for number in 1..=4_u8 {
        kept.push((vault.seal(Purpose::LedgerDay, b"day", &[number]).unwrap(), number));
        assert!(vault.is_current(&kept.last().unwrap().0));
        assert_eq!(vault.rotate(at(number.into())).unwrap().version, u32::from(number) + 1);
        assert!(kept.iter().all(|(sealed, _)| !vault.is_current(sealed)));
    }
    drop(vault);
    let vault = place.open().unwrap();
    for (sealed, number) in &kept {
        assert_eq!(vault.open(Purpose::LedgerDay, b"day", sealed).unwrap().expose(), &[*number]);
    }
    assert!(!vault.is_current(b"nothing of ours"));
}

#[test]
fn a_lookup_is_the_same_for_the_life_of_the_installation_and_different_elsewhere() {
    let place = Place::new(6);
    let vault = place.create();
    let hash = vault.lookup(Purpose::StoreRecord, b"users.email", b"ada@example.org");
    assert_ne!(hash, vault.lookup(Purpose::StoreRecord, b"users.phone", b"ada@example.org"));
    assert_ne!(hash, vault.lookup(Purpose::StoreMessage, b"users.email", b"ada@example.org"));
    assert_ne!(hash, vault.lookup(Purpose::StoreRecord, b"users.email", b"ida@example.org"));
    assert_ne!(hash, vault.audit_mac(b"users.email", b"ada@example.org"));
    // The border between context and value counts.
    assert_ne!(hash, vault.lookup(Purpose::StoreRecord, b"users.emaila", b"da@example.org"));
    assert_ne!(hash, Place::new(7).create().lookup(Purpose::StoreRecord, b"users.email", b"ada@example.org"));
    vault.rotate(at(1)).unwrap();
    drop(vault);
    assert_eq!(hash, place.open().unwrap().lookup(Purpose::StoreRecord, b"users.email", b"ada@example.org"));
}
