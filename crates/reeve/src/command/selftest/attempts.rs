//! What is tried inside the sandbox.
//!
//! Each attempt is harmless even where nothing refuses it: it has an argument that the kernel turns down for another
//! reason, but only after it has asked for permission, or it changes nothing beyond this process, which is about to end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::os::unix::process::{CommandExt, parent_id};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reeve_base::{Entropy, SystemClock, SystemEntropy};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit};
use rustix::thread::{CapabilitySet, UnshareFlags};

use super::trial::{Came, Line, Row, Trial, Wanted};
use crate::deployment::Deployment;
use crate::sandbox::Piece;

/// Something to try.
pub(super) struct Attempt {
    pub(super) what: &'static str,
    pub(super) wanted: Wanted,
    /// What was seen when it was done, or the error. `NotFound` without a number means that it cannot be tried here.
    pub(super) make: fn(&Stage<'_>) -> io::Result<String>,
}

/// What there is to try it with.
pub(super) struct Stage<'t> {
    pub(super) trial: &'t Trial,
    pub(super) deployment: &'t Deployment,
}

const fn refused(what: &'static str, by: Piece, make: fn(&Stage<'_>) -> io::Result<String>) -> Attempt {
    Attempt { what, wanted: Wanted::Refused(by), make }
}

const fn needed(what: &'static str, make: fn(&Stage<'_>) -> io::Result<String>) -> Attempt {
    Attempt { what, wanted: Wanted::Done, make }
}

/// What an intruder would do, while there is only one thread: the kernel gives a namespace to no process with more.
pub(super) const FORBIDDEN: &[Attempt] = &[
    refused("read /etc/shadow", Piece::Files, |_| read("/etc/shadow".as_ref())),
    refused("read a file of somebody else that is open to all", Piece::Files, |stage| read(&stage.trial.planted)),
    refused("list the root folder", Piece::Files, |_| Ok(format!("{} entries", fs::read_dir("/")?.count()))),
    refused("change the settings", Piece::Files, |stage| write(&stage.trial.config)),
    refused("change the policy", Piece::Files, |stage| write(&stage.deployment.loaded.settings.policy.value)),
    refused("make a file in the temporary folder", Piece::Files, |_| make(&std::env::temp_dir())),
    refused("plant a link in the data folder", Piece::Files, plant_link),
    refused("read the memory of another process", Piece::Files, |_| read_memory()),
    refused("take an open file from another process", Piece::Calls, |_| take_descriptor()),
    refused("signal another process", Piece::Calls, |_| {
        rustix::process::test_kill_process(parent()?)?;
        done()
    }),
    refused("talk to another program's abstract socket", Piece::Scopes, |stage| {
        UnixStream::connect_addr(&UnixAddr::from_abstract_name(&stage.trial.abstract_name)?)?;
        done()
    }),
    refused("listen on a port that is not in the settings", Piece::Ports, |stage| {
        TcpListener::bind(("127.0.0.1", stage.trial.spare_port))?;
        done()
    }),
    refused("send packets of its own making", Piece::Calls, |_| socket(AddressFamily::INET, SocketType::RAW)),
    refused("listen in on the network", Piece::Calls, |_| socket(AddressFamily::PACKET, SocketType::RAW)),
    refused("run a shell", Piece::Calls, |_| {
        Command::new("/bin/sh").args(["-c", ":"]).status()?;
        done()
    }),
    refused("make memory that is written and run", Piece::Calls, |_| {
        region::alloc(1, region::Protection::READ_WRITE_EXECUTE).map_err(|error| match error {
            region::Error::SystemCall(number) => io::Error::from_raw_os_error(number),
            other => io::Error::other(other),
        })?;
        done()
    }),
    refused("mount a file system", Piece::Calls, |_| {
        // No such folder: it is looked for only by a kernel that would let us.
        rustix::mount::mount("none", "/nonexistent", "tmpfs", rustix::mount::MountFlags::empty(), None)?;
        done()
    }),
    refused("load a module into the kernel", Piece::Calls, |_| {
        rustix::system::init_module(b"no module", c"")?;
        done()
    }),
    refused("set the clock", Piece::Calls, |_| {
        // Two seconds' worth of nanoseconds is no time that a clock takes.
        let never = rustix::time::Timespec { tv_sec: 0, tv_nsec: 2_000_000_000 };
        rustix::time::clock_settime(rustix::time::ClockId::Realtime, never)?;
        done()
    }),
    refused("become another user", Piece::Calls, |_| {
        // Itself, which everybody may.
        rustix::thread::set_thread_uid(rustix::process::getuid())?;
        done()
    }),
    refused("get its capabilities back", Piece::Capabilities, |_| {
        let mut sets = rustix::thread::capabilities(None)?;
        sets.permitted |= CapabilitySet::SYS_CHROOT;
        rustix::thread::set_capabilities(None, sets)?;
        done()
    }),
    refused("allow core dumps", Piece::Dumps, |_| {
        let some = Rlimit { current: Some(1), maximum: Some(1) };
        rustix::process::setrlimit(Resource::Core, some)?;
        done()
    }),
    refused("open its memory to others", Piece::Calls, |_| {
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
        done()
    }),
    // Last of these: inside a namespace of its own, a process has capabilities again.
    refused("move to a namespace of its own", Piece::Calls, |_| unshare()),
];

