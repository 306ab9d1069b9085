//! Counters that forget: how often something happened within a window of time.
//!
//! A window begins with the first count and ends after its length, whatever was counted in between (a fixed window). In
//! memory or in Valkey/Redis a counter stands under a keyed hash of what it counts, so that neither an address nor an
//! account can be read there.

mod memory;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use reeve_base::{Secret, Ticks};

use crate::link::hexadecimal;
use crate::names::Names;
use crate::settings::CounterPlace;
use crate::shared_rates::CommonRates;
use crate::store::Tools;

use memory::Memory;
use redis::Redis;

/// The counters of the installation.
pub struct Counters {
    place: Place,
    names: Names,
    tools: Tools,
}

enum Place {
    Memory(Box<Memory>),
    Redis(Box<Redis>),
}

/// Why a count is not known. Whoever counts to refuse must refuse now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CounterError {
    /// No connection, no answer in time.
    #[error("the counters at `{place}` cannot be reached: {cause}; the next count tries again")]
    Unreachable {
        /// The server, without a password.
        place: String,
        /// What the system said.
        cause: String,
    },
    /// The server answers with an error: a wrong password, no memory, a replica.
    #[error("the counters at `{place}` refuse: {cause}; check user, password and the server's log")]
    Refused {
        /// The server, without a password.
        place: String,
        /// What the server said.
        cause: String,
    },
    /// The settings.
    #[error("`counters` cannot be used: {0}; write `redis://HOST:PORT` and the password into a file of its own")]
    Settings(String),
}

impl Counters {
    pub(crate) async fn open(
        place: CounterPlace,
        namespace: &str,
        names: Names,
        tools: &Tools,
    ) -> Result<Self, CounterError> {
        let place = match place {
            CounterPlace::Memory => Place::Memory(Box::default()),
            CounterPlace::Redis { url, password } => {
                let password: Option<&Secret<String>> = password.as_ref();
                Place::Redis(Box::new(Redis::open(&url, password, namespace).await?))
            }
        };
        Ok(Self { place, names, tools: tools.clone() })
    }

    /// Adds to the counter of `of` among those called `name`; what it stands at now. The first count sets the end of
    /// its window. All of it is one step: of two that count at once, one sees the other.
    ///
    /// # Errors
    /// [`CounterError`].
    pub async fn add(&self, name: &'static str, of: &str, amount: u32, window: Duration) -> Result<u64, CounterError> {
        let key = self.names.counter(name, of);
        match &self.place {
            Place::Memory(memory) => Ok(memory.add(&key, amount, window, self.ticks())),
            Place::Redis(redis) => redis.add(&hexadecimal(&key), amount, window).await,
        }
    }

    /// What the counter stands at; 0 outside any window.
    ///
    /// # Errors
    /// [`CounterError`].
    pub async fn read(&self, name: &'static str, of: &str) -> Result<u64, CounterError> {
        let key = self.names.counter(name, of);
        match &self.place {
            Place::Memory(memory) => Ok(memory.read(&key, self.ticks())),
            Place::Redis(redis) => redis.read(&hexadecimal(&key)).await,
        }
    }

    /// Counts limits on rates where these counters are, together with every other process that does; none if that is
    /// in this process alone. It has a thread of its own, which ends with it.
    ///
    /// # Errors
    /// When the system gives no randomness or no thread. That the server is not there is none: see [`CommonRates`].
    pub fn rates(&self) -> std::io::Result<Option<CommonRates>> {
        let Place::Redis(redis) = &self.place else { return Ok(None) };
        let mut chance = [0; 16];
        self.tools.entropy.fill(&mut chance).map_err(std::io::Error::other)?;
        let plan = redis.rates(self.names.clone(), Arc::clone(&self.tools.clock), hexadecimal(&chance));
        CommonRates::start(plan).map(Some)
    }

    fn ticks(&self) -> Ticks {
        self.tools.clock.ticks()
    }
}
