//! Mailboxes with the edges of actix filed off; the only user of its send family.
//!
//! ```text
//!   Outbox<M> --permit?--> Mail<M> --actix queue--> Shell<A>::handle --> A::receive
//!      |  none left                 |  dropped unopened
//!      |  Shed: dropped, counted    `- Vital: fatal
//!      |  Flow: handed back, or waited for
//!      `- Vital: fatal
//! ```
//!
//! actix counts capacity per sender handle and `do_send` ignores it, so each mailbox has permits of
//! its own, held by the letter until it is handled. Vital letters have a reserve of their own: no
//! flood of the others can take it. A closed mailbox drops letters silently; ours notices, because a
//! letter that is dropped unopened says so.

mod metrics;
mod queue;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use actix::dev::channel::{AddressReceiver, channel};
use actix::{Actor, Addr, ArbiterHandle, Context, Handler, Message};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub use metrics::MailboxMetrics;
pub use queue::Queue;

use crate::clock;
use crate::supervisor::{Fatal, HaltReason, Supervisor};

/// What happens to a letter that finds the mailbox full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Never lost: a full mailbox is fatal.
    Vital,
    /// The sender waits, or keeps the letter.
    Flow,
    /// Only the newest counts; carried by a watch, never by a mailbox.
    Latest,
    /// Dropped and counted.
    Shed,
    /// Like Flow, and the sender waits for the answer.
    Ask,
}

/// A message as metrics and overflow rules see it.
pub trait Letter: Send + fmt::Display + 'static {
    /// The variant's name in metrics and in `docs/messages.md`.
    fn name(&self) -> &'static str;
    /// What happens to it when the mailbox is full.
    fn class(&self) -> Class;
}

/// The state behind a mailbox. Handlers are synchronous: what takes time comes back as a letter.
pub trait Receive: Sized + Unpin + 'static {
    /// The one enum of letters it takes.
    type Message: Letter;

    /// Runs once, before the first letter.
    fn started(&mut self) {}

    /// Handles one letter.
    fn receive(&mut self, message: Self::Message);
}

/// A letter could not be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AskError {
    /// The actor is gone; the node is stopping.
    #[error("the actor is gone")]
    Gone,
}

/// How many letters a mailbox holds.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Reserve of the Vital ones.
    pub vital: usize,
    /// Everything else.
    pub common: usize,
}

/// What both ends of a mailbox share.
#[derive(Debug)]
struct Desk {
    actor: &'static str,
    vital: Arc<Semaphore>,
    common: Arc<Semaphore>,
    metrics: MailboxMetrics,
    supervisor: Supervisor,
}

impl Desk {
    fn permits(&self, class: Class) -> &Arc<Semaphore> {
        match class {
            Class::Vital => &self.vital,
            Class::Flow | Class::Latest | Class::Shed | Class::Ask => &self.common,
        }
    }

    fn fatal(&self, what: &str, message: &str) {
        let detail = format!("{}: {what} {message}", self.actor);
        self.supervisor.raise(Fatal::new(HaltReason::Stuck, detail));
    }
}

enum Content<M> {
    Letter(M),
    /// Answered by the shell itself, for `/livez`.
    Ping(oneshot::Sender<()>),
}

/// A letter under way. Dropping it unopened is noticed.
struct Mail<M: Letter> {
    content: Option<Content<M>>,
    desk: Arc<Desk>,
    sent: Instant,
    /// Held until the letter is opened.
    _permit: Option<OwnedSemaphorePermit>,
}

impl<M: Letter> Message for Mail<M> {
    type Result = ();
}

impl<M: Letter> Mail<M> {
    fn new(content: Content<M>, desk: &Arc<Desk>, permit: Option<OwnedSemaphorePermit>) -> Self {
        desk.metrics.depth.with_label_values(&[desk.actor]).inc();
        let content = Some(content);
        Self {
            content,
            desk: desk.clone(),
            sent: clock::monotonic(),
            _permit: permit,
        }
    }
}

