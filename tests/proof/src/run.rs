//! One run: a beginning, some roles at the same time in one order with some faults, and the
//! healing after it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::noop_waker;
use shared::calls::CallState;
use shared::clock::Timestamp;
use shared::ids::CallId;

use crate::explore::{Chooser, Outcome};
use crate::mutants::Mutant;
use crate::roles::{Handlers, LIMITS, Names, Part, Role};
use crate::sim::{Kind, Sim, Verdict};
use crate::world::{Late, World};

/// How a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// There is nothing.
    Nothing,
    /// An attempt to create call X died, at any point, and its lease has run out.
    Dead,
    /// Call X is active, and nobody has joined it.
    Active,
    /// Call X is active, somebody has joined it, and it is due to be looked at.
    Joined,
    /// Call X is active, everybody has left it, and it is due to be looked at.
    Left,
    /// Call X is active, and nobody has joined it in time.
    NotJoined,
    /// The end of call X died, at any point, and is due to be tried again.
    Stuck,
    /// Call X has ended, and is due for its second look, before which a late request has brought
    /// its channel back.
    CameBack,
}

impl Start {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Dead,
        Self::Active,
        Self::Joined,
        Self::Left,
        Self::NotJoined,
        Self::Stuck,
        Self::CameBack,
    ];
}

impl Start {
    /// How many faults it takes to come about.
    pub(crate) fn faults(self) -> u8 {
        u8::from(matches!(self, Self::Dead | Self::Stuck | Self::CameBack))
    }
}

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How it begins.
    pub start: Start,
    /// Who takes part.
    pub roles: Vec<Role>,
    /// How many faults there are at most.
    pub faults: u8,
}

/// A run in progress.
pub(crate) struct Run<'a> {
    pub(crate) sim: Sim,
    handlers: Handlers,
    chooser: &'a mut dyn Chooser,
    names: Arc<Names>,
    /// The next process that plays alone.
    solo: usize,
}

/// What can happen next.
#[derive(Clone, Copy)]
enum Next {
    /// A waiting step gets its verdict.
    Give(usize, Verdict),
    /// Time passes although somebody has something to do, and is slow with it.
    Slow(usize),
    /// A process dies.
    Kill(usize),
    /// A late request takes effect.
    Late(usize),
}

/// The processes with lower numbers play together.
const MOST_ROLES: usize = 4;
const BEGINNING: Timestamp = Timestamp::from_secs(1_767_225_600);
/// Within which a call is closed that nobody cares for any more.
const ABANDONED: Duration = Duration::from_mins(11);
/// Within which nothing is left of a call that was never active.
const FAILED_CREATE: Duration = Duration::from_secs(130);
/// Within which nothing is left of a call whose end was acknowledged.
const ACKNOWLEDGED_END: Duration = Duration::from_secs(250);

impl<'a> Run<'a> {
    pub(crate) fn new(
        names: &Arc<Names>,
        mutant: Option<Mutant>,
        tracing: bool,
        chooser: &'a mut dyn Chooser,
    ) -> Self {
        let world = World::new(BEGINNING);
        let sim = Sim::new(world, tracing);
        let handlers = Handlers::new(&sim, names, mutant);
        Self { sim, handlers, chooser, names: Arc::clone(names), solo: MOST_ROLES }
    }

    /// Runs it, as far as it is of interest.
    pub(crate) fn go(&mut self, scenario: &Scenario) -> Outcome {
        self.begin(scenario.start);
        let Some(repeats) = self.together(scenario) else { return Outcome::Known };
        let wrong = self.wrong().or_else(|| self.heal(&repeats)).or_else(|| self.wrong());
        wrong.map_or(Outcome::Good, Outcome::Wrong)
    }

    fn wrong(&self) -> Option<String> {
        self.sim.lock().world.wrong.clone()
    }

    /// Plays a role alone and without faults, to its end or for so many steps.
    fn alone(&mut self, role: Role, steps: u32) -> bool {
        // A process of its own each time, so that nobody's ids are used twice.
        let process = self.solo;
        self.solo += 1;
        {
            let mut core = self.sim.lock();
            core.set_free(Some(steps));
            core.set_current(process);
            core.note(|| format!("{role:?}, alone"));
        }
        let mut part = self.handlers.play(role);
        let done = poll(&mut part) == Poll::Ready(Some(()));
        self.sim.lock().set_free(None);
        done
    }

    fn pass(&mut self, span: Duration) {
        let mut core = self.sim.lock();
        core.world.now = core.world.now.plus(span);
    }

    fn choose(&mut self, options: usize) -> usize {
        if options < 2 { 0 } else { self.chooser.choose(options) }
    }

