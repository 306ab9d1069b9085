//! tls.floor, tls.ciphers, tls.cipher_bits and tls.pfs: by hand-made ClientHellos.

use reeve_base::Cause;
use reeve_policy::catalogue::{Cipher, TlsCipherBits, TlsCiphers, TlsFloor, TlsPfs, TlsVersion};

use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::hello::Version;
use crate::hello::suites::{self, Bulk, Exchange, Suite};
use crate::wire::Site;
use crate::wire::handshake::Reply;

impl Probe for TlsFloor {
    fn plan(&self, _target: &Target) -> Sends {
        let below = Version::ALL.into_iter().filter(|version| *version < floor(self));
        let names: Vec<String> = below.map(|version| version.to_string()).collect();
        let what = format!("a ClientHello each for {}, then for what is allowed", names.join(", "));
        Sends::requests(u32::try_from(Version::ALL.len()).unwrap_or(0) + 1, what)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let floor = floor(self);
            let mut accepted = Vec::new();
            for version in Version::ALL.into_iter().filter(|version| *version >= floor) {
                if let Some(suite) = offer(site, notes, version, &suites::of(version, |_| true)).await? {
                    accepted.push(format!("{version} with {suite}"));
                }
            }
            let mut refused = Vec::new();
            for version in Version::ALL.into_iter().filter(|version| *version < floor) {
                match offer(site, notes, version, &suites::of(version, |_| true)).await? {
                    Some(suite) => notes.fault(format!("{version} is accepted, with {suite}")),
                    None => refused.push(version.to_string()),
                }
            }
            if accepted.is_empty() {
                return Err(Cause::Unexpected(format!("no version from {floor} up is accepted either")));
            }
            let twin = Twin::seen(notes, format!("accepted: {}", accepted.join(", ")));
            still_accepts(site, floor).await?;
            Ok(Kept::with(twin, format!("{} refused; {} accepted", refused.join(", "), accepted.join(", "))))
        })
    }
}

const fn floor(control: &TlsFloor) -> Version {
    match control.min {
        TlsVersion::V1_2 => Version::Tls12,
        TlsVersion::V1_3 => Version::Tls13,
    }
}

impl Probe for TlsCiphers {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(12, "ClientHellos with CBC, RC4, 3DES, NULL, EXPORT, anonymous and unlisted suites, by version")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let listed = |suite: &Suite| {
                suite.exchange != Exchange::Anonymous && cipher(suite.bulk).is_some_and(|c| self.ciphers.contains(&c))
            };
            judge(site, notes, &Contrast { allowed: &listed, what: "suites outside the list" }).await
        })
    }
}

impl Probe for TlsCipherBits {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(12, format!("ClientHellos with keys shorter than {} bits, by version", self.bits))
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let strong = |suite: &Suite| suite.bulk.bits() >= self.bits;
            judge(site, notes, &Contrast { allowed: &strong, what: "suites with a shorter key" }).await
        })
    }
}

impl Probe for TlsPfs {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(10, "ClientHellos with static key exchange only, by version, then ephemeral ones")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let ephemeral = |suite: &Suite| suite.exchange != Exchange::Static;
            judge(site, notes, &Contrast { allowed: &ephemeral, what: "suites without forward secrecy" }).await
        })
    }
}

const fn cipher(bulk: Bulk) -> Option<Cipher> {
    match bulk {
        Bulk::Aes128Gcm => Some(Cipher::Aes128Gcm),
        Bulk::Aes256Gcm => Some(Cipher::Aes256Gcm),
        Bulk::ChaCha20Poly1305 => Some(Cipher::ChaCha20Poly1305),
        Bulk::Null
        | Bulk::Export40
        | Bulk::Des
        | Bulk::TripleDes
        | Bulk::Rc4
        | Bulk::Cbc128
        | Bulk::Cbc256
        | Bulk::OtherAead128
        | Bulk::OtherAead256 => None,
    }
}

/// Which suites a promise allows, and what the others are called.
struct Contrast<'c> {
    allowed: &'c (dyn Fn(&Suite) -> bool + Sync),
    what: &'static str,
}

