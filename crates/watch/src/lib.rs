//! Log intake: follows the logs of other programs and finds in them which addresses misbehave.
//!
//! A [`Tail`] follows one file through rotation and truncation, with bounded memory whatever is in it; a [`Journal`] what
//! a program reads out of systemd's. A [`Filter`] reads lines of one kind of program and says who failed at what and when.
//! A [`Watch`] puts a filter behind one of them and tells a [`reeve_base::Actuator`]; what follows is not decided here.
//!
//! Invariants: nothing here waits, sleeps, opens a socket or starts a program, whoever calls decides when to look; a line is bytes of
//! unknown origin, read with anchored parsers in time proportional to its length; the filters find on the same lines
//! what those of fail2ban of the same names find.
//!
//! ```
//! use reeve_watch::{Filter, Host, Kind};
//!
//! let mut filter = Filter::new(Kind::Sshd);
//! let line = b"Nov 21 10:00:00 web sshd[812]: Failed password for root from 192.0.2.7 port 40022 ssh2";
//! let failure = filter.read(line).unwrap();
//! assert_eq!(failure.host, Host::Address("192.0.2.7".parse().unwrap()));
//! assert!(filter.read(b"Nov 21 10:00:01 web sshd[812]: Server listening on :: port 22.").is_none());
//! ```
//!
//! Start reading at [`Watch`], then [`Filter`].

mod filter;
mod journal;
mod stamp;
mod tail;
mod watch;

pub use filter::{Failure, Filter, Host, Kind};
pub use journal::{ENTRY_BYTES_MAX, Journal, JournalError, JournalPlace, JournalReader, Units, journalctl_arguments};
pub use stamp::Stamp;
pub use tail::{Counts, LINE_BYTES_MAX, Place, Tail, TailError};
pub use watch::{Log, Looked, Mark, Watch, WatchStatus};
