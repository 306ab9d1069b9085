//! From what the settings say to what is open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reeve_base::{Clock, Entropy, Sealer, Secret};
use reeve_ledger::witness::Cosigner;
use reeve_ledger::{Ledger, Retention};
use reeve_store::{CounterPlace, ObjectPlace, Server, Store};
use reeve_vault::{CreateError, FileError, NewSeal, OpenError, PassphraseCost, Unlock, Vault};

use super::Kept;
use crate::environment;
use crate::failure::Advise;
use crate::settings::{Counters, Database, Place, Seal, StoreSettings, Witness};
use crate::terminal;
use crate::witnessing::HttpWitness;

/// Opens the keys, or makes them where there are none yet.
pub(super) fn vault_or_new(kept: &Kept, clock: &dyn Clock, entropy: Arc<dyn Entropy>) -> anyhow::Result<Vault> {
    let folder = keys_folder(&kept.data);
    if advise(Vault::exists(&folder), FileError::remedy)? {
        return open_vault(&kept.data, &kept.seal, entropy);
    }
    let seal = match &kept.seal {
        Seal::File(path) => NewSeal::File(path.value.clone()),
        Seal::Passphrase(file) => NewSeal::Passphrase {
            passphrase: passphrase(file.as_ref().map(|file| file.value.as_path()))?,
            cost: PassphraseCost::RECOMMENDED,
        },
    };
    advise(Vault::create(&folder, vec![seal], entropy, clock.now()), CreateError::remedy)
}

/// Opens the keys that are there.
///
/// # Errors
/// With the way in which the ring or the seal is lost, wrong or altered.
pub(crate) fn open_vault(data: &Path, seal: &Seal, entropy: Arc<dyn Entropy>) -> anyhow::Result<Vault> {
    let unlock = match seal {
        Seal::File(path) => Unlock::File(path.value.clone()),
        Seal::Passphrase(file) => Unlock::Passphrase(passphrase(file.as_ref().map(|file| file.value.as_path()))?),
    };
    advise(Vault::open(&keys_folder(data), unlock, entropy), OpenError::remedy)
}

/// The folder of the keys in a data folder.
fn keys_folder(data: &Path) -> PathBuf {
    data.join("keys")
}

/// The passphrase that opens: from the file that the settings or the environment name, or asked for.
fn passphrase(file: Option<&Path>) -> anyhow::Result<Secret<String>> {
    let variable = std::env::var_os(environment::PASSPHRASE_FILE.name).map(PathBuf::from);
    match file.map(Path::to_owned).or(variable) {
        Some(path) => passphrase_from(&path),
        None => advise(terminal::ask_passphrase("passphrase of the keys: "), |error| {
            error.remedy("name a file with it: `file` in [keys], or REEVE_PASSPHRASE_FILE")
        }),
    }
}

/// The passphrase in a file, without the line end.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn passphrase_from(path: &Path) -> anyhow::Result<Secret<String>> {
    let text = std::fs::read_to_string(path).map(Secret::new);
    let text = text.with_context(|| format!("cannot read the passphrase from `{}`", path.display()))?;
    Ok(Secret::new(text.expose().trim_end_matches(['\n', '\r']).to_owned()))
}

/// An error of the vault with its remedy as the hint.
///
/// # Errors
/// The same error.
pub(crate) fn advise<T, E>(outcome: Result<T, E>, remedy: impl FnOnce(&E) -> String) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    outcome.or_else(|error| {
        let hint = remedy(&error);
        Err(error).hint(hint)
    })
}

