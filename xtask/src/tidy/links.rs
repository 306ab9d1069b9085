//! Links between our documents: each one that is relative points at something that is there.

use std::path::Path;

use crate::tidy::Fault;

/// Whether the links of this file are held to it: the documents that people start from, and all of `docs/`.
pub(super) fn covers(path: &str) -> bool {
    FRONT.contains(&path) || (path.starts_with("docs/") && path.ends_with(".md"))
}

/// The dead links of the document at `path`; `exists` is asked about a path from the root.
pub(super) fn check(path: &str, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<Fault> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    targets(text)
        .into_iter()
        .filter(|(_, target)| {
            let file = target.split(['#', '?']).next().unwrap_or_default();
            // As on the forges: a leading slash means the root of the repository.
            let from_root = match file.strip_prefix('/') {
                Some(file) => Path::new(file).to_path_buf(),
                None => folder.join(file),
            };
            !file.is_empty() && !elsewhere(target) && !exists(&from_root)
        })
        .map(|(line, target)| Fault::new(path, line, format!("the link to `{target}` leads nowhere")))
        .collect()
}

/// Whether a link leads out of the repository; those are not ours to keep alive.
fn elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// Every target of a link or picture outside code, with its line.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        if let Some(mark) = FENCES.iter().find(|mark| start.starts_with(**mark)) {
            match fence {
                None => fence = Some(mark),
                Some(open) if open == *mark => fence = None,
                Some(_) => {}
            }
            continue;
        }
        if fence.is_none() {
            found.extend(targets_of_line(line).into_iter().map(|target| (index + 1, target)));
        }
    }
    found
}

fn targets_of_line(line: &str) -> Vec<String> {
    // Between a pair of backticks a bracket is only a bracket.
    let prose: String = line.split('`').step_by(2).collect();
    let definition = prose.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, rest)| rest);
    let inline = prose.split("](").skip(1);
    inline.chain(definition).filter_map(target).collect()
}

/// The target at the start of what follows `](` or `]: `, without its title.
fn target(rest: &str) -> Option<String> {
    let rest = rest.trim_start();
    let target = match rest.strip_prefix('<') {
        Some(bracketed) => bracketed.split_once('>')?.0,
        None => rest.split([' ', ')']).next()?,
    };
    Some(target.to_owned())
}

const FRONT: &[&str] = &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];

const FENCES: &[&str] = &["```", "~~~"];

#[cfg(test)]
mod tests {
    use super::*;

    /// In this house stand `README.md` and `docs/guide.md`.
    #[track_caller]
    fn check(path: &str, text: &str, dead: &[&str]) {
        let there = |target: &Path| {
            ["README.md", "docs/guide.md", "docs/concepts/../guide.md"].iter().any(|file| Path::new(file) == target)
        };
        let faults: Vec<_> =
            super::check(path, text, there).iter().map(|f| format!("{}: {}", f.line, f.text)).collect();
        assert_eq!(faults, dead);
    }

    #[test]
    fn a_link_is_read_from_its_own_folder_or_from_the_root() {
        check("README.md", "See [the guide](docs/guide.md).\n", &[]);
        check("docs/guide.md", "See [it](guide.md), [home](/README.md).\n", &[]);
        check("docs/concepts/a.md", "See [it](../guide.md#start).\n", &[]);
        check("docs/guide.md", "\nSee [it](docs/guide.md).\n", &["2: the link to `docs/guide.md` leads nowhere"]);
    }

    #[test]
    fn all_forms_of_a_link_are_seen() {
        check(
            "README.md",
            "[![a](no.svg)](no.md)\n",
            &["1: the link to `no.svg` leads nowhere", "1: the link to `no.md` leads nowhere"],
        );
        check("README.md", "[a]: no.md \"A title\"\n", &["1: the link to `no.md` leads nowhere"]);
        check("README.md", "[a](<no way.md> \"A title\")\n", &["1: the link to `no way.md` leads nowhere"]);
        check("README.md", "[`code`](no.md)\n", &["1: the link to `no.md` leads nowhere"]);
    }

    #[test]
    fn what_is_no_relative_link_is_left_alone() {
        check("README.md", "[a](https://example.com/x) [b](#below) [c](mailto:a@example.com)\n", &[]);
        check("README.md", "`[a](no.md)` and\n```text\n[a](no.md)\n```\n", &[]);
        check("README.md", "~~~\n```\n[a](no.md)\n~~~\n[b](no.md)\n", &["5: the link to `no.md` leads nowhere"]);
    }

    #[test]
    fn the_front_documents_and_docs_are_covered() {
        assert!(covers("README.md") && covers("docs/decisions/001-dependencies.md"));
        assert!(!covers("CHANGELOG.md") && !covers("docs/a.png") && !covers("crates/x/README.md"));
    }
}
