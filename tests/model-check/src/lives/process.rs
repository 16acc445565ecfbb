//! The processes of a life: invocations of the real functions.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use shared::auth::Caller;
use shared::calls::{CallType, CreateCall, EndReason, ExtendCall, WhenBusy};
use shared::clock::Deadline;
use shared::history::HistoryProjector;
use shared::ids::{CallId, UserId};
use shared::rate_limiter::Permit;
use shared::stream::event::Event;
use shared::table_stream::StreamRecord;

use super::plan::Plan;
use crate::services::Services;
use crate::sim::Sim;

/// The future of a process. An error contains the records that failed, if it has records.
pub(super) type ProcessFuture = Pin<Box<dyn Future<Output = Result<(), Vec<String>>>>>;

/// What a process does.
#[derive(Clone, Debug)]
pub(super) enum ProcessKind {
    /// An attempt to create the call.
    Create(u8),
    /// A delivery of an event.
    Event(Delivery),
    Sweep,
    /// A request that its client does not repeat.
    Request,
    /// An invocation of the history's consumer.
    Projection {
        batch: Range<usize>,
        is_zombie: bool,
    },
}

/// A delivery of an event by Stream.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) event: Box<Event>,
    /// The number of the attempt.
    pub(super) attempt: u8,
    /// Whether the call was settled when the event arrived.
    pub(super) is_after_settlement: bool,
}

/// A process.
pub(super) struct Process {
    pub(super) kind: ProcessKind,
    pub(super) future: ProcessFuture,
    /// The longest time between two requests, in milliseconds.
    pub(super) max_latency: u64,
    /// The number of requests so far.
    pub(super) requests: u64,
    /// Whether a request has failed.
    pub(super) has_fault: bool,
}

/// Starts processes.
pub(super) struct Functions {
    pub(super) sim: Sim,
    pub(super) services: Services,
    pub(super) projector: HistoryProjector,
    pub(super) call: CallId,
    pub(super) members: Vec<UserId>,
}

impl Functions {
    fn deadline(&self, seconds: u64) -> Deadline {
        Deadline::after(self.sim.now(), Duration::from_secs(seconds))
    }

    pub(super) fn create(&self, plan: &Plan) -> Option<ProcessFuture> {
        let request = CreateCall {
            id: self.call.clone(),
            owner: self.members.first()?.clone(),
            members: self.members.clone(),
            call_type: CallType::Video,
            ring: true,
            custom: None,
            parallel: false,
            max_duration_seconds: plan.max_duration_seconds,
            is_keyed: false,
            when_busy: WhenBusy::Reject,
        };
        let (calls, timeouts) = (self.services.calls.clone(), plan.timeouts);
        let deadline = self.deadline(10);
        Some(Box::pin(async move {
            let created = calls.create(&request, timeouts, Permit::default(), deadline).await;
            created.map(|_| ()).map_err(|_| Vec::new())
        }))
    }

    pub(super) fn handle_event(&self, event: Event) -> ProcessFuture {
        let handler = self.services.event_handler.clone();
        Box::pin(async move { handler.handle(event).await.map_err(|_| Vec::new()) })
    }

    pub(super) fn sweep(&self) -> ProcessFuture {
        let (sweeper, deadline) = (self.services.sweeper.clone(), self.deadline(45));
        Box::pin(async move { sweeper.sweep(deadline).await.map(|_| ()).map_err(|_| Vec::new()) })
    }

    pub(super) fn end(&self, user: UserId) -> ProcessFuture {
        let caller = Caller { user, role: None, is_service: false, session_started_at: None };
        let (ender, deadline) = (self.services.ender.clone(), self.deadline(10));
        let id = self.call.clone();
        Box::pin(async move {
            let result = ender.end(&caller, &id, &EndReason::default(), deadline).await;
            result.map(|_| ()).map_err(|_| Vec::new())
        })
    }

    pub(super) fn extend(&self, max_duration_seconds: u64, plan: &Plan) -> ProcessFuture {
        let inactivity_timeout = plan.timeouts.inactivity_timeout;
        let command = ExtendCall { max_duration_seconds, inactivity_timeout };
        let (extender, deadline) = (self.services.extender.clone(), self.deadline(10));
        let id = self.call.clone();
        Box::pin(async move {
            let result = extender.extend(&id, command, deadline).await;
            result.map(|_| ()).map_err(|_| Vec::new())
        })
    }

    pub(super) fn project(&self, records: Vec<StreamRecord>) -> ProcessFuture {
        let projector = self.projector.clone();
        Box::pin(async move {
            let failed = projector.project_records(records).await;
            let failed: Vec<String> =
                failed.into_iter().map(|record| record.sequence_number).collect();
            if failed.is_empty() { Ok(()) } else { Err(failed) }
        })
    }
}
