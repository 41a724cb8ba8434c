//! Requests signed by a wallet or session key: RFC 9421, profile `palisade-api-v1` (api.md).
//!
//! The header has exactly one accepted form, compared byte for byte after writing it again, so that
//! order and spacing mean nothing. The tag of the digest keeps such a signature from ever being a
//! transaction or a vote.

use std::collections::HashMap;

use protocol::digest::{ChainId, Digest, Tag, sha256, th};
use protocol::keys::{PublicKey, SecretKey, Signature};

use crate::problem::Problem;

const COMPONENTS: &str = "(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\")";
/// The form, as an answer without a signature asks for it.
pub(crate) const ACCEPTED: &str = "pal=(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\");created;expires;nonce;keyid;tag=\"palisade-api-v1\"";
const TAG: &str = "palisade-api-v1";
/// A signature is valid for so long at most.
const LIFETIME_SECONDS: u64 = 60;
/// A client's clock may be ahead by so much.
const AHEAD_SECONDS: u64 = 5;
/// Nonces remembered in all, and of one key.
const NONCES_MAX: usize = 100_000;
const NONCES_PER_KEY_MAX: usize = 1_000;
/// 16 bytes in base64url without padding.
const NONCE_CHARS: usize = 22;

/// What is signed about a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// As sent, upper case.
    pub(crate) method: &'a str,
    /// Lower case, with its port.
    pub(crate) authority: &'a str,
    /// As sent.
    pub(crate) path: &'a str,
    /// Without its `?`.
    pub(crate) query: &'a str,
    /// The body.
    pub(crate) body: &'a [u8],
}

/// The three headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Headers {
    /// `Content-Digest`.
    pub(crate) digest: String,
    /// `Signature-Input`.
    pub(crate) input: String,
    /// `Signature`.
    pub(crate) signature: String,
}

/// The parameters of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    /// Unix seconds.
    pub(crate) created: u64,
    /// Unix seconds.
    pub(crate) expires: u64,
    /// 22 characters of base64url.
    pub(crate) nonce: String,
    /// Who signs.
    pub(crate) key: PublicKey,
}

impl Params {
    fn write(&self, chain: &ChainId) -> String {
        let Self {
            created,
            expires,
            nonce,
            key,
        } = self;
        let chain = chain.to_string();
        let g8 = chain.get(..8).unwrap_or_default();
        format!(
            "{COMPONENTS};created={created};expires={expires};nonce=\"{nonce}\";keyid=\"palisade:{g8}:{key}\";tag=\"{TAG}\""
        )
    }

