//! `[genesis.fund]`: who holds what at genesis, by development name or by address.

use protocol::digest::Address;
use protocol::units::Amount;

use super::{Manifest, ManifestError, amount, refuse};

impl Manifest {
    /// What a development account holds at genesis, if the manifest says.
    ///
    /// # Errors
    /// [`ManifestError`] if it is no amount.
    pub fn funded(&self, name: &str) -> Result<Option<Amount>, ManifestError> {
        let text = self.genesis.fund.get(name);
        text.map(|text| fund_amount(name, text)).transpose()
    }

    /// Accounts that are funded by address.
    ///
    /// # Errors
    /// As [`Self::funded`].
    pub fn funded_addresses(&self) -> Result<Vec<(Address, Amount)>, ManifestError> {
        let by_address = self.genesis.fund.iter().filter_map(|(name, text)| {
            let address = name.parse().ok()?;
            Some(fund_amount(name, text).map(|amount| (address, amount)))
        });
        by_address.collect()
    }

    pub(super) fn check_fund(&self) -> Result<(), ManifestError> {
        let clients = (0..crate::setup::CLIENTS).map(|index| format!("client-{index}"));
        let operators = self.node.keys().map(|name| format!("operator-{name}"));
        let known: Vec<String> = clients
            .chain(operators)
            .chain(["faucet".to_owned()])
            .collect();
        for (name, text) in &self.genesis.fund {
            if !known.contains(name) && name.parse::<Address>().is_err() {
                let near = crate::expect::nearest(name, known.iter().map(String::as_str));
                let hint =
                    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                let reason = format!("no development account and no address{hint}");
                return Err(refuse(format!("genesis.fund.{name}"), reason));
            }
            fund_amount(name, text)?;
        }
        Ok(())
    }
}

fn fund_amount(name: &str, text: &str) -> Result<Amount, ManifestError> {
    let reason = || format!("`{text}` is not like \"1000 PAL\"");
    amount(text).ok_or_else(|| refuse(format!("genesis.fund.{name}"), reason()))
}
