//! The tags, attributes and addresses that run script.

use std::sync::LazyLock;

/// What an attribute does with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    /// It may run it, whatever it is: events, styles, namespaces.
    Script,
    /// It fetches what it names.
    Address,
    /// It is the name of another attribute.
    Name,
}

impl Attribute {
    /// What a name stands for, if that may run script.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        if name.len() >= LISTED_BYTES_MIN {
            if let [b'o' | b'O', b'n' | b'N', event @ ..] = name
                && Events::shared().begins(event)
            {
                return Some(Self::Script);
            }
            // Namespaces can rename tags.
            let start = name.get(..LISTED_BYTES_MIN).unwrap_or_default();
            if start.eq_ignore_ascii_case(b"xmlns") || start.eq_ignore_ascii_case(b"xlink") {
                return Some(Self::Script);
            }
        }
        if name.len() < 2 {
            return None;
        }
        ATTRIBUTES.iter().find(|(listed, _)| same(name, listed.as_bytes())).map(|(_, attribute)| *attribute)
    }
}

/// Whether a tag of this name runs script, or loads what does.
pub(super) fn tag_runs_script(name: &[u8]) -> bool {
    let Some(start) = name.get(..3) else { return false };
    start.eq_ignore_ascii_case(b"svg")
        || start.eq_ignore_ascii_case(b"xsl")
        || TAGS.iter().any(|tag| same(name, tag.as_bytes()))
}

/// Whether an address has a scheme that runs script.
///
/// Spaces and bytes beyond ASCII before it are skipped, and character references are read, as browsers do.
pub(super) fn address_runs_script(address: &[u8]) -> bool {
    let start = address.iter().position(|byte| (b'!'..0x7f).contains(byte)).unwrap_or(address.len());
    let address = address.get(start..).unwrap_or_default();
    SCHEMES.iter().any(|scheme| begins_with_scheme(address, scheme.as_bytes()))
}

/// Whether a name is the listed one, whatever its case, without its NUL bytes.
pub(super) fn same(name: &[u8], listed: &[u8]) -> bool {
    name.len() >= listed.len()
        && name.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).eq(listed.iter().copied())
}

/// The names of events, made for looking up.
struct Events {
    /// Sorted, without those that begin with another: for whatever begins with one of these, it is the last that is
    /// not greater.
    names: Vec<&'static [u8]>,
}

impl Events {
    fn shared() -> &'static Self {
        static SHARED: LazyLock<Events> = LazyLock::new(|| {
            let mut names: Vec<&'static [u8]> =
                EVENTS.lines().filter(|line| !line.starts_with('#')).map(str::as_bytes).collect();
            names.sort_unstable();
            names.dedup_by(|name, before| name.starts_with(before));
            Events { names }
        });
        &SHARED
    }

    /// Whether the name begins with that of an event: browsers learn new ones such as `scrollend` every year.
    fn begins(&self, name: &[u8]) -> bool {
        let mut capitals = [0; EVENT_BYTES_MAX];
        let mut length = 0;
        for (place, byte) in capitals.iter_mut().zip(name.iter().filter(|byte| **byte != 0)) {
            *place = byte.to_ascii_uppercase();
            length += 1;
        }
        let name = capitals.get(..length).unwrap_or_default();
        let after = self.names.partition_point(|event| *event <= name);
        after.checked_sub(1).and_then(|last| self.names.get(last)).is_some_and(|event| name.starts_with(event))
    }
}

fn begins_with_scheme(address: &[u8], scheme: &[u8]) -> bool {
    // Browsers drop NUL bytes and line ends inside, and all control characters before.
    let shown = Characters { rest: address }.skip_while(|code| *code <= u32::from(b' '));
    let mut characters = shown.filter(|code| !matches!(code, 0 | 10));
    scheme.iter().all(|letter| {
        characters.next().and_then(char::from_u32).is_some_and(|code| code.eq_ignore_ascii_case(&char::from(*letter)))
    })
}

/// The characters of a value, with numeric references read and all else byte by byte.
struct Characters<'a> {
    rest: &'a [u8],
}

impl Iterator for Characters<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.rest.split_first()?;
        let (code, rest) = reference(self.rest).unwrap_or((u32::from(*first), rest));
        self.rest = rest;
        Some(code)
    }
}

/// The number of a reference such as `&#106;` or `&#x6a`, and what comes after it.
fn reference(text: &[u8]) -> Option<(u32, &[u8])> {
    let (radix, digits) = match text {
        [b'&', b'#', b'x' | b'X', digits @ ..] => (16, digits),
        [b'&', b'#', digits @ ..] => (10, digits),
        _ => return None,
    };
    let mut code = None;
    let mut rest = digits;
    while let Some((first, after)) = rest.split_first()
        && let Some(digit) = char::from(*first).to_digit(radix)
    {
        // The bound keeps the number within 32 bits: it grows by one digit at most past it.
        code = Some(code.unwrap_or(0) * radix + digit).filter(|code| *code <= CODE_MAX);
        code?;
        rest = after;
    }
    Some((code?, rest.strip_prefix(b";").unwrap_or(rest)))
}

/// The greatest number that a reference is read for.
const CODE_MAX: u32 = 0x10_00ff;

const EVENTS: &str = include_str!("events.txt");

/// The longest name of an event in the list.
const EVENT_BYTES_MAX: usize = 44;

/// The shortest event, `on` before it, and the prefixes of namespaces.
const LISTED_BYTES_MIN: usize = 5;

const TAGS: [&str; 20] = [
    "applet", "base", "comment", "embed", "frame", "frameset", "handler", "iframe", "import", "isindex", "link",
    "listener", "meta", "noscript", "object", "script", "style", "vmlframe", "xml", "xss",
];

const ATTRIBUTES: [(&str, Attribute); 20] = [
    ("action", Attribute::Address),
    ("attributename", Attribute::Name),
    ("background", Attribute::Address),
    ("by", Attribute::Address),
    ("dataformatas", Attribute::Script),
    ("datasrc", Attribute::Script),
    ("dynsrc", Attribute::Address),
    ("filter", Attribute::Script),
    ("folder", Attribute::Address),
    ("formaction", Attribute::Address),
    ("from", Attribute::Address),
    ("handler", Attribute::Address),
    ("href", Attribute::Address),
    ("lowsrc", Attribute::Address),
    ("poster", Attribute::Address),
    ("src", Attribute::Address),
    ("style", Attribute::Script),
    ("to", Attribute::Address),
    ("values", Attribute::Address),
    ("xlink:href", Attribute::Address),
];

/// `java` stands for `javascript` as well.
const SCHEMES: [&str; 4] = ["data", "java", "vbscript", "view-source"];
