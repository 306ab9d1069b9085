//! What is kept of paths: a tree of segments, in which values stand together under one that is a parameter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::operation::Operation;
use super::text::Text;
use super::word::{Class, Discretion};
use super::{Left, Room};

/// A place in the tree: what was asked for here, and what lies below.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) operations: BTreeMap<String, Operation>,
    /// Below segments that are kept as they are.
    pub(super) words: BTreeMap<String, Child>,
    /// Below segments that might be values, under a number each, until several clients have asked for them.
    #[serde(skip)]
    pending: BTreeMap<u64, Pending>,
    /// Below all others.
    pub(super) value: Option<Box<Child>>,
    /// Words count as values here: there were too many, or a secret is announced.
    words_folded: bool,
    /// What might be a value counts as one here.
    mixed_folded: bool,
}

/// What lies below a segment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Child {
    /// What the segment was like.
    pub(super) text: Text,
    /// What it was.
    class: Kept,
    pub(super) node: Node,
}

/// Why a segment is kept as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Kept {
    /// It stays whatever else is there.
    #[default]
    Fixed,
    Word,
    /// Several clients asked for it.
    Mixed,
}

#[derive(Debug, Clone, Default)]
struct Pending {
    /// Who asked for it, by number.
    clients: Vec<u64>,
    child: Child,
}

/// What is carried along on the way down.
pub(super) struct Walk<'w> {
    pub(super) client: IpAddr,
    pub(super) key: [u8; 16],
    pub(super) discretion: &'w Discretion,
    pub(super) room: &'w mut Room,
}

