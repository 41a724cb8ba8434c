//! Judges a run's expectations: those of some moment after the perturbations, one after the other;
//! those of every moment beside all of it, from the first block to the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::load::Loader;
use super::perturb;
use crate::clock::{Deadline, Stopwatch, poll};
use crate::expect::{Expr, Truth, evaluate};
use crate::manifest::{Expect, Manifest, duration_ms};
use crate::net::Net;
use crate::supervisor::NodeState;

/// `within` of an expectation that gives none.
const WITHIN_MS: u64 = 60_000;
/// Between two looks at what must always hold.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

type Planned = (Expect, Expr);

/// What a run came to.
#[derive(Debug)]
pub(super) struct Judged {
    /// A row an expectation, in the manifest's order.
    pub(super) expects: Vec<Value>,
    /// What was done to nodes.
    pub(super) faults: Vec<Value>,
    /// Jobs that were submitted all the time, if any were.
    pub(super) load: Value,
    /// Honest nodes that ended by themselves.
    pub(super) halted: Vec<String>,
}

impl Judged {
    pub(super) fn ok(&self) -> bool {
        self.halted.is_empty() && self.expects.iter().all(|row| row["ok"] == true)
    }
}

/// Perturbs, loads and judges until every expectation is decided.
pub(super) fn judge(net: &Net, manifest: &Manifest) -> Result<Judged> {
    let expectations = manifest.expectations()?;
    let (faulted, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut loader = manifest
        .load
        .as_ref()
        .map(|load| Loader::new(net, load))
        .transpose()?;
    let is_over = || over.load(Ordering::SeqCst);
    let (acted, watched) = std::thread::scope(|scope| {
        let always = expectations.iter().filter(|(expect, _)| expect.always);
        let watches: Vec<Watch<'_>> = always.map(Watch::new).collect();
        let watching = scope.spawn(|| watch(net, watches, &faulted, &is_over));
        if let Some(loader) = &mut loader {
            scope.spawn(move || loader.go_on(is_over));
        }
        let ends = SetsAtEnd(&over);
        let acted = act(net, manifest, &expectations, &faulted);
        drop(ends);
        (acted, watching.join())
    });
    let (faults, mut sometime) = acted?;
    let mut always = watched
        .map_err(|_| anyhow::anyhow!("the watch panicked"))?
        .into_iter();
    let rows = expectations.iter().map(|(expect, _)| {
        let next = if expect.always {
            always.next()
        } else {
            sometime.next()
        };
        next.unwrap_or(Value::Null)
    });
    Ok(Judged {
        expects: rows.collect(),
        faults,
        load: loader.map_or(Value::Null, |loader| loader.report()),
        halted: halted(net)?,
    })
}

/// Tells the other threads that the run is over, also when what ends it is a panic: they would go on
/// for ever, and the scope would wait for them.
struct SetsAtEnd<'a>(&'a AtomicBool);

impl Drop for SetsAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The perturbations, then what must come true after them.
fn act(
    net: &Net,
    manifest: &Manifest,
    expectations: &[Planned],
    faulted: &AtomicBool,
) -> Result<(Vec<Value>, std::vec::IntoIter<Value>)> {
    let faults = perturb::all(net, manifest, faulted)?;
    let sometime = expectations.iter().filter(|(expect, _)| !expect.always);
    let rows: Vec<Value> = sometime
        .map(|(expect, expr)| decide(net, expect, expr))
        .collect();
    Ok((faults, rows.into_iter()))
}

/// Honest nodes that ended by themselves, and that nobody started again.
fn halted(net: &Net) -> Result<Vec<String>> {
    let liars = net.liars()?;
    let lies = |name: &str| {
        let planned = net
            .plan
            .node(name)
            .is_some_and(|node| node.byzantine.is_some());
        planned || liars.iter().any(|liar| liar == name)
    };
    let ended = net
        .nodes()?
        .into_iter()
        .filter(|node| node.state == NodeState::Halted);
    Ok(ended
        .map(|node| node.name)
        .filter(|name| !lies(name))
        .collect())
}

/// The height of the first node that answers.
pub(super) fn height(net: &Net) -> Option<u64> {
    let names = net.plan.names();
    names
        .iter()
        .find_map(|name| net.api(name).ok()?.height().ok())
}

fn within(expect: &Expect) -> Duration {
    let given = expect.within.as_deref().and_then(duration_ms);
    Duration::from_millis(given.unwrap_or(WITHIN_MS))
}

fn row(expect: &Expect, ok: bool, clock: &Stopwatch, height: Option<u64>, detail: String) -> Value {
    json!({
        "that": expect.that, "ok": ok, "at_height": height, "waited_s": clock.seconds(),
        "detail": detail,
    })
}

/// One look: how an expression stands, and where the net is.
fn look(net: &Net, expression: &Expr) -> Truth {
    net.view()
        .map_or(Truth::Unknown, |view| evaluate(expression, &view))
}

/// What a truth that is not enough is called.
fn told(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown, a node did not answer",
    }
}

