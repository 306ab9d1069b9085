//! Directives that remove or change rules read before.

use super::actions::Actions;
use super::assembly::Assembly;
use super::controls;
use super::targets;
use super::text;
use super::wrong::{Wrong, show};
use crate::pattern;
use crate::rule::{Chain, Disruption, Item, Role, Target, Which};

/// Rules that a directive is about, and in a chain the rule of this number, counted from 0.
struct Named {
    which: Vec<Which>,
    link: usize,
}

/// How many rules were changed.
type Count = usize;

/// Carries out a directive that changes rules by its words alone; none if it is not one, or has not such words.
pub(super) fn carry_out(assembly: &mut Assembly, name: &str, words: &[Vec<u8>]) -> Option<Result<Count, Wrong>> {
    Some(match (name, words) {
        ("SecRuleRemoveById", [_, ..]) => remove_by_id(assembly, words),
        ("SecRuleRemoveByTag", [tag]) => remove_by_tag(assembly, tag),
        ("SecRuleRemoveByMsg", [message]) => remove_by_message(assembly, message),
        ("SecRuleUpdateTargetById", [ids, change @ ..]) => targets_by_id(assembly, ids, change),
        ("SecRuleUpdateTargetByTag", [tag, change @ ..]) => targets_by_tag(assembly, tag, change),
        ("SecRuleUpdateTargetByMsg", [message, change @ ..]) => targets_by_message(assembly, message, change),
        _ => return None,
    })
}

/// SecRuleRemoveById, with ids, ranges and lists of them.
fn remove_by_id(assembly: &mut Assembly, words: &[Vec<u8>]) -> Result<Count, Wrong> {
    remove(assembly, &controls::ids(&words.join(&b' '))?)
}

/// SecRuleRemoveByTag.
fn remove_by_tag(assembly: &mut Assembly, tag: &[u8]) -> Result<Count, Wrong> {
    remove(assembly, &[Which::Tag(controls::pattern(tag)?)])
}

/// SecRuleRemoveByMsg.
fn remove_by_message(assembly: &mut Assembly, message: &[u8]) -> Result<Count, Wrong> {
    remove(assembly, &[Which::Message(controls::pattern(message)?)])
}

fn remove(assembly: &mut Assembly, which: &[Which]) -> Result<Count, Wrong> {
    let matchers = matchers(which)?;
    let mut count = 0;
    for item in &mut assembly.items {
        if let Some(Item::Chain(chain)) = item
            && matchers.iter().any(|matcher| matcher.takes(chain))
        {
            if let Some(Item::Chain(chain)) = item.take() {
                assembly.removed.push(*chain);
            }
            count += 1;
        }
    }
    Ok(count)
}

/// SecRuleUpdateTargetById: `942100`, `942100-942110`, `942100:1` for the second rule of a chain.
fn targets_by_id(assembly: &mut Assembly, ids: &[u8], change: &[Vec<u8>]) -> Result<Count, Wrong> {
    update_targets(assembly, &named(ids)?, change)
}

/// SecRuleUpdateTargetByTag.
fn targets_by_tag(assembly: &mut Assembly, tag: &[u8], change: &[Vec<u8>]) -> Result<Count, Wrong> {
    update_targets(assembly, &Named { which: vec![Which::Tag(controls::pattern(tag)?)], link: 0 }, change)
}

/// SecRuleUpdateTargetByMsg.
fn targets_by_message(assembly: &mut Assembly, text: &[u8], change: &[Vec<u8>]) -> Result<Count, Wrong> {
    update_targets(assembly, &Named { which: vec![Which::Message(controls::pattern(text)?)], link: 0 }, change)
}

fn update_targets(assembly: &mut Assembly, named: &Named, change: &[Vec<u8>]) -> Result<Count, Wrong> {
    let (added, replaced) = match change {
        [added] => (targets::read(added)?, Vec::new()),
        [added, replaced] => (targets::read(added)?, targets::read(replaced)?),
        _ => return Err(Wrong::new("a list of variables is missing").help("as in `942100 \"!ARGS:name\"`")),
    };
    each(assembly, named, |chain| update_chain(chain, named.link, &added, &replaced))
}

