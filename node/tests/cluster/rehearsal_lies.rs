//! Goal: lies that must come to nothing, and jurors that back a liar: what each costs, to the unit, and
//! that nobody else is touched.
//! Method: as in `rehearsal`.

use protocol::genesis::Genesis;
use protocol::units::{Amount, Fuel};
use serde_json::Value;
use testnet::byzantine::FORGED_EVIDENCE_FEE;
use testnet::clock::poll;

use crate::cli::{list, number, text};
use crate::client::{Client, Digits};
use crate::cluster::{Cluster, PATIENCE, STAKE};

const LIAR: &str = "mallory";
const SEVEN: [&str; 7] = ["alice", "bob", "carol", "mallory", "dave", "erin", "frank"];
/// Who backs the liar.
const JUROR: &str = "frank";
/// The liar sits in every second committee of six: chance of missing so many is below one in 10^7.
const JOBS_MAX: usize = 24;

fn height(net: &Cluster) -> u64 {
    number(&net.ask("alice", &["chain", "show"])["height"])
}

fn goes_on(net: &Cluster, blocks: u64) -> u64 {
    let goal = height(net) + blocks;
    net.wait(&format!("height(alice) >= {goal}"));
    goal
}

fn block(net: &Cluster, height: u64) -> Value {
    net.ask("alice", &["chain", "block", &height.to_string()])
}

/// The transactions of the liar's own blocks in these heights.
fn of_the_liar(net: &Cluster, heights: std::ops::Range<u64>) -> Vec<String> {
    let liar = net.validator_id(LIAR);
    let own = heights
        .map(|height| block(net, height))
        .filter(|block| block["builder"] == *liar);
    own.flat_map(|block| list(&block["txs"]).to_vec())
        .map(|id| text(&id).to_owned())
        .collect()
}

fn nobody_is_slashed(net: &Cluster, nodes: &[&str]) {
    for node in nodes {
        assert!(net.slashes(node).is_empty(), "{node}");
        let evidence = net.ask(node, &["evidence", "list"]);
        assert!(list(&evidence["evidence"]).is_empty(), "{node}: {evidence}");
        for (name, row) in net.validators(node) {
            assert_eq!(number(&row["stake"]), STAKE, "{name} as {node} sees it");
            assert_eq!(row["state"], "active", "{name} as {node} sees it");
        }
    }
    net.holds(&["supply_conserved"]);
}

/// False reports in the liar's own blocks are refused, their fees are kept, and nobody is slashed.
#[test]
fn forged_evidence() {
    let net = Cluster::up("forged-evidence");
    net.wait("height >= 3 && agree");
    let operator = text(&net.validators("alice")[LIAR]["operator"]).to_owned();
    let (before, from) = (net.balance("alice", &operator), height(&net));
    net.testnet("byzantine", &[LIAR, "forged-evidence"]);
    let told = poll(PATIENCE, || {
        let lies = of_the_liar(&net, from + 1..height(&net) + 1);
        (lies.len() >= 2).then_some(())
    });
    assert!(told.is_some(), "two lies in blocks\n{}", net.logs());
    net.testnet("byzantine", &[LIAR, "off"]);
    // A block that was on its way still carries one.
    let last = goes_on(&net, 6);
    let lies = of_the_liar(&net, from + 1..last + 1);
    for lie in &lies {
        for node in ["alice", "bob", LIAR] {
            let result = net.ask(node, &["tx", "show", lie])["result"].clone();
            assert_eq!(result["applied"], false, "{node}: {result}");
            let code = text(&result["code"]).to_owned();
            assert!(code.starts_with("evidence."), "{node}: {result}");
        }
    }
    // The builder of a block gets half of its fees back, and that is the liar itself.
    let fee = FORGED_EVIDENCE_FEE.0;
    let lost = before - net.balance("alice", &operator);
    assert_eq!(
        lost,
        (fee - fee / 2) * lies.len() as u64,
        "{} lies",
        lies.len()
    );
    nobody_is_slashed(&net, &["alice", "bob", "carol", LIAR]);
    net.holds(&["agree"]);
}

