//! A careless nginx: every planted fault is named.

use reeve_testkit::Nginx;

use crate::fixture::{assert_observed, certificate, policy, run, target, with_verdict};

#[tokio::test]
async fn every_planted_fault_is_named() {
    let certificate = certificate(10);
    let files = [
        ("chain.pem", certificate.chain_pem.as_str()),
        ("key.pem", certificate.key_pem.as_str()),
        ("dh.pem", include_str!("dh.pem")),
    ];
    let nginx = Nginx::start(&files, |[https, http, app]| ports(include_str!("careless.conf"), https, http, app));
    let nginx = nginx.await.unwrap();
    let [https, http, app] = nginx.ports();
    let policy = policy(&ports(include_str!("careless.toml"), https, http, app));
    let mut target = target(https, Some(http), Some(certificate.authority)).await;
    target.error_path = Some(String::from("/boom"));
    let report = run(&policy, &target).await;

    println!("{} requests", report.requests);
    let kept = with_verdict(&report, "kept");
    assert_eq!(kept, ["coverage"], "{}", report.counts());
    let unknown = with_verdict(&report, "unknown");
    assert_eq!(unknown, [""; 0], "{}", report.counts());
    assert_eq!(report.conclusion().exit_code(), 1);

    assert_observed(
        &report,
        "floor",
        &["TLS 1.0 is accepted", "TLS 1.1 is accepted", "SSL 3.0 with", "refused (alert"],
    );
    assert_observed(
        &report,
        "ciphers",
        &[
            "TLS 1.0 accepts suites outside the list",
            "TLS 1.2 accepts suites outside the list",
            "_CBC_SHA",
            "TLS_DH_anon_WITH_AES_128_GCM_SHA256",
            "TLS_RSA_WITH_NULL_SHA256",
            "TLS_RSA_WITH_AES_128_CCM_8",
        ],
    );
    assert_observed(&report, "bits", &["TLS 1.1 accepts suites with a shorter key", "TLS_ECDHE_RSA_WITH_NULL_SHA"]);
    assert_observed(&report, "pfs", &["TLS 1.1 accepts suites without forward", "TLS_RSA_WITH_AES_256_GCM_SHA384"]);
    assert_observed(&report, "tls-only", &["answers plain HTTP with 200"]);
    assert_observed(&report, "https-only", &["/ leads to http://127.0.0.1/about", "cookie session without Secure"]);
    assert_observed(&report, "certificate", &["days left, promised 30d", "the chain is trusted and names 127.0.0.1"]);
    assert_observed(&report, "hsts", &["no Strict-Transport-Security on all of 3 answers"]);
    assert_observed(&report, "csp", &["no Content-Security-Policy on all of"]);
    assert_observed(&report, "frame", &["no X-Frame-Options on all of"]);
    assert_observed(
        &report,
        "set",
        &["no X-Content-Type-Options", "no Referrer-Policy", "no Cross-Origin-Opener-Policy"],
    );
    assert_observed(&report, "rate", &["there is no limit"]);
    assert_observed(
        &report,
        "size",
        &["a body one past the limit is answered with 200", "a target one past the limit"],
    );
    assert_observed(&report, "methods", &["REEVE is answered with 200", "TRACE: 405"]);
    assert_observed(&report, "errors", &["a stack trace of Python", "`nginx/1.22.1`", "the stock error page of nginx"]);
    assert_observed(
        &report,
        "debug",
        &[
            "/debug is answered with 200",
            "/.env shows an environment file",
            "server: nginx/",
            "x-powered-by: PHP/7.4.3",
        ],
    );
    assert_observed(&report, "ports", &[&format!("port {http} is open")]);
    assert_observed(&report, "smuggling", &["bare line feeds as line ends: the request behind it is answered"]);
    assert_observed(&report, "slow", &["still waited for", "is served"]);
    assert_observed(&report, "securitytxt", &["security.txt is answered with 404"]);
    assert_observed(&report, "links", &["/terms is answered with 404"]);
}

pub(crate) fn ports(text: &str, https: u16, http: u16, app: u16) -> String {
    let ports = [("{https}", https), ("{http}", http), ("{app}", app)];
    // `{http}` is also a parameter of a clause; in a sentence it stands behind a word.
    let protected = text.replace("is {http}.", "is \u{1}.");
    let filled = ports.into_iter().fold(protected, |text, (key, port)| text.replace(key, &port.to_string()));
    filled.replace('\u{1}', "{http}")
}
