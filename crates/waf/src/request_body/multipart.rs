//! multipart/form-data (RFC 7578, RFC 2046), strictly, and with a word for everything that is odd.
//!
//! A fault does not end the reading: what a more lenient server would take for a part is shown to the rules, too.

mod boundary;
mod disposition;

use memchr::memmem::Finder;

use self::disposition::Disposition;
use super::{BodyFault, Faults, Limits, Multipart};
use crate::arena::{Arena, Member, Span};

/// Header lines of one part.
const PART_HEADERS_MAX: usize = 32;
/// Bytes of one header line, with what is folded onto it.
const PART_HEADER_BYTES_MAX: usize = 4_096;

/// A multipart/form-data body; `content_type` is the request's field with the boundary. A part whose file name is empty
/// is a field, so that its content is looked into.
///
/// Returns what was read, and the first fault.
pub(crate) fn multipart(
    body: &[u8],
    content_type: &[u8],
    limits: &Limits,
    arena: &mut Arena,
) -> (Multipart, Result<(), BodyFault>) {
    let mut out = Multipart::default();
    let boundary = match boundary::boundary(content_type, &mut out.flags) {
        Ok(boundary) => boundary,
        Err(fault) => return (out, Err(BodyFault::Malformed(fault.to_owned()))),
    };
    if body.is_empty() {
        return (out, Ok(()));
    }
    let delimiter = [b"--", boundary].concat();
    let mut reader = Reader {
        delimiter: Finder::new(&delimiter),
        quoted: out.flags.boundary_quoted,
        limits,
        arena,
        out,
        faults: Faults::default(),
        place: Place::Before,
        part: Part::default(),
        parts: 0,
        crlf: false,
        unmatched: false,
    };
    reader.read(body);
    (reader.out, reader.faults.into_result())
}

struct Reader<'b, 'a> {
    /// Two hyphens and the boundary.
    delimiter: Finder<'b>,
    quoted: bool,
    limits: &'a Limits,
    arena: &'a mut Arena,
    out: Multipart,
    faults: Faults,
    place: Place,
    part: Part,
    parts: usize,
    /// A line ended as it should.
    crlf: bool,
    /// A line that looks like another boundary, and none of ours after it.
    unmatched: bool,
}

/// Where in the body a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Headers,
    /// In the content of a part, which begins at this place of the body.
    Content(usize),
    After,
}

#[derive(Debug, Default)]
struct Part {
    disposition: Disposition,
    has_disposition: bool,
    /// Lines, with what was folded onto them.
    headers: Vec<Span>,
    /// Where in the arena the last of them begins.
    mark: usize,
}

/// What a line is in which two hyphens and the boundary may stand.
enum Line {
    Delimiter,
    Last,
    Text,
}

impl Reader<'_, '_> {
    fn read(&mut self, body: &[u8]) {
        let mut start = 0;
        while start < body.len() {
            let rest = body.get(start..).unwrap_or_default();
            let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let line = rest.get(..length).unwrap_or_default();
            let going = match self.classify(line) {
                Line::Delimiter => self.delimit(body, start, Place::Headers),
                Line::Last => self.delimit(body, start, Place::After),
                Line::Text => self.text(line, start + length),
            };
            if !going {
                return;
            }
            start += length;
        }
        self.end(body);
    }

    fn classify(&mut self, line: &[u8]) -> Line {
        let delimiter = self.delimiter.needle().len();
        match self.delimiter.find(line) {
            Some(0) => {}
            Some(_) => {
                // Ours, but not where a line begins: some parsers see it and some do not.
                self.out.flags.unmatched_boundary = true;
                return Line::Text;
            }
            None => {
                self.suspect(line);
                return Line::Text;
            }
        }
        let rest = line.get(delimiter..).unwrap_or_default();
        let (kind, end) = match rest.strip_prefix(b"--") {
            Some(end) => (Line::Last, end),
            None => (Line::Delimiter, rest),
        };
        match end {
            b"\r\n" => self.crlf = true,
            b"\n" => self.out.flags.lf_line = true,
            // The last line of a body may lack its end.
            b"" if matches!(kind, Line::Last) => {}
            // RFC 2046 allows space here and nobody writes it.
            _ if end.trim_ascii().is_empty() => self.faults.malformed("multipart: space after a boundary"),
            _ => {
                self.faults.malformed("multipart: a boundary with more after it");
                return Line::Text;
            }
        }
        kind
    }

