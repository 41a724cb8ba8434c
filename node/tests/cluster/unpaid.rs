//! Goal: what a client can know to be wrong or hopeless is refused before anything is paid.
//! Method: the shipped model on a running net, asked for in one wrong way at a time; the client's
//! account is compared before and after.

use crate::cli::{Ran, arg, example, list, number};
use crate::cluster::Cluster;

#[test]
fn what_is_hopeless_costs_nothing() {
    let net = Cluster::with_jobs("unpaid");
    net.wait("height >= 6 && agree");
    let account = || net.ask("alice", &["account", "show", "client-0"]);
    let before = account();
    limits_are_judged(&net);
    inputs_are_judged(&net);
    places_are_judged(&net);
    transactions_are_measured(&net);
    let jobs = net.ask("alice", &["job", "list"]);
    assert_eq!(list(&jobs["jobs"]).len(), 0, "{jobs}");
    assert_eq!(account(), before);
}

/// `job <verb>` for the shipped model with other inputs or flags.
fn job(net: &Cluster, verb: &str, input: &str, flags: &[&str]) -> Ran {
    let model = example("digits/digits.onnx");
    let args = ["job", verb, "--model", arg(&model), "--input", input];
    net.try_ask("alice", &[&args, flags].concat())
}

fn limits_are_judged(net: &Cluster) {
    let image = example("digits/samples/digit-00.npy");
    for seats in ["0", "2", "17"] {
        let ran = job(net, "submit", arg(&image), &["--seats", seats]);
        let said = ran.refused(2, "usage");
        assert!(said.contains("3 to 16"), "{said}");
    }
    let estimate = job(net, "estimate", arg(&image), &[]).document;
    let fuel = number(&estimate["fuel_limit"]);
    let less = (fuel - 1).to_string();
    let ran = job(net, "submit", arg(&image), &["--fuel-limit", &less]);
    let said = ran.refused(7, "job.hopeless");
    for word in [&less, &fuel.to_string()] {
        assert!(said.contains(word.as_str()), "{word} is not in {said:?}");
    }
    let estimate = job(net, "estimate", arg(&image), &["--fuel-limit", &less]);
    assert_eq!(estimate.code, 0, "{}", estimate.stderr);
    assert_eq!(estimate.document["outcome"], "fuel_exhausted");
}

fn inputs_are_judged(net: &Cluster) {
    let image = std::fs::read(example("digits/samples/digit-00.npy")).unwrap();
    let path = net.cli.path("bad.npy");
    let of_type = |descr: &[u8]| {
        let mut bytes = image.clone();
        let place = bytes.windows(3).position(|part| part == b"<f4").unwrap();
        bytes[place..place + 3].copy_from_slice(descr);
        bytes
    };
    for bytes in [
        of_type(b"<i4"),
        of_type(b"<u4"),
        image[..image.len() - 1].to_vec(),
        b"\x80\x04pickle".to_vec(),
    ] {
        std::fs::write(&path, bytes).unwrap();
        job(net, "submit", arg(&path), &[]).refused(5, "input.refused");
    }
    let named = format!(
        "nobody={}",
        example("digits/samples/digit-00.npy").display()
    );
    let said = job(net, "submit", &named, &[]).refused(5, "input.refused");
    assert!(said.contains("f32[1..") && said.contains("8, 8]"), "{said}");
    job(net, "submit", "nowhere.npy", &[]).refused(3, "file.unreadable");
}

fn places_are_judged(net: &Cluster) {
    let image = example("digits/samples/digit-00.npy");
    let file = net.cli.path("file");
    std::fs::write(&file, b"").unwrap();
    let below = file.join("out");
    let flags = ["--watch", "--output-dir", arg(&below)];
    let said = job(net, "submit", arg(&image), &flags).refused(76, "storage.failed");
    assert!(said.contains(arg(&below)), "{said}");
}

fn transactions_are_measured(net: &Cluster) {
    let file = net.cli.path("long.bin");
    for length in [33 << 10, 40_000, 70_000] {
        std::fs::write(&file, vec![1; length]).unwrap();
        let ran = net.try_ask("alice", &["tx", "send", arg(&file)]);
        ran.refused(5, "tx.too_long");
    }
}
