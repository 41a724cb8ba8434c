//! Goal: each misdeed costs exactly what the rules say, on every node, and nobody else anything.
//! Method: an unmodified node is told to misbehave; amounts are computed from the genesis file by the
//! rules of stage S1, never written down here, and compared to the unit.

use std::collections::BTreeMap;

use protocol::genesis::Genesis;
use protocol::params::Params;
use protocol::units::{Amount, Fuel};
use serde_json::Value;
use testnet::clock::poll;

use crate::cli::{list, number, text};
use crate::cluster::{Cluster, NAMES, PATIENCE, STAKE};

const LIAR: &str = "mallory";
const HONEST: [&str; 3] = ["alice", "bob", "carol"];
/// Jobs until the liar was drawn often enough. It sits in three of four committees.
const JOBS_MAX: usize = 12;

/// Balances and stakes before the misdeed, by moniker.
struct Before {
    balances: BTreeMap<&'static str, u64>,
    burned: u64,
}

fn before(net: &Cluster) -> Before {
    let balances = NAMES
        .iter()
        .map(|node| (*node, operator_balance(net, node)))
        .collect();
    Before {
        balances,
        burned: net.compartment("alice", "burned"),
    }
}

fn operator_balance(net: &Cluster, node: &str) -> u64 {
    let operator = text(&net.validators("alice")[node]["operator"]).to_owned();
    net.balance("alice", &operator)
}

fn params(net: &Cluster) -> Params {
    Genesis::parse(&std::fs::read(net.file("genesis.toml")).unwrap())
        .unwrap()
        .params
}

fn misbehave(net: &Cluster, profile: &str) {
    let told = net.testnet("byzantine", &[LIAR, profile]);
    assert_eq!(
        (told["node"].as_str(), told["profile"].as_str()),
        (Some(LIAR), Some(profile))
    );
}

fn honest_again(net: &Cluster) {
    net.testnet("byzantine", &[LIAR, "off"]);
}

/// Waits until a node sees the liar in a state.
fn wait_for_state(net: &Cluster, node: &str, state: &str) {
    let seen = poll(PATIENCE, || {
        (net.validators(node)[LIAR]["state"] == state).then_some(())
    });
    seen.unwrap_or_else(|| {
        panic!(
            "{node} sees {}, not {state}\n{}",
            net.validators(node)[LIAR],
            net.logs()
        )
    });
}

/// Nobody but the liar lost stake or standing, as every honest node sees it.
fn only_the_liar_was_touched(net: &Cluster) {
    for node in HONEST {
        let rows = net.validators(node);
        for name in HONEST {
            assert_eq!(
                number(&rows[name]["stake"]),
                STAKE,
                "{name} as {node} sees it"
            );
            assert_eq!(rows[name]["state"], "active", "{name} as {node} sees it");
        }
        let liar = net.validator_id(LIAR);
        for slash in net.slashes(node) {
            assert_eq!(slash["validator"], liar, "{node}: {slash}");
        }
    }
    net.holds(&["supply_conserved"]);
}

/// The honest nodes have one state root at a height that all of them have.
fn honest_nodes_agree(net: &Cluster) {
    let height = HONEST
        .iter()
        .map(|node| number(&net.ask(node, &["chain", "show"])["height"]))
        .min();
    let height = height.unwrap().to_string();
    let of = |node: &str| {
        let block = net.ask(node, &["chain", "block", &height]);
        (block["id"].clone(), block["state_root"].clone())
    };
    assert_eq!(of("alice"), of("bob"), "height {height}");
    assert_eq!(of("alice"), of("carol"), "height {height}");
}