impl Node {
    /// The place of a path.
    ///
    /// # Errors
    /// [`Left::Full`].
    pub(super) fn descend(&mut self, segments: &[Cow<'_, str>], walk: &mut Walk<'_>) -> Result<&mut Self, Left> {
        let Some((first, rest)) = segments.split_first() else { return Ok(self) };
        let child = self.child(first, walk).ok_or(Left::Full)?;
        child.text.see(first);
        if (walk.discretion.announces)(first) {
            (child.node.words_folded, child.node.mixed_folded) = (true, true);
        }
        child.node.descend(rest, walk)
    }

    /// What is known of a method here.
    ///
    /// # Errors
    /// [`Left::Full`].
    pub(super) fn operation(&mut self, method: &str, room: &mut Room) -> Result<&mut Operation, Left> {
        if !self.operations.contains_key(method) && !room.take() {
            return Err(Left::Full);
        }
        Ok(self.operations.entry(method.to_owned()).or_default())
    }

    fn child(&mut self, segment: &str, walk: &mut Walk<'_>) -> Option<&mut Child> {
        let class = match walk.discretion.class(segment) {
            Class::Word if self.words_folded => Class::Value,
            Class::Mixed if self.mixed_folded => Class::Value,
            class => class,
        };
        match class {
            Class::Fixed => self.word(segment, Kept::Fixed, walk.room),
            Class::Word => {
                if !self.words.contains_key(segment) && self.count(Kept::Word) == WORDS_MAX {
                    self.fold_words(walk.key);
                    return self.valued(walk.room);
                }
                self.word(segment, Kept::Word, walk.room)
            }
            Class::Mixed => self.mixed(segment, walk),
            Class::Value => self.valued(walk.room),
        }
    }

    fn word(&mut self, segment: &str, class: Kept, room: &mut Room) -> Option<&mut Child> {
        if !self.words.contains_key(segment) && !room.take() {
            return None;
        }
        Some(self.words.entry(segment.to_owned()).or_insert_with(|| Child { class, ..Child::default() }))
    }

    fn valued(&mut self, room: &mut Room) -> Option<&mut Child> {
        if self.value.is_none() && !room.take() {
            return None;
        }
        Some(&mut **self.value.get_or_insert_default())
    }

    /// What might be a value is known by a number until several have asked for it: only then by itself.
    fn mixed(&mut self, segment: &str, walk: &mut Walk<'_>) -> Option<&mut Child> {
        if self.words.contains_key(segment) {
            return self.words.get_mut(segment);
        }
        let number = number(walk.key, segment.as_bytes());
        if !self.pending.contains_key(&number) {
            if self.count(Kept::Mixed) + self.pending.len() == MIXED_MAX {
                self.fold_mixed(walk.key);
                return self.valued(walk.room);
            }
            if !walk.room.take() {
                return None;
            }
        }
        let pending = self.pending.entry(number).or_default();
        pending.see(self::number(walk.key, &octets(walk.client)));
        if pending.clients.len() < CLIENTS_MIN {
            return self.pending.get_mut(&number).map(|pending| &mut pending.child);
        }
        let child = self.pending.remove(&number)?.child;
        Some(self.words.entry(segment.to_owned()).or_insert(Child { class: Kept::Mixed, ..child }))
    }

    fn count(&self, class: Kept) -> usize {
        self.words.values().filter(|child| child.class == class).count()
    }

    fn fold_words(&mut self, key: [u8; 16]) {
        self.words_folded = true;
        self.fold(key, |_, child| child.class == Kept::Word);
    }

    fn fold_mixed(&mut self, key: [u8; 16]) {
        self.mixed_folded = true;
        self.fold(key, |_, child| child.class == Kept::Mixed);
        for pending in std::mem::take(&mut self.pending).into_values() {
            self.value.get_or_insert_default().merge(pending.child, key);
        }
    }

    /// Takes these words for values.
    fn fold(&mut self, key: [u8; 16], chosen: impl Fn(&str, &Child) -> bool) {
        let (gone, kept) = std::mem::take(&mut self.words).into_iter().partition(|(word, child)| chosen(word, child));
        self.words = kept;
        for child in BTreeMap::<String, Child>::into_values(gone) {
            self.value.get_or_insert_default().merge(child, key);
        }
    }

    pub(super) fn merge(&mut self, other: Self, key: [u8; 16]) {
        for (method, operation) in other.operations {
            self.operations.entry(method).or_default().merge(operation);
        }
        for (word, child) in other.words {
            let class = child.class;
            self.words.entry(word).or_insert_with(|| Child { class, ..Child::default() }).merge(child, key);
        }
        for (number, pending) in other.pending {
            let own = self.pending.entry(number).or_default();
            pending.clients.into_iter().for_each(|client| own.see(client));
            own.child.merge(pending.child, key);
        }
        // What one side knows by itself, the other may know by its number.
        for (word, child) in self.words.iter_mut().filter(|(_, child)| child.class == Kept::Mixed) {
            if let Some(pending) = self.pending.remove(&number(key, word.as_bytes())) {
                child.merge(pending.child, key);
            }
        }
        if let Some(value) = other.value {
            self.value.get_or_insert_default().merge(*value, key);
        }
        if self.words_folded || other.words_folded || self.count(Kept::Word) > WORDS_MAX {
            self.fold_words(key);
        }
        if self.mixed_folded || other.mixed_folded || self.count(Kept::Mixed) + self.pending.len() > MIXED_MAX {
            self.fold_mixed(key);
        }
    }

    /// Takes everything for a value that is only known by its number.
    pub(super) fn forget_pending(&mut self, key: [u8; 16]) {
        if !self.pending.is_empty() {
            self.fold_mixed(key);
        }
        self.children().for_each(|child| child.node.forget_pending(key));
    }

    /// Makes of it what is proposed: also takes words for values under which everything is alike.
    pub(super) fn settle(&mut self, key: [u8; 16]) {
        for pending in std::mem::take(&mut self.pending).into_values() {
            self.value.get_or_insert_default().merge(pending.child, key);
        }
        // At the top of a site stand its pages, and they are alike.
        for child in self.words.values_mut().chain(self.value.as_deref_mut()) {
            child.node.settle_below(key);
        }
    }

    fn settle_below(&mut self, key: [u8; 16]) {
        let leaves: Vec<(String, Self)> = self
            .words
            .iter()
            .filter(|(_, child)| child.class == Kept::Word && child.node.is_leaf())
            .map(|(word, child)| (word.clone(), child.node.clone()))
            .collect();
        for (_, first) in &leaves {
            let alike: Vec<&String> =
                leaves.iter().filter(|(_, node)| node.is_like(first)).map(|(word, _)| word).collect();
            if alike.len() > ALIKE_MAX {
                self.fold(key, |word, _| alike.iter().any(|alike| *alike == word));
            }
        }
        self.settle(key);
    }

    fn is_leaf(&self) -> bool {
        self.words.is_empty() && self.pending.is_empty() && self.value.is_none()
    }

    fn is_like(&self, other: &Self) -> bool {
        self.operations.keys().eq(other.operations.keys())
            && self.operations.values().zip(other.operations.values()).all(|(one, other)| one.is_like(other))
    }

    pub(super) fn size(&self) -> usize {
        let below = self.words.values().chain(self.value.as_deref());
        let below = below.chain(self.pending.values().map(|pending| &pending.child));
        let operations: usize = self.operations.values().map(Operation::size).sum();
        operations + below.map(|child| 1 + child.node.size()).sum::<usize>()
    }

    fn children(&mut self) -> impl Iterator<Item = &mut Child> {
        self.words.values_mut().chain(self.value.as_deref_mut())
    }
}

impl Child {
    fn merge(&mut self, other: Self, key: [u8; 16]) {
        self.text.merge(&other.text);
        self.node.merge(other.node, key);
    }
}

impl Pending {
    fn see(&mut self, client: u64) {
        if self.clients.len() < CLIENTS_MIN && !self.clients.contains(&client) {
            self.clients.push(client);
        }
    }
}

fn octets(client: IpAddr) -> Vec<u8> {
    match client {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

/// Stands for bytes that are not to be kept: without the key, which no file holds, nobody can try what they were.
fn number(key: [u8; 16], bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&key);
    hasher.write(bytes);
    hasher.finish()
}

/// More words than this in one place are values.
const WORDS_MAX: usize = 64;
/// The same for what might be one.
const MIXED_MAX: usize = 32;
/// So many clients must have asked for what might be a value.
const CLIENTS_MIN: usize = 3;
/// More words than this with nothing below, and the same methods and names, are values: `/users/ada`, `/users/bob`.
const ALIKE_MAX: usize = 8;
