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

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    // cargo passes `--bench`; anything unknown is a mistake worth naming.
    let known = ["--bench", "--write", "--quick"];
    if let Some(unknown) = args
        .iter()
        .skip(1)
        .find(|arg| !known.contains(&arg.as_str()))
    {
        anyhow::bail!("unknown argument {unknown}: there are --write and --quick");
    }
    let flag = |name: &str| args.iter().any(|arg| arg == name);
    let binary = bed::binary()?;
    let scale = if flag("--quick") {
        bed::Scale::Quick
    } else {
        bed::Scale::Full
    };
    let mut report = report::Report::new(machine::describe(&binary)?);
    let verify = verify::measure();
    report.verify(&verify);
    report.scenarios(&scenarios::measure());
    report.unpaced(&unpaced::measure(&binary, scale)?, &verify);
    report.transfers(&transfers::measure(&binary, scale)?);
    report.digits(&digits::measure(&binary, scale)?);
    report.print();
    if flag("--write") {
        report.write()?;
    }
    Ok(())
}
