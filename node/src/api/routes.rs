//! The one table of routes. What is not here does not exist.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::answer::Answer;
use super::buckets::Class;
use super::call::Call;
use super::shared::Shared;
use super::{
    accounts, admin, blobs, chain, duties, events, faucet, health, jobs, models, network, sandbox,
    txs,
};
use crate::problem::Problem;

/// A handler's future; it stays on its thread.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Answer, Problem>>>>;
/// A handler.
pub(crate) type Handler = fn(Arc<Shared>, Call) -> Answering;

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Anybody who can connect.
    Public,
    /// Prometheus.
    Metrics,
    /// The node's own user, over the unix socket.
    Admin,
}

/// Who may ask, beyond what the listener says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone.
    Anyone,
    /// Anyone on loopback. Off it only the parties of the jobs concerned may ask, which this
    /// release does not check yet, so it is refused there.
    Loopback,
    /// Anyone on loopback; off it, requests signed by the wallet that submitted or pays the job.
    Party,
    /// Anyone on loopback; off it, requests signed by a wallet that has an account or by a
    /// validator's session key.
    Signed,
    /// Local chains only.
    Local,
}

/// Methods that occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::upper_case_acronyms, reason = "as HTTP writes them")]
pub(crate) enum Method {
    /// Reads.
    GET,
    /// Does.
    POST,
    /// Puts under its own name.
    PUT,
    /// Removes.
    DELETE,
}

impl Method {
    /// As HTTP writes it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::GET => "GET",
            Self::POST => "POST",
            Self::PUT => "PUT",
            Self::DELETE => "DELETE",
        }
    }
}

/// One row.
pub(crate) struct Row {
    /// How.
    pub(crate) method: Method,
    /// Where; `{}` stands for one segment.
    pub(crate) path: &'static str,
    /// On which listener.
    pub(crate) listener: Listener,
    /// For whom.
    pub(crate) access: Access,
    /// How costly.
    pub(crate) class: Class,
    /// The longest body.
    pub(crate) body_max: usize,
    /// What answers.
    pub(crate) handler: Handler,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}

const KIB: usize = 1 << 10;

macro_rules! rows {
    ($($method:ident $path:literal $listener:ident $access:ident $class:ident $body:expr => $kind:ident $handler:path;)*) => {
        /// Every route.
        pub(crate) const ROWS: &[Row] = &[$(Row {
            method: Method::$method, path: $path, listener: Listener::$listener,
            access: Access::$access, class: Class::$class, body_max: $body,
            handler: rows!(@ $kind $handler),
        }),*];
    };
    (@ now $handler:path) => { |shared, call| Box::pin(std::future::ready($handler(&shared, &call))) };
    (@ later $handler:path) => { |shared, call| Box::pin($handler(shared, call)) };
}

rows! {
    GET "/v1/status" Public Anyone Read 0 => now chain::status;
    GET "/v1/chain" Public Anyone Read 0 => now chain::chain;
    GET "/v1/chain/params" Public Anyone Read 0 => now chain::params;
    GET "/v1/genesis" Public Anyone Read 0 => now chain::genesis;
    GET "/v1/problems/{}" Public Anyone Read 0 => now chain::problem;
    GET "/v1/blocks" Public Anyone List 0 => later chain::blocks;
    GET "/v1/blocks/{}" Public Anyone Read 0 => later chain::block;
    GET "/v1/blocks/{}/certificate" Public Anyone Read 0 => later chain::certificate;
    GET "/v1/validators" Public Anyone List 0 => now chain::validators;
    GET "/v1/validators/{}" Public Anyone Read 0 => now chain::validator;
    GET "/v1/validators/{}/duties" Public Anyone List 0 => now duties::duties;
    GET "/v1/accounts/{}" Public Anyone Read 0 => later accounts::account;
    POST "/v1/tx" Public Anyone Tx 33 * KIB => later txs::submit;
    POST "/v1/tx/simulate" Public Anyone List 33 * KIB => later txs::simulate;
    GET "/v1/tx/{}" Public Anyone Read 0 => later txs::show;
    GET "/v1/jobs" Public Anyone List 0 => now jobs::list;
    POST "/v1/jobs/estimate" Public Anyone List 64 * KIB => now jobs::estimate;
    GET "/v1/jobs/{}" Public Anyone Read 0 => now jobs::show;
    GET "/v1/jobs/{}/events" Public Anyone Read 0 => now jobs::events;
    GET "/v1/jobs/{}/receipt" Public Anyone List 0 => later jobs::receipt;
    GET "/v1/jobs/{}/output" Public Party Read 0 => later jobs::output;
    PUT "/v1/blobs/{}" Public Signed Blob 256 * KIB => later blobs::put;
    GET "/v1/blobs/{}" Public Loopback Blob 0 => later blobs::get;
    POST "/v1/blobs/manifests" Public Signed Blob 64 * KIB => later blobs::manifest;
    GET "/v1/models" Public Anyone List 0 => later models::list;
    GET "/v1/models/{}" Public Anyone Read 0 => later models::show;
    GET "/v1/evidence" Public Anyone List 0 => now jobs::evidence;
    GET "/v1/evidence/{}" Public Anyone Read 0 => now jobs::evidence_one;
    GET "/v1/slashes" Public Anyone List 0 => now jobs::slashes;
    GET "/v1/network" Public Anyone Read 0 => now network::network;
    GET "/v1/sandbox" Public Anyone List 0 => now sandbox::sandbox;
    GET "/v1/peers" Public Anyone Read 0 => now chain::peers;
    GET "/v1/audit/checkpoint" Public Anyone Read 0 => now chain::audit_checkpoint;
    GET "/v1/events" Public Anyone Sse 0 => now events::stream;
    POST "/v1/faucet" Public Local Tx 4 * KIB => later faucet::pay;
    GET "/livez" Public Anyone Free 0 => later health::live;
    GET "/healthz" Public Anyone Free 0 => later health::live;
    GET "/readyz" Public Anyone Free 0 => now health::ready;
    GET "/metrics" Metrics Anyone Free 0 => now health::metrics;
    GET "/livez" Metrics Anyone Free 0 => later health::live;
    GET "/healthz" Metrics Anyone Free 0 => later health::live;
    GET "/readyz" Metrics Anyone Free 0 => now health::ready;
    POST "/v1/admin/byzantine" Admin Local Read 4 * KIB => now admin::byzantine;
    POST "/v1/admin/heartbeat" Admin Anyone Read 4 * KIB => now admin::heartbeat;
    POST "/v1/admin/quiesce" Admin Anyone Read 4 * KIB => now admin::quiesce;
    GET "/v1/admin/bans" Admin Anyone Read 0 => now admin::bans;
    POST "/v1/admin/bans" Admin Anyone Read 4 * KIB => now admin::ban;
    DELETE "/v1/admin/bans/{}" Admin Anyone Read 0 => now admin::unban;
}