/// Waits until an expectation holds, for its time at most.
fn decide(net: &Net, expect: &Expect, expression: &Expr) -> Value {
    let clock = Stopwatch::start();
    let deadline = Deadline::after(within(expect));
    let due = poll(deadline.left(), || {
        height(net).filter(|now| *now >= expect.from_height)
    });
    if due.is_none() {
        let now = height(net);
        return row(expect, false, &clock, now, not_reached(expect, now));
    }
    let mut last = Truth::Unknown;
    let holds = poll(deadline.left(), || {
        last = look(net, expression);
        (last == Truth::True).then_some(())
    });
    let now = height(net);
    let detail = match holds {
        Some(()) => "true".to_owned(),
        None => format!(
            "still {} after {} s",
            told(last),
            within(expect).as_secs_f64()
        ),
    };
    row(expect, holds.is_some(), &clock, now, detail)
}

fn not_reached(expect: &Expect, now: Option<u64>) -> String {
    let now = now.map_or("nobody answers".to_owned(), |now| {
        format!("the net is at {now}")
    });
    format!("height {} was not reached: {now}", expect.from_height)
}

/// An expectation of every moment, until it is broken.
struct Watch<'a> {
    expect: &'a Expect,
    expression: &'a Expr,
    looks: u64,
    broken: Option<Value>,
}

impl<'a> Watch<'a> {
    fn new((expect, expression): &'a Planned) -> Self {
        Self {
            expect,
            expression,
            looks: 0,
            broken: None,
        }
    }

    /// One more look. A node that a fault took down is excused for not answering.
    fn judge(&mut self, truth: Truth, now: Option<u64>, excused: bool, clock: &Stopwatch) {
        let due = now.is_some_and(|now| now >= self.expect.from_height);
        let unknown = truth == Truth::Unknown && excused;
        if self.broken.is_some() || !due || unknown {
            return;
        }
        self.looks += 1;
        if truth != Truth::True {
            let detail = format!("{} at look {}", told(truth), self.looks);
            self.broken = Some(row(self.expect, false, clock, now, detail));
        }
    }

    fn close(self, now: Option<u64>, clock: &Stopwatch) -> Value {
        let Self { expect, looks, .. } = self;
        match self.broken {
            Some(broken) => broken,
            None if looks == 0 => row(expect, false, clock, now, not_reached(expect, now)),
            None => row(
                expect,
                true,
                clock,
                now,
                format!("true at each of {looks} looks"),
            ),
        }
    }
}

/// Looks again and again: for the longest `within` at least, and until the rest is over.
fn watch(
    net: &Net,
    mut watches: Vec<Watch<'_>>,
    faulted: &AtomicBool,
    over: &impl Fn() -> bool,
) -> Vec<Value> {
    let clock = Stopwatch::start();
    let least = watches
        .iter()
        .map(|watch| within(watch.expect))
        .max()
        .unwrap_or_default();
    let open = |watches: &[Watch<'_>]| watches.iter().any(|watch| watch.broken.is_none());
    while open(&watches) && (clock.elapsed() < least || !over()) {
        // Excused is who was down when the look began, or is when it ends.
        let before = faulted.load(Ordering::SeqCst);
        let (view, now) = (net.view(), height(net));
        for watch in &mut watches {
            let truth = view.as_ref().map(|view| evaluate(watch.expression, view));
            let truth = truth.unwrap_or(Truth::Unknown);
            let excused = before || faulted.load(Ordering::SeqCst);
            watch.judge(truth, now, excused, &clock);
        }
        std::thread::park_timeout(LOOK_INTERVAL);
    }
    let now = height(net);
    watches
        .into_iter()
        .map(|watch| watch.close(now, &clock))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::{Names, parse};

    fn planned(from_height: u64) -> Planned {
        let expect = Expect {
            that: "agree".into(),
            within: None,
            always: true,
            from_height,
        };
        (expect, parse("agree", &Names::default()).unwrap())
    }

    /// The row of a watch with these looks: how it stood, at which height, whether excused.
    fn watched(from_height: u64, looks: &[(Truth, u64, bool)]) -> Value {
        let (planned, clock) = (planned(from_height), Stopwatch::start());
        let mut watch = Watch::new(&planned);
        for (truth, height, excused) in looks {
            watch.judge(*truth, Some(*height), *excused, &clock);
        }
        watch.close(Some(99), &clock)
    }

    #[test]
    fn what_must_always_hold_is_broken_by_one_look() {
        use Truth::{False, True, Unknown};
        let ok = |looks: &[(Truth, u64, bool)]| watched(5, looks)["ok"] == true;
        assert!(ok(&[(True, 5, false), (True, 6, false)]));
        assert!(!ok(&[
            (True, 5, false),
            (False, 6, false),
            (True, 7, false)
        ]));
        // Before its height nothing counts; and nothing seen is nothing proved.
        assert!(ok(&[(False, 4, false), (True, 5, false)]));
        assert!(!ok(&[(True, 4, false)]));
        assert!(!ok(&[]));
        // Silence is excused while a fault keeps a node down; a falsehood never is.
        assert!(ok(&[(True, 5, false), (Unknown, 6, true)]));
        assert!(!ok(&[(True, 5, false), (Unknown, 6, false)]));
        assert!(!ok(&[(True, 5, false), (False, 6, true)]));
    }

    #[test]
    fn a_broken_expectation_says_where() {
        let row = watched(5, &[(Truth::True, 5, false), (Truth::False, 8, false)]);
        assert_eq!(row["at_height"], 8);
        assert_eq!(row["detail"], "false at look 2");
        let never = watched(500, &[(Truth::True, 8, false)]);
        assert_eq!(
            never["detail"],
            "height 500 was not reached: the net is at 99"
        );
    }
}