/// Offers, in each version, only what is not allowed, and names all that is accepted; then only what is.
async fn judge(site: &Site, notes: &mut Notes, contrast: &Contrast<'_>) -> Result<Kept, Cause> {
    let mut accepted = None;
    for version in [Version::Tls13, Version::Tls12] {
        if accepted.is_none() {
            let allowed = suites::of(version, contrast.allowed);
            accepted = offer(site, notes, version, &allowed).await?.map(|suite| format!("{version} with {suite}"));
        }
    }
    let mut tried = 0;
    for version in Version::ALL {
        let forbidden = suites::of(version, |suite| !(contrast.allowed)(suite));
        tried += forbidden.len();
        let accepted = enumerate(site, notes, version, forbidden).await?;
        if let Some(worst) = accepted.iter().min_by_key(|suite| suite.bulk.bits()) {
            let count = accepted.len();
            notes.fault(format!("{version} accepts {}, {count} in all, such as {worst}", contrast.what));
            let names: Vec<&str> = accepted.iter().map(|suite| suite.name).collect();
            notes.saw(format!("accepted in {version}: {}", names.join(", ")));
        }
    }
    let accepted = accepted.ok_or_else(|| Cause::Unexpected(String::from("no allowed suite is accepted either")))?;
    let twin = Twin::seen(notes, format!("accepted: {accepted}"));
    still_accepts(site, Version::Tls12).await?;
    Ok(Kept::with(twin, format!("none of {tried} {} is accepted; {accepted} is accepted", contrast.what)))
}

/// Offers these suites, takes the accepted one away, and offers the rest, until none is accepted.
async fn enumerate(
    site: &Site,
    notes: &mut Notes,
    version: Version,
    mut suites: Vec<Suite>,
) -> Result<Vec<Suite>, Cause> {
    let most = if site.target().is_loopback() { ENUMERATED_MAX } else { ENUMERATED_REMOTE_MAX };
    let mut accepted = Vec::new();
    while !suites.is_empty() {
        if accepted.len() == most {
            notes.saw(format!(
                "{version}: the list of accepted suites ends here, {} were not offered alone",
                suites.len()
            ));
            break;
        }
        match site.offer(version, &suites).await? {
            Reply::Accepted { suite } => {
                accepted.extend(suites.iter().copied().filter(|offered| offered.id == suite));
                suites.retain(|offered| offered.id != suite);
            }
            Reply::Refused { how } => {
                notes.saw(format!("offered {version} with {} suites: refused ({how})", suites.len()));
                break;
            }
        }
    }
    Ok(accepted)
}

/// Offers once and writes down what came: the name of the accepted suite, if one was.
async fn offer(site: &Site, notes: &mut Notes, version: Version, offered: &[Suite]) -> Result<Option<String>, Cause> {
    if offered.is_empty() {
        return Ok(None);
    }
    let what = match offered {
        [only] => format!("{version} with {only}"),
        many => format!("{version} with {} suites", many.len()),
    };
    match site.offer(version, offered).await? {
        Reply::Accepted { suite } => {
            let name = suites::name(suite);
            notes.saw(format!("offered {what}: {name}"));
            Ok(Some(name))
        }
        Reply::Refused { how } => {
            notes.saw(format!("offered {what}: refused ({how})"));
            Ok(None)
        }
    }
}

/// After all the refusals: the server still answers, so that they were not the beginning of an outage or of a ban.
async fn still_accepts(site: &Site, floor: Version) -> Result<(), Cause> {
    for version in Version::ALL.into_iter().rev().filter(|version| *version >= floor) {
        if matches!(site.offer(version, &suites::of(version, |_| true)).await?, Reply::Accepted { .. }) {
            return Ok(());
        }
    }
    Err(Cause::Denied(String::from("after the forbidden offers the allowed one is refused too")))
}

/// How many accepted suites of one version are named.
const ENUMERATED_MAX: usize = 64;

/// The same for a site elsewhere: enough to see what is wrong, without a connection for each of a careless list.
const ENUMERATED_REMOTE_MAX: usize = 8;