    /// Reads the one accepted form.
    fn read(text: &str, chain: &ChainId) -> Option<Self> {
        let rest = text.strip_prefix(COMPONENTS)?.strip_prefix(";created=")?;
        let (created, rest) = rest.split_once(";expires=")?;
        let (expires, rest) = rest.split_once(";nonce=\"")?;
        let (nonce, rest) = rest.split_once("\";keyid=\"palisade:")?;
        let (_, rest) = rest.split_once(':')?;
        let (key, _) = rest.split_once("\";tag=\"")?;
        let params = Self {
            created: created.parse().ok()?,
            expires: expires.parse().ok()?,
            nonce: nonce.to_owned(),
            key: key.parse().ok()?,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let shaped = nonce.len() == NONCE_CHARS && nonce.chars().all(plain);
        (shaped && params.write(chain) == text).then_some(params)
    }
}

fn digest_header(body: &[u8]) -> String {
    format!("sha-256=:{}:", base64(sha256(body).as_bytes()))
}

fn digest_of(request: &Request<'_>, params: &str, chain: &ChainId) -> Digest {
    let Request {
        method,
        authority,
        path,
        query,
        body,
    } = request;
    let base = format!(
        "\"@method\": {method}\n\"@authority\": {authority}\n\"@path\": {path}\n\"@query\": ?{query}\n\
         \"content-digest\": {}\n\"@signature-params\": {params}",
        digest_header(body)
    );
    th(Tag::Http, &[chain.as_ref(), base.as_bytes()])
}

/// Signs a request.
pub(crate) fn sign(
    request: &Request<'_>,
    key: &SecretKey,
    chain: &ChainId,
    now: u64,
    nonce: [u8; 16],
) -> Headers {
    let params = Params {
        created: now,
        expires: now + LIFETIME_SECONDS,
        nonce: base64(&nonce)
            .trim_end_matches('=')
            .replace('+', "-")
            .replace('/', "_"),
        key: key.public(),
    };
    let params = params.write(chain);
    let signature = key.sign(&digest_of(request, &params, chain));
    Headers {
        digest: digest_header(request.body),
        input: format!("pal={params}"),
        signature: format!("pal=:{}:", base64(&signature.0)),
    }
}

/// Nonces seen, until their signatures expire. A full table refuses and never forgets early.
#[derive(Debug)]
pub(crate) struct Nonces {
    started: u64,
    seen: HashMap<(PublicKey, String), u64>,
    of_key: HashMap<PublicKey, usize>,
}

impl Nonces {
    /// An empty table of a process that started now: what was signed earlier is refused, so a
    /// restart forgets nothing that still counts.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            started: now,
            seen: HashMap::new(),
            of_key: HashMap::new(),
        }
    }

    /// Checks times, signature and nonce, and remembers the nonce. Returns who signed.
    pub(crate) fn check(
        &mut self,
        request: &Request<'_>,
        headers: &Headers,
        chain: &ChainId,
        now: u64,
    ) -> Result<PublicKey, Problem> {
        let form = |what: &str| Problem::new("auth.form", what);
        let text = headers
            .input
            .strip_prefix("pal=")
            .ok_or_else(|| form("Signature-Input"))?;
        let params = Params::read(text, chain).ok_or_else(|| form("Signature-Input"))?;
        self.check_times(&params, now)?;
        let known = (params.key, params.nonce.clone());
        if self.seen.contains_key(&known) {
            return Err(Problem::new("auth.replay", "nonce"));
        }
        if headers.digest != digest_header(request.body) {
            return Err(form("Content-Digest is not the body's"));
        }
        let signature = headers
            .signature
            .strip_prefix("pal=:")
            .and_then(|text| unbase64(text.strip_suffix(':')?))
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or_else(|| form("Signature"))?;
        params
            .key
            .verify(&digest_of(request, text, chain), &signature)
            .map_err(|_| Problem::new("auth.bad_signature", "does not verify"))?;
        self.remember(known, params.expires, now)?;
        Ok(params.key)
    }

    fn check_times(&self, params: &Params, now: u64) -> Result<(), Problem> {
        let Params {
            created, expires, ..
        } = *params;
        let fits = created <= now + AHEAD_SECONDS
            && created >= self.started
            && expires > created
            && expires <= created + LIFETIME_SECONDS
            && expires >= now;
        if fits {
            return Ok(());
        }
        Err(Problem::new(
            "auth.expired",
            format!("created {created}, expires {expires}, now {now}"),
        ))
    }

    /// Only what verified gets here, so forgeries fill nothing.
    fn remember(
        &mut self,
        known: (PublicKey, String),
        expires: u64,
        now: u64,
    ) -> Result<(), Problem> {
        if self.seen.len() >= NONCES_MAX
            || self
                .of_key
                .get(&known.0)
                .is_some_and(|n| *n >= NONCES_PER_KEY_MAX)
        {
            self.forget(now);
        }
        let count = self.of_key.entry(known.0).or_insert(0);
        if self.seen.len() >= NONCES_MAX || *count >= NONCES_PER_KEY_MAX {
            return Err(Problem::new(
                "api.overloaded",
                "too many signed requests at once",
            ));
        }
        *count += 1;
        self.seen.insert(known, expires);
        Ok(())
    }

    fn forget(&mut self, now: u64) {
        self.seen.retain(|_, expires| *expires >= now);
        self.of_key.clear();
        for (key, _) in self.seen.keys() {
            *self.of_key.entry(*key).or_insert(0) += 1;
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_usize, |word, byte| word << 8 | usize::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = ALPHABET[(word >> (18 - 6 * place)) & 63];
            text.push(if place <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

/// Only what [`base64`] writes.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let value = |byte: u8| ALPHABET.iter().position(|letter| *letter == byte);
    let digits: Vec<usize> = text
        .trim_end_matches('=')
        .bytes()
        .map(value)
        .collect::<Option<_>>()?;
    let mut bytes = Vec::new();
    for chunk in digits.chunks(4) {
        let word =
            chunk.iter().fold(0_usize, |word, digit| word << 6 | digit) << (6 * (4 - chunk.len()));
        let whole =
            [word >> 16, word >> 8, word].map(|part| u8::try_from(part & 0xff).unwrap_or(0));
        bytes.extend_from_slice(whole.get(..chunk.len().checked_sub(1)?)?);
    }
    (base64(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests;
