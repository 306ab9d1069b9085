//! Certificates from a real ACME server, through listeners that serve meanwhile.

mod bench;
mod meddler;
pub(crate) mod visitor;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reeve_base::{Clock, SystemClock};
use reeve_edge::{ChallengeKind, RenewError};

use bench::{Bench, DAYS_90, Plan};
use meddler::{Meddler, Mischief};
use visitor::{names_shown, visit};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_issued_by_http_01_past_the_redirect() {
    let bench = Bench::start(Plan::default()).await;
    assert!(bench.certificates.shown()[0].temporary, "nothing is issued yet");
    bench.keeper.look(&bench.certificates).await;
    let shown = bench.certificates.shown();
    assert!(!shown[0].temporary && shown[0].issuer.contains("Pebble"), "{shown:?}");
    assert_eq!(names_shown(bench.https, Some("www.site.test")), ["www.site.test", "site.test"]);
    assert_eq!(bench.press.told(), ["issued www.site.test site.test"]);
    // The answer is taken down again, and other requests are redirected as ever.
    let answer = bench.plain("/.well-known/acme-challenge/anything");
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_issued_by_tls_alpn_01_while_visitors_are_served() {
    let plan = Plan { challenge: ChallengeKind::TlsAlpn, ..Plan::default() };
    let bench = Bench::start(plan).await;
    bench.keeper.look(&bench.certificates).await;
    assert!(!bench.certificates.shown()[0].temporary, "{:?}", bench.press.told());
    assert!(visit(bench.https, Some("site.test")).1.ends_with("ok"));
    // Nobody gets a certificate, or an answer, under the protocol of proofs when no order is under way.
    assert!(visitor::handshake(bench.https, Some("site.test"), &[b"acme-tls/1"]).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_is_issued_by_dns_01_through_the_hook() {
    let names = vec![String::from("*.site.test"), String::from("site.test")];
    let plan = Plan { challenge: ChallengeKind::Dns, names, ..Plan::default() };
    let bench = Bench::start(plan).await;
    bench.keeper.look(&bench.certificates).await;
    assert_eq!(bench.press.told(), ["issued *.site.test site.test"]);
    assert_eq!(names_shown(bench.https, Some("any.site.test")), ["*.site.test", "site.test"]);
    // Each record that was put up was taken down.
    let acts = bench.hook.acts();
    let of = |what: &str| acts.iter().filter(|act| act.starts_with(what)).count();
    assert_eq!((of("present"), of("cleanup")), (2, 2), "{acts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_nonces_are_tried_again() {
    // Each request is made three times and each order four times: where 20 of 100 are refused, one attempt does.
    let bench = Bench::start(Plan { nonces_refused: 20, ..Plan::default() }).await;
    bench.keeper.look(&bench.certificates).await;
    assert!(!bench.certificates.shown()[0].temporary, "{:?}", bench.press.told());
    assert!(bench.pebble.log().contains("reject"), "no nonce was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_shows_the_kept_certificate_and_orders_nothing() {
    let mut bench = Bench::start(Plan::default()).await;
    bench.keeper.look(&bench.certificates).await;
    let before = bench.certificates.shown()[0].fingerprint.clone();
    bench.restart().await;
    assert_eq!(bench.certificates.shown()[0].fingerprint, before, "from the first handshake on");
    bench.keeper.look(&bench.certificates).await;
    assert_eq!(bench.certificates.shown()[0].fingerprint, before);
    assert_eq!(bench.press.told().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_under_load_fail_no_request_and_come_before_two_thirds() {
    let bench = Arc::new(Bench::start(Plan { valid_seconds: 15, ..Plan::default() }).await);
    bench.keeper.look(&bench.certificates).await;
    let stop = Arc::new(AtomicBool::new(false));
    let visitors: Vec<_> = (0..4)
        .map(|_| {
            let (stop, address) = (Arc::clone(&stop), bench.https);
            std::thread::spawn(move || {
                let mut served = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    let (_, answer) = visit(address, Some("www.site.test"));
                    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                    served += 1;
                }
                served
            })
        })
        .collect();
    let run = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.keeper.run(&bench.certificates).await }
    });
    let mut seen = Vec::new();
    for _ in 0..260 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let shown = bench.certificates.shown().remove(0);
        let latest = shown.renews.unwrap();
        assert!(SystemClock::new().now() < latest + Duration::from_secs(2), "late: {shown:?}");
        if seen.last() != Some(&shown.fingerprint) {
            seen.push(shown.fingerprint);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let served: u32 = visitors.into_iter().map(|visitor| visitor.join().unwrap()).sum();
    run.abort();
    assert!(seen.len() >= 3, "{} certificates were shown", seen.len());
    assert!(served > 200, "only {served} visits");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_limits_rates_is_left_alone_for_as_long_as_it_says() {
    let meddler = Meddler::new(Mischief::RateLimit);
    let bench = Bench::start(Plan { meddler: Some(meddler.clone()), ..Plan::default() }).await;
    let error = bench.keeper.renew(&bench.certificates, Some("site.test")).await.unwrap_err();
    let RenewError::Failed { cause, retry, .. } = &error else { panic!("{error}") };
    assert!(cause.contains("too many orders"), "{cause}");
    let wait = retry.duration_since(SystemClock::new().now()).as_secs();
    assert!((7_100..=7_200).contains(&wait), "{wait}");
    assert_eq!(bench.press.told().len(), 1);
    let asked = meddler.asked();
    for _ in 0..5 {
        bench.keeper.look(&bench.certificates).await;
    }
    assert_eq!(meddler.asked(), asked, "it was asked again before its time");
    let standing = bench.keeper.standing(&bench.certificates).await;
    assert!(standing[0].failures == 1 && standing[0].cause.as_ref().unwrap().contains("too many orders"));
}

#[track_caller]
fn fails(told: &[String], cause: &str) {
    assert!(told.iter().any(|news| news.starts_with("failed") && news.contains(cause)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_authority_does_wrong_leaves_the_old_certificate_in_place() {
    let meddler = Meddler::new(Mischief::None);
    let bench = Bench::start(Plan { meddler: Some(meddler.clone()), ..Plan::default() }).await;
    bench.keeper.look(&bench.certificates).await;
    let before = bench.certificates.shown()[0].fingerprint.clone();
    for (mischief, cause) in [
        (Mischief::WrongChain, "do not sign each other"),
        (Mischief::LeafAlone, "the chain holds no issuer"),
        (Mischief::ForeignCertificate, "the key does not belong to the certificate"),
        (Mischief::Garbage, "answers with 502"),
        (Mischief::NoJson, "makes no sense"),
        (Mischief::Hangup, "HTTP with localhost"),
        (Mischief::Endless, "cannot be read"),
    ] {
        meddler.set(mischief);
        bench.keeper.renew(&bench.certificates, None).await.unwrap_err();
        fails(&bench.press.told(), cause);
        assert_eq!(bench.certificates.shown()[0].fingerprint, before, "{mischief:?}");
        assert!(visit(bench.https, Some("site.test")).1.ends_with("ok"));
    }
    meddler.set(Mischief::None);
    bench.keeper.renew(&bench.certificates, None).await.unwrap();
    assert_ne!(bench.certificates.shown()[0].fingerprint, before);
    assert_eq!(bench.keeper.standing(&bench.certificates).await[0].failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_proved_is_named() {
    let bench = Bench::start(Plan { reachable: false, ..Plan::default() }).await;
    let error = bench.keeper.renew(&bench.certificates, None).await.unwrap_err().to_string();
    assert!(error.contains("does not believe that `") && error.contains("site.test` is ours"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_forgot_the_account_gets_a_new_one() {
    let mut bench = Bench::start(Plan::default()).await;
    bench.keeper.look(&bench.certificates).await;
    bench.pebble.stop().unwrap();
    let error = bench.keeper.renew(&bench.certificates, None).await.unwrap_err().to_string();
    assert!(error.contains("cannot connect to localhost"), "{error}");
    bench.pebble.resume().await.unwrap();
    bench.keeper.renew(&bench.certificates, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_used() {
    let bench = Bench::start(Plan::default()).await;
    bench.press.refuse(true);
    bench.keeper.look(&bench.certificates).await;
    assert!(bench.certificates.shown()[0].temporary);
    bench.press.refuse(false);
    bench.keeper.renew(&bench.certificates, None).await.unwrap();
    assert!(!bench.certificates.shown()[0].temporary);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_gateway_holds_the_lease_nobody_else_orders() {
    let bench = Bench::start(Plan::default()).await;
    bench.keeper.look(&bench.certificates).await;
    let other = bench.another_keeper("other");
    let before = bench.certificates.shown()[0].fingerprint.clone();
    let (one, two) =
        tokio::join!(bench.keeper.renew(&bench.certificates, None), other.renew(&bench.certificates, None));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let refused = one.err().or(two.err()).unwrap();
    assert!(matches!(refused, RenewError::Held { .. }), "{refused}");
    assert_ne!(bench.certificates.shown()[0].fingerprint, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_gateway_orders_another_answers_and_both_show_the_certificate() {
    let bench = Bench::start(Plan::default()).await;
    let (one, two) = (bench.shared_keeper("one"), bench.shared_keeper("two"));
    let gateway = bench.another_gateway();
    let certificates = gateway.certificates();
    // The second gateway begins the order; pebble asks the first one for the proof.
    let ordering = two.renew(&certificates, None);
    let beside = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let done = async {
            while bench.certificates.shown()[0].temporary {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = one.run(&bench.certificates) => {}
            done = tokio::time::timeout(Duration::from_secs(30), done) => done.unwrap(),
        }
    };
    let (ordered, ()) = tokio::join!(ordering, beside);
    ordered.unwrap();
    assert_eq!(bench.press.told(), ["issued www.site.test site.test"]);
    assert_eq!(bench.certificates.shown()[0].fingerprint, certificates.shown()[0].fingerprint);
    gateway.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_wants_a_certificate_renewed_earlier_is_followed() {
    let meddler = Meddler::new(Mischief::Suggest);
    let bench = Bench::start(Plan { meddler: Some(meddler), valid_seconds: 60, ..Plan::default() }).await;
    bench.keeper.look(&bench.certificates).await;
    let before = bench.certificates.shown()[0].fingerprint.clone();
    // It suggests a window that is past, and is followed once a twentieth of the life is over: after 3 of 60 s, not 40.
    for _ in 0..80 {
        bench.keeper.look(&bench.certificates).await;
        if bench.certificates.shown()[0].fingerprint != before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not renewed: {:?}", bench.keeper.standing(&bench.certificates).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_key_is_in_the_store_in_clear() {
    let bench = Bench::start(Plan { valid_seconds: DAYS_90, ..Plan::default() }).await;
    bench.keeper.look(&bench.certificates).await;
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for word in [&b"PRIVATE KEY"[..], b"key_pkcs8", b"BEGIN CERTIFICATE"] {
                assert!(memchr::memmem::find(&bytes, word).is_none(), "{}", path.display());
            }
        }
    }
}
