//! A client of the HTTP API: what every verb that asks a node goes through.

pub(crate) mod resolve;
pub(crate) mod transact;

use std::io::Read as _;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use ureq::{Agent, Body, http};

use crate::problem::Problem;

/// No answer of a node is longer (api.md).
const RESPONSE_BYTES_MAX: u64 = 4 << 20;

/// A node's API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    base: String,
    agent: Agent,
}

type Response = http::Response<Body>;

impl Api {
    /// The API at this address, `http://host:port`.
    pub(crate) fn new(base: &str) -> Result<Self> {
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            crate::problem::refuse!(
                "api.bad_request",
                "{base}: this release speaks http:// only"
            );
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
        })
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

    /// GET of bytes.
    pub(crate) fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.agent.get(self.url(path)).call();
        read(self.checked(response)?)
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
        let request = self
            .agent
            .post(self.url(path))
            .header("content-type", "application/octet-stream");
        json(&read(self.checked(request.send(body))?)?)
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
        loop {
            let request = self
                .agent
                .put(self.url(path))
                .header("content-type", "application/octet-stream");
            match self.checked(request.send(body)) {
                Ok(_) => return Ok(()),
                Err(error) if is_rate(&error) => std::thread::sleep(Duration::from_millis(250)),
                Err(error) => return Err(error),
            }
        }
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

fn is_rate(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Problem>()
        .is_some_and(|problem| problem.status == 429)
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
