//! From the bytes of a request and its answer to the variables that rules look at.

use crate::arena::Member;
use crate::collections::Kept;
use crate::request_body::{self, BodyFault, Limits};
use crate::rule::{BodyProcessor, Settings};
use crate::run::{Course, State};
use crate::transaction::{Facts, RequestHead, ResponseHead};
use crate::transformation::url;
use crate::values::{EMPTY, ValueId};
use crate::variable::Variable;

/// What is known before a byte was read.
pub(crate) fn facts(facts: &Facts<'_>, state: &mut State) {
    set_text(state, Variable::RemoteAddr, &facts.remote_address.to_string());
    set_text(state, Variable::RemotePort, &facts.remote_port.to_string());
    set_text(state, Variable::ServerAddr, &facts.server_address.to_string());
    set_text(state, Variable::ServerPort, &facts.server_port.to_string());
    // Names of addresses are looked up by nobody: it stays what it is where no name is known.
    set_text(state, Variable::RemoteHost, &facts.remote_address.to_string());
    set_text(state, Variable::UniqueId, facts.unique_id);
    set_text(state, Variable::TimeEpoch, &facts.seconds.to_string());
    for counted in [Variable::ReqbodyError, Variable::ReqbodyProcessorError, Variable::UrlencodedError] {
        set_text(state, counted, "0");
    }
}

/// The head of a request: its line, fields, cookies and query. How its body is to be read, as far as its type says.
pub(crate) fn request_head(head: &RequestHead<'_>, settings: &Settings, state: &mut State) -> Option<BodyProcessor> {
    set(state, Variable::RequestLine, head.line);
    set(state, Variable::RequestMethod, head.method);
    set(state, Variable::RequestProtocol, head.protocol);
    set(state, Variable::RequestUriRaw, head.target);
    target(head.target, settings, state);
    let mut processor = None;
    for (name, value) in head.headers {
        let (name_id, value_id) = (state.values.of(name), state.values.of(value));
        state.collections.add(Kept::RequestHeaders, name_id, value_id);
        if name.eq_ignore_ascii_case(b"cookie") {
            let mut members = Vec::new();
            request_body::cookies(value, &limits(settings), &mut state.values.arena, &mut members);
            add_all(state, Kept::Cookies, &members);
        } else if name.eq_ignore_ascii_case(b"host") {
            let host = value.split(|byte| *byte == b':').next().unwrap_or_default();
            set(state, Variable::ServerName, host);
        } else if name.eq_ignore_ascii_case(b"content-type") {
            processor = by_type(value);
        }
    }
    set_text(state, Variable::ReqbodyProcessor, processor.map_or("", BodyProcessor::name));
    processor
}

/// The target: path, query and what is made of them.
fn target(target: &[u8], settings: &Settings, state: &mut State) {
    let local = without_site(target);
    set(state, Variable::RequestUri, local);
    let at = memchr::memchr2(b'?', b'#', local).unwrap_or(local.len());
    let (path, rest) = local.split_at_checked(at).unwrap_or((local, b""));
    let query = rest.strip_prefix(b"?").unwrap_or_default();
    let query = query.split(|byte| *byte == b'#').next().unwrap_or_default();
    set(state, Variable::QueryString, query);
    let mark = state.values.arena.mark();
    url::decode_path(path, &mut state.values.arena);
    let path = state.values.arena.since(mark);
    let path = state.values.at(path);
    state.collections.set(Variable::RequestFilename, path);
    state.collections.set(Variable::PathInfo, path);
    let text = state.values.text(path);
    let base = text.iter().rposition(|byte| matches!(byte, b'/' | b'\\')).map_or(0, |slash| slash + 1);
    let base = text.get(base..).unwrap_or_default().to_vec();
    set(state, Variable::RequestBasename, &base);
    let mut members = Vec::new();
    let read = request_body::form(
        query,
        settings.argument_separator,
        &limits(settings),
        &mut state.values.arena,
        &mut members,
    );
    if let Err(fault) = read {
        failed(state, &fault);
    }
    add_all(state, Kept::Get, &members);
    sizes(state);
}

