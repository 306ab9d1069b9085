//! Where things are kept and under which seal: `[keys]`, `[ledger]` and `[store]`.

use std::path::{Path, PathBuf};

use reeve_base::document::{Faults, Fields, FromValue, Kind, Mismatch, Table, Value};
use reeve_base::{Diagnostic, Span};

use super::Located;

/// What opens the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seal {
    /// A file that only its owner can read, outside the data folder.
    File(Located<PathBuf>),
    /// A passphrase: in a file that is named here, in the one that `REEVE_PASSPHRASE_FILE` names, or asked for.
    Passphrase(Option<Located<PathBuf>>),
}

/// Where something large is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an S3-compatible service; the credentials come from the AWS variables of the environment.
    Bucket {
        /// Its name.
        name: String,
        /// What every key in it begins with; may be empty.
        prefix: String,
        /// Another service than Amazon's own.
        endpoint: Option<String>,
    },
}

/// The ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerSettings {
    /// Its name for life; made from the first name of the site unless written.
    pub(crate) origin: Option<Located<String>>,
    /// Where its tiles and contents are.
    pub(crate) place: Located<Place>,
    /// Who cosigns its checkpoints.
    pub(crate) witnesses: Vec<Located<Witness>>,
}

/// A witness on another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Witness {
    /// Where it is asked: `https://witness.example.com:7300`.
    pub(crate) url: String,
    /// Its verifier key (C2SP signed-note).
    pub(crate) key: String,
    /// The authorities that its certificate is of, in PEM; those of the system unless given.
    pub(crate) ca: Option<PathBuf>,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreSettings {
    /// Where records are.
    pub(crate) database: Located<Database>,
    /// The file with the database's password.
    pub(crate) password_file: Option<Located<PathBuf>>,
    /// Where counters are.
    pub(crate) counters: Located<Counters>,
    /// The file with Redis' password.
    pub(crate) counters_password_file: Option<Located<PathBuf>>,
    /// Where objects are.
    pub(crate) objects: Located<Place>,
}

/// Where records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// In a file of the data folder.
    Sqlite(PathBuf),
    /// In PostgreSQL: `postgres://reeve@db.example.com/reeve`, without a password.
    Postgres(String),
}

/// Where counters are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Counters {
    /// In this process.
    Memory,
    /// In Valkey or Redis: `redis://127.0.0.1:6379`.
    Redis(String),
}

pub(super) fn read_keys(table: &Table, folder: &Path, data: &Path, faults: &mut Faults) -> Seal {
    let mut fields = Fields::new(table, "`[keys]`", faults);
    let seal = fields.optional::<Located<String>>("seal");
    let file = fields.optional::<Located<PathBuf>>("file").map(|path| path.map(|path| folder.join(path)));
    let seal = match seal {
        Some(seal) if seal.value == "passphrase" => Seal::Passphrase(file),
        seal => {
            if let Some(wrong) = seal.filter(|seal| seal.value != "file") {
                let fault = Diagnostic::error("document::wrong-value", format!("`{}` is no seal", wrong.value));
                fields.faults().push(fault.at(wrong.span, "this value").help("write \"file\" or \"passphrase\""));
            }
            Seal::File(file.unwrap_or_else(|| Located { value: beside(data, "seal"), span: 0..0 }))
        }
    };
    if let Seal::File(file) = &seal
        && file.value.starts_with(data)
    {
        let fault = Diagnostic::error("settings::seal-inside", "the seal lies in the data folder that it seals");
        let help = "a copy of the folder would hold lock and key; name a path outside it";
        fields.faults().push(fault.at(file.span.clone(), "this path").help(help));
    }
    fields.finish();
    seal
}

/// `reeve-data` → `reeve-data.seal`.
fn beside(data: &Path, extension: &str) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

pub(super) fn read_ledger(table: &Table, folder: &Path, data: &Path, faults: &mut Faults) -> LedgerSettings {
    let mut fields = Fields::new(table, "`[ledger]`", faults);
    let origin = fields.optional::<Located<String>>("origin");
    if let Some(wrong) = origin.as_ref().filter(|origin| !is_origin(&origin.value)) {
        let fault = Diagnostic::error("document::wrong-value", "`origin` is no name of a log");
        let help = "write a name without spaces or `+`, such as \"example.com/reeve\"";
        fields.faults().push(fault.at(wrong.span.clone(), "this value").help(help));
    }
    let endpoint = fields.optional("endpoint");
    let place = read_place(&mut fields, "storage", folder, data.join("ledger"), endpoint);
    let mut witnesses: Vec<Located<Witness>> = fields.optional("witnesses").unwrap_or_default();
    for witness in &mut witnesses {
        witness.value.ca = witness.value.ca.take().map(|ca| folder.join(ca));
    }
    fields.finish();
    LedgerSettings { origin, place, witnesses }
}

fn is_origin(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= ORIGIN_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+')
}