/// What a method and path lead to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A row, and the values of its places.
    Row(&'static Row, Vec<String>),
    /// The path exists, with these methods.
    OtherMethod(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// Looks a request up.
pub(crate) fn find(listener: Listener, method: &str, path: &str) -> Found {
    let mut methods = Vec::new();
    // A word in a pattern goes before a place: `/v1/jobs/estimate` is no job.
    let mut best: Option<(&'static Row, Vec<String>)> = None;
    for row in ROWS.iter().filter(|row| row.listener == listener) {
        let Some(places) = matched(row.path, path) else {
            continue;
        };
        if row.method.as_str() != method {
            methods.push(row.method.as_str());
        } else if best
            .as_ref()
            .is_none_or(|(_, known)| places.len() < known.len())
        {
            best = Some((row, places));
        }
    }
    match best {
        Some((row, places)) => Found::Row(row, places),
        None if methods.is_empty() => Found::Nothing,
        None => Found::OtherMethod(methods),
    }
}

fn matched(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut want, mut have) = (pattern.split('/'), path.split('/'));
    let mut places = Vec::new();
    loop {
        match (want.next(), have.next()) {
            (None, None) => return Some(places),
            (Some("{}"), Some(value)) if !value.is_empty() => places.push(value.to_owned()),
            (Some(word), Some(value)) if word == value => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rbac_matrix_is_total() {
        let mut seen = BTreeSet::new();
        for row in ROWS {
            let listener = format!("{:?}", row.listener);
            assert!(
                seen.insert((listener, row.method.as_str(), row.path)),
                "{row:?} twice"
            );
            let admin = row.path.starts_with("/v1/admin/");
            assert_eq!(admin, row.listener == Listener::Admin, "{row:?}");
            let takes_body = matches!(row.method, Method::POST | Method::PUT);
            assert_eq!(takes_body, row.body_max > 0, "{row:?}");
        }
    }

    #[test]
    fn every_row_is_found_and_nothing_else() {
        for row in ROWS {
            let path = row.path.replace("{}", "x1");
            match find(row.listener, row.method.as_str(), &path) {
                Found::Row(found, _) => assert_eq!(found.path, row.path),
                other => panic!("{row:?}: {other:?}"),
            }
        }
        for path in [
            "",
            "/",
            "/v1",
            "/v1/status/",
            "/v1/jobs//events",
            "/v2/status",
            "/v1/jobs/a/b",
        ] {
            assert!(
                matches!(find(Listener::Public, "GET", path), Found::Nothing),
                "{path}"
            );
        }
        assert!(matches!(
            find(Listener::Public, "GET", "/metrics"),
            Found::Nothing
        ));
        assert!(matches!(
            find(Listener::Public, "POST", "/v1/admin/bans"),
            Found::Nothing
        ));
        assert!(matches!(
            find(Listener::Public, "DELETE", "/v1/status"),
            Found::OtherMethod(_)
        ));
    }

    #[test]
    fn words_go_before_places() {
        match find(Listener::Public, "POST", "/v1/jobs/estimate") {
            Found::Row(row, places) => {
                assert!(row.path == "/v1/jobs/estimate" && places.is_empty())
            }
            other => panic!("{other:?}"),
        }
    }
}
