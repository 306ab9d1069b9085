//! The values of one transaction, each kept once: what a text is, which bytes it has, what transformations make of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::arena::{Arena, Span};
use crate::hash::Folded;
use crate::scan::{ClassBits, Classes};
use crate::transformation::Transformation;
use crate::work::Work;

/// A value of the transaction. Equal texts have the same one, nearly always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ValueId(u32);

#[derive(Debug, Clone, Copy)]
struct Value {
    span: Span,
    /// A bit for each class of its bytes.
    classes: ClassBits,
    candidates: Option<u32>,
    /// The value of which it is the small letters.
    cased: Option<ValueId>,
    /// The last of what was made of it, by its place in [`Values::derived`].
    derived: Option<u32>,
}

/// What a transformation makes of a value, and where what another one makes of it is noted.
#[derive(Debug, Clone, Copy)]
struct Derived {
    how: Transformation,
    becomes: ValueId,
    next: Option<u32>,
}

/// Every text that rules look at in this transaction.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) arena: Arena,
    pub(crate) work: Work,
    values: Vec<Value>,
    known: HashMap<u64, ValueId, BuildHasherDefault<AsIs>>,
    derived: Vec<Derived>,
    classes: Arc<Classes>,
    hasher: Folded,
    spare: Vec<u8>,
}

/// The text without bytes, which is always there.
pub(crate) const EMPTY: ValueId = ValueId(0);

impl Default for Values {
    fn default() -> Self {
        let mut values = Self {
            arena: Arena::default(),
            work: Work::default(),
            values: Vec::new(),
            known: HashMap::default(),
            derived: Vec::new(),
            classes: Arc::default(),
            hasher: Folded::default(),
            spare: Vec::new(),
        };
        values.clear();
        values
    }
}

impl Values {
    /// Forgets the transaction before, and keeps a bounded part of its room.
    pub(crate) fn clear(&mut self) {
        self.arena.clear(ROOM_BYTES_MAX);
        self.values.clear();
        self.values.shrink_to(ROOM_VALUES_MAX);
        self.known.clear();
        self.known.shrink_to(ROOM_VALUES_MAX);
        self.derived.clear();
        self.derived.shrink_to(ROOM_VALUES_MAX);
        self.spare.shrink_to(ROOM_BYTES_MAX);
        let empty = self.place(Span::EMPTY);
        debug_assert_eq!(empty, EMPTY);
    }

    /// From the next [`clear`](Self::clear) on, the classes of bytes are these.
    pub(crate) fn classify(&mut self, classes: &Arc<Classes>) {
        self.classes = Arc::clone(classes);
    }

    /// The value with this text.
    pub(crate) fn of(&mut self, text: &[u8]) -> ValueId {
        if text.is_empty() {
            return EMPTY;
        }
        let hash = self.hasher.hash_one(text);
        match self.same(hash, text) {
            Some(known) => known,
            None => {
                let span = self.arena.keep(text);
                self.enter(hash, span)
            }
        }
    }

    /// The value whose text lies there already.
    pub(crate) fn at(&mut self, span: Span) -> ValueId {
        if span.is_empty() {
            return EMPTY;
        }
        let text = self.arena.text(span);
        let hash = self.hasher.hash_one(text);
        self.same(hash, text).unwrap_or_else(|| self.enter(hash, span))
    }

    /// The value that a transformation makes of another.
    pub(crate) fn transform(&mut self, value: ValueId, how: Transformation) -> ValueId {
        if let Some(known) = self.transformed(value, how) {
            return known;
        }
        let first = self.get(value).and_then(|value| value.derived);
        self.work.charge(self.span(value).len());
        let mut spare = std::mem::take(&mut self.spare);
        spare.clear();
        let becomes = if how.apply(self.text(value), &mut spare) { self.of(&spare) } else { value };
        self.spare = spare;
        if how == Transformation::Lowercase && becomes != value {
            self.note_cased(becomes, value);
        }
        let place = u32::try_from(self.derived.len()).ok();
        self.derived.push(Derived { how, becomes, next: first });
        if let Some(value) = self.values.get_mut(value.0 as usize) {
            value.derived = place;
        }
        becomes
    }

    /// The same, if it was made before.
    pub(crate) fn transformed(&self, value: ValueId, how: Transformation) -> Option<ValueId> {
        let mut next = self.get(value)?.derived;
        while let Some(derived) = next.and_then(|next| self.derived.get(next as usize)) {
            if derived.how == how {
                return Some(derived.becomes);
            }
            next = derived.next;
        }
        None
    }

    pub(crate) fn text(&self, value: ValueId) -> &[u8] {
        self.arena.text(self.span(value))
    }

    pub(crate) fn span(&self, value: ValueId) -> Span {
        self.get(value).map_or(Span::EMPTY, |value| value.span)
    }

    /// Which classes of bytes occur in it.
    pub(crate) fn classes(&self, value: ValueId) -> ClassBits {
        self.get(value).map_or(0, |value| value.classes)
    }

    /// A value that is the same but for the case of letters, and is there longer.
    pub(crate) fn cased(&self, value: ValueId) -> Option<ValueId> {
        self.get(value)?.cased
    }

    fn note_cased(&mut self, value: ValueId, cased: ValueId) {
        if let Some(found) = self.values.get_mut(value.0 as usize).filter(|_| cased.0 < value.0) {
            found.cased = Some(cased);
        }
    }

    /// Where the operators that may match it were noted.
    pub(crate) fn candidates(&self, value: ValueId) -> Option<u32> {
        self.get(value)?.candidates
    }

    pub(crate) fn note_candidates(&mut self, value: ValueId, place: u32) {
        if let Some(value) = self.values.get_mut(value.0 as usize) {
            value.candidates = Some(place);
        }
    }

    fn get(&self, value: ValueId) -> Option<&Value> {
        self.values.get(value.0 as usize)
    }

    /// The value under this hash, if it has this very text. Two texts of one hash are kept beside each other: whoever
    /// makes such texts gains nothing but that they are judged twice.
    fn same(&self, hash: u64, text: &[u8]) -> Option<ValueId> {
        self.known.get(&hash).copied().filter(|known| self.text(*known) == text)
    }

    fn enter(&mut self, hash: u64, span: Span) -> ValueId {
        let value = self.place(span);
        self.known.entry(hash).or_insert(value);
        value
    }

    fn place(&mut self, span: Span) -> ValueId {
        // INVARIANT: the arena names less than 2^32 bytes, and each value but the empty one has a byte of its own.
        let value = ValueId(u32::try_from(self.values.len()).unwrap_or(0));
        let classes = self.classes.of_text(self.arena.text(span));
        self.values.push(Value { span, classes, candidates: None, cased: None, derived: None });
        value
    }
}

/// For keys that are hashes already.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What is kept for the next transaction: enough for requests of people, little for a worker to hold on to.
const ROOM_BYTES_MAX: usize = 256 * 1024;
const ROOM_VALUES_MAX: usize = 4 * 1024;
