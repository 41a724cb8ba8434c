//! The checklist of a running validator, P1 to P8 (docs/security/checklists.md).

use serde_json::Value;

use super::row::{Row, Verdict};
use crate::client::resolve::Resolved;
use crate::client::{number, text};

/// All of them; the running node is asked.
pub(super) fn rows(node: &anyhow::Result<Resolved>) -> Vec<Row> {
    let asked = |path: &str| -> Result<Value, String> {
        let node = node.as_ref().map_err(ToString::to_string)?;
        node.api.get(path).map_err(|error| error.to_string())
    };
    vec![
        earning(&asked("/v1/status")),
        validators(&asked("/v1/validators")),
        Row::by_hand(
            "P2 exposure",
            "only the p2p port is reachable from outside",
            "scan the host from another one; deploy/nftables",
        ),
        Row::by_hand(
            "P3 backups",
            "no hot key and no sign-state in them; restored once",
            "list the newest backup",
        ),
        Row::by_hand(
            "P4 signer",
            "no second copy of the consensus key runs or could be started",
            "erase copies; moving a validator is for sign-state and key together",
        ),
        Row::by_hand(
            "P6 people",
            "incident contacts answered within 30 days",
            "page them; docs/security/incidents.md",
        ),
        Row::by_hand(
            "P8 disclosure",
            "SECURITY.md's contact is reachable",
            "write to it",
        ),
    ]
}

fn earning(status: &Result<Value, String>) -> Row {
    let words = ("`can_earn` is true", "palisade status --why");
    let (verdict, found) = match status {
        Err(error) => (Verdict::Fail, error.clone()),
        Ok(status) if status["can_earn"].as_bool() == Some(true) => (
            Verdict::Pass,
            format!("height {}", number(status, "height")),
        ),
        Ok(status) => (Verdict::Fail, text(status, "reason").to_owned()),
    };
    Row::new("status", verdict, found, words)
}

/// At four validators of like weight one may be lost; at a third of the stake one can stop the chain.
fn validators(list: &Result<Value, String>) -> Row {
    let words = (
        "four active validators or more, none with a third of the stake",
        "palisade chain validators; more operators must join",
    );
    let row = |verdict, found: String| Row::new("P1 validators", verdict, found, words);
    let list = match list {
        Ok(list) => list,
        Err(error) => return row(Verdict::Fail, error.clone()),
    };
    let active: Vec<u64> = list["validators"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|validator| text(validator, "state") == "active")
        .map(|validator| number(validator, "stake"))
        .collect();
    let total: u128 = active.iter().map(|stake| u128::from(*stake)).sum();
    let most = u128::from(active.iter().copied().max().unwrap_or(0));
    let holds = active.len() >= 4 && most * 3 < total;
    let percent = (most * 100).checked_div(total).unwrap_or(0);
    row(
        Verdict::of(holds),
        format!("{} active, the largest has {percent} %", active.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(stakes: &[(&str, u64)]) -> Verdict {
        let rows: Vec<Value> = stakes
            .iter()
            .map(|(state, stake)| json!({"state": state, "stake": stake.to_string()}))
            .collect();
        validators(&Ok(json!({"validators": rows}))).verdict
    }

    #[test]
    fn few_or_uneven_validators_fail() {
        let four = [("active", 10); 4];
        assert_eq!(verdict(&four), Verdict::Pass);
        assert_eq!(verdict(&four[..3]), Verdict::Fail);
        let jailed = [
            ("active", 10),
            ("active", 10),
            ("active", 10),
            ("jailed", 10),
        ];
        assert_eq!(verdict(&jailed), Verdict::Fail);
        let uneven = [
            ("active", 15),
            ("active", 10),
            ("active", 10),
            ("active", 10),
        ];
        assert_eq!(verdict(&uneven), Verdict::Fail);
        assert_eq!(validators(&Err("no answer".into())).verdict, Verdict::Fail);
    }
}
