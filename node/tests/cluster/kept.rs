//! Goal: no command removes what it was not told to remove, and none removes anything before it has read
//! all it was told. Method: a net that was written and never started, a folder of somebody else, and
//! commands that are wrong in one way each.

use crate::cli::{Cli, Ran};

const MANIFEST: &str = "chain_name = \"palisade-local-1\"\n[node.alice]\n";

fn testnet(cli: &Cli, args: &[&str]) -> Ran {
    cli.run(&[&["testnet"], args].concat())
}

/// A working directory with the net `here`, written by `init`.
fn with_a_net() -> Cli {
    let cli = Cli::new();
    let init = [
        "testnet",
        "init",
        "-d",
        "palisade-testnet/here",
        "--nodes",
        "1",
    ];
    assert_eq!(cli.json(&init)["schema"], "palisade.testnet-init/1");
    cli
}

#[test]
fn a_folder_without_a_plan_is_not_replaced() {
    let cli = with_a_net();
    let foreign = cli.path("palisade-testnet/foo/important.txt");
    std::fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    std::fs::write(&foreign, "kept").unwrap();
    for flags in [&["up", "--detach"][..], &["up", "--detach", "--fresh"]] {
        let args = [flags, &["--name", "foo"]].concat();
        let detail = testnet(&cli, &args).refused(4, "testnet.unavailable");
        assert!(
            detail.contains("palisade-testnet/foo is no net"),
            "{detail}"
        );
        assert_eq!(std::fs::read_to_string(&foreign).unwrap(), "kept");
    }
    let net = cli.path("palisade-testnet/here");
    std::fs::remove_file(net.join("plan.json")).unwrap();
    let said =
        testnet(&cli, &["up", "--detach", "--name", "here"]).refused(4, "testnet.unavailable");
    assert!(said.contains("--fresh"), "{said}");
    assert!(net.join("nodes/alice/genesis.toml").exists());
}

#[test]
fn a_wrong_order_leaves_the_net_that_is_there() {
    let cli = with_a_net();
    let plan = cli.path("palisade-testnet/here/plan.json");
    let before = std::fs::read(&plan).unwrap();
    let bad_fund = MANIFEST.replace("[node", "[genesis.fund]\nclient-0 = \"x\"\n[node");
    std::fs::write(cli.path("fund.toml"), bad_fund).unwrap();
    let much = format!("pal1{}:18446744073709551615", "q".repeat(38));
    for (wrong, code, exit) in [
        (&["-f", "nofile.toml"][..], "testnet.not_found", 3),
        (&["-f", "fund.toml"], "testnet.config", 78),
        (&["--nodes", "99"], "testnet.config", 78),
        (&["--fund", "client-0"], "testnet.config", 78),
        (&["--fund", &much], "testnet.config", 78),
        (&["--allow-degraded", "everything"], "config.invalid", 78),
    ] {
        let up = ["up", "--detach", "--fresh", "--name", "here"];
        let said = testnet(&cli, &[&up, wrong].concat()).refused(exit, code);
        assert!(
            !wrong.contains(&"fund.toml") || said.contains("client-0"),
            "{said}"
        );
        assert_eq!(std::fs::read(&plan).unwrap(), before, "{wrong:?}");
    }
}

#[test]
fn damaged_files_are_named() {
    let cli = with_a_net();
    let net = cli.path("palisade-testnet/here");
    for name in ["plan.json", "accounts.json"] {
        std::fs::write(net.join(name), "{\"name\":").unwrap();
    }
    for command in [
        &["status"][..],
        &["accounts"],
        &["wait", "agree"],
        &["submit"],
        &["fault", "kill", "alice"],
        &["up", "--detach"],
    ] {
        let args = [command, &["--name", "here"]].concat();
        let detail = testnet(&cli, &args).refused(4, "testnet.unavailable");
        assert!(detail.contains("palisade-testnet/here/"), "{detail}");
    }
    let down = ["down", "--name", "here", "--purge"];
    assert_eq!(testnet(&cli, &down).code, 0);
    assert!(!net.exists());
}

#[test]
fn init_refuses_what_no_node_could_run() {
    let cli = Cli::new();
    for wrong in [
        &["--chain-name", "mainnet"][..],
        &["--nodes", "2", "--addr", "10.0.0.1,10.0.0.1"],
        &["--nodes", "1", "--addr", "example.org"],
        &["--genesis-time-ms", "18446744073709551615"],
    ] {
        testnet(&cli, &[&["init", "-d", "net"], wrong].concat()).refused(78, "testnet.config");
        assert!(!cli.path("net").exists(), "{wrong:?}");
    }
}
