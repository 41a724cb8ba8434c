//! Goal: `testnet run` tells what held and what did not, by expectation, and ends as it should.
//! Method: one manifest with a fault and a liar, whose expectations come out both ways; what is wrong
//! with a manifest is refused before anything starts (`badinput`).

use serde_json::Value;

use crate::cli::{Cli, Ran, arg, list, number, text};
use crate::cluster::alone;

const MANIFEST: &str = r#"
chain_name = "palisade-local-1"
allow_unsafe = true
[genesis]
block_time = "250ms"
[node.alice]
[node.bob]
perturb = ["restart"]
[node.carol]
[node.mallory]
byzantine = [{ profile = "double-vote", from_height = 6 }]
[[expect]]
that = "supply_conserved && none(slashed, honest)"
always = true
within = "1s"
[[expect]]
that = "tombstoned(mallory) && restarts(bob) == 1 && all(up, honest)"
within = "120s"
[[expect]]
that = "height > 1000000"
within = "500ms"
[[expect]]
that = "none(jailed, honest)"
from_height = 1000000
within = "500ms"
[[expect]]
that = "!tombstoned(mallory)"
always = true
within = "1s"
"#;

/// Runs the manifest; the net's name is `run` unless told otherwise.
fn run(cli: &Cli, flags: &[&str]) -> Ran {
    let file = cli.path("net.toml");
    std::fs::write(&file, MANIFEST).unwrap();
    cli.run(&[&["testnet", "run", arg(&file)], flags].concat())
}

#[test]
fn a_scenario_is_judged_expectation_by_expectation() {
    let _turn = alone();
    let cli = Cli::new();
    let ran = run(&cli, &["--keep"]);
    let status = cli.run(&["testnet", "status", "--name", "run"]);
    let down = cli.run(&["testnet", "down", "--name", "run"]);
    let said = ran.refused(8, "testnet.false");
    assert!(
        said.contains("3 of 5") && said.contains("height > 1000000"),
        "{said}"
    );

    let document = &ran.document;
    assert_eq!(
        (&document["schema"], &document["ok"]),
        (&"palisade.testnet-run/1".into(), &false.into())
    );
    let rows = list(&document["expects"]);
    let verdicts: Vec<bool> = rows.iter().map(|row| row["ok"] == true).collect();
    assert_eq!(verdicts, [true, true, false, false, false], "{document:#}");
    let detail = |index: usize| text(&rows[index]["detail"]).to_owned();
    assert!(detail(0).contains("looks"), "{}", detail(0));
    assert!(
        detail(2).contains("still false after 0.5 s"),
        "{}",
        detail(2)
    );
    assert!(
        detail(3).contains("height 1000000 was not reached"),
        "{}",
        detail(3)
    );
    // Mallory was tombstoned some time in between, and one look saw it.
    assert!(detail(4).contains("false at look"), "{}", detail(4));
    assert!(number(&rows[4]["at_height"]) >= 6, "{}", rows[4]);
    let faults = list(&document["faults"]);
    assert_eq!(faults.len(), 1, "{document:#}");
    assert_eq!(
        (&faults[0]["kind"], &faults[0]["node"]),
        (&"restart".into(), &"bob".into())
    );
    assert_eq!(text(&document["manifest_digest"]).len(), 64);
    assert_eq!(list(&document["halted"]).len(), 0, "{document:#}");
    let kept = std::fs::read(cli.path("palisade-testnet/run/run.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), *document);

    // Kept is kept, whatever came out; and down is down.
    assert_eq!(status.code, 0, "{}", status.stderr);
    assert_eq!(
        (down.code, &down.document["was_up"]),
        (0, &true.into()),
        "{}",
        down.stderr
    );
}
