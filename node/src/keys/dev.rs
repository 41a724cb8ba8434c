//! The keys that everybody knows: for local chains, and refused everywhere else.

use protocol::keys::SecretKey;

use super::{Role, bip32};
use crate::problem::Problem;

/// The public development mnemonic.
pub(crate) const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// Printed wherever such a key appears.
pub(crate) const WARNING: &str = "DEV ONLY — public keys, worthless";
/// The wallet index of a local chain's faucet.
pub(crate) const FAUCET_INDEX: u32 = 99;

/// A development wallet: client-0, client-1, …
pub(crate) fn wallet(index: u32) -> Result<SecretKey, Problem> {
    bip32::derive(MNEMONIC, Role::Wallet, index)
}

/// The development key of an operator, if it is one of the first sixteen: a testnet has no more.
#[cfg(feature = "byzantine")]
pub(crate) fn operator(address: &protocol::digest::Address) -> Option<SecretKey> {
    let mut keys = (0..16).filter_map(|index| bip32::derive(MNEMONIC, Role::Operator, index).ok());
    keys.find(|key| key.public().address() == *address)
}

/// The index of `client-<i>` or `faucet`.
pub(crate) fn wallet_index(name: &str) -> Option<u32> {
    match name {
        "faucet" => Some(FAUCET_INDEX),
        _ => name.strip_prefix("client-")?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(wallet_index("client-7"), Some(7));
        assert_eq!(wallet_index("faucet"), Some(99));
        assert_eq!(wallet_index("client-x"), None);
    }
}
