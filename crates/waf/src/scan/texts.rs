//! Which of some thousand short texts occur in a value, whatever the case of ASCII letters.
//!
//! Of each text three bytes that follow each other are its mark, chosen so that ordinary values rarely have them. A value
//! is read once, and each three bytes of it are looked up in a table of bits that fits the innermost cache; only where
//! that bit is set are texts compared. Unlike an automaton no step waits for the one before.

use std::collections::{BTreeMap, HashMap};

/// Texts to be looked for.
#[derive(Debug)]
pub(crate) struct Texts {
    /// Bytes by the signs that marks are made of; of letters the case is gone.
    signs: Box<[u8; 256]>,
    /// For each two signs, a bit for each third one with which they are a mark.
    marks: Box<[u64; PAIRS]>,
    /// For each two signs, how many marks are before theirs.
    before: Box<[u32; PAIRS]>,
    /// For each mark, where its entries begin in `entries`; one more at the end.
    starts: Box<[u32]>,
    entries: Box<[Entry]>,
    texts: Box<[Box<[u8]>]>,
}

/// A text that has a mark, and how many of its bytes come before the mark's last.
#[derive(Debug, Clone, Copy)]
struct Entry {
    text: u32,
    ahead: u32,
}

impl Texts {
    /// Texts in lower case, none of them empty.
    pub(crate) fn new(texts: &[&[u8]]) -> Self {
        let signs = signs();
        let common = Commonness::new(&signs);
        let mut by_mark: BTreeMap<usize, Vec<Entry>> = BTreeMap::new();
        for (text, number) in texts.iter().zip(0..) {
            let (last, marks) = best_mark(text, &signs, &common, &by_mark);
            let entry = Entry { text: number, ahead: u32::try_from(last).unwrap_or(u32::MAX) };
            for mark in marks {
                by_mark.entry(mark).or_default().push(entry);
            }
        }
        let (mut marks, mut before) = (Box::new([0_u64; PAIRS]), Box::new([0_u32; PAIRS]));
        let (mut starts, mut entries) = (Vec::new(), Vec::new());
        for (mark, of_mark) in by_mark {
            if let Some(bits) = marks.get_mut(mark / SIGNS) {
                *bits |= 1 << (mark % SIGNS);
            }
            starts.push(u32::try_from(entries.len()).unwrap_or(u32::MAX));
            entries.extend(of_mark);
        }
        starts.push(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        let mut count = 0;
        for (bits, before) in marks.iter().zip(before.iter_mut()) {
            *before = count;
            count += bits.count_ones();
        }
        let texts = texts.iter().map(|text| Box::from(*text)).collect();
        Self { signs, marks, before, starts: starts.into(), entries: entries.into(), texts }
    }

    /// Tells `found` the number of each text that occurs, at least once.
    pub(crate) fn find(&self, value: &[u8], mut found: impl FnMut(usize)) {
        let mut pair = 0;
        for (byte, at) in value.iter().zip(0..) {
            let sign = self.sign(*byte);
            let bits = self.marks.get(pair).copied().unwrap_or_default();
            if bits >> sign & 1 != 0 {
                self.compare(pair, sign, value, at, &mut found);
            }
            pair = (pair * SIGNS + usize::from(sign)) % PAIRS;
        }
    }

    /// Compares the texts whose mark ends at a byte of the value.
    #[cold]
    fn compare(&self, pair: usize, sign: u8, value: &[u8], at: usize, found: &mut impl FnMut(usize)) {
        let bits = self.marks.get(pair).copied().unwrap_or_default();
        let lower = bits & !(u64::MAX << sign);
        let mark = self.before.get(pair).copied().unwrap_or_default() + lower.count_ones();
        let Some([start, end]) = self.starts.get(mark as usize..).and_then(|starts| starts.first_chunk()) else {
            return;
        };
        for entry in self.entries.get(*start as usize..*end as usize).unwrap_or_default() {
            let Some(text) = self.texts.get(entry.text as usize) else { continue };
            let Some(first) = at.checked_sub(entry.ahead as usize) else { continue };
            let there = value.get(first..first + text.len());
            if there.is_some_and(|there| there.eq_ignore_ascii_case(text)) {
                found(entry.text as usize);
            }
        }
    }

    fn sign(&self, byte: u8) -> u8 {
        // A table of all bytes has every byte, and there are fewer than 64 signs.
        self.signs.get(usize::from(byte)).copied().unwrap_or_default() % 64
    }
}

/// Letters without their case, digits and punctuation each have a sign, and all other bytes a few together. What is before
/// the first byte has the sign 0.
fn signs() -> Box<[u8; 256]> {
    let mut signs = Box::new([0; 256]);
    for (sign, byte) in signs.iter_mut().zip(0..=u8::MAX) {
        *sign = match byte.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => 1 + (letter - b'a'),
            b'0' => 27,
            b'1'..=b'9' => 28,
            mark @ b' '..=b'/' => 29 + (mark - b' '),
            mark @ b':'..=b'@' => 45 + (mark - b':'),
            mark @ b'['..=b'`' => 52 + (mark - b'['),
            mark @ b'{'..=b'~' => 58 + (mark - b'{'),
            0x80.. => 62,
            _ => 63,
        };
    }
    signs
}

