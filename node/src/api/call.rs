//! One request, after the gate.

use std::collections::BTreeMap;
use std::str::FromStr;

use protocol::keys::PublicKey;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// What a handler gets.
#[derive(Debug)]
pub(crate) struct Call {
    /// Values of the pattern's places, in order.
    pub(crate) places: Vec<String>,
    /// The query.
    pub(crate) query: BTreeMap<String, String>,
    /// The body, within the row's cap.
    pub(crate) body: Vec<u8>,
    /// `Last-Event-ID`.
    pub(crate) last_event_id: Option<String>,
    /// Whether canonical bytes are preferred to JSON.
    pub(crate) wants_bytes: bool,
    /// Whose signature proves the request, where the row asks for one.
    pub(crate) signer: Option<PublicKey>,
}

impl Call {
    /// The text of a place.
    pub(crate) fn place(&self, index: usize) -> &str {
        self.places.get(index).map_or("", String::as_str)
    }

    /// A place that must be readable as something; otherwise there is no such thing.
    pub(crate) fn id<T: FromStr>(&self, index: usize, unknown: &str) -> Result<T, Problem> {
        self.place(index)
            .parse()
            .map_err(|_| Problem::new(unknown, self.place(index)))
    }

    /// A number in the query.
    pub(crate) fn number(&self, key: &str, default: u64) -> Result<u64, Problem> {
        match self.query.get(key) {
            Some(text) => text.parse().map_err(|_| {
                Problem::new("api.bad_request", format!("?{key}={text} is no number"))
            }),
            None => Ok(default),
        }
    }

    /// `?limit`, at most 100.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let limit = self.number("limit", 20)?.clamp(1, 100);
        Ok(usize::try_from(limit).unwrap_or(100))
    }

    /// The body as JSON; unknown fields are errors of the type.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::new("api.bad_request", format!("body: {error}")))
    }
}

/// Reads a query of plain characters: `a=1&b=2`.
pub(crate) fn query_of(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
