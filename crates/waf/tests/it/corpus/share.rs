//! How much of what the Core Rule Set is tested with our own rules see: a figure, and no goal. They are not the same
//! rules, and the set's tests ask for its highest paranoia. Needs the folder that `REEVE_CRS` names.

use std::collections::BTreeMap;
use std::fs;

use reeve_waf::trial::{self, Bench, Outcome};
use reeve_waf::{Options, Scratch};

use super::wire::load;
use crate::conformance::test_files;
use crate::folder::core_rule_set;

#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS"]
fn share_of_foreign_attacks_that_is_refused() {
    let folder = core_rule_set();
    for paranoia in [1, 2] {
        let engine = load(paranoia, Options::default());
        let bench = Bench { engine: &engine, seconds: 1_750_000_000, overrides: None };
        let mut families: BTreeMap<String, [u32; 4]> = BTreeMap::new();
        let mut scratch = Scratch::default();
        for path in test_files(&folder.join("tests")) {
            let file = trial::read(&fs::read(&path).unwrap()).unwrap();
            for trial in &file.trials {
                let (Outcome::Passed(staged) | Outcome::Failed(staged)) = trial::run(&bench, trial, &mut scratch)
                else {
                    continue;
                };
                let refused = u32::from(matches!(staged.found.status, Some(400 | 403)));
                let counts = families.entry(trial.id.chars().take(3).collect()).or_default();
                let at = if staged.expected.ids.is_empty() { 2 } else { 0 };
                counts[at] += 1;
                counts[at + 1] += refused;
                if std::env::var_os("REEVE_CRS_LIST").is_some_and(|family| family.to_str() == trial.id.get(..3))
                    && (refused == 1) != (at == 0)
                {
                    println!("{} {}", trial.id, if at == 0 { "passed" } else { "refused" });
                }
            }
        }
        println!("paranoia {paranoia}");
        for (family, [attacks, refused, others, others_refused]) in families {
            println!("{family}: {refused} of {attacks} attacks, {others_refused} of {others} others refused");
        }
    }
}
