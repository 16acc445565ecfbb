//! The actors of a run: the real handlers, and changes at Stream that send events.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shared::auth::Caller;
use shared::calls::presence::Leave;
use shared::calls::sweep::{NoopObserver, Shard};
use shared::calls::{
    CallState, CallTimeouts, CallType, CreateCall, CreateResult, EndReason, ExtendCall, WhenBusy,
};
use shared::clock::{Clock, Deadline, Timestamp};
use shared::error::{ApiError, Code};
use shared::ids::{CallId, CallTypeName, UserId};
use shared::random::Random;
use shared::rate_limiter::Permit;
use shared::stream::event::{CallEvent, Event, EventKind, Reject};
use uuid::Uuid;

use crate::mutants::Mutant;
use crate::services::{Configuration, Services};
use crate::sim::{Sim, StepKind};
use crate::state::{ModelState, ReportedLeave};
use crate::stream_events;

/// The configured timeouts.
pub(crate) const TIMEOUTS: CallTimeouts = CallTimeouts {
    max_duration: Duration::from_hours(4),
    inactivity_timeout: Duration::from_mins(5),
    ring_timeout: Duration::from_mins(2),
    alone_timeout: Duration::from_mins(1),
};

/// The maximum duration of a limited call, in seconds.
const SHORT_LIMIT: u64 = 60;

/// A concurrent actor of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Alice creates call X with Bob.
    Create,
    /// Alice creates call X with Bob, with `allowParallel`.
    CreateParallel,
    /// Alice creates call X with Bob, for 60 seconds at most.
    CreateLimited,
    /// Alice creates call X with Bob, by a request that differs from that of `Create`.
    CreateConflicting,
    /// Alice creates call Y with Bob.
    CreateSecond,
    /// Bob creates call Y with Alice.
    CreateReverse,
    /// Alice creates call Y with Bob by an `Idempotency-Key`, and repeats the request.
    CreateKeyed,
    /// Alice calls Bob again, with a ring: the request is for call Y.
    Redial,
    /// Bob calls Alice, with a ring: the request is for call W.
    CallBack,
    /// Carol calls Bob, with a ring: the request is for call Z.
    CallBusy,
    /// Alice ends call X.
    End,
    /// Bob ends call X.
    EndByCallee,
    /// A service extends call X.
    Extend,
    /// Bob joins call X.
    Join,
    /// Alice joins call X.
    JoinByCaller,
    /// Bob joins call X with a second device.
    JoinBySecondDevice,
    /// Bob leaves call X with the device that joined first.
    Leave,
    /// The event of an earlier leave of Bob arrives.
    LateLeave,
    /// Bob rejects call X.
    Reject,
    /// Bob's client rejects call X, since Bob is in another call.
    RejectBusy,
    /// Alice cancels call X.
    Cancel,
    /// The session of call X ends.
    SessionEnds,
    /// The session of call X ends, and Bob joins again before the event arrives.
    SessionRestarts,
    /// Call X ends at Stream, and the event arrives twice.
    StreamEndsCall,
    /// The channel of call X is deleted at Stream.
    ChannelDeleted,
    /// A sweep runs.
    Sweep,
}

impl Actor {
    /// All actors.
    pub const ALL: [Self; 26] = [
        Self::Create,
        Self::CreateParallel,
        Self::CreateLimited,
        Self::CreateConflicting,
        Self::CreateSecond,
        Self::CreateReverse,
        Self::CreateKeyed,
        Self::Redial,
        Self::CallBack,
        Self::CallBusy,
        Self::End,
        Self::EndByCallee,
        Self::Extend,
        Self::Join,
        Self::JoinByCaller,
        Self::JoinBySecondDevice,
        Self::Leave,
        Self::LateLeave,
        Self::Reject,
        Self::RejectBusy,
        Self::Cancel,
        Self::SessionEnds,
        Self::SessionRestarts,
        Self::StreamEndsCall,
        Self::ChannelDeleted,
        Self::Sweep,
    ];

    /// Whether a client may repeat the request after a failure.
    pub(crate) fn is_retried(self) -> bool {
        use Actor::{
            CallBack, CallBusy, Create, CreateConflicting, CreateKeyed, CreateLimited,
            CreateParallel, CreateReverse, CreateSecond, End, EndByCallee, Extend, Redial,
        };
        matches!(
            self,
            Create
                | CreateParallel
                | CreateLimited
                | CreateConflicting
                | CreateSecond
                | CreateReverse
                | CreateKeyed
                | Redial
                | CallBack
                | CallBusy
                | End
                | EndByCallee
                | Extend
        )
    }
}

/// The real handlers, running on the model.
#[derive(Clone)]
pub(crate) struct Handlers {
    pub(crate) sim: Sim,
    services: Services,
    ids: Arc<TestIds>,
    mutant: Option<Mutant>,
}

