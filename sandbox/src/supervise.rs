//! The slot's side of one run: one loop over pidfd, streams, launcher and `Cancel`.
//!
//! ```text
//! Preparing --Started--> Running --Ended--> Draining --> Report
//!     any state --launcher gone--> LauncherLost
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;

use crate::cancel::Cancel;
use crate::cgroup::{Counted, SlotGroup};
use crate::clock;
use crate::collect::collect;
use crate::outcome::{End, Evidence, Outcome, Stream, attribute};
use crate::output::{Capture, Feed, Flow};
use crate::report::{Report, Usage};
use crate::slot::kill;
use crate::spec::{Profile, Spec};
use crate::stage::Stage;
use crate::tier::Tier;
use crate::wire::{self, Bounding, Ended, Reply, Request, Shape, Start, Steps, WireError};

/// After the end, outputs are read until end of file or this long.
const DRAIN: Duration = Duration::from_millis(100);
/// A launcher that does not report a dead job within this time is lost.
const END_WAIT: Duration = Duration::from_secs(5);
/// How often the CPU time of a group is looked at.
const CPU_LOOK: Duration = Duration::from_millis(100);

/// One run in progress.
pub(crate) struct Run {
    spec: Spec,
    inputs: Vec<OwnedFd>,
    started: Instant,
    stdin: Feed,
    stdout: Capture,
    stderr: Capture,
    /// Whether the job goes to a spare, whose loss may be the job's.
    by_spare: bool,
    /// The job's ends of the streams, until they are sent.
    theirs: Vec<OwnedFd>,
    pidfd: Option<OwnedFd>,
    scratch: Option<OwnedFd>,
    ended: Option<Ended>,
    /// What we did first, noted before the kill.
    ours: Option<Outcome>,
    give_up: Option<Instant>,
    next_look: Instant,
    setup: Duration,
    lost: bool,
}

/// What a descriptor in the poll set stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Launcher,
    Job,
    Cancel,
    Stdin,
    Stdout,
    Stderr,
}

impl Run {
    /// Makes the pipes.
    pub(crate) fn prepare(
        mut spec: Spec,
        inputs: Vec<OwnedFd>,
        started: Instant,
    ) -> std::io::Result<Run> {
        let (stdin, stdin_end) = Feed::new(std::mem::take(&mut spec.stdin))?;
        let (stdout, stdout_end) = Capture::new(spec.limits.stdout_bytes)?;
        let (stderr, stderr_end) = Capture::new(spec.limits.stderr_bytes)?;
        Ok(Run {
            spec,
            inputs,
            started,
            stdin,
            stdout,
            stderr,
            by_spare: false,
            theirs: vec![stdin_end, stdout_end, stderr_end],
            pidfd: None,
            scratch: None,
            ended: None,
            ours: None,
            give_up: None,
            next_look: started + CPU_LOOK,
            setup: Duration::ZERO,
            lost: false,
        })
    }

    /// What a process made for this job beforehand has to be like.
    pub(crate) fn shape(&self) -> Shape {
        Shape::of(self.spec.profile, self.spec.scratch.is_some())
    }

    /// Says that the job goes to a spare.
    pub(crate) fn go_by_spare(&mut self) {
        self.by_spare = true;
    }

    /// Whether the launcher must be replaced.
    pub(crate) fn launcher_is_lost(&self) -> bool {
        self.lost
    }

    /// Runs the job to its end.
    pub(crate) fn drive(
        &mut self,
        socket: &OwnedFd,
        group: &mut SlotGroup,
        cancel: &Cancel,
        buffer: &mut Vec<u8>,
        tier: Tier,
    ) -> Report {
        match self.send_start(socket, group) {
            Ok(()) => {
                while self.ended.is_none() && !self.lost {
                    self.turn(socket, group, cancel, buffer);
                }
            }
            Err(_) => self.lost = true,
        }
        if self.lost {
            // Whatever became of the launcher, the job must not outlive the run.
            self.kill_job();
        }
        let wall = clock::now().saturating_duration_since(self.started);
        self.drain();
        let counted = group.end();
        self.report(wall, counted, tier)
    }

