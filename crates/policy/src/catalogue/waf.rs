//! Controls of the web application firewall.

use reeve_base::Size;

use super::value::{higher, lower};

control! {
    /// Rules look for the known classes of attack in every request and for leaks in answers, and refuse what adds up.
    WafAttackSet = "waf.attack_set";
    enforced "the gateway runs the rules named in the settings, or its own, over head and whole body of each request before any of it goes on, and over text answers, and refuses what reaches the threshold";
    proved "sends one attack of each family in query, form and JSON, which must be refused by the gateway; each has a benign twin in the same place, which must be answered as without";
    serves ["OWASP ASVS 5.0 1.2.1", "OWASP Top 10 2021 A03", "NIST SP 800-53r5 SI-3", "PCI DSS 4.0.1 6.4.2", "CIS Controls 8.1 13.10"];
    /// The paranoia level of the rules: each adds stricter ones.
    paranoia: u16 = 1, higher, from 1, to 4;
    /// The anomaly score from which a request is refused; a critical rule counts five.
    threshold: u16 = 5, lower, from 1, to 10_000;
    /// The largest body that is looked into; a longer one is refused.
    body: Size = Size::from_bytes(1 << 20), lower, from Size::from_bytes(1 << 10), to Size::from_bytes(32 << 20);
    /// Whether answers are looked into, too.
    responses: bool = true, higher;
}
