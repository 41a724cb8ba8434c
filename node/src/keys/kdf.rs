//! From a password to a key, and what a key file may ask of us for that.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// scrypt may fill at most this much memory: 512 MiB.
const SCRYPT_BYTES_MAX: u64 = 512 << 20;
/// Passes over that memory.
const SCRYPT_P_MAX: u32 = 16;
/// Rounds of PBKDF2, a few seconds' worth.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
/// Every file of this format derives 32 bytes.
const DERIVED_BYTES: u32 = 32;
/// log2 of scrypt's N for keys that protect something (1.3 s on the machine of the measurements).
pub(crate) const LOG_N_KEEP: u8 = 17;
/// log2 of scrypt's N for development keys, which everybody knows anyway.
pub(crate) const LOG_N_DEV: u8 = 12;

/// How a key file derives its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
pub(crate) enum Kdf {
    /// Memory-hard; what we write.
    Scrypt {
        /// Length of the derived key.
        dklen: u32,
        /// Cost, a power of two.
        n: u64,
        /// Block size.
        r: u32,
        /// Passes.
        p: u32,
        /// Hex.
        salt: String,
    },
    /// Read only.
    Pbkdf2 {
        /// Length of the derived key.
        dklen: u32,
        /// Rounds.
        c: u32,
        /// Always `hmac-sha256`.
        prf: String,
        /// Hex.
        salt: String,
    },
}

impl Kdf {
    /// Our own choice, over this salt.
    pub(crate) fn scrypt(log_n: u8, salt: &[u8; 32]) -> Self {
        Self::Scrypt {
            dklen: DERIVED_BYTES,
            n: 1 << log_n,
            r: 8,
            p: 1,
            salt: hex::encode(salt),
        }
    }

    /// Derives the key, after checking that the file asks for nothing absurd.
    pub(crate) fn derive(&self, password: &[u8]) -> Result<Zeroizing<[u8; 32]>, Problem> {
        match self {
            Self::Scrypt {
                dklen,
                n,
                r,
                p,
                salt,
            } => {
                check_scrypt(*dklen, *n, *r, *p)?;
                let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
                let params = scrypt::Params::new(log_n, *r, *p)
                    .map_err(|_| Problem::new("key.malformed", "impossible scrypt parameters"))?;
                let mut key = Zeroizing::new([0; 32]);
                scrypt::scrypt(password, &salt_of(salt)?, &params, key.as_mut())
                    .map_err(|_| Problem::new("key.malformed", "impossible scrypt parameters"))?;
                Ok(key)
            }
            Self::Pbkdf2 {
                dklen,
                c,
                prf,
                salt,
            } => {
                check_pbkdf2(*dklen, *c, prf)?;
                Ok(pbkdf2(password, &salt_of(salt)?, *c))
            }
        }
    }
}

fn check_scrypt(dklen: u32, n: u64, r: u32, p: u32) -> Result<(), Problem> {
    let memory = n
        .checked_mul(u64::from(r))
        .and_then(|size| size.checked_mul(128));
    if memory.is_none_or(|bytes| bytes > SCRYPT_BYTES_MAX) || p > SCRYPT_P_MAX {
        return Err(Problem::new(
            "key.bomb",
            format!("scrypt with n {n}, r {r}, p {p}"),
        ));
    }
    if dklen != DERIVED_BYTES || !n.is_power_of_two() || n < 2 || r == 0 || p == 0 {
        return Err(Problem::new(
            "key.malformed",
            format!("scrypt with n {n}, dklen {dklen}"),
        ));
    }
    Ok(())
}

fn check_pbkdf2(dklen: u32, c: u32, prf: &str) -> Result<(), Problem> {
    if c > PBKDF2_ROUNDS_MAX {
        return Err(Problem::new("key.bomb", format!("pbkdf2 with {c} rounds")));
    }
    if dklen != DERIVED_BYTES || prf != "hmac-sha256" || c == 0 {
        return Err(Problem::new(
            "key.malformed",
            format!("pbkdf2 with {prf}, dklen {dklen}"),
        ));
    }
    Ok(())
}

fn salt_of(text: &str) -> Result<Vec<u8>, Problem> {
    match hex::decode(text) {
        Ok(salt) if salt.len() <= 64 => Ok(salt),
        _ => Err(Problem::new("key.malformed", "the salt is not hexadecimal")),
    }
}

/// PBKDF2-HMAC-SHA256 (RFC 8018) for one block of output, which is all this format has.
fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<[u8; 32]> {
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(password) else {
        unreachable!("HMAC takes keys of any length");
    };
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&1_u32.to_be_bytes());
    let mut block: [u8; 32] = first.finalize().into_bytes().into();
    let mut sum = Zeroizing::new(block);
    for _ in 1..rounds {
        let mut next = keyed.clone();
        next.update(&block);
        block = next.finalize().into_bytes().into();
        for (to, from) in sum.iter_mut().zip(block) {
            *to ^= from;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrypt_of(n: u64, r: u32, p: u32) -> Kdf {
        Kdf::Scrypt {
            dklen: 32,
            n,
            r,
            p,
            salt: "ab".into(),
        }
    }

    /// Goal: a hostile file costs nothing. The bombs would take gigabytes or hours if computed, so
    /// the test would not end if they were.
    #[test]
    fn bombs_are_refused_unexploded() {
        let bombs = [
            scrypt_of(1 << 20, 8, 1),
            scrypt_of(1 << 40, 8, 1),
            scrypt_of(u64::MAX, u32::MAX, 1),
            scrypt_of(1 << 12, 8, 17),
            Kdf::Pbkdf2 {
                dklen: 32,
                c: 10_000_001,
                prf: "hmac-sha256".into(),
                salt: "".into(),
            },
        ];
        for bomb in bombs {
            assert_eq!(bomb.derive(b"x").unwrap_err().code, "key.bomb", "{bomb:?}");
        }
    }

    #[test]
    fn odd_parameters_are_malformed() {
        let odd = [
            scrypt_of(3, 8, 1),
            scrypt_of(1, 8, 1),
            scrypt_of(1 << 12, 0, 1),
            scrypt_of(1 << 12, 8, 0),
            Kdf::Scrypt {
                dklen: 31,
                n: 4096,
                r: 8,
                p: 1,
                salt: "ab".into(),
            },
            Kdf::Scrypt {
                dklen: 32,
                n: 4096,
                r: 8,
                p: 1,
                salt: "zz".into(),
            },
            Kdf::Pbkdf2 {
                dklen: 32,
                c: 1,
                prf: "hmac-sha1".into(),
                salt: "ab".into(),
            },
        ];
        for kdf in odd {
            assert_eq!(
                kdf.derive(b"x").unwrap_err().code,
                "key.malformed",
                "{kdf:?}"
            );
        }
    }
}
