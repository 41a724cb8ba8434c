//! One test per trap of style.md's table: what actix does by itself, and what ours does instead.

use std::fmt;
use std::sync::mpsc as std_mpsc;

use actix::{Arbiter, System};
use prometheus::Registry;

use super::*;

#[derive(Debug)]
enum Note {
    Vital(u32),
    Flow(u32),
    Shed(u32),
    Ask(u32, oneshot::Sender<u32>),
    /// Holds the handler until the test says so.
    Hold(std_mpsc::Receiver<()>),
    Panic,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Letter for Note {
    fn name(&self) -> &'static str {
        match self {
            Self::Vital(_) => "Vital",
            Self::Flow(_) => "Flow",
            Self::Shed(_) => "Shed",
            Self::Ask(..) => "Ask",
            Self::Hold(_) => "Hold",
            Self::Panic => "Panic",
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Vital(_) | Self::Hold(_) | Self::Panic => Class::Vital,
            Self::Flow(_) => Class::Flow,
            Self::Shed(_) => Class::Shed,
            Self::Ask(..) => Class::Ask,
        }
    }
}

/// Writes down what it handles.
struct Scribe {
    seen: std_mpsc::Sender<u32>,
}

impl Receive for Scribe {
    type Message = Note;

    fn receive(&mut self, note: Note) {
        match note {
            Note::Vital(n) | Note::Flow(n) | Note::Shed(n) => self.seen.send(n).unwrap(),
            Note::Ask(n, reply) => {
                self.seen.send(n).unwrap();
                let _gone = reply.send(n + 1);
            }
            Note::Hold(release) => {
                let _done = release.recv();
            }
            Note::Panic => panic!("a handler's mistake"),
        }
    }
}

struct Bench {
    outbox: Outbox<Note>,
    seen: std_mpsc::Receiver<u32>,
    supervisor: Supervisor,
    metrics: MailboxMetrics,
    arbiter: Arbiter,
    mailbox: Option<(Mailbox<Scribe>, std_mpsc::Sender<u32>)>,
}

const CAPACITY: Capacity = Capacity {
    vital: 4,
    common: 3,
};

impl Bench {
    fn new() -> Self {
        let metrics = MailboxMetrics::new(&Registry::new()).unwrap();
        let supervisor = Supervisor::new();
        let post = Post::new(metrics.clone(), supervisor.clone());
        let (outbox, mailbox) = post.mailbox::<Scribe>("scribe", CAPACITY);
        let (sender, seen) = std_mpsc::channel();
        let mailbox = Some((mailbox, sender));
        Self {
            outbox,
            seen,
            supervisor,
            metrics,
            arbiter: Arbiter::new(),
            mailbox,
        }
    }

    fn start(&mut self) {
        let (mailbox, seen) = self.mailbox.take().unwrap();
        assert!(mailbox.start(&self.arbiter.handle(), move || Scribe { seen }));
    }

    fn shed(&self) -> u64 {
        self.metrics
            .shed
            .with_label_values(&["scribe", "Shed"])
            .get()
    }

    fn depth(&self) -> i64 {
        self.metrics.depth.with_label_values(&["scribe"]).get()
    }

    fn reason(&self) -> Option<HaltReason> {
        self.supervisor.fatal().map(|fatal| fatal.reason)
    }
}

fn run(test: impl AsyncFnOnce(Bench)) {
    System::new().block_on(async move { test(Bench::new()).await });
}

