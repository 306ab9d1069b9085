//! The folder or the bucket.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::ObjectError;
use crate::settings::{Bucket, ObjectPlace};

/// Opens it; with what it is called in messages.
pub(super) fn open(settings: ObjectPlace) -> Result<(Arc<dyn ObjectStore>, String), ObjectError> {
    match settings {
        ObjectPlace::Folder(path) => {
            let shown = path.display().to_string();
            let opened = folder(&path).map_err(|cause| ObjectError::Unreachable { place: shown.clone(), cause })?;
            Ok((Arc::new(opened), shown))
        }
        ObjectPlace::Bucket(settings) => {
            let shown = format!("s3://{}", settings.name);
            let opened = bucket(&settings).map_err(|cause| ObjectError::Unreachable { place: shown.clone(), cause })?;
            Ok((Arc::new(opened), shown))
        }
    }
}

fn folder(path: &Path) -> Result<LocalFileSystem, String> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|cause| cause.to_string())?;
    let opened = LocalFileSystem::new_with_prefix(path).map_err(|cause| cause.to_string())?;
    // What was finished is on the disk, like a record that was put.
    Ok(opened.with_fsync(true))
}

fn bucket(settings: &Bucket) -> Result<object_store::aws::AmazonS3, String> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&settings.name)
        .with_region(&settings.region)
        .with_access_key_id(&settings.key_id)
        .with_secret_access_key(settings.key_secret.expose())
        .with_retry(RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: PATIENCE });
    let mut client = ClientOptions::new().with_connect_timeout(CONNECT).with_timeout(PATIENCE);
    if let Some(endpoint) = &settings.endpoint {
        let url = url::Url::parse(endpoint).map_err(|_| String::from("its endpoint is no URL"))?;
        if url.scheme() == "http" {
            if !is_this_machine(&url) {
                return Err(String::from("its endpoint is not on this machine and must begin with `https://`"));
            }
            client = client.with_allow_http(true);
        }
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    builder.with_client_options(client).build().map_err(|cause| cause.to_string())
}

fn is_this_machine(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

const CONNECT: Duration = Duration::from_secs(5);

/// For one request with all its tries.
const PATIENCE: Duration = Duration::from_secs(30);

const RETRIES: usize = 3;
