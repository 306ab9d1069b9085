//! A bucket that speaks S3. Nothing is overwritten but under a condition: `If-None-Match: *` for what is new,
//! `If-Match` for what is replaced.
//!
//! The client library is asynchronous. It runs on a thread of the shelf's own, and whoever calls the shelf waits for
//! that thread: so the ledger's threads need no runtime, and a caller that has one cannot get into it twice.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::mpsc;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, RetryConfig,
    UpdateVersion,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::{Object, Shelf, ShelfError, Version};
use crate::settings::Bucket;

/// A bucket, or the part of one under a prefix.
pub(crate) struct BucketShelf {
    store: std::sync::Arc<AmazonS3>,
    prefix: String,
    name: String,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl BucketShelf {
    pub(crate) fn open(settings: &Bucket) -> Result<Self, ShelfError> {
        let unusable = |cause: String| ShelfError::BucketSettings { name: settings.name.clone(), cause };
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: usize::MAX,
            retry_timeout: settings.patience,
        };
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(&settings.name).with_retry(retry);
        if let Some(region) = &settings.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(is_loopback(endpoint));
        }
        let store = builder.build().map_err(|error| unusable(error.to_string()))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ledger-bucket")
            .enable_all()
            .build()
            .map_err(|error| unusable(format!("no thread can be started for it: {error}")))?;
        let slash = if settings.prefix.is_empty() { "" } else { "/" };
        Ok(Self {
            store: std::sync::Arc::new(store),
            prefix: format!("{}{slash}", settings.prefix),
            name: format!("`s3://{}{slash}{}`", settings.name, settings.prefix),
            runtime: Some(runtime),
        })
    }

    /// Runs a request on the shelf's thread and waits for it.
    fn wait<T: Send + 'static>(&self, request: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        // The receiver waits below; that it is gone would mean that this thread is.
        self.runtime.as_ref()?.spawn(async move { drop(answer.send(request.await)) });
        answered.recv().ok()
    }

    fn key(&self, path: &str) -> Path {
        Path::from(format!("{}{path}", self.prefix))
    }

    fn failed(&self, doing: &'static str, path: &str, cause: impl fmt::Display) -> ShelfError {
        ShelfError::Bucket { doing, path: path.to_owned(), bucket: self.name.clone(), cause: cause.to_string() }
    }

    /// Writes under a condition. `Ok(None)` if the condition did not hold.
    fn write(&self, path: &str, mode: PutMode, bytes: &[u8]) -> Result<Option<PutResult>, ShelfError> {
        let (store, key, bytes) = (std::sync::Arc::clone(&self.store), self.key(path), Bytes::copy_from_slice(bytes));
        let written = self.wait(async move { put(&store, &key, mode, bytes).await });
        match written {
            Some(Ok(result)) => Ok(Some(result)),
            Some(Err(Error::AlreadyExists { .. } | Error::Precondition { .. })) => Ok(None),
            Some(Err(error)) => Err(self.failed("write", path, error)),
            None => Err(self.failed("write", path, GONE)),
        }
    }

    /// Replaces what a crash or a displaced writer left under a name that is ours now.
    fn replace(&self, object: &Object) -> Result<(), ShelfError> {
        for _ in 0..REPLACE_MAX {
            let written = match self.versioned(&object.path)? {
                Some((found, _)) if found == object.bytes => return Ok(()),
                Some((_, version)) => self.write(&object.path, PutMode::Update(version.into()), &object.bytes)?,
                None => self.write(&object.path, PutMode::Create, &object.bytes)?,
            };
            if written.is_some() {
                return Ok(());
            }
        }
        Err(ShelfError::Changed { path: object.path.clone(), place: self.name.clone() })
    }
}

impl Shelf for BucketShelf {
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, ShelfError> {
        Ok(self.versioned(path)?.map(|(bytes, _)| bytes))
    }

