//! The textual id of a libp2p peer with a secp256k1 key.

use protocol::keys::PublicKey;

/// `16Uiu2…`: base58 of the identity multihash over the key's protobuf form.
pub(crate) fn of(key: &PublicKey) -> String {
    // Key type 2 (secp256k1) and 33 bytes of data, as libp2p's `PublicKey` message.
    let mut bytes = vec![0x00, 0x25, 0x08, 0x02, 0x12, 0x21];
    bytes.extend_from_slice(key.as_bytes());
    base58(&bytes)
}

fn base58(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits: Vec<u32> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let letter = |digit: &u32| char::from(ALPHABET[usize::try_from(*digit).unwrap_or(0)]);
    let ones = std::iter::repeat_n('1', zeros);
    ones.chain(digits.iter().rev().map(letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::keys::SecretKey;

    /// Goal: the same text as libp2p's own. `net` gives the reference.
    #[test]
    fn agrees_with_libp2p() {
        for byte in 1..20_u8 {
            let key = SecretKey::from_bytes(&[byte; 32]).unwrap().public();
            let node = net::NodeKey::from_bytes([byte; 32]).unwrap();
            assert_eq!(of(&key), node.peer_id().to_string());
        }
    }
}
