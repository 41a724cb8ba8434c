//! Goal: a receipt says true once and false for ever after any change. The fixtures come from a net
//! of four validators: a job settled after a liar was jailed (so the trust path has a link), and the
//! job it lied in, resolved by the whole set.

use proptest::prelude::*;
use protocol::genesis::Genesis;

use super::*;

const GENESIS: &[u8] = include_bytes!("../../tests/data/genesis.toml");
const SETTLED: &[u8] = include_bytes!("../../tests/data/receipt.json");
const RESOLVED: &[u8] = include_bytes!("../../tests/data/resolved.json");
const RESULT: &[u8] = include_bytes!("../../tests/data/result.bin");

fn genesis() -> Genesis {
    Genesis::parse(GENESIS).unwrap()
}

fn holds(receipt: &[u8], genesis: &Genesis, result: Option<&[u8]>) -> bool {
    Receipt::parse(receipt).is_ok_and(|receipt| verify(&receipt, genesis, result).ok())
}

#[test]
fn receipt_verifies_offline() {
    let genesis = genesis();
    for (text, trust) in [(SETTLED, 1), (RESOLVED, 0)] {
        let receipt = Receipt::parse(text).unwrap();
        assert_eq!(receipt.trust_path.len(), trust);
        let verdict = verify(&receipt, &genesis, Some(RESULT));
        assert_eq!(verdict.first_false(), None);
        assert_eq!(receipt.to_bytes(), text);
    }
}

/// Method: every byte of the file in turn, one bit of it turned. Each must be told apart.
#[test]
fn every_changed_byte_of_a_receipt_is_false() {
    let genesis = genesis();
    for at in 0..SETTLED.len() {
        let mut changed = SETTLED.to_vec();
        changed[at] ^= 1;
        assert!(!holds(&changed, &genesis, None), "byte {at}");
    }
}

#[test]
fn every_changed_byte_of_a_result_is_false() {
    let genesis = genesis();
    for at in 0..RESULT.len() {
        let mut changed = RESULT.to_vec();
        changed[at] ^= 0x10;
        assert!(!holds(SETTLED, &genesis, Some(&changed)), "byte {at}");
    }
    assert!(!holds(SETTLED, &genesis, Some(&RESULT[..RESULT.len() - 1])));
    assert!(!holds(SETTLED, &genesis, Some(b"")));
}

#[test]
fn another_genesis_is_false() {
    let text = String::from_utf8(GENESIS.to_vec()).unwrap();
    let other = Genesis::parse(
        text.replace("palisade-local-demo", "palisade-local-other")
            .as_bytes(),
    );
    let other = other.unwrap();
    let receipt = Receipt::parse(SETTLED).unwrap();
    assert_eq!(
        verify(&receipt, &other, None)
            .first_false()
            .map(|(name, _)| name),
        Some("trust")
    );
}

/// Each question is answered by itself: what is broken is named, the rest still holds.
#[test]
fn the_broken_part_is_named() {
    let genesis = genesis();
    let whole = Receipt::parse(SETTLED).unwrap();
    let first_false = |receipt: &Receipt| {
        verify(receipt, &genesis, None)
            .first_false()
            .map(|(name, _)| name)
    };

    let mut receipt = whole.clone();
    receipt.reveals.pop();
    receipt.reveals.pop();
    assert_eq!(first_false(&receipt), Some("signatures"));

    let mut receipt = whole.clone();
    receipt.commits.swap(0, 1);
    assert_eq!(first_false(&receipt), Some("signatures"));

    let mut receipt = whole.clone();
    receipt.trust_path[0]
        .certificate
        .clone_from(&receipt.certificate);
    assert_eq!(first_false(&receipt), Some("trust"));

    let mut receipt = whole.clone();
    let link = receipt.trust_path[0].clone();
    receipt.trust_path.push(link);
    assert_eq!(
        first_false(&receipt),
        Some("trust"),
        "a set that is in force changes nothing"
    );

    let mut receipt = whole.clone();
    receipt
        .certificate
        .clone_from(&receipt.trust_path[0].certificate);
    assert_eq!(first_false(&receipt), Some("certificate"));

    let mut receipt = whole.clone();
    receipt
        .record
        .clone_from(&Receipt::parse(RESOLVED).unwrap().record);
    assert_eq!(first_false(&receipt), Some("inclusion"));
}

#[test]
fn other_forms_of_the_same_receipt_are_malformed() {
    let value: serde_json::Value = serde_json::from_slice(SETTLED).unwrap();
    let text = String::from_utf8(SETTLED.to_vec()).unwrap();
    let forms = [
        serde_json::to_vec(&value).unwrap(),
        serde_json::to_vec_pretty(&value).unwrap(),
        SETTLED[..SETTLED.len() - 1].to_vec(),
        [SETTLED, b"\n"].concat(),
        text.replace("\"spec\":", "\"spec\": ").into_bytes(),
        text.replacen('{', "{\"extra\":1,", 1).into_bytes(),
        Vec::new(),
        b"[]\n".to_vec(),
        b"{}\n".to_vec(),
    ];
    for form in forms {
        assert_eq!(Receipt::parse(&form).unwrap_err().code, "receipt.malformed");
    }
}

/// Hex decoders read both cases; a receipt has one.
#[test]
fn capital_digits_are_malformed() {
    for at in 0..SETTLED.len() {
        let mut changed = SETTLED.to_vec();
        changed[at] = changed[at].to_ascii_uppercase();
        if changed != SETTLED {
            assert!(!holds(&changed, &genesis(), None), "capital at {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any byte replaced, removed or inserted anywhere.
    #[test]
    fn any_edit_is_false(at in 0..SETTLED.len(), byte: u8, kind in 0..3_u8) {
        let mut changed = SETTLED.to_vec();
        match kind {
            0 => changed[at] = byte,
            1 => drop(changed.remove(at)),
            _ => changed.insert(at, byte),
        }
        prop_assume!(changed != SETTLED);
        prop_assert!(!holds(&changed, &genesis(), None));
    }
}
