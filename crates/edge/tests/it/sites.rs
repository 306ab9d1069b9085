//! Several certificates: which of them a handshake gets.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use reeve_edge::{Certificate, Settings, Sites, UnknownName};

use crate::acme::visitor::{handshake, names_shown, visit};
use crate::application::Application;
use crate::house::{House, demo_controls};

/// A certificate for these names, in files.
fn files(folder: &Path, names: &[&str]) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    let file = |end: &str| folder.join(format!("{}.{end}", names[0].replace('*', "any")));
    std::fs::write(file("pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(file("key"), key.serialize_pem()).unwrap();
    Certificate::Files { chain: file("pem"), key: file("key") }
}

fn several(house: &House, unknown: UnknownName) -> Settings {
    let folder = house.folder.path();
    let mut settings = house.settings.clone();
    settings.certificate = files(folder, &["first.test"]);
    let others = [&["second.test", "www.second.test"][..], &["*.wild.test"], &["own.wild.test", "second.test"]];
    settings.sites = Sites { certificates: others.map(|names| files(folder, names)).to_vec(), unknown };
    settings
}

fn house() -> House {
    House::before(Application::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").address)
}

#[track_caller]
fn shows(house: &House, name: Option<&str>, first_name: &str) {
    assert_eq!(names_shown(house.https(), name)[0], first_name, "{name:?}");
}

#[test]
fn each_name_gets_its_certificate_and_a_wildcard_stands_for_one_label() {
    let house = house();
    house.gateway().reload(&several(&house, UnknownName::First), &demo_controls()).unwrap();
    shows(&house, Some("first.test"), "first.test");
    shows(&house, Some("www.second.test"), "second.test");
    shows(&house, Some("WWW.Second.test"), "second.test");
    shows(&house, Some("any.wild.test"), "*.wild.test");
    // The whole name before the wildcard, the one that was named first before the other.
    shows(&house, Some("own.wild.test"), "own.wild.test");
    shows(&house, Some("second.test"), "second.test");
    // Two labels are not one, and none is not one either.
    shows(&house, Some("a.b.wild.test"), "first.test");
    shows(&house, Some("wild.test"), "first.test");
    shows(&house, Some("unknown.test"), "first.test");
    shows(&house, None, "first.test");
    assert!(visit(house.https(), Some("second.test")).1.ends_with("ok"));
}

#[test]
fn an_unknown_name_is_refused_where_the_settings_say_so() {
    let house = house();
    house.gateway().reload(&several(&house, UnknownName::Refuse), &demo_controls()).unwrap();
    shows(&house, Some("any.wild.test"), "*.wild.test");
    assert!(handshake(house.https(), Some("unknown.test"), &[]).is_err());
    // Without a name there is nothing that could be unknown.
    shows(&house, None, "first.test");
    let events = house.close();
    assert!(events.iter().any(|event| event["activity"] == "tls.handshake" && event["outcome"] == "refused"));
}

#[test]
fn one_certificate_that_cannot_be_used_keeps_all_as_they_were() {
    let house = house();
    let mut settings = several(&house, UnknownName::First);
    settings.sites.certificates.push(Certificate::Files { chain: "/nowhere.pem".into(), key: "/nowhere.key".into() });
    house.gateway().reload(&settings, &demo_controls()).unwrap_err();
    shows(&house, Some("second.test"), "localhost");
}
