//! A clause for each control, ready to paste: taken from the reference policies, so that it is one that is checked.

use reeve_policy::catalogue::Control;

use crate::reference::Reference;

/// The clause, from its header to its last line. None if no reference policy has the control.
pub(super) fn clause(control: &Control) -> Option<String> {
    let name = control.facts().name;
    Reference::ALL.into_iter().find_map(|reference| find(reference.text(), name))
}

/// The reference policies write one key a line and an empty line behind each clause; a test holds them to it.
fn find(policy: &str, control: &str) -> Option<String> {
    let block = policy.split("\n\n").find(|block| {
        block.starts_with("[clause.")
            && block.lines().filter_map(|line| value(line, "control")).any(|value| value == control)
    })?;
    let (header, body) = block.trim_end().split_once('\n')?;
    // A numbered clause belongs to its document; the pasted one is called after its control.
    let header =
        if header.contains('"') { format!("[clause.{}]", control.replace(['.', '_'], "-")) } else { header.to_owned() };
    Some(format!("{header}\n{body}"))
}

/// The text in quotes behind `key =`.
fn value<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let behind = line.strip_prefix(key)?.trim_start().strip_prefix('=')?;
    behind.trim().strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_has_a_clause_that_can_be_pasted() {
        for control in Control::every() {
            let name = control.facts().name;
            let clause = clause(&control).unwrap_or_else(|| panic!("no reference policy has {name}"));
            let section = clause.lines().find_map(|line| value(line, "section")).unwrap();
            let policy = format!("{HEAD}[section.{section}]\ntitle = \"One\"\n\n{clause}\n");
            let checked = reeve_policy::check(name, policy.as_bytes(), jiff::civil::date(2026, 11, 21));
            assert!(checked.faults.is_empty(), "{name}: {:?}", checked.faults);
            assert_eq!(checked.policy.unwrap().clauses[0].hold.name().as_str(), name);
        }
    }

    const HEAD: &str = r#"
schema = "reeve.policy/1"
[policy]
title = "One"
company = "Example Ltd"
version = "1"
owner = "cto@example.com"
review = { every = "12 months", last = 2026-11-01, approvers = 1 }
"#;
}
