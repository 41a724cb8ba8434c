//! The checklist before a deployment, D1 to D11 (docs/security/checklists.md). What a program cannot
//! see is listed for a person.

use std::collections::BTreeSet;
use std::sync::Arc;

use storage::home::{HomeError, HomeLock};
use storage::layer::OsLayer;
use storage::sign::portable::StoppedSignState;
use storage::sign::slot::SignerIdentity;

use super::host;
use super::row::{Row, Verdict};
use crate::cmd::Context;
use crate::config::{Config, Role as NodeRole};
use crate::home::Chain;
use crate::keys::{Role, file};
use crate::problem::Problem;

/// All of them. `sandbox` are the rows of the sandbox, already looked at.
pub(super) fn rows(
    context: &Context,
    config: &Config,
    agreed: Option<&protocol::digest::ChainId>,
    sandbox: &[Row],
) -> Vec<Row> {
    let chain = context.home.chain();
    let validator = config.node.role == NodeRole::Validator;
    let mut rows = vec![genesis(&chain, agreed)];
    match &chain {
        Ok(chain) => rows.push(keys(context, chain, validator)),
        Err(_) => rows.push(keys_unknown()),
    }
    if let (Ok(chain), true) = (&chain, validator) {
        rows.push(sign_state(context, chain));
    }
    rows.push(tier(config, sandbox));
    rows.push(binds(config, chain.as_ref().ok()));
    rows.extend([host::descriptors(), host::clock()].map(renamed));
    rows.push(host::storage(&context.home.data()));
    rows.extend([
        Row::by_hand(
            "D9 alerts",
            "each INC-1 and INC-2 rule test-fired",
            "deploy/prometheus/alerts.yml, docs/operations/runbooks.md",
        ),
        Row::by_hand(
            "D10 supply chain",
            "the binary's hash equals the one you trust; cargo deny check was clean",
            "sha256sum the binary; build it from the tag yourself",
        ),
        Row::by_hand(
            "D11 rehearsal",
            "`palisade demo` exits 0",
            "palisade demo, on such a host",
        ),
    ]);
    rows
}

fn renamed(mut row: Row) -> Row {
    let number = if row.check == "clock" { "D7" } else { "D6" };
    row.check = format!("{number} {}", row.check);
    row
}

fn genesis(chain: &Result<Chain, Problem>, agreed: Option<&protocol::digest::ChainId>) -> Row {
    let words = (
        "the digest agreed out of band",
        "palisade doctor --profile deploy --genesis-hash HEX",
    );
    let (verdict, found) = match (chain, agreed) {
        (Err(problem), _) => (Verdict::Fail, problem.detail.clone()),
        (Ok(chain), None) => (Verdict::ByHand, chain.id.to_string()),
        (Ok(chain), Some(agreed)) => (Verdict::of(chain.id == *agreed), chain.id.to_string()),
    };
    Row::new("D1 genesis", verdict, found, words)
}

fn keys_unknown() -> Row {
    Row::new(
        "D2 keys",
        Verdict::Fail,
        "no chain to judge them by",
        KEY_WORDS,
    )
}

const KEY_WORDS: (&str, &str) = (
    "one key a role, all different, files 0600, no development key; the operator's key elsewhere",
    "palisade keys list; palisade keys new --role ROLE; chmod 600",
);

fn keys(context: &Context, chain: &Chain, validator: bool) -> Row {
    let found = match file::list(&context.home.keys()) {
        Ok(found) => found,
        Err(problem) => return Row::new("D2 keys", Verdict::Fail, problem.detail, KEY_WORDS),
    };
    let roles: &[Role] = match validator {
        true => &[Role::Consensus, Role::Session, Role::Peer],
        false => &[Role::Peer],
    };
    let count = |role: Role| found.iter().filter(|key| key.label.role == role).count();
    let wrong: Vec<String> = roles
        .iter()
        .filter(|role| count(**role) != 1)
        .map(|role| format!("{} {role} keys", count(*role)))
        .collect();
    let distinct: BTreeSet<&str> = found
        .iter()
        .map(|key| key.label.public_key.as_str())
        .collect();
    let (verdict, text) = match () {
        () if !wrong.is_empty() => (Verdict::Fail, wrong.join(", ")),
        () if distinct.len() != found.len() => (Verdict::Fail, "one key has two roles".to_owned()),
        () if found.iter().any(|key| key.label.dev) && !chain.genesis.is_local() => {
            (Verdict::Fail, "a development key".to_owned())
        }
        () if count(Role::Operator) > 0 => (
            Verdict::Degraded,
            "the operator's key lies on this host".to_owned(),
        ),
        () => (
            Verdict::Pass,
            format!("{} keys, all different", found.len()),
        ),
    };
    Row::new("D2 keys", verdict, text, KEY_WORDS)
}