/// An equivocation: five percent, a twentieth of that to whoever reported it, the rest burned,
/// tombstoned, on every node.
fn equivocation(net: &Cluster, profile: &str, offence: &str) {
    net.wait("height >= 3 && agree");
    let before = before(net);
    misbehave(net, profile);
    for node in HONEST {
        wait_for_state(net, node, "tombstoned");
    }
    let amount = Amount(STAKE).share(5, 100).0;
    let reward = Amount(amount).share(5, 100).0;
    for node in HONEST {
        let slashes = net.slashes(node);
        assert_eq!(slashes.len(), 1, "{node}: {slashes:?}");
        let slash = &slashes[0];
        assert_eq!(slash["offence"], offence, "{node}");
        assert_eq!(number(&slash["amount"]), amount, "{node}");
        assert_eq!(number(&slash["burned"]), amount - reward, "{node}");
        let evidence = net.ask(node, &["evidence", "list"]);
        let evidence = list(&evidence["evidence"]);
        assert_eq!(evidence.len(), 1, "{node}: {evidence:?}");
        assert_eq!(evidence[0]["validator"], net.validator_id(LIAR), "{node}");
        // What is left is on its way out: none of it votes again.
        assert_eq!(number(&net.validators(node)[LIAR]["stake"]), 0, "{node}");
        assert_eq!(net.compartment(node, "unbonding"), STAKE - amount, "{node}");
        assert_eq!(
            net.compartment(node, "burned"),
            before.burned + amount - reward,
            "{node}"
        );
    }
    let gains: Vec<u64> = NAMES
        .iter()
        .map(|name| operator_balance(net, name) - before.balances[name])
        .collect();
    let rewarded: Vec<&u64> = gains.iter().filter(|gain| **gain > 0).collect();
    assert_eq!(
        rewarded,
        [&reward],
        "one reporter gets the reward, gains {gains:?}"
    );
    only_the_liar_was_touched(net);
    // Three equal validators remain and need each other: the chain goes on with exactly them.
    let height = number(&net.ask("alice", &["chain", "show"])["height"]);
    let goal = height + 3;
    net.wait(&format!(
        "height(alice) >= {goal} && height(bob) >= {goal} && height(carol) >= {goal}"
    ));
    honest_nodes_agree(net);
    let block = net.ask("bob", &["chain", "block", &goal.to_string()]);
    let liar = net.validator_id(LIAR);
    assert!(
        !list(&block["signers"])
            .iter()
            .any(|signer| *signer == *liar),
        "{block}"
    );
}

#[test]
fn double_sign() {
    let net = Cluster::up("double-vote");
    equivocation(&net, "double-vote", "double_vote");
}

#[test]
fn double_proposal() {
    let net = Cluster::up("double-proposal");
    equivocation(&net, "double-proposal", "double_proposal");
}

