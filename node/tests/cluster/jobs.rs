//! Goal: a job is paid when it is done, refunded when it cannot be, and what it answered can be checked
//! by a stranger; a model that is malicious or broken ends in its typed outcome and harms nothing.
//! Method: the shipped model on held-out images; the engine that acts as a captured runner; model files
//! that our own client would refuse to send, sent by another one.

use std::net::TcpListener;
use std::path::Path;

use protocol::manifest::{FileDigest, ModelManifest};
use protocol::units::Fuel;
use serde_json::Value;
use testnet::clock::poll;

use crate::cli::{arg, example, list, number, text};
use crate::client::{Client, Digits};
use crate::cluster::{Cluster, NAMES, PATIENCE, STAKE};

/// The true label of a sample, from the list that comes with the samples.
fn label_of(sample: &str) -> u64 {
    let labels = std::fs::read_to_string(example("digits/samples/labels.txt")).unwrap();
    let line = labels
        .lines()
        .find_map(|line| line.strip_prefix(sample))
        .unwrap();
    line.trim().parse().unwrap()
}

/// What the watching client printed under an output's name.
fn output<'a>(watched: &'a Value, name: &str) -> &'a [Value] {
    let found = list(&watched["outputs"])
        .iter()
        .find(|output| output["name"] == name);
    list(&found.unwrap_or_else(|| panic!("no output {name}: {watched}"))["values"])
}

#[test]
fn digits_are_read_and_paid_for() {
    let net = Cluster::with_jobs("digits");
    net.wait("height >= 6 && agree");
    let model = example("digits/digits.onnx");
    for sample in ["digit-00.npy", "digit-03.npy"] {
        let image = example(&format!("digits/samples/{sample}"));
        let folder = net.cli.path("out");
        let before = net.balance("alice", "client-0");
        let args = [
            "job",
            "submit",
            "--model",
            arg(&model),
            "--input",
            arg(&image),
            "--watch",
            "--max-price",
            "5PAL",
            "--output-dir",
            arg(&folder),
        ];
        let job = net.ask("alice", &args);
        assert_eq!(
            (job["state"].as_str(), job["outcome"].as_str()),
            (Some("settled"), Some("ok"))
        );
        let label = output(&job, "label");
        assert_eq!(label, [Value::from(label_of(sample))], "{sample}");
        assert_eq!(job["receipt"]["verified"], true, "{job}");
        let receipt = &text(&job["receipt"]["file"]);
        assert!(Path::new(receipt).starts_with(&folder), "{receipt}");
        for name in ["label", "probs"] {
            let array = std::fs::read(folder.join(format!("{name}.npy"))).unwrap();
            assert!(array.starts_with(b"\x93NUMPY"), "{name}");
        }
        money_adds_up(&net, &job, before);
    }
    net.holds(&[
        "jobs(paid) == 2",
        "jobs(refunded) == 0",
        "jobs(failed) == 0",
        "supply_conserved",
    ]);
}

/// Locked is paid, refunded and fee, to the unit, and the client's balance says the same.
fn money_adds_up(net: &Cluster, job: &Value, before: u64) {
    let amount = |key: &str| number(&job[key]);
    let genesis = Client::new(net, "client-0").genesis;
    let each = genesis.params.seat_reward(Fuel(amount("fuel"))).0;
    let seats = list(&job["seats"]);
    assert_eq!(seats.len(), 3, "{job}");
    for seat in seats {
        assert_eq!(seat["result_root"], job["result_root"], "{seat}");
        assert_eq!(number(&seat["paid"]), each, "{seat}");
    }
    assert_eq!(amount("locked"), 5_000_000);
    assert_eq!(amount("paid"), 3 * each);
    assert_eq!(amount("fee"), 3 * each * 2 / 100);
    assert_eq!(
        amount("refunded"),
        amount("locked") - amount("paid") - amount("fee")
    );
    let spent = before - net.balance("alice", "client-0");
    let tx_fee = spent - amount("paid") - amount("fee");
    // 100 upal, 2 a byte and 500 a signature: no transaction is shorter than 100 bytes.
    assert!(
        (800..5_000).contains(&tx_fee),
        "{spent} spent, {tx_fee} of it for the transaction"
    );
    for node in NAMES {
        assert_eq!(
            net.job(node, text(&job["id"]))["state"],
            "settled",
            "{node}"
        );
        assert_eq!(net.compartment(node, "escrow"), 0, "{node}");
    }
}

