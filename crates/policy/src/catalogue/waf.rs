//! Controls of the web application firewall.

use reeve_base::{Period, Size};

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

control! {
    /// Each application has rules of its own against what threatens it in particular.
    WafCustom = "waf.custom";
    enforced "the gateway runs the rules that the settings name for its applications (`[[waf.custom]]`) after all others, and takes up no rule that has no canary or does not refuse it";
    proved "sends the canary of each rule, which must be refused by that rule, and its harmless twin, which must not be; counts the rules of each application that stood this";
    serves ["OWASP ASVS 5.0 2.2.1", "NIST SP 800-53r5 SI-10", "PCI DSS 4.0.1 6.4.2", "CIS Controls 8.1 13.10"];
    /// How many rules each application has at least.
    per_app: u16 = 1, higher, from 1, to 1_000;
}

control! {
    /// The firewall's rules are no older than this.
    WafRuleAge = "waf.rule_age";
    enforced "the gateway follows a signed feed of rules (`[waf.feed]`): newer ones are tried and taken up by themselves, older ones refused, and rules that have grown too old are told of as an event; each set that is loaded, and each look at the feed, is in the ledger with version and time";
    proved "asks the gateway which rules run and reads out of the ledger, with its proof, when they were made and loaded; their age by the judge's own clock must not be past the limit, while the site is served";
    serves ["NIST SP 800-53r5 SI-3", "NIST SP 800-53r5 SI-5", "PCI DSS 4.0.1 6.3.1", "CIS Controls 8.1 10.2"];
    /// How long ago the rules, or the feed's last word on them, may have been made.
    max_age: Period = Period::days(7), lower, from Period::minutes(60), to Period::days(1_095);
}
