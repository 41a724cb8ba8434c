//! The table, on the screen and in `docs/benchmarks.md`.

use std::path::Path;

use anyhow::Result;

use crate::digits::Digits;
use crate::scenarios::Scenarios;
use crate::transfers::{TX_FACTOR, Transfers};
use crate::unpaced::{CONSENSUS_FACTOR, Unpaced};
use crate::verify::Verify;

/// Votes of one height that a node of four must check: a prevote and a precommit of each other node,
/// the proposal, and the certificate's parts that it did not see as votes (consensus.md, Performance).
const CHECKS_PER_NODE_HEIGHT: f64 = 7.0;

/// Rows of what, how much, and how it was found.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Vec<String>,
    rows: Vec<[String; 3]>,
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn range(sorted: &[f64], digits: usize) -> String {
    match (sorted.first(), sorted.last()) {
        (Some(least), Some(most)) => {
            format!(
                "{:.digits$} ({least:.digits$} to {most:.digits$})",
                median(sorted)
            )
        }
        _ => "not measured".to_owned(),
    }
}

impl Report {
    pub(crate) fn new(machine: Vec<String>) -> Self {
        Self {
            machine,
            rows: Vec::new(),
        }
    }

    fn row(&mut self, what: &str, value: String, how: &str) {
        self.rows.push([what.to_owned(), value, how.to_owned()]);
    }

    pub(crate) fn verify(&mut self, verify: &Verify) {
        let value = format!(
            "{:.1} µs check, {:.1} µs sign",
            verify.verify_us, verify.sign_us
        );
        self.row(
            "secp256k1 signature",
            value,
            "one core, median of 9 rounds of 400, before the nets",
        );
    }

    pub(crate) fn unpaced(&mut self, unpaced: &Unpaced, verify: &Verify) {
        self.row(
            "heights per second, four processes, WAL synced, unpaced",
            range(&unpaced.heights_per_second, 1),
            &format!(
                "block interval 1 ms, empty blocks, QUIC over loopback; median (least to most) of windows of 6 s. \
                 Rate limits on consensus messages raised: `limits.consensus_factor = {CONSENSUS_FACTOR}`; as shipped, \
                 a signer may send 20 messages a second, which is about 9 heights"
            ),
        );
        let bound = verify.verify_us * CHECKS_PER_NODE_HEIGHT / 1000.0;
        let cpu = unpaced.cpu_ms_per_node_height;
        self.row(
            "CPU of one node for one height",
            format!(
                "{cpu:.2} ms; the bound is {bound:.2} ms, ratio {:.1}",
                cpu / bound
            ),
            "user and system time of the node's processes; the bound is 7 signature checks, n = 4",
        );
        self.row(
            "memory of an idle validator",
            format!("{:.0} MiB", largest(&unpaced.idle_rss_mib)),
            "VmRSS, largest of four, local preset (500 ms blocks)",
        );
        self.row(
            "CPU of an idle validator",
            format!("{:.1} % of a core", unpaced.idle_cpu_percent),
            "the same net, mean of four",
        );
        self.row(
            "memory after the unpaced run",
            format!("{:.0} MiB", largest(&unpaced.rss_mib)),
            "VmRSS, largest of four",
        );
    }

    pub(crate) fn transfers(&mut self, rounds: &[Transfers]) {
        let Some(transfers) = rounds.first() else {
            return;
        };
        let sorted = |value: fn(&Transfers) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let repeated: Vec<String> = rounds.iter().map(|r| r.repeated.to_string()).collect();
        let blocks: Vec<String> = rounds.iter().map(|r| r.blocks.to_string()).collect();
        let how = format!(
            "{} transfers from {} accounts, signed beforehand, sent over 8 connections to four nodes; from the \
             first request to the last inclusion; median (least to most) of {} fresh nets: {} blocks, {} requests repeated. \
             Rate limits on transactions raised: `limits.tx_factor = {TX_FACTOR}`; block interval 250 ms",
            transfers.sent,
            transfers.sent / 16,
            rounds.len(),
            blocks.join(", "),
            repeated.join(", ")
        );
        self.row(
            "finalised signed transfers per second",
            range(&sorted(Transfers::per_second), 0),
            &how,
        );
        self.row(
            "CPU of all four nodes for one transfer",
            format!("{} ms", range(&sorted(|round| round.cpu_ms_each), 2)),
            "the same runs",
        );
        self.row(
            "memory of a loaded validator",
            format!("{} MiB", range(&sorted(|round| largest(&round.rss_mib)), 0)),
            "VmRSS, largest of four, right after each of those runs",
        );
    }

    pub(crate) fn digits(&mut self, digits: &Digits) {
        let blocks = digits
            .blocks
            .get(digits.blocks.len() / 2)
            .copied()
            .unwrap_or_default();
        let how = format!(
            "three seats of four, {} ms blocks, {blocks} blocks from inclusion to settlement; from the start of the client's \
             command, without its trial run; median (least to most) of {}",
            digits.block_ms,
            digits.settled_s.len()
        );
        self.row(
            "digits job, submitted to settled",
            format!("{} s", range(&digits.settled_s, 2)),
            &how,
        );
        let bare = median(&digits.bare_s);
        let how = format!(
            "`palisade job estimate`: client, sandbox with its self-test, runner, model, {} fuel; interleaved with the jobs. \
             A client that does nothing takes {:.0} ms of it",
            digits.fuel,
            median(&digits.client_s) * 1000.0
        );
        self.row("digits model, one bare run", format!("{:.2} s", bare), &how);
        self.row(
            "job over bare run",
            format!("{:.1} times", median(&digits.settled_s) / bare),
            "the two medians",
        );
        self.row(
            "memory of a validator after these jobs",
            format!("{:.0} MiB", largest(&digits.rss_mib)),
            "VmRSS of the node's process, largest of four",
        );
    }

    pub(crate) fn scenarios(&mut self, sizes: &[Scenarios]) {
        for size in sizes {
            self.row(
                &format!("simulated scenarios per CPU second, n = {}", size.nodes),
                format!("{:.0}", size.per_s),
                "`palisade testnet sim`, layer 1, mixed faults, one core, before the nets",
            );
        }
    }

    fn table(&self) -> String {
        let mut text = String::from("|what|measured|how|\n|---|---|---|\n");
        for [what, value, how] in &self.rows {
            text.push_str(&format!("|{what}|{value}|{how}|\n"));
        }
        text
    }

    #[expect(clippy::print_stdout, reason = "a benchmark prints")]
    pub(crate) fn print(&self) {
        println!("{}\n\n{}", self.machine.join("\n"), self.table());
    }

    /// Replaces `docs/benchmarks.md`, all but the section that the sandbox's bench writes.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn write(&self) -> Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        let launches = old.find("## A sandbox launch").and_then(|at| old.get(at..));
        let text = format!(
            "# Benchmarks\n\n\
             Written by `cargo bench -p testnet -- --write` after `cargo build --release`; not by hand.\n\n\
             {}\n\n\
             Four validators are four processes of the release binary on one machine, over libp2p on loopback, every write to \
             log and signing state synced to disk. Clients and the benchmark itself run on the same cores. Goals of this \
             release: 2,000 transfers a second, 100 MiB for a validator, a launch at most four times a plain process and half \
             of bubblewrap.\n\n\
             ## A net of four\n\n{}\n{}\n",
            self.machine.join("\n\n"),
            self.table(),
            launches.unwrap_or_default().trim_end()
        );
        std::fs::write(path, text)?;
        Ok(())
    }
}
