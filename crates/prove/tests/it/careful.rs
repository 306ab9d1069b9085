//! A careful nginx: no fault is named, and nothing is left unknown.

use reeve_testkit::Nginx;

use crate::careless::ports;
use crate::fixture::{assert_observed, certificate, policy, run, target, today, with_verdict};

#[tokio::test]
async fn nothing_is_broken_and_nothing_unknown() {
    let certificate = certificate(90);
    let page = |title: &str| {
        let text = "Text that people agree to, and enough of it that nobody takes it for a heading. ".repeat(2);
        format!("<!doctype html><title>{title}</title><h1>{title}</h1><p>{text}</p>\n")
    };
    let expires = today().saturating_add(jiff::Span::new().days(100));
    let security_txt = format!(
        "# Contact: Security Team, Security contact\nContact: mailto:security@example.com\nExpires: {expires}T00:00:00Z\n\
         Policy: https://127.0.0.1:{{https}}/security\n"
    );
    let (home, error, terms) = (page("Home"), page("Something is wrong"), page("Terms"));
    let (privacy, security) = (page("Privacy"), page("Reporting"));
    // The file names its own port, which nginx knows only once it runs: it is written when the ports are known.
    let files = [
        ("chain.pem", certificate.chain_pem.as_str()),
        ("key.pem", certificate.key_pem.as_str()),
        ("site/index.html", &home),
        ("site/error.html", &error),
        ("site/terms", &terms),
        ("site/privacy", &privacy),
        ("site/security", &security),
        ("site/.well-known/security.txt", ""),
    ];
    let nginx = Nginx::start(&files, |[https, http]| ports(include_str!("careful.conf"), https, http, 0));
    let nginx = nginx.await.unwrap();
    let [https, http] = nginx.ports();
    let file = nginx.folder().join("site/.well-known/security.txt");
    std::fs::write(file, security_txt.replace("{https}", &https.to_string())).unwrap();

    let policy = policy(&ports(include_str!("careful.toml"), https, http, 0));
    let target = target(https, Some(http), Some(certificate.authority)).await;
    let report = run(&policy, &target).await;

    assert_eq!(with_verdict(&report, "broken"), [""; 0]);
    assert_eq!(with_verdict(&report, "unknown"), [""; 0]);
    assert_eq!(report.counts().kept, policy.clauses.len());
    assert_eq!(report.conclusion().exit_code(), 0);
    assert_observed(&report, "hsts", &["GET / over HTTP/2: 200"]);
    assert_observed(&report, "rate", &["429 with Retry-After: 1", "another address is answered with 200 meanwhile"]);
    assert_observed(&report, "floor", &["offered TLS 1.0", "refused (alert", "twin: accepted: TLS 1.2"]);
}
