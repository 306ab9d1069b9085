//! What the rules of the Core Rule Set are for, where the environment variable `REEVE_CRS` names its folder.

use std::fs;

use reeve_waf::{Options, RuleKind};

use crate::folder::{core_rule_set, load};

/// Rules that speak can be left out, and those that gate, count, set up and decide cannot: told by what they do, and held
/// here against what their texts say.
#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS"]
fn of_the_core_rule_set_those_that_speak_can_be_left_out() {
    let folder = core_rule_set();
    let engine = load(&folder, 1, Options::default()).unwrap();
    assert!(engine.disarmed().is_empty(), "{:?}", engine.disarmed());
    assert!(engine.disarmed_sometimes().is_empty(), "{:?}", engine.disarmed_sometimes());
    let (mut wrong, mut finds) = (Vec::new(), 0);
    for entry in fs::read_dir(folder.join("rules")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".conf") {
            continue;
        }
        let decides =
            ["949", "959", "980", "901", "905", "999"].iter().any(|number| name.contains(&format!("-{number}-")));
        let text = fs::read_to_string(&path).unwrap().replace("\\\n", " ");
        for line in text.lines().filter(|line| line.starts_with("SecRule ") || line.starts_with("SecAction ")) {
            let Some(id) = line.split("\"id:").nth(1).and_then(|rest| rest.split(',').next()) else { continue };
            let id: u32 = id.trim().parse().unwrap();
            let speaks = !decides && !line.contains("nolog") && line.contains("msg:");
            let kind = engine.kind(id).unwrap();
            finds += usize::from(kind == RuleKind::Finds);
            if (kind == RuleKind::Finds) != speaks {
                wrong.push(format!("{name} {id}: {kind:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(finds > 200, "{finds}");
}
