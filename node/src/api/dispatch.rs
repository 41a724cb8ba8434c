//! The order of a request: target, host, row, bucket, body, handler. What fails early costs little.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix_web::http::Uri;
use actix_web::http::header::{ALLOW, CONTENT_LENGTH, HOST, HeaderMap, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use futures::{FutureExt as _, StreamExt as _};
use protocol::keys::PublicKey;

use super::answer;
use super::call::{Call, query_of};
use super::routes::{Access, Found, Listener, Row, find};
use super::shared::Shared;
use crate::auth::{self, Headers};
use crate::clock;
use crate::problem::Problem;

/// A body must have arrived by then.
const BODY_TIME: Duration = Duration::from_secs(10);
/// A handler must have answered by then.
const HANDLER_TIME: Duration = Duration::from_secs(10);
/// Headers of one request.
const HEADERS_MAX: usize = 64;
/// Bytes of the target and of all names and values of headers.
const HEAD_BYTES_MAX: usize = 16 << 10;

static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// Which listener this is, and whose process is at the other end of a unix socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    /// Which one.
    pub(crate) listener: Listener,
}

/// The user at the other end of a unix socket, noted when it connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerUser(pub(crate) u32);

struct Refusal {
    problem: Problem,
    retry_after: Option<u64>,
    allow: Option<String>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            retry_after: None,
            allow: None,
        }
    }
}

/// Answers any request.
pub(crate) async fn dispatch(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
    door: web::Data<Door>,
) -> HttpResponse {
    let start = clock::instant();
    let shared = shared.into_inner();
    let id = format!("{:016x}", REQUESTS.fetch_add(1, Ordering::Relaxed));
    let mut route = "none";
    // A handler's panic is an answer; the thread's panic hook leaves it alone.
    let work = answered(&request, body, &shared, door.listener, &mut route);
    let result = std::panic::AssertUnwindSafe(work).catch_unwind().await;
    let response = match result {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => {
            let mut response = answer::problem(&refusal.problem, &id, refusal.retry_after);
            if let Some(allow) = refusal.allow.and_then(|text| text.parse().ok()) {
                response.headers_mut().insert(ALLOW, allow);
            }
            response
        }
        Err(_) => {
            shared.meters.panics.inc();
            tracing::error!(request_id = %id, path = request.path(), "http_handler_panicked");
            answer::problem(&Problem::new("internal", "the handler failed"), &id, None)
        }
    };
    shared.meters.request(
        request.method().as_str(),
        route,
        response.status().as_u16(),
        start.elapsed(),
    );
    with_id(response, &id)
}

