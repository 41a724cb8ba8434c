//! A stand-in for the sandbox, which has tests of its own.

use std::sync::{Arc, Condvar, Mutex};

use actors::engine::{Engine, RunEnd, RunSlot, Work};
use actors::seat::SeatResult;
use protocol::job::Outcome;
use protocol::result::{Dtype, OutputTensor, encode_blob, result_root};
use protocol::units::Fuel;
use sandbox::Cancel;

/// A bundle that begins so makes the slot panic.
pub(crate) const PANICS: u8 = 254;

/// Holds runs up while it is closed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn close(&self) {
        *self.0.0.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(closed, |closed| *closed).unwrap());
    }
}

/// Answers every run with one small tensor; a stand-in for the sandbox.
#[derive(Debug)]
pub(crate) struct FakeEngine(pub(crate) Gate);

struct FakeSlot(Gate);

impl Engine for FakeEngine {
    fn slots(&self) -> usize {
        1
    }

    fn slot(&self, _: u32) -> Result<Box<dyn RunSlot>, String> {
        Ok(Box::new(FakeSlot(self.0.clone())))
    }

    fn tier(&self) -> String {
        "fake".to_owned()
    }
}

impl RunSlot for FakeSlot {
    fn run(&mut self, work: &Work, _: &Cancel) -> RunEnd {
        self.0.pass();
        assert_ne!(
            work.bundle.first(),
            Some(&PANICS),
            "a bundle that kills its slot"
        );
        let sum = work
            .bundle
            .iter()
            .fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
        // A bundle that begins with 255 asks for an answer of several chunks.
        let count: u32 = if work.bundle.first() == Some(&255) {
            300_000
        } else {
            1
        };
        let outputs = [OutputTensor {
            name: "sum".to_owned(),
            dtype: Dtype::U8,
            dims: vec![u64::from(count)],
            elements: (0..count).map(|_| sum).collect(),
        }];
        let result = SeatResult {
            outcome: Outcome::Ok,
            result_root: result_root(&outputs).unwrap(),
            fuel: Fuel(1_000_000),
            output: encode_blob(&outputs).unwrap(),
            code: 0,
        };
        RunEnd {
            end: Ok(result),
            outcome: "exited",
            tier: "fake".to_owned(),
            wall_seconds: 0.001,
            setup_seconds: 0.001,
            peak_memory_bytes: 1,
        }
    }
}
