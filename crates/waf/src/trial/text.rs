//! Reads files of tests: YAML, as FTW's schema 2 has it, and the older form with `stage` inside `stages`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// A file of tests.
#[derive(Debug)]
pub struct File {
    /// In the order of the file. None in a file that is empty.
    pub trials: Vec<Trial>,
    /// The file holds no tests but overrides of some.
    pub overrides: bool,
}

/// One test.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Such as `942100-3`: the rule that is tested, and the number of the test.
    pub id: String,
    /// The rule that is tested; 0 where a test has only a title.
    pub rule: u32,
    /// The number of the test.
    pub number: u32,
    /// Where it begins in its file, from 1.
    pub line: u64,
    /// Requests, one after the other.
    pub(super) stages: Vec<Stage>,
    /// Words of it that nobody knows: it might not test what its author meant.
    pub(super) unknown: Vec<String>,
}

/// One request, and what is expected of it.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) input: Input,
    pub(super) output: Output,
}

/// A file of tests that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Larger than any such file.
    #[error("the file has {bytes} bytes and may have {FILE_BYTES_MAX}: split it")]
    Large {
        /// Its size.
        bytes: usize,
    },
    /// No YAML, or not of this form.
    #[error("line {line}: {cause}")]
    Syntax {
        /// From 1; 0 where none is known.
        line: u64,
        /// What is wrong with it.
        cause: String,
    },
}

/// Reads a file of tests.
///
/// # Errors
///
/// It is no YAML, or no such file.
pub fn read(text: &[u8]) -> Result<File, Unreadable> {
    let written: Option<Written> = yaml(text)?;
    let Some(written) = written else { return Ok(File { trials: Vec::new(), overrides: false }) };
    if written.template.is_some() {
        return Err(Unreadable::at(0, "`template` is of schema 3, which is not read: this is about schema 2"));
    }
    let unknown = unknown(text);
    let overrides = written.test_overrides.is_some();
    let tests = written.tests.unwrap_or_default();
    let trials = tests.into_iter().enumerate().map(|(index, test)| {
        let words = unknown.get(&index).cloned().unwrap_or_default();
        trial(test, index, written.rule_id, words)
    });
    Ok(File { trials: trials.collect::<Result<_, _>>()?, overrides })
}

/// Reads YAML of at most [`FILE_BYTES_MAX`]; nothing at all is `None` where `T` allows it.
pub(super) fn yaml<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, Unreadable> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Unreadable::Large { bytes: text.len() });
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Unreadable::at(line as u64, "bytes that are no UTF-8: save the file as UTF-8")
    })?;
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let cause = error.without_snippet().to_string();
        let line = error.location().map_or(0, |at| at.line());
        Unreadable::at(line, cause.lines().next().unwrap_or_default())
    })
}

fn options() -> serde_saphyr::Options {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_depth = DEPTH_MAX;
    budget.max_nodes = NODES_MAX;
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options
}

fn trial(
    test: Spanned<WrittenTest>,
    index: usize,
    rule: Option<u32>,
    unknown: Vec<String>,
) -> Result<Trial, Unreadable> {
    let line = test.referenced.line();
    let test = test.value;
    let number = test.test_id.or_else(|| u32::try_from(index + 1).ok()).unwrap_or(u32::MAX);
    let titled = test.test_title.as_deref().and_then(|title| title.split_once('-'));
    let titled = titled.and_then(|(rule, number)| Some((rule.parse().ok()?, number.parse().ok()?)));
    let (rule, number) = match (rule, titled) {
        (None, Some(titled)) => titled,
        (Some(rule), _) => (rule, number),
        (None, None) => return Err(Unreadable::at(line, "no `rule_id`: write at the top which rule is tested")),
    };
    let stages = test.stages.into_iter().map(|stage| {
        let (input, output) = stage.stage.map_or((stage.input, stage.output), |inner| (inner.input, inner.output));
        let input = input.ok_or_else(|| Unreadable::at(line, "a stage without `input`"))?;
        Ok(Stage { input, output: output.unwrap_or_default() })
    });
    let stages = stages.collect::<Result<Vec<_>, _>>()?;
    if stages.is_empty() {
        return Err(Unreadable::at(line, "a test without `stages`"));
    }
    Ok(Trial { id: format!("{rule}-{number}"), rule, number, line, stages, unknown })
}

impl Unreadable {
    fn at(line: u64, cause: &str) -> Self {
        Self::Syntax { line, cause: cause.to_owned() }
    }
}