    /// Brings the beginning about, by the same handlers.
    fn begin(&mut self, start: Start) {
        let all = u32::MAX;
        match start {
            Start::Nothing => {}
            Start::Dead => {
                let steps = self.choose(6);
                self.alone(Role::Create, u32::try_from(steps).unwrap_or(0));
                self.pass(Duration::from_secs(31));
            }
            Start::Active => {
                self.alone(Role::Create, all);
            }
            Start::NotJoined => {
                self.alone(Role::Create, all);
                self.pass(LIMITS.ring_timeout);
            }
            Start::Joined => {
                self.alone(Role::Create, all);
                self.pass(Duration::from_secs(10));
                self.alone(Role::Join, all);
                self.pass(LIMITS.ring_timeout);
            }
            Start::Left => {
                self.alone(Role::Create, all);
                self.pass(Duration::from_secs(10));
                self.alone(Role::Join, all);
                self.pass(Duration::from_secs(10));
                self.alone(Role::SessionEnds, all);
            }
            Start::Stuck => {
                self.alone(Role::Create, all);
                self.pass(Duration::from_secs(10));
                let steps = self.choose(5) + 1;
                self.alone(Role::End, u32::try_from(steps).unwrap_or(1));
                self.pass(Duration::from_secs(31));
            }
            Start::CameBack => {
                self.alone(Role::Create, all);
                self.pass(Duration::from_secs(10));
                self.alone(Role::End, all);
                self.pass(Duration::from_secs(181));
                let channel = self.names.x.channel().to_string();
                self.sim.lock().world.channels.insert(channel, "alice".to_owned());
            }
        }
        self.sim.lock().world.ledger.late = false;
    }

    /// Plays the roles at the same time; those that got no answer are to be repeated. `None`
    /// where this leads to what is known already.
    fn together(&mut self, scenario: &Scenario) -> Option<Vec<Role>> {
        let mut parts: Vec<Option<Part>> =
            scenario.roles.iter().map(|role| Some(self.handlers.play(*role))).collect();
        let mut answered = vec![false; parts.len()];
        let mut faults = scenario.faults;
        for process in 0..parts.len() {
            self.advance(&mut parts, &mut answered, process);
        }
        while parts.iter().any(Option::is_some) {
            if self.wrong().is_some() {
                return Some(Vec::new());
            }
            let alive: Vec<bool> = parts.iter().map(Option::is_some).collect();
            if !self.is_news(faults, &alive, &answered) {
                return None;
            }
            let options = self.options(&alive, faults);
            let chosen = self.choose(options.len());
            match options.get(chosen).copied()? {
                Next::Give(waiting, verdict) => {
                    let mut core = self.sim.lock();
                    let process = core.waiting[waiting].process;
                    core.give(waiting, verdict);
                    drop(core);
                    faults -= u8::from(verdict != Verdict::Done);
                    self.advance(&mut parts, &mut answered, process);
                }
                Next::Slow(waiting) => {
                    faults -= 1;
                    let mut core = self.sim.lock();
                    let process = core.waiting[waiting].process;
                    core.give(waiting, Verdict::Done);
                    drop(core);
                    self.advance(&mut parts, &mut answered, process);
                }
                Next::Kill(process) => {
                    faults -= 1;
                    parts[process] = None;
                    self.sim.lock().kill(process);
                }
                Next::Late(late) => self.apply_late(late),
            }
        }
        // What happens from here on knows no more faults.
        let alive = vec![false; parts.len()];
        if !self.is_news(0, &alive, &answered) {
            return None;
        }
        let unanswered = scenario.roles.iter().zip(&answered).filter(|(_, answered)| !**answered);
        Some(unanswered.map(|(role, _)| *role).filter(|role| role.is_repeated()).collect())
    }

    fn is_news(&mut self, faults: u8, alive: &[bool], answered: &[bool]) -> bool {
        let digest = self.sim.lock().digest(faults, alive, answered);
        self.chooser.is_news(digest)
    }

    fn advance(&mut self, parts: &mut [Option<Part>], answered: &mut [bool], process: usize) {
        let Some(part) = &mut parts[process] else { return };
        self.sim.lock().set_current(process);
        if let Poll::Ready(answer) = poll(part) {
            answered[process] = answer.is_some();
            parts[process] = None;
        }
    }

