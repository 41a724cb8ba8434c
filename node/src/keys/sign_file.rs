//! The file in which sign-state travels: one JSON document (operations.md, Sign-state).

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use anyhow::Result;
use protocol::digest::{ChainId, Digest, JobId};
use protocol::keys::PublicKey;
use protocol::units::{Height, Round};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::sign::commits::SeatKey;
use storage::sign::floor::{SignPoint, Step};
use storage::sign::portable::SignStateExport;
use storage::sign::slot::SignerIdentity;

use crate::problem::{Problem, refuse};

const SCHEMA: &str = "palisade.sign-state/1";
/// A hundred thousand commits, and some.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// The document.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    schema: String,
    genesis_hash: String,
    public_key: String,
    height: u64,
    round: u32,
    step: String,
    commits: Vec<Commit>,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Commit {
    job: String,
    attempt: u32,
    seat: u16,
    commit: String,
}

const STEPS: [(&str, Step); 3] = [
    ("propose", Step::Propose),
    ("prevote", Step::Prevote),
    ("precommit", Step::Precommit),
];

/// The name of a step.
pub(crate) fn step_name(step: Step) -> &'static str {
    let found = STEPS.iter().find(|(_, known)| *known == step);
    found.map_or("precommit", |(name, _)| name)
}

/// A seat, for a document.
pub(crate) fn seat(key: &SeatKey) -> Value {
    json!({"job": key.job.to_string(), "attempt": key.attempt, "seat": key.seat})
}

impl Document {
    /// The document of a sign-state.
    pub(crate) fn of(found: &SignStateExport) -> Self {
        let commits = found.commits.iter().map(|(key, commit)| Commit {
            job: key.job.to_string(),
            attempt: key.attempt,
            seat: key.seat,
            commit: commit.to_string(),
        });
        Self {
            schema: SCHEMA.to_owned(),
            genesis_hash: found.identity.chain.to_string(),
            public_key: found.identity.public_key.to_string(),
            height: found.point.height.0,
            round: found.point.round.0,
            step: step_name(found.point.step).to_owned(),
            commits: commits.collect(),
        }
    }

    /// One line of JSON.
    pub(crate) fn to_text(&self) -> String {
        format!("{}\n", json!(self))
    }

    fn parse(text: &str) -> Result<SignStateExport, String> {
        let found: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if found.schema != SCHEMA {
            return Err(format!("schema is {}, not {SCHEMA}", found.schema));
        }
        let identity = SignerIdentity {
            chain: field("genesis_hash", found.genesis_hash.parse::<ChainId>())?,
            public_key: public_key(&found.public_key)?,
        };
        let step = STEPS.iter().find(|(name, _)| *name == found.step);
        let Some((_, step)) = step.copied() else {
            return Err(format!("step {} is none of a round", found.step));
        };
        let mut commits = BTreeMap::new();
        for row in found.commits {
            let key = SeatKey {
                job: field("job", row.job.parse::<JobId>())?,
                attempt: row.attempt,
                seat: row.seat,
            };
            let commit = field("commit", row.commit.parse::<Digest>())?;
            // Two for one seat: nobody can say which of them was sent.
            if commits.insert(key, commit).is_some() {
                return Err(format!("two commits for {}", seat(&key)));
            }
        }
        Ok(SignStateExport {
            identity,
            point: SignPoint {
                height: Height(found.height),
                round: Round(found.round),
                step,
            },
            commits,
        })
    }
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    let bytes = field("public_key", hex::decode(text))?;
    field("public_key", PublicKey::from_slice(&bytes))
}

fn field<T, E: std::fmt::Display>(name: &str, parsed: Result<T, E>) -> Result<T, String> {
    parsed.map_err(|error| format!("{name}: {error}"))
}

/// Reads an exported file.
pub(crate) fn read(path: &Path) -> Result<SignStateExport> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) => refuse!("sign_state.malformed", "{}: {error}", path.display()),
    };
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    if let Err(error) = read {
        refuse!("sign_state.malformed", "{}: {error}", path.display());
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        let detail = format!("{}: more than {FILE_BYTES_MAX} bytes", path.display());
        return Err(Problem::new("sign_state.malformed", detail).into());
    }
    let parsed = Document::parse(&text);
    Ok(parsed.map_err(|detail| {
        Problem::new(
            "sign_state.malformed",
            format!("{}: {detail}", path.display()),
        )
    })?)
}

#[cfg(test)]
mod tests {
    use protocol::digest::sha256;
    use protocol::keys::SecretKey;

    use super::*;

    fn export() -> SignStateExport {
        let identity = SignerIdentity {
            chain: ChainId::of_genesis(b"palisade-local"),
            public_key: SecretKey::from_bytes(&[1; 32]).unwrap().public(),
        };
        let key = SeatKey {
            job: JobId(sha256(b"job")),
            attempt: 1,
            seat: 2,
        };
        SignStateExport {
            identity,
            point: SignPoint {
                height: Height(9),
                round: Round(1),
                step: Step::Prevote,
            },
            commits: [(key, sha256(b"commit"))].into(),
        }
    }

    #[test]
    fn what_is_exported_is_imported() {
        let export = export();
        assert_eq!(
            Document::parse(&Document::of(&export).to_text()),
            Ok(export)
        );
    }

    /// Goal: a file with one mistake is refused, and the message names the member.
    #[test]
    fn malformed_exports_are_refused_by_member() {
        let right = Document::of(&export()).to_text();
        assert!(Document::parse(&right).is_ok());
        let key = export().identity.public_key.to_string();
        let cases = [
            ("sign-state/1", "sign-state/2", "schema"),
            ("\"height\"", "\"hight\"", "hight"),
            ("prevote", "pre-vote", "step"),
            (&key[..8], "zzzzzzzz", "public_key"),
            (",\"seat\":2", ",\"seat\":70000", "u16"),
            (",\"round\":1", "", "round"),
        ];
        for (from, to, named) in cases {
            assert!(right.contains(from), "{from} in {right}");
            let error = Document::parse(&right.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(named), "{to}: {error}");
        }
        let mut twice = Document::of(&export());
        twice.commits.push(twice.commits[0].clone());
        let error = Document::parse(&twice.to_text()).unwrap_err();
        assert!(error.contains("two commits"), "{error}");
        assert!(Document::parse("").is_err());
    }
}