/// A receipt and its result verify without any node; with one byte changed, neither does.
#[test]
fn receipt_verifies_offline() {
    let net = Cluster::with_jobs("receipt");
    net.wait("height >= 6 && agree");
    let job = net.submit_digits("digit-02.npy", &[]);
    net.job_end(&job.id);
    let (receipt, result) = (net.cli.path("receipt.json"), net.cli.path("result.bin"));
    let fetch = [
        "receipt",
        "fetch",
        &job.id,
        "--to",
        arg(&receipt),
        "--result",
        arg(&result),
    ];
    // The receipt needs the block after the job's end.
    let fetched = poll(PATIENCE, || {
        (net.try_ask("bob", &fetch).code == 0).then_some(())
    });
    fetched.unwrap_or_else(|| panic!("{}", net.try_ask("bob", &fetch).stderr));
    let genesis = net.cli.path("genesis-of-the-chain.toml");
    std::fs::copy(net.file("genesis.toml"), &genesis).unwrap();
    net.testnet("down", &[]);

    let verify = |receipt: &std::path::Path, result: &std::path::Path| {
        net.cli.run(&[
            "verify",
            "receipt",
            arg(receipt),
            "--genesis",
            arg(&genesis),
            "--result",
            arg(result),
        ])
    };
    let right = verify(&receipt, &result);
    assert_eq!(right.code, 0, "{}", right.stderr);
    for part in [
        "ok",
        "signatures",
        "certificate",
        "inclusion",
        "trust",
        "result",
    ] {
        assert_eq!(right.document[part], true, "{part}: {}", right.document);
    }
    assert_eq!(right.document["outcome"], "ok");

    for (path, name) in [(&receipt, "receipt"), (&result, "result")] {
        let whole = std::fs::read(path).unwrap();
        let changed = net.cli.path("changed");
        for place in places(whole.len()) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            std::fs::write(&changed, bytes).unwrap();
            let ran = match name {
                "receipt" => verify(&changed, &result),
                _ => verify(&receipt, &changed),
            };
            assert_eq!(ran.code, 8, "byte {place} of the {name}: {}", ran.document);
            assert_eq!(ran.document["ok"], false, "byte {place} of the {name}");
            assert!(
                ran.document["cause"].is_string(),
                "byte {place} of the {name}: {}",
                ran.document
            );
        }
    }
    another_genesis_is_not_trusted(&net, &receipt, &genesis);
}

/// The first and last bytes and sixty in between, spread evenly.
fn places(length: usize) -> Vec<usize> {
    let step = (length / 60).max(1);
    (0..length).step_by(step).chain([length - 1]).collect()
}

fn another_genesis_is_not_trusted(
    net: &Cluster,
    receipt: &std::path::Path,
    genesis: &std::path::Path,
) {
    let text = std::fs::read_to_string(genesis).unwrap();
    let other = net.cli.path("other.toml");
    std::fs::write(&other, text.replace("palisade-local-1", "palisade-local-2")).unwrap();
    let ran = net
        .cli
        .run(&["verify", "receipt", arg(receipt), "--genesis", arg(&other)]);
    assert_eq!(
        (ran.code, ran.document["cause"].as_str()),
        (8, Some("trust")),
        "{}",
        ran.document
    );
}

/// Hosts wait for a job as long as its fuel would take: a short window, and one for slow attacks.
const SHORT: &str = "500000000";
const LONG: &str = "4000000000";

/// Attacks of a captured runner, for how long they are run, and why its hosts give up the seat.
const ATTACKS: [(&str, &str, &[&str]); 6] = [
    ("open_socket", SHORT, &["sandbox_killed"]),
    ("read_secret", SHORT, &["sandbox_killed"]),
    ("fork_bomb", SHORT, &["sandbox_killed"]),
    ("output_flood", SHORT, &["sandbox_killed"]),
    // Without a memory group of its own, the job meets its address space instead.
    ("memory_bomb", LONG, &["out_of_memory", "sandbox_killed"]),
    ("spin", SHORT, &["host_timeout"]),
];