/// What the gateway needs.
pub(super) const NEEDED: &[Attempt] = &[
    needed("read settings and policy again", |stage| {
        let read = Deployment::read(&stage.trial.config, &SystemClock::new()).map_err(io::Error::other)?;
        read.verify(&SystemClock::new()).map_or(Ok(()), |fault| Err(io::Error::other(fault.message)))?;
        Ok(format!("{} clauses", read.policy.clauses.len()))
    }),
    needed("count the processors as before", |stage| {
        let now = std::thread::available_parallelism()?;
        Ok(format!("{now}, and {} workers", stage.deployment.loaded.settings.server.workers))
    }),
    needed("make, write, sync, rename and remove a file in the data folder", |stage| {
        keep_a_file(&stage.deployment.loaded.settings.data.value)
    }),
    needed("resolve a name and connect", |stage| {
        let port = stage.trial.listener.port();
        let addresses: Vec<_> = ("localhost", port).to_socket_addrs()?.collect();
        TcpStream::connect_timeout(&stage.trial.listener, PATIENCE)?;
        Ok(format!("localhost has {} addresses; connected to {}", addresses.len(), stage.trial.listener))
    }),
    needed("start a thread", |_| {
        let thread = std::thread::Builder::new().name(String::from("trial")).spawn(|| ())?;
        thread.join().map_err(|_| io::Error::other("it panicked"))?;
        done()
    }),
    needed("draw randomness", |_| {
        let mut bytes = [0; 32];
        SystemEntropy.fill(&mut bytes).map_err(io::Error::other)?;
        done()
    }),
];

/// The same process, another program. If it comes to that, the program tells the line in our stead.
pub(super) const BECOME: Attempt = refused("become a shell", Piece::Calls, |_| {
    let row = Row {
        what: String::from("become a shell"),
        wanted: Wanted::Refused(Piece::Calls),
        came: Came::Done,
        seen: String::from("this line was written by it"),
    };
    let line = serde_json::to_string(&Line::Tried(row))?;
    Err(Command::new("/bin/sh").args(["-c", "printf '%s\\n' \"$0\"", &line]).exec())
});

fn done() -> io::Result<String> {
    Ok(String::from("done"))
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut bytes)?;
    Ok(format!("{} bytes", bytes.len()))
}

/// Opens it for writing and writes nothing.
fn write(path: &Path) -> io::Result<String> {
    OpenOptions::new().append(true).open(path)?;
    done()
}

fn make(folder: &Path) -> io::Result<String> {
    let path = folder.join(format!("reeve-selftest-{}", std::process::id()));
    OpenOptions::new().create_new(true).write(true).open(&path)?;
    fs::remove_file(&path)?;
    done()
}

fn plant_link(stage: &Stage<'_>) -> io::Result<String> {
    let path = stage.deployment.loaded.settings.data.value.join(format!("selftest-link-{}", std::process::id()));
    std::os::unix::fs::symlink("/etc/shadow", &path)?;
    fs::remove_file(&path)?;
    done()
}

fn parent() -> io::Result<Pid> {
    let pid = i32::try_from(parent_id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the parent has no number here"))
}

fn read_memory() -> io::Result<String> {
    File::open(format!("/proc/{}/mem", parent_id()))?;
    done()
}

fn take_descriptor() -> io::Result<String> {
    let process = rustix::process::pidfd_open(parent()?, PidfdFlags::empty())?;
    rustix::process::pidfd_getfd(process, 0, PidfdGetfdFlags::empty())?;
    done()
}

fn socket(family: AddressFamily, kind: SocketType) -> io::Result<String> {
    rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(rustix::net::ipproto::ICMP))?;
    done()
}

#[expect(deprecated, reason = "deprecated for the sake of UnshareFlags::FILES, which is not used here")]
fn unshare() -> io::Result<String> {
    rustix::thread::unshare(UnshareFlags::NEWUSER)?;
    done()
}

fn keep_a_file(folder: &Path) -> io::Result<String> {
    let [first, second] = ["new", "kept"].map(|name| folder.join(format!("selftest-{}-{name}", std::process::id())));
    let mut file = OpenOptions::new().create_new(true).write(true).open(&first)?;
    file.write_all(b"kept")?;
    file.sync_data()?;
    file.lock()?;
    fs::rename(&first, &second)?;
    let read = fs::read(&second);
    fs::remove_file(&second)?;
    Ok(format!("{} bytes", read?.len()))
}

const PATIENCE: Duration = Duration::from_secs(2);
