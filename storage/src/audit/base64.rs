//! Standard base64 with padding (RFC 4648 §4), which signed checkpoints are written in.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or_default());
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4_usize {
            let digit = (word >> (18 - 6 * place)) & 63;
            let used = place <= group.len();
            let digit = ALPHABET.get(digit as usize).copied().unwrap_or(b'=');
            out.push(char::from(if used { digit } else { b'=' }));
        }
    }
    out
}

/// Decodes text; `None` unless it is exactly what [`encode`] would write.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.as_bytes().chunks(4) {
        let padding = group
            .iter()
            .rev()
            .take_while(|&&digit| digit == b'=')
            .count();
        let mut word = 0_u32;
        for &digit in group {
            let value = if digit == b'=' { 0 } else { value(digit)? };
            word = word << 6 | value;
        }
        let bytes = word.to_be_bytes();
        out.extend_from_slice(bytes.get(1..4_usize.checked_sub(padding)?)?);
    }
    // Re-encoding refuses missing padding, padding inside, and stray bits.
    (encode(&out) == text).then_some(out)
}

fn value(digit: u8) -> Option<u32> {
    let place = ALPHABET.iter().position(|&known| known == digit)?;
    u32::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_standard() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (plain, text) in vectors {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "Zg", "Zg=", "Zh==", "=Zg=", "Z===", "====", "Zm9v\n", "Zm 9",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