fn read_place(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    folder: &Path,
    otherwise: PathBuf,
    endpoint: Option<String>,
) -> Located<Place> {
    let Some(written) = fields.optional::<Located<String>>(key) else {
        return Located { value: Place::Folder(otherwise), span: 0..0 };
    };
    written.map(|text| match text.strip_prefix("s3://") {
        None => Place::Folder(folder.join(text)),
        Some(bucket) => {
            let (name, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
            Place::Bucket { name: name.to_owned(), prefix: prefix.trim_matches('/').to_owned(), endpoint }
        }
    })
}

pub(super) fn read_store(table: &Table, folder: &Path, data: &Path, faults: &mut Faults) -> StoreSettings {
    let mut fields = Fields::new(table, "`[store]`", faults);
    let database = fields.optional::<Located<String>>("database");
    let database = match database {
        None => Located { value: Database::Sqlite(data.join("store.db")), span: 0..0 },
        Some(written) => read_database(written, data, &mut fields),
    };
    let password_file = fields.optional::<Located<PathBuf>>("password_file");
    let password_file = password_file.map(|path| path.map(|path| folder.join(path)));
    let counters = fields.optional::<Located<String>>("counters");
    let counters = match counters {
        None => Located { value: Counters::Memory, span: 0..0 },
        Some(written) => read_counters(written, &mut fields),
    };
    let counters_password_file = fields.optional::<Located<PathBuf>>("counters_password_file");
    let counters_password_file = counters_password_file.map(|path| path.map(|path| folder.join(path)));
    let endpoint = fields.optional("endpoint");
    let objects = read_place(&mut fields, "objects", folder, data.join("objects"), endpoint);
    if let Place::Bucket { prefix, .. } = &objects.value
        && !prefix.is_empty()
    {
        let fault = Diagnostic::error("settings::bucket-prefix", "objects have no prefix that could be chosen");
        let help = "name the bucket alone, `s3://name`; every object in it begins with `reeve`";
        fields.faults().push(fault.at(objects.span.clone(), "this bucket").help(help));
    }
    fields.finish();
    StoreSettings { database, password_file, counters, counters_password_file, objects }
}

fn read_database(written: Located<String>, data: &Path, fields: &mut Fields<'_, '_>) -> Located<Database> {
    let span = written.span.clone();
    let url = written.value.as_str();
    let database = match url {
        "sqlite" => Some(Database::Sqlite(data.join("store.db"))),
        _ if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            refuse_credentials(url, &span, fields);
            Some(Database::Postgres(written.value.clone()))
        }
        _ => None,
    };
    let database = database.unwrap_or_else(|| {
        let fault = Diagnostic::error("document::wrong-value", format!("`{url}` is no database"));
        let help = "write \"sqlite\" or an address such as \"postgres://reeve@db.example.com/reeve\"";
        fields.faults().push(fault.at(span.clone(), "this value").help(help));
        Database::Sqlite(data.join("store.db"))
    });
    Located { value: database, span }
}

fn read_counters(written: Located<String>, fields: &mut Fields<'_, '_>) -> Located<Counters> {
    let span = written.span.clone();
    let url = written.value.as_str();
    let counters = match url {
        "memory" => Some(Counters::Memory),
        _ if url.starts_with("redis://") => {
            refuse_credentials(url, &span, fields);
            Some(Counters::Redis(written.value.clone()))
        }
        _ => None,
    };
    let counters = counters.unwrap_or_else(|| {
        let fault = Diagnostic::error("document::wrong-value", format!("`{url}` is no place for counters"));
        let help = "write \"memory\" or an address such as \"redis://127.0.0.1:6379\"";
        fields.faults().push(fault.at(span.clone(), "this value").help(help));
        Counters::Memory
    });
    Located { value: counters, span }
}

/// A password in an address: settings hold no secrets.
fn refuse_credentials(address: &str, span: &Span, fields: &mut Fields<'_, '_>) {
    let holds = url::Url::parse(address).is_ok_and(|url| url.password().is_some());
    if holds {
        let fault =
            Diagnostic::error("settings::credentials", "the address holds a password, and settings hold no secrets");
        fields
            .faults()
            .push(fault.at(span.clone(), "here").help("put it into a file of its own and name that: `password_file`"));
    }
}

impl FromValue for Witness {
    const EXPECTED: &'static str =
        "a table such as { url = \"https://witness.example.com:7300\", key = \"witness.example.com+1234abcd+AZ…\" }";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        let Kind::Table(table) = &value.kind else {
            return Err(Mismatch::kind(value, Self::EXPECTED, &value.kind));
        };
        let text = |key: &str| match table.entry(key).map(|entry| &entry.value.kind) {
            Some(Kind::Text(text)) => Ok(text.clone()),
            _ => Err(Mismatch::content(value, Self::EXPECTED, format!("has no `{key}`"))),
        };
        if let Some(unknown) = table.entries.iter().find(|entry| !matches!(entry.key.as_str(), "url" | "key" | "ca")) {
            return Err(Mismatch::content(value, Self::EXPECTED, format!("has a key `{}` too many", unknown.key)));
        }
        let ca = if table.entry("ca").is_some() { Some(PathBuf::from(text("ca")?)) } else { None };
        Ok(Self { url: text("url")?, key: text("key")?, ca })
    }
}

/// The name stands in every checkpoint and in every signature line.
const ORIGIN_BYTES_MAX: usize = 200;
