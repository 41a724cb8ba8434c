//! `testnet wait` and `testnet assert`.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{duration, print};
use crate::cli::{Context, Which};
use crate::clock::{Stopwatch, poll};
use crate::error::{CommandError, EXIT_UNAVAILABLE};
use crate::expect::{Expr, Names, Truth, evaluate, parse};
use crate::files::NetDir;
use crate::net::Net;

pub(crate) fn wait(
    which: &Which,
    expression: &str,
    timeout: &str,
    context: &Context<'_>,
) -> Result<()> {
    let net = Net::open(NetDir::of(&which.name)?)?;
    let timeout = duration("--timeout", timeout)?;
    let clock = Stopwatch::start();
    let expr = checked(&net, expression)?;
    net.nodes()?;
    if !becomes_true(&net, &expr, timeout) {
        return Err(CommandError {
            exit: EXIT_UNAVAILABLE,
            code: "testnet.timeout".into(),
            detail: format!("`{expression}` did not hold within {} s", timeout.as_secs()),
            hint: "`palisade testnet status` shows the net".into(),
        }
        .into());
    }
    let document = json!({
        "schema": "palisade.testnet-wait/1", "that": expression, "ok": true,
        "waited_s": clock.seconds(),
    });
    print(context, &document, || {
        format!("{expression}: after {:.1} s", clock.seconds())
    })
}

pub(crate) fn assert(
    which: &Which,
    expressions: &[String],
    timeout: &str,
    context: &Context<'_>,
) -> Result<()> {
    let net = Net::open(NetDir::of(&which.name)?)?;
    let timeout = duration("--timeout", timeout)?;
    let parsed: Vec<Expr> = expressions
        .iter()
        .map(|text| checked(&net, text))
        .collect::<Result<_>>()?;
    net.nodes()?;
    let truths: Vec<bool> = parsed
        .iter()
        .map(|e| becomes_true(&net, e, timeout))
        .collect();
    let rows: Vec<_> = expressions
        .iter()
        .zip(&truths)
        .map(|(that, ok)| json!({ "that": that, "ok": ok }))
        .collect();
    let ok = truths.iter().all(|truth| *truth);
    let document = json!({ "schema": "palisade.testnet-assert/1", "ok": ok, "expects": rows });
    print(context, &document, || {
        let row = |(that, ok): (&String, &bool)| {
            format!("{}  {that}", if *ok { "true " } else { "FALSE" })
        };
        expressions
            .iter()
            .zip(&truths)
            .map(row)
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    if ok {
        return Ok(());
    }
    let failed = truths.iter().filter(|truth| !**truth).count();
    Err(CommandError::assertion(format!("{failed} of {} do not hold", truths.len())).into())
}

/// Whether an expression is true at some look within the time; one look for no time.
pub(crate) fn becomes_true(net: &Net, expression: &Expr, timeout: Duration) -> bool {
    let look = || {
        let view = net.view().ok()?;
        (evaluate(expression, &view) == Truth::True).then_some(())
    };
    poll(timeout, look).is_some()
}

fn checked(net: &Net, text: &str) -> Result<Expr> {
    let names = Names {
        nodes: net.plan.names(),
    };
    parse(text, &names).map_err(|error| {
        let hint = "`docs/reference/expect.md` lists what can be asked";
        CommandError::config(format!("`{text}`: {error}"), hint).into()
    })
}
