//! Reveals another result than the run gave: well-formed, bound by a commit, and wrong.

use actors::tamper::{SeatResult, Tamper};
use protocol::job::{Outcome, SeatRef};
use protocol::result::root_of_blob;

#[derive(Debug)]
pub(super) struct WrongResult;

impl Tamper for WrongResult {
    fn name(&self) -> &'static str {
        "wrong-result"
    }

    fn result(&self, _: &SeatRef, _: u16, result: SeatResult) -> SeatResult {
        another(result)
    }
}

/// The same, but only when the whole set is asked: it backs whoever lied in the committee.
#[derive(Debug)]
pub(super) struct WrongJuror;

impl Tamper for WrongJuror {
    fn name(&self) -> &'static str {
        "wrong-juror"
    }

    fn result(&self, seat: &SeatRef, k: u16, result: SeatResult) -> SeatResult {
        if seat.seat < k {
            return result;
        }
        another(result)
    }
}

/// Flips the last bit of the output and computes the root anew: the lie is consistent in itself, so
/// only the other seats' results can expose it.
fn another(mut result: SeatResult) -> SeatResult {
    if result.outcome != Outcome::Ok {
        return result;
    }
    if let Some(last) = result.output.last_mut() {
        *last ^= 1;
    }
    if let Ok(root) = root_of_blob(&result.output) {
        result.result_root = root;
    }
    result
}