    fn send_start(&mut self, socket: &OwnedFd, group: &mut SlotGroup) -> Result<(), WireError> {
        let (bounding, leaf) = group
            .begin(&self.spec.limits, self.spec.profile)
            .map_err(|e| WireError::Os(e.raw_os_error().unwrap_or(libc::EIO)))?;
        let request = Request::Start(self.start(bounding)?);
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.spec.program.as_fd()];
        fds.extend(self.theirs.iter().map(AsFd::as_fd));
        fds.extend(self.inputs.iter().map(AsFd::as_fd));
        fds.extend(leaf.as_ref().map(AsFd::as_fd));
        wire::send(socket.as_fd(), &request, &fds)?;
        self.theirs.clear();
        self.inputs.clear();
        Ok(())
    }

    fn start(&mut self, bounding: Bounding) -> Result<Start, WireError> {
        let inputs = u8::try_from(self.inputs.len()).map_err(|_| WireError::Garbage("inputs"))?;
        Ok(Start {
            args: std::mem::take(&mut self.spec.args),
            env: std::mem::take(&mut self.spec.env),
            inputs,
            limits: self.spec.limits.clone(),
            profile: self.spec.profile,
            program_path: self.spec.program.path().to_vec(),
            scratch: self
                .spec
                .scratch
                .as_ref()
                .map(|scratch| (scratch.bytes, scratch.inodes)),
            bounding,
        })
    }

    /// One round: wait for anything, take everything that is ready, check the clocks.
    fn turn(&mut self, socket: &OwnedFd, group: &SlotGroup, cancel: &Cancel, buffer: &mut Vec<u8>) {
        for source in self.wait(socket, cancel) {
            match source {
                Source::Launcher => self.hear(socket, buffer),
                Source::Job => self.give_up_after(END_WAIT),
                Source::Cancel => self.stop(Outcome::Cancelled),
                Source::Stdin => self.stdin.write(),
                Source::Stdout => {
                    let flow = self.stdout.read();
                    self.mind(flow, Stream::Stdout);
                }
                Source::Stderr => {
                    let flow = self.stderr.read();
                    self.mind(flow, Stream::Stderr);
                }
            }
        }
        self.check_clocks(group);
    }

    fn check_clocks(&mut self, group: &SlotGroup) {
        if self.ended.is_some() {
            return;
        }
        let now = clock::now();
        if now >= self.started + self.spec.limits.wall() {
            self.stop(Outcome::WallTimeout);
        }
        self.check_cpu(group, now);
        if self.give_up.is_some_and(|at| now >= at) {
            self.lost = true;
        }
    }

    /// A runner has no second process to hide in: its own limit is exact, and the group also
    /// counts the launcher. For native only the group sees everything.
    fn check_cpu(&mut self, group: &SlotGroup, now: Instant) {
        if self.spec.profile == Profile::Runner || now < self.next_look {
            return;
        }
        self.next_look = now + CPU_LOOK;
        let limit = self.spec.limits.cpu_seconds.saturating_mul(1_000_000);
        if group.cpu_us().is_some_and(|cpu| cpu >= limit) {
            self.stop(Outcome::CpuTimeout);
        }
    }

    fn wait(&self, socket: &OwnedFd, cancel: &Cancel) -> Vec<Source> {
        let mut sources = vec![(Source::Launcher, socket.as_fd(), PollFlags::POLLIN)];
        if self.ours.is_none() {
            sources.push((Source::Cancel, cancel.as_fd(), PollFlags::POLLIN));
        }
        if let (Some(pidfd), None) = (&self.pidfd, self.give_up) {
            sources.push((Source::Job, pidfd.as_fd(), PollFlags::POLLIN));
        }
        let streams = [
            (Source::Stdin, self.stdin.fd(), PollFlags::POLLOUT),
            (Source::Stdout, self.stdout.fd(), PollFlags::POLLIN),
            (Source::Stderr, self.stderr.fd(), PollFlags::POLLIN),
        ];
        sources.extend(
            streams
                .into_iter()
                .filter_map(|(s, fd, flags)| Some((s, fd?, flags))),
        );
        let mut fds: Vec<PollFd<'_>> = sources
            .iter()
            .map(|(_, fd, flags)| PollFd::new(*fd, *flags))
            .collect();
        let timeout = PollTimeout::try_from(self.patience()).unwrap_or(PollTimeout::MAX);
        // An interrupted or failed poll shows nothing ready; the clocks decide then.
        poll(&mut fds, timeout).ok();
        sources
            .iter()
            .zip(&fds)
            .filter(|(_, fd)| fd.revents().is_some_and(|ready| !ready.is_empty()))
            .map(|((source, _, _), _)| *source)
            .collect()
    }

    /// How long nothing may happen before a clock is due.
    fn patience(&self) -> Duration {
        let deadline = match self.give_up {
            Some(at) => at,
            None => self.started + self.spec.limits.wall(),
        };
        // One millisecond more, since poll rounds down and would spin through the last one.
        let left = deadline.saturating_duration_since(clock::now()) + Duration::from_millis(1);
        match self.spec.profile {
            Profile::Runner => left,
            Profile::Native => left.min(CPU_LOOK),
        }
    }

    /// Takes one message of the launcher.
    fn hear(&mut self, socket: &OwnedFd, buffer: &mut Vec<u8>) {
        let flags = MsgFlags::MSG_DONTWAIT;
        match wire::receive::<Reply>(socket.as_fd(), buffer, flags) {
            Ok((Reply::Started, mut fds)) => {
                self.pidfd = fds.pop();
                self.setup = clock::now().saturating_duration_since(self.started);
                if self.ours.is_some() {
                    self.kill_job();
                }
            }
            Ok((Reply::Scratch, mut fds)) => self.scratch = fds.pop(),
            Ok((Reply::Ended(ended), _)) => self.ended = Some(*ended),
            Err(WireError::WouldBlock) => {}
            // One that was discarded never saw the job, however it ended.
            Ok((Reply::SpareLost, _)) if !self.by_spare => {}
            // The job may have died with the spare before anybody knew of it.
            Ok((Reply::SpareLost | Reply::Ready | Reply::Refused { .. }, _)) | Err(_) => {
                self.lost = true;
            }
        }
    }

    /// Notes the cause, if it is the first, then kills.
    fn stop(&mut self, cause: Outcome) {
        if self.ours.is_none() && self.ended.is_none() {
            self.ours = Some(cause);
            self.kill_job();
            self.give_up_after(END_WAIT);
        }
    }

    /// A flood counts even if it is read only after the end: what was written decides, not who
    /// was faster.
    fn mind(&mut self, flow: Flow, stream: Stream) {
        if flow == Flow::Flood && self.ended.is_some() {
            self.ours.get_or_insert(Outcome::OutputLimit { stream });
        } else if flow == Flow::Flood {
            self.stop(Outcome::OutputLimit { stream });
        }
    }

    fn kill_job(&self) {
        if let Some(pidfd) = &self.pidfd {
            kill(pidfd);
        }
    }

    fn give_up_after(&mut self, patience: Duration) {
        if self.give_up.is_none() {
            self.give_up = Some(clock::now() + patience);
        }
    }

    /// Reads what the job left in its pipes.
    fn drain(&mut self) {
        let deadline = clock::now() + DRAIN;
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            let open = [self.stdout.fd(), self.stderr.fd()];
            let mut fds: Vec<PollFd<'_>> = open
                .into_iter()
                .flatten()
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
                .collect();
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let quiet = fds.is_empty() || matches!(poll(&mut fds, timeout), Ok(0) | Err(_));
            drop(fds);
            if quiet || left.is_zero() {
                return;
            }
            let streams = [
                (&mut self.stdout, Stream::Stdout),
                (&mut self.stderr, Stream::Stderr),
            ];
            for (capture, stream) in streams {
                if capture.fd().is_some() && capture.read() == Flow::Flood && self.ours.is_none() {
                    self.ours = Some(Outcome::OutputLimit { stream });
                }
            }
        }
    }

    fn report(&mut self, wall: Duration, counted: Option<Counted>, tier: Tier) -> Report {
        let group = counted.unwrap_or_default();
        let raw = self
            .ended
            .as_ref()
            .map(|ended| ended.usage)
            .unwrap_or_default();
        let own_cpu_us = raw.user_us.saturating_add(raw.system_us);
        let cpu = match (self.spec.profile, counted) {
            (Profile::Runner, _) => Duration::from_micros(own_cpu_us),
            (Profile::Native, Some(counted)) => Duration::from_micros(counted.cpu_us),
            (Profile::Native, None) => wall.saturating_mul(allowed_cpus()),
        };
        let outcome = attribute(&Evidence {
            ours: self.ours.take(),
            overdue: self.ended.as_ref().is_some_and(|ended| ended.overdue),
            setup: self.ended.as_ref().and_then(|ended| ended.failed),
            end: self.ended.as_ref().and_then(end),
            cpu_us: own_cpu_us.max(group.cpu_us),
            cpu_limit_seconds: self.spec.limits.cpu_seconds,
            oom_kills: group.oom_kills,
            pids_refused: group.pids_refused,
        });
        let files = match &self.spec.scratch {
            Some(scratch) => collect(self.scratch.as_ref(), scratch),
            None => Vec::new(),
        };
        let usage = Usage {
            wall,
            user: Duration::from_micros(raw.user_us),
            system: Duration::from_micros(raw.system_us),
            cpu,
            peak_memory_bytes: group.peak_bytes.max(raw.peak_kib.saturating_mul(1024)),
            minor_faults: raw.minor_faults,
            major_faults: raw.major_faults,
            voluntary_switches: raw.voluntary_switches,
            involuntary_switches: raw.involuntary_switches,
            stdin_bytes: u64::try_from(self.stdin.written()).unwrap_or(u64::MAX),
            output_bytes: u64::try_from(self.stdout.len() + self.stderr.len()).unwrap_or(u64::MAX),
        };
        Report {
            outcome,
            usage,
            stdout: std::mem::replace(&mut self.stdout, Capture::closed()).into_bytes(),
            stderr: std::mem::replace(&mut self.stderr, Capture::closed()).into_bytes(),
            files,
            tier,
            setup: self.setup,
            steps: self
                .ended
                .as_ref()
                .map_or_else(Vec::new, |ended| steps(&ended.steps)),
        }
    }
}

/// How the program itself ended. Under init that is what init said; a pid 1 that died without
/// saying was killed together with the program.
fn end(ended: &Ended) -> Option<End> {
    if let Some(status) = ended.init_status {
        return Some(End::from_wait_status(status));
    }
    ended
        .siginfo
        .map(|(code, status)| End::from_siginfo(code, status))
}

/// Stages that were passed, in order of time.
fn steps(times: &Steps) -> Vec<(Stage, Duration)> {
    let mut passed: Vec<(Stage, Duration)> = Stage::ALL
        .into_iter()
        .zip(times)
        .filter(|(_, at)| **at > 0)
        .map(|(stage, at)| (stage, Duration::from_nanos(*at)))
        .collect();
    passed.sort_by_key(|(_, at)| *at);
    passed
}

fn allowed_cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}