pub(super) async fn ledger(
    kept: &Kept,
    sealer: &Arc<dyn Sealer>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<Ledger> {
    let tools = reeve_ledger::Tools {
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
        sealer: Arc::clone(sealer),
        cosigners: kept.ledger.witnesses.iter().map(|witness| cosigner(&witness.value)).collect::<Result<_, _>>()?,
    };
    let settings = ledger_settings(kept);
    // It asks the witnesses what they know of this log, and waits for their answers.
    let opened = tokio::task::spawn_blocking(move || Ledger::open(settings, tools)).await?;
    opened.context("cannot open the ledger")
}

fn cosigner(witness: &Witness) -> anyhow::Result<Arc<dyn Cosigner>> {
    let key = witness.key.parse().with_context(|| format!("`{}` is no verifier key of a witness", witness.key))?;
    let url = witness.url.parse().with_context(|| format!("`{}` is no address of a witness", witness.url))?;
    Ok(Arc::new(HttpWitness::new(key, &url, witness.ca.as_deref())?))
}

/// What the ledger is told.
pub(crate) fn ledger_settings(kept: &Kept) -> reeve_ledger::Settings {
    let origin = kept.ledger.origin.as_ref().map_or_else(|| kept.origin.clone(), |origin| origin.value.clone());
    let mut settings =
        reeve_ledger::Settings::new(origin, ledger_place(&kept.ledger.place.value), kept.data.join("wal"));
    settings.retention = Retention { requests_days: kept.request_days, ..Retention::default() };
    settings.witness_quorum = kept.ledger.witnesses.len();
    settings
}

fn ledger_place(place: &Place) -> reeve_ledger::Place {
    match place {
        Place::Folder(folder) => reeve_ledger::Place::Folder(folder.clone()),
        Place::Bucket { name, prefix, endpoint } => reeve_ledger::Place::Bucket(reeve_ledger::Bucket {
            name: name.clone(),
            prefix: prefix.clone(),
            endpoint: endpoint.clone(),
            region: None,
            patience: BUCKET_PATIENCE,
        }),
    }
}

pub(super) async fn store(
    kept: &Kept,
    sealer: &Arc<dyn Sealer>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<Store> {
    let settings = store_settings(&kept.store)?;
    let tools =
        reeve_store::Tools { sealer: Arc::clone(sealer), clock: Arc::clone(clock), entropy: Arc::clone(entropy) };
    Store::open(settings, tools).await.context("cannot open the store")
}

/// What the store is told.
///
/// # Errors
/// When a password cannot be read, or an address means nothing to its driver.
pub(crate) fn store_settings(store: &StoreSettings) -> anyhow::Result<reeve_store::Settings> {
    let password = match &store.password_file {
        None => None,
        Some(path) => Some(passphrase_from(&path.value)?),
    };
    let database = match &store.database.value {
        Database::Sqlite(path) => reeve_store::Database::Sqlite(path.clone()),
        Database::Postgres(url) => reeve_store::Database::Postgres(Server::new(url, password.as_ref())?),
    };
    let counters = match &store.counters.value {
        Counters::Memory => CounterPlace::Memory,
        Counters::Redis(url) => {
            let file = store.counters_password_file.as_ref();
            let password = file.map(|path| passphrase_from(&path.value)).transpose()?;
            CounterPlace::Redis { url: url.clone(), password }
        }
    };
    Ok(reeve_store::Settings {
        database,
        counters,
        objects: object_place(&store.objects.value)?,
        namespace: String::from("reeve"),
    })
}

fn object_place(place: &Place) -> anyhow::Result<ObjectPlace> {
    let variable =
        |name: &str| std::env::var(name).with_context(|| format!("{name} is not set, and a bucket needs it"));
    Ok(match place {
        Place::Folder(folder) => ObjectPlace::Folder(folder.clone()),
        Place::Bucket { name, endpoint, .. } => ObjectPlace::Bucket(reeve_store::Bucket {
            name: name.clone(),
            region: std::env::var("AWS_REGION").unwrap_or_else(|_| String::from("us-east-1")),
            endpoint: endpoint.clone(),
            key_id: variable("AWS_ACCESS_KEY_ID")?,
            key_secret: Secret::new(variable("AWS_SECRET_ACCESS_KEY")?),
        }),
    })
}

const BUCKET_PATIENCE: Duration = Duration::from_secs(30);
