//! `testnet logs`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use anyhow::Result;

use crate::cli::Which;
use crate::error::CommandError;
use crate::files::NetDir;
use crate::net::Net;

pub(crate) fn run(
    which: &Which,
    node: Option<&str>,
    follow: bool,
    event: Option<&str>,
) -> Result<()> {
    let net = Net::open(NetDir::of(&which.name))?;
    let names = match node {
        None => net.plan.names(),
        Some(name) if net.plan.node(name).is_some() => vec![name.to_owned()],
        Some(name) => {
            let hint = format!("there are {}", net.plan.names().join(", "));
            return Err(CommandError::not_found(format!("no node `{name}`"), hint).into());
        }
    };
    let wanted = event.map(|event| format!("\"{event}\""));
    let mut files = Vec::new();
    for name in names {
        if let Ok(file) = File::open(net.dir.log(&name)) {
            files.push((name, BufReader::new(file)));
        }
    }
    loop {
        for (name, file) in &mut files {
            print_new(name, file, wanted.as_deref())?;
        }
        if !follow {
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_millis(250));
    }
}

fn print_new(name: &str, file: &mut BufReader<File>, wanted: Option<&str>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut line = String::new();
    while file.read_line(&mut line)? > 0 {
        if wanted.is_none_or(|wanted| line.contains(wanted)) {
            write!(out, "{name:<8} {line}")?;
        }
        line.clear();
    }
    Ok(())
}
