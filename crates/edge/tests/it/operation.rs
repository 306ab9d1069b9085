//! Starting, reloading and stopping.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::channel;

use reeve_base::{Clock, SystemClock, SystemEntropy};
use reeve_edge::{AccessLog, Bans, Certificate, Gateway, StartError, Tools};
use reeve_policy::catalogue::{Control, HdrFrame, PlainHttp, TlsHttpsOnly};

use crate::application::{After, Application};
use crate::house::{House, demo_controls, with_control};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let house = House::before(Application::answering(OK).address);
    let mut settings = house.settings.clone();
    settings.https = vec![taken.local_addr().unwrap()];
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let tools = Tools {
        bans: Arc::new(Bans::new(Arc::clone(&clock))),
        clock,
        entropy: Arc::new(SystemEntropy),
        log: AccessLog::off(),
        sealer: None,
    };
    let error = Gateway::start(settings, &demo_controls(), tools).err().unwrap();
    let expected = format!("cannot listen on {}", taken.local_addr().unwrap());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn a_reload_takes_effect_on_the_next_request_of_an_open_connection() {
    let house = House::before(Application::answering(OK).address);
    let mut client = house.client();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(client.read_until("\r\n\r\nok").contains("x-frame-options"));
    let mut controls = demo_controls();
    controls.release(&Control::HdrFrame(HdrFrame::default()));
    let settings = house.settings.clone();
    house.gateway().reload(&settings, &controls).unwrap();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!client.read_until("\r\n\r\nok").contains("x-frame-options"));
}

#[test]
fn a_reload_that_fails_leaves_everything_as_it_was() {
    let house = House::before(Application::answering(OK).address);
    let mut settings = house.settings.clone();
    settings.certificate = Certificate::Files { chain: "/nowhere.pem".into(), key: "/nowhere.key".into() };
    let error = house.gateway().reload(&settings, &demo_controls()).unwrap_err();
    assert!(matches!(error, StartError::Certificate(_)), "{error}");
    let closed = with_control(&Control::TlsHttpsOnly(TlsHttpsOnly { http: PlainHttp::Closed }));
    let settings = house.settings.clone();
    let error = house.gateway().reload(&settings, &closed).unwrap_err();
    assert!(matches!(error, StartError::PlainListener(_)), "{error}");
    assert!(house.get("/").starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn a_stop_lets_open_requests_end() {
    let (arrived, arrivals) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let (arrived, may_go_on) = (std::sync::Mutex::new(arrived), std::sync::Mutex::new(may_go_on));
    let application = Application::behaving(Arc::new(move |_, stream| {
        arrived.lock().unwrap().send(()).unwrap();
        may_go_on.lock().unwrap().recv().unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
        After::KeepAlive
    }));
    let mut house = House::before(application.address);
    let mut client = house.client();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    arrivals.recv().unwrap();
    let gateway = house.gateway.take().unwrap();
    let stopping = std::thread::spawn(move || gateway.stop());
    go_on.send(()).unwrap();
    let answer = client.read_to_end();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok"), "{answer}");
    stopping.join().unwrap().unwrap();
}
