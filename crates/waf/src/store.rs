//! What rules write and read again: TX, and the other collections that `setvar` knows.

use std::collections::HashMap;

use crate::hash::Folded;
use crate::rule::Collection;
use crate::values::{ValueId, Values};

/// A member that rules name; most are known when the rules are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot(u32);

/// The members that rules name, each with its slot.
#[derive(Debug, Default, Clone)]
pub(crate) struct Names {
    of: [HashMap<Box<[u8]>, Slot, Folded>; COLLECTIONS],
    count: u32,
}

impl Names {
    /// The slot of a member, whose name is in lower case.
    pub(crate) fn slot(&mut self, collection: Collection, name: &[u8]) -> Slot {
        let next = Slot(self.count);
        let Some(names) = self.of.get_mut(collection as usize) else { return next };
        let slot = *names.entry(name.into()).or_insert(next);
        self.count += u32::from(slot == next);
        slot
    }

    pub(crate) fn find(&self, collection: Collection, name: &[u8]) -> Option<Slot> {
        self.of.get(collection as usize)?.get(name).copied()
    }

    fn all(&self, collection: Collection) -> impl Iterator<Item = (&[u8], Slot)> {
        self.of.get(collection as usize).into_iter().flatten().map(|(name, slot)| (&**name, *slot))
    }
}

/// As many as there are variants of [`Collection`].
const COLLECTIONS: usize = 7;

/// What a member holds. Scores are numbers, and stay numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Number(i64),
    Text(ValueId),
}

/// The members of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Store {
    held: Vec<Option<Held>>,
    /// Members whose names were made while rules ran, in the order in which they came.
    made: Vec<(Collection, Box<[u8]>, Option<Held>)>,
    /// By collection, where a name stands among them.
    places: [HashMap<Box<[u8]>, usize>; COLLECTIONS],
}

impl Store {
    /// Empty, with room for what the rules name.
    pub(crate) fn clear(&mut self, names: &Names) {
        self.held.clear();
        self.held.resize(names.count as usize, None);
        self.made.clear();
        self.made.shrink_to(MADE_ROOM_MAX);
        for places in &mut self.places {
            places.clear();
            places.shrink_to(MADE_ROOM_MAX);
        }
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<Held> {
        *self.held.get(slot.0 as usize)?
    }

    pub(crate) fn set(&mut self, slot: Slot, held: Option<Held>) {
        if let Some(place) = self.held.get_mut(slot.0 as usize) {
            *place = held;
        }
    }

    /// A member by a name that was made while rules ran.
    pub(crate) fn find(&self, names: &Names, collection: Collection, name: &[u8]) -> Option<Held> {
        match names.find(collection, name) {
            Some(slot) => self.get(slot),
            None => self.made.get(*self.places.get(collection as usize)?.get(name)?)?.2,
        }
    }

    /// Sets a member by such a name. Past [`MADE_MAX`] of them nothing new is kept.
    pub(crate) fn put(&mut self, names: &Names, collection: Collection, name: &[u8], held: Option<Held>) {
        if let Some(slot) = names.find(collection, name) {
            return self.set(slot, held);
        }
        let Some(places) = self.places.get_mut(collection as usize) else { return };
        match places.get(name) {
            Some(at) => {
                if let Some((_, _, place)) = self.made.get_mut(*at) {
                    *place = held;
                }
            }
            None if self.made.len() < MADE_MAX => {
                places.insert(name.into(), self.made.len());
                self.made.push((collection, name.into(), held));
            }
            None => {}
        }
    }

    /// All members of a collection that are set, names in lower case: those that rules name first.
    pub(crate) fn all<'s>(
        &'s self,
        names: &'s Names,
        collection: Collection,
    ) -> impl Iterator<Item = (&'s [u8], Held)> + 's {
        let named = names.all(collection).filter_map(|(name, slot)| Some((name, self.get(slot)?)));
        let made = self.made.iter().filter(move |(of, _, _)| *of == collection);
        named.chain(made.filter_map(|(_, name, held)| Some((&**name, (*held)?))))
    }
}

impl Held {
    /// As a text.
    pub(crate) fn value(self, values: &mut Values) -> ValueId {
        match self {
            Self::Text(value) => value,
            Self::Number(number) => values.of(number.to_string().as_bytes()),
        }
    }

    /// As a number, as rules compare them.
    pub(crate) fn number(self, values: &Values) -> i64 {
        match self {
            Self::Number(number) => number,
            Self::Text(value) => number(values.text(value)),
        }
    }
}

/// The number that a text begins with; 0 if it begins with none, and the last there is if it is too large.
pub(crate) fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let value = digits.fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}

/// A text that is a number and nothing else, and is written in the one way that numbers are.
pub(crate) fn as_number(text: &[u8]) -> Option<i64> {
    let number = number(text);
    (text.len() <= 20 && number.to_string().as_bytes() == text).then_some(number)
}

/// Members of one transaction whose names were made by rules. Rules that count how often an argument is there make one for
/// each: fewer than a request may have arguments would hide the last ones from them.
const MADE_MAX: usize = 20_000;
/// Of their room, what is kept for the next transaction.
const MADE_ROOM_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_rules_name_while_they_run_are_found_again() {
        let (names, mut store) = (Names::default(), Store::default());
        store.clear(&names);
        for number in 0..10_000_i64 {
            store.put(&names, Collection::Tx, format!("counter_{number}").as_bytes(), Some(Held::Number(number)));
        }
        store.put(&names, Collection::Ip, b"counter_9999", Some(Held::Number(1)));
        store.put(&names, Collection::Tx, b"counter_9999", Some(Held::Number(2)));
        assert_eq!(store.find(&names, Collection::Tx, b"counter_9999"), Some(Held::Number(2)));
        assert_eq!(store.find(&names, Collection::Ip, b"counter_9999"), Some(Held::Number(1)));
        assert_eq!(store.find(&names, Collection::User, b"counter_1"), None);
        store.put(&names, Collection::Tx, b"counter_0", None);
        assert_eq!(store.all(&names, Collection::Tx).count(), 9_999);
        store.clear(&names);
        assert_eq!(store.find(&names, Collection::Tx, b"counter_1"), None);
    }
}