/// A liar's result goes to the whole set; it pays the greater of its seat bond and five percent, the
/// client gets back what the job cost, and the honest answer.
#[test]
fn wrong_result() {
    let net = Cluster::with_jobs("wrong-result");
    net.wait("height >= 6 && agree");
    let root = honest_root(&net);
    misbehave(&net, "wrong-result");
    let (job, before, client) = lie(&net);
    honest_again(&net);
    assert_eq!(job["state"], "resolved", "{job}");
    assert_eq!(
        job["result_root"], root,
        "the client holds the honest result"
    );
    let params = params(&net);
    let seat_bond = params.seat_bond(Fuel(number(&job["fuel_limit"])));
    let amount = seat_bond.max(Amount(STAKE).share(5, 100)).0;
    let fuel = Fuel(number(&job["fuel"]));
    let each = params.seat_reward(fuel).0;
    let right = list(&job["seats"])
        .iter()
        .filter(|seat| seat["moniker"] != LIAR);
    let (jurors, seats): (Vec<&Value>, Vec<&Value>) =
        right.partition(|seat| seat["level"] == "whole_set");
    assert_eq!((seats.len(), jurors.len()), (2, 1), "{job}");
    for seat in &seats {
        assert_eq!(number(&seat["paid"]), each, "{seat}");
    }
    let paid = each * 2;
    let fee = Amount(paid).share(2, 100).0;
    let (locked, refunded) = (number(&job["locked"]), number(&job["refunded"]));
    assert_eq!(
        (number(&job["paid"]), number(&job["fee"])),
        (paid, fee),
        "{job}"
    );
    assert_eq!(refunded, locked - paid - fee, "{job}");
    // A quarter of the slash is far more than the job cost, so the client is whole again.
    let cost = paid + fee;
    assert!(cost < Amount(amount).share(25, 100).0);
    assert_eq!(number(&job["compensated"]), cost, "{job}");
    for node in NAMES {
        wait_for_state(&net, node, "jailed");
        let slashes = net.slashes(node);
        assert_eq!(slashes.len(), 1, "{node}: {slashes:?}");
        assert_eq!(slashes[0]["offence"], "wrong_result", "{node}");
        assert_eq!(slashes[0]["job"], job["id"], "{node}");
        assert_eq!(number(&slashes[0]["amount"]), amount, "{node}");
        // The right juror is paid from the slash, then the client, the rest burns.
        assert_eq!(
            number(&slashes[0]["burned"]),
            amount - each - cost,
            "{node}"
        );
        let liar = &net.validators(node)[LIAR];
        assert_eq!(number(&liar["stake"]), STAKE - amount, "{node}");
        assert_eq!(liar["jail_cause"], "wrong_result", "{node}: {liar}");
        let until = number(&slashes[0]["height"]) + params.jail_wrong_blocks;
        assert_eq!(number(&liar["jailed_until"]), until, "{node}");
    }
    for name in HONEST {
        let sat = list(&job["seats"])
            .iter()
            .filter(|seat| seat["moniker"] == name)
            .count() as u64;
        let gained = operator_balance(&net, name) - before.balances[name];
        // Beside its seat, a builder earns half a fee for each transaction in its block.
        let fees = client.tx_fee / 2;
        assert!(
            gained == sat * each || gained == sat * each + fees,
            "{name} gained {gained}: {sat} seats, {each} each, fee {fees}"
        );
    }
    let now = net.balance("alice", "client-0");
    assert_eq!(
        now,
        client.balance - client.tx_fee,
        "the client paid only for its transaction"
    );
    only_the_liar_was_touched(&net);
}

/// The client before its job: what it held, and what the transaction took.
struct Client {
    balance: u64,
    tx_fee: u64,
}

/// What an honest committee answers.
fn honest_root(net: &Cluster) -> Value {
    let submitted = net.submit_digits("digit-01.npy", &[]);
    let job = net.job_end(&submitted.id);
    assert_eq!(job["state"], "settled", "{job}");
    job["result_root"].clone()
}

/// Submits jobs until the liar sits in a first committee; what was true before that job.
fn lie(net: &Cluster) -> (Value, Before, Client) {
    for _ in 0..JOBS_MAX {
        let (before, balance) = (before(net), net.balance("alice", "client-0"));
        let submitted = net.submit_digits("digit-01.npy", &[]);
        let job = net.job_end(&submitted.id);
        let drawn = list(&job["seats"])
            .iter()
            .any(|seat| seat["moniker"] == LIAR && seat["level"] == "committee");
        if drawn {
            return (
                job,
                before,
                Client {
                    balance,
                    tx_fee: submitted.fee,
                },
            );
        }
        assert_eq!(job["state"], "settled", "without the liar: {job}");
    }
    panic!("{LIAR} was not drawn in {JOBS_MAX} jobs");
}

/// Takes seats and commits nothing: three misses of twenty seats and the node is jailed, unslashed;
/// the others' answer is paid for without it.
#[test]
fn no_show() {
    let net = Cluster::with_jobs("no-show");
    absence(&net, "no-show");
}

/// Commits and never reveals: the same.
#[test]
fn withhold_reveal() {
    let net = Cluster::with_jobs("withhold-reveal");
    absence(&net, "withhold-reveal");
}

/// Reveals what does not open its commit: no reveal at all.
#[test]
fn bad_reveal() {
    let net = Cluster::with_jobs("bad-reveal");
    absence(&net, "bad-reveal");
}