    fn put(&self, objects: &[Object]) -> Result<(), ShelfError> {
        for some in objects.chunks(PARALLEL) {
            let mut there = Vec::new();
            let mut requests = JoinSet::new();
            let (store, jobs): (_, Vec<_>) = (
                std::sync::Arc::clone(&self.store),
                some.iter()
                    .enumerate()
                    .map(|(at, it)| (at, self.key(&it.path), Bytes::copy_from_slice(&it.bytes)))
                    .collect(),
            );
            let outcomes = self.wait(async move {
                for (at, key, bytes) in jobs {
                    let store = std::sync::Arc::clone(&store);
                    requests.spawn(async move { (at, put(&store, &key, PutMode::Create, bytes).await) });
                }
                requests.join_all().await
            });
            for (at, outcome) in outcomes.ok_or_else(|| self.failed("write", "", GONE))? {
                let Some(object) = some.get(at) else { continue };
                match outcome {
                    Ok(_) => {}
                    Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => there.push(object),
                    Err(error) => return Err(self.failed("write", &object.path, error)),
                }
            }
            there.into_iter().try_for_each(|object| self.replace(object))?;
        }
        Ok(())
    }

    fn versioned(&self, path: &str) -> Result<Option<(Vec<u8>, Version)>, ShelfError> {
        let (store, key) = (std::sync::Arc::clone(&self.store), self.key(path));
        let read = self.wait(async move {
            let found = store.get(&key).await?;
            let tag = found.meta.e_tag.clone();
            Ok((tag, found.bytes().await?))
        });
        match read {
            Some(Ok((Some(tag), bytes))) => Ok(Some((bytes.into(), Version(tag)))),
            Some(Ok((None, _))) => Err(self.failed("read", path, "it came without an entity tag (ETag)")),
            Some(Err(Error::NotFound { .. })) => Ok(None),
            Some(Err(error)) => Err(self.failed("read", path, error)),
            None => Err(self.failed("read", path, GONE)),
        }
    }

    fn swap(&self, path: &str, seen: Option<&Version>, bytes: &[u8]) -> Result<Version, ShelfError> {
        let mode = seen.map_or(PutMode::Create, |version| PutMode::Update(version.clone().into()));
        let place = || self.name.clone();
        if self.write(path, mode, bytes)?.is_none() {
            return Err(ShelfError::Changed { path: path.to_owned(), place: place() });
        }
        match self.versioned(path)? {
            Some((found, version)) if found == bytes => Ok(version),
            _ => Err(ShelfError::Lied { path: path.to_owned(), place: place() }),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ShelfError> {
        let (store, key) = (std::sync::Arc::clone(&self.store), self.key(folder));
        let listed = self.wait(async move { store.list_with_delimiter(Some(&key)).await });
        let listed = match listed {
            Some(Ok(listed)) => listed,
            Some(Err(error)) => return Err(self.failed("list", folder, error)),
            None => return Err(self.failed("list", folder, GONE)),
        };
        let folders = listed.common_prefixes.iter().filter_map(|path| Some(format!("{}/", path.filename()?)));
        let files = listed.objects.iter().filter_map(|object| object.location.filename().map(str::to_owned));
        let mut names: Vec<String> = folders.chain(files).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, paths: &[String]) -> Result<(), ShelfError> {
        for path in paths {
            let (store, key) = (std::sync::Arc::clone(&self.store), self.key(path));
            match self.wait(async move { store.delete(&key).await }) {
                Some(Ok(()) | Err(Error::NotFound { .. })) => {}
                Some(Err(error)) => return Err(self.failed("remove", path, error)),
                None => return Err(self.failed("remove", path, GONE)),
            }
        }
        Ok(())
    }

    /// A bucket cannot be told to overwrite. Where it keeps old versions, they must be set to expire.
    fn destroy(&self, path: &str) -> Result<(), ShelfError> {
        self.remove(&[path.to_owned()])
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

async fn put(store: &AmazonS3, key: &Path, mode: PutMode, bytes: Bytes) -> object_store::Result<PutResult> {
    store.put_opts(key, PutPayload::from_bytes(bytes), PutOptions::from(mode)).await
}

/// Whether an endpoint is on this machine, where plain HTTP leaves nothing to overhear.
fn is_loopback(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl From<Version> for UpdateVersion {
    fn from(version: Version) -> Self {
        Self { e_tag: Some(version.0), version: None }
    }
}

impl Drop for BucketShelf {
    fn drop(&mut self) {
        // The ordinary drop waits, which is forbidden (by a panic) where a runtime's task drops the last reader.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for BucketShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketShelf({})", self.name)
    }
}

/// How many objects are on their way at once.
const PARALLEL: usize = 16;

/// How often an object that changes between reading and writing is tried.
const REPLACE_MAX: usize = 3;

const GONE: &str = "the request broke off";
