//! Controls on who may come in: addresses by route, programs by what they say and how they say it, and the host's own
//! firewall.

use reeve_base::Period;

use super::value::{Network, RulesetDigest, Signature, UrlPath, equal, fewer, lower, more};

control! {
    /// Some routes answer only the networks that are named.
    EdgeIpAllow = "edge.ip_allow";
    enforced "the gateway answers these routes, and whatever is below them in whatever way it is spelled, with 403 for every address outside the networks; behind proxies that the settings trust, the address is the client's that the nearest of them states";
    proved "asks for each route from an address outside the networks, in several spellings, all of which must be refused with 403, and from one inside, which must not be";
    serves ["NIST SP 800-53r5 SC-7(5)", "NIST SP 800-53r5 AC-3", "PCI DSS 4.0.1 1.4.1", "OWASP ASVS 5.0 13.2.4", "CIS Controls 8.1 4.4"];
    /// Routes that are restricted: each, and whatever is below it.
    routes: Vec<UrlPath> = vec![UrlPath::from("/admin")], more;
    /// Networks that are answered.
    networks: Vec<Network> = Network::private(), fewer;
}

control! {
    /// User agents that are known to be bad are refused.
    BotUa = "bot.ua";
    enforced "the gateway refuses with 403 what names itself in User-Agent as one of the scanners, attack tools and scrapers of a list that Reeve ships, or of the settings' own; the settings' allow-list wins";
    proved "asks in the name of several programs that every such list must hold, which must be refused with 403, and as browsers, command line clients and monitors do, which must not be; and compares the list's date with today";
    serves ["NIST SP 800-53r5 SI-4", "OWASP ASVS 5.0 2.4.1", "OWASP Automated Threats OAT-014"];
    /// How old the shipped list may be.
    age: Period = Period::days(365), lower, from Period::days(1), to Period::days(1_095);
}

control! {
    /// Requests that carry the signature of a bot are refused.
    BotSignature = "bot.signature";
    enforced "the gateway fingerprints every TLS handshake (JA4) and the order of every request's header fields, refuses those that are listed or banned, and refuses with 403 requests whose headers contradict the program they claim to come from";
    proved "asks with headers that no such browser sends, which must be refused with 403; has the fingerprints of a handshake and of a header order of its own banned for a moment, each of which it works out by itself, and must be refused until they are lifted; ordinary clients must be answered throughout";
    serves ["NIST SP 800-53r5 SI-4", "OWASP ASVS 5.0 2.4.1", "OWASP Automated Threats OAT-004"];
    /// What is looked at.
    signatures: Vec<Signature> = vec![Signature::Headers, Signature::HeaderOrder, Signature::Ja4], more;
}

control! {
    /// The host's own firewall drops what it is not told to admit.
    HostFirewall = "host.firewall";
    enforced "the nftables rules of the host, which its operator loads; `reeve firewall digest` prints the digest of what is loaded, to be approved and written into the policy";
    proved "reads the live rules, in which a chain on input must drop what no rule admits and admit new connections to these ports only; compares their digest with the approved one, if there is one; and knocks at ports that must not answer, while the site is served";
    serves ["NIST SP 800-53r5 SC-7(12)", "NIST SP 800-53r5 CM-6", "PCI DSS 4.0.1 1.2.7", "CIS Controls 8.1 4.4"];
    /// Ports to which new connections may be admitted, over TCP or UDP.
    ports: Vec<u16> = vec![22, 80, 443], fewer;
    /// SHA-256 of the approved rules as `reeve firewall digest` prints it, or \"any\".
    ruleset: RulesetDigest = RulesetDigest::from("any"), equal;
}
