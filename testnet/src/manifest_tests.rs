//! What a manifest says, and how it is refused.

use super::*;

const EXAMPLE: &str = r#"
    chain_name = "palisade-local-1"
    [genesis]
    block_time = "250ms"
    features = []
    k = 3
    [genesis.fund]
    client-0 = "1000 PAL"
    [node.alice]
    stake = "1000 PAL"
    [node.bob]
    [node.carol]
    [node.mallory]
    byzantine = [{ profile = "wrong-result", from_height = 10 }]
    [[expect]]
    that = "slashed(mallory, wrong_result) && agree"
    within = "60s"
"#;

#[test]
fn the_example_parses_and_round_trips() {
    let manifest = Manifest::parse(EXAMPLE).unwrap();
    assert_eq!(manifest.names(), ["alice", "bob", "carol", "mallory"]);
    assert_eq!(manifest.params().unwrap().block_interval_ms.0, 250);
    let text = toml::to_string(&manifest).unwrap();
    assert_eq!(Manifest::parse(&text), Ok(manifest));
}

#[test]
fn mistakes_are_refused_by_name() {
    let broken = |from: &str, to: &str| {
        Manifest::parse(&EXAMPLE.replace(from, to))
            .unwrap_err()
            .to_string()
    };
    assert!(broken("wrong-result", "wrong-resul").contains("did you mean `wrong-result`"));
    assert!(broken("palisade-local-1", "mainnet").contains("palisade-local-"));
    assert!(broken("stake = \"1000 PAL\"", "stake = \"0 PAL\"").contains("below the bond"));
    assert!(broken("[node.bob]", "[node.bob]\nstart_at = 9").contains("third of the stake"));
    assert!(broken("k = 3", "kk = 3").contains("no such parameter"));
    assert!(broken("[genesis]", "[genesys]").contains("genesys"));
    assert!(broken("slashed(mallory", "slashed(malory").contains("did you mean `mallory`"));
    assert!(broken("\"60s\"", "\"soon\"").contains("is not like 60s"));
    let load = "[load]\njobs_per_s = 1\nmodel = \"demo/ecko\"\n[node.bob]";
    assert!(broken("[node.bob]", load).contains("demo/echo"));
    assert!(
        broken("\"1000 PAL\"\n    [node.alice]", "\"x\"\n    [node.alice]")
            .contains("genesis.fund.client-0: `x` is not like")
    );
    assert!(broken("client-0 =", "client-O =").contains("did you mean `client-0`"));
    for name in ["Bob", "b/b", "-bob", &"b".repeat(33)] {
        let wrong = broken("[node.bob]", &format!("[node.{name:?}]"));
        assert!(wrong.contains("1 to 32 of a-z, 0-9 and -"), "{wrong}");
    }
}
