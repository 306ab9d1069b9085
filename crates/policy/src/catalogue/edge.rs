//! Controls that the gateway enforces.

use reeve_base::{Period, Rate, Size};

use super::rate::{RouteRate, tighter};
use super::value::{
    Cipher, Framing, HeaderText, Method, OriginPolicy, PlainHttp, PortRange, Replaced, TlsVersion, UrlPath, equal,
    fewer, higher, lower, more,
};

control! {
    /// No listener speaks a TLS version below the floor.
    TlsFloor = "tls.floor";
    enforced "the gateway's TLS listeners offer only the versions from `min` up";
    proved "offers SSL 3.0 and every TLS version below `min` in hand-made ClientHellos and expects refusal; a version from `min` up must be accepted";
    serves ["NIST SP 800-52r2 3.1", "NIST SP 800-53r5 SC-8(1)", "PCI DSS 4.0.1 4.2.1", "ISO 27001:2022 A.8.24", "SOC 2 CC6.7"];
    /// The lowest version that is accepted.
    min: TlsVersion = TlsVersion::V1_2, higher;
}

control! {
    /// Only authenticated ciphers from this list are negotiated.
    TlsCiphers = "tls.ciphers";
    enforced "the gateway's TLS listeners hold only suites with these ciphers";
    proved "offers CBC, RC4, 3DES, NULL, EXPORT and anonymous suites, and each AEAD cipher that is not listed, and expects refusal; a listed one must be accepted";
    serves ["NIST SP 800-52r2 3.3", "NIST SP 800-53r5 SC-13", "PCI DSS 4.0.1 4.2.1", "ISO 27001:2022 A.8.24"];
    /// The ciphers that may be negotiated.
    ciphers: Vec<Cipher> = vec![Cipher::Aes256Gcm, Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305], fewer;
}

control! {
    /// Traffic is encrypted with keys of at least this length.
    TlsCipherBits = "tls.cipher_bits";
    enforced "the gateway's TLS listeners hold no suite with a shorter key";
    proved "offers only suites with shorter keys and expects refusal; a suite with a long enough key must be accepted";
    serves ["NIST SP 800-53r5 SC-13", "ISO 27001:2022 A.8.24"];
    /// The least key length in bits: 128 or 256.
    bits: u16 = 256, higher, from 128, to 256;
}

control! {
    /// Every key exchange is ephemeral, so that a stolen server key opens no recorded traffic.
    TlsPfs = "tls.pfs";
    enforced "the gateway's TLS listeners hold only (EC)DHE suites, hybrid post-quantum groups first";
    proved "offers only suites with static RSA key exchange and expects refusal; an ECDHE suite must be accepted";
    serves ["NIST SP 800-52r2 3.3.1", "NIST SP 800-53r5 SC-12", "ISO 27001:2022 A.8.24"];
}

control! {
    /// Every listener speaks only TLS; plaintext gets a redirect or nothing.
    TlsOnly = "tls.only";
    enforced "plaintext on a TLS port is closed, and the plaintext port never forwards a request";
    proved "sends a plain HTTP request to every listener and expects a redirect to HTTPS or a closed connection; the same request over TLS must be answered";
    serves ["NIST SP 800-53r5 SC-8", "PCI DSS 4.0.1 4.2.1", "SOC 2 CC6.7"];
}

control! {
    /// The whole site is on HTTPS: port, links and cookies.
    TlsHttpsOnly = "tls.https_only";
    enforced "the plaintext port redirects or is closed, and cookies get the Secure attribute";
    proved "asks the plaintext port, then crawls a bounded number of pages and expects no http: link to the site and no cookie without Secure";
    serves ["NIST SP 800-53r5 SC-8", "OWASP ASVS 5.0 12.2.1", "SOC 2 CC6.7"];
    /// What the plaintext port does.
    http: PlainHttp = PlainHttp::Redirect, higher;
}

control! {
    /// The certificate is valid, names the site, and is renewed before this much of its life is left.
    TlsCertExpiry = "tls.cert_expiry";
    enforced "the gateway refuses to start with an expired certificate and warns when less than `left` remains";
    proved "reads the served certificate, verifies its chain and name, and compares its end with `left`";
    serves ["NIST SP 800-53r5 SC-17", "ISO 27001:2022 A.8.24"];
    /// The least validity that must be left at any time.
    left: Period = Period::days(30), higher, from Period::days(1), to Period::days(365);
}

control! {
    /// Certificates are issued and replaced by themselves, before too much of their life has passed.
    TlsAcme = "tls.acme";
    enforced "the gateway asks for a new certificate, over ACME or from its local authority, before `life` percent of the old one's validity has passed, and exchanges it without closing a connection";
    proved "reads the served certificate and how much of its validity has passed, and looks for it among those that the running gateway replaces by itself and in the ledger's security trail";
    serves ["NIST SP 800-53r5 SC-17", "NIST SP 800-57pt1r5 5.3", "ISO 27001:2022 A.8.24"];
    /// The percentage of a certificate's validity by which it has been replaced.
    life: u16 = 67, lower, from 10, to 90;
}

