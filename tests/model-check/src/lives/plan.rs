//! The plan of a life: what its members and Stream do, and what fails.

use std::time::Duration;

use shared::calls::presence::MAX_INTERVALS;
use shared::calls::{CallScore, CallTimeouts};
use shared::clock::Timestamp;
use shared::quality_band::Band;
use shared::score_model::ScoreModel;

use super::rng::Rng;
use crate::actors::TIMEOUTS;
use crate::listing::{Listing, ListingFault, Repeats, RowForm};
use crate::state::Device;

/// The time of the first request.
pub(super) const START: Timestamp = Timestamp::from_secs(1_767_225_600);
/// The largest number of members.
pub(super) const MAX_MEMBERS: usize = 4;

/// A device of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemberDevice {
    /// The number of the member.
    pub(super) member: usize,
    pub(super) device: Device,
}

/// An action of a member, of an operator or of Stream. An impossible one has no effect.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// The owner creates the call. The number is that of the attempt.
    Create(u8),
    /// A device joins. If it is in, it joins again, and its earlier stay ends.
    Join(MemberDevice),
    Leave(MemberDevice),
    /// A device stops. Stream removes it after this time, without an event.
    Crash {
        device: MemberDevice,
        notice_after: Duration,
        is_backdated: bool,
    },
    /// Stream removes a device that has stopped.
    Notice {
        device: MemberDevice,
        joined_at: Timestamp,
        left_at: Option<Timestamp>,
    },
    /// Stream ends the session. The call continues.
    EndSession,
    /// The call ends at Stream, by a member or by Stream itself.
    EndAtStream(Option<usize>),
    DeleteChannel,
    /// A member ends the call by the API.
    End(usize),
    /// A backend changes the maximum duration, in seconds.
    Extend(u64),
    /// Stream rejects all requests for this time.
    StreamOutage(Duration),
    /// The history is compared with the item, once the records so far are projected.
    CompareHistory,
    /// An operator requests the events of the settled call again.
    Reemit,
}

/// How Stream delivers its events. The numbers are percentages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deliveries {
    pub(super) lost: u64,
    pub(super) repeated: u64,
    /// Late by minutes.
    pub(super) late: u64,
    /// Later than the settlement.
    pub(super) very_late: u64,
    /// Leaves whose event does not contain the join.
    pub(super) unkeyed: u64,
    /// How much later than a leave its event is created, in milliseconds at most.
    pub(super) max_skew: u64,
}

/// How often something fails: once in this number of times. Zero is never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    /// A request fails.
    pub(super) request: u64,
    /// A process is killed before a request.
    pub(super) kill: u64,
    /// A process is slow.
    pub(super) slow: u64,
    /// An invocation of the history's consumer is repeated while it runs on, slowly.
    pub(super) zombie: u64,
}

/// A plan.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) members: usize,
    pub(super) timeouts: CallTimeouts,
    pub(super) max_duration_seconds: Option<u64>,
    /// The actions, by the time since the start.
    pub(super) actions: Vec<(Duration, Action)>,
    pub(super) listing: Listing,
    pub(super) is_list_stale: bool,
    /// How far Stream's clock is ahead, in milliseconds.
    pub(super) stream_clock_ahead: i64,
    /// Whether Stream's lists are right when the call is settled.
    pub(super) is_stream_right: bool,
    /// The time from the end of a session until its report. `None`: no report.
    pub(super) report_after: Option<Duration>,
    pub(super) deliveries: Deliveries,
    pub(super) faults: Faults,
    /// The number of requests after which the creation is killed and not repeated.
    pub(super) create_killed_after: Option<u64>,
    /// Until when the consumers of the change stream do not run.
    pub(super) consumers_paused: Duration,
    pub(super) score: Option<CallScore>,
}