/// The target without scheme and authority (RFC 9112 section 3.2.2).
fn without_site(target: &[u8]) -> &[u8] {
    let Some(scheme) = memchr::memmem::find(target, b"://") else { return target };
    let is_scheme = target.iter().take(scheme).all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    if scheme == 0 || !is_scheme {
        return target;
    }
    let rest = target.get(scheme + 3..).unwrap_or_default();
    let path = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    path.and_then(|path| rest.get(path..)).unwrap_or(b"/")
}

/// ModSecurity reads these two by their type; a rule says so for JSON and XML.
fn by_type(content_type: &[u8]) -> Option<BodyProcessor> {
    let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
        return Some(BodyProcessor::UrlEncoded);
    }
    let multipart =
        kind.get(..b"multipart/form-data".len()).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/form-data"));
    multipart.then_some(BodyProcessor::Multipart)
}

/// The body of a request, read as its type or a rule says.
pub(crate) fn request_body(body: &[u8], settings: &Settings, course: &Course, state: &mut State) {
    state.values.work.charge(body.len());
    set_text(state, Variable::RequestBodyLength, &body.len().to_string());
    let mut members = Vec::new();
    let limits = limits(settings);
    let read = match course.processor {
        _ if body.is_empty() => Ok(()),
        Some(BodyProcessor::UrlEncoded) => {
            let arena = &mut state.values.arena;
            request_body::form(body, settings.argument_separator, &limits, arena, &mut members)
        }
        Some(BodyProcessor::Json) => request_body::json(body, &limits, &mut state.values.arena, &mut members),
        Some(BodyProcessor::Xml) => xml(body, &limits, state),
        Some(BodyProcessor::Multipart) => multipart(body, &limits, state),
        None => Ok(()),
    };
    add_all(state, Kept::Post, &members);
    // As rules expect it: of bodies that are taken apart only forms are there as a whole, too.
    let whole = match course.processor {
        Some(BodyProcessor::UrlEncoded) => true,
        _ => course.force_request_body,
    };
    if whole && !body.is_empty() {
        set(state, Variable::RequestBody, body);
    }
    if let Err(fault) = read {
        failed(state, &fault);
    }
    sizes(state);
}

fn xml(body: &[u8], limits: &Limits, state: &mut State) -> Result<(), BodyFault> {
    let (found, read) = request_body::xml(body, limits, &mut state.values.arena);
    let text = state.values.at(found.text);
    state.collections.add(Kept::XmlText, EMPTY, text);
    for attribute in found.attributes {
        let value = state.values.at(attribute);
        state.collections.add(Kept::XmlAttributes, EMPTY, value);
    }
    read
}

fn multipart(body: &[u8], limits: &Limits, state: &mut State) -> Result<(), BodyFault> {
    let content_type = content_type(state);
    let (found, read) = request_body::multipart(body, &content_type, limits, &mut state.values.arena);
    add_all(state, Kept::Post, &found.fields);
    add_all(state, Kept::Files, &found.files);
    add_all(state, Kept::PartHeaders, &found.part_headers);
    let mut together = 0_u64;
    for (size, file) in found.sizes.iter().zip(&found.files) {
        together = together.saturating_add(*size);
        let (name, size) = (state.values.at(file.name), state.values.of(size.to_string().as_bytes()));
        state.collections.add(Kept::FileSizes, name, size);
    }
    set_text(state, Variable::FilesCombinedSize, &together.to_string());
    let flags = found.flags;
    let strict = [
        (Variable::MultipartBoundaryQuoted, flags.boundary_quoted),
        (Variable::MultipartBoundaryWhitespace, flags.boundary_whitespace),
        (Variable::MultipartDataBefore, flags.data_before),
        (Variable::MultipartDataAfter, flags.data_after),
        (Variable::MultipartHeaderFolding, flags.header_folding),
        (Variable::MultipartInvalidHeaderFolding, flags.invalid_header_folding),
        (Variable::MultipartLfLine, flags.lf_line),
        (Variable::MultipartMissingSemicolon, flags.missing_semicolon),
        (Variable::MultipartInvalidQuoting, flags.invalid_quoting),
        (Variable::MultipartInvalidPart, flags.invalid_part),
        (Variable::MultipartFileLimitExceeded, flags.file_limit_exceeded),
    ];
    let failed = read.is_err();
    set_flag(state, Variable::MultipartStrictError, failed || strict.iter().any(|(_, flag)| *flag));
    for (variable, flag) in strict {
        set_flag(state, variable, flag);
    }
    set_flag(state, Variable::MultipartCrlfLfLines, flags.crlf_lf_lines);
    set_flag(state, Variable::MultipartUnmatchedBoundary, flags.unmatched_boundary);
    read
}