/// The place of the last byte of a text's mark, and the marks that any value with the text has there: one, or all that
/// end in it where the text has less than three bytes.
fn best_mark(
    text: &[u8],
    signs: &[u8; 256],
    common: &Commonness,
    taken: &BTreeMap<usize, Vec<Entry>>,
) -> (usize, Vec<usize>) {
    let signs: Vec<_> =
        text.iter().map(|byte| usize::from(signs.get(usize::from(*byte)).copied().unwrap_or_default())).collect();
    match *signs.as_slice() {
        [] => (0, Vec::new()),
        [only] => (0, (0..PAIRS).map(|pair| pair * SIGNS + only).collect()),
        [first, second] => (1, (0..SIGNS).map(|before| (before * SIGNS + first) * SIGNS + second).collect()),
        ref longer => {
            let marks = longer.array_windows().zip(2..).map(|([one, two, three], last)| {
                let mark = (one * SIGNS + two) * SIGNS + three;
                let crowd = taken.get(&mark).map_or(0, |entries| entries.len().saturating_sub(CROWD_MAX));
                (crowd, common.of(mark), last, mark)
            });
            marks.min().map_or((0, Vec::new()), |(_, _, last, mark)| (last, vec![mark]))
        }
    }
}

/// How often signs are met in ordinary values, roughly.
struct Commonness {
    marks: HashMap<usize, usize>,
    signs: [usize; SIGNS],
}

impl Commonness {
    fn new(of: &[u8; 256]) -> Self {
        let mut common = Self { marks: HashMap::new(), signs: [1; SIGNS] };
        let mut pair = 0;
        for byte in ORDINARY {
            let sign = usize::from(of.get(usize::from(*byte)).copied().unwrap_or_default());
            *common.marks.entry(pair * SIGNS + sign).or_default() += 1;
            if let Some(count) = common.signs.get_mut(sign) {
                *count += 1;
            }
            pair = (pair * SIGNS + sign) % PAIRS;
        }
        common
    }

    /// Of a mark: how often it is met, and then how common each of its signs is.
    fn of(&self, mark: usize) -> (usize, usize) {
        let three = [mark / PAIRS, mark / SIGNS % SIGNS, mark % SIGNS];
        let each = three.map(|sign| self.signs.get(sign).copied().unwrap_or(1));
        (self.marks.get(&mark).copied().unwrap_or(0), each.iter().product())
    }
}

/// A sign takes six bits.
const SIGNS: usize = 64;
const PAIRS: usize = SIGNS * SIGNS;

/// Texts that share a mark, before others are chosen for further ones.
const CROWD_MAX: usize = 8;

/// What values of requests look like.
const ORDINARY: &[u8] = include_bytes!("ordinary.txt");