/// The ids of the calls and users.
pub(crate) struct TestIds {
    pub(crate) call_x: CallId,
    pub(crate) call_y: CallId,
    call_z: CallId,
    call_w: CallId,
    pub(crate) alice: UserId,
    pub(crate) bob: UserId,
    carol: UserId,
    service_user: UserId,
    shard: Shard,
}

/// The future of an actor. `None` means that the client got no response or an error.
pub(crate) type ActorFuture = Pin<Box<dyn Future<Output = Option<()>>>>;

impl TestIds {
    /// Creates ids of four calls in the same shard of the due index, so that the other shards are
    /// empty.
    pub(crate) fn new() -> Option<Self> {
        let call = |text: String| CallId::try_from(text).ok();
        let call_x = call("x".to_owned())?;
        let shard = Shard::from_call_id(&call_x);
        let call_in_shard = |letter: char| {
            let mut ids = (0..).map_while(|n| call(format!("{letter}{n}")));
            ids.find(|id| Shard::from_call_id(id) == shard)
        };
        let [call_y, call_z, call_w] = ['y', 'z', 'w'].map(call_in_shard);
        let (call_y, call_z, call_w) = (call_y?, call_z?, call_w?);
        let user = |name: &str| UserId::try_from(name.to_owned()).ok();
        let [alice, bob, carol, service_user] = ["alice", "bob", "carol", "service"].map(user);
        let (alice, bob, carol, service_user) = (alice?, bob?, carol?, service_user?);
        Some(Self { call_x, call_y, call_z, call_w, alice, bob, carol, service_user, shard })
    }
}

#[async_trait]
impl Clock for Sim {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    async fn sleep(&self, duration: Duration) {
        let until = Self::now(self).plus(duration);
        let advance = move |model: &mut ModelState| model.now = model.now.max(until);
        let _ = self.step(StepKind::Wait, || format!("wait until {until}"), advance).await;
    }
}

impl Random for Sim {
    fn uuid_v4(&self) -> Uuid {
        Uuid::from_u64_pair(0, self.next_id())
    }
}

impl Handlers {
    pub(crate) fn new(sim: &Sim, ids: &Arc<TestIds>, mutant: Option<Mutant>) -> Self {
        let configuration = Configuration {
            shard: ids.shard,
            service_user: ids.service_user.clone(),
            timeouts: TIMEOUTS,
            observer: Arc::new(NoopObserver),
        };
        let services = Services::new(sim, configuration, mutant);
        Self { sim: sim.clone(), services, ids: Arc::clone(ids), mutant }
    }

    /// Starts an actor. The caller polls the returned future.
    pub(crate) fn start(&self, actor: Actor) -> ActorFuture {
        let handlers = self.clone();
        match actor {
            Actor::Create
            | Actor::CreateParallel
            | Actor::CreateLimited
            | Actor::CreateConflicting => {
                Box::pin(async move { handlers.create(actor, true).await })
            }
            Actor::CreateSecond | Actor::Redial => {
                Box::pin(async move { handlers.create(actor, true).await })
            }
            Actor::CreateReverse | Actor::CallBack => {
                Box::pin(async move { handlers.create(actor, false).await })
            }
            Actor::CreateKeyed => Box::pin(async move { handlers.create_keyed().await }),
            Actor::CallBusy => Box::pin(async move { handlers.call_busy().await }),
            Actor::End => Box::pin(async move { handlers.end(handlers.ids.alice.clone()).await }),
            Actor::EndByCallee => {
                Box::pin(async move { handlers.end(handlers.ids.bob.clone()).await })
            }
            Actor::Extend => Box::pin(async move { handlers.extend().await }),
            Actor::Sweep => Box::pin(async move { handlers.sweep().await }),
            Actor::Join
            | Actor::JoinByCaller
            | Actor::JoinBySecondDevice
            | Actor::Leave
            | Actor::LateLeave
            | Actor::Reject
            | Actor::RejectBusy
            | Actor::Cancel
            | Actor::SessionEnds
            | Actor::SessionRestarts
            | Actor::StreamEndsCall
            | Actor::ChannelDeleted => {
                Box::pin(async move { handlers.run_stream_event(actor).await })
            }
        }
    }