    fn options(&self, alive: &[bool], faults: u8) -> Vec<Next> {
        let core = self.sim.lock();
        let mut options = Vec::new();
        // Steps take no time: it passes when everybody waits for it, or somebody is slow.
        let idle = core.waiting.iter().all(|waiting| waiting.kind == Kind::Wait);
        for (index, waiting) in core.waiting.iter().enumerate() {
            match waiting.kind {
                Kind::Wait if idle => options.push(Next::Give(index, Verdict::Done)),
                Kind::Wait if faults > 0 => options.push(Next::Slow(index)),
                Kind::Wait => {}
                _ => options.push(Next::Give(index, Verdict::Done)),
            }
            if faults > 0 {
                match waiting.kind {
                    Kind::Read => options.push(Next::Give(index, Verdict::Refused)),
                    Kind::Write => options.extend(
                        [Verdict::Refused, Verdict::Lost, Verdict::Late]
                            .map(|verdict| Next::Give(index, verdict)),
                    ),
                    Kind::Wait | Kind::Nature => {}
                }
            }
        }
        options.extend((0..core.world.late.len()).map(Next::Late));
        if faults > 0 {
            let processes = alive.iter().enumerate().filter(|(_, alive)| **alive);
            options.extend(processes.map(|(process, _)| Next::Kill(process)));
        }
        options
    }

    fn apply_late(&mut self, late: usize) {
        let mut core = self.sim.lock();
        let Late { label, effect, .. } = core.world.late.remove(late);
        effect(&mut core.world);
        core.world.check();
        core.note(|| format!("late: {label}"));
    }

    /// Clients repeat what got no answer, or do not; the sweeper runs every minute; what is late
    /// comes as late as it can. Then nothing may be left.
    fn heal(&mut self, repeats: &[Role]) -> Option<String> {
        for role in repeats {
            if self.choose(2) == 1 {
                self.pass(Duration::from_secs(1));
                self.alone(*role, u32::MAX);
            }
        }
        let from = self.sim.now();
        while self.sim.lock().world.wrong.is_none() && self.tick(from) {
            if self.sim.now().since(from) > Duration::from_mins(30) {
                return Some("it is never over".to_owned());
            }
        }
        let world = &self.sim.lock().world;
        if world.wrong.is_some() {
            return None;
        }
        let open = world.items.values().find(|item| item.call.state != CallState::Ended);
        if let Some(item) = open {
            return Some(format!("{} stays {:?}", item.call.call_id, item.call.state));
        }
        None
    }

    /// The next minute in which there is something to do; whether there is one.
    fn tick(&mut self, from: Timestamp) -> bool {
        let minute = 60_000;
        let empty = from.plus(LIMITS.inactivity_timeout);
        {
            let mut core = self.sim.lock();
            let world = &mut core.world;
            let due = world.items.values().filter_map(|item| item.due_at);
            let late = world.late.iter().map(|late| late.until);
            let Some(next) = due.chain(late).min() else { return false };
            let next = next.max(world.now.plus(Duration::from_millis(1))).as_millis();
            let next = Timestamp::from_millis((next + minute - 1) / minute * minute);
            world.now = next;
            if next >= empty {
                for live in world.calls.values_mut() {
                    if let Some(session) = &mut live.session {
                        session.ended_at.get_or_insert(empty);
                    }
                }
            }
        }
        let now = self.sim.now();
        loop {
            let found = self.sim.lock().world.late.iter().position(|late| late.until <= now);
            let Some(late) = found else { break };
            self.apply_late(late);
        }
        self.alone(Role::Sweep, u32::MAX);
        let mut core = self.sim.lock();
        let broken = bounds(&core.world, from);
        if let Some(broken) = broken {
            core.world.accuse(|| broken);
        }
        true
    }
}

/// What should be closed by now, and is not.
fn bounds(world: &World, from: Timestamp) -> Option<String> {
    let now = world.now;
    let over = |since: &Timestamp, most: Duration| now.since(*since) > most;
    for (id, since) in &world.ledger.acknowledged_ends {
        if over(since, ACKNOWLEDGED_END) && !world.is_clear(id) {
            return Some(format!("{id} is not clear 250 s after its acknowledged end"));
        }
    }
    // What takes effect late may come after that; the second look is for it.
    if over(&from, FAILED_CREATE) && !world.ledger.late {
        let failed = |id: &&CallId| !world.ledger.active.contains(*id);
        let left = world.ledger.begun.iter().filter(failed).find(|id| !world.is_clear(id));
        if let Some(id) = left {
            return Some(format!("{id} is not clear 130 s after its creation failed"));
        }
    }
    if over(&from, ABANDONED) {
        for (id, item) in &world.items {
            if item.call.state != CallState::Ended || !world.is_clear(id) {
                return Some(format!("{id} is not closed after 11 minutes"));
            }
        }
    }
    None
}

fn poll(part: &mut Part) -> Poll<Option<()>> {
    part.as_mut().poll(&mut Context::from_waker(&noop_waker()))
}
