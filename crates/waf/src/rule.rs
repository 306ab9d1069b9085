//! Rules as they are meant: what SecLang texts turn into, and what the engine runs.

use std::sync::Arc;

use crate::kind::Taken;
use crate::seclang::Fault;
use crate::transformation::Transformation;
use crate::variable::Variable;

/// Where something stands in a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as its name was given.
    pub file: Arc<str>,
    /// The line, from 1: the first of a directive that goes over several.
    pub line: u32,
}

/// When a rule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Phase 1: the head of the request is there.
    RequestHead,
    /// Phase 2: its body, too.
    RequestBody,
    /// Phase 3: the head of the answer.
    ResponseHead,
    /// Phase 4: its body.
    ResponseBody,
    /// Phase 5: all is over, and is written down. Nothing can be refused any more.
    Logging,
}

/// Rules as loaded: every directive that changes others has been carried out.
#[derive(Debug, Default)]
pub(crate) struct RuleBook {
    pub(crate) settings: Settings,
    pub(crate) items: Vec<Item>,
    /// What runs otherwise than its author may think: no reason to refuse the rules, and worth saying.
    pub(crate) warnings: Vec<Fault>,
    /// Rules that directives have taken away, or have made to refuse no longer.
    pub(crate) taken: Vec<Taken>,
}

/// What stands in a sequence of rules.
#[derive(Debug)]
pub(crate) enum Item {
    /// SecMarker: where `skipAfter` leads.
    Marker(String),
    /// A rule or action, with the rules chained to it.
    Chain(Box<Chain>),
}

/// A rule, and the links that must match, too. Without further links, a plain rule.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) id: u32,
    pub(crate) phase: Phase,
    pub(crate) place: Place,
    pub(crate) about: About,
    pub(crate) disruption: Disruption,
    /// `status`: what to answer when it refuses.
    pub(crate) status: Option<u16>,
    /// Written down when it matches: `log`, not `nolog`.
    pub(crate) log: bool,
    pub(crate) audit_log: bool,
    pub(crate) skip: Option<Skip>,
    /// At least one.
    pub(crate) links: Vec<Link>,
}

/// One rule of a chain.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) place: Place,
    /// None: an action that always runs (SecAction).
    pub(crate) test: Option<Test>,
    /// What happens when this link matches, in the order of the text; once for each match.
    pub(crate) effects: Vec<Effect>,
}

/// What a link looks at, and for what.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) targets: Vec<Target>,
    pub(crate) transformations: Vec<Transformation>,
    /// Tried after each transformation and not only after the last.
    pub(crate) multi_match: bool,
    pub(crate) operator: Operator,
    /// `!@rx`: matches where the operator does not.
    pub(crate) negated: bool,
    /// Groups of the pattern go to TX:0 to TX:9.
    pub(crate) capture: bool,
}

/// What people are told of a rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) message: Option<Text>,
    pub(crate) data: Option<Text>,
    pub(crate) severity: Option<Severity>,
    pub(crate) tags: Vec<Text>,
    pub(crate) version: Option<String>,
    pub(crate) revision: Option<String>,
}

/// How bad it is, as syslog has it (RFC 5424 section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// 0
    Emergency,
    /// 1
    Alert,
    /// 2
    Critical,
    /// 3
    Error,
    /// 4
    Warning,
    /// 5
    Notice,
    /// 6
    Info,
    /// 7
    Debug,
}

/// What a match means for the transaction.
#[derive(Debug, Clone)]
pub(crate) enum Disruption {
    /// Goes on.
    Pass,
    /// What the phase's default says (`SecDefaultAction`), which the reader has put in already where it differs from
    /// `Pass`; left only where nothing was said.
    Block,
    Deny,
    /// Ends the connection.
    Drop,
    Redirect(Text),
    Allow(Allow),
}

/// How far an `allow` reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allow {
    /// The rest of the transaction but for logging.
    Transaction,
    /// The rest of this phase.
    Phase,
    /// Both phases of the request.
    Request,
}

/// Where to go on after a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Skip {
    /// So many rules (of the same phase) are left out.
    Count(u32),
    /// On after this marker, or after the rule of this id.
    After(String),
}

/// What an action of a matching link does.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Set(Assignment),
    /// `expirevar:collection.key=seconds`
    Expire {
        collection: Collection,
        key: Text,
        seconds: Text,
    },
    /// `initcol:collection=key`
    Open {
        collection: Collection,
        key: Text,
    },
    Control(Control),
}

/// `setvar:collection.key=value`
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) collection: Collection,
    /// The member; letters are folded when it is used.
    pub(crate) key: Text,
    pub(crate) change: Change,
}

#[derive(Debug, Clone)]
pub(crate) enum Change {
    Set(Text),
    Add(Text),
    Subtract(Text),
    Unset,
}

/// Collections that rules write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Collection {
    Tx,
    Env,
    Global,
    Ip,
    Resource,
    Session,
    User,
}