    async fn create(&self, actor: Actor, by_alice: bool) -> Option<()> {
        let TestIds { call_x, call_y, call_w, alice, bob, .. } = &*self.ids;
        let rings = matches!(actor, Actor::Redial | Actor::CallBack);
        let id = match actor {
            Actor::CallBack => call_w,
            Actor::Redial | Actor::CreateSecond | Actor::CreateReverse => call_y,
            _ => call_x,
        };
        let (owner, other) = if by_alice { (alice, bob) } else { (bob, alice) };
        let call_type =
            if actor == Actor::CreateConflicting { CallType::Voice } else { CallType::Video };
        let request = CreateCall {
            id: id.clone(),
            owner: owner.clone(),
            members: vec![owner.clone(), other.clone()],
            call_type,
            ring: rings,
            custom: None,
            parallel: actor == Actor::CreateParallel,
            max_duration_seconds: (actor == Actor::CreateLimited).then_some(SHORT_LIMIT),
            is_keyed: false,
            when_busy: WhenBusy::Reject,
        };
        self.send_create(actor, &request).await.ok().map(|_| ())
    }

    /// Alice creates call Y by an `Idempotency-Key`, and repeats the request. If an open call was
    /// returned and stored as the alias, the repeat returns no other call.
    async fn create_keyed(&self) -> Option<()> {
        let TestIds { call_y, alice, bob, .. } = &*self.ids;
        let request = CreateCall {
            id: call_y.clone(),
            owner: alice.clone(),
            members: vec![alice.clone(), bob.clone()],
            call_type: CallType::Video,
            ring: false,
            custom: None,
            parallel: false,
            max_duration_seconds: None,
            is_keyed: true,
            when_busy: WhenBusy::Reject,
        };
        self.send_create(Actor::CreateKeyed, &request).await.ok()?;
        let expected = {
            let core = self.sim.lock();
            core.model.aliases.get(call_y).map(|stored| stored.alias.answered_with.clone())
        };
        let repeated = self.send_create(Actor::CreateKeyed, &request).await.ok()?.call.call_id;
        if expected.is_some_and(|expected| expected != repeated) {
            let mut core = self.sim.lock();
            core.model.record_violation(|| format!("a repeat of {call_y} returned {repeated}"));
        }
        Some(())
    }

    /// Carol calls Bob. A create that is rejected as busy has nothing at Stream, so no phone rings.
    /// While Bob stays in an answered call, no create is successful.
    async fn call_busy(&self) -> Option<()> {
        let TestIds { call_z, bob, carol, .. } = &*self.ids;
        let request = CreateCall {
            id: call_z.clone(),
            owner: carol.clone(),
            members: vec![carol.clone(), bob.clone()],
            call_type: CallType::Video,
            ring: true,
            custom: None,
            parallel: false,
            max_duration_seconds: None,
            is_keyed: false,
            when_busy: WhenBusy::Reject,
        };
        let departures = self.sim.lock().model.departures_while_busy(bob);
        let error = match self.send_create(Actor::CallBusy, &request).await {
            Ok(created) => {
                let mut core = self.sim.lock();
                let is_busy =
                    departures.is_some() && departures == core.model.departures_while_busy(bob);
                if created.created && is_busy {
                    core.model.record_violation(|| format!("{call_z} rings a busy callee"));
                }
                return Some(());
            }
            Err(error) => error,
        };
        if error.code() != Code::UserBusy {
            return None;
        }
        let mut core = self.sim.lock();
        let model = &core.model;
        let exists_at_stream = model.stream_calls.contains_key(call_z.as_str())
            || model.stream_channels.contains_key(&call_z.channel().to_string());
        // Another attempt may hold the call.
        if exists_at_stream && !model.items.contains_key(call_z) {
            core.model.record_violation(|| format!("{call_z} was rejected as busy, and exists"));
        }
        core.model.history.rejected_as_busy.insert(call_z.clone());
        core.record_trace(|| format!("{call_z} is rejected as busy"));
        Some(())
    }

    /// Sends a create and checks its response.
    async fn send_create(
        &self,
        actor: Actor,
        request: &CreateCall,
    ) -> Result<CreateResult, ApiError> {
        let rings = request.ring;
        let departures = self.sim.lock().model.count_departures();
        let deadline = Deadline::after(self.sim.now(), Duration::from_secs(10));
        let permit = Permit::default();
        let created = self.services.calls.create(request, TIMEOUTS, permit, deadline).await?;
        let mut core = self.sim.lock();
        let id = created.call.call_id.clone();
        if !core.model.history.activated.contains(&id) || created.call.state != CallState::Active {
            core.model.record_violation(|| format!("{id} was acknowledged but never active"));
        }
        let has_rung = core.model.stream_calls.get(id.as_str()).is_some_and(|live| live.has_rung);
        if rings && (created.created || created.rung) && !has_rung {
            core.model.record_violation(|| format!("{id} was acknowledged and never rang"));
        }
        // A resumed create does not ring an open call, since another attempt may.
        let is_only_attempt = core.model.history.begins.get(&request.id).is_none_or(|n| *n < 2);
        let is_redial = rings && !created.created && id != request.id && is_only_attempt;
        // A participant may have left after the redial saw it.
        if is_redial
            && core.model.count_departures() == departures
            && core.model.is_silent(&id, &request.owner)
        {
            core.model.record_violation(|| format!("a redial returned {id} without a ring"));
        }
        core.record_trace(|| {
            format!("{actor:?} returns {id}, created: {}, rung: {}", created.created, created.rung)
        });
        drop(core);
        Ok(created)
    }

