//! The types that parameters have, each with what a policy may write and how a sentence says it.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reeve_base::document::{FromValue, Kind, Mismatch, Value};
use reeve_base::{Period, Rate, Size};
use serde_json::json;

/// A type that a control's parameter can have.
pub(crate) trait ParameterValue: FromValue + Clone + PartialEq + fmt::Debug {
    /// As a published sentence says it.
    fn english(&self) -> String;

    /// As the policy file writes it: also the canonical form that evidence is bound to.
    fn written(&self) -> String;

    /// What an editor may accept, as JSON Schema.
    fn schema() -> serde_json::Value;
}

/// How two values of one parameter compare: `Greater` means that the left one is the stricter promise, `None` that
/// neither is.
pub(crate) type Strictness<T> = fn(&T, &T) -> Option<Ordering>;

/// The higher value is the stricter promise.
pub(crate) fn higher<T: Ord>(left: &T, right: &T) -> Option<Ordering> {
    Some(left.cmp(right))
}

/// The lower value is the stricter promise.
pub(crate) fn lower<T: Ord>(left: &T, right: &T) -> Option<Ordering> {
    Some(right.cmp(left))
}

/// A list that allows less is the stricter promise.
#[expect(clippy::ptr_arg, reason = "a `Strictness<Vec<T>>` takes the parameter's own type")]
pub(crate) fn fewer<T: PartialEq>(left: &Vec<T>, right: &Vec<T>) -> Option<Ordering> {
    within(right, left)
}

/// A list that demands more is the stricter promise.
#[expect(clippy::ptr_arg, reason = "a `Strictness<Vec<T>>` takes the parameter's own type")]
pub(crate) fn more<T: PartialEq>(left: &Vec<T>, right: &Vec<T>) -> Option<Ordering> {
    within(left, right)
}

/// Neither of two different values is stricter than the other.
pub(crate) fn equal<T: PartialEq>(left: &T, right: &T) -> Option<Ordering> {
    (left == right).then_some(Ordering::Equal)
}

fn within<T: PartialEq>(left: &[T], right: &[T]) -> Option<Ordering> {
    let left_holds_right = right.iter().all(|item| left.contains(item));
    let right_holds_left = left.iter().all(|item| right.contains(item));
    match (left_holds_right, right_holds_left) {
        (true, true) => Some(Ordering::Equal),
        (true, false) => Some(Ordering::Greater),
        (false, true) => Some(Ordering::Less),
        (false, false) => None,
    }
}

/// `a`, `a and b`, `a, b and c`.
#[must_use]
pub(crate) fn english_list(items: &[String]) -> String {
    match items {
        [] => String::from("none"),
        [only] => only.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

macro_rules! quantity_parameter {
    ($($type:ty, $pattern:literal, |$value:ident| $english:expr);* $(;)?) => {$(
        impl ParameterValue for $type {
            fn english(&self) -> String {
                let $value = self;
                $english
            }

            fn written(&self) -> String {
                quoted(&self.to_string())
            }

            fn schema() -> serde_json::Value {
                json!({ "type": "string", "pattern": $pattern, "description": Self::EXPECTED })
            }
        }
    )*};
}

quantity_parameter! {
    Period, r"^[0-9]+ ?(ms|s|m|h|d|w|(millisecond|second|minute|hour|day|week|month|year)s?)$", |value| Period::english(*value);
    Size, r"^[0-9]+ ?(B|KiB|MiB|GiB)$", |value| value.to_string();
    Rate, r"^[0-9]+ ?/ ?(s|min|h|d|second|minute|hour|day)$", |value| Rate::english(*value);
}

macro_rules! number_parameter {
    ($($type:ty),*) => {$(
        impl ParameterValue for $type {
            fn english(&self) -> String {
                self.to_string()
            }

            fn written(&self) -> String {
                self.to_string()
            }

            fn schema() -> serde_json::Value {
                json!({ "type": "integer", "minimum": <$type>::MIN, "maximum": <$type>::MAX })
            }
        }
    )*};
}

number_parameter!(u16, u32);

impl ParameterValue for bool {
    fn english(&self) -> String {
        String::from(if *self { "yes" } else { "no" })
    }

    fn written(&self) -> String {
        self.to_string()
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "boolean" })
    }
}

