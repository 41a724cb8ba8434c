//! The public HTTP API as this crate uses it: what a net is judged by is what anybody can read.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longer answers are cut off; no route gives more than 2 MiB.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// One node's API.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    agent: ureq::Agent,
}

impl Api {
    /// The API at this base URL.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .timeout_connect(Some(Duration::from_secs(1)))
            .http_status_as_error(false)
            .build();
        Self {
            base: base.into(),
            agent: config.into(),
        }
    }

    /// Its base URL.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The JSON at a path.
    ///
    /// # Errors
    /// If the node does not answer, or answers with a problem; its detail is in the message.
    pub fn get(&self, path: &str) -> Result<Value> {
        let text = self.text(path)?;
        serde_json::from_str(&text).with_context(|| format!("{path} is not JSON"))
    }

    /// The text at a path.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn text(&self, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.base);
        let mut answer = self.agent.get(&url).call().with_context(|| url.clone())?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()?;
        if answer.status().is_success() {
            return Ok(text);
        }
        bail!("{url}: {} {text}", answer.status())
    }

    /// Whether a path answers with success; a node that is not there says no.
    #[must_use]
    pub fn answers(&self, path: &str) -> bool {
        self.text(path).is_ok()
    }

    /// The last committed height.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn height(&self) -> Result<u64> {
        number(&self.get("/v1/status")?, "height")
    }
}

/// A number under a key, written as a number or as a decimal string.
///
/// # Errors
/// If it is missing or something else.
pub fn number(value: &Value, key: &str) -> Result<u64> {
    let found = &value[key];
    found
        .as_u64()
        .or_else(|| found.as_str().and_then(|text| text.parse().ok()))
        .with_context(|| format!("`{key}` is not a number in {value}"))
}

/// A text under a key.
///
/// # Errors
/// If it is missing or something else.
pub fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("`{key}` is not a text in {value}"))
}

/// The list under a key.
///
/// # Errors
/// If it is missing or something else.
pub fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value]> {
    let found = value[key]
        .as_array()
        .with_context(|| format!("`{key}` is not a list"))?;
    Ok(found)
}
