//! What a deployment needs of the machine: all else is shut.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::deployment::Deployment;
use crate::settings::{Access, Database, FeedSource, Place, Settings, Tls, Waf, WatchedLog};

/// What may be done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grant {
    /// Read the file, or everything below the folder.
    Read,
    /// Write to the file without cutting it short. It is made if it is not there.
    Append,
    /// Make, read, change and remove everything below the folder. It is made if it is not there.
    Change,
    /// Read and write a device.
    Device,
    /// Connect to Unix sockets below the folder. Only asked by kernels that can refuse it.
    Reach,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Append => "append",
            Self::Change => "change",
            Self::Device => "device",
            Self::Reach => "reach",
        })
    }
}

/// The paths and ports that stay within reach.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    open: BTreeSet<(Grant, PathBuf)>,
    listen: BTreeSet<u16>,
    /// Files that a reload reads again, and what they are.
    again: BTreeMap<PathBuf, &'static str>,
    notes: Vec<String>,
}

impl Plan {
    /// What the machine itself has to offer to any server: names, trusted authorities, randomness, its own figures.
    pub(crate) fn machine() -> Self {
        let mut plan = Self::default();
        for path in MACHINE_READ {
            plan.read(Path::new(path));
        }
        plan.open.insert((Grant::Device, PathBuf::from("/dev/null")));
        for path in MACHINE_REACH {
            plan.reach(Path::new(path));
        }
        plan
    }

    /// What the gateway of a deployment needs, whose settings were read from `config`.
    pub(crate) fn of(config: &Path, deployment: &Deployment) -> Self {
        let settings = &deployment.loaded.settings;
        let mut plan = Self::machine();
        plan.change(&settings.data.value);
        // Where the working folder is gone, the path stays relative and so does the rule.
        plan.read_again(&std::path::absolute(config).unwrap_or_else(|_| config.to_owned()), "settings");
        plan.read_again(&settings.policy.value, "policy");
        for tls in std::iter::once(&settings.tls).chain(&settings.sites.others) {
            if let Tls::Files { certificate, key } = tls {
                plan.read_again(&certificate.value, "certificate");
                plan.read_again(&key.value, "private key");
            }
        }
        if let Some(ca) = settings.sites.acme.as_ref().and_then(|acme| acme.ca.as_ref()) {
            plan.read_again(&ca.value, "ACME directory's authority");
        }
        for upstream in settings.upstreams() {
            if let Some(ca) = &upstream.ca {
                plan.read_again(&ca.value, "upstream's authority");
            }
            if let Some(client) = &upstream.client {
                plan.read_again(&client.certificate.value, "certificate for the upstream");
                plan.read_again(&client.key.value, "private key for the upstream");
            }
            if let Some(document) = &upstream.document {
                plan.read_again(&document.file.value, "OpenAPI document");
            }
        }
        if let Some(ca) = settings.tracing.as_ref().and_then(|tracing| tracing.ca.as_ref()) {
            plan.read_again(&ca.value, "collector's authority");
        }
        if let Access::File(log) = &settings.access {
            plan.append(&log.value);
        }
        if let Some(pages) = &settings.pages {
            // Read again at every reload.
            plan.read(&pages.value);
        }
        for rules in &settings.waf.rules {
            // And at every reload; a set-up may lie beside them.
            plan.read(&rules.value);
        }
        plan.firewall(&settings.waf);
        for watch in &settings.watch {
            // The whole folder, even a shared one: rotation puts another file under the name.
            // Journals are read by a helper that is not shut in.
            if let WatchedLog::File(file) = &watch.log
                && let Some(folder) = file.value.parent()
            {
                plan.read(folder);
            }
        }
        for listener in settings.listen.https.iter().chain(&settings.listen.http) {
            plan.listen(listener.value.port());
        }
        settings.metrics.iter().for_each(|metrics| plan.listen(metrics.value.port()));
        plan.keeping(settings);
        if let Ok(program) = std::env::current_exe() {
            // Its digest is recorded at the start and at every reload.
            plan.read(&program);
        }
        // What the host is, for the same record.
        plan.read(Path::new("/proc/sys/kernel/osrelease"));
        plan.read(Path::new("/proc/sys/kernel/random/boot_id"));
        plan
    }

