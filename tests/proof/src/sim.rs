//! The scheduler: every await of the store, of Stream and of the clock stops here, until it is
//! said what comes of it.
//!
//! A process is one of the real handlers, polled by nobody else. What it asks for is an effect on
//! the [`World`] that happens at one instant, or fails in one of the ways of [`Verdict`].

use std::fmt::{Debug, Write as _};
use std::future::Future;
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use shared::clock::Timestamp;

use crate::hash::Fnv;
use crate::world::{LATE, Late, World};

/// What happens to the world, at once or later.
pub(crate) type Effect = Arc<dyn Fn(&mut World) + Send + Sync>;

/// What comes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It takes effect and is answered.
    Done,
    /// It is refused before it has any effect.
    Refused,
    /// It takes effect, and its answer is lost.
    Lost,
    /// No answer comes, and it takes effect later.
    Late,
}

/// Why a step has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It was refused.
    Refused,
    /// It may have happened.
    Unknown,
}

/// Whether a step changes the world, or waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It only reads, so it fails in one way.
    Read,
    /// It changes the world.
    Write,
    /// It lets time pass, and cannot fail.
    Wait,
    /// It is Stream's own doing, and cannot fail.
    Nature,
}

/// Every process's way to the world.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Mutex<Core>>);

/// What the scheduler knows.
pub(crate) struct Core {
    /// The world.
    pub(crate) world: World,
    /// The steps that wait for their verdict.
    pub(crate) waiting: Vec<Waiting>,
    /// One line for each thing that happens, where somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
    /// How many steps are taken at once, as they come; none where each waits for its verdict.
    free: Option<u32>,
    current: usize,
    processes: Vec<Process>,
    verdicts: Vec<(u64, Verdict)>,
    next: u64,
}

/// A step that waits.
pub(crate) struct Waiting {
    pub(crate) process: usize,
    pub(crate) kind: Kind,
    step: u64,
    label: String,
    waker: Waker,
}

/// What a process has been told so far: that alone decides what it does next. What it asks for at
/// the same time may be answered in any order, so the order does not count; what it asks for twice
/// is told apart by how often.
#[derive(Clone, Default)]
struct Process {
    heard: u64,
    asked: Vec<(u64, u32)>,
    ids: u64,
}

impl Process {
    fn hear(&mut self, label: &str, answer: &dyn Debug, now: Timestamp) {
        let mut asked = Fnv::default();
        asked.write(label.as_bytes());
        let asked = asked.finish();
        let before = self.asked.iter_mut().find(|(known, _)| *known == asked);
        let times = if let Some((_, times)) = before {
            *times += 1;
            *times
        } else {
            self.asked.push((asked, 1));
            1
        };
        let mut heard = Fnv::default();
        (asked, times, now).hash(&mut heard);
        let _ = write!(heard, "{answer:?}");
        self.heard = self.heard.wrapping_add(heard.finish());
    }
}

impl Sim {
    pub(crate) fn new(world: World, tracing: bool) -> Self {
        Self(Arc::new(Mutex::new(Core {
            world,
            waiting: Vec::new(),
            trace: tracing.then(Vec::new),
            free: None,
            current: 0,
            processes: Vec::new(),
            verdicts: Vec::new(),
            next: 0,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.lock().world.now
    }

    /// A number that differs every time, and is the same in every run.
    pub(crate) fn chance(&self) -> u64 {
        let mut core = self.lock();
        let process = core.current;
        let ids = &mut core.processes[process].ids;
        *ids += 1;
        (process as u64) << 32 | *ids
    }

    /// One step: the effect at one instant, and what the process hears of it.
    pub(crate) async fn step<T: Debug>(
        &self,
        kind: Kind,
        label: impl FnOnce() -> String,
        effect: impl Fn(&mut World) -> T + Send + Sync + 'static,
    ) -> Result<T, NoAnswer> {
        let label = label();
        let verdict = Wait { sim: self, step: None, label: &label, kind }.await;
        let mut core = self.lock();
        let core = &mut *core;
        let answer = match verdict {
            Verdict::Done => Ok(effect(&mut core.world)),
            Verdict::Refused => Err(NoAnswer::Refused),
            Verdict::Lost => {
                effect(&mut core.world);
                Err(NoAnswer::Unknown)
            }
            Verdict::Late => {
                let until = core.world.now.plus(LATE);
                let effect: Effect = Arc::new(move |world| {
                    effect(world);
                });
                core.world.ledger.late = true;
                core.world.late.push(Late { until, label: label.clone(), effect });
                Err(NoAnswer::Unknown)
            }
        };
        if kind != Kind::Read {
            core.world.check();
        }
        core.note(|| match &answer {
            Ok(answer) => format!("{label}: {answer:?}"),
            Err(_) => format!("{label}: {verdict:?}"),
        });
        let now = core.world.now;
        core.processes[core.current].hear(&label, &answer, now);
        answer
    }
}

/// Waits for the verdict on a step.
struct Wait<'a> {
    sim: &'a Sim,
    step: Option<u64>,
    label: &'a str,
    kind: Kind,
}

impl Future for Wait<'_> {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        let mut core = self.sim.lock();
        if let Some(step) = self.step {
            let Some(found) = core.verdicts.iter().position(|(of, _)| *of == step) else {
                return Poll::Pending;
            };
            return Poll::Ready(core.verdicts.swap_remove(found).1);
        }
        match &mut core.free {
            // A process that is cut off in the middle.
            Some(0) => return Poll::Pending,
            Some(left) => {
                *left -= 1;
                return Poll::Ready(Verdict::Done);
            }
            None => {}
        }
        let step = core.next;
        core.next += 1;
        let waiting = Waiting {
            process: core.current,
            kind: self.kind,
            step,
            label: self.label.to_owned(),
            waker: context.waker().clone(),
        };
        core.waiting.push(waiting);
        drop(core);
        self.step = Some(step);
        Poll::Pending
    }
}

impl Core {
    /// Lets so many steps be taken as they come; with `None` each one waits for its verdict.
    pub(crate) fn set_free(&mut self, free: Option<u32>) {
        self.free = free;
    }

    /// Says which process is polled next, one that is new where it is not known yet.
    pub(crate) fn set_current(&mut self, process: usize) {
        while self.processes.len() <= process {
            self.processes.push(Process::default());
        }
        self.current = process;
    }

    /// Gives a waiting step its verdict.
    pub(crate) fn give(&mut self, waiting: usize, verdict: Verdict) {
        let Waiting { process, step, label, waker, .. } = self.waiting.remove(waiting);
        if verdict != Verdict::Done {
            self.note(|| format!("process {process}: {label} will be {verdict:?}"));
        }
        self.set_current(process);
        self.verdicts.push((step, verdict));
        waker.wake();
    }

    /// Forgets a process that is killed.
    pub(crate) fn kill(&mut self, process: usize) {
        self.waiting.retain(|waiting| waiting.process != process);
        self.note(|| format!("process {process} is killed"));
    }

    /// A line for the reader of the trace.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let (now, current) = (self.world.now, self.current);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now} [{current}] {}", line()));
        }
    }

    /// Everything that decides what can still happen, as one number.
    pub(crate) fn digest(&self, faults: u8, alive: &[bool], answered: &[bool]) -> u64 {
        let mut hash = Fnv::default();
        self.world.hash(&mut hash);
        (faults, answered).hash(&mut hash);
        for (process, alive) in self.processes.iter().zip(alive) {
            alive.then_some(process.heard).hash(&mut hash);
        }
        hash.finish()
    }
}
