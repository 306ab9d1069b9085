//! The sample application of `reeve demo`: an order desk with a few pages and a JSON API.
//!
//! It is careless on purpose, as applications are: it names its software and version, shows a stack trace when it
//! fails, leaves its debugging routes open, forgets the Secure attribute, and asks for no header of a browser. What the
//! gateway in front of it makes of that is what the demo shows.

mod pages;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use http::header::{CONTENT_TYPE, LOCATION, SERVER, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// An order, as a customer places it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// What.
    item: String,
    /// How many.
    quantity: u32,
}

/// How careful the application is. Everything but [`Manners::Careless`] exists for `reeve prove --mutate`, which takes
/// from the application what no gateway can take away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manners {
    /// As described above.
    Careless,
    /// Beside that, its published pages are gone.
    Unpublished,
    /// Beside that, it writes what it is sent to the end of this file.
    Hoarding(PathBuf),
}

/// The application, on a free port of this machine, for as long as this lives.
pub(crate) struct Application {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Application {
    /// Starts it on a thread of its own.
    pub(crate) fn start(manners: Manners) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name(String::from("application")).spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                tokio::select! {
                    () = serve(listener, manners) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing left to say, however it ended.
            let _ = thread.join();
        }
    }
}

/// What all connections of the application share.
struct Desk {
    manners: Manners,
    orders: RefCell<Vec<Order>>,
    /// The marks of requests that arrived, the newest last.
    marks: RefCell<VecDeque<String>>,
}

async fn serve(listener: std::net::TcpListener, manners: Manners) {
    let first = Order { item: String::from("Lantern"), quantity: 2 };
    let desk = Rc::new(Desk { manners, orders: RefCell::new(vec![first]), marks: RefCell::default() });
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let desk = Rc::clone(&desk);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| {
                let desk = Rc::clone(&desk);
                async move { Ok::<_, Infallible>(desk.answer(request).await) }
            });
            // A connection that breaks off is the gateway's to tell of.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Answer = Response<Full<Bytes>>;

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        self.note(&parts.headers);
        let mut answer = match (&parts.method, parts.uri.path()) {
            (&Method::GET | &Method::HEAD, path) => self.read(path),
            (&Method::POST, "/orders") => self.place(body, form_order).await,
            (&Method::POST, "/api/orders") => self.place(body, |bytes| serde_json::from_slice(bytes).ok()).await,
            // Whatever else anybody sends is welcome: careless, too.
            _ if matches!(self.manners, Manners::Hoarding(_)) => self.hoard(body).await,
            _ => text(StatusCode::OK, "text/plain", "done"),
        };
        let headers = answer.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("OrderDesk/1.4.2"));
        headers.insert(HeaderName::from_static("x-powered-by"), HeaderValue::from_static("Desk/7.3"));
        answer
    }

    fn read(&self, path: &str) -> Answer {
        let published = self.manners != Manners::Unpublished;
        match path {
            "/" => {
                let mut answer = html(&pages::home(&self.orders.borrow()));
                answer
                    .headers_mut()
                    .insert(SET_COOKIE, HeaderValue::from_static("desk=front; Path=/; HttpOnly; SameSite=Lax"));
                answer
            }
            "/orders/new" => html(&pages::form()),
            "/style.css" => text(StatusCode::OK, "text/css", pages::STYLE),
            "/terms" if published => html(&pages::terms()),
            "/privacy" if published => html(&pages::privacy()),
            "/security" => html(&pages::security()),
            "/api/orders" => json(&*self.orders.borrow()),
            "/checkout" => html(&pages::checkout()),
            "/pay.js" => text(StatusCode::OK, "text/javascript", pages::PAY),
            // Careless in another way: it calls its failure the client's.
            "/oops" => text(StatusCode::BAD_REQUEST, "text/plain", pages::TRACE),
            "/boom" => text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", pages::TRACE),
            "/debug" | "/debug/vars" => {
                text(StatusCode::OK, "text/plain", "heap=4711 goroutines=12 db=postgres://desk:hunter2@db/orders")
            }
            path if path.strip_prefix("/journal/").is_some_and(|mark| self.knows(mark)) => json(&true),
            "/.env" => text(StatusCode::OK, "text/plain", "DB_PASSWORD=hunter2\nSECRET_KEY=planted\n"),
            "/.git/HEAD" => text(StatusCode::OK, "text/plain", "ref: refs/heads/main\n"),
            "/server-status" => text(StatusCode::OK, "text/html", "<h1>Server Status</h1>"),
            _ => text(
                StatusCode::NOT_FOUND,
                "text/html; charset=utf-8",
                "<!doctype html><title>No such page</title><h1>No such page</h1>",
            ),
        }
    }

    /// Writes into the journal which request this was, if it says so.
    fn note(&self, headers: &HeaderMap) {
        let Some(mark) = headers.get(MARK).and_then(|mark| mark.to_str().ok()) else { return };
        let mut marks = self.marks.borrow_mut();
        if marks.len() == MARKS_MAX {
            marks.pop_front();
        }
        marks.push_back(mark.chars().take(MARK_CHARS_MAX).collect());
    }

    fn knows(&self, mark: &str) -> bool {
        self.marks.borrow().iter().any(|known| known == mark)
    }

    async fn hoard(&self, body: Incoming) -> Answer {
        let Manners::Hoarding(path) = &self.manners else { return text(StatusCode::OK, "text/plain", "done") };
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "too much");
        };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        match file.and_then(|mut file| file.write_all(&body.to_bytes())) {
            Ok(()) => text(StatusCode::OK, "text/plain", "kept"),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", &error.to_string()),
        }
    }

    async fn place(&self, body: Incoming, read: impl Fn(&[u8]) -> Option<Order>) -> Answer {
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "too much");
        };
        let Some(order) = read(&body.to_bytes()) else {
            return text(StatusCode::UNPROCESSABLE_ENTITY, "text/plain", "an order has an item and a quantity");
        };
        let mut orders = self.orders.borrow_mut();
        if orders.len() == ORDERS_MAX {
            orders.remove(0);
        }
        orders.push(order);
        let mut answer = text(StatusCode::SEE_OTHER, "text/plain", "placed");
        answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
        answer
    }
}

fn form_order(body: &[u8]) -> Option<Order> {
    let mut order = Order { item: String::new(), quantity: 0 };
    for (name, value) in url::form_urlencoded::parse(body) {
        match &*name {
            "item" => order.item = value.into_owned(),
            "quantity" => order.quantity = value.parse().ok()?,
            _ => {}
        }
    }
    (!order.item.is_empty() && order.quantity > 0).then_some(order)
}

fn html(page: &maud::Markup) -> Answer {
    text(StatusCode::OK, "text/html; charset=utf-8", page.0.as_str())
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(body) => text(StatusCode::OK, "application/json", &body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", &error.to_string()),
    }
}

fn text(status: StatusCode, kind: &'static str, body: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// More than the demo's policy lets through, so that it is the gateway that refuses.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// By which a probe recognises its own requests in the journal.
const MARK: &str = "x-reeve-mark";
const MARKS_MAX: usize = 500;
const MARK_CHARS_MAX: usize = 64;

/// What it takes, as it says itself: an OpenAPI document.
pub(crate) const DOCUMENT: &str = include_str!("application/openapi.yaml");

/// The desk forgets older ones.
const ORDERS_MAX: usize = 100;
