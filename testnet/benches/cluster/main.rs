//! What a net of four real processes does on this machine: `cargo bench -p testnet`.
//!
//! Everything goes through the public command line and API of the release binary, which is built
//! before (`cargo build --release`) or named by `PALISADE_BIN`. With `-- --write` the table also goes
//! to `docs/benchmarks.md`, together with the launch benchmark of `sandbox`. Nothing is asserted about
//! time: a slow machine gives slow numbers, not a failure.
//!
//! ```text
//!   main -> machine, verify          what runs it, and the floor under agreement
//!        -> scenarios                simulated schedules a second
//!        -> unpaced                  heights a second, CPU of a height
//!        -> transfers                finalised transfers a second, memory under load
//!        -> digits                   from submission to settlement, beside one bare run
//!        -> report                   the table
//! ```
#![forbid(unsafe_code)]

mod bed;
mod digits;
mod machine;
mod report;
mod scenarios;
mod transfers;
mod unpaced;
mod verify;

use anyhow::Result;

/// What there is to measure, in this order.
const PARTS: [&str; 5] = ["verify", "scenarios", "unpaced", "transfers", "digits"];

fn main() -> Result<()> {
    let asked = Asked::read(std::env::args().skip(1))?;
    let binary = bed::binary()?;
    let scale = asked.scale;
    let mut report = report::Report::new(machine::describe(&binary)?);
    // The floor under everything else, and cheap.
    let verify = verify::measure();
    report.verify(&verify);
    if asked.begins("scenarios", "seconds") {
        report.scenarios(&scenarios::measure());
    }
    if asked.begins("unpaced", "about 1 min") {
        report.unpaced(&unpaced::measure(&binary, scale)?, &verify);
    }
    if asked.begins("transfers", "about 2 min") {
        report.transfers(&transfers::measure(&binary, scale)?);
    }
    if asked.begins("digits", "about 1 min") {
        report.digits(&digits::measure(&binary, scale)?);
    }
    report.print();
    if asked.write {
        report.write()?;
    }
    Ok(())
}

/// What the command line asks for.
struct Asked {
    scale: bed::Scale,
    only: Option<String>,
    write: bool,
}

impl Asked {
    fn read(args: impl Iterator<Item = String>) -> Result<Self> {
        let mut asked = Self {
            scale: bed::Scale::Full,
            only: None,
            write: false,
        };
        for arg in args {
            match (arg.as_str(), arg.strip_prefix("--only=")) {
                // cargo passes `--bench`; anything unknown is a mistake worth naming.
                ("--bench", _) => {}
                ("--write", _) => asked.write = true,
                ("--quick", _) => asked.scale = bed::Scale::Quick,
                (_, Some(part)) if PARTS.contains(&part) => asked.only = Some(part.to_owned()),
                _ => anyhow::bail!(
                    "unknown argument {arg}: there are --write, --quick and --only={}",
                    PARTS.join(", --only=")
                ),
            }
        }
        if asked.write && (asked.only.is_some() || asked.scale == bed::Scale::Quick) {
            anyhow::bail!("only a whole run is worth writing down: drop --only and --quick");
        }
        Ok(asked)
    }

    /// Whether a part is wanted; if so it is announced.
    fn begins(&self, part: &str, takes: &str) -> bool {
        let wanted = self.only.as_deref().is_none_or(|only| only == part);
        if wanted {
            eprintln!("{part} ... ({takes})");
        }
        wanted
    }
}
