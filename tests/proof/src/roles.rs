//! Who takes part in a run: the real handlers, and Stream's own doings that its events tell of.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shared::auth::Caller;
use shared::calls::sweep::{Bounds, NoEpilogue, Shard, Sweeper};
use shared::calls::{Ask, CallState, CallType, Calls, EndReason, Hearing, Limits};
use shared::clock::{Clock, Deadline, Timestamp};
use shared::ids::{CallId, UserId};
use shared::limits::Admission;
use shared::random::Random;
use shared::stream::Stream;
use shared::stream::event::{CallNews, Event, News};
use uuid::Uuid;

use crate::mutants::Mutant;
use crate::sim::{Kind, Sim};
use crate::store::Table;
use crate::stream::Wire;
use crate::world::{Session, World};

/// What the handlers are given of the environment.
pub(crate) const LIMITS: Limits = Limits {
    max_duration: Duration::from_hours(4),
    inactivity_timeout: Duration::from_mins(5),
    ring_timeout: Duration::from_mins(2),
};

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Alice calls Bob, as call X.
    Create,
    /// The same, while they may have other calls open.
    CreateParallel,
    /// Alice calls Bob, as call X, and asks for something else.
    CreateOther,
    /// Alice calls Bob a second time, as call Y.
    CreateAgain,
    /// Bob calls Alice, as call Y.
    CreateBack,
    /// Alice ends call X.
    End,
    /// Bob ends call X.
    EndByOther,
    /// Somebody joins call X.
    Join,
    /// The session of call X ends.
    SessionEnds,
    /// The session of call X ends, and somebody joins it again before its event is told.
    SessionEndsAndAnother,
    /// Call X is ended at Stream, and the event is told twice.
    StreamEnds,
    /// The channel of call X is deleted at Stream.
    ChannelDeleted,
    /// A sweep.
    Sweep,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Create,
        Self::CreateParallel,
        Self::CreateOther,
        Self::CreateAgain,
        Self::CreateBack,
        Self::End,
        Self::EndByOther,
        Self::Join,
        Self::SessionEnds,
        Self::SessionEndsAndAnother,
        Self::StreamEnds,
        Self::ChannelDeleted,
        Self::Sweep,
    ];

    /// Whether a client that gets no answer asks again.
    pub(crate) fn is_repeated(self) -> bool {
        use Role::{Create, CreateAgain, CreateBack, CreateOther, CreateParallel, End, EndByOther};
        matches!(
            self,
            Create | CreateParallel | CreateOther | CreateAgain | CreateBack | End | EndByOther
        )
    }
}

/// The real handlers over the run's world.
#[derive(Clone)]
pub(crate) struct Handlers {
    pub(crate) sim: Sim,
    calls: Calls,
    hearing: Hearing,
    sweeper: Sweeper,
    names: Arc<Names>,
}

/// The ids of a run.
pub(crate) struct Names {
    pub(crate) x: CallId,
    pub(crate) y: CallId,
    alice: UserId,
    bob: UserId,
    shard: Shard,
}

/// What comes of a role; `None` where it got no answer, or a refusal.
pub(crate) type Part = Pin<Box<dyn Future<Output = Option<()>>>>;

impl Names {
    /// Two calls in one shard of the index, so that the other ones are empty.
    pub(crate) fn new() -> Option<Self> {
        let call = |text: String| CallId::try_from(text).ok();
        let x = call("x".to_owned())?;
        let shard = Shard::of(&x);
        let y = (0..).find_map(|n| call(format!("y{n}")).filter(|id| Shard::of(id) == shard))?;
        let user = |name: &str| UserId::try_from(name.to_owned()).ok();
        Some(Self { x, y, alice: user("alice")?, bob: user("bob")?, shard })
    }
}

#[async_trait]
impl Clock for Sim {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    async fn sleep(&self, span: Duration) {
        let until = Self::now(self).plus(span);
        let pass = move |world: &mut World| world.now = world.now.max(until);
        let _ = self.step(Kind::Wait, || format!("wait until {until}"), pass).await;
    }
}

impl Random for Sim {
    fn uuid_v4(&self) -> Uuid {
        Uuid::from_u64_pair(0, self.chance())
    }
}

impl Handlers {
    pub(crate) fn new(sim: &Sim, names: &Arc<Names>, mutant: Option<Mutant>) -> Self {
        let table = Arc::new(Table { sim: sim.clone(), mutant, shard: names.shard });
        let wire = Wire { sim: sim.clone(), mutant };
        let clock = Arc::new(sim.clone());
        let stream = Stream::new(Arc::new(wire), clock.clone(), clock.clone());
        let calls = Calls {
            store: table.clone(),
            users: table.clone(),
            stream,
            clock: clock.clone(),
            random: clock.clone(),
        };
        let bounds =
            Bounds { max_duration: LIMITS.max_duration, ring_timeout: LIMITS.ring_timeout };
        Self {
            sim: sim.clone(),
            sweeper: Sweeper {
                calls: calls.clone(),
                due: table.clone(),
                bounds,
                epilogue: Arc::new(NoEpilogue),
            },
            hearing: Hearing {
                calls: table.clone(),
                users: table.clone(),
                evidence: table,
                clock,
                inactivity_timeout: LIMITS.inactivity_timeout,
            },
            calls,
            names: Arc::clone(names),
        }
    }

