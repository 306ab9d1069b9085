//! Counters in Valkey or Redis, shared by every process that names the same server and namespace.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError, Script};
use reeve_base::{Clock, Secret};

use super::CounterError;
use crate::names::Names;
use crate::shared_rates::Plan;

/// A server.
pub(super) struct Redis {
    client: Client,
    connection: ConnectionManager,
    add: Script,
    prefix: String,
    namespace: String,
    shown: String,
}

impl Redis {
    pub(super) async fn open(
        url: &str,
        password: Option<&Secret<String>>,
        namespace: &str,
    ) -> Result<Self, CounterError> {
        // The driver's message may repeat the URL, which may hold what it should not.
        let unreadable = |_: RedisError| CounterError::Settings(String::from("it is no URL of a Redis server"));
        let mut info = url.into_connection_info().map_err(unreadable)?;
        if info.redis_settings().password().is_some() {
            return Err(CounterError::Settings(String::from("the URL holds a password")));
        }
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            let cause = "this build speaks no TLS to Redis; let a tunnel on this machine do it, or use a unix socket";
            return Err(CounterError::Settings(String::from(cause)));
        }
        let shown = format!("redis://{}", info.addr());
        if let Some(password) = password {
            let settings = info.redis_settings().clone().set_password(password.expose());
            info = info.set_redis_settings(settings);
        }
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_max_delay(PATIENCE)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = Client::open(info).map_err(|error| failed(&shown, &error))?;
        let connection = ConnectionManager::new_with_config(client.clone(), config).await;
        let mut connection = connection.map_err(|error| failed(&shown, &error))?;
        // To be connected is not yet to be let in.
        let let_in = redis::cmd("PING").exec_async(&mut connection).await;
        let_in.map_err(|error| failed(&shown, &error))?;
        let (prefix, namespace) = (format!("{namespace}:counter:"), namespace.to_owned());
        Ok(Self { client, connection, add: Script::new(ADD), prefix, namespace, shown })
    }

    /// What a node needs to count rates on the same server, over a connection of its own.
    pub(super) fn rates(&self, names: Names, clock: Arc<dyn Clock>, node: String) -> Plan {
        let (client, shown, namespace) = (self.client.clone(), self.shown.clone(), self.namespace.clone());
        Plan { client, shown, namespace, names, clock, node }
    }

    pub(super) async fn add(&self, key: &str, amount: u32, window: Duration) -> Result<u64, CounterError> {
        // A window of nothing would never end.
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).clamp(1, WINDOW_MILLISECONDS_MAX);
        let mut invocation = self.add.prepare_invoke();
        invocation.key(format!("{}{key}", self.prefix)).arg(amount).arg(window);
        let added = invocation.invoke_async(&mut self.connection.clone()).await;
        added.map_err(|error| failed(&self.shown, &error))
    }

    pub(super) async fn read(&self, key: &str) -> Result<u64, CounterError> {
        let found: Result<Option<u64>, _> = self.connection.clone().get(format!("{}{key}", self.prefix)).await;
        Ok(found.map_err(|error| failed(&self.shown, &error))?.unwrap_or_default())
    }
}

fn failed(place: &str, error: &RedisError) -> CounterError {
    let place = place.to_owned();
    let cause = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::AuthenticationFailed | ErrorKind::Extension => {
            CounterError::Refused { place, cause }
        }
        _ => CounterError::Unreachable { place, cause },
    }
}

/// Counts, and sets the end of the window with the first count. A counter without an end (somebody removed it) gets one.
const ADD: &str = "
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return count";

/// How long a count may keep a request waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// A thousand years; the server computes ends as signed 64-bit numbers and refuses greater ones.
const WINDOW_MILLISECONDS_MAX: u64 = 1_000 * 366 * 24 * 60 * 60 * 1_000;
