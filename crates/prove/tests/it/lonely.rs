//! Servers that say nothing, or one wrong thing: what cannot be seen is unknown, and never kept.

use std::future::Future;
use std::net::SocketAddr;

use reeve_base::{Cause, Verdict};
use reeve_prove::plan;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::careless::ports;
use crate::fixture::{assert_observed, hasty, options, policy, run, run_with, target, verdict, with_verdict};

/// A server that does this with every connection, until it is dropped.
pub(crate) struct Server(SocketAddr, JoinHandle<()>);

impl Server {
    pub(crate) const fn port(&self) -> u16 {
        self.0.port()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.1.abort();
    }
}

async fn serve<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    Server(address, task)
}

fn everything(https: u16) -> reeve_policy::Policy {
    // A port that is surely another one: the scan must not meet the server itself.
    policy(&ports(include_str!("careless.toml"), https, if https == 1 { 2 } else { 1 }, 0))
}

fn one_clause(control: &str) -> String {
    format!(
        "schema = \"reeve.policy/1\"\n[policy]\ntitle = \"T\"\ncompany = \"C\"\nversion = \"1\"\nowner = \"a@example.com\"\n\
         review = {{ every = \"12 months\", last = 2026-11-01, approvers = 1 }}\n[section.s]\ntitle = \"S\"\n\
         [clause.one]\nsection = \"s\"\ntext = \"We do.\"\ncontrol = \"{control}\"\nseverity = \"high\"\n"
    )
}

#[tokio::test]
async fn a_server_that_is_down_keeps_nothing() {
    let port = unused_port().await;
    let target = target(port, None, None).await;
    let report = run_with(&everything(port), &target, &hasty(&target)).await;
    assert_eq!(with_verdict(&report, "kept"), ["coverage"], "only what needs no server");
    assert_eq!(with_verdict(&report, "broken"), [""; 0]);
    assert!(matches!(verdict(&report, "floor"), Verdict::Unknown { cause: Cause::Unreachable(_) }));
    assert_eq!(report.conclusion().exit_code(), 2);
}

#[tokio::test]
async fn a_server_that_is_silent_keeps_nothing() {
    let server = serve(|mut stream| async move {
        let mut sink = [0; 1024];
        while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let port = server.port();
    let target = target(port, None, None).await;
    let report = run_with(&everything(port), &target, &hasty(&target)).await;
    assert_eq!(with_verdict(&report, "kept"), ["coverage"]);
    assert_eq!(with_verdict(&report, "broken"), [""; 0]);
}

#[tokio::test]
async fn a_server_that_closes_on_everything_keeps_nothing() {
    let server = serve(|stream| async move { drop(stream) }).await;
    let port = server.port();
    let target = target(port, None, None).await;
    let report = run_with(&everything(port), &target, &hasty(&target)).await;
    assert_eq!(with_verdict(&report, "kept"), ["coverage"]);
    assert_eq!(with_verdict(&report, "broken"), [""; 0]);
}

/// SSL 3.0 is compiled out of every server at hand: this one answers each hello with a ServerHello of SSL 3.0.
pub(crate) async fn ssl3_server() -> Server {
    serve(|mut stream| async move {
        let mut hello = [0; 2048];
        if stream.read(&mut hello).await.is_ok() {
            let mut answer = vec![22, 3, 0, 0, 42, 2, 0, 0, 38, 3, 0];
            answer.extend([7; 32]);
            answer.extend([0, 0, 5, 0]);
            drop(stream.write_all(&answer).await);
        }
    })
    .await
}

/// A port that nothing listens on.
pub(crate) async fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn ssl3_is_named_where_it_is_accepted() {
    let server = ssl3_server().await;
    let port = server.port();
    let target = target(port, None, None).await;
    let report = run(&policy(&one_clause("tls.floor")), &target).await;
    assert_eq!(verdict(&report, "one"), Verdict::Broken);
    assert_observed(
        &report,
        "one",
        &[
            "contrary: SSL 3.0 is accepted, with TLS_RSA_WITH_RC4_128_SHA",
            "refused (answered with SSL 3.0 with TLS_RSA_WITH_RC4_128_SHA instead)",
        ],
    );
}

#[tokio::test]
async fn plain_text_on_the_tls_port_is_no_refusal() {
    let server = serve(|mut stream| async move {
        let mut hello = [0; 2048];
        if stream.read(&mut hello).await.is_ok() {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await);
        }
    })
    .await;
    let port = server.port();
    let target = target(port, None, None).await;
    let report = run(&policy(&one_clause("tls.floor")), &target).await;
    assert!(matches!(verdict(&report, "one"), Verdict::Unknown { cause: Cause::Unexpected(_) }));
}

#[tokio::test]
async fn a_spent_budget_is_said_and_not_overdrawn() {
    let server = serve(|stream| async move { drop(stream) }).await;
    let port = server.port();
    let target = target(port, None, None).await;
    let mut options = hasty(&target);
    options.requests_max = 2;
    let report = run_with(&everything(port), &target, &options).await;
    assert_eq!(report.requests, 2);
    assert!(matches!(verdict(&report, "rate"), Verdict::Unknown { cause: Cause::OverBudget(_) }));
    assert_eq!(with_verdict(&report, "kept"), ["coverage"]);
}

/// Nothing listens at the target: a plan that connected would take its time and say so.
#[tokio::test]
async fn a_plan_names_every_probe_and_sends_nothing() {
    let target = target(1, Some(2), None).await;
    let policy = everything(1);
    let steps = plan(&policy, &target, &options(&target));
    assert_eq!(steps.len(), policy.clauses.len() - 1, "each but the one that needs no server");
    assert!(steps.iter().all(|step| !step.sends.is_empty() && step.requests > 0), "{steps:#?}");
    assert_eq!(steps.last().map(|step| step.control.to_string()).as_deref(), Some("rate.ip"), "it comes last");
}
