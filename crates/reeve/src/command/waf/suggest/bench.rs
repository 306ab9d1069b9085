//! The rules of this deployment in this process, with what its settings leave out already.

use reeve_base::Timestamp;
use reeve_edge::Exclude;
use reeve_waf::trial::{self, Replayed};
use reeve_waf::{Engine, Exclusion};

/// What requests are tried on.
pub(super) struct Bench {
    pub(super) engine: Engine,
    /// What the settings leave out.
    present: Vec<(Exclude, Exclusion)>,
    pub(super) now: Timestamp,
}

impl Bench {
    pub(super) fn new(engine: Engine, exclude: &[Exclude], now: Timestamp) -> Self {
        let mut bench = Self { engine, present: Vec::new(), now };
        bench.present = bench.compiled(exclude);
        bench
    }

    /// Tries a request, with what the settings leave out and with this beside it.
    ///
    /// # Errors
    /// When the bytes are no request.
    pub(super) fn replay(&self, raw: &[u8], more: &[Exclude]) -> Result<Replayed, String> {
        let more = self.compiled(more);
        trial::replay(&self.engine, raw, self.now.as_second(), |method, path| {
            let all = self.present.iter().chain(&more);
            all.filter(|(exclude, _)| exclude.covers(method, path, self.now)).map(|(_, one)| one.clone()).collect()
        })
    }

    /// As it is written into a proposal: such that the rule looks at it.
    pub(super) fn looks_at(&self, rule: u32, variable: &str) -> bool {
        self.engine.looks_at(rule, variable)
    }

    /// Those that can be: what cannot leaves nothing out.
    fn compiled(&self, exclude: &[Exclude]) -> Vec<(Exclude, Exclusion)> {
        let compile = |one: &Exclude| Some((one.clone(), self.engine.exclusion(&one.rules, one.part()).ok()?));
        exclude.iter().filter_map(compile).collect()
    }
}