    /// A line without our boundary that begins like one.
    fn suspect(&mut self, line: &[u8]) {
        let Some(after) = line.strip_prefix(b"--") else { return };
        let boundary = self.delimiter.needle().get(2..).unwrap_or_default();
        if line.len() > 3 {
            self.unmatched = true;
        }
        if self.quoted && after.strip_prefix(b"\"").is_some_and(|after| after.starts_with(boundary)) {
            self.faults.malformed("multipart: quotes around a boundary");
        }
        if after.trim_ascii_start().starts_with(boundary) {
            self.faults.malformed("multipart: space in front of a boundary");
        }
    }

    /// Ends a part, and begins another or the rest. Whether to go on.
    fn delimit(&mut self, body: &[u8], start: usize, place: Place) -> bool {
        if self.place == Place::After {
            self.faults.malformed("multipart: a boundary after the last one");
        }
        if self.parts > 0 {
            self.unmatched = false;
        }
        if !self.finish(body, start) {
            return false;
        }
        self.place = place;
        if place == Place::Headers {
            self.parts += 1;
            if self.parts > self.limits.parts_max {
                self.faults.limit(self.limits.parts_max, "parts");
                self.out.flags.file_limit_exceeded = true;
                return false;
            }
        }
        true
    }

    /// A line that is not a boundary, and where the next one begins. Whether to go on.
    fn text(&mut self, line: &[u8], next: usize) -> bool {
        match self.place {
            Place::Before => self.out.flags.data_before = true,
            Place::After => self.out.flags.data_after |= !matches!(line, b"\r\n" | b"\n"),
            Place::Content(_) => {}
            Place::Headers => return self.header(line, next),
        }
        true
    }

    fn header(&mut self, line: &[u8], next: usize) -> bool {
        let text = match line {
            [text @ .., b'\r', b'\n'] => {
                self.crlf = true;
                text
            }
            [text @ .., b'\n'] => {
                self.out.flags.lf_line = true;
                text
            }
            _ => line,
        };
        match text.first() {
            None => {
                self.end_headers();
                self.place = Place::Content(next);
                true
            }
            Some(first) if first.is_ascii_whitespace() || *first == 0x0b => self.fold(text),
            Some(_) => self.begin_header(text),
        }
    }

    fn begin_header(&mut self, text: &[u8]) -> bool {
        if self.part.headers.len() >= PART_HEADERS_MAX {
            self.faults.limit(PART_HEADERS_MAX, "header lines of a part");
            return false;
        }
        if memchr::memchr(0, text).is_some() {
            self.faults.malformed("multipart: a zero byte in a part's header");
        }
        let name = header_name(text);
        match name {
            None => self.faults.malformed("multipart: a part's header without a colon"),
            Some(b"") => self.faults.malformed("multipart: a part's header without a name"),
            Some(name) => {
                let known =
                    |span: &Span| header_name(self.arena.text(*span)).is_some_and(|n| n.eq_ignore_ascii_case(name));
                if self.part.headers.iter().any(known) {
                    self.faults.malformed("multipart: a part's header twice");
                }
            }
        }
        self.part.mark = self.arena.mark();
        let line = self.arena.keep(text);
        self.part.headers.push(line);
        self.check_length(line)
    }

