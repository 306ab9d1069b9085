//! Which rules a `ctl` action is about, found once when rules are loaded.

use regex::bytes::Regex;

use crate::pattern::{self, PatternError};
use crate::rule::{Chain, Item, Part, RuleBook, Text, Which};

/// For each chain of the book, by its number, whether it is meant.
pub(super) fn meant(which: &Which, book: &RuleBook) -> Result<Box<[bool]>, PatternError> {
    let chains = book.items.iter().filter_map(|item| match item {
        Item::Chain(chain) => Some(chain),
        Item::Marker(_) => None,
    });
    Ok(match which {
        Which::Ids(first, last) => chains.map(|chain| (*first..=*last).contains(&chain.id)).collect(),
        Which::Tag(tag) => {
            let tag = pattern::compile(tag.as_bytes())?;
            chains.map(|chain| chain.about.tags.iter().any(|text| says(&tag, text))).collect()
        }
        Which::Message(message) => {
            let message = pattern::compile(message.as_bytes())?;
            chains.map(|chain: &Chain| chain.about.message.iter().any(|text| says(&message, text))).collect()
        }
    })
}

/// Places that are filled in later say nothing.
fn says(pattern: &Regex, text: &Text) -> bool {
    let plain: Vec<u8> = text
        .0
        .iter()
        .flat_map(|part| match part {
            Part::Plain(plain) => plain.to_vec(),
            Part::Value(..) | Part::OfRule(_) => Vec::new(),
        })
        .collect();
    pattern.is_match(&plain)
}
