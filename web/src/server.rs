//! The server: its routes, its bounds, and how it is started and ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, extract::DefaultBodyLimit};
use ganscope::{Error, Hint, Kind, Result};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::allowed::Allowed;
use crate::aside::Aside;
use crate::explain::Pictures;
use crate::guard::Guard;
use crate::jobs::Jobs;
use crate::latents::Wandering;
use crate::reply::{Failure, refusal};
use crate::scores::Maps;
use crate::{ServeRequest, assets, explain, guard, latents, scores, units, work};

/// Connections that are open at once; others wait.
const CONNECTIONS: usize = 256;
/// Connections that the system keeps for us meanwhile, as far as it is set so.
const QUEUE: u32 = 4096;
/// Time in which the head of a request arrives, and then its body.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a body: of a picture that is brought, and of all others.
const PICTURE: usize = 32 << 20;
const BODY: usize = 1 << 20;
/// Pictures that are brought at once; others wait.
const PICTURES: usize = 2;

/// What the routes share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) allowed: Allowed,
    pub(crate) jobs: Jobs,
    pub(crate) aside: Aside,
    pub(crate) wandering: Wandering,
    pub(crate) maps: Maps,
    pub(crate) pictures: Pictures,
}

/// The body of a request as the request of a task.
///
/// # Errors
/// If it is not one.
pub(crate) fn parsed<T: DeserializeOwned>(body: &Bytes) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        Error::request(format!("the body of the request: {error}"))
            .with_hint("it is JSON with the fields of the request of the task")
    })
}

/// A server that listens.
#[derive(Debug)]
pub struct Served {
    listener: TcpListener,
    guard: Arc<Guard>,
    router: Router,
    runtime: tokio::runtime::Runtime,
    address: SocketAddr,
}

/// Begins to listen.
///
/// # Errors
/// If the address is not one of this machine alone and that is not allowed, or it cannot be listened on.
pub fn serve(request: &ServeRequest) -> Result<Served> {
    let host = request.host.trim_matches(['[', ']']);
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let ip: std::net::IpAddr = host.parse().map_err(|error| {
        Error::request(format!("`{}` is no address: {error}", request.host))
            .with_hint("give an address such as 127.0.0.1, ::1 or 0.0.0.0")
    })?;
    if !ip.is_loopback() && !request.allow_remote {
        let problem =
            format!("other machines reach `{ip}`, and whoever has the token commands this one");
        return Err(Error::request(problem).with_hint(Hint::of(
            "allow it with {allow_remote}, best through a tunnel: nothing is encrypted",
        )));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let wanted = SocketAddr::new(ip, request.port);
    let listener = runtime.block_on(async { listen(wanted) }).map_err(|error| {
        let kind = Kind::UnreadableInput;
        Error::problem(kind, format!("listen on {wanted}: {error}"))
            .with_hint("port 0 is any that is free")
    })?;
    let address = listener.local_addr()?;
    let guard = Arc::new(Guard::new(address)?);
    let server = Arc::new(Server {
        allowed: Allowed::new(request),
        jobs: Jobs::start(),
        aside: Aside::default(),
        wandering: Wandering::default(),
        maps: Maps::default(),
        pictures: Pictures::default(),
    });
    let router = router(server, guard.clone());
    Ok(Served { listener, guard, router, runtime, address })
}

/// A socket with a long queue: who finds none tries again only after seconds.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The port may be that of a server that was just ended.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    socket.listen(QUEUE)
}

fn router(server: Arc<Server>, guard: Arc<Guard>) -> Router {
    assets::routes()
        .merge(latents::routes())
        .merge(scores::routes())
        .merge(explain::routes())
        .merge(units::routes())
        .merge(work::routes())
        .fallback(async || refusal(StatusCode::NOT_FOUND, "there is no such page", None))
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "the page does not take this method", None)
        })
        .with_state(server)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::new(Semaphore::new(PICTURES)), whole_body))
        .layer(middleware::from_fn_with_state(guard, guard::watch))
}

/// Reads the body before the route runs, within bounds of bytes and time; large ones in turn.
async fn whole_body(State(room): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let is_picture = request.uri().path() == "/api/picture";
    let _turn = if is_picture {
        match timeout(PATIENCE, room.acquire_owned()).await {
            Ok(Ok(turn)) => Some(turn),
            _ => return Failure::Busy.into_response(),
        }
    } else {
        None
    };
    let limit = if is_picture { PICTURE } else { BODY };
    let (parts, body) = request.into_parts();
    match timeout(PATIENCE, to_bytes(body, limit)).await {
        Err(_) => refusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time", None),
        Ok(Err(_)) => {
            let problem = format!("the body is larger than {limit} bytes, or was cut");
            refusal(StatusCode::PAYLOAD_TOO_LARGE, &problem, None)
        }
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
    }
}

impl Served {
    /// The address to open, with the token that lets in.
    pub fn url(&self) -> String {
        self.guard.url(self.address)
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// If connections cannot be accepted.
    pub fn run(self) -> Result<()> {
        let Self { listener, router, runtime, .. } = self;
        runtime.block_on(accept(listener, router))
    }
}

async fn accept(listener: TcpListener, router: Router) -> Result<()> {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else { return Ok(()) };
        // Out of file handles, or gone before it was accepted.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // A visitor who goes away is no error.
            let _gone = server.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}