impl<T: ParameterValue> ParameterValue for Vec<T> {
    fn english(&self) -> String {
        english_list(&self.iter().map(T::english).collect::<Vec<_>>())
    }

    fn written(&self) -> String {
        format!("[{}]", self.iter().map(T::written).collect::<Vec<_>>().join(", "))
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "array", "items": T::schema(), "minItems": 1 })
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal, $english:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(clippy::exhaustive_enums, reason = "a new choice must be enforced and probed before it compiles")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All choices, the loosest first.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As the policy file writes it, without quotes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl FromValue for $name {
            const EXPECTED: &'static str = choice!(@expected [$($text)*] []);

            fn from_value(value: &Value) -> Result<Self, Mismatch> {
                match &value.kind {
                    Kind::Text(text) => match text.as_str() {
                        $($text => Ok(Self::$variant),)*
                        other => Err(Mismatch::content(value, Self::EXPECTED, format!("`{other}` is no choice here"))),
                    },
                    other => Err(Mismatch::kind(value, Self::EXPECTED, other)),
                }
            }
        }

        impl ParameterValue for $name {
            fn english(&self) -> String {
                String::from(match self {
                    $(Self::$variant => $english,)*
                })
            }

            fn written(&self) -> String {
                quoted(self.as_str())
            }

            fn schema() -> serde_json::Value {
                json!({ "enum": [$($text),*] })
            }
        }
    };
    (@expected [$last:literal] [$($done:tt)*]) => { concat!($($done)* "\"", $last, "\"") };
    (@expected [$first:literal $($rest:literal)+] [$($done:tt)*]) => {
        choice!(@expected [$($rest)+] [$($done)* "\"", $first, "\" or ",])
    };
}

choice! {
    /// A protocol version of TLS that may still be promised (RFC 8996 forbids those before 1.2).
    TlsVersion {
        /// RFC 5246.
        V1_2 = "1.2", "TLS 1.2";
        /// RFC 8446.
        V1_3 = "1.3", "TLS 1.3";
    }
}

choice! {
    /// A bulk cipher with authentication (AEAD), under any ephemeral key exchange.
    Cipher {
        /// NIST SP 800-38D with a 128-bit key.
        Aes128Gcm = "AES-128-GCM", "AES-128-GCM";
        /// NIST SP 800-38D with a 256-bit key.
        Aes256Gcm = "AES-256-GCM", "AES-256-GCM";
        /// RFC 8439, 256-bit key.
        ChaCha20Poly1305 = "CHACHA20-POLY1305", "ChaCha20-Poly1305";
    }
}

impl Cipher {
    /// The length of its key.
    #[must_use]
    pub const fn key_bits(self) -> u16 {
        match self {
            Self::Aes128Gcm => 128,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 256,
        }
    }
}

choice! {
    /// Characters that no request may hold.
    Refused {
        /// Unicode category Cc, but tab and, in bodies, line breaks.
        Controls = "control characters", "control characters";
        /// U+0000.
        Nul = "NUL", "NUL";
        /// Bytes that are no UTF-8, and characters written in a longer way than there is (RFC 3629 section 3).
        Overlong = "overlong UTF-8", "overlong UTF-8";
    }
}

choice! {
    /// What a plaintext port does.
    PlainHttp {
        /// It answers only with a redirect to HTTPS.
        Redirect = "redirect", "redirected";
        /// It is not open.
        Closed = "closed", "closed";
    }
}

choice! {
    /// Who may put a page into a frame.
    Framing {
        /// Pages of the same origin.
        SameOrigin = "same-origin", "allowed to pages of the same origin only";
        /// Nobody.
        Deny = "deny", "denied";
    }
}

choice! {
    /// How pages of other origins may hold on to this one's window or take its resources (COOP, CORP).
    OriginPolicy {
        /// Anybody may.
        Unrestricted = "unrestricted", "unrestricted";
        /// The same site may.
        SameSite = "same-site", "same-site";
        /// The same origin may.
        SameOrigin = "same-origin", "same-origin";
    }
}