    /// A role, ready to be polled.
    pub(crate) fn play(&self, role: Role) -> Part {
        let own = self.clone();
        match role {
            Role::Create | Role::CreateParallel | Role::CreateOther => {
                Box::pin(async move { own.create(role, true).await })
            }
            Role::CreateAgain => Box::pin(async move { own.create(role, true).await }),
            Role::CreateBack => Box::pin(async move { own.create(role, false).await }),
            Role::End => Box::pin(async move { own.end(own.names.alice.clone()).await }),
            Role::EndByOther => Box::pin(async move { own.end(own.names.bob.clone()).await }),
            Role::Sweep => Box::pin(async move { own.sweep().await }),
            Role::Join
            | Role::SessionEnds
            | Role::SessionEndsAndAnother
            | Role::StreamEnds
            | Role::ChannelDeleted => Box::pin(async move { own.nature(role).await }),
        }
    }

    async fn create(&self, role: Role, by_alice: bool) -> Option<()> {
        let Names { x, y, alice, bob, .. } = &*self.names;
        let second = matches!(role, Role::CreateAgain | Role::CreateBack);
        let (owner, other) = if by_alice { (alice, bob) } else { (bob, alice) };
        let call_type = if role == Role::CreateOther { CallType::Voice } else { CallType::Video };
        let ask = Ask {
            id: if second { y } else { x }.clone(),
            owner: owner.clone(),
            members: vec![owner.clone(), other.clone()],
            call_type,
            ring: false,
            custom: None,
            parallel: role == Role::CreateParallel,
        };
        let deadline = Deadline::after(self.sim.now(), Duration::from_secs(10));
        let admission = Admission::default();
        let created = self.calls.create(&ask, LIMITS, admission, deadline).await.ok()?;
        let mut core = self.sim.lock();
        let id = created.call.call_id;
        if !core.world.ledger.active.contains(&id) || created.call.state != CallState::Active {
            core.world.accuse(|| format!("{id} was acknowledged and never active"));
        }
        core.note(|| format!("{role:?} is answered with {id}, created: {}", created.created));
        Some(())
    }

    async fn end(&self, by: UserId) -> Option<()> {
        let caller = Caller { user: by, role: None, service: false, issued_at: None };
        let id = &self.names.x;
        let deadline = Deadline::after(self.sim.now(), Duration::from_secs(10));
        let ended = self.calls.end(&caller, id, &EndReason::default(), deadline).await.ok()?;
        let mut core = self.sim.lock();
        let now = core.world.now;
        core.world.ledger.acknowledged_ends.entry(id.clone()).or_insert(now);
        core.world.check();
        core.note(|| format!("the end is answered with {:?}", ended.state));
        Some(())
    }

    async fn sweep(&self) -> Option<()> {
        let deadline = Deadline::after(self.sim.now(), Duration::from_secs(45));
        self.sweeper.sweep(deadline).await.ok().map(|_| ())
    }

    /// Something happens at Stream, if it can, and Stream tells of it; again if it must.
    async fn nature(&self, role: Role) -> Option<()> {
        let id = self.names.x.clone();
        let happens = {
            let id = id.clone();
            move |world: &mut World| happen(role, &id, world)
        };
        let news = self.sim.step(Kind::Nature, || format!("{role:?}"), happens).await.ok()??;
        let at = self.sim.now();
        // An event is repeated after a failure, and now and then for no reason at all.
        let copies = if role == Role::StreamEnds { 2 } else { 1 };
        for _ in 0..copies {
            let event = || Event { at, news: News::Call(id.clone(), news.clone()) };
            if self.hearing.hear(event()).await.is_err() {
                let _ = self.hearing.hear(event()).await;
            }
        }
        Some(())
    }
}

/// What happens at Stream; `None` where it cannot.
fn happen(role: Role, id: &CallId, world: &mut World) -> Option<CallNews> {
    let now = world.now;
    if role == Role::ChannelDeleted {
        world.channels.remove(&id.channel().to_string())?;
        world.ledger.at_stream.insert(id.clone());
        return Some(CallNews::Gone);
    }
    let live = world.calls.get_mut(id.as_str()).filter(|live| live.ended_at.is_none())?;
    let going = live.session.as_mut().filter(|session| session.ended_at.is_none());
    match (role, going) {
        (Role::Join, _) => {
            live.session = Some(Session { started_at: now, ended_at: None });
            Some(CallNews::Started(now))
        }
        (Role::SessionEnds, Some(session)) => {
            session.ended_at = Some(now);
            Some(CallNews::SessionEnded)
        }
        (Role::SessionEndsAndAnother, Some(_)) => {
            live.session = Some(Session { started_at: now, ended_at: None });
            Some(CallNews::SessionEnded)
        }
        (Role::StreamEnds, _) => {
            live.ended_at = Some(now);
            world.ledger.at_stream.insert(id.clone());
            Some(CallNews::Ended(now))
        }
        _ => None,
    }
}
