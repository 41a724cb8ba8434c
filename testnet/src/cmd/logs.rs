//! `testnet logs`.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::time::Duration;

use anyhow::Result;
use protocol::units::TimeMs;
use serde_json::{Map, Value};

use super::duration;
use crate::cli::{Context, LogsArgs, Output};
use crate::error::CommandError;
use crate::files::NetDir;
use crate::log_line::{is_event, time};
use crate::net::Net;

pub(crate) fn run(args: &LogsArgs, context: &Context<'_>) -> Result<()> {
    let net = Net::open(NetDir::of(&args.which.name)?)?;
    let names = match args.node.as_deref() {
        None => net.plan.names(),
        Some(name) if net.plan.node(name).is_some() => vec![name.to_owned()],
        Some(name) => {
            let hint = format!("there are {}", net.plan.names().join(", "));
            return Err(CommandError::not_found(format!("no node `{name}`"), hint).into());
        }
    };
    let mut wanted = Wanted {
        since: args.since.as_deref().map(since).transpose()?,
        event: args.event.clone(),
        output: context.output,
    };
    let mut files = Vec::new();
    for name in names {
        if let Ok(file) = File::open(net.dir.log(&name)) {
            files.push((name, BufReader::new(file)));
        }
    }
    loop {
        for (name, file) in &mut files {
            match copy_new(name, file, &wanted, &mut std::io::stdout().lock()) {
                // Who reads no more has read enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                copied => copied?,
            }
        }
        if !args.follow {
            return Ok(());
        }
        // What is written from now on is new, whatever its clock says.
        wanted.since = None;
        std::thread::park_timeout(Duration::from_millis(250));
    }
}

/// The moment that lies so far back.
fn since(text: &str) -> Result<TimeMs> {
    let back = u64::try_from(duration("--since", text)?.as_millis()).unwrap_or(u64::MAX);
    Ok(TimeMs(crate::clock::wall().0.saturating_sub(back)))
}

/// Which lines are printed.
struct Wanted {
    /// Not those from before.
    since: Option<TimeMs>,
    /// Only those of this event.
    event: Option<String>,
    /// How they are printed.
    output: Output,
}

impl Wanted {
    /// Whether a line is old. One without a time is as old as the one before it.
    fn is_old(&self, line: &str, before: bool) -> bool {
        let Some(since) = self.since else {
            return false;
        };
        time(line).map_or(before, |time| time < since)
    }

    fn is_event(&self, line: &str) -> bool {
        let event = self.event.as_deref();
        event.is_none_or(|event| is_event(line, event))
    }
}

/// A line as an object of its node: `node` beside what the line holds, or beside its `text` if it is
/// no object itself.
fn object(name: &str, line: &str) -> Value {
    let mut object: Map<String, Value> = serde_json::from_str(line).unwrap_or_else(|_| {
        let text = line.trim_end().to_owned();
        Map::from_iter([("text".to_owned(), text.into())])
    });
    object.insert("node".to_owned(), name.into());
    Value::Object(object)
}

fn copy_new(
    name: &str,
    file: &mut impl BufRead,
    wanted: &Wanted,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let mut line = String::new();
    let mut old = true;
    while file.read_line(&mut line)? > 0 {
        old = wanted.is_old(&line, old);
        if !old && wanted.is_event(&line) {
            match wanted.output {
                Output::Human => write!(out, "{name:<8} {line}")?,
                Output::Json | Output::JsonLines => writeln!(out, "{}", object(name, &line))?,
            }
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
before any time
{\"timestamp\":\"2026-09-21T14:13:20.000000Z\",\"message\":\"node_started\"}
{\"timestamp\":\"2026-09-21T14:13:21.500000Z\",\"message\":\"job_ended\"}
a panic's second line
{\"timestamp\":\"2026-09-21T14:13:22.000000Z\",\"message\":\"node_started\"}
";

    fn printed(since: Option<u64>, event: Option<&str>) -> Vec<String> {
        printed_as(Output::Human, since, event)
    }

    fn printed_as(output: Output, since: Option<u64>, event: Option<&str>) -> Vec<String> {
        let wanted = Wanted {
            since: since.map(TimeMs),
            event: event.map(str::to_owned),
            output,
        };
        let mut out = Vec::new();
        copy_new("bob", &mut LOG.as_bytes(), &wanted, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_since_a_moment_with_those_that_belong_to_them() {
        let second = 1_790_000_001_500;
        assert_eq!(printed(None, None).len(), 5);
        assert_eq!(printed(Some(0), None).len(), 4);
        assert_eq!(printed(Some(second), None).len(), 3);
        assert!(printed(Some(second), None)[1].ends_with("second line"));
        assert_eq!(printed(Some(second + 1), None).len(), 1);
        assert_eq!(printed(Some(u64::MAX), None).len(), 0);
    }

    #[test]
    fn lines_of_an_event_since_a_moment() {
        assert_eq!(printed(None, Some("node_started")).len(), 2);
        let late = printed(Some(1_790_000_001_000), Some("node_started"));
        assert_eq!(late.len(), 1);
        assert!(late[0].starts_with("bob      {") && late[0].contains("13:22"));
        assert_eq!(printed(None, Some("node")).len(), 0);
    }

    #[test]
    fn a_program_gets_an_object_a_line() {
        for output in [Output::Json, Output::JsonLines] {
            let lines = printed_as(output, None, None);
            let parsed = lines.iter().map(|line| serde_json::from_str(line).unwrap());
            let parsed: Vec<Value> = parsed.collect();
            assert_eq!(parsed.len(), 5);
            assert!(parsed.iter().all(|line| line["node"] == "bob"));
            assert_eq!(parsed[0]["text"], "before any time");
            assert_eq!(parsed[2]["message"], "job_ended");
        }
    }

    #[test]
    fn durations_are_read_or_refused() {
        let (now, back) = (crate::clock::wall(), since("30s").unwrap());
        assert!((29_000..=31_000).contains(&(now.0 - back.0)));
        assert!(since("2m").unwrap() < back);
        for bad in ["", "30", "s", "-30s", "30 seconds", "1.5s", "soon", "30h"] {
            let error = since(bad).unwrap_err();
            let known = error.downcast_ref::<CommandError>().unwrap();
            assert_eq!((known.exit, &*known.code), (78, "testnet.config"), "{bad}");
            assert!(known.detail.contains("--since") && known.hint.contains("10s"));
        }
    }
}
