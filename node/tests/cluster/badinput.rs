//! Goal: whatever is wrong is refused with its own code and a hint, and changes nothing.
//! Method: one right thing, broken in one way at a time; the state root of an idle chain's accounts is
//! compared before and after.

use std::net::TcpListener;

use protocol::digest::Address;
use protocol::keys::{SecretKey, Signature};
use protocol::limits::{SIGNED_TX_BYTES_MAX, VALID_UNTIL_BLOCKS_MAX};
use protocol::signed::Signed;
use protocol::tx::{Transfer, Tx, TxBody};
use protocol::units::{Amount, Height};
use serde_json::Value;

use crate::cli::{Cli, arg, number, text};
use crate::client::Client;
use crate::cluster::{Cluster, PATIENCE, alone};

/// One wrong transaction: what it is, its bytes, the status and code it must get.
type Case = (&'static str, Vec<u8>, u16, &'static str);

#[test]
fn wrong_transactions_are_refused_and_change_nothing() {
    let net = Cluster::up("wrong-tx");
    net.wait("height >= 2 && agree");
    let client = Client::new(&net, "client-0");
    // One transfer goes through, so that there is something to repeat.
    let used = client.sign(client.transfer());
    let first = client.send(&used);
    assert_eq!(first.status, 202, "{first:?}");
    let id = text(&first.body["id"]).to_owned();
    let known = client.send(&used);
    assert!([200, 422].contains(&known.status), "sent twice: {known:?}");
    wait_included(&net, &id);
    let money = ledger(&net);
    for (what, bytes, status, code) in cases(&client, &used) {
        let answer = client.send(&bytes);
        assert_eq!(
            (answer.status, answer.body["code"].as_str()),
            (status, Some(code)),
            "{what}: {answer:?}"
        );
        for member in ["type", "title", "detail", "hint", "request_id"] {
            assert!(
                answer.body[member].is_string(),
                "{what}: no {member} in {answer:?}"
            );
        }
    }
    // Blocks go on, and nothing of it is in them.
    let height = client.height();
    net.wait(&format!("height >= {} && agree", height + 2));
    assert_eq!(ledger(&net), money);
    net.holds(&["supply_conserved", "none(slashed, validators)"]);
    the_client_says_the_same(&net, &client, &used);
}

fn wait_included(net: &Cluster, id: &str) {
    let included = testnet::clock::poll(PATIENCE, || {
        (net.ask("alice", &["tx", "show", id])["status"] == "included").then_some(())
    });
    assert!(included.is_some(), "{id} is not included\n{}", net.logs());
}

/// Where all money is, and the sender's nonce. Blocks without transactions move none of it.
fn ledger(net: &Cluster) -> (Value, Value) {
    let chain = net.ask("alice", &["chain", "show"]);
    (
        chain["compartments"].clone(),
        net.ask("alice", &["account", "show", "client-0"]),
    )
}

fn cases(client: &Client, used: &[u8]) -> Vec<Case> {
    let right = client.transfer();
    let with = |change: &dyn Fn(&mut Tx)| {
        let mut tx = right.clone();
        change(&mut tx);
        client.sign(tx)
    };
    let valid = client.sign(right.clone());
    let mut flipped = valid.clone();
    flipped[20] ^= 1;
    let mut unsigned = valid.clone();
    let start = unsigned.len() - Signature::LEN;
    unsigned[start..].fill(0);
    let mut longer = valid.clone();
    longer.insert(start, 0);
    let other_chain = protocol::digest::ChainId::of_genesis(b"another chain");
    let stranger = SecretKey::from_bytes(&[7; 32]).unwrap();
    let foreign = Signed::sign(right.clone(), &stranger, &client.chain).to_bytes();
    let to = Address([1; 20]);
    let rich = TxBody::Transfer(Transfer {
        to,
        amount: Amount(u64::MAX / 2),
    });
    let zero = TxBody::Transfer(Transfer {
        to,
        amount: Amount(0),
    });
    let far = right.valid_until.0 + VALID_UNTIL_BLOCKS_MAX + 1_000;
    vec![
        ("nothing", Vec::new(), 400, "tx.malformed"),
        ("noise", vec![1; 200], 400, "tx.malformed"),
        (
            "half of it",
            valid[..valid.len() / 2].to_vec(),
            400,
            "tx.malformed",
        ),
        ("a byte too many", longer, 400, "tx.malformed"),
        (
            "another version",
            with(&|tx| tx.version = 9),
            422,
            "tx.version",
        ),
        (
            "too long",
            vec![1; SIGNED_TX_BYTES_MAX + 1],
            422,
            "tx.too_long",
        ),
        (
            "longer than the route takes",
            vec![1; 40 << 10],
            413,
            "api.body_too_large",
        ),
        ("one bit flipped", flipped, 422, "tx.bad_signature"),
        ("no signature", unsigned, 422, "tx.bad_signature"),
        ("a high S", high_s(&valid), 422, "tx.bad_signature"),
        (
            "somebody else's signature",
            foreign,
            422,
            "tx.bad_signature",
        ),
        (
            "signed for another chain",
            Signed::sign(right.clone(), &client.key, &other_chain).to_bytes(),
            422,
            "tx.bad_signature",
        ),
        ("replayed", used.to_vec(), 422, "tx.stale_nonce"),
        (
            "a nonce far ahead",
            with(&|tx| tx.nonce += 100),
            422,
            "tx.nonce_gap",
        ),
        (
            "too small a fee",
            with(&|tx| tx.fee = Amount(1)),
            422,
            "tx.fee_too_low",
        ),
        (
            "more than there is",
            with(&|tx| tx.body = rich.clone()),
            422,
            "tx.insufficient_balance",
        ),
        (
            "nothing to move",
            with(&|tx| tx.body = zero.clone()),
            422,
            "tx.zero_amount",
        ),
        (
            "over already",
            with(&|tx| tx.valid_until = Height(1)),
            422,
            "tx.expired",
        ),
        (
            "valid for too long",
            with(&|tx| tx.valid_until = Height(far)),
            422,
            "tx.valid_until",
        ),
    ]
}

