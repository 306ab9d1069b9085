//! Stack traces in answers: what a failing program says of its insides.
//!
//! The rule. A trace counts when its head ("Traceback (most recent call last)", "goroutine 1 [running]:", a line that names
//! an exception) and a frame that names a place in a source file stand close together in the visible text; a message of a
//! database counts in an error answer, and in others only where there is little else. One half alone is talk about
//! traces and not one. Pages that show whole traces to explain them are named in the policy (`documentation`).
//!
//! The search for heads is one pass over the bytes; only around a hit is the text freed of its mark-up and looked at.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, Match, MatchKind, Span, packed};

/// What surrounds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// HTML: tags and entities.
    Markup,
    /// JSON: escapes.
    Escapes,
    /// Nothing.
    Plain,
}

/// What the status says of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// That something went wrong: 4xx.
    Error,
    /// That all is well.
    Success,
}

/// The trace in this text, by the name of what wrote it.
pub(crate) fn find(text: &[u8], wrapping: Wrapping, standing: Standing) -> Option<&'static str> {
    let (mut from, mut looked_until, mut looks) = (0, 0, 0);
    while let Some(hit) = HEADS.next(text, from) {
        from = hit.end();
        let (kind, _) = ANCHORS.get(hit.pattern().as_usize())?;
        if *kind == Anchor::Database && (standing == Standing::Error || text.len() <= LITTLE_BYTES) {
            return Some("a database");
        }
        // Heads that stand together are looked at together.
        if hit.start() < looked_until {
            continue;
        }
        looks += 1;
        if looks > LOOKS_MAX {
            return None;
        }
        let window = hit.start().saturating_sub(BEFORE_BYTES)..(hit.end() + AFTER_BYTES).min(text.len());
        let visible = visible(text.get(window)?, wrapping);
        let lines: Vec<&str> = visible.lines().map(str::trim).collect();
        if let Some(found) = SHAPES.iter().find_map(|(name, shape)| shape(&lines).then_some(*name)) {
            return Some(found);
        }
        // Half of the window, so that a trace that lies across its end is whole in the next.
        looked_until = hit.end() + AFTER_BYTES / 2;
    }
    None
}

/// What a hit may be the head of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Trace,
    Database,
}

/// The shapes that traces have, each over the visible lines around a head.
type Shape = fn(&[&str]) -> bool;

const SHAPES: [(&str, Shape); 8] = [
    ("Python", python),
    ("Go", go),
    ("Rust", rust),
    ("PHP", php),
    ("Node.js", node),
    ("Ruby", ruby),
    ("Java", java),
    (".NET", dot_net),
];

/// `Traceback (most recent call last)`, then `File "x", line 3`.
fn python(lines: &[&str]) -> bool {
    let frame = |line: &&str| {
        line.starts_with("File \"") && line.split_once("\", line ").is_some_and(|(_, rest)| starts_with_digit(rest))
    };
    follows(lines, |line| line.contains("Traceback (most recent call last)"), frame)
}

/// `goroutine 1 [running]:`, then `/srv/main.go:12`.
fn go(lines: &[&str]) -> bool {
    let head = |line: &str| line.contains("goroutine ") && line.contains("]:");
    follows(lines, head, |line| numbered(line, ".go:"))
}

/// `thread 'main' panicked at src/main.rs:3:5:`, in one line or two.
fn rust(lines: &[&str]) -> bool {
    let head = |line: &str| line.contains("thread '") && line.contains("panicked at");
    lines.iter().any(|line| head(line) && numbered(line, ".rs:")) || follows(lines, head, |line| numbered(line, ".rs:"))
}

/// `Fatal error: … in /srv/a.php on line 3`, or `Stack trace:` with `#0 /srv/a.php(3)`.
fn php(lines: &[&str]) -> bool {
    let kinds = ["Fatal error", "Parse error", "Warning", "Notice", "Deprecated"];
    let message = |line: &&str| {
        let place = line
            .split_once(" on line ")
            .is_some_and(|(before, rest)| before.contains(" in ") && starts_with_digit(rest));
        place && line.contains(".php") && kinds.iter().any(|kind| line.contains(&format!("{kind}:")))
    };
    let frame = |line: &&str| line.starts_with('#') && line.contains(".php(");
    lines.iter().any(message) || follows(lines, |line| line.contains("Stack trace:"), frame)
}

/// A line that names an error, then `at f (/srv/a.js:3:5)`.
fn node(lines: &[&str]) -> bool {
    let frame = |line: &&str| {
        let file = [".js:", ".mjs:", ".cjs:", ".ts:", ".jsx:", ".tsx:"].iter().any(|end| numbered(line, end));
        line.starts_with("at ") && (file || line.contains("(node:internal/"))
    };
    soon_after(lines, |line| line.contains("Error"), frame)
}

