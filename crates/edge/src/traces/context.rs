//! Trace context between programs (W3C Trace Context, <https://www.w3.org/TR/trace-context/>), and ids for new traces.
//!
//! Read by hand and not by a library: this is done for every request, and those there are allocate for each.

use reeve_base::Entropy;

/// The number of a trace; never all zeroes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId(pub(super) [u8; 16]);

/// The number of a span; never all zeroes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanId(pub(super) [u8; 8]);

/// What one program tells the next: the trace, the span that the next one's are children of, whether it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    /// [`SAMPLED`] and [`RANDOM`]; no other flag has a meaning yet.
    pub(super) flags: u8,
}

/// Whoever sent it records its part.
pub(super) const SAMPLED: u8 = 1;

/// The right 56 bits of the trace's number are random (level 2 of the specification).
pub(super) const RANDOM: u8 = 2;

impl Context {
    /// Reads the value of a `traceparent`. Nothing if it is none: the specification has it ignored then, and a new trace
    /// begun.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let (version, rest) = number::<1>(value)?;
        let (trace, rest) = number::<16>(dash(rest)?)?;
        let (span, rest) = number::<8>(dash(rest)?)?;
        let (flags, rest) = number::<1>(dash(rest)?)?;
        // What a later version adds begins with a dash; there is nothing to add to this one.
        let ends = rest.is_empty() || (version != [0] && rest.starts_with(b"-"));
        let sound = version != [u8::MAX] && trace != [0; 16] && span != [0; 8];
        let [flags] = flags;
        let context = Self { trace: TraceId(trace), span: SpanId(span), flags: flags & (SAMPLED | RANDOM) };
        (ends && sound).then_some(context)
    }

    /// The value of a `traceparent`.
    pub(crate) fn write(&self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let (ids, flags) = (self.trace.0.iter().chain(&self.span.0), std::iter::once(&self.flags));
        let mut places = text.iter_mut().skip(3).filter(|byte| **byte != b'-');
        for byte in ids.chain(flags) {
            for half in [byte >> 4, byte & 15] {
                places.next().into_iter().for_each(|place| *place = digit(half));
            }
        }
        text
    }

    pub(crate) const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The first `N` bytes in hexadecimal, in small letters as the specification has it, and what comes after them.
fn number<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * N)?;
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (value(*high)? << 4) | value(*low)?;
    }
    Some((bytes, rest))
}

fn dash(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"-")
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

const fn digit(half: u8) -> u8 {
    if half < 10 { b'0' + half } else { b'a' + half - 10 }
}

/// The value of a `traceparent` of version 00 is so long.
const LENGTH: usize = 55;

/// Chance for the ids of one worker, asked of the system in large pieces: a request cannot afford to ask for itself.
pub(super) struct Chance {
    pool: Box<[u8; POOL_BYTES]>,
    used: usize,
}

/// The ids of a trace that begins here, and of its two spans.
pub(super) struct Fresh {
    pub(super) trace: TraceId,
    pub(super) server: SpanId,
    pub(super) client: SpanId,
}

impl Chance {
    pub(super) fn new() -> Self {
        Self { pool: Box::new([0; POOL_BYTES]), used: POOL_BYTES }
    }

    /// New ids; none if the system has no chance to give.
    pub(super) fn fresh(&mut self, entropy: &dyn Entropy) -> Option<Fresh> {
        Some(Fresh {
            trace: TraceId(self.take(entropy)?),
            server: SpanId(self.take(entropy)?),
            client: SpanId(self.take(entropy)?),
        })
    }

    fn take<const N: usize>(&mut self, entropy: &dyn Entropy) -> Option<[u8; N]> {
        if self.used + N > POOL_BYTES {
            entropy.fill(&mut *self.pool).ok()?;
            self.used = 0;
        }
        let mut id = [0; N];
        id.copy_from_slice(self.pool.get(self.used..self.used + N)?);
        self.used += N;
        // All zeroes is no id. Chance alone does not come to it in the life of the world; a broken source may.
        if id == [0; N] {
            id.fill(1);
        }
        Some(id)
    }
}

/// Enough for 256 requests.
const POOL_BYTES: usize = 256 * 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reeve_base::SystemEntropy;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(Context::read(text.as_bytes()).is_some(), expected, "{text}");
    }

    #[test]
    fn a_context_is_written_as_it_was_read() {
        let context = Context::read(GOOD.as_bytes()).unwrap();
        assert!(context.is_sampled());
        assert_eq!(std::str::from_utf8(&context.write()).unwrap(), GOOD);
    }

    #[test]
    fn what_is_no_context_is_ignored() {
        check(GOOD, true);
        // A version that is not known yet may say more.
        check("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true);
        check("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes", true);
        check("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what-comes", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes", false);
        check("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
        check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false);
        check("00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x", false);
        check("", false);
        check(&"-".repeat(55), false);
    }

    #[test]
    fn flags_without_a_meaning_are_not_passed_on() {
        let context = Context::read(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff").unwrap();
        assert_eq!(context.flags, SAMPLED | RANDOM);
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_would_be_written(
            text in prop_oneof![".{0,60}", "[0-9a-f-]{55}", "(00|01)-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3](-x)?"],
        ) {
            if let Some(context) = Context::read(text.as_bytes()) {
                let written = String::from_utf8(context.write().to_vec()).unwrap();
                prop_assert_eq!(written.get(3..53), text.get(3..53));
                prop_assert_eq!(Context::read(written.as_bytes()), Some(context));
            }
        }
    }

    #[test]
    fn ids_differ() {
        let mut chance = Chance::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let fresh = chance.fresh(&SystemEntropy).unwrap();
            assert!(seen.insert(fresh.trace.0.to_vec()));
            assert!(seen.insert(fresh.server.0.to_vec()) && seen.insert(fresh.client.0.to_vec()));
        }
    }
}
