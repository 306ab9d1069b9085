//! Who failed, in the lines of one kind of program.

mod apache;
mod badbots;
mod cursor;
mod host;
mod nginx;
mod sshd;

use std::net::IpAddr;

use crate::stamp::Stamp;

/// A kind of log, by the program that writes it and what is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "each kind needs its own reader")]
pub enum Kind {
    /// Failed sign-ins of OpenSSH, by way of syslog (`auth.log`).
    Sshd,
    /// Failed sign-ins of nginx's basic authentication, in its error log.
    NginxHttpAuth,
    /// Requests for what only scanners look for, in nginx's access or error log.
    NginxBotsearch,
    /// Refused and failed sign-ins of Apache, in its error log.
    ApacheAuth,
    /// Harvesters of mail addresses and the like by their names, in Apache's access log.
    ApacheBadbots,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Sshd, Self::NginxHttpAuth, Self::NginxBotsearch, Self::ApacheAuth, Self::ApacheBadbots];

    /// The name, which fail2ban's filter of the same meaning bears too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::NginxHttpAuth => "nginx-http-auth",
            Self::NginxBotsearch => "nginx-botsearch",
            Self::ApacheAuth => "apache-auth",
            Self::ApacheBadbots => "apache-badbots",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Somebody failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure<'l> {
    /// From where.
    pub host: Host,
    /// When, as the line says.
    pub stamp: Stamp<'l>,
    /// How many attempts the line stands for, at least one: some are only known to have failed when another line comes.
    pub attempts: u32,
}

/// From where somebody came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else that a program writes")]
pub enum Host {
    /// An address; an IPv4 address in IPv6 form (`::ffff:192.0.2.1`) stands here as IPv4.
    Address(IpAddr),
    /// A name. It is not looked up: whoever controls the name would choose who is banned.
    Name(Box<str>),
}

/// Reads the lines of one log.
#[derive(Debug)]
pub struct Filter(Reader);

#[derive(Debug)]
enum Reader {
    Sshd(Box<sshd::Sshd>),
    Stateless(for<'l> fn(&'l [u8]) -> Option<Failure<'l>>),
}

impl Filter {
    /// One that has read nothing yet.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self(match kind {
            Kind::Sshd => Reader::Sshd(Box::default()),
            Kind::NginxHttpAuth => Reader::Stateless(nginx::http_auth),
            Kind::NginxBotsearch => Reader::Stateless(nginx::botsearch),
            Kind::ApacheAuth => Reader::Stateless(apache::auth),
            Kind::ApacheBadbots => Reader::Stateless(badbots::badbots),
        })
    }

    /// Reads one line, without its line end. It need not be UTF-8.
    pub fn read<'l>(&mut self, line: &'l [u8]) -> Option<Failure<'l>> {
        match &mut self.0 {
            Reader::Sshd(sshd) => sshd.read(line),
            Reader::Stateless(read) => read(line),
        }
    }
}

/// A failure that stands in one line.
fn at_once(host: Host, stamp: Stamp<'_>) -> Option<Failure<'_>> {
    Some(Failure { host, stamp, attempts: 1 })
}
