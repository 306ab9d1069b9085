//! Whether the server is there, and who else counts in it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Script};
use tokio::time::timeout;

use super::script::BEAT;
use super::{COUNT_MAX, Doubt, Inner, said};

impl Inner {
    /// Connects, and counts together from then on if the server does all that is needed, in time.
    pub(super) async fn connect(&self) -> Result<(), String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(CONNECT_MAX));
        let connecting = self.plan.client.get_multiplexed_async_connection_with_config(&config);
        let connected = timeout(CONNECT_MAX, connecting).await;
        let mut connection = match connected {
            Ok(connected) => connected.map_err(|error| said(&error))?,
            Err(_) => return Err(format!("no connection within {CONNECT_MAX:?}")),
        };
        self.beat(&mut connection).await?;
        self.unite(connection);
        Ok(())
    }

    /// Tells the server that this node is there, and takes note of the others and of what the server has forgotten.
    pub(super) async fn beat(&self, connection: &mut MultiplexedConnection) -> Result<(), String> {
        let (script, namespace) = (Script::new(BEAT), &self.plan.namespace);
        let mut invocation = script.prepare_invoke();
        invocation.key(format!("{namespace}:rates:nodes")).key(format!("{namespace}:rates:memory"));
        let gone = u64::try_from(GONE_AFTER.as_millis()).unwrap_or(u64::MAX);
        // One that no memory ever had: the node is drawn at its start.
        let name = format!("{} {}", self.plan.node, self.beats.fetch_add(1, Ordering::Relaxed));
        invocation.arg(&self.plan.node).arg(gone).arg(name);
        let answered = timeout(COUNT_MAX, invocation.invoke_async::<(u32, String, u32)>(connection)).await;
        let (nodes, memory, damaged) = match answered {
            Ok(answered) => answered.map_err(|error| said(&error))?,
            Err(_) => return Err(format!("no answer within {COUNT_MAX:?}")),
        };
        self.nodes.store(nodes.clamp(1, NODES_MAX), Ordering::Relaxed);
        if damaged > 0 {
            self.doubt(Doubt::Damaged);
        }
        let before = self.trouble().memory.replace(memory.clone());
        if before.is_some_and(|before| before != memory) {
            self.doubt(Doubt::Forgotten);
        }
        Ok(())
    }

    /// Says goodbye, so that the others need not wait for it to be missed.
    pub(super) async fn leave(&self) {
        let Some(link) = self.link.swap(None) else { return };
        let mut goodbye = redis::cmd("ZREM");
        goodbye.arg(format!("{}:rates:nodes", self.plan.namespace)).arg(&self.plan.node);
        // If it is not heard, it is missed after a while.
        let _ = timeout(COUNT_MAX, goodbye.exec_async(&mut (*link).clone())).await;
    }
}

const CONNECT_MAX: Duration = Duration::from_secs(1);

/// When a node that is not heard of counts as gone.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// More nodes than anybody has; a share is no smaller than this makes it.
const NODES_MAX: u32 = 1_000;