fn content_type(state: &State) -> Vec<u8> {
    let headers = state.collections.entries(Kept::RequestHeaders);
    let found = headers.iter().find(|entry| state.values.text(entry.name).eq_ignore_ascii_case(b"content-type"));
    found.map(|entry| state.values.text(entry.value).to_vec()).unwrap_or_default()
}

/// The head of an answer.
pub(crate) fn response_head(head: &ResponseHead<'_>, state: &mut State) {
    set(state, Variable::ResponseProtocol, head.protocol);
    set_text(state, Variable::ResponseStatus, &head.status.to_string());
    for (name, value) in head.headers {
        let (name_id, value_id) = (state.values.of(name), state.values.of(value));
        state.collections.add(Kept::ResponseHeaders, name_id, value_id);
        if name.eq_ignore_ascii_case(b"content-type") {
            set(state, Variable::ResponseContentType, value);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            set(state, Variable::ResponseContentLength, value);
        }
    }
}

/// The body of an answer.
pub(crate) fn response_body(body: &[u8], state: &mut State) {
    set(state, Variable::ResponseBody, body);
}

/// How large all arguments are together, names and values.
fn sizes(state: &mut State) {
    let entries = [Kept::Get, Kept::Post].into_iter().flat_map(|kept| state.collections.entries(kept));
    let size: usize = entries.map(|entry| length(state, entry.name) + length(state, entry.value)).sum();
    set_text(state, Variable::ArgsCombinedSize, &size.to_string());
}

fn length(state: &State, value: ValueId) -> usize {
    state.values.span(value).len()
}

/// Tells rules that the body could not be read to its end.
fn failed(state: &mut State, fault: &BodyFault) {
    let message = fault.to_string();
    for variable in [Variable::ReqbodyError, Variable::ReqbodyProcessorError] {
        set_text(state, variable, "1");
    }
    for variable in [Variable::ReqbodyErrorMsg, Variable::ReqbodyProcessorErrorMsg] {
        set_text(state, variable, &message);
    }
}

fn add_all(state: &mut State, to: Kept, members: &[Member]) {
    state.collections.add_all(to, members, &mut state.values);
}

fn set(state: &mut State, variable: Variable, text: &[u8]) {
    let value = state.values.of(text);
    state.collections.set(variable, value);
}

fn set_text(state: &mut State, variable: Variable, text: &str) {
    set(state, variable, text.as_bytes());
}

fn set_flag(state: &mut State, variable: Variable, flag: bool) {
    set_text(state, variable, if flag { "1" } else { "0" });
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        arguments_max: settings.arguments_limit.map_or(ARGUMENTS_MAX, |limit| limit as usize),
        depth_max: settings.json_depth_limit.unwrap_or(DEPTH_MAX),
        parts_max: PARTS_MAX,
        nodes_max: NODES_MAX,
    }
}

/// Where the rules say nothing. ModSecurity's own are 1,000 arguments and a depth of 10,000.
const ARGUMENTS_MAX: usize = 10_000;
const DEPTH_MAX: u32 = 512;
const PARTS_MAX: usize = 1_000;
const NODES_MAX: usize = 100_000;