/// The same signature with n - s in place of s: valid mathematics, refused by rule.
fn high_s(bytes: &[u8]) -> Vec<u8> {
    /// The order of secp256k1 (SEC 2, 2.4.1), big-endian.
    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order = hex::decode(ORDER).unwrap();
    let mut bytes = bytes.to_vec();
    let start = bytes.len() - 32;
    let mut borrow = 0_i32;
    for index in (0..32).rev() {
        let difference = i32::from(order[index]) - i32::from(bytes[start + index]) - borrow;
        borrow = i32::from(difference < 0);
        bytes[start + index] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    bytes
}

/// The command line gives the code, the hint and exit code 5.
fn the_client_says_the_same(net: &Cluster, client: &Client, used: &[u8]) {
    let file = net.cli.path("tx.bin");
    std::fs::write(&file, used).unwrap();
    net.try_ask("alice", &["tx", "send", arg(&file)])
        .refused(5, "tx.stale_nonce");
    std::fs::write(&file, b"noise").unwrap();
    net.try_ask("alice", &["tx", "send", arg(&file)])
        .refused(5, "tx.malformed");
    let nobody = "0".repeat(64);
    net.try_ask("alice", &["tx", "show", &nobody])
        .refused(3, "tx.unknown");
    net.try_ask("alice", &["job", "show", &nobody])
        .refused(3, "job.unknown");
    let too_much = ["account", "transfer", "client-1", "100000000PAL"];
    net.try_ask("alice", &too_much)
        .refused(5, "tx.insufficient_balance");
    assert_eq!(
        net.try_ask("alice", &["account", "transfer", "client-1", "1e3"])
            .code,
        2
    );
    let unreachable = net
        .cli
        .run(&["--api", "http://127.0.0.1:1", "chain", "show"]);
    unreachable.refused(4, "api.unreachable");
    assert!(number(&net.ask("alice", &["account", "show", "client-0"])["nonce"]) <= client.nonce());
}

/// A manifest with one mistake is refused with its place and the nearest right name, before anything
/// is written or started.
#[test]
fn wrong_manifests_are_refused_by_place() {
    let _turn = alone();
    let cli = Cli::new();
    let right = "chain_name = \"palisade-local-1\"\n[genesis]\nblock_time = \"500ms\"\nk = 3\n\
                 [node.alice]\nstake = \"1000 PAL\"\n[node.bob]\n[node.carol]\n[node.mallory]\n\
                 byzantine = [{ profile = \"wrong-result\" }]\n\
                 [[expect]]\nthat = \"slashed(mallory, wrong_result)\"\n";
    let cases: [(&str, &str, &[&str]); 8] = [
        ("[genesis]", "[genesys]", &["genesys", "2"]),
        (
            "wrong-result",
            "wrong-resul",
            &["wrong-resul", "did you mean `wrong-result`"],
        ),
        ("palisade-local-1", "mainnet", &["palisade-local-"]),
        ("\"1000 PAL\"", "\"0 PAL\"", &["alice", "bond"]),
        ("k = 3", "kk = 3", &["kk"]),
        (
            "slashed(mallory",
            "slashed(malory",
            &["malory", "did you mean `mallory`"],
        ),
        (
            "wrong_result)",
            "wrong_reslt)",
            &["wrong_reslt", "wrong_result"],
        ),
        (
            "[node.bob]",
            "[node.bob]\nstart_at = 9",
            &["third of the stake"],
        ),
    ];
    for (from, to, named) in cases {
        let file = cli.path("net.toml");
        std::fs::write(&file, right.replace(from, to)).unwrap();
        let ran = cli.run(&[
            "testnet",
            "up",
            "--detach",
            "--name",
            "wrong",
            "-f",
            arg(&file),
        ]);
        let said = ran.refused(78, "testnet.config");
        for word in named {
            assert!(said.contains(word), "{to}: {word} is not in {said:?}");
        }
        let run = cli.run(&["testnet", "run", arg(&file), "--name", "wrong"]);
        assert_eq!(
            run.refused(78, "testnet.config"),
            said,
            "{to}: `run` says the same"
        );
        assert!(
            !cli.path("palisade-testnet/wrong").exists(),
            "{to}: something was written"
        );
    }
    let missing = cli.run(&["testnet", "up", "--detach", "-f", "nowhere.toml"]);
    missing.refused(3, "testnet.not_found");
}

/// A mistake in a node's own configuration: exit 78, with file, line and key.
#[test]
fn wrong_configuration_is_refused_by_line() {
    let cli = Cli::new();
    let written = cli.json(&["testnet", "init", "-d", "net", "--nodes", "1"]);
    assert_eq!(written["nodes"][0]["name"], "alice");
    let home = cli.path("net/nodes/alice");
    let file = home.join("node.toml");
    let right = std::fs::read_to_string(&file).unwrap();
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        cli.run(&["--home", arg(&home), "config", "check"])
    };
    assert_eq!(check(&right).code, 0);

    let line = right.lines().count() + 2;
    let said = check(&format!("{right}\n[lgo]\nlevel = 3\n")).refused(78, "config.invalid");
    assert!(said.contains("lgo") && said.contains("node.toml"), "{said}");
    assert!(
        said.contains(&format!(":{line}:")),
        "line {line} is not in {said:?}"
    );
    let said = check(&right.replace("moniker", "monicker")).refused(78, "config.invalid");
    assert!(said.contains("monicker"), "{said}");
    let open = right.replacen("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:8645\"", 1);
    assert_ne!(open, right);
    check(&open).refused(78, "config.plain");

    std::fs::write(&file, &right).unwrap();
    let run = cli
        .command(&["--home", arg(&home), "node", "run"])
        .env("PALISADE__NODE__MONICER", "x")
        .output();
    let ran = crate::cli::Ran::from(run.unwrap());
    let said = ran.refused(78, "config.invalid");
    assert!(said.contains("MONICER"), "{said}");
}

