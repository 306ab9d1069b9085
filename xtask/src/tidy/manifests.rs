//! The manifests: versions in one place, no entry without a user, no dependency without a written reason.

use std::collections::BTreeSet;

use anyhow::Context;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::tidy::Fault;
use crate::workspace::Kind;

/// Where each dependency has its line of reason.
pub(super) const REASONS: &str = "docs/decisions/001-dependencies.md";

/// The manifest of one crate, as far as the house has a say in it.
#[derive(Debug)]
pub(super) struct Member {
    /// From the root of the repository.
    pub(super) path: String,
    /// Where `name` stands.
    pub(super) name_line: usize,
    lints: Lints,
    dependencies: Vec<Dependency>,
}

/// The root manifest.
#[derive(Debug)]
pub(super) struct Root {
    entries: Vec<Entry>,
}

/// Where a crate takes its lints from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lints {
    /// The workspace.
    Inherited,
    /// Itself, or nowhere.
    Own,
}

#[derive(Debug)]
struct Dependency {
    key: String,
    kind: Kind,
    line: usize,
    version: Version,
}

/// Where a dependency takes its version from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// `workspace = true`.
    Inherited,
    /// Written beside the dependency.
    Own,
}

/// An entry of `[workspace.dependencies]`.
#[derive(Debug)]
struct Entry {
    key: String,
    line: usize,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// One of our own crates: its reason is ARCHITECTURE.md.
    House,
    /// Somebody else's.
    Foreign,
}

/// The faults of all manifests together; `reasons` is the text of [`REASONS`].
pub(super) fn check(root: &Root, members: &[Member], reasons: &str) -> Vec<Fault> {
    let mut faults: Vec<_> = members.iter().flat_map(Member::faults).collect();
    let used: BTreeSet<_> = members.iter().flat_map(|member| &member.dependencies).map(|used| &used.key).collect();
    let reasoned: Vec<_> = reasons
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("- `")?.split_once('`')?.0)))
        .collect();

    for entry in &root.entries {
        if !used.contains(&entry.key) {
            faults.push(Fault::new("Cargo.toml", entry.line, format!("no crate uses `{}`", entry.key)));
        }
        if entry.origin == Origin::Foreign && !reasoned.iter().any(|(_, name)| *name == entry.key) {
            let text = format!("`{}` has no line in {REASONS}; it starts with \"- `{}`\"", entry.key, entry.key);
            faults.push(Fault::new("Cargo.toml", entry.line, text));
        }
    }
    for (line, name) in reasoned {
        if !root.entries.iter().any(|entry| entry.key == name) {
            faults.push(Fault::new(REASONS, line, format!("`{name}` is no longer in [workspace.dependencies]")));
        }
    }
    faults
}

impl Member {
    /// Reads the manifest that stands at `path`.
    pub(super) fn parse(path: &str, text: &str) -> anyhow::Result<Self> {
        let root = DeTable::parse(text).with_context(|| format!("cannot read `{path}`"))?;
        let root = root.get_ref();
        let name = table(root, "package").and_then(|package| package.get("name"));
        let lints = table(root, "lints")
            .map_or(Lints::Own, |lints| if inherits(lints) { Lints::Inherited } else { Lints::Own });

        let mut dependencies = Vec::new();
        collect_dependencies(text, root, &mut dependencies);
        for platform in table(root, "target").into_iter().flat_map(DeTable::values) {
            if let Some(platform) = platform.get_ref().as_table() {
                collect_dependencies(text, platform, &mut dependencies);
            }
        }
        let name_line = name.map_or(1, |name| line_at(text, name.span().start));
        Ok(Self { path: path.into(), name_line, lints, dependencies })
    }

    /// Where the dependency stands that is written `key`; the top of the file if nowhere.
    pub(super) fn line_of(&self, key: &str, kind: Kind) -> usize {
        let dependency = self.dependencies.iter().find(|one| one.key == key && one.kind == kind);
        dependency.map_or(1, |dependency| dependency.line)
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.lints == Lints::Own {
            faults.push(Fault::new(&self.path, 1, "the lints are not the workspace's: add `[lints] workspace = true`"));
        }
        for dependency in self.dependencies.iter().filter(|dependency| dependency.version == Version::Own) {
            let text = format!("write `{}.workspace = true`: versions stand only in the root manifest", dependency.key);
            faults.push(Fault::new(&self.path, dependency.line, text));
        }
        faults
    }
}