/// `do_send` ignores capacity: a sender that never looks would fill memory.
#[test]
fn a_full_mailbox_sheds_and_counts() {
    run(async |mut bench| {
        for n in 0..10 {
            bench.outbox.tell(Note::Shed(n));
        }
        assert_eq!((bench.shed(), bench.depth()), (7, 3));
        bench.start();
        bench.outbox.ping().await.unwrap();
        assert_eq!(bench.seen.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(bench.depth(), 0);
        assert_eq!(bench.reason(), None);
    });
}

/// actix counts capacity per sender handle: a clone per letter is a mailbox without bound.
#[test]
fn clones_share_one_bound() {
    run(async |bench| {
        for n in 0..10 {
            bench.outbox.clone().tell(Note::Shed(n));
        }
        assert_eq!(bench.shed(), 7);
    });
}

/// A full mailbox gives Flow letters back: the sender keeps what it will offer again.
#[test]
fn flow_letters_come_back() {
    run(async |bench| {
        for n in 0..3 {
            assert!(bench.outbox.try_tell(Note::Flow(n)).is_ok());
        }
        assert!(matches!(
            bench.outbox.try_tell(Note::Flow(3)),
            Err(Note::Flow(3))
        ));
        assert_eq!(bench.shed(), 0);
    });
}

/// Waiting for room is the sender's business and ends when there is room.
#[test]
fn tell_or_wait_waits_for_room() {
    run(async |mut bench| {
        for n in 0..3 {
            bench.outbox.tell_or_wait(Note::Flow(n)).await.unwrap();
        }
        let waiting = bench.outbox.clone();
        let waiter = actix::spawn(async move { waiting.tell_or_wait(Note::Flow(3)).await });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        bench.start();
        waiter.await.unwrap().unwrap();
        bench.outbox.ping().await.unwrap();
        assert_eq!(bench.seen.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    });
}

/// A mailbox drains without budget and starves timers in its context; ours come from the clock
/// thread as Vital letters, whose reserve no flood can take.
#[test]
fn a_flood_leaves_room_for_vital_letters() {
    run(async |mut bench| {
        for n in 0..1_000 {
            bench.outbox.tell(Note::Shed(n));
        }
        bench.outbox.tell(Note::Vital(7));
        assert_eq!(bench.reason(), None);
        bench.start();
        bench.outbox.ping().await.unwrap();
        assert_eq!(bench.seen.try_iter().last(), Some(7));
    });
}

/// A Vital letter without room is a stuck actor: exit 69, not a silent gap.
#[test]
fn a_full_vital_reserve_is_fatal() {
    run(async |bench| {
        for n in 0..5 {
            bench.outbox.tell(Note::Vital(n));
        }
        assert_eq!(bench.reason(), Some(HaltReason::Stuck));
    });
}

/// `do_send` to a closed mailbox drops silently.
#[test]
fn a_vital_letter_to_a_dead_actor_is_fatal() {
    run(async |mut bench| {
        drop(bench.mailbox.take());
        bench.outbox.tell(Note::Shed(1));
        assert_eq!(bench.reason(), None);
        bench.outbox.tell(Note::Vital(1));
        assert_eq!(bench.reason(), Some(HaltReason::Stuck));
        assert_eq!(bench.outbox.ping().await, Err(AskError::Gone));
    });
}

/// actix skips a letter whose asking future was dropped; a state change would be lost.
#[test]
fn a_dropped_ask_is_still_handled() {
    run(async |mut bench| {
        let asking = bench.outbox.clone();
        let mut ask = Box::pin(asking.ask(|reply| Note::Ask(5, reply)));
        assert!(futures_poll_once(ask.as_mut()).await.is_none());
        drop(ask);
        bench.start();
        bench.outbox.ping().await.unwrap();
        assert_eq!(bench.seen.try_recv(), Ok(5));
        assert_eq!(bench.outbox.ask(|reply| Note::Ask(6, reply)).await, Ok(7));
    });
}

/// Async handlers interleave: ours are synchronous, so letters never overtake each other, whatever
/// their class, once they are in the mailbox.
#[test]
fn letters_keep_their_order() {
    run(async |mut bench| {
        bench.start();
        let (release, hold) = std_mpsc::channel();
        bench.outbox.tell(Note::Hold(hold));
        bench.outbox.tell(Note::Shed(1));
        bench.outbox.tell(Note::Vital(2));
        assert!(bench.outbox.try_tell(Note::Flow(3)).is_ok());
        release.send(()).unwrap();
        bench.outbox.ping().await.unwrap();
        assert_eq!(bench.seen.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    });
}

/// A panicking actor dies quietly in actix, and a supervisor would keep the damaged state.
#[test]
fn a_panicking_actor_stops_the_node() {
    run(async |mut bench| {
        bench.start();
        let mut watch = bench.supervisor.watch();
        bench.outbox.tell(Note::Panic);
        watch.changed().await.unwrap();
        assert_eq!(bench.reason(), Some(HaltReason::Stuck));
    });
}

/// After a fault nothing more is handled, not even what was in the mailbox before it.
#[test]
fn a_closed_node_handles_nothing() {
    run(async |mut bench| {
        bench.outbox.tell(Note::Vital(1));
        bench
            .supervisor
            .raise(Fatal::new(HaltReason::Fork, "seen elsewhere"));
        bench.start();
        assert_eq!(bench.outbox.ping().await, Err(AskError::Gone));
        assert_eq!(
            bench.outbox.tell_or_wait(Note::Flow(2)).await,
            Err(AskError::Gone)
        );
        assert!(bench.seen.try_recv().is_err());
    });
}

/// Polls once and gives the result if it is there.
async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