impl Plan {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let is_stream_right = !rng.one_in(4);
        let members = 2 + rng.index(MAX_MEMBERS - 1);
        let is_failing = rng.one_in(2);
        let mut plan = Self {
            members,
            timeouts: CallTimeouts {
                inactivity_timeout: Duration::from_secs(rng.pick([5, 30, 300])),
                ring_timeout: Duration::from_secs(rng.pick([30, 120])),
                alone_timeout: Duration::from_secs(rng.pick([0, 60])),
                ..TIMEOUTS
            },
            max_duration_seconds: rng.one_in(3).then(|| 60 + rng.below(240)),
            actions: Vec::new(),
            listing: random_listing(rng),
            is_list_stale: rng.one_in(2),
            stream_clock_ahead: rng.pick([0, 0, 0, -2_900, -40, 1_700]),
            is_stream_right,
            report_after: rng.pick([None, Some(5), Some(60), Some(400)]).map(Duration::from_secs),
            deliveries: Deliveries {
                lost: rng.pick([0, 0, 5, 30, 100]),
                repeated: rng.pick([0, 10, 40]),
                late: rng.pick([0, 10, 50]),
                very_late: rng.pick([0, 3, 20]),
                unkeyed: rng.pick([0, 0, 30]),
                max_skew: rng.pick([1, 1, 80]),
            },
            faults: if is_failing {
                Faults {
                    request: rng.pick([0, 200, 50, 15]),
                    kill: rng.pick([0, 300, 60]),
                    slow: rng.pick([0, 20, 5]),
                    zombie: rng.pick([0, 6, 2]),
                }
            } else {
                Faults { request: 0, kill: 0, slow: 0, zombie: 0 }
            },
            create_killed_after: rng.one_in(16).then(|| rng.below(8)),
            consumers_paused: rng.pick([0, 0, 0, 0, 90, 4_000, 70_000].map(Duration::from_secs)),
            score: rng.one_in(2).then(|| {
                let mos = f64::from(u32::try_from(rng.below(3_500)).unwrap_or(0)) / 1_000.0;
                CallScore {
                    mos: (1.0 + mos).into(),
                    label: Band::Good,
                    data_complete: true,
                    model: ScoreModel::V2,
                }
            }),
        };
        if plan.deliveries.unkeyed > 0 {
            // The time alone tells such a leave from that of another stay.
            plan.deliveries.max_skew = 1;
            plan.listing.repeats = Repeats::None;
        }
        plan.add_actions(rng);
        if !is_stream_right {
            plan.add_stream_fault(rng);
        }
        plan
    }

    /// Whether all requests of the functions succeed at once.
    pub(super) fn is_without_faults(&self) -> bool {
        let Faults { request, kill, slow, .. } = self.faults;
        let has_outage =
            self.actions.iter().any(|(_, action)| matches!(action, Action::StreamOutage(_)));
        request == 0 && kill == 0 && slow == 0 && !has_outage
    }

    fn add_actions(&mut self, rng: &mut Rng) {
        self.actions.push((Duration::ZERO, Action::Create(1)));
        // Equal times are frequent in some lives.
        let quantum = rng.pick([1, 1, 1_000]);
        let devices = self.add_stays(rng, quantum);
        if rng.one_in(4) {
            self.add_session_end(rng, &devices);
        }
        let end_at = rng.millis(5_000..300_000);
        let member = rng.index(self.members);
        match rng.below(20) {
            0..7 => self.add(end_at, Action::End(member)),
            7..9 => self.add(end_at, Action::EndAtStream(None)),
            9..11 => self.add(end_at, Action::EndAtStream(Some(member))),
            11 => self.add(end_at, Action::DeleteChannel),
            _ => {}
        }
        if rng.one_in(4) {
            for _ in 0..=rng.below(3) {
                let at = rng.millis(100..200_000);
                self.add(at, Action::Extend(60 + rng.below(840)));
            }
        }
        if rng.one_in(10) {
            let at = rng.millis(1_000..600_000);
            self.add(at, Action::StreamOutage(rng.millis(1_000..900_000)));
        }
        for _ in 0..rng.below(4) {
            let at = rng.millis(1_000..400_000);
            self.add(at, Action::CompareHistory);
        }
        if rng.one_in(8) {
            for minutes in [25, 26] {
                self.add(Duration::from_mins(minutes), Action::Reemit);
            }
        }
        for (at, _) in &mut self.actions {
            let millis = u64::try_from(at.as_millis()).unwrap_or(0);
            *at = Duration::from_millis(millis / quantum * quantum);
        }
    }

    fn add(&mut self, at: Duration, action: Action) {
        self.actions.push((at, action));
    }

    /// Adds the stays of all devices. Returns the devices.
    fn add_stays(&mut self, rng: &mut Rng, quantum: u64) -> Vec<MemberDevice> {
        let mut devices = Vec::new();
        for member in 0..self.members {
            if rng.percent(if member == 0 { 5 } else { 15 }) {
                continue;
            }
            devices.push(MemberDevice { member, device: Device::First });
            if rng.one_in(3) {
                devices.push(MemberDevice { member, device: Device::Second });
            }
        }
        let is_restless = rng.one_in(2_000);
        for &device in &devices {
            let mut at = match (device.member, device.device) {
                (0, Device::First) => rng.millis(20..5_000),
                _ => rng.millis(20..40_000),
            };
            if is_restless && device == devices[0] {
                at = self.add_short_stays(rng, device, at);
            }
            for _ in 0..=rng.below(4) {
                self.add(at, Action::Join(device));
                at += random_stay(rng);
                match rng.below(10) {
                    0..6 => self.add(at, Action::Leave(device)),
                    6..8 => {
                        let notice_after = rng.millis(100..60_000);
                        let is_backdated = rng.one_in(2);
                        self.add(at, Action::Crash { device, notice_after, is_backdated });
                    }
                    // The device joins again while Stream still has it.
                    8 => {}
                    _ => break,
                }
                let gap = rng.pick([0, quantum, 300, 2_500, 12_000, 80_000]);
                at += Duration::from_millis(gap);
            }
        }
        devices
    }

    /// Adds more stays of a device than the item stores.
    fn add_short_stays(
        &mut self,
        rng: &mut Rng,
        device: MemberDevice,
        mut at: Duration,
    ) -> Duration {
        // A part of a stored interval that was united with others is not known to be the same.
        (self.deliveries.max_skew, self.deliveries.unkeyed) = (1, 0);
        self.listing.page_size = 100;
        for _ in 0..MAX_INTERVALS + 30 {
            self.add(at, Action::Join(device));
            at += rng.millis(50..900);
            self.add(at, Action::Leave(device));
            at += rng.millis(10..300);
        }
        at
    }

    /// Stream ends the session, and most devices join again.
    fn add_session_end(&mut self, rng: &mut Rng, devices: &[MemberDevice]) {
        let at = rng.millis(3_000..200_000);
        self.add(at, Action::EndSession);
        for &device in devices {
            if !rng.one_in(3) {
                self.add(at + rng.millis(0..4_000), Action::Join(device));
            }
        }
    }

    fn add_stream_fault(&mut self, rng: &mut Rng) {
        let long = rng.millis(87_000_000..100_000_000);
        let until = START.plus(long);
        self.listing.fault = match rng.below(24) {
            0..3 => Some(ListingFault::RowsAbsent),
            3..6 => Some(ListingFault::TimesAbsent),
            6..9 => Some(ListingFault::TimesWrong),
            9..12 => Some(ListingFault::SessionsAbsent),
            12..15 => Some(ListingFault::SessionsNotFound),
            15..18 => Some(ListingFault::RowsNotFound),
            // A day of sweeps takes time.
            18 => Some(ListingFault::Failing(until)),
            19 => Some(ListingFault::Unreadable(until)),
            20 => {
                let at = rng.millis(10_000..400_000);
                self.add(at, Action::StreamOutage(long));
                None
            }
            _ => {
                // Rows that are later than the settlement.
                self.report_after = None;
                self.listing.row_delay = Duration::from_mins(40);
                None
            }
        };
    }
}

/// The list has each join and leave within nine minutes, and each session within three. A call is
/// settled after that.
fn random_listing(rng: &mut Rng) -> Listing {
    let all = [
        RowForm::Times,
        RowForm::WithWholeSeconds,
        RowForm::InNanoseconds,
        RowForm::WithoutLeave,
        RowForm::WithoutJoin,
    ];
    Listing {
        row_delay: Duration::from_secs(rng.pick([0, 1, 60, 540])),
        session_delay: Duration::from_secs(rng.pick([0, 60, 170])),
        page_size: rng.pick([1, 2, 3, 100]),
        repeats: rng.pick([
            Repeats::None,
            Repeats::None,
            Repeats::Last,
            Repeats::FirstWithoutLeave,
        ]),
        forms: (0..3).map(|_| rng.pick(all)).collect(),
        fault: None,
    }
}

/// Mostly seconds or minutes.
fn random_stay(rng: &mut Rng) -> Duration {
    match rng.below(10) {
        0 => Duration::ZERO,
        1..3 => rng.millis(1..3_000),
        3..7 => rng.millis(3_000..60_000),
        _ => rng.millis(60_000..400_000),
    }
}
