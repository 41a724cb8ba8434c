//! Goal: a genesis either begins exactly one chain or is refused with the key that is wrong.

use super::*;
use crate::keys::SecretKey;

fn public(byte: u8) -> PublicKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap().public()
}

fn genesis() -> Genesis {
    let validator = |byte: u8| GenesisValidator {
        moniker: format!("node \"{byte}\""),
        operator: public(byte).address(),
        consensus_pk: public(byte + 10),
        session_pk: public(byte + 20),
        peer_id: "16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ".to_owned(),
        self_bond: Amount::pal(1_000),
    };
    Genesis {
        chain_id: ChainId::ZERO,
        chain_name: "palisade-local-1".to_owned(),
        time_ms: TimeMs(1_790_000_000_000),
        params: Params::local(),
        accounts: vec![GenesisAccount {
            address: public(1).address(),
            balance: Amount(5),
        }],
        validators: vec![validator(1), validator(2)],
    }
}

fn parse(text: &str) -> Result<Genesis, GenesisError> {
    Genesis::parse(text.as_bytes())
}

fn change(from: &str, to: &str) -> Result<Genesis, GenesisError> {
    let text = genesis().to_toml();
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{from} is not in the file");
    parse(&changed)
}

#[test]
fn writes_what_it_reads() {
    let text = genesis().to_toml();
    let parsed = parse(&text).unwrap();
    assert_eq!(parsed.chain_id, ChainId::of_genesis(text.as_bytes()));
    assert_eq!(
        Genesis {
            chain_id: ChainId::ZERO,
            ..parsed.clone()
        },
        genesis()
    );
    assert_eq!(parsed.to_toml(), text);
    assert_eq!(parsed.supply(), Ok(Amount(2_000 * 1_000_000 + 5)));
    assert!(parsed.is_local());
    let spaced = parse(&format!("{text}\n")).unwrap();
    assert_ne!(
        spaced.chain_id, parsed.chain_id,
        "the bytes are the identity"
    );
}

#[test]
fn every_key_is_required_and_no_other_known() {
    let text = genesis().to_toml();
    for line in text.lines().filter(|line| line.contains(" = ")) {
        let without = text.replacen(&format!("{line}\n"), "", 1);
        assert!(parse(&without).is_err(), "accepted without {line}");
    }
    for extra in ["hold = 1\n", "[extra]\n"] {
        assert!(parse(&format!("{extra}{text}")).is_err());
    }
    assert!(change("[params]\n", "[params]\nhold_blocks = 1\n").is_err());
    assert!(change("balance = 5", "balance = 5\ncolour = 1").is_err());
}

#[test]
fn refusals_name_the_fault() {
    let feature = change("features = []", "features = [\"beacon\"]");
    assert_eq!(feature, Err(GenesisError::Feature("beacon".to_owned())));
    let windows = change("unbonding_blocks = 120", "unbonding_blocks = 60");
    assert!(matches!(
        windows,
        Err(GenesisError::Params(ParamsError::Relation { .. }))
    ));
    let negative = change("unbonding_blocks = 120", "unbonding_blocks = -1");
    assert!(matches!(
        negative,
        Err(GenesisError::Params(ParamsError::Value { .. }))
    ));
    let bond = change("self_bond = 1000000000", "self_bond = 1");
    assert!(matches!(
        bond,
        Err(GenesisError::Value {
            key: "self_bond",
            ..
        })
    ));
    let supply = change("balance = 5", "balance = 1152921504606846976");
    assert_eq!(supply, Err(GenesisError::Supply));
    let name = change("palisade-local-1", "Palisade");
    assert!(matches!(
        name,
        Err(GenesisError::Value {
            key: "chain_name",
            ..
        })
    ));
    let peer = change("16Uiu2", "0OIl");
    assert!(matches!(
        peer,
        Err(GenesisError::Value { key: "peer_id", .. })
    ));
    let moniker = change("node ", "\\n ");
    assert!(matches!(
        moniker,
        Err(GenesisError::Value { key: "moniker", .. })
    ));
    let many = change("validators_max = 16", "validators_max = 1");
    assert!(matches!(
        many,
        Err(GenesisError::Value {
            key: "validator",
            ..
        })
    ));
}

#[test]
fn nothing_appears_twice() {
    let mut twice = genesis();
    twice.accounts.push(twice.accounts[0].clone());
    let key = |result: Result<Genesis, GenesisError>| match result {
        Err(GenesisError::Duplicate { key, .. }) => key,
        other => panic!("{other:?}"),
    };
    assert_eq!(key(parse(&twice.to_toml())), "address");
    let mut twice = genesis();
    twice.validators[1].operator = twice.validators[0].operator;
    assert_eq!(key(parse(&twice.to_toml())), "operator");
    let mut twice = genesis();
    twice.validators[1].session_pk = twice.validators[0].consensus_pk;
    assert_eq!(
        key(parse(&twice.to_toml())),
        "key",
        "roles never share a key"
    );
}

#[test]
fn hostile_bytes_are_refused() {
    assert!(matches!(
        Genesis::parse(&[0xff; 4]),
        Err(GenesisError::Syntax(_))
    ));
    let long = vec![b' '; GENESIS_BYTES_MAX + 1];
    assert_eq!(
        Genesis::parse(&long),
        Err(GenesisError::TooLong { len: long.len() })
    );
}