/// Two frames such as `app/a.rb:3:in 'call'`, or one after a line that names an error.
fn ruby(lines: &[&str]) -> bool {
    let frame = |line: &&str| numbered(line, ".rb:") && (line.contains(":in `") || line.contains(":in '"));
    lines.iter().filter(|line| frame(line)).count() > 1 || soon_after(lines, |line| line.contains("Error"), frame)
}

/// A line that names an exception, then `at com.example.A.b(A.java:3)`.
fn java(lines: &[&str]) -> bool {
    let frame = |line: &&str| {
        let place = [".java:", ".kt:", ".scala:", ".groovy:"].iter().any(|end| numbered(line, end));
        called(line) && (place || line.contains("(Native Method)") || line.contains("(Unknown Source)"))
    };
    soon_after(lines, names_exception, frame)
}

/// A line that names an exception, then `at Shop.Cart.Total() in C:\shop\Cart.cs:line 3`, or two frames without a file.
fn dot_net(lines: &[&str]) -> bool {
    let placed =
        |line: &&str| called(line) && line.split_once(":line ").is_some_and(|(_, rest)| starts_with_digit(rest));
    let bare = |line: &&str| called(line) && line.contains(") ") || called(line) && line.ends_with(')');
    let twice = lines.windows(2).any(|pair| pair.iter().all(bare));
    soon_after(lines, names_exception, placed) || (twice && soon_after(lines, names_exception, bare))
}

/// `at a.b.C(…`.
fn called(line: &str) -> bool {
    let Some(call) = line.strip_prefix("at ") else { return false };
    let Some((name, _)) = call.split_once('(') else { return false };
    name.contains('.') && !name.contains(' ')
}

fn names_exception(line: &str) -> bool {
    ["Exception", "Error", "Throwable"].iter().any(|word| line.contains(word))
}

/// Whether a line like `head` has one like `frame` somewhere below it.
fn follows(lines: &[&str], head: impl Fn(&str) -> bool, frame: impl Fn(&&str) -> bool) -> bool {
    let below = lines.iter().skip_while(|line| !head(line)).skip(1);
    below.take(LINES_BETWEEN_MAX).any(frame)
}

/// The same for a head that is an everyday word: the frame must come within a few lines.
fn soon_after(lines: &[&str], head: impl Fn(&str) -> bool, frame: impl Fn(&&str) -> bool) -> bool {
    let near = |at: usize| lines.get(at + 1..lines.len().min(at + 1 + LINES_SOON)).unwrap_or_default();
    lines.iter().enumerate().any(|(at, line)| head(line) && near(at).iter().any(&frame))
}

/// Whether `end` stands in the line with a digit after it.
fn numbered(line: &str, end: &str) -> bool {
    line.match_indices(end).any(|(at, _)| line.get(at + end.len()..).is_some_and(starts_with_digit))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|character: char| character.is_ascii_digit())
}

/// The text as a reader sees it.
fn visible(bytes: &[u8], wrapping: Wrapping) -> String {
    let text = String::from_utf8_lossy(bytes);
    match wrapping {
        Wrapping::Plain => text.into_owned(),
        Wrapping::Escapes => unescaped(&text),
        Wrapping::Markup => unmarked(&text),
    }
}

/// JSON's escapes undone, as far as lines and quotes need it (RFC 8259 section 7).
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n' | 'r') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                plain.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

/// Without tags, with the entities that stand for what a trace is made of. Tags that end a line end one here.
fn unmarked(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let entity = ENTITIES.iter().find_map(|(name, value)| Some((from.strip_prefix(*name)?, *value)));
        rest = match entity {
            Some((after, value)) => {
                plain.push(value);
                after
            }
            None => match from.strip_prefix('<').and_then(|tag| tag.split_once('>')) {
                Some((tag, after)) if is_tag(tag) => {
                    if ends_line(tag) {
                        plain.push('\n');
                    }
                    after
                }
                // Less-than by itself, as in Ruby's `<main>`, and what was cut off.
                _ => {
                    plain.extend(from.chars().next());
                    from.get(1..).unwrap_or_default()
                }
            },
        };
    }
    plain.push_str(rest);
    plain
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= TAG_BYTES_MAX
        && tag.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '/' | '!'))
}