fn absence(net: &Cluster, profile: &str) {
    net.wait("height >= 6 && agree");
    misbehave(net, profile);
    let mut jobs = Vec::new();
    while net.validators("alice")[LIAR]["state"] != "jailed" {
        assert!(
            jobs.len() < JOBS_MAX,
            "not jailed after {JOBS_MAX} jobs: {}",
            net.validators("alice")[LIAR]
        );
        // Three at a time: their windows pass together.
        let submitted: Vec<_> = (0..3)
            .map(|i| net.submit_digits(&format!("digit-{i:02}.npy"), &[]))
            .collect();
        jobs.extend(submitted.iter().map(|job| net.job_end(&job.id)));
    }
    let params = params(net);
    let mut missed = 0;
    for job in &jobs {
        let each = params.seat_reward(Fuel(number(&job["fuel"]))).0;
        assert_eq!(
            job["state"], "settled",
            "two of three seats are a quorum: {job}"
        );
        let seats = list(&job["seats"]);
        let absent = seats.iter().filter(|seat| seat["moniker"] == LIAR).count() as u64;
        missed += absent;
        for seat in seats {
            let due = if seat["moniker"] == LIAR { 0 } else { each };
            // A committee drawn after the jail has no absent member.
            assert_eq!(number(&seat["paid"]), due, "{profile}: {seat}");
        }
        let paid = each * (seats.len() as u64 - absent);
        assert_eq!(number(&job["paid"]), paid, "{job}");
        assert_eq!(
            number(&job["locked"]),
            paid + number(&job["fee"]) + number(&job["refunded"]),
            "{job}"
        );
    }
    assert!(missed >= 3, "jailed after {missed} misses");
    for node in NAMES {
        wait_for_state(net, node, "jailed");
        let liar = &net.validators(node)[LIAR];
        assert_eq!(liar["jail_cause"], "absence", "{node}: {liar}");
        assert_eq!(
            number(&liar["stake"]),
            STAKE,
            "{node}: absence costs no stake"
        );
        assert!(net.slashes(node).is_empty(), "{node}");
        let evidence = net.ask(node, &["evidence", "list"]);
        assert!(list(&evidence["evidence"]).is_empty(), "{node}: {evidence}");
    }
    only_the_liar_was_touched(net);
}

/// A validator that floods is quarantined by the others, not banned and not slashed; blocks go on.
#[test]
fn flood() {
    let net = Cluster::up_alone("flood");
    net.wait("height >= 3 && agree");
    let liar = net.validator_id(LIAR);
    misbehave(&net, "flood");
    for node in HONEST {
        let quarantined = poll(PATIENCE, || {
            let peers = net.ask(node, &["net", "peers"]);
            let row = list(&peers["peers"])
                .iter()
                .find(|row| row["validator"] == *liar)?;
            (row["state"] == "quarantined").then(|| row.clone())
        });
        let row = quarantined.unwrap_or_else(|| {
            panic!(
                "{node}: {}\n{}",
                net.ask(node, &["net", "peers"]),
                net.logs()
            )
        });
        assert!(number(&row["rate_limited"]) > 0, "{node}: {row}");
    }
    let height = number(&net.ask("alice", &["chain", "show"])["height"]);
    let goal = height + 5;
    net.wait(&format!(
        "height(alice) >= {goal} && height(bob) >= {goal} && height(carol) >= {goal}"
    ));
    honest_again(&net);
    honest_nodes_agree(&net);
    for node in HONEST {
        let peers = net.ask(node, &["net", "peers"]);
        assert!(
            list(&peers["bans"]).is_empty(),
            "{node} banned a validator: {peers}"
        );
        assert!(net.slashes(node).is_empty(), "{node}");
        assert_eq!(net.validators(node)[LIAR]["state"], "active", "{node}");
        assert_eq!(
            number(&net.validators(node)[LIAR]["stake"]),
            STAKE,
            "{node}"
        );
    }
    only_the_liar_was_touched(&net);
    // None of the flood reached a block: nobody could pay for it.
    net.wait("height >= 1 && agree");
}
