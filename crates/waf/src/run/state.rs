//! What changes while rules run.

use std::sync::Arc;

use crate::collections::{Collections, Entry};
use crate::evidence::Trace;
use crate::memory::{Member, Memory, Name};
use crate::operator::Made;
use crate::program::{Exception, Program};
use crate::rule::{Collection, Severity};
use crate::scan::{ClassBits, Seen};
use crate::store::Store;
use crate::values::{ValueId, Values};
use crate::variable::Variable;

/// Everything that changes while rules run.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Whose transaction it was.
    engine: u64,
    pub(crate) values: Values,
    pub(crate) collections: Collections,
    pub(crate) store: Store,
    pub(super) made: Made,
    pub(super) seen: Seen,
    pub(super) lanes: Notes,
    pub(super) groups: Notes,
    /// The members of all fields that are known, each field's together.
    pub(super) members: Vec<Entry>,
    /// Of each field, where they are.
    pub(super) fields: Vec<Option<Members>>,
    /// Of each field, the operators that may match a member as it came.
    pub(super) plain: Notes,
    /// Of the link that runs: what has matched.
    pub(super) matched: Vec<Matched>,
    /// Of the link before: MATCHED_VARS.
    pub(super) matched_before: Vec<Matched>,
    pub(super) matched_last: Option<Matched>,
    /// Chains that a rule has switched off, by number.
    pub(super) removed: Vec<bool>,
    /// Collections that are kept when the transaction is over, and when their members are forgotten.
    pub(super) opened: Vec<Name>,
    pub(super) expiring: Vec<(Collection, Box<[u8]>, i64)>,
    pub(super) excepted: Vec<(Arc<[bool]>, Arc<Exception>)>,
    pub(super) spare: Vec<Entry>,
    pub(super) fresh: Vec<Entry>,
    /// What a value is on the way through a chain of transformations.
    pub(super) way: Vec<ValueId>,
    pub(super) highest: Option<Severity>,
    /// Of the rule that runs, where it speaks: in which places it has matched.
    pub(super) traces: Vec<Trace>,
    /// The link of it that runs.
    pub(super) link: usize,
    /// What it has added to a score.
    pub(super) added: i64,
}

/// A member in which something was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matched {
    pub(crate) variable: Variable,
    pub(crate) name: ValueId,
    pub(crate) value: ValueId,
}

/// The members of a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members {
    pub(super) start: usize,
    pub(super) end: usize,
    /// A bit for each class of bytes in their values.
    pub(super) classes: ClassBits,
}

/// Bits that were found for fields, lanes or groups in this transaction. Nothing is wiped between transactions: what was
/// noted before has an older stamp.
#[derive(Debug, Default)]
pub(super) struct Notes {
    stamps: Vec<u32>,
    now: u32,
    words: Vec<u64>,
}

impl Notes {
    /// Forgets everything, in an instant.
    pub(super) fn begin(&mut self, count: usize, width: usize) {
        self.now = self.now.wrapping_add(1);
        if self.now == 0 || self.stamps.len() != count || self.words.len() != count * width {
            self.stamps = vec![0; count];
            self.words = vec![0; count * width];
            self.now = 1;
        }
    }

    pub(super) fn is_known(&self, at: usize) -> bool {
        self.stamps.get(at).is_none_or(|stamp| *stamp == self.now)
    }

    pub(super) fn forget(&mut self, at: usize) {
        if let Some(stamp) = self.stamps.get_mut(at) {
            *stamp = 0;
        }
    }

    /// What was noted; nothing if nothing was.
    pub(super) fn words(&self, at: usize, width: usize) -> &[u64] {
        let words = self.words.get(at * width..(at + 1) * width).filter(|_| self.is_known(at));
        words.unwrap_or_default()
    }

    /// Where to note it.
    pub(super) fn note(&mut self, at: usize, width: usize) -> &mut [u64] {
        let words = self.words.get_mut(at * width..(at + 1) * width).unwrap_or_default();
        if let Some(stamp) = self.stamps.get_mut(at).filter(|stamp| **stamp != self.now) {
            *stamp = self.now;
            words.fill(0);
        }
        words
    }
}

impl State {
    /// Ready for a transaction of this engine. What was learned of values is forgotten when it was another engine that
    /// learned it: its operators had other numbers.
    pub(crate) fn clear(&mut self, program: &Program, engine: u64) {
        if self.engine != engine {
            self.engine = engine;
            self.seen = Seen::default();
            (self.plain, self.lanes, self.groups) = (Notes::default(), Notes::default(), Notes::default());
            self.values.classify(program.scan.classes());
        }
        self.values.clear();
        self.collections.clear();
        self.store.clear(&program.names);
        self.seen.clear();
        self.matched.clear();
        self.matched_before.clear();
        self.matched_last = None;
        let width = program.scan.width();
        self.plain.begin(program.fields.len(), width);
        self.lanes.begin(program.lanes.len(), width);
        self.groups.begin(program.groups.len(), width);
        self.fields.clear();
        self.fields.resize(program.fields.len(), None);
        self.members.clear();
        self.members.shrink_to(ROOM_MEMBERS_MAX);
        self.fresh.shrink_to(ROOM_MEMBERS_MAX);
        self.spare.shrink_to(ROOM_MEMBERS_MAX);
        self.removed.clear();
        self.opened.clear();
        self.expiring.clear();
        self.excepted.clear();
        self.highest = None;
    }
}

impl State {
    /// Leaves chains out, by their numbers.
    pub(crate) fn remove(&mut self, meant: &[bool]) {
        self.removed.resize(meant.len(), false);
        for (removed, meant) in self.removed.iter_mut().zip(meant) {
            *removed |= meant;
        }
    }

    /// Leaves members out of what chains look at, by their numbers.
    pub(crate) fn except(&mut self, meant: Arc<[bool]>, exception: Arc<Exception>) {
        self.excepted.push((meant, exception));
    }

    /// Forgets what was found of fields whose members have changed since.
    pub(super) fn refresh(&mut self, program: &Program) {
        for ((field, known), at) in program.fields.iter().zip(&mut self.fields).zip(0..) {
            if known.is_some() && self.collections.has_changed(field.variable) {
                *known = None;
                self.plain.forget(at);
            }
        }
        for (lane, at) in program.lanes.iter().zip(0..) {
            if self.fields.get(lane.field).is_none_or(Option::is_none) {
                self.lanes.forget(at);
            }
        }
        for (group, at) in program.groups.iter().zip(0..) {
            if group.iter().any(|lane| !self.lanes.is_known(*lane)) {
                self.groups.forget(at);
            }
        }
        self.collections.settle();
    }

    /// Remembers the collections that rules have opened.
    pub(crate) fn remember(&mut self, program: &Program, memory: &Memory, now: i64) {
        for name in std::mem::take(&mut self.opened) {
            let collection = name.0;
            let all: Vec<_> =
                self.store.all(&program.names, collection).map(|(name, held)| (Box::from(name), held)).collect();
            let members = all.into_iter().map(|(name, held): (Box<[u8]>, _)| {
                let value = held.value(&mut self.values);
                let expiring = self.expiring.iter().rev().find(|(of, known, _)| *of == collection && *known == name);
                Member { value: self.values.text(value).into(), until: expiring.map(|(_, _, until)| *until), name }
            });
            memory.keep(name, members.collect(), now, program.settings.collection_timeout);
        }
    }
}

/// What is kept for the next transaction of the room that one with very many members took.
const ROOM_MEMBERS_MAX: usize = 4 * 1024;
