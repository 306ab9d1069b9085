//! Rules, compiled, and shared by all transactions.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory::Memory;
use crate::program::Program;
use crate::rule::{Disruption, EngineMode, Place};
use crate::seclang::{self, Fault, Source};
use crate::transaction::{Facts, Paused, Scratch, Transaction};
use crate::work::BUDGET_BYTES_DEFAULT;

/// How rules are compiled and run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Instead of what the rules' own SecRuleEngine says.
    pub mode: Option<EngineMode>,
    /// How many bytes rules may look at in one transaction, counted each time that one does. Past them the transaction is
    /// refused, whatever the mode.
    pub budget_bytes: u64,
    /// Whether values are looked at before patterns run. Off, every pattern runs: slower, and with the same findings.
    pub prefilter: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { mode: None, budget_bytes: BUDGET_BYTES_DEFAULT, prefilter: true }
    }
}

/// Rules, compiled.
#[derive(Debug)]
pub struct Engine {
    pub(crate) program: Program,
    pub(crate) options: Options,
    pub(crate) memory: Memory,
    /// No two engines of a process have the same; from 1.
    pub(crate) id: u64,
}

impl Engine {
    /// Loads rule files, in order, as if they were one.
    ///
    /// # Errors
    ///
    /// Every fault of them.
    pub fn load(files: &[&str], source: &dyn Source, options: Options) -> Result<Self, Vec<Fault>> {
        let program = Program::new(seclang::read(files, source)?)?;
        let id = ENGINES.fetch_add(1, Ordering::Relaxed);
        Ok(Self { program, options, memory: Memory::default(), id })
    }

    /// A new transaction.
    #[must_use]
    pub fn begin(&self, facts: &Facts<'_>, scratch: Scratch) -> Transaction<'_> {
        Transaction::new(self, facts, scratch)
    }

    /// What runs otherwise than the author of the rules may think.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.program.warnings
    }

    /// Why these rules refuse nothing, whatever they find; none if they do.
    #[must_use]
    pub fn disarmed(&self) -> &[Fault] {
        &self.program.disarmed.always
    }

    /// What makes them refuse nothing in some requests, or in answers.
    #[must_use]
    pub fn disarmed_sometimes(&self) -> &[Fault] {
        &self.program.disarmed.sometimes
    }

    /// Goes on with a transaction of this engine. One of another engine's would be judged by numbers that mean nothing.
    #[must_use]
    pub fn resume(&self, paused: Paused) -> Transaction<'_> {
        Transaction::resumed(self, paused)
    }

    /// What the rules call themselves (SecComponentSignature), such as `OWASP_CRS/4.28.0`; once for each that does.
    #[must_use]
    pub fn components(&self) -> &[String] {
        &self.program.settings.components
    }

    /// Rules that refuse by themselves what they match, and where they stand.
    pub fn refusing(&self) -> impl Iterator<Item = (u32, &Place)> {
        let refuses = |disruption: &Disruption| !matches!(disruption, Disruption::Pass | Disruption::Allow(_));
        self.program.all_rules().filter(move |rule| refuses(&rule.disruption)).map(|rule| (rule.id, &rule.place))
    }

    /// How many rules there are, chained ones counted once.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.program.rules
    }
}

/// How many engines there have been, and one.
static ENGINES: AtomicU64 = AtomicU64::new(1);