impl<M: Letter> Drop for Mail<M> {
    fn drop(&mut self) {
        self.desk
            .metrics
            .depth
            .with_label_values(&[self.desk.actor])
            .dec();
        if let Some(Content::Letter(message)) = &self.content
            && message.class() == Class::Vital
        {
            self.desk.fatal("lost", message.name());
        }
    }
}

/// The actix side of an actor.
struct Shell<A> {
    actor: A,
    desk: Arc<Desk>,
}

impl<A: Receive> Actor for Shell<A> {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.actor.started();
    }
}

impl<A: Receive> Handler<Mail<A::Message>> for Shell<A> {
    type Result = ();

    fn handle(&mut self, mut mail: Mail<A::Message>, _: &mut Self::Context) {
        let Some(content) = mail.content.take() else {
            return;
        };
        let metrics = &self.desk.metrics;
        let label = &[self.desk.actor];
        metrics
            .wait
            .with_label_values(label)
            .observe(mail.sent.elapsed().as_secs_f64());
        drop(mail);
        if self.desk.supervisor.is_closed() {
            return;
        }
        match content {
            Content::Letter(message) => {
                let timer = metrics.handle.with_label_values(label).start_timer();
                self.actor.receive(message);
                timer.observe_duration();
            }
            Content::Ping(reply) => {
                // The asker may have given up; then nobody needs the answer.
                let _gone = reply.send(());
            }
        }
    }
}

impl<A> Drop for Shell<A> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.desk.fatal("panicked", "while handling a letter");
        }
    }
}

/// Where letters go once they hold a permit.
trait Link<M: Letter>: Send + Sync {
    /// Hands the letter over; one that cannot be handed over is dropped, which `Mail` notices.
    fn push(&self, mail: Mail<M>);
}

impl<A: Receive> Link<A::Message> for Addr<Shell<A>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the permit was taken before; a closed mailbox shows in the dropped letter"
    )]
    fn push(&self, mail: Mail<A::Message>) {
        self.do_send(mail);
    }
}

/// The sending end of an actor's mailbox.
pub struct Outbox<M: Letter> {
    desk: Arc<Desk>,
    link: Arc<dyn Link<M>>,
}

impl<M: Letter> Clone for Outbox<M> {
    fn clone(&self) -> Self {
        Self {
            desk: self.desk.clone(),
            link: self.link.clone(),
        }
    }
}

impl<M: Letter> fmt::Debug for Outbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({})", self.desk.actor)
    }
}

impl<M: Letter> Outbox<M> {
    /// Sends without waiting. A Vital letter that finds its reserve used up stops the node; any
    /// other is dropped and counted.
    pub fn tell(&self, message: M) {
        if let Err(message) = self.try_tell(message) {
            match message.class() {
                Class::Vital => self.desk.fatal("no room for", message.name()),
                _ => self.count_shed(message.name()),
            }
        }
    }

    /// Sends without waiting, or hands the letter back: for senders that offer it again later.
    ///
    /// # Errors
    /// The letter itself, if the mailbox is full.
    pub fn try_tell(&self, message: M) -> Result<(), M> {
        let permits = self.desk.permits(message.class()).clone();
        match permits.try_acquire_owned() {
            Ok(permit) => {
                self.push(Content::Letter(message), Some(permit));
                Ok(())
            }
            Err(_) => Err(message),
        }
    }

    /// Waits for room, then sends. For tasks only: a handler must never wait.
    ///
    /// # Errors
    /// [`AskError::Gone`] if the node is stopping.
    pub async fn tell_or_wait(&self, message: M) -> Result<(), AskError> {
        let permits = self.desk.permits(message.class()).clone();
        let permit = permits.acquire_owned().await.map_err(|_| AskError::Gone)?;
        if self.desk.supervisor.is_closed() {
            return Err(AskError::Gone);
        }
        self.push(Content::Letter(message), Some(permit));
        Ok(())
    }