/// `ctl:`: changes how the rest of this transaction is judged.
#[derive(Debug, Clone)]
pub(crate) enum Control {
    RuleEngine(EngineMode),
    RequestBodyAccess(bool),
    ResponseBodyAccess(bool),
    RequestBodyProcessor(BodyProcessor),
    ForceRequestBodyVariable(bool),
    /// Accepted, and without meaning here.
    AuditEngine,
    /// Accepted, and without meaning here: there is no audit log of parts.
    AuditLogParts,
    RemoveRules(Which),
    /// These targets, for these rules.
    RemoveTarget(Which, Target),
}

/// Which rules something is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// From one id to another, both included.
    Ids(u32, u32),
    /// A tag as a regular expression, as ModSecurity reads it.
    Tag(String),
    /// A message, likewise.
    Message(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyProcessor {
    UrlEncoded,
    Multipart,
    Json,
    Xml,
}

impl BodyProcessor {
    /// As REQBODY_PROCESSOR has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UrlEncoded => "URLENCODED",
            Self::Multipart => "MULTIPART",
            Self::Json => "JSON",
            Self::Xml => "XML",
        }
    }
}

/// SecRuleEngine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineMode {
    /// Rules run, and refuse.
    On,
    /// Rules run, and nothing is refused.
    #[default]
    DetectionOnly,
    /// No rule runs.
    Off,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) variable: Variable,
    pub(crate) selector: Selector,
    pub(crate) role: Role,
}

/// Which members of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    All,
    /// The member of this name, in lower case; the case of the name does not count.
    Key(Box<[u8]>),
    /// The members whose names this pattern matches (as SecLang has it, not translated).
    Pattern(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Looked at.
    Member,
    /// `&`: how many there are.
    Count,
    /// `!`: left out.
    Except,
}

/// A text with places that are filled in when it is used: `%{tx.0}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Text(pub(crate) Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Plain(Box<[u8]>),
    /// A variable, and the member of it in lower case.
    Value(Variable, Option<Box<[u8]>>),
    /// RULE.id, RULE.msg, RULE.severity, RULE.logdata, RULE.rev, RULE.ver
    OfRule(OfRule),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfRule {
    Id,
    Message,
    Severity,
    Data,
    Revision,
    Version,
}

impl Text {
    pub(crate) fn plain(text: &[u8]) -> Self {
        Self(if text.is_empty() { Vec::new() } else { vec![Part::Plain(text.into())] })
    }

    /// The text, if nothing is to be filled in.
    pub(crate) fn as_plain(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(b""),
            [Part::Plain(text)] => Some(text),
            _ => None,
        }
    }
}

/// What a value is tested for.
#[derive(Debug, Clone)]
pub(crate) enum Operator {
    /// A regular expression as SecLang has it; with places to fill in, it is compiled when it is used.
    Rx(Text),
    /// Any of these phrases, whatever the case of their letters: `pm`, and `pmFromFile` with the file read already.
    Phrases(Arc<[Box<[u8]>]>),
    Equal(Text),
    GreaterOrEqual(Text),
    Greater(Text),
    LessOrEqual(Text),
    Less(Text),
    /// `streq`
    Is(Text),
    Contains(Text),
    ContainsWord(Text),
    BeginsWith(Text),
    EndsWith(Text),
    /// `strmatch` is `Contains` by another name; `within`: the value occurs in the argument.
    Within(Text),
    IpMatch(Arc<[ipnet::IpNet]>),
    DetectSqli,
    DetectXss,
    /// Matches where a byte is outside of these.
    ValidateByteRange(crate::byte_set::ByteSet),
    ValidateUrlEncoding,
    ValidateUtf8Encoding,
    /// `verifyCC`: digits that the pattern finds and that pass the Luhn check.
    VerifyCreditCard(String),
    Always,
    Never,
    /// `fault`, in tests only: an engine that is broken.
    #[cfg(feature = "faults")]
    Fault,
}

/// What SecLang's settings say; limits are of the request's bytes.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) mode: EngineMode,
    pub(crate) request_body_access: bool,
    pub(crate) request_body_limit: Option<u64>,
    pub(crate) request_body_no_files_limit: Option<u64>,
    pub(crate) json_depth_limit: Option<u32>,
    pub(crate) arguments_limit: Option<u32>,
    pub(crate) response_body_access: bool,
    pub(crate) response_body_limit: Option<u64>,
    /// Media types of answers that are looked into, in lower case.
    pub(crate) response_body_types: Vec<String>,
    pub(crate) argument_separator: u8,
    /// SecCollectionTimeout, in seconds.
    pub(crate) collection_timeout: u32,
    /// SecComponentSignature, one for each.
    pub(crate) components: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: EngineMode::default(),
            request_body_access: false,
            request_body_limit: None,
            request_body_no_files_limit: None,
            json_depth_limit: None,
            arguments_limit: None,
            response_body_access: false,
            response_body_limit: None,
            response_body_types: Vec::new(),
            argument_separator: b'&',
            collection_timeout: 3_600,
            components: Vec::new(),
        }
    }
}
