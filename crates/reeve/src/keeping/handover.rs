//! Letting go of ledger and store, so that another process can open them, and taking them up again if it does not.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reeve_edge::Bans;
use reeve_ledger::Ledger;
use reeve_store::CommonRates;

use super::Keeping;
use super::bans::BanPost;
use super::lessons::LessonPost;
use super::payment::ScriptPost;
use crate::firewall::Firewall;

/// What outlives a keeping that was let go of: the gateway goes on using it.
pub(crate) struct Rest {
    bans: Arc<Bans>,
    firewall: Option<Arc<Firewall>>,
    ban_post: BanPost,
    rates: Option<CommonRates>,
    script_post: ScriptPost,
    lesson_post: LessonPost,
}

impl Rest {
    /// Another process cares for the kernel's copy of the bans from now on: ours is not taken away at the end.
    pub(crate) fn leave_firewall(&self) {
        if let Some(firewall) = &self.firewall {
            firewall.leave();
        }
    }
}

impl Keeping {
    /// Seals and closes everything. Gives what goes on.
    ///
    /// # Errors
    /// When somebody else still uses it.
    pub(crate) async fn let_go(self: Arc<Self>) -> anyhow::Result<Rest> {
        self.tell_bans().await;
        self.tell_scripts().await;
        self.keep_lessons().await;
        self.record_performance();
        let keeping = Arc::into_inner(self).context("somebody still uses ledger or store")?;
        let Self {
            ledger, store, requests, care, bans, mut firewall, ban_post, rates, script_post, lesson_post, ..
        } = keeping;
        drop((requests, care));
        store.close().await;
        // A worker may be about to hand over its last batch.
        let free = async {
            while Arc::strong_count(&ledger) > 1 {
                tokio::time::sleep(FREE_LOOK).await;
            }
        };
        if tokio::time::timeout(FREE_MAX, free).await.is_err() {
            tracing::error!("somebody still uses the ledger, which is being handed over");
        }
        if let Some(ledger) = Arc::into_inner(ledger)
            && let Err(error) = tokio::task::spawn_blocking(move || Ledger::close(ledger)).await?
        {
            // What could not be sealed now is sealed by whoever opens it next.
            tracing::warn!(%error, "the ledger did not end well");
        }
        let (ban_post, script_post) = (ban_post.into_inner(), script_post.into_inner());
        let lesson_post = lesson_post.into_inner();
        Ok(Rest { bans, firewall: firewall.take(), ban_post, rates, script_post, lesson_post })
    }

    /// The same, going on with what outlived another.
    pub(crate) fn with(mut self, rest: Rest) -> Self {
        self.bans = rest.bans;
        self.ban_post = rest.ban_post.into();
        self.script_post = rest.script_post.into();
        self.lesson_post = rest.lesson_post.into();
        // Its gateway counts with this connection for as long as it lives.
        self.rates = rest.rates;
        if let Some(firewall) = rest.firewall {
            // It is new, so there is none.
            let _ = self.firewall.set(firewall);
        }
        self
    }

    /// Tells the kernel all bans anew: somebody else has taken ours away.
    pub(crate) fn refill_firewall(&self) {
        if let Some(firewall) = self.firewall.get() {
            firewall.refill();
        }
    }
}

const FREE_LOOK: Duration = Duration::from_millis(5);
const FREE_MAX: Duration = Duration::from_secs(10);