control! {
    /// Outgoing connections accept only servers whose keys are known beforehand, and a spare key is known too.
    TlsPin = "tls.pin";
    enforced "the gateway ends a connection to an application over TLS whose key is none of the pins, and does not start without `spare` more pins than the one in use";
    proved "lets the gateway connect to a server of the probe's own with a key of no pin, which must be refused for its key, and compares the application's key with the pins; a request through the gateway must pass";
    serves ["NIST SP 800-53r5 SC-23", "OWASP ASVS 5.0 12.3.2", "OWASP ASVS 5.0 12.3.4"];
    /// How many pins there are beside the one in use, at least.
    spare: u16 = 1, higher, from 1, to 8;
}

control! {
    /// Browsers are told to use HTTPS only (RFC 6797).
    HdrHsts = "hdr.hsts";
    enforced "the gateway sets Strict-Transport-Security on every answer and removes the application's own";
    proved "reads the header on pages, errors and redirects, exactly once each, and compares its directives";
    serves ["OWASP ASVS 5.0 3.4.1", "NIST SP 800-53r5 SC-8", "PCI DSS 4.0.1 4.2.1"];
    /// For how long a browser remembers.
    max_age: Period = Period::days(365), higher, from Period::days(1), to Period::days(1_095);
    /// Whether subdomains are included.
    subdomains: bool = true, higher;
    /// Whether the site may be put on the browsers' preload list.
    preload: bool = false, higher;
}

control! {
    /// A Content Security Policy is enforced on every page.
    HdrCsp = "hdr.csp";
    enforced "the gateway sets Content-Security-Policy on every answer and removes the application's own; with `report` it takes browsers' reports and records them";
    proved "reads the header on HTML answers and compares it directive by directive; with `report` it hands in a report, which must be taken, and one that is none, which must not";
    serves ["OWASP ASVS 5.0 3.4.3", "PCI DSS 4.0.1 6.4.3", "NIST SP 800-53r5 SC-18"];
    /// The policy, as the header carries it.
    policy: HeaderText = HeaderText::from("default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"), equal;
    /// Whether browsers are asked to report what they kept from happening.
    report: bool = false, higher;
}

control! {
    /// Framing by other sites is refused (clickjacking).
    HdrFrame = "hdr.frame";
    enforced "the gateway sets X-Frame-Options on every answer and removes the application's own";
    proved "reads X-Frame-Options and the frame-ancestors of the Content Security Policy on HTML answers";
    serves ["OWASP ASVS 5.0 3.4.6", "NIST SP 800-53r5 SC-18"];
    /// Who may frame a page.
    framing: Framing = Framing::Deny, higher;
}

control! {
    /// The other headers that make a browser careful are set, once each.
    HdrSet = "hdr.set";
    enforced "the gateway sets nosniff, Referrer-Policy, Permissions-Policy, COOP and CORP on every answer and removes the application's own";
    proved "reads each header on pages and errors, exactly once, and compares its value";
    serves ["OWASP ASVS 5.0 3.4.4", "OWASP ASVS 5.0 3.4.5", "OWASP ASVS 5.0 3.4.8", "NIST SP 800-53r5 SC-18"];
    /// Referrer-Policy.
    referrer: HeaderText = HeaderText::from("strict-origin-when-cross-origin"), equal;
    /// Permissions-Policy.
    permissions: HeaderText = HeaderText::from("camera=(), geolocation=(), microphone=()"), equal;
    /// Cross-Origin-Opener-Policy.
    opener: OriginPolicy = OriginPolicy::SameOrigin, higher;
    /// Cross-Origin-Resource-Policy.
    resource: OriginPolicy = OriginPolicy::SameOrigin, higher;
}

control! {
    /// Each address gets so many requests; the rest is told to come back later.
    RateIp = "rate.ip";
    enforced "the gateway counts by address (/64 for IPv6) with GCRA, for the whole site and for each route, and answers 429 with Retry-After";
    proved "sends a burst past each limit from an address of its own and expects 429 with Retry-After; another address must still be served";
    serves ["OWASP ASVS 5.0 2.4.1", "NIST SP 800-53r5 SC-5", "OWASP API Security 2023 API4"];
    /// The rate that may be kept up.
    rate: Rate = Rate::per_minute(600), lower, from Rate::per_minute(1), to Rate::per_minute(60_000_000);
    /// How many may come at once on top of it.
    burst: u32 = 100, lower, from 1, to 1_000_000;
    /// Paths under which a rate of their own holds as well.
    routes: Vec<RouteRate> = Vec::new(), tighter;
}