/// What no one knows among the words of a stage, for each test. A misspelt expectation would
/// expect nothing, and hold always.
fn unknown(text: &[u8]) -> BTreeMap<usize, Vec<String>> {
    let Ok(file) = yaml::<serde_json::Value>(text) else { return BTreeMap::new() };
    let tests = file.get("tests").and_then(|tests| tests.as_array()).map(Vec::as_slice).unwrap_or_default();
    let words = tests.iter().map(|test| {
        let stages = test.get("stages").and_then(|stages| stages.as_array()).map(Vec::as_slice).unwrap_or_default();
        stages.iter().flat_map(|stage| unknown_of(stage.get("stage").unwrap_or(stage))).collect::<Vec<_>>()
    });
    words.enumerate().filter(|(_, words)| !words.is_empty()).collect()
}

fn unknown_of(stage: &serde_json::Value) -> Vec<String> {
    let below = |place: &str, known: &'static [&'static str]| {
        let object = stage.pointer(place).and_then(|value| value.as_object());
        let words = object.into_iter().flat_map(|object| object.keys());
        words.filter(|word| !known.contains(&word.as_str())).cloned().collect::<Vec<_>>()
    };
    [below("", STAGE), below("/input", INPUT), below("/output", OUTPUT), below("/output/log", LOG)].concat()
}

/// A file as it is written.
#[derive(Debug, Deserialize)]
struct Written {
    rule_id: Option<u32>,
    tests: Option<Vec<Spanned<WrittenTest>>>,
    test_overrides: Option<serde::de::IgnoredAny>,
    template: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct WrittenTest {
    test_id: Option<u32>,
    test_title: Option<String>,
    #[serde(default)]
    stages: Vec<WrittenStage>,
}

#[derive(Debug, Deserialize)]
struct WrittenStage {
    input: Option<Input>,
    output: Option<Output>,
    stage: Option<Inner>,
}

/// The older form has one more level.
#[derive(Debug, Deserialize)]
struct Inner {
    input: Option<Input>,
    output: Option<Output>,
}

/// The request of a stage.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    pub(super) dest_addr: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) method: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) version: Option<String>,
    /// Sent in the order of their names, as the original runner does.
    pub(super) headers: Option<BTreeMap<String, Option<String>>>,
    pub(super) ordered_headers: Vec<Header>,
    pub(super) data: Option<String>,
    pub(super) encoded_data: Option<String>,
    pub(super) encoded_request: Option<String>,
    /// The older name of the same.
    pub(super) raw_request: Option<String>,
    pub(super) autocomplete_headers: Option<bool>,
    /// The older name of its opposite.
    pub(super) stop_magic: Option<bool>,
    pub(super) save_cookie: Option<bool>,
    pub(super) follow_redirect: Option<bool>,
    /// What the application answers, instead of what `/reflect` would.
    pub(super) response: Option<Answer>,
}

/// A header field where their order counts.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

/// An answer of the application, as a test writes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) status: Option<u16>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
    #[serde(alias = "encodedBody")]
    pub(super) encoded_body: String,
}

/// What is expected of a stage.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    pub(super) status: Option<Statuses>,
    pub(super) response_contains: Option<String>,
    pub(super) log_contains: Option<String>,
    pub(super) no_log_contains: Option<String>,
    pub(super) log: Option<Log>,
    pub(super) expect_error: Option<bool>,
    pub(super) retry_once: Option<bool>,
    pub(super) isolated: Option<bool>,
}

/// One status; in the older form, several of which any will do.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Statuses {
    One(u16),
    Any(Vec<u16>),
}

/// What is expected of the log.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) expect_ids: Vec<u32>,
    pub(super) no_expect_ids: Vec<u32>,
    pub(super) match_regex: Option<String>,
    pub(super) no_match_regex: Option<String>,
}

const STAGE: &[&str] = &["description", "input", "output"];
const INPUT: &[&str] = &[
    "dest_addr",
    "port",
    "protocol",
    "method",
    "uri",
    "version",
    "headers",
    "ordered_headers",
    "data",
    "encoded_data",
    "encoded_request",
    "raw_request",
    "autocomplete_headers",
    "stop_magic",
    "save_cookie",
    "follow_redirect",
    "response",
    "virtual_host_mode",
];
const OUTPUT: &[&str] = &[
    "status",
    "response_contains",
    "log_contains",
    "no_log_contains",
    "log",
    "expect_error",
    "retry_once",
    "isolated",
];
const LOG: &[&str] = &["expect_ids", "no_expect_ids", "match_regex", "no_match_regex"];

/// The largest files in use have about 100 KiB.
pub(super) const FILE_BYTES_MAX: usize = 8 << 20;
/// A test is a dozen levels deep.
const DEPTH_MAX: usize = 40;
/// Values in a file.
const NODES_MAX: usize = 400_000;