fn sign_state(context: &Context, chain: &Chain) -> Row {
    let words = (
        "present, and locked by the node that signs",
        "palisade sign-state init --floor HEIGHT, where no copy of the key signed above HEIGHT",
    );
    let row = |verdict, found: String| Row::new("D3 sign-state", verdict, found, words);
    let keys = file::list(&context.home.keys()).unwrap_or_default();
    let key = keys.iter().find(|key| key.label.role == Role::Consensus);
    let Some(Ok(public_key)) = key.map(file::Found::public) else {
        return row(Verdict::Fail, "no consensus key".to_owned());
    };
    let lock = match HomeLock::acquire(context.home.root()) {
        Ok(lock) => lock,
        Err(error @ HomeError::Locked { .. }) => return row(Verdict::Pass, error.to_string()),
        Err(error) => return row(Verdict::Fail, error.to_string()),
    };
    let identity = SignerIdentity {
        chain: chain.id,
        public_key,
    };
    let data = context.home.data();
    match StoppedSignState::new(Arc::new(OsLayer), &data, identity, &lock).export() {
        Ok(found) => row(
            Verdict::Pass,
            format!("nothing up to height {} again", found.point.height),
        ),
        Err(error) => row(Verdict::Fail, error.to_string()),
    }
}

/// Tier `full`, or every gap named in the configuration.
fn tier(config: &Config, sandbox: &[Row]) -> Row {
    let words = (
        "every attempt refused, tier full",
        "palisade doctor --sandbox; or name the gap in sandbox.allow_degraded",
    );
    let failing = sandbox.iter().find(|row| row.verdict == Verdict::Fail);
    let tier = sandbox.iter().find(|row| row.check == "tier");
    let tier = tier.map_or("unknown", |row| row.found.as_str());
    let waived = |name: &str| {
        let gap = sandbox::Degradation::ALL
            .into_iter()
            .find(|gap| gap.tier_name() == name);
        gap.is_some_and(|gap| {
            config
                .sandbox
                .allow_degraded
                .iter()
                .any(|w| w == gap.allow_name())
        })
    };
    let verdict = match (failing, tier) {
        (Some(_), _) => Verdict::Fail,
        (None, "full") => Verdict::Pass,
        (None, tier) if tier.split('+').all(waived) => Verdict::Waived,
        (None, _) => Verdict::Fail,
    };
    let found = failing.map_or_else(
        || format!("tier {tier}"),
        |row| format!("tier {tier}; {}: {}", row.check, row.found),
    );
    Row::new("D4 sandbox", verdict, found, words)
}

fn binds(config: &Config, chain: Option<&Chain>) -> Row {
    let words = (
        "API and metrics on loopback, or behind a proxy that terminates TLS",
        "palisade config check; api.listen, metrics.listen",
    );
    if let Err(fault) = config.check(chain.map(|chain| chain.genesis.chain_name.as_str())) {
        let found = format!("{}: {}", fault.key, fault.text);
        return Row::new("D5 binds", Verdict::Fail, found, words);
    }
    let listeners = [config.api.listen, config.metrics.listen];
    let open: Vec<String> = listeners
        .iter()
        .filter(|address| !address.ip().is_loopback())
        .map(ToString::to_string)
        .collect();
    match open.is_empty() {
        true => Row::new("D5 binds", Verdict::Pass, "loopback", words),
        false => Row::new(
            "D5 binds",
            Verdict::Waived,
            format!("plain: {}", open.join(", ")),
            words,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox_rows(tier: &str, test: Verdict) -> Vec<Row> {
        vec![
            Row::new("tier", Verdict::Degraded, tier, ("", "")),
            Row::new("self-test", test, "3 attempts", ("", "")),
        ]
    }

    #[test]
    fn gaps_of_the_sandbox_are_waived_by_name_only() {
        let mut config = Config::default();
        let verdict = |config: &Config, tier_name: &str, test| {
            tier(config, &sandbox_rows(tier_name, test)).verdict
        };
        assert_eq!(verdict(&config, "full", Verdict::Pass), Verdict::Pass);
        assert_eq!(verdict(&config, "full", Verdict::Fail), Verdict::Fail);
        assert_eq!(verdict(&config, "no-cgroup", Verdict::Pass), Verdict::Fail);
        config.sandbox.allow_degraded = vec!["cgroup".to_owned()];
        assert_eq!(
            verdict(&config, "no-cgroup", Verdict::Pass),
            Verdict::Waived
        );
        let both = "no-cgroup+landlock-3";
        assert_eq!(verdict(&config, both, Verdict::Pass), Verdict::Fail);
    }

    #[test]
    fn plain_listeners_are_waived_or_fail() {
        let mut config = Config::default();
        assert_eq!(binds(&config, None).verdict, Verdict::Pass);
        config.api.listen = "0.0.0.0:8645".parse().unwrap();
        assert_eq!(binds(&config, None).verdict, Verdict::Fail);
        config.api.allow_plain = true;
        assert_eq!(binds(&config, None).verdict, Verdict::Waived);
    }
}