fn with_id(mut response: HttpResponse, id: &str) -> HttpResponse {
    if let Ok(value) = id.parse() {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

async fn answered(
    request: &HttpRequest,
    body: web::Payload,
    shared: &Arc<Shared>,
    listener: Listener,
    route: &mut &'static str,
) -> Result<HttpResponse, Refusal> {
    target(request.uri(), request.headers())?;
    let peer = request.peer_addr().map(|address| address.ip());
    host(request, shared, listener)?;
    let (row, places) = row(request, listener)?;
    *route = row.path;
    allowed(row, request, shared)?;
    bucket(row, peer, shared)?;
    let body = read_body(row, request, body).await?;
    let asks = matches!(row.access, Access::Signed | Access::Party) && shared.exposed;
    let signer = asks.then(|| signed(request, &body, shared)).transpose()?;
    let header = |name: &str| {
        request
            .headers()
            .get(name)?
            .to_str()
            .ok()
            .map(str::to_owned)
    };
    let call = Call {
        places,
        query: query_of(request.query_string()),
        body,
        last_event_id: header("last-event-id"),
        wants_bytes: header("accept").is_some_and(|form| form == "application/octet-stream"),
        signer,
    };
    let handled = tokio::time::timeout(HANDLER_TIME, (row.handler)(shared.clone(), call)).await;
    match handled {
        Ok(Ok(answer)) => Ok(answer.into_response()),
        Ok(Err(problem)) => Err(problem.into()),
        Err(_) => Err(Problem::new("api.timeout", "the handler took too long").into()),
    }
}

/// Origin form, plain characters, nothing that two readers could read differently.
fn target(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let bad = |why: &str| Err(Problem::new("api.bad_request", why));
    if uri.scheme().is_some() || uri.authority().is_some() {
        return bad("the target must be a path");
    }
    let path = uri.path();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.~-".contains(&byte);
    if !path.bytes().all(plain)
        || path.contains("//")
        || path.split('/').any(|part| part == "." || part == "..")
    {
        return bad("the path has characters that no route has");
    }
    let head = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    if headers.len() > HEADERS_MAX || uri.to_string().len() + head.sum::<usize>() > HEAD_BYTES_MAX {
        let text = format!("at most {HEADERS_MAX} headers, {HEAD_BYTES_MAX} bytes with the target");
        return Err(Problem::new("api.head_too_large", text));
    }
    for name in [HOST, CONTENT_LENGTH] {
        if headers.get_all(&name).count() > 1 {
            return bad("a header appears twice");
        }
    }
    Ok(())
}

/// A web page that resolves its own name to our address must not read us (DNS rebinding).
fn host(request: &HttpRequest, shared: &Shared, listener: Listener) -> Result<(), Problem> {
    if listener == Listener::Admin {
        return Ok(());
    }
    let host = request
        .headers()
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let host = host.to_ascii_lowercase();
    let own = request.app_config().local_addr();
    let port = own.port();
    let names = [
        own.to_string(),
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ];
    let listed = shared
        .config
        .api
        .authorities
        .iter()
        .any(|name| name.eq_ignore_ascii_case(&host));
    if names.contains(&host) || listed {
        return Ok(());
    }
    Err(Problem::new(
        "api.host",
        format!("Host {host:?} is not this server"),
    ))
}

fn row(request: &HttpRequest, listener: Listener) -> Result<(&'static Row, Vec<String>), Refusal> {
    let path = request.path();
    match find(listener, request.method().as_str(), path) {
        Found::Row(row, places) => Ok((row, places)),
        Found::Nothing => Err(Problem::new("api.not_found", path).into()),
        Found::OtherMethod(methods) => {
            let allow = methods.join(", ");
            let problem = Problem::new("api.method", format!("{path} takes {allow}"));
            Err(Refusal {
                allow: Some(allow),
                ..problem.into()
            })
        }
    }
}

fn allowed(row: &Row, request: &HttpRequest, shared: &Shared) -> Result<(), Problem> {
    if row.listener == Listener::Admin {
        let own = nix::unistd::geteuid().as_raw();
        let user = request.conn_data::<PeerUser>();
        if user.is_none_or(|user| user.0 != own && user.0 != 0) {
            return Err(Problem::new("api.forbidden", "not the node's user"));
        }
    }
    match row.access {
        // A signature is checked once the body is here.
        Access::Anyone | Access::Signed | Access::Party => Ok(()),
        Access::Loopback if shared.exposed => Err(Problem::new(
            "auth.required",
            "this is served on loopback only",
        )),
        Access::Loopback => Ok(()),
        Access::Local if shared.chain.genesis.is_local() => Ok(()),
        Access::Local => Err(Problem::new("faucet.local_only", "not a local chain")),
    }
}

fn bucket(row: &Row, peer: Option<IpAddr>, shared: &Shared) -> Result<(), Refusal> {
    let Some(peer) = peer else { return Ok(()) };
    shared.buckets.take(row.class, peer).map_err(|seconds| {
        shared.meters.throttled.with_label_values(&[row.path]).inc();
        let problem = Problem::new("api.rate", format!("wait {seconds} s"));
        Refusal {
            retry_after: Some(seconds),
            ..problem.into()
        }
    })
}

/// Who may ask from afar: somebody the chain knows, by a key that is made for it.
fn signed(request: &HttpRequest, body: &[u8], shared: &Shared) -> Result<PublicKey, Problem> {
    let header = |name: &str| -> Result<String, Problem> {
        let mut values = request.headers().get_all(name);
        match (
            values.next().and_then(|value| value.to_str().ok()),
            values.next(),
        ) {
            (Some(text), None) => Ok(text.to_owned()),
            (None, _) => Err(Problem::new("auth.required", format!("no {name}"))),
            _ => Err(Problem::new("auth.form", format!("{name} appears twice"))),
        }
    };
    let headers = Headers {
        digest: header("content-digest")?,
        input: header("signature-input")?,
        signature: header("signature")?,
    };
    let authority = header("host")?.to_ascii_lowercase();
    let asked = auth::Request {
        method: request.method().as_str(),
        authority: &authority,
        path: request.path(),
        query: request.query_string(),
        body,
    };
    let mut nonces = shared.nonces.lock().unwrap_or_else(PoisonError::into_inner);
    let key = nonces.check(&asked, &headers, &shared.chain.id, clock::unix_seconds())?;
    drop(nonces);
    let snapshot = shared.snapshot();
    let client = snapshot.state.accounts.contains(&key.address());
    if client || snapshot.state.session_holder(&key).is_some() {
        return Ok(key);
    }
    Err(Problem::new("auth.role", key))
}

async fn read_body(
    row: &Row,
    request: &HttpRequest,
    mut body: web::Payload,
) -> Result<Vec<u8>, Problem> {
    let length = request.headers().get(CONTENT_LENGTH);
    if row.body_max == 0 {
        return match length.and_then(|value| value.to_str().ok()) {
            None | Some("0") => Ok(Vec::new()),
            Some(_) => Err(Problem::new(
                "api.body_too_large",
                "this route takes no body",
            )),
        };
    }
    let Some(length) = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok()) else {
        return Err(Problem::new("api.length_required", "no Content-Length"));
    };
    if length > row.body_max {
        let text = format!("{length} bytes, at most {} allowed", row.body_max);
        return Err(Problem::new("api.body_too_large", text));
    }
    let read = async {
        let mut bytes = Vec::with_capacity(length);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| Problem::new("api.bad_request", "the body broke off"))?;
            if bytes.len() + chunk.len() > length {
                return Err(Problem::new("api.bad_request", "more body than announced"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    match tokio::time::timeout(BODY_TIME, read).await {
        Ok(result) => result,
        Err(_) => Err(Problem::new("api.timeout", "the body took too long")),
    }
}