/// A port that is taken is named with its holder, and nothing is started.
#[test]
fn a_taken_port_is_named_with_its_holder() {
    let _turn = alone();
    let cli = Cli::new();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    for flag in ["--api-port", "--metrics-port"] {
        let ran = cli.run(&[
            "testnet", "up", "--detach", "--name", "taken", "--fresh", flag, &port,
        ]);
        let said = ran.refused(4, "testnet.unavailable");
        assert!(said.contains(&port), "{flag}: {said}");
        assert!(
            said.contains(&format!("pid {}", std::process::id())),
            "{flag}: {said}"
        );
        let status = cli.run(&["testnet", "status", "--name", "taken"]);
        assert_eq!(
            status.code, 4,
            "{flag}: something runs: {}",
            status.document
        );
    }
}

/// Names that do not exist, and a second `up` on a running net.
#[test]
fn wrong_names_and_a_second_up() {
    let net = Cluster::up("names");
    let pid = number(&net.endpoints["supervisor_pid"]).to_string();
    let said = net
        .try_testnet("up", &["--detach"])
        .refused(4, "testnet.unavailable");
    assert!(said.contains(&pid), "pid {pid} is not in {said:?}");

    let said = net
        .try_testnet("byzantine", &["mallory", "double-vot"])
        .refused(78, "testnet.config");
    assert!(said.contains("`double-vote`"), "{said}");
    let said = net
        .try_testnet("byzantine", &["malory", "flood"])
        .refused(3, "testnet.not_found");
    assert!(said.contains("mallory"), "{said}");
    let said = net
        .try_testnet("fault", &["kill", "dave"])
        .refused(3, "testnet.not_found");
    assert!(said.contains("alice, bob, carol, mallory"), "{said}");
    assert_eq!(net.try_testnet("fault", &["murder", "bob"]).code, 2);
    let said = net
        .try_testnet("assert", &["jaild(bob)"])
        .refused(78, "testnet.config");
    assert!(said.contains("jailed"), "{said}");
    let said = net
        .try_testnet("wait", &["height >"])
        .refused(78, "testnet.config");
    assert!(!said.is_empty());
    net.try_testnet("wait", &["height > 1000000", "--timeout", "1s"])
        .refused(4, "testnet.timeout");
    net.try_testnet("assert", &["height > 1000000"])
        .refused(8, "testnet.false");
    let nobody = net.cli.run(&["testnet", "status", "--name", "nobody"]);
    nobody.refused(3, "testnet.not_found");
    let job = net.try_ask("alice", &["model", "show", "no-such-model"]);
    job.refused(3, "model.unknown");
    assert_eq!(net.cli.run(&["no-such-verb"]).code, 2);
    net.holds(&["none(slashed, validators)", "all(up, validators)"]);
}