    fn fold(&mut self, text: &[u8]) -> bool {
        let flags = &mut self.out.flags;
        flags.header_folding = true;
        let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        let length = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
        let (space, more) = text.split_at(length);
        flags.invalid_header_folding |= !space.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if self.part.headers.pop().is_none() {
            self.faults.malformed("multipart: a folded line without a header");
            self.part.mark = self.arena.mark();
        }
        // The line before is the last text of the arena, so it grows where it is.
        self.arena.push(b' ');
        self.arena.extend(more);
        let line = self.arena.since(self.part.mark);
        self.part.headers.push(line);
        self.check_length(line)
    }

    fn check_length(&mut self, line: Span) -> bool {
        if line.len() > PART_HEADER_BYTES_MAX {
            self.faults.limit(PART_HEADER_BYTES_MAX, "bytes in a header line of a part");
            return false;
        }
        true
    }

    fn end_headers(&mut self) {
        for line in &self.part.headers {
            let line = self.arena.text(*line);
            let Some(name) = header_name(line) else { continue };
            if name.eq_ignore_ascii_case(b"content-disposition") && !self.part.has_disposition {
                self.part.has_disposition = true;
                let value = line.get(name.len() + 1..).unwrap_or_default().trim_ascii();
                if let Err(fault) = self.part.disposition.read(value, &mut self.out.flags) {
                    self.faults.malformed(fault);
                }
            }
        }
        if !self.part.has_disposition {
            self.faults.malformed("multipart: a part without Content-Disposition");
        }
        if self.part.disposition.name.is_empty() {
            self.out.flags.invalid_part = true;
            self.faults.malformed("multipart: a part without a name");
        }
        let name = self.arena.keep(&self.part.disposition.name);
        let lines = self.part.headers.drain(..).map(|value| Member { name, value });
        self.out.part_headers.extend(lines);
    }

    /// Keeps the part that ends before a boundary's line. Whether to go on.
    fn finish(&mut self, body: &[u8], end: usize) -> bool {
        let going = match self.place {
            Place::Before | Place::After => true,
            Place::Headers => {
                self.out.flags.invalid_part = true;
                self.faults.malformed("multipart: a part that ends within its headers");
                self.end_headers();
                self.keep(b"")
            }
            Place::Content(start) => self.keep(without_line_end(body.get(start..end).unwrap_or_default())),
        };
        self.part.disposition.clear();
        self.part.has_disposition = false;
        self.part.headers.clear();
        going
    }

    fn keep(&mut self, content: &[u8]) -> bool {
        let disposition = &self.part.disposition;
        if disposition.file.is_empty() && self.out.fields.len() >= self.limits.arguments_max {
            self.faults.limit(self.limits.arguments_max, "arguments");
            return false;
        }
        let name = self.arena.keep(&disposition.name);
        if disposition.file.is_empty() {
            self.out.fields.push(Member { name, value: self.arena.keep(content) });
        } else {
            self.out.files.push(Member { name, value: self.arena.keep(&disposition.file) });
            self.out.sizes.push(content.len() as u64);
        }
        true
    }

    /// The body is over.
    fn end(&mut self, body: &[u8]) {
        match (self.place, self.parts) {
            (Place::After, _) => {}
            (_, 0) => self.faults.malformed("multipart: no boundary"),
            _ => {
                self.faults.malformed("multipart: the last boundary is missing");
                self.out.flags.unmatched_boundary = true;
                self.finish(body, body.len());
            }
        }
        let flags = &mut self.out.flags;
        flags.unmatched_boundary |= self.unmatched;
        flags.crlf_lf_lines = self.crlf && flags.lf_line;
    }
}

/// What stands before the colon of a header line; none without one.
fn header_name(line: &[u8]) -> Option<&[u8]> {
    memchr::memchr(b':', line).and_then(|colon| line.get(..colon))
}

/// The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1).
fn without_line_end(content: &[u8]) -> &[u8] {
    match content {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
        _ => content,
    }
}