    /// What is read beside the rules, at every reload and at every look at the feed.
    fn firewall(&mut self, waf: &Waf) {
        for custom in &waf.custom {
            self.read_again(&custom.file.value, "application's rules");
        }
        waf.tests.iter().for_each(|tests| self.read(&tests.value));
        let Some(feed) = &waf.feed else { return };
        feed.ca.iter().for_each(|ca| self.read(&ca.value));
        if let FeedSource::File(manifest) = &feed.source.value {
            // Beside it lie the files that it names.
            manifest.parent().into_iter().for_each(|folder| self.read(folder));
        }
    }

    /// Where ledger, records and objects are. The root key's seal is not among them: it is opened before.
    fn keeping(&mut self, settings: &Settings) {
        for place in [&settings.ledger.place.value, &settings.store.objects.value] {
            match place {
                Place::Folder(folder) if folder.starts_with(&settings.data.value) => {}
                Place::Folder(folder) => self.change(folder),
                Place::Bucket { .. } => {}
            }
        }
        for witness in &settings.ledger.witnesses {
            witness.value.ca.iter().for_each(|ca| self.read(ca));
        }
        for password in [&settings.store.password_file, &settings.store.counters_password_file].into_iter().flatten() {
            self.read(&password.value);
        }
        match &settings.store.database.value {
            Database::Sqlite(_) => {}
            Database::Postgres(_) => self.reach(Path::new(POSTGRES_REACH)),
        }
    }

    /// The file or everything below the folder may be read. Links are followed to where they lead now.
    pub(crate) fn read(&mut self, path: &Path) {
        self.open.insert((Grant::Read, path.to_owned()));
    }

    /// A file that a reload reads again. Its folder may be read, because editors and certificate tools replace a file
    /// rather than write into it, and a rule is for the file that was there. Where the path is a link, the folder that
    /// the link leads to may be read as well.
    ///
    /// A folder that belongs to the whole system (`/etc`, a home) is not opened for that: there it is the file alone.
    pub(crate) fn read_again(&mut self, path: &Path, what: &'static str) {
        self.again.insert(path.to_owned(), what);
        let target = path.canonicalize().ok();
        for path in [Some(path), target.as_deref()].into_iter().flatten() {
            match path.parent() {
                Some(folder) if !is_shared(folder) => self.read(folder),
                Some(folder) => {
                    self.read(path);
                    self.notes.push(format!(
                        "{what} `{}` lies in `{}`, which is not opened whole: if the file is replaced, a restart and not a \
                         reload takes it up. Give it a folder of its own",
                        path.display(),
                        folder.display()
                    ));
                }
                None => {}
            }
        }
    }

    /// The file may be appended to.
    pub(crate) fn append(&mut self, path: &Path) {
        self.open.insert((Grant::Append, path.to_owned()));
    }

    /// Everything below the folder may be made, read, changed and removed.
    pub(crate) fn change(&mut self, folder: &Path) {
        self.open.insert((Grant::Change, folder.to_owned()));
    }

    /// Unix sockets below the folder may be connected to.
    pub(crate) fn reach(&mut self, folder: &Path) {
        self.open.insert((Grant::Reach, folder.to_owned()));
    }

    /// The TCP port may be bound; 0 stands for any that the system chooses.
    pub(crate) fn listen(&mut self, port: u16) {
        self.listen.insert(port);
    }

    /// Whatever may be written below these is not to be trusted more than this process.
    pub(crate) fn changeable(&self) -> Vec<PathBuf> {
        let may_write = |grant: &Grant| matches!(grant, Grant::Change | Grant::Append);
        self.open.iter().filter(|(grant, _)| may_write(grant)).map(|(_, path)| path.clone()).collect()
    }

    pub(super) fn open(&self) -> impl Iterator<Item = (Grant, &Path)> {
        self.open.iter().map(|(grant, path)| (*grant, path.as_path()))
    }

    pub(super) fn listening(&self) -> Vec<u16> {
        self.listen.iter().copied().collect()
    }

    /// Whether a port is listed that only a privileged process may bind.
    pub(super) fn privileged_port(&self) -> bool {
        self.listen.range(1..PRIVILEGED_BELOW).next().is_some()
    }

    /// What is allowed and should be known.
    pub(super) fn notes(&self) -> Vec<String> {
        let changeable = self.open.iter().filter(|(grant, _)| *grant == Grant::Change).map(|(_, folder)| folder);
        let overlap = changeable.flat_map(|folder| {
            let inside = self.again.iter().filter(move |(file, _)| file.starts_with(folder));
            inside.map(move |(_, what)| {
                format!(
                    "the {what} lies in `{}`, which this process may change: move it out of there",
                    folder.display()
                )
            })
        });
        self.notes.iter().cloned().chain(overlap).collect()
    }

