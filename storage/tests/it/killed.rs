//! Goal: a process killed at any moment keeps what it acknowledged. Method: a child process writes
//! numbered requests and prints each acknowledgement; it is killed with SIGKILL after a random
//! number of them; the parent opens the home and compares. Thirty rounds on one home.
//!
//! The page cache survives SIGKILL, so this shows order and atomicity, not durability.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use protocol::digest::JobId;
use protocol::units::Height;
use storage::Durability;
use storage::sign::commits::SeatKey;
use storage::sign::floor::{SignPoint, Step};
use storage::wal::WalEntry;

use crate::scene::{block, digest, init_sign_state, mark, noise, open, reply, state};

const HOME: &str = "STORAGE_TEST_HOME";
const ROUNDS: u64 = 30;

/// The child's part. Without a home in the environment there is nothing to write.
#[test]
fn writer() {
    let Some(home) = std::env::var_os(HOME) else {
        return;
    };
    write_until_killed(Path::new(&home));
}

/// Each height: two inputs, an own prevote and precommit, a seat commit, the block.
fn write_until_killed(home: &Path) {
    let (storage, recovered) = open(home).unwrap();
    let handle = storage.handle();
    let mut next = recovered.tip.map_or(1, |tip| tip.height.0 + 1);
    let from = recovered.state.meta.map_or(Height(0), |meta| meta.height);
    for height in from.0 + 1..next {
        let (answer, outcome) = reply();
        handle.replay(state(height), answer).unwrap();
        outcome.recv().unwrap().unwrap();
    }
    let mut round = match recovered.floor.unwrap().point {
        point if point.height.0 == next => point.round.0 + 1,
        _ => 0,
    };
    loop {
        let height = Height(next);
        let input = WalEntry::Input {
            height,
            bytes: noise(next, 500),
        };
        let (unsynced, _) = reply();
        handle
            .wal(vec![input.clone()], Durability::Later, unsynced)
            .unwrap();
        for step in [Step::Prevote, Step::Precommit] {
            let mark = mark(next, round, step, b"bytes");
            let own = WalEntry::Own {
                mark,
                bytes: noise(next, 150),
            };
            let (answer, outcome) = reply();
            handle
                .wal(vec![input.clone(), own], Durability::Now, answer)
                .unwrap();
            outcome.recv().unwrap().unwrap();
            say(&format!("signed {next} {round} {}", step as u8));
        }
        let seat = SeatKey {
            job: JobId(digest("job")),
            attempt: u32::try_from(next).unwrap(),
            seat: 0,
        };
        let (answer, outcome) = reply();
        handle
            .mark(seat, digest(&next.to_string()), answer)
            .unwrap();
        outcome.recv().unwrap().unwrap();
        say(&format!("seat {next}"));
        let (answer, outcome) = reply();
        handle.commit(block(next), state(next), answer).unwrap();
        outcome.recv().unwrap().unwrap();
        say(&format!("block {next}"));
        next += 1;
        round = 0;
    }
}

/// One line in one write; the harness may have left text before it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn spawn(home: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "killed::writer",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(HOME, home)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// What the child acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    signed: Option<(u64, u32, u8)>,
    seat: u64,
    block: u64,
}

impl Acknowledged {
    fn read(&mut self, line: &str) {
        let mut words = line.split(' ');
        let kind = words.next().unwrap();
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        match kind {
            "signed" => {
                let (height, round, step) = (number(), number(), number());
                let signed = (
                    height,
                    u32::try_from(round).unwrap(),
                    u8::try_from(step).unwrap(),
                );
                assert!(
                    Some(signed) > self.signed,
                    "signed {signed:?} after {:?}",
                    self.signed
                );
                self.signed = Some(signed);
            }
            "seat" => self.seat = number(),
            "block" => self.block = number(),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn kill_nine_thirty_times() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let mut child = spawn(home.path());
        let lines_before_kill = 1 + usize::from(noise(round, 1)[0] % 40);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledgements = lines.by_ref().map_while(Result::ok);
        let mut own = acknowledgements.filter_map(|line| Some(line.strip_prefix('@')?.to_owned()));
        own.by_ref()
            .take(lines_before_kill)
            .for_each(|line| acknowledged.read(&line));
        child.kill().unwrap();
        own.for_each(|line| acknowledged.read(&line));
        assert!(!child.wait().unwrap().success());
        check(home.path(), &acknowledged, round);
    }
    assert!(
        acknowledged.block > ROUNDS,
        "too few blocks to mean anything: {acknowledged:?}"
    );
}

fn check(home: &Path, acknowledged: &Acknowledged, round: u64) {
    let (storage, recovered) = open(home).unwrap();
    let tip = recovered.tip.map_or(0, |tip| tip.height.0);
    assert!(
        tip >= acknowledged.block,
        "round {round}: tip {tip}, {acknowledged:?}"
    );
    let reader = storage.handle().blocks().clone();
    assert_eq!(
        reader.contiguous_after(Height(0)),
        Height(tip),
        "round {round}: a gap"
    );
    for height in 1..=tip {
        assert_eq!(
            reader.block(Height(height)).unwrap().unwrap(),
            block(height)
        );
    }
    let meta = recovered.state.meta.map_or(0, |meta| meta.height.0);
    assert!(
        meta <= tip && tip - meta <= 9,
        "round {round}: state {meta}, tip {tip}"
    );
    // Not a partial batch: the leaf of each of the last five heights is there.
    for height in meta.saturating_sub(4).max(1)..=meta {
        let (key, value) = state(height).changes[0].clone();
        assert!(
            recovered.state.leaves.contains(&(key, value.unwrap())),
            "round {round}"
        );
    }
    if let Some((height, round_signed, step)) = acknowledged.signed {
        let (height, round_signed) = (Height(height), protocol::units::Round(round_signed));
        let step = Step::from_byte(step).unwrap();
        let point = SignPoint {
            height,
            round: round_signed,
            step,
        };
        assert!(
            recovered.floor.unwrap().point >= point,
            "round {round}: below {point:?}"
        );
        if height.0 > tip {
            let marks = recovered
                .wal
                .iter()
                .filter_map(|record| record.entry.mark());
            assert!(
                marks.map(|mark| mark.point).any(|found| found == point),
                "round {round}"
            );
        }
    }
    assert!(recovered.seat_commits.len() as u64 >= acknowledged.seat);
    storage.close().unwrap();
}
