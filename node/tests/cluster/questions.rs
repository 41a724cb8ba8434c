//! Goal: what a person asks a running net for is answered by name, by first digits and by time.
//! Method: one idle net, and what its nodes, its supervisor and its logs must have to say.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::cli::{Ran, list, number, text};
use crate::cluster::{Cluster, NAMES};

#[test]
fn a_running_net_answers_its_questions() {
    let net = Cluster::up_alone("questions");
    net.wait("height >= 4 && agree && finality_p95 < 60s");
    net.holds(&["finality_p95 > 0ms", "!(finality_p95 < 1ms)"]);
    let txs: Vec<Value> = (0..3).map(|_| transfer(&net)).collect();
    transactions_are_found_by_their_first_digits(&net, text(&txs[0]["tx"]));
    logs_are_told_by_time_and_event(&net);
    routes_tell_of_the_network(&net);
    streams_resume_where_they_ended(&net);
    a_taken_port_names_the_net(&net);
}

fn transfer(net: &Cluster) -> Value {
    net.ask("alice", &["account", "transfer", "client-1", "1PAL"])
}

fn transactions_are_found_by_their_first_digits(net: &Cluster, id: &str) {
    for digits in [8, 12, 64] {
        let found = net.ask("alice", &["tx", "show", &id[..digits]]);
        assert_eq!(
            (found["id"].as_str(), found["status"].as_str()),
            (Some(id), Some("included"))
        );
    }
    let loud = net.ask("alice", &["tx", "show", &id[..10].to_uppercase()]);
    assert_eq!(loud["id"], id);
    for (wrong, word) in [
        (&id[..7], "first 8"),
        ("not-an-id", "first 8"),
        ("00000000", "begins"),
    ] {
        let said = net
            .try_ask("alice", &["tx", "show", wrong])
            .refused(3, "tx.unknown");
        assert!(said.contains(word), "{wrong}: {said}");
    }
    for wrong in ["0000000", "../../v1/status", "00000000"] {
        net.try_ask("alice", &["evidence", "show", wrong])
            .refused(3, "evidence.unknown");
    }
}

/// The lines that `testnet logs` prints.
fn logs(net: &Cluster, args: &[&str]) -> Vec<Value> {
    let all = [&["testnet", "logs", "--name", "questions"], args].concat();
    let output = net.cli.command(&all).output().unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        Ran::from(output).stderr
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn logs_are_told_by_time_and_event(net: &Cluster) {
    let all = logs(net, &[]);
    let since = |time: &str| logs(net, &["--since", time]).len();
    assert!(since("60m") >= all.len(), "nothing is older than an hour");
    let started = logs(net, &["--event", "node_started"]);
    let lately = logs(net, &["--event", "node_started", "--since", "500ms"]);
    assert_eq!(lately, Vec::<Value>::new(), "they started blocks ago");
    assert_eq!(started.len(), NAMES.len(), "{started:?}");
    let alice = logs(net, &["alice", "--event", "node_started", "--since", "60m"]);
    assert!(alice.len() == 1 && alice[0]["node"] == "alice", "{alice:?}");
    assert_eq!(
        logs(net, &["--event", "timestamp"]).len(),
        0,
        "a field is no event"
    );
    net.holds(&[
        "log(alice, \"node_started\") == 1",
        "log(alice, \"timestamp\") == 0",
    ]);
    for bad in ["soon", "30", "1.5s", "99999999999999999999s"] {
        let said = net
            .try_testnet("logs", &["--since", bad])
            .refused(78, "testnet.config");
        assert!(said.contains("--since") && said.contains("10s"), "{said}");
    }
}

fn get(net: &Cluster, path: &str) -> Value {
    crate::client::Client::new(net, "client-0").get(path).body
}

fn routes_tell_of_the_network(net: &Cluster) {
    let network = get(net, "/v1/network");
    assert_eq!(network["schema"], "palisade.network/1");
    assert_eq!(
        (&network["peers"]["total"], &network["bans"]),
        (&3.into(), &0.into())
    );
    let validators = &network["validators"];
    assert_eq!(
        (&validators["total"], &validators["reached"]),
        (&4.into(), &4.into())
    );
    assert_eq!(validators["reached_power"], validators["total_power"]);

    let sandbox = get(net, "/v1/sandbox");
    let status = get(net, "/v1/status");
    assert_eq!(sandbox["tier"], status["sandbox"]["tier"]);
    assert_eq!(sandbox["open"], status["sandbox"]["open"]);
    assert!(sandbox["kills"]["memory_limit"].is_u64(), "{sandbox}");
    assert!(sandbox["ended"]["exited"].is_u64(), "{sandbox}");

    let mut proposers = 0;
    for name in NAMES {
        let id = net.validator_id(name);
        let duties = get(net, &format!("/v1/validators/{id}/duties"));
        assert_eq!(
            (&duties["validator"], &duties["votes"]),
            (&id.into(), &true.into())
        );
        assert_eq!(list(&duties["seats"]).len(), 0, "nobody submitted a job");
        proposers += list(&duties["proposes"]).len();
    }
    assert!(proposers > 0, "somebody proposes one of the next heights");
    let unknown = get(net, "/v1/validators/palval1x/duties");
    assert_eq!(unknown["code"], "validator.unknown");
}

/// The ids of the next events of alice's stream.
fn stream(net: &Cluster, after: Option<&str>, count: usize) -> Vec<String> {
    let api = net.api("alice");
    let address = api.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let resume = after
        .map(|id| format!("Last-Event-ID: {id}\r\n"))
        .unwrap_or_default();
    write!(
        socket,
        "GET /v1/events HTTP/1.1\r\nHost: {address}\r\n{resume}\r\n"
    )
    .unwrap();
    let lines = BufReader::new(socket).lines().map(Result::unwrap);
    let ids = lines.filter_map(|line| line.strip_prefix("id: ").map(str::to_owned));
    ids.take(count).collect()
}

fn streams_resume_where_they_ended(net: &Cluster) {
    let all = stream(net, Some("0-0"), 3);
    for (index, id) in all.iter().enumerate().take(2) {
        let rest = stream(net, Some(id), 2 - index);
        assert_eq!(rest, all[index + 1..], "after {id}");
    }
    // Whoever is at the end gets what happens next, and only that.
    let last = all.last().unwrap();
    let newest = std::thread::scope(|scope| {
        let heard = scope.spawn(|| stream(net, None, 1));
        while !heard.is_finished() {
            transfer(net);
        }
        heard.join().unwrap()
    });
    let height = |id: &str| id.split('-').next().unwrap().parse::<u64>().unwrap();
    assert!(height(&newest[0]) > height(last), "{newest:?} after {last}");
    let wrong = get(net, "/v1/events?topics=weather");
    assert_eq!(wrong["code"], "api.bad_request");
}

fn a_taken_port_names_the_net(net: &Cluster) {
    let api = net.api("alice");
    let port = api.rsplit(':').next().unwrap();
    let ran = net.cli.run(&[
        "testnet",
        "up",
        "--detach",
        "--name",
        "second",
        "--api-port",
        port,
    ]);
    let said = ran.refused(4, "testnet.unavailable");
    assert!(
        said.contains("palisade") && !said.contains("(exe)"),
        "{said}"
    );
    assert!(said.contains("questions"), "which net holds it: {said}");
    assert!(said.contains("--api-port"), "{said}");
    // Other tools see the same name.
    for pid in list(&net.endpoints["nodes"])
        .iter()
        .map(|node| number(&node["pid"]))
    {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
        assert_eq!(comm.trim(), "palisade");
    }
}