    /// Files that a reload would look for in vain, now that the process has no more rights than its user.
    pub(super) fn lost(&self) -> Vec<String> {
        let unreadable = |(path, what): (&PathBuf, &&str)| {
            let error = File::open(path).err()?;
            Some(format!("a reload cannot read the {what} `{}` any more: {error}", path.display()))
        };
        self.again.iter().filter_map(unreadable).collect()
    }
}

/// Whether a folder holds what is none of this deployment's business.
fn is_shared(folder: &Path) -> bool {
    SHARED.iter().any(|shared| folder == Path::new(shared)) || folder.parent() == Some(Path::new("/home"))
}

/// Below this port the kernel asks for CAP_NET_BIND_SERVICE, unless it is told otherwise.
const PRIVILEGED_BELOW: u16 = 1024;

const SHARED: [&str; 28] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/pki/tls/private",
    "/etc/ssl",
    "/etc/ssl/private",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/local/etc",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",
];

/// Files one by one where the folder holds secrets too; whole folders where all of it is public.
const MACHINE_READ: [&str; 39] = [
    // Names: glibc and musl read these for each look-up.
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    // Where `resolv.conf` often leads; replaced in place by those who own it.
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/systemd/resolve",
    // Modules of the name service, which glibc loads when it first looks something up.
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    // Authorities that the machine trusts.
    "/etc/ca-certificates",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
    "/var/lib/ca-certificates",
    // Time zones.
    "/etc/localtime",
    "/usr/share/zoneinfo",
    // Randomness, where the kernel has no call for it.
    "/dev/random",
    "/dev/urandom",
    // How many processors and how much memory there is: the allocator, the default number of workers.
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
];

/// Where the packages of PostgreSQL put its Unix sockets.
const POSTGRES_REACH: &str = "/run/postgresql";

/// Whoever answers look-ups of names over a Unix socket.
const MACHINE_REACH: [&str; 3] = ["/run/nscd", "/run/systemd/resolve", "/var/run/nscd"];

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(path: &Path) -> Vec<PathBuf> {
        let mut plan = Plan::default();
        plan.read_again(path, "policy");
        plan.open.into_iter().map(|(_, path)| path).collect()
    }

    #[test]
    fn a_file_of_a_deployment_opens_its_folder_and_one_in_a_system_folder_only_itself() {
        assert_eq!(readable(Path::new("/etc/reeve/policy.toml")), [PathBuf::from("/etc/reeve")]);
        assert_eq!(readable(Path::new("/etc/reeve-policy.toml")), [PathBuf::from("/etc/reeve-policy.toml")]);
        assert_eq!(readable(Path::new("/home/ada/policy.toml")), [PathBuf::from("/home/ada/policy.toml")]);
        assert_eq!(readable(Path::new("/home/ada/site/policy.toml")), [PathBuf::from("/home/ada/site")]);
    }

    #[test]
    fn a_link_opens_the_folder_that_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["live", "archive"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        std::fs::write(root.join("archive/cert1.pem"), "").unwrap();
        std::os::unix::fs::symlink("../archive/cert1.pem", root.join("live/cert.pem")).unwrap();
        assert_eq!(readable(&root.join("live/cert.pem")), [root.join("archive"), root.join("live")]);
    }

    #[test]
    fn a_policy_that_the_process_could_change_is_noted() {
        let mut plan = Plan::default();
        plan.change(Path::new("/srv/site"));
        plan.read_again(Path::new("/srv/site/policy.toml"), "policy");
        assert!(plan.notes().iter().any(|note| note.contains("may change")), "{:?}", plan.notes());
        let mut plan = Plan::default();
        plan.change(Path::new("/srv/site/data"));
        plan.read_again(Path::new("/srv/site/policy.toml"), "policy");
        assert_eq!(plan.notes(), Vec::<String>::new());
    }

    #[test]
    fn only_ports_below_1024_need_a_capability() {
        let needs = |port| {
            let mut plan = Plan::default();
            plan.listen(port);
            plan.privileged_port()
        };
        assert_eq!([0, 1, 1023, 1024, 8443].map(needs), [false, true, true, false, false]);
    }
}