/// No attack works, none is paid for, nobody is punished for having met it.
#[test]
fn hostile_models_are_contained() {
    let net = Cluster::with_jobs_alone("hostile", &NAMES);
    net.wait("height >= 6 && agree");
    let secret = net.cli.path("secret.txt");
    std::fs::write(&secret, "never read").unwrap();
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let seat_base = Client::new(&net, "client-0").genesis.params.seat_base.0;
    for (attack, fuel, reasons) in ATTACKS {
        let (before, burned) = (
            net.balance("alice", "client-0"),
            net.compartment("alice", "burned"),
        );
        let submitted = net.submit(&[
            "--engine",
            "probe",
            "--probe-attack",
            attack,
            "--fuel-limit",
            fuel,
        ]);
        let job = net.job_end(&submitted.id);
        assert_eq!(
            (job["state"].as_str(), job["reason"].as_str()),
            (Some("failed"), Some("declined")),
            "{attack}: {job}"
        );
        let declined: Vec<&str> = list(&job["seats"])
            .iter()
            .filter_map(|seat| seat["declined"].as_str())
            .collect();
        assert!(declined.len() >= 2, "{attack}: {job}");
        for reason in &declined {
            assert!(reasons.contains(reason), "{attack}: {declined:?}");
        }
        // The price of having tried: one base for each host that gave up, burned.
        let cost = seat_base * declined.len() as u64;
        assert_eq!(number(&job["paid"]), 0, "{attack}");
        assert_eq!(number(&job["burned"]), cost, "{attack}: {job}");
        assert_eq!(
            number(&job["refunded"]),
            number(&job["locked"]) - cost,
            "{attack}"
        );
        assert_eq!(
            net.balance("alice", "client-0"),
            before - submitted.fee - cost,
            "{attack}"
        );
        assert_eq!(
            net.compartment("alice", "burned"),
            burned + cost + submitted.fee / 2,
            "{attack}"
        );
    }
    assert!(canary.accept().is_err(), "something left a sandbox");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "never read");
    nobody_was_punished(&net);
}

fn nobody_was_punished(net: &Cluster) {
    for node in NAMES {
        assert!(net.slashes(node).is_empty(), "{node}");
        for (name, row) in net.validators(node) {
            assert_eq!(row["state"], "active", "{name} as {node} sees it: {row}");
            assert_eq!(number(&row["stake"]), STAKE, "{name} as {node} sees it");
        }
    }
    net.holds(&["agree", "supply_conserved"]);
}

/// Deterministic failures are results: every seat signs the same one, and is paid for finding it.
#[test]
fn broken_models_end_in_a_signed_outcome() {
    let net = Cluster::with_jobs("broken");
    net.wait("height >= 6 && agree");
    let client = Client::new(&net, "client-1");
    let Digits {
        model: manifest,
        file: whole,
        input,
        bundle,
    } = Digits::put(&net);
    let forbidden = replaced(&whole, b"Softmax", b"Loop\x00\x00\x00");
    let unknown = replaced(&whole, b"Softmax", b"Softmix");
    let truncated = whole[..whole.len() / 2].to_vec();
    let noise = b"this is no model at all".to_vec();
    let cases = [
        ("a forbidden operator", forbidden, "engine_refused"),
        ("an unknown operator", unknown, "engine_refused"),
        ("half a file", truncated, "engine_refused"),
        ("no model", noise, "engine_refused"),
        ("too little fuel", whole, "fuel_exhausted"),
    ];
    let fuel = |outcome: &str| {
        if outcome == "fuel_exhausted" {
            Fuel(10)
        } else {
            Fuel(100_000_000)
        }
    };
    for (name, file, outcome) in cases {
        let model = ModelManifest {
            file: FileDigest::of(&file),
            ..manifest.clone()
        };
        let sent = client.submit_blindly((&model, &file), (&input, &bundle), fuel(outcome));
        let id = sent.unwrap_or_else(|answer| panic!("{name}: {answer:?}"));
        let job = net.job_end(&id.to_string());
        assert_eq!(
            (job["state"].as_str(), job["outcome"].as_str()),
            (Some("settled"), Some(outcome)),
            "{name}: {job}"
        );
        let each = client
            .genesis
            .params
            .seat_reward(Fuel(number(&job["fuel"])))
            .0;
        for seat in list(&job["seats"]) {
            assert_eq!(seat["result_root"], job["result_root"], "{name}");
            assert_eq!(number(&seat["paid"]), each, "{name}: {seat}");
        }
    }
    // Our own client does not send such a file at all.
    let bad = net.cli.path("bad.onnx");
    std::fs::write(&bad, b"this is no model at all").unwrap();
    let image = example("digits/samples/digit-00.npy");
    let ran = net.try_ask(
        "alice",
        &[
            "job",
            "submit",
            "--model",
            arg(&bad),
            "--input",
            arg(&image),
        ],
    );
    ran.refused(5, "model.refused");
    let ran = net.try_ask("alice", &["model", "put", arg(&bad)]);
    ran.refused(5, "model.refused");
    nobody_was_punished(&net);
}

fn replaced(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = (0..=file.len() - from.len())
        .filter(|i| file[*i..].starts_with(from))
        .collect();
    assert!(
        !places.is_empty(),
        "the model has no {}",
        String::from_utf8_lossy(from)
    );
    let mut bytes = file.to_vec();
    for place in places {
        bytes[place..place + from.len()].copy_from_slice(to);
    }
    bytes
}
