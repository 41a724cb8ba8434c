//! The report as a table.

use std::fmt::Write as _;

use super::stats::Sample;
use super::{BATCHES, GUESS_PERMILLE, RUN_COST_PERMILLE, Report, Section, Verdict};

impl Verdict {
    /// As the table says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Positive => "POSITIVE",
            Self::Negative => "negative",
            Self::Undecided => "undecided",
        }
    }
}

impl Report {
    /// The report for people; amounts in upal for each job, rounded down.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "seed {}, {} jobs a strategy in {BATCHES} batches; a run costs {RUN_COST_PERMILLE} and a guess is right in {GUESS_PERMILLE} of 1000\n",
            self.seed, self.jobs
        );
        for section in &self.sections {
            // Writing into a string cannot fail.
            let _infallible = section.write(&mut text);
        }
        text
    }
}

fn upal(sample: &Sample) -> String {
    let (mean, half) = (sample.mean.div_euclid(1_000), sample.half.div_euclid(1_000));
    format!("{mean} ±{half}")
}

impl Section {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        let (name, count) = (self.preset.name(), self.validators);
        let (pay, cost) = (self.seat_reward_upal, self.run_cost_upal);
        writeln!(
            text,
            "\n{name}: {count} validators, a seat earns {pay} upal, a run costs {cost}"
        )?;
        let head = ["strategy", "members", "profit", "honest", "edge"];
        let [a, b, c, d, e] = head;
        writeln!(
            text,
            "{a:<20} {b:<14} {c:>22} {d:>18} {e:>22} {:>5} {:>5} {:>5}  verdict",
            "runs", "false", "none"
        )?;
        for row in &self.rows {
            let (profit, honest, edge) = (upal(&row.profit), upal(&row.honest), upal(&row.edge));
            writeln!(
                text,
                "{:<20} {:<14} {profit:>22} {honest:>18} {edge:>22} {:>5} {:>5} {:>5}  {}",
                row.strategy,
                row.members,
                row.runs_per_thousand,
                row.falsified_per_thousand,
                row.unserved_per_thousand,
                row.verdict.name(),
            )?;
        }
        Ok(())
    }
}