fn ends_line(tag: &str) -> bool {
    let name = tag.trim_start_matches('/').split(|character: char| !character.is_ascii_alphanumeric()).next();
    let name = name.unwrap_or_default();
    LINE_TAGS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

const LINE_TAGS: [&str; 16] =
    ["br", "p", "div", "li", "ul", "ol", "tr", "td", "pre", "h1", "h2", "h3", "dt", "dd", "table", "code"];

const ENTITIES: [(&str, char); 12] = [
    ("&quot;", '"'),
    ("&#34;", '"'),
    ("&#x22;", '"'),
    ("&#39;", '\''),
    ("&#x27;", '\''),
    ("&apos;", '\''),
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&amp;", '&'),
    ("&nbsp;", ' '),
    ("&#160;", ' '),
    ("&#x60;", '`'),
];

/// The texts that are looked for. Each is rare in ordinary pages, because what follows a hit is what costs.
const ANCHORS: [(Anchor, &str); 40] = [
    (Anchor::Trace, "Traceback (most recent call last)"),
    (Anchor::Trace, "goroutine "),
    (Anchor::Trace, "panicked at"),
    (Anchor::Trace, "Fatal error"),
    (Anchor::Trace, "Parse error"),
    (Anchor::Trace, "Stack trace:"),
    (Anchor::Trace, ".php</b> on line"),
    (Anchor::Trace, ".php on line "),
    (Anchor::Trace, ".java:"),
    (Anchor::Trace, ".kt:"),
    (Anchor::Trace, ".scala:"),
    (Anchor::Trace, "(Unknown Source)"),
    (Anchor::Trace, "(Native Method)"),
    (Anchor::Trace, ".cs:line "),
    (Anchor::Trace, ".vb:line "),
    (Anchor::Trace, "at System."),
    (Anchor::Trace, "at Microsoft."),
    (Anchor::Trace, "Exception:"),
    (Anchor::Trace, ".js:"),
    (Anchor::Trace, ".mjs:"),
    (Anchor::Trace, ".cjs:"),
    (Anchor::Trace, ".ts:"),
    (Anchor::Trace, "(node:internal/"),
    (Anchor::Trace, ".rb:"),
    (Anchor::Database, "You have an error in your SQL syntax"),
    (Anchor::Database, "PSQLException: ERROR"),
    (Anchor::Database, "SQLSTATE["),
    (Anchor::Database, "ERROR: syntax error at or near"),
    (Anchor::Database, "ERROR:  syntax error at or near"),
    (Anchor::Database, "Unclosed quotation mark after the character string"),
    (Anchor::Database, "Microsoft OLE DB Provider for"),
    (Anchor::Database, "[ODBC SQL Server Driver]"),
    (Anchor::Database, "[Microsoft][ODBC"),
    (Anchor::Database, "SQLITE_ERROR"),
    (Anchor::Database, "sqlite3.OperationalError"),
    (Anchor::Database, "pg_query(): Query failed"),
    (Anchor::Database, "mysql_fetch_"),
    (Anchor::Database, "com.mysql.jdbc"),
    (Anchor::Database, "quoted string not properly terminated"),
    (Anchor::Database, "psycopg2.errors."),
];

/// Made once. Vector instructions look for all texts at once, twice as fast as an automaton; where a processor has none,
/// the automaton looks. One of the two can always be built, which a test holds; were it otherwise, nothing is found.
static HEADS: LazyLock<Heads> = LazyLock::new(|| {
    let patterns = || ANCHORS.iter().map(|(_, text)| text);
    let vectors =
        packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder().extend(patterns()).build();
    let automaton = || AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(patterns()).ok();
    match vectors {
        Some(vectors) => Heads::Vectors(Box::new(vectors)),
        None => Heads::Automaton(automaton()),
    }
});

enum Heads {
    Vectors(Box<packed::Searcher>),
    Automaton(Option<AhoCorasick>),
}

impl Heads {
    /// The first head at or after `from`.
    fn next(&self, text: &[u8], from: usize) -> Option<Match> {
        match self {
            Self::Vectors(vectors) => vectors.find_in(text, Span::from(from..text.len())),
            Self::Automaton(automaton) => automaton.as_ref()?.find(Input::new(text).range(from..)),
        }
    }
}

/// A page whose hits lead nowhere so often is no trace but a file of source places.
const LOOKS_MAX: usize = 16;

/// Heads stand above frames, and frames are anchors too.
const BEFORE_BYTES: usize = 2 * 1024;
const AFTER_BYTES: usize = 6 * 1024;

/// Between the head of a trace and a frame there are messages, and parts of other frames.
const LINES_BETWEEN_MAX: usize = 40;
const LINES_SOON: usize = 6;

/// An answer with nothing in it but a message.
const LITTLE_BYTES: usize = 2 * 1024;
const TAG_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests;