fn update_chain(chain: &mut Chain, link: usize, added: &[Target], replaced: &[Target]) -> Result<(), Wrong> {
    let id = chain.id;
    let Some(test) = chain.links.get_mut(link).and_then(|link| link.test.as_mut()) else {
        return Err(Wrong::new(format!("rule {id} has no variables there")).help("count the rules of a chain from 0"));
    };
    test.targets.retain(|target| !replaced.contains(target));
    for target in added {
        if test.targets.len() >= TARGETS_MAX {
            return Err(Wrong::new(format!("more than {TARGETS_MAX} variables in rule {id}")));
        }
        if !test.targets.contains(target) {
            test.targets.push(target.clone());
        }
    }
    if test.targets.iter().all(|target| target.role == Role::Except) {
        return Err(Wrong::new(format!("rule {id} has nothing left to look at"))
            .help("`SecRuleRemoveById` takes a whole rule away"));
    }
    Ok(())
}

/// Variables of one rule.
const TARGETS_MAX: usize = 4_096;

/// SecRuleUpdateActionById.
pub(super) fn actions_by_id(assembly: &mut Assembly, ids: &[u8], actions: &Actions) -> Result<Count, Wrong> {
    let named = named(ids)?;
    // What the defaults of a phase say is asked for while the rules are changed.
    let mut items = std::mem::take(&mut assembly.items);
    let mut tamed = Vec::new();
    let changed = matchers(&named.which).and_then(|matchers| {
        let chains = chains(&mut items, &matchers);
        let mut change = |chain: &mut Chain| {
            let refused = refuses(chain);
            assembly.update(chain, named.link, actions)?;
            if refused && !refuses(chain) {
                tamed.push(chain.id);
            }
            Ok(())
        };
        chains.map(&mut change).collect::<Result<Vec<()>, _>>()
    });
    assembly.items = items;
    assembly.tamed = tamed;
    changed.map(|changed| changed.len())
}

const fn refuses(chain: &Chain) -> bool {
    matches!(chain.disruption, Disruption::Deny | Disruption::Drop | Disruption::Redirect(_))
}

fn named(ids: &[u8]) -> Result<Named, Wrong> {
    let colon = memchr::memchr(b':', ids);
    let link =
        colon.and_then(|at| ids.get(at + 1..)).map_or(Some(0), |number| str::from_utf8(number).ok()?.parse().ok());
    let Some(link) = link else {
        return Err(Wrong::new(format!("`{}` names no rule of a chain", show(ids))).help("as in `942100:1`"));
    };
    Ok(Named { which: controls::ids(ids.get(..colon.unwrap_or(ids.len())).unwrap_or_default())?, link })
}

fn each(
    assembly: &mut Assembly,
    named: &Named,
    change: impl Fn(&mut Chain) -> Result<(), Wrong>,
) -> Result<Count, Wrong> {
    let matchers = matchers(&named.which)?;
    Ok(chains(&mut assembly.items, &matchers).map(change).collect::<Result<Vec<()>, _>>()?.len())
}

fn chains<'i>(items: &'i mut [Option<Item>], matchers: &'i [Matcher]) -> impl Iterator<Item = &'i mut Chain> {
    items.iter_mut().filter_map(|item| match item {
        Some(Item::Chain(chain)) if matchers.iter().any(|matcher| matcher.takes(chain)) => Some(&mut **chain),
        _ => None,
    })
}

enum Matcher {
    Ids(u32, u32),
    Tag(regex::bytes::Regex),
    Message(regex::bytes::Regex),
}

fn matchers(which: &[Which]) -> Result<Vec<Matcher>, Wrong> {
    let compile = |pattern: &str| pattern::compile(pattern.as_bytes()).map_err(|error| Wrong::new(error.to_string()));
    let matcher = |which: &Which| match which {
        Which::Ids(first, last) => Ok(Matcher::Ids(*first, *last)),
        Which::Tag(tag) => compile(tag).map(Matcher::Tag),
        Which::Message(message) => compile(message).map(Matcher::Message),
    };
    which.iter().map(matcher).collect()
}

impl Matcher {
    fn takes(&self, chain: &Chain) -> bool {
        match self {
            Self::Ids(first, last) => (*first..=*last).contains(&chain.id),
            Self::Tag(tag) => chain.about.tags.iter().any(|text| tag.is_match(&text::write(text))),
            Self::Message(message) => {
                chain.about.message.as_ref().is_some_and(|text| message.is_match(&text::write(text)))
            }
        }
    }
}
