//! Controls that stand on what is published, or on the policy itself.

use reeve_base::Period;

use super::value::{ContactUri, Link, Mail, PlainText, equal, higher, lower, more};

control! {
    /// Researchers find out how to report (RFC 9116).
    DiscloseSecurityTxt = "disclose.securitytxt";
    enforced "the gateway serves /.well-known/security.txt made from these parameters";
    proved "fetches the file, checks its fields against RFC 9116 and these parameters, and follows the Policy link where it is on the judged site";
    serves ["RFC 9116", "ISO 29147", "NIST SP 800-53r5 RA-5(11)"];
    /// Where reports go.
    contact: ContactUri = ContactUri::from("mailto:security@example.com"), equal;
    /// Where the disclosure policy is published.
    policy: Link = Link::from("/security"), equal;
    /// How far ahead the file expires; RFC 9116 advises less than a year.
    valid: Period = Period::days(180), lower, from Period::days(1), to Period::days(365);
}

control! {
    /// A named person can be reached about security.
    DiscloseContact = "disclose.contact";
    enforced "the gateway names the contact in /.well-known/security.txt";
    proved "fetches the file and finds the name, the role and the address";
    serves ["RFC 9116", "NIST SP 800-53r5 RA-5(11)", "SOC 2 CC2.3"];
    /// Who.
    name: PlainText = PlainText::from("Security Team"), equal;
    /// In which role.
    role: PlainText = PlainText::from("Security contact"), equal;
    /// Where.
    mail: Mail = Mail::from("security@example.com"), equal;
}

control! {
    /// The terms and notices that belong beside this policy are published.
    TrustLinks = "trust.links";
    enforced "the application or its publisher serves the pages; Reeve watches that they are there";
    proved "fetches each link and expects a page (200 with text in it); an invented path beside it must not be one";
    serves ["SOC 2 CC2.3", "GDPR Art. 12", "ISO 27001:2022 A.5.34"];
    /// The pages.
    links: Vec<Link> = vec![Link::from("/terms"), Link::from("/privacy")], more;
}

control! {
    /// A section as a whole is only as good as its worst clause.
    CoverageSection = "coverage.section";
    enforced "the clauses of the section, each by its own control";
    proved "takes the worst verdict of the section's other clauses";
    serves ["SOC 2 CC4.1", "NIST SP 800-53r5 CA-7"];
    /// The section.
    section: PlainText = PlainText::from("infrastructure"), equal;
}

control! {
    /// Every clause of the policy has something that proves it.
    CoverageClauses = "coverage.clauses";
    enforced "the policy language: a clause without a control or an attestation is refused";
    proved "counts the clauses whose control has no probe in this build";
    serves ["SOC 2 CC4.1", "NIST SP 800-53r5 CA-2", "ISO 27001:2022 A.5.36"];
    /// How many probes or attestations each clause has at least.
    least: u16 = 1, higher, from 1, to 1;
}
