//! Rules of a scratch instance: those of its application's own, and a feed that says something newer than what runs.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use reeve_base::{Clock, Period, Secret};
use reeve_edge::{Canary, CustomRules, Gateway, WafSettings};
use reeve_ledger::proof::Signer;
use reeve_policy::catalogue::Controls;
use reeve_waf::OWN_RULES;

use crate::deployment::{custom_rules, rules_of};
use crate::feed::{Cabinet, FILES_FOLDER, Listed, Manifest};
use crate::keeping::{self, RulePlan};
use crate::settings::{Feed, FeedSource, Located, Waf};

use super::house::House;

/// What an instance is told of its rules.
pub(super) struct ScratchRules {
    pub(super) edge: WafSettings,
    plan: RulePlan,
}

impl ScratchRules {
    /// As these controls need them. What runs first of a feed is long out of date.
    pub(super) fn new(controls: &Controls, folder: &Path, data: &Path, clock: &dyn Clock) -> anyhow::Result<Self> {
        let mut waf = Waf::default();
        let mut brought = None;
        if controls.waf_rule_age.is_some() {
            let signer = Signer::from_seed("scratch/rules", &Secret::new([7; 32]))?;
            let cabinet = Cabinet::new(data, signer.verifier_key().clone());
            let (files, bytes) = (vec![listed()], vec![OWN_RULES.as_bytes().to_vec()]);
            let state = |serial, made: Timestamp| {
                let manifest = Manifest::new(serial, format!("scratch-{serial}"), made, files.clone());
                manifest.sign(&signer).map(|note| (manifest, note))
            };
            let (old, old_note) = state(1, clock.now() - OLD)?;
            brought = Some(cabinet.stage(old_note.as_bytes(), &old, &bytes)?);
            cabinet.commit(old_note.as_bytes())?;
            let published = folder.join("published");
            fs::create_dir_all(published.join(FILES_FOLDER))?;
            fs::write(published.join(FILES_FOLDER).join(&listed().sha256), OWN_RULES)?;
            fs::write(published.join("feed.note"), state(2, clock.now())?.1)?;
            waf.feed = Some(Feed {
                source: Located { value: FeedSource::File(published.join("feed.note")), span: 0..0 },
                key: signer.verifier_key().clone(),
                ca: None,
                every: Period::minutes(60),
            });
        }
        let mut edge = rules_of(&waf, brought);
        edge.custom = vec![custom(folder)?];
        let plan = RulePlan { data: data.to_owned(), waf, controls: controls.clone() };
        Ok(Self { edge, plan })
    }

    /// Tells of the rules that run, and follows the feed; or leaves it alone.
    pub(super) async fn follow(self, house: &House, gateway: &Gateway, stale: bool) -> anyhow::Result<()> {
        house.record_rules(gateway).await?;
        if !stale && self.plan.waf.feed.is_some() {
            house.follow_rules(self.plan).await?;
        }
        Ok(())
    }
}

/// A rule of the sample application's own.
fn custom(folder: &Path) -> anyhow::Result<CustomRules> {
    let file: PathBuf = folder.join("own.conf");
    fs::write(&file, CUSTOM_RULE)?;
    let canary = Canary {
        app: String::from("default"),
        rule: 1000,
        attack: String::from("/?order=__canary__"),
        twin: String::from("/?order=1024"),
    };
    Ok(custom_rules(file, vec![canary]))
}

fn listed() -> Listed {
    let bytes = OWN_RULES.as_bytes();
    Listed { path: String::from("rules/reeve.conf"), bytes: bytes.len() as u64, sha256: keeping::digest(bytes) }
}

const CUSTOM_RULE: &str = "SecRule ARGS:order \"!@rx ^[0-9]{1,12}$\" \"id:1000,phase:2,deny,status:403,t:none,log,msg:'no number of an order'\"\n";

/// Older than any policy allows.
const OLD: SignedDuration = SignedDuration::from_hours(24 * 1_100);
