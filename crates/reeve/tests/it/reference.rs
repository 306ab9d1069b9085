//! `docs/reference/controls.md` says what `reeve explain --json` says.
//!
//! With `REEVE_UPDATE_REFERENCE=1` the file is written instead of compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::transcript::{root, run};

#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    status: String,
    capability: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Control {
    name: String,
    summary: String,
    parameters: Vec<Parameter>,
    enforced_by: String,
    proved_by: String,
    serves: Vec<String>,
    example: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Parameter {
    name: String,
    summary: String,
    default: String,
    expected: String,
    least: Option<String>,
    greatest: Option<String>,
}

#[test]
fn the_checked_in_reference_of_controls_is_what_explain_says() {
    let path = root().join("docs/reference/controls.md");
    let page = page();
    if std::env::var_os("REEVE_UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    // `assert_eq!` would print both of them.
    assert!(
        page == kept,
        "a control has changed: run `REEVE_UPDATE_REFERENCE=1 cargo test -p reeve --test it reference`"
    );
}

fn explain<T: DeserializeOwned>(args: &[&str]) -> T {
    let args: Vec<_> = ["explain"].iter().chain(args).chain(&["--json"]).copied().collect();
    serde_json::from_str(&run(&root(), &args, b"").stdout).unwrap()
}

fn page() -> String {
    let listed: Vec<Listed> = explain(&["--all"]);
    let (typed, planned): (Vec<_>, Vec<_>) = listed.into_iter().partition(|one| one.status == "typed");
    let typed: Vec<Control> = typed.iter().map(|one| explain(&[&one.name])).collect();
    let mut page = INTRODUCTION.to_owned();
    page += "| control | what it promises |\n|---|---|\n";
    for control in &typed {
        let anchor = control.name.replace('.', "");
        writeln!(page, "| [`{}`](#{anchor}) | {} |", control.name, control.summary).unwrap();
    }
    typed.iter().for_each(|control| page += &section(control));
    page + &plans(&planned)
}

fn section(control: &Control) -> String {
    let mut text = format!("\n## {}\n\n{}\n", control.name, control.summary);
    if control.parameters.is_empty() {
        text += "\nNo parameters.\n";
    } else {
        text += "\n| parameter | meaning | write | bounds | default |\n|---|---|---|---|---|\n";
    }
    for one in &control.parameters {
        let bounds = match (&one.least, &one.greatest) {
            (Some(least), Some(greatest)) => format!("`{least}` to `{greatest}`"),
            _ => String::new(),
        };
        let cells = [&format!("`{}`", one.name), &one.summary, &one.expected, &bounds, &format!("`{}`", one.default)];
        writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")).unwrap();
    }
    write!(text, "\n**Enforced:** {}.\n\n**Proved:** {}.\n", control.enforced_by, control.proved_by).unwrap();
    write!(text, "\n**Serves:** {}.\n", control.serves.join(", ")).unwrap();
    if let Some(example) = &control.example {
        write!(text, "\n```toml\n{}\n```\n", example.trim_end()).unwrap();
    }
    text
}

/// The names of the planned controls, under the capability that will hold them.
fn plans(planned: &[Listed]) -> String {
    let mut capabilities = BTreeMap::<&str, Vec<String>>::new();
    for one in planned {
        let names = capabilities.entry(one.capability.as_deref().unwrap_or_default()).or_default();
        names.push(format!("`{}`", one.name));
    }
    let mut text = format!("\n## Planned\n\n{} controls {PLANNED}", planned.len());
    for (capability, names) in capabilities {
        write!(text, "\n- **{capability}**: {}\n", names.join(", ")).unwrap();
    }
    text
}

const INTRODUCTION: &str = "\
# Controls

<!-- Made from `reeve explain --json` by crates/reeve/tests/it/reference.rs. Do not edit it by hand. -->

A clause names a control and gives it parameters in `with`. Those left out keep their default. `reeve explain CONTROL`
shows the same in a terminal. What a control \"serves\" is our own reading of the frameworks and no official mapping.

";

const PLANNED: &str = "\
are named and not built. A clause may use one: its parameters are kept as written, and its verdict is
`unknown (not built)`. By the capability that will hold them:
";
