//! What runs the benchmark.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

/// One line about processor, memory, kernel and disk, one about the binary.
///
/// # Errors
/// If the binary does not run.
pub(crate) fn describe(binary: &Path) -> Result<Vec<String>> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model
        .map_or("unknown processor", |(_, name)| name.trim())
        .to_owned();
    let cores = std::thread::available_parallelism()?;
    let meminfo = read("/proc/meminfo");
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: u64 = kib
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    let release = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let before = read("/proc/loadavg");
    let before = before.split(' ').next().unwrap_or("unknown").to_owned();
    let version = Command::new(binary).arg("--version").output()?.stdout;
    let version = String::from_utf8_lossy(&version).trim().to_owned();
    Ok(vec![
        format!(
            "{model}, {cores} cores, {} GiB memory, Linux {release}, {}",
            kib >> 20,
            std::env::consts::ARCH
        ),
        format!("{version}, release profile; nodes, clients and this program share the cores"),
        format!("load average of the machine before the run: {before}"),
    ])
}