impl Root {
    /// Reads the root manifest.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let root = DeTable::parse(text).context("cannot read `Cargo.toml`")?;
        let dependencies = table(root.get_ref(), "workspace").and_then(|workspace| table(workspace, "dependencies"));
        let entries = dependencies
            .into_iter()
            .flatten()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                line: line_at(text, key.span().start),
                origin: if value.get_ref().as_table().is_some_and(|value| value.contains_key("path")) {
                    Origin::House
                } else {
                    Origin::Foreign
                },
            })
            .collect();
        Ok(Self { entries })
    }
}

fn collect_dependencies(text: &str, parent: &DeTable<'_>, into: &mut Vec<Dependency>) {
    for (section, kind) in SECTIONS {
        into.extend(table(parent, section).into_iter().flatten().map(|(key, value)| Dependency {
            key: key.get_ref().to_string(),
            kind: *kind,
            line: line_at(text, key.span().start),
            version: if value.get_ref().as_table().is_some_and(inherits) { Version::Inherited } else { Version::Own },
        }));
    }
}

fn table<'t, 'i>(parent: &'t DeTable<'i>, key: &str) -> Option<&'t DeTable<'i>> {
    parent.get(key).map(Spanned::get_ref).and_then(DeValue::as_table)
}

fn inherits(table: &DeTable<'_>) -> bool {
    table.get("workspace").is_some_and(|value| value.get_ref().as_bool() == Some(true))
}

/// The line, from 1, in which this byte stands.
fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

const SECTIONS: &[(&str, Kind)] =
    &[("dependencies", Kind::Normal), ("build-dependencies", Kind::Build), ("dev-dependencies", Kind::Development)];

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = r#"
[workspace.dependencies]
reeve-base = { path = "crates/base" }
bytes = "1"
hyper = { version = "1", features = ["http1"] }
"#;

    const MEMBER: &str = r#"[package]
name = "reeve-x"

[lints]
workspace = true

[dependencies]
reeve-base.workspace = true
bytes = { workspace = true }

[target.'cfg(unix)'.dev-dependencies.hyper]
workspace = true
"#;

    const REASONED: &str = "- `bytes`: why.\n- `hyper`: why.\n";

    #[track_caller]
    fn check(root: &str, member: &str, reasons: &str, expected: &[&str]) {
        let root = Root::parse(root).unwrap();
        let members = [Member::parse("crates/x/Cargo.toml", member).unwrap()];
        let faults: Vec<_> = super::check(&root, &members, reasons).iter().map(Fault::to_string).collect();
        assert_eq!(faults, expected);
    }

    #[test]
    fn inherited_used_and_reasoned_is_well() {
        check(ROOT, MEMBER, REASONED, &[]);
    }

    #[test]
    fn a_version_stands_only_in_the_root() {
        let text = "crates/x/Cargo.toml:9: write `bytes.workspace = true`: versions stand only in the root manifest";
        check(ROOT, &MEMBER.replace("bytes = { workspace = true }", "bytes = \"1\""), REASONED, &[text]);
        check(ROOT, &MEMBER.replace("bytes = { workspace = true }", "bytes = { git = \"u\" }"), REASONED, &[text]);
    }

    #[test]
    fn an_entry_has_a_user_and_a_reason() {
        let member = MEMBER.replace("bytes = { workspace = true }\n", "");
        check(ROOT, &member, REASONED, &["Cargo.toml:4: no crate uses `bytes`"]);
        let text = format!("Cargo.toml:5: `hyper` has no line in {REASONS}; it starts with \"- `hyper`\"");
        check(ROOT, MEMBER, "- `bytes`: like `hyper`.\n", &[&text]);
    }

    #[test]
    fn a_reason_without_an_entry_is_left_over() {
        let text = format!("{REASONS}:3: `gone` is no longer in [workspace.dependencies]");
        check(ROOT, MEMBER, &format!("{REASONED}- `gone`: why.\n"), &[&text]);
    }

    #[test]
    fn every_crate_takes_the_lints_of_the_workspace() {
        let text = "crates/x/Cargo.toml:1: the lints are not the workspace's: add `[lints] workspace = true`";
        check(ROOT, &MEMBER.replace("[lints]\nworkspace = true\n", ""), REASONED, &[text]);
        check(ROOT, &MEMBER.replacen("workspace = true", "workspace = false", 1), REASONED, &[text]);
    }

    #[test]
    fn a_dependency_is_found_by_key_and_kind() {
        let member = Member::parse("crates/x/Cargo.toml", MEMBER).unwrap();
        assert_eq!(member.line_of("bytes", Kind::Normal), 9);
        assert_eq!(member.line_of("hyper", Kind::Development), 11);
        assert_eq!(member.line_of("hyper", Kind::Normal), 1);
        assert_eq!(member.name_line, 2);
    }
}
