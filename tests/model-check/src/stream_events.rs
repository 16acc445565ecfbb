//! Changes at Stream by the members' clients or by Stream itself, and their events.

use shared::calls::presence::{Join, Leave};
use shared::clock::Timestamp;
use shared::ids::{SessionId, UserId};
use shared::stream::event::{CallEnd, CallEvent, Reject};

use crate::actors::{Actor, TestIds};
use crate::state::{Device, ModelState, Participant, Stay, StreamCall};

/// Applies the change to call X. Returns its event, or `None` if the change is not possible.
pub(crate) fn apply(actor: Actor, ids: &TestIds, model: &mut ModelState) -> Option<CallEvent> {
    let (id, now) = (&ids.call_x, model.now);
    if actor == Actor::ChannelDeleted {
        model.stream_channels.remove(&id.channel().to_string())?;
        model.history.changed_by_stream.insert(id.clone());
        return Some(CallEvent::Deleted);
    }
    if actor == Actor::LateLeave {
        return late_leave(model.stream_calls.get_mut(id.as_str())?, &ids.bob);
    }
    let live = model.stream_calls.get_mut(id.as_str()).filter(|live| live.ended_at.is_none())?;
    let session_before = live.session.clone();
    let has_session = live
        .session
        .as_ref()
        .is_some_and(|session| session.started_at.is_some() && session.ended_at.is_none());
    let event = match actor {
        Actor::Join => join(live, &ids.bob, Device::First, now)?,
        Actor::JoinByCaller => join(live, &ids.alice, Device::First, now)?,
        Actor::JoinBySecondDevice => join(live, &ids.bob, Device::Second, now)?,
        Actor::Leave => leave(live, &ids.bob, now)?,
        Actor::Reject => reject(live, &ids.bob, None, now)?,
        Actor::RejectBusy => reject(live, &ids.bob, Some("busy"), now)?,
        Actor::Cancel => reject(live, &ids.alice, Some("cancel"), now)?,
        Actor::SessionEnds if has_session => {
            live.end_session(now);
            CallEvent::SessionEnded
        }
        Actor::SessionRestarts if has_session => {
            live.end_session(now);
            // The event of the join is lost.
            join(live, &ids.bob, Device::First, now)?;
            CallEvent::SessionEnded
        }
        Actor::StreamEndsCall => {
            live.end(now);
            model.history.changed_by_stream.insert(id.clone());
            let end =
                CallEnd { at: now, user: None, session_started_at: None, timer_ends_at: None };
            CallEvent::Ended(end)
        }
        _ => return None,
    };
    let live = model.stream_calls.get_mut(id.as_str())?;
    live.listed_session = session_before;
    Some(event)
}

/// A user joins with a device, unless the device is in.
fn join(live: &mut StreamCall, user: &UserId, device: Device, now: Timestamp) -> Option<CallEvent> {
    let session = live.open_session();
    let is_in =
        |participant: &Participant| participant.user == *user && participant.device == device;
    if session.participants.iter().any(is_in) {
        return None;
    }
    // A device does not join twice at the same time.
    let is_repeat =
        |stay: &Stay| stay.user == *user && stay.device == device && stay.joined_at == now;
    if live.stays.iter().any(is_repeat) {
        return None;
    }
    let session = live.open_session();
    session.started_at.get_or_insert(now);
    let user = user.clone();
    session.participants.push(Participant { user: user.clone(), device, joined_at: now });
    live.stays.push(Stay {
        user: user.clone(),
        device,
        session: live.session_number(),
        joined_at: now,
        left_at: None,
        is_reported: false,
    });
    live.unreported += 1;
    let session = session_id(&user, device)?;
    Some(CallEvent::Joined(Join { user, session, joined_at: now }))
}

/// A user leaves with the device that joined first.
fn leave(live: &mut StreamCall, user: &UserId, now: Timestamp) -> Option<CallEvent> {
    let session = live.session.as_mut()?;
    let index = session.participants.iter().position(|other| other.user == *user)?;
    let Participant { user, device, joined_at } = session.participants.remove(index);
    live.departures += 1;
    live.unreported += 1;
    let stay = live
        .stays
        .iter_mut()
        .find(|stay| stay.user == user && stay.device == device && stay.joined_at == joined_at)?;
    stay.left_at = Some(now);
    stay.is_reported = true;
    let session = session_id(&user, device)?;
    let joined_at = Some(joined_at);
    Some(CallEvent::Left(Leave { user, session, joined_at, at: now, duration: None }))
}

/// The event of a leave that happened earlier.
fn late_leave(live: &mut StreamCall, user: &UserId) -> Option<CallEvent> {
    let is_late =
        |stay: &&mut Stay| stay.user == *user && stay.left_at.is_some() && !stay.is_reported;
    let stay = live.stays.iter_mut().find(is_late)?;
    stay.is_reported = true;
    live.unreported += 1;
    let Stay { user, device, joined_at, left_at, .. } = stay.clone();
    let session = session_id(&user, device)?;
    Some(CallEvent::Left(Leave {
        user,
        session,
        joined_at: Some(joined_at),
        at: left_at?,
        duration: None,
    }))
}

/// A user rejects the call, unless the user has rejected it.
fn reject(
    live: &mut StreamCall,
    user: &UserId,
    reason: Option<&str>,
    now: Timestamp,
) -> Option<CallEvent> {
    let rejected_by = &mut live.open_session().rejected_by;
    if rejected_by.contains_key(user) {
        return None;
    }
    rejected_by.insert(user.clone(), now);
    live.rejecting_users.insert(user.clone());
    Some(CallEvent::Rejected(Reject { user: user.clone(), reason: reason.map(str::to_owned) }))
}

/// The id of the session of a user's client. The client keeps it when the user joins again.
pub(crate) fn session_id(user: &UserId, device: Device) -> Option<SessionId> {
    SessionId::try_from(device.session_of(user)).ok()
}