choice! {
    /// Which answers of the application are replaced by an error page of the gateway's own.
    Replaced {
        /// Server errors.
        ServerErrors = "5xx", "server error";
        /// Client and server errors.
        AllErrors = "4xx-5xx", "error";
    }
}

choice! {
    /// A request method (RFC 9110 section 9, RFC 5789).
    Method {
        /// Read.
        Get = "GET", "GET";
        /// Read the head only.
        Head = "HEAD", "HEAD";
        /// Ask what is allowed.
        Options = "OPTIONS", "OPTIONS";
        /// Submit.
        Post = "POST", "POST";
        /// Replace.
        Put = "PUT", "PUT";
        /// Change in part.
        Patch = "PATCH", "PATCH";
        /// Remove.
        Delete = "DELETE", "DELETE";
    }
}

choice! {
    /// How an attempt at access ended.
    AccessOutcome {
        /// It was let through.
        Allow = "allow", "allowed";
        /// It was refused.
        Deny = "deny", "denied";
    }
}

choice! {
    /// What becomes of requests while what they do cannot be recorded.
    OnFailure {
        /// They are served, and the gap is recorded later.
        Serve = "serve", "served";
        /// They are refused.
        Refuse = "refuse", "refused";
    }
}

choice! {
    /// A kind of change of the system.
    SystemChange {
        /// Of policy or settings.
        Config = "config", "configuration";
        /// Of the program.
        Deploy = "deploy", "deployments";
        /// Of the host: its kernel, a new boot.
        Host = "host", "the host";
    }
}

choice! {
    /// A kind of security event.
    SecurityEvent {
        /// An alarm that was raised.
        Alerts = "alerts", "alerts";
        /// A refusal by a control.
        Blocks = "blocks", "blocks";
    }
}

choice! {
    /// A cipher for what is stored.
    StorageCipher {
        /// NIST SP 800-38D with a 256-bit key.
        Aes256Gcm = "AES-256-GCM", "AES-256-GCM";
    }
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, |$text:ident| $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text, as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A text that this program itself wrote, for a default.
            fn own(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl FromValue for $name {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Result<Self, Mismatch> {
                let $text = String::from_value(value)?;
                let verdict: Result<(), String> = $check;
                verdict.map_err(|message| Mismatch::content(value, Self::EXPECTED, message))?;
                Ok(Self($text))
            }
        }

        impl From<&'static str> for $name {
            fn from(text: &'static str) -> Self {
                Self::own(text)
            }
        }

        impl ParameterValue for $name {
            fn english(&self) -> String {
                self.0.clone()
            }

            fn written(&self) -> String {
                quoted(&self.0)
            }

            fn schema() -> serde_json::Value {
                json!({ "type": "string", "minLength": 1, "description": Self::EXPECTED })
            }
        }
    };
}

choice! {
    /// What a bot is known by.
    Signature {
        /// Headers that are missing from, or contradict, what the client claims to be.
        Headers = "headers", "headers that contradict each other";
        /// The names of the header fields in their order.
        HeaderOrder = "header-order", "the order of headers";
        /// The fingerprint of the TLS handshake.
        Ja4 = "ja4", "the TLS handshake (JA4)";
    }
}

checked_text! {
    /// SHA-256 of a set of firewall rules, or `any`.
    RulesetDigest, "\"any\", or \"sha256:\" and 64 hexadecimal digits", |text| {
        let digest = text.strip_prefix("sha256:");
        let plain = |hex: &str| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text == "any" || digest.is_some_and(plain) { Ok(()) } else { Err(format!("`{text}` is neither")) }
    }
}

checked_text! {
    /// The value of a response header: visible ASCII and spaces (RFC 9110 section 5.5), so that it can break no line.
    HeaderText, "the header's value in plain ASCII on one line", |text| {
        match text.chars().find(|character| !(' '..='~').contains(character)) {
            Some(wrong) => Err(format!("{wrong:?} cannot stand in a header")),
            None if text.trim().is_empty() => Err(String::from("is empty")),
            None => Ok(()),
        }
    }
}

