use std::fs;

use rcgen::{CertificateParams, KeyPair};
use reeve_base::{Purpose, Secret};

use super::local::set_validity;
use super::*;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn authority(folder: &Path) -> LocalAuthority {
    LocalAuthority {
        folder: folder.to_owned(),
        names: vec![String::from("localhost"), String::from("127.0.0.1")],
        valid_days: 90,
    }
}

/// Writes a certificate and its key, valid from now for 90 days, and returns their paths.
fn files(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![String::from("localhost")]).unwrap();
    set_validity(&mut params, now(), 90);
    let certificate = params.self_signed(&key).unwrap();
    let paths = (folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")));
    fs::write(&paths.0, certificate.pem()).unwrap();
    fs::write(&paths.1, key.serialize_pem()).unwrap();
    paths
}

#[test]
fn the_local_authority_is_made_once_and_its_key_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(folder.path());
    Certificate::Local(authority.clone()).load(None, now()).unwrap();
    let first = fs::read(authority.certificate_path()).unwrap();
    Certificate::Local(authority.clone()).load(None, now()).unwrap();
    assert_eq!(fs::read(authority.certificate_path()).unwrap(), first);
    assert_eq!(fs::metadata(authority.key_path(None)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[track_caller]
fn refused(chain: &Path, key: &Path, now: Timestamp, message: &str) {
    let certificate = Certificate::Files { chain: chain.to_owned(), key: key.to_owned() };
    let error = certificate.load(None, now).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn files_that_do_not_fit_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = files(folder.path(), "one");
    let (_, other_key) = files(folder.path(), "two");
    Certificate::Files { chain: chain.clone(), key: key.clone() }.load(None, now()).unwrap();
    refused(&chain, &other_key, now(), "does not belong to the certificate");
    refused(&folder.path().join("none.pem"), &key, now(), "No such file");
    refused(&key, &key, now(), "holds no certificate");
    refused(&chain, &chain, now(), "holds no private key");
    refused(&chain, &key, "2030-01-01T00:00:00Z".parse().unwrap(), "and now it is 2030");
}

/// Seals by turning every bit over: enough to tell whether the file is what the sealer made of the key.
struct Inverted;

impl Sealer for Inverted {
    fn seal(&self, _: Purpose, _: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(plain.iter().map(|byte| !byte).collect())
    }

    fn open(&self, _: Purpose, _: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        Ok(Secret::new(sealed.iter().map(|byte| !byte).collect()))
    }

    fn is_current(&self, _: &[u8]) -> bool {
        true
    }

    fn lookup(&self, _: Purpose, _: &[u8], _: &[u8]) -> [u8; 32] {
        [0; 32]
    }
}

#[test]
fn with_a_sealer_the_authoritys_key_is_in_no_file_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(folder.path());
    for _ in 0..2 {
        Certificate::Local(authority.clone()).load(Some(&Inverted), now()).unwrap();
    }
    for entry in fs::read_dir(folder.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(memchr::memmem::find(&bytes, b"PRIVATE KEY").is_none());
    }
}

#[test]
fn a_chain_is_verified_for_each_name_and_for_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let leaf = Certificate::Local(authority(folder.path())).load(None, now()).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    // The local authority's own certificate is not sent along.
    let alone = leaf.verify(&names(&["localhost"]), now());
    assert!(matches!(alone, Err(IdentityError::NoIssuer)), "{alone:?}");
    let mut chain = leaf.key().cert.clone();
    chain.push(CertificateDer::from_pem_file(folder.path().join("ca.pem")).unwrap());
    let key = KeyPair::generate().unwrap();
    let foreign = Identity::new(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap());
    assert!(matches!(foreign, Err(IdentityError::Foreign)), "{foreign:?}");
}

#[test]
fn what_a_certificate_says_is_read_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Certificate::Local(authority(folder.path())).load(None, now()).unwrap();
    assert_eq!(identity.names(), ["localhost", "127.0.0.1"]);
    assert_eq!(identity.issuer(), "CN=Reeve local authority");
    assert!(!identity.is_temporary() && identity.fingerprint().len() == 64);
    assert!(identity.lasts_at(identity.life().0) && identity.lasts_at(identity.life().1));
    assert!(!identity.lasts_at(identity.life().1 + std::time::Duration::from_secs(1)));
}