/// A malformed block gets nil from everybody: the next proposer's stands, and in S1 nobody is
/// slashed.
#[test]
fn invalid_proposal() {
    let net = Cluster::up("invalid-proposal");
    net.wait("height >= 3 && agree");
    net.testnet("byzantine", &[LIAR, "invalid-proposal"]);
    // What was proposed before the word came is over two heights on.
    let from = height(&net) + 3;
    let to = goes_on(&net, 12);
    net.testnet("byzantine", &[LIAR, "off"]);
    let liar = net.validator_id(LIAR);
    let blocks: Vec<Value> = (from..=to).map(|height| block(&net, height)).collect();
    for block in &blocks {
        assert_ne!(block["builder"], *liar, "{block}");
    }
    let again = blocks.iter().any(|block| number(&block["round"]) > 0);
    assert!(again, "the liar's turn came and was passed over");
    let own = poll(PATIENCE, || {
        let now = height(&net);
        (to + 1..=now)
            .any(|height| block(&net, height)["builder"] == *liar)
            .then_some(())
    });
    assert!(
        own.is_some(),
        "honest again, its blocks stand\n{}",
        net.logs()
    );
    nobody_is_slashed(&net, &["alice", "bob", "carol", LIAR]);
    net.holds(&["agree"]);
}

/// A juror that backs the liar in the whole set loses half a percent and stays; the liar loses five
/// and is jailed; the five honest ones lose nothing.
#[test]
fn wrong_juror() {
    let net = Cluster::with_jobs_alone("wrong-juror", &SEVEN);
    net.wait("height >= 6 && agree");
    net.testnet("byzantine", &[LIAR, "wrong-result"]);
    net.testnet("byzantine", &[JUROR, "wrong-juror"]);
    // Nobody sits in the committee of a job of its own; to the whole set everybody belongs.
    let client = Client::new(&net, &format!("operator-{JUROR}"));
    let digits = Digits::put(&net);
    let job = (0..JOBS_MAX).find_map(|_| {
        let job = net.job_end(&client.submit_digits(&digits).to_string());
        let drawn = list(&job["seats"])
            .iter()
            .any(|seat| seat["moniker"] == LIAR && seat["level"] == "committee");
        assert!(drawn || job["state"] == "settled", "{job}");
        drawn.then_some(job)
    });
    let job = job.expect("a committee with the liar");
    for liar in [LIAR, JUROR] {
        net.testnet("byzantine", &[liar, "off"]);
    }
    assert_eq!(job["state"], "resolved", "{job}");
    let genesis = std::fs::read(net.file("genesis.toml")).unwrap();
    let params = Genesis::parse(&genesis).unwrap().params;
    let bond = params.seat_bond(Fuel(number(&job["fuel_limit"])));
    let liar_pays = bond.max(Amount(STAKE).share(5, 100)).0;
    let juror_pays = Amount(STAKE).share(5, 1_000).0;
    for node in SEVEN {
        let mut found: Vec<(String, String, u64)> = net
            .slashes(node)
            .iter()
            .map(|slash| {
                let (who, what) = (text(&slash["validator"]), text(&slash["offence"]));
                (who.to_owned(), what.to_owned(), number(&slash["amount"]))
            })
            .collect();
        let mut due = vec![
            (net.validator_id(LIAR), "wrong_result".to_owned(), liar_pays),
            (
                net.validator_id(JUROR),
                "wrong_juror".to_owned(),
                juror_pays,
            ),
        ];
        found.sort();
        due.sort();
        assert_eq!(found, due, "{node}");
        for (name, row) in net.validators(node) {
            let (lost, state) = match name.as_str() {
                LIAR => (liar_pays, "jailed"),
                JUROR => (juror_pays, "active"),
                _ => (0, "active"),
            };
            assert_eq!(
                number(&row["stake"]),
                STAKE - lost,
                "{name} as {node} sees it"
            );
            assert_eq!(row["state"], state, "{name} as {node} sees it");
        }
    }
    net.holds(&["supply_conserved"]);
}
