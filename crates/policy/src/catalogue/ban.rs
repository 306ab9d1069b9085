//! Controls that ban addresses for a while.

use reeve_base::Period;

use super::value::{UrlPath, higher, lower, more};

control! {
    /// Who asks for what only scanners ask for is banned for a while.
    BanHttp = "ban.http";
    enforced "the gateway counts requests for these paths that are not served, and the web server logs it watches, by address (/64 for IPv6), and closes connections of banned addresses before TLS; each repeat within a week doubles the ban up to `longest`";
    proved "asks for such paths from an address of its own, one time fewer than `hits`, which must be served on, and once more, after which connections must be closed and the ban be listed and in the ledger with its end; other addresses must be served meanwhile, and the banned one again when the ban is over";
    serves ["NIST SP 800-53r5 SI-4", "NIST SP 800-53r5 AC-7", "CIS Controls 8.1 13.8", "ISO 27001:2022 A.8.16", "SOC 2 CC7.2"];
    /// How many hits are enough.
    hits: u16 = 5, lower, from 1, to 1_000;
    /// Within which time.
    window: Period = Period::minutes(10), higher, from Period::seconds(10), to Period::days(7);
    /// How long the first ban lasts.
    ban: Period = Period::minutes(60), higher, from Period::seconds(1), to Period::days(365);
    /// How long a repeated one lasts at most.
    longest: Period = Period::days(7), higher, from Period::seconds(1), to Period::days(365);
    /// Paths that only scanners ask for: each, and whatever is below it, in whatever way it is spelled.
    paths: Vec<UrlPath> = SCANNED.map(UrlPath::from).to_vec(), more;
}

control! {
    /// Addresses whose requests add up to a malicious pattern are blocked for a while.
    BanAuto = "ban.auto";
    enforced "the gateway adds up points for refusals, scanners' paths, failed sign-ins and missing pages by address (/64 for IPv6), and closes connections of an address that reaches the score before TLS; each repeat within a week doubles the ban up to `longest`";
    proved "sends malformed requests from an address of its own until the score is reached and not before, after which connections must be closed and the ban be listed and in the ledger with its end; other addresses must be served meanwhile, and the banned one again when the ban is over";
    serves ["NIST SP 800-53r5 SI-4(7)", "NIST SP 800-53r5 SC-5", "OWASP ASVS 5.0 2.4.1", "ISO 27001:2022 A.8.16", "SOC 2 CC7.2"];
    /// How many points are enough.
    score: u16 = 100, lower, from 1, to 10_000;
    /// Within which time.
    window: Period = Period::minutes(10), higher, from Period::seconds(10), to Period::days(7);
    /// How long the first ban lasts.
    ban: Period = Period::minutes(15), higher, from Period::seconds(1), to Period::days(365);
    /// How long a repeated one lasts at most.
    longest: Period = Period::days(1), higher, from Period::seconds(1), to Period::days(365);
    /// Points for a refusal by a control; one for pace (rate, slowness) counts a single point.
    refusal: u16 = 10, higher, from 0, to 10_000;
    /// Points for asking for what only scanners ask for, if it is not served.
    scan: u16 = 25, higher, from 0, to 10_000;
    /// Points for an answer 401 or 403 of the application.
    sign_in: u16 = 5, higher, from 0, to 10_000;
    /// Points for an answer 404 or 410.
    missing: u16 = 1, higher, from 0, to 10_000;
}

control! {
    /// Logs of SSH servers are watched, and who fails to sign in too often is banned for a while.
    BanSsh = "ban.ssh";
    enforced "the logs of `[[watch]]` with `kind = \"sshd\"`, files or what a service writes to the journal, are followed, failed sign-ins are counted by address (/64 for IPv6), and the address is banned from the gateway, and from the host where the settings give it an nftables set; each repeat within a week doubles the ban up to `longest`";
    proved "appends canary lines to each watched log, or fails to sign in at the SSH server itself where its log is in a journal, one failure fewer than `failures`, after which the address must be served, and one more, after which its connections must be closed and the ban be listed and in the ledger with its end; an address that signed in must be served meanwhile, and the banned one again when the ban is over";
    serves ["NIST SP 800-53r5 AC-7", "NIST SP 800-53r5 SI-4", "CIS Controls 8.1 13.8", "ISO 27001:2022 A.8.16", "SOC 2 CC7.2"];
    /// How many failures are enough.
    failures: u16 = 5, lower, from 1, to 1_000;
    /// Within which time.
    window: Period = Period::minutes(10), higher, from Period::seconds(10), to Period::days(7);
    /// How long the first ban lasts.
    ban: Period = Period::minutes(60), higher, from Period::seconds(1), to Period::days(365);
    /// How long a repeated one lasts at most.
    longest: Period = Period::days(7), higher, from Period::seconds(1), to Period::days(365);
}

/// What scanners ask every site for, whatever it runs. An application that serves one of them loses nothing: only what
/// is not served counts.
const SCANNED: [&str; 22] = [
    "/.aws",
    "/.env",
    "/.git",
    "/.ssh",
    "/.svn",
    "/actuator",
    "/administrator",
    "/boaform",
    "/cgi-bin",
    "/hnap1",
    "/hudson",
    "/manager/html",
    "/mysqladmin",
    "/phpinfo.php",
    "/phpmyadmin",
    "/pma",
    "/server-status",
    "/solr",
    "/vendor/phpunit",
    "/wp-admin",
    "/wp-login.php",
    "/xmlrpc.php",
];