    /// Sends a letter that carries a reply, and waits for it. Dropping the future does not take the
    /// letter back: once sent it is handled.
    ///
    /// # Errors
    /// [`AskError::Gone`] if the actor is gone before it answers.
    pub async fn ask<R: Send + 'static>(
        &self,
        letter: impl FnOnce(oneshot::Sender<R>) -> M,
    ) -> Result<R, AskError> {
        let (reply, answer) = oneshot::channel();
        self.tell_or_wait(letter(reply)).await?;
        answer.await.map_err(|_| AskError::Gone)
    }

    /// Resolves once the actor has worked through what it held when asked.
    ///
    /// # Errors
    /// [`AskError::Gone`] if the actor is gone.
    pub async fn ping(&self) -> Result<(), AskError> {
        let (reply, answer) = oneshot::channel();
        self.push(Content::Ping(reply), None);
        answer.await.map_err(|_| AskError::Gone)
    }

    /// The receiver's name.
    #[must_use]
    pub fn actor(&self) -> &'static str {
        self.desk.actor
    }

    fn push(&self, content: Content<M>, permit: Option<OwnedSemaphorePermit>) {
        self.link.push(Mail::new(content, &self.desk, permit));
    }

    fn count_shed(&self, message: &str) {
        self.desk
            .metrics
            .shed
            .with_label_values(&[self.desk.actor, message])
            .inc();
    }
}

/// A mailbox whose actor is not running yet. All mailboxes exist before the first actor starts, so
/// outboxes can be handed to constructors in a circle.
pub struct Mailbox<A: Receive> {
    receiver: AddressReceiver<Shell<A>>,
    desk: Arc<Desk>,
}

impl<A: Receive> fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.desk.actor)
    }
}

/// What all mailboxes of one node share.
#[derive(Clone, Debug)]
pub struct Post {
    metrics: MailboxMetrics,
    supervisor: Supervisor,
}

impl Post {
    /// Mailboxes made here report to this supervisor.
    #[must_use]
    pub const fn new(metrics: MailboxMetrics, supervisor: Supervisor) -> Self {
        Self {
            metrics,
            supervisor,
        }
    }

    fn desk(&self, actor: &'static str, capacity: Capacity) -> Arc<Desk> {
        let total = i64::try_from(capacity.vital.saturating_add(capacity.common));
        self.metrics
            .capacity
            .with_label_values(&[actor])
            .set(total.unwrap_or(i64::MAX));
        self.metrics.depth.with_label_values(&[actor]).set(0);
        Arc::new(Desk {
            actor,
            vital: Arc::new(Semaphore::new(capacity.vital)),
            common: Arc::new(Semaphore::new(capacity.common)),
            metrics: self.metrics.clone(),
            supervisor: self.supervisor.clone(),
        })
    }

    /// A mailbox and its outbox.
    #[must_use]
    pub fn mailbox<A: Receive>(
        &self,
        actor: &'static str,
        capacity: Capacity,
    ) -> (Outbox<A::Message>, Mailbox<A>) {
        let desk = self.desk(actor, capacity);
        // actix's own bound is never met: the permits are the bound.
        let (sender, receiver) = channel(0);
        let link: Addr<Shell<A>> = Addr::new(sender);
        (
            Outbox {
                desk: desk.clone(),
                link: Arc::new(link),
            },
            Mailbox { receiver, desk },
        )
    }

    /// An outbox that ends in a queue: for tests and for receivers that are threads of their own.
    #[must_use]
    pub fn queue<M: Letter>(
        &self,
        actor: &'static str,
        capacity: Capacity,
    ) -> (Outbox<M>, Queue<M>) {
        let desk = self.desk(actor, capacity);
        let (sender, receiver) = mpsc::unbounded_channel();
        (
            Outbox {
                desk,
                link: Arc::new(sender),
            },
            Queue::new(receiver),
        )
    }
}

impl<A: Receive> Mailbox<A> {
    /// Starts the actor on an arbiter. `make` runs there, so the actor itself need not be `Send`.
    pub fn start(self, arbiter: &ArbiterHandle, make: impl FnOnce() -> A + Send + 'static) -> bool {
        let Self { receiver, desk } = self;
        arbiter.spawn_fn(move || {
            let shell = Shell {
                actor: make(),
                desk,
            };
            Context::with_receiver(receiver).run(shell);
        })
    }
}

#[cfg(test)]
mod tests;
