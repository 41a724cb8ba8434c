//! A client of the HTTP API: what every verb that asks a node goes through.

pub(crate) mod resolve;
pub(crate) mod transact;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use protocol::digest::ChainId;
use protocol::keys::SecretKey;
use serde_json::Value;
use ureq::{Agent, Body, http};

use crate::auth;
use crate::clock;
use crate::keys::keystore::random;
use crate::problem::Problem;

/// No answer of a node is longer (api.md).
const RESPONSE_BYTES_MAX: u64 = 4 << 20;

/// A node's API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    base: String,
    agent: Agent,
    signer: Option<Arc<(SecretKey, ChainId)>>,
}

/// How long a client puts up with "more slowly".
const PATIENCE: Duration = Duration::from_secs(60);

type Response = http::Response<Body>;

impl Api {
    /// The API at this address, `http://host:port`.
    pub(crate) fn new(base: &str) -> Result<Self> {
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            crate::problem::refuse!("api.address", "{base}: this release speaks http:// only");
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(3)))
            .timeout_global(Some(Duration::from_secs(60)))
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Self {
            base,
            agent: config.new_agent(),
            signer: None,
        })
    }

    /// The same API, asked in the name of a key where the node is on another host.
    pub(crate) fn signing(&self, key: SecretKey, chain: ChainId) -> Self {
        Self {
            signer: Some(Arc::new((key, chain))),
            ..self.clone()
        }
    }

    /// Whether the node is on this host, as far as its address says.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.authority();
        ["127.", "localhost:", "[::1]"]
            .iter()
            .any(|own| host.starts_with(own))
    }

    fn authority(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// The headers that prove who asks; none without a key.
    fn proof(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<(&'static str, String)>> {
        let Some(signer) = &self.signer else {
            return Ok(Vec::new());
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let authority = self.authority().to_ascii_lowercase();
        let request = auth::Request {
            method,
            authority: &authority,
            path,
            query,
            body,
        };
        let now = clock::unix_seconds();
        let headers = auth::sign(&request, &signer.0, &signer.1, now, random()?);
        Ok(vec![
            ("content-digest", headers.digest),
            ("signature-input", headers.input),
            ("signature", headers.signature),
        ])
    }

    /// The address asked.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// GET of a document.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        json(&self.get_bytes(path)?)
    }

    /// GET of bytes; waits when told that it goes too fast.
    pub(crate) fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        patiently(|| {
            let mut request = self.agent.get(self.url(path));
            for (name, value) in self.proof("GET", path, &[])? {
                request = request.header(name, value);
            }
            read(self.checked(request.call())?)
        })
    }

    /// GET of a document that may not exist.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Value>> {
        match self.get(path) {
            Ok(value) => Ok(Some(value)),
            Err(error) => match error.downcast_ref::<Problem>() {
                Some(problem) if problem.status == 404 => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// The status of a GET, whatever the answer says.
    pub(crate) fn probe(&self, path: &str) -> Result<(u16, Vec<u8>)> {
        let response = self
            .agent
            .get(self.url(path))
            .call()
            .map_err(|e| self.unreachable(&e))?;
        let status = response.status().as_u16();
        Ok((status, read(response)?))
    }

    /// POST of bytes.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<Value> {
        patiently(|| {
            let mut request = self
                .agent
                .post(self.url(path))
                .header("content-type", "application/octet-stream");
            for (name, value) in self.proof("POST", path, body)? {
                request = request.header(name, value);
            }
            json(&read(self.checked(request.send(body))?)?)
        })
    }

    /// POST of a document.
    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self
            .agent
            .post(self.url(path))
            .header("content-type", "application/json");
        json(&read(self.checked(request.send(body.to_string()))?)?)
    }

    /// PUT of bytes; waits when told that it goes too fast.
    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Result<()> {
        patiently(|| {
            let mut request = self
                .agent
                .put(self.url(path))
                .header("content-type", "application/octet-stream");
            for (name, value) in self.proof("PUT", path, body)? {
                request = request.header(name, value);
            }
            self.checked(request.send(body)).map(drop)
        })
    }

    fn unreachable(&self, error: &ureq::Error) -> anyhow::Error {
        Problem::new("api.unreachable", format!("{}: {error}", self.base)).into()
    }

    fn checked(&self, response: Result<Response, ureq::Error>) -> Result<Response> {
        let response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        if status < 400 {
            return Ok(response);
        }
        let bytes = read(response)?;
        let problem = serde_json::from_slice::<Problem>(&bytes).unwrap_or_else(|_| {
            let text = format!("{} answered {status}", self.base);
            Problem::new("api.bad_request", text)
        });
        // The exit belongs to this side's registry; a node of another release may not say it.
        let exit = Problem::new(&problem.code, "").exit_code;
        Err(Problem {
            exit_code: exit,
            ..problem
        }
        .into())
    }
}

/// Asks again for as long as the node only says "more slowly", a minute at most.
fn patiently<T>(ask: impl Fn() -> Result<T>) -> Result<T> {
    let start = clock::instant();
    loop {
        match ask() {
            Err(error) if is_rate(&error) && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(250));
            }
            other => return other,
        }
    }
}

fn is_rate(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Problem>()
        .is_some_and(|problem| problem.code == "api.rate")
}

fn read(response: Response) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reader = response
        .into_body()
        .into_reader()
        .take(RESPONSE_BYTES_MAX + 1);
    reader
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::new("api.unreachable", format!("answer cut off: {error}")))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > RESPONSE_BYTES_MAX {
        crate::problem::refuse!("api.bad_request", "the answer is longer than any may be");
    }
    Ok(bytes)
}

fn json(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new("api.bad_request", format!("answer is no JSON: {error}")).into()
    })
}

/// The string at a key, or nothing.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a key, also when it is written as a decimal string.
pub(crate) fn number(value: &Value, key: &str) -> u64 {
    match value.get(key) {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(other) => other.as_u64().unwrap_or_default(),
        None => 0,
    }
}
