//! The floor under agreement: one signature check, and one signature.

use protocol::digest::sha256;
use protocol::keys::SecretKey;
use testnet::clock::Stopwatch;

const ROUNDS: usize = 9;
const CHECKS: u32 = 400;

/// Medians over several rounds, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verify {
    /// Of one check.
    pub verify_us: f64,
    /// Of one signature.
    pub sign_us: f64,
}

/// Measures them on one core.
pub(crate) fn measure() -> Verify {
    let key = key();
    let digest = sha256(b"a vote");
    let signature = key.sign(&digest);
    let public = key.public();
    let verify_us = median_us(|| {
        assert!(public.verify(&digest, &signature).is_ok());
    });
    let sign_us = median_us(|| {
        std::hint::black_box(key.sign(&digest));
    });
    Verify { verify_us, sign_us }
}

fn key() -> SecretKey {
    match SecretKey::from_bytes(&[7; 32]) {
        Ok(key) => key,
        Err(error) => unreachable!("a fixed key: {error}"),
    }
}

fn median_us(mut act: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let clock = Stopwatch::start();
            (0..CHECKS).for_each(|_| act());
            clock.seconds() * 1e6 / f64::from(CHECKS)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}