    async fn end(&self, user: UserId) -> Option<()> {
        let caller = Caller { user, role: None, is_service: false, session_started_at: None };
        let id = &self.ids.call_x;
        let deadline = Deadline::after(self.sim.now(), Duration::from_secs(10));
        let ended =
            self.services.ender.end(&caller, id, &EndReason::default(), deadline).await.ok()?;
        let mut core = self.sim.lock();
        let now = core.model.now;
        core.model.history.acknowledged_ends.entry(id.clone()).or_insert(now);
        core.model.check_invariants();
        core.record_trace(|| format!("the end returns {:?}", ended.state));
        Some(())
    }

    async fn extend(&self) -> Option<()> {
        let command = ExtendCall {
            max_duration_seconds: 2 * 60 * 60,
            inactivity_timeout: TIMEOUTS.inactivity_timeout,
        };
        let id = &self.ids.call_x;
        let deadline = Deadline::after(self.sim.now(), Duration::from_secs(10));
        let extended = self.services.extender.extend(id, command, deadline).await.ok()?;
        let mut core = self.sim.lock();
        let live = core.model.stream_calls.get(id.as_str());
        let is_at_stream =
            live.is_some_and(|live| live.max_duration_seconds == extended.max_duration_seconds);
        if !extended.is_limit_synced() || !is_at_stream {
            core.model.record_violation(|| format!("{id} was extended without Stream"));
        }
        core.record_trace(|| format!("the extend returns {:?}", extended.state));
        Some(())
    }

    async fn sweep(&self) -> Option<()> {
        let deadline = Deadline::after(self.sim.now(), Duration::from_secs(45));
        self.services.sweeper.sweep(deadline).await.ok().map(|_| ())
    }

    /// Applies a change at Stream, if it is possible, and delivers its event. A failed delivery is
    /// repeated once.
    async fn run_stream_event(&self, actor: Actor) -> Option<()> {
        let id = self.ids.call_x.clone();
        let effect = {
            let ids = Arc::clone(&self.ids);
            move |model: &mut ModelState| stream_events::apply(actor, &ids, model)
        };
        let call_event =
            self.sim.step(StepKind::StreamEvent, || format!("{actor:?}"), effect).await.ok()??;
        let delivered = self.mutated(call_event.clone());
        let at = self.sim.now();
        // Stream may also send an event twice without a failure.
        let copies = if actor == Actor::StreamEndsCall { 2 } else { 1 };
        for _ in 0..copies {
            let event = || Event {
                at,
                session: None,
                kind: EventKind::Call(id.with_type(&CallTypeName::default()), delivered.clone()),
            };
            let mut result = self.services.event_handler.handle(event()).await;
            if result.is_err() {
                result = self.services.event_handler.handle(event()).await;
            }
            if result.is_ok() {
                self.record_report(&call_event);
            }
        }
        Some(())
    }

    /// The event as the mutant delivers it.
    fn mutated(&self, mut event: CallEvent) -> CallEvent {
        if let CallEvent::Left(leave) = &mut event
            && self.mutant == Some(Mutant::LeavesByArrival)
        {
            leave.at = leave.at.plus(Duration::from_millis(20));
        }
        if let CallEvent::Rejected(reject) = &mut event
            && self.mutant == Some(Mutant::RejectReasonLost)
        {
            reject.reason = None;
        }
        event
    }

    /// Records an acknowledged event of a member, and checks that the call has it.
    fn record_report(&self, call_event: &CallEvent) {
        let id = &self.ids.call_x;
        let mut core = self.sim.lock();
        let model = &mut core.model;
        // The figures of a settled call are final.
        if model.items.get(id).is_none_or(|item| item.call.settlement.is_some()) {
            return;
        }
        match call_event {
            CallEvent::Joined(join) => {
                model.history.reported_joins.insert((id.clone(), join.user.clone()));
            }
            CallEvent::Left(Leave { user, joined_at: Some(joined_at), at, .. }) => {
                model.history.reported_leaves.insert(ReportedLeave {
                    id: id.clone(),
                    user: user.clone(),
                    joined_at: *joined_at,
                    left_at: *at,
                });
            }
            CallEvent::Rejected(Reject { user, reason }) => {
                if reason.as_deref() == Some("busy") {
                    model.history.reported_busy.insert((id.clone(), user.clone()));
                }
                return;
            }
            _ => return,
        }
        if let Some(live) = model.stream_calls.get_mut(id.as_str()) {
            live.unreported -= 1;
        }
        model.check_invariants();
    }
}