control! {
    /// Requests have a largest size, in each of their parts.
    InputSize = "input.size";
    enforced "the gateway measures request line, fields and body and answers 414, 431 or 413 one past the limit";
    proved "sends each part at its limit, which must pass, and one past it, which must be refused";
    serves ["OWASP ASVS 5.0 4.2.5", "NIST SP 800-53r5 SI-10", "OWASP API Security 2023 API4"];
    /// The largest body.
    body: Size = Size::from_bytes(1 << 20), lower, from Size::from_bytes(1 << 10), to Size::from_bytes(1 << 34);
    /// The largest head: request line and all fields together.
    header: Size = Size::from_bytes(16 << 10), lower, from Size::from_bytes(1 << 10), to Size::from_bytes(64 << 10);
    /// The longest request target.
    uri: Size = Size::from_bytes(8 << 10), lower, from Size::from_bytes(64), to Size::from_bytes(32 << 10);
    /// The most header fields.
    fields: u16 = 100, lower, from 8, to 200;
}

control! {
    /// Only these request methods are served.
    InputMethods = "input.methods";
    enforced "the gateway answers every other method with 405 and names those allowed";
    proved "sends TRACE, CONNECT, an invented method and each unlisted one and expects 405 or 501; GET must pass";
    serves ["OWASP ASVS 5.0 4.1.4", "NIST SP 800-53r5 CM-7"];
    /// The methods.
    methods: Vec<Method> = Method::ALL.to_vec(), fewer;
}

control! {
    /// Errors are shown on pages of our own that give nothing away.
    ErrorPage = "error.page";
    enforced "the gateway replaces the application's error answers by its own page with an event id";
    proved "provokes errors and looks for stack traces, file paths, version banners and stock error pages";
    serves ["OWASP ASVS 5.0 16.5.1", "NIST SP 800-53r5 SI-11", "PCI DSS 4.0.1 6.2.4"];
    /// Which answers of the application are replaced.
    replaces: Replaced = Replaced::ServerErrors, higher;
}

control! {
    /// Nothing shows software versions or stack traces, and debugging routes are closed.
    ErrorNoDebug = "error.no_debug";
    enforced "the gateway answers these paths itself with 404, strips headers that name software, and replaces answers in which it finds a stack trace";
    proved "asks for each path and expects 404 or 403 with nothing of the kind in it, and looks for version headers and stack traces on every answer, also where the application is known to show one";
    serves ["OWASP ASVS 5.0 13.4.6", "NIST SP 800-53r5 CM-7", "NIST SP 800-53r5 SI-11"];
    /// Whether answers of the application that show a stack trace are replaced by the error page.
    traces: bool = true, higher;
    /// Pages that may show stack traces because they explain them: each path and what is below it.
    documentation: Vec<UrlPath> = Vec::new(), fewer;
    /// Paths that are never served.
    paths: Vec<UrlPath> = ["/.env", "/.git/HEAD", "/debug", "/server-status", "/phpinfo.php", "/actuator/env"].map(UrlPath::from).to_vec(), more;
}

control! {
    /// From outside, only these ports are open.
    NetOpenPorts = "net.open_ports";
    enforced "the gateway listens on these ports only; what else the host opens is for its firewall";
    proved "connects to every port of the range on the public address and compares those that answer";
    serves ["NIST SP 800-53r5 SC-7(5)", "PCI DSS 4.0.1 1.2.5", "CIS Controls 8.1 4.4"];
    /// The ports that may be open.
    ports: Vec<u16> = vec![80, 443], fewer;
    /// The ports that are tried.
    scan: PortRange = PortRange { first: 1, last: u16::MAX }, equal;
}

control! {
    /// A request has exactly one framing; whatever two parsers could read in two ways is refused (RFC 9112).
    EdgeSmuggling = "edge.smuggling";
    enforced "the gateway reads every head strictly before anything else does and answers 400";
    proved "sends ambiguous and malformed heads over raw connections, each of which must be refused and the connection closed; well-formed ones must pass";
    serves ["OWASP ASVS 5.0 4.2.1", "NIST SP 800-53r5 SI-10(5)"];
}

control! {
    /// Slow and idle clients cannot hold the service, and one address cannot take all connections.
    EdgeSlowAndFlood = "edge.slow_and_flood";
    enforced "the gateway closes a connection whose head is not complete in time, whose bodies or answers move too slowly or that floods it with empty frames, and those of one address past the cap";
    proved "trickles a head and a body, which must be cut off in time, and opens connections past the cap, which must be closed, while a canary elsewhere is served";
    serves ["NIST SP 800-53r5 SC-5", "OWASP API Security 2023 API4"];
    /// How long a request's head may take.
    header_deadline: Period = Period::seconds(10), lower, from Period::seconds(1), to Period::seconds(120);
    /// How many bytes a second a client has to send of a body, or to take of an answer.
    least_rate: Size = Size::from_bytes(500), higher, from Size::from_bytes(16), to Size::from_bytes(1 << 20);
    /// How long it may fall short of that.
    grace: Period = Period::seconds(30), lower, from Period::seconds(1), to Period::seconds(300);
    /// How many connections one address may hold.
    connections: u32 = 256, lower, from 8, to 100_000;
}