checked_text! {
    /// An absolute path of a URL.
    UrlPath, "a path such as \"/debug\"", |text| {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'));
        if text.starts_with('/') && plain { Ok(()) } else { Err(format!("`{text}` is no absolute path")) }
    }
}

checked_text! {
    /// A path on the judged site, or a whole URL.
    Link, "a path such as \"/terms\" or a URL such as \"https://example.com/terms\"", |text| {
        let whole = text.starts_with("https://") || text.starts_with("http://");
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if (text.starts_with('/') || whole) && plain { Ok(()) } else { Err(format!("`{text}` is neither")) }
    }
}

checked_text! {
    /// A URI that a person can use to make contact (RFC 9116 section 2.5.3).
    ContactUri, "a URI such as \"mailto:security@example.com\" or \"https://example.com/report\"", |text| {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        let known = ["mailto:", "https://", "tel:"].iter().any(|scheme| text.starts_with(scheme));
        if plain && known { Ok(()) } else { Err(format!("`{text}` is none of mailto:, https:// and tel:")) }
    }
}

checked_text! {
    /// A mail address, as far as a policy needs to know one.
    Mail, "a mail address such as \"security@example.com\"", |text| {
        let parts = text.split_once('@');
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',' | b';'));
        match parts {
            Some((local, domain)) if plain && !local.is_empty() && domain.contains('.') => Ok(()),
            _ => Err(format!("`{text}` is no mail address")),
        }
    }
}

checked_text! {
    /// A name or a title of a person, on one line.
    PlainText, "a short text on one line", |text| {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            Err(String::from("is empty or holds a control character"))
        } else {
            Ok(())
        }
    }
}

/// A network, or one address: `192.0.2.0/24`, `2001:db8::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// The network, without host bits.
    #[must_use]
    pub const fn net(self) -> IpNet {
        self.0
    }

    /// This machine itself, and the networks that nobody routes on the Internet (RFC 1918, RFC 4193).
    pub(crate) fn private() -> Vec<Self> {
        let four = |octets, length| Self(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_octets(octets), length)));
        let six = |address, length| Self(IpNet::V6(Ipv6Net::new_assert(address, length)));
        vec![
            four([127, 0, 0, 1], 32),
            four([10, 0, 0, 0], 8),
            four([172, 16, 0, 0], 12),
            four([192, 168, 0, 0], 16),
            six(Ipv6Addr::LOCALHOST, 128),
            six(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
        ]
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl FromValue for Network {
    const EXPECTED: &'static str = "a network such as \"192.0.2.0/24\" or an address";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        let text = String::from_value(value)?;
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        let network: IpNet = network.map_err(|_| {
            Mismatch::content(value, Self::EXPECTED, format!("`{text}` is neither a network nor an address"))
        })?;
        if network.trunc() == network {
            return Ok(Self(network));
        }
        // Somebody who writes `192.0.2.7/24` meant either the one or the other, and they are far apart.
        let message =
            format!("`{text}` names an address inside a network; write `{}` for the network", network.trunc());
        Err(Mismatch::content(value, Self::EXPECTED, message))
    }
}

impl ParameterValue for Network {
    fn english(&self) -> String {
        self.to_string()
    }

    fn written(&self) -> String {
        quoted(&self.to_string())
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "string", "minLength": 2, "description": Self::EXPECTED })
    }
}

mod answers;

pub use answers::{AuthorisedScript, CookieName, HttpsOrigin, SameSite, ScriptSource, Swap, TemporaryCipher};

/// A range of ports, or one: `443`, `1-1024`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last, at least the first.
    pub last: u16,
}

impl FromValue for PortRange {
    const EXPECTED: &'static str = "a range of ports such as \"1-1024\"";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        let text = String::from_value(value)?;
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(Mismatch::content(value, Self::EXPECTED, format!("`{text}` is no range of ports"))),
        }
    }
}

impl ParameterValue for PortRange {
    fn english(&self) -> String {
        if self.first == self.last { self.first.to_string() } else { format!("{} to {}", self.first, self.last) }
    }

    fn written(&self) -> String {
        quoted(&format!("{}-{}", self.first, self.last))
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" })
    }
}
