//! Creating a call: remember it (W1), make its channel and its call at Stream, say that it is
//! active (W2).
//!
//! Any attempt may die at any point; whoever comes next with the same request helps the call
//! along, since every step is the same when done twice.

use std::time::Duration;

use futures_util::future::join;
use ring::digest;
use serde_json::{Map, Value, json};

use crate::calls::{
    Activated, Begun, Call, CallState, CallType, Calls, EndReason, EndRequest, Ending, NewCall,
    TakenOver, not_found,
};
use crate::clock::Deadline;
use crate::config::{ConfigError, Env};
use crate::error::{ApiError, Code};
use crate::ids::{CallId, UserId};
use crate::store::StoreError;
use crate::stream::StreamError;
use crate::stream::ops::{DeleteChannel, GetOrCreateCall, GetOrCreateChannel};

/// A call that somebody asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The id that it is to have.
    pub id: CallId,
    /// Who asks.
    pub owner: UserId,
    /// Everybody in it, the owner first, nobody twice.
    pub members: Vec<UserId>,
    /// Video or voice.
    pub call_type: CallType,
    /// Whether the members' phones ring.
    pub ring: bool,
    /// Data of the apps' own.
    pub custom: Option<Map<String, Value>>,
}

impl Ask {
    /// A digest of everything that makes two requests the same.
    fn fingerprint(&self) -> String {
        let mut members = self.members.clone();
        members.sort_unstable();
        // Names stand in their order in the text, at every depth.
        let canonical = json!({
            "owner": self.owner,
            "members": members,
            "callType": self.call_type,
            "ring": self.ring,
            "custom": self.custom,
        });
        hex(digest::digest(&digest::SHA256, canonical.to_string().as_bytes()).as_ref())
    }
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bounds within which Stream itself closes what we cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that a call lasts.
    pub max_duration: Duration,
    /// How long a session goes on with nobody in it.
    pub inactivity_timeout: Duration,
}

impl Limits {
    /// Reads `CALL_MAX_DURATION_SECONDS` (60 to 86,400; 4 hours) and
    /// `CALL_INACTIVITY_TIMEOUT_SECONDS` (5 to 900, as Stream allows; 5 minutes).
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            max_duration: env.seconds("CALL_MAX_DURATION_SECONDS", 4 * 60 * 60, 60..=86_400)?,
            inactivity_timeout: env.seconds("CALL_INACTIVITY_TIMEOUT_SECONDS", 300, 5..=900)?,
        })
    }
}

/// A call that is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The call.
    pub call: Call,
    /// Whether this request made it so, rather than an earlier one.
    pub created: bool,
}

/// What a request means where the id is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The same request, answered before.
    Same,
    /// The same request, not done yet.
    Help,
    /// Refused.
    Refused(Code),
}

fn judge(call: &Call, new: &NewCall) -> Verdict {
    if call.owner != new.owner {
        return Verdict::Refused(Code::CallNotFound);
    }
    match call.state {
        CallState::Ending | CallState::Ended => Verdict::Refused(Code::CallEnded),
        _ if call.fingerprint != new.fingerprint => Verdict::Refused(Code::CallIdReused),
        CallState::Active => Verdict::Same,
        CallState::Creating => Verdict::Help,
    }
}

fn refused(code: Code) -> ApiError {
    if code == Code::CallNotFound { not_found() } else { ApiError::plain(code) }
}

/// What came of the first step.
enum Entry {
    /// There is nothing left to do.
    Done(Created),
    /// The call is in this attempt's hands.
    InHand(NewCall),
    /// It was withdrawn meanwhile: the id is free again.
    Again,
}

/// How often a call is tried that others keep withdrawing.
const ROUNDS: u32 = 3;

impl Calls {
    /// Creates the call, or helps it along, or finds it there already.
    ///
    /// # Errors
    ///
    /// `user_not_found`, `call_not_found` (somebody else's id), `call_id_reused`, `call_ended`,
    /// `call_not_active`, `store_unavailable`, and what Stream's failures become.
    pub async fn create(
        &self,
        ask: &Ask,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<Created, ApiError> {
        for _ in 0..ROUNDS {
            if deadline.remaining(self.clock.now()).is_zero() {
                break;
            }
            match self.enter(ask).await? {
                Entry::Done(created) => return Ok(created),
                Entry::InHand(new) => return self.build(ask, &new, limits, deadline).await,
                Entry::Again => {}
            }
        }
        Err(ApiError::plain(Code::CallNotActive).with_retry_after(Some(Duration::from_secs(1))))
    }

    /// W1, with the members looked up at the same time: an unknown member takes the call back
    /// before anything of it exists at Stream.
    async fn enter(&self, ask: &Ask) -> Result<Entry, ApiError> {
        let at = self.clock.now();
        let new = NewCall {
            id: ask.id.clone(),
            owner: ask.owner.clone(),
            members: ask.members.clone(),
            call_type: ask.call_type,
            fingerprint: ask.fingerprint(),
            attempt: self.random.uuid_v7(at).to_string(),
            at,
        };
        let (begun, unknown) = join(self.store.begin(&new), self.users.unknown(&new.members)).await;
        match begun? {
            Begun::Started => match all_known(unknown) {
                Ok(()) => Ok(Entry::InHand(new)),
                Err(error) => {
                    self.withdraw(&new).await;
                    Err(error)
                }
            },
            Begun::Exists(call) => match judge(&call, &new) {
                Verdict::Same => Ok(Entry::Done(Created { call, created: false })),
                Verdict::Refused(code) => Err(refused(code)),
                Verdict::Help => {
                    all_known(unknown)?;
                    self.take_over(new).await
                }
            },
        }
    }

    /// Takes a call over from an attempt that may be dead. That attempt can no longer withdraw
    /// it, so what is made at Stream from here on always has its mapping.
    async fn take_over(&self, new: NewCall) -> Result<Entry, ApiError> {
        match self.store.take_over(&new).await? {
            TakenOver::Taken => Ok(Entry::InHand(new)),
            TakenOver::Gone => Ok(Entry::Again),
            TakenOver::Moved(call) => match judge(&call, &new) {
                Verdict::Same => Ok(Entry::Done(Created { call, created: false })),
                Verdict::Refused(code) => Err(refused(code)),
                Verdict::Help => Ok(Entry::Again),
            },
        }
    }

    /// Takes back a call that was refused. If that fails its lease runs out, and the call with it.
    async fn withdraw(&self, new: &NewCall) {
        if let Err(error) = self.store.withdraw(&new.id, &new.attempt).await {
            ApiError::from(error).note("a refused call is not withdrawn", &new.id);
        }
    }

    /// Stream's part, and W2. The channel comes first: it names members that Stream does not
    /// know, before anybody's phone has rung.
    async fn build(
        &self,
        ask: &Ask,
        new: &NewCall,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<Created, ApiError> {
        let channel = new.id.channel();
        let get_channel =
            GetOrCreateChannel { id: &channel, created_by: &new.owner, members: &new.members };
        let found = self.stream.send(&get_channel, deadline).await.map_err(member_unknown)?;
        if found.channel.created_by.id != new.owner.as_str() {
            // Made by somebody else before we knew of it: not ours to use, nor to clear away.
            self.withdraw(new).await;
            return Err(refused(Code::CallIdReused));
        }
        let get_call = GetOrCreateCall {
            id: &new.id,
            created_by: &new.owner,
            members: &new.members,
            call_type: new.call_type,
            ring: ask.ring,
            custom: ask.custom.as_ref(),
            max_duration: limits.max_duration,
            inactivity_timeout: limits.inactivity_timeout,
        };
        let found = self.stream.send(&get_call, deadline).await.map_err(member_unknown)?.call;
        if found.created_by.id != new.owner.as_str() {
            let delete = DeleteChannel { id: &channel };
            match self.stream.send(&delete, deadline).await {
                Ok(_) | Err(StreamError::NotFound(_)) => self.withdraw(new).await,
                // The channel is ours, so its mapping has to stay until it is gone.
                Err(error) => ApiError::from(error).note("a channel without a call", &new.id),
            }
            return Err(refused(Code::CallIdReused));
        }
        if found.ended_at.is_some() {
            // It was there before, and is over: it can never be active again.
            return Err(self.already_over(new, deadline).await);
        }
        let code = match self.store.activate(new, self.clock.now()).await? {
            Activated::Now(call) => return Ok(Created { call, created: true }),
            Activated::Was(call) => match judge(&call, new) {
                Verdict::Same => {
                    let created = call.attempt == new.attempt;
                    return Ok(Created { call, created });
                }
                Verdict::Help => Code::CallNotActive,
                Verdict::Refused(code) => code,
            },
            Activated::Missing => Code::CallEnded,
        };
        // Its end overtook its beginning: what was just made must go again.
        if code == Code::CallEnded
            && let Err(error) = self.clear(&new.id, deadline).await
        {
            ApiError::from(error).note("an undone call is left for the second look", &new.id);
        }
        Err(refused(code))
    }

    /// Says in the table, too, that a call is over.
    async fn already_over(&self, new: &NewCall, deadline: Deadline) -> ApiError {
        let reason = EndReason::default();
        let end = EndRequest { id: &new.id, by: None, reason: &reason, at: self.clock.now() };
        match self.store.end(end).await {
            Ok(Ending::Now(call) | Ending::Was(call)) if call.state == CallState::Ending => {
                self.close(call, deadline).await;
            }
            Ok(_) => {}
            Err(error) => ApiError::from(error).note("a call that is over stays open", &new.id),
        }
        refused(Code::CallEnded)
    }
}

fn all_known(unknown: Result<Vec<UserId>, StoreError>) -> Result<(), ApiError> {
    let unknown = unknown?;
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = unknown.iter().map(UserId::as_str).collect();
    Err(ApiError::new(Code::UserNotFound, format!("not known: {}", names.join(", "))))
}

/// Our table knows every member by now, so it is Stream that has lost one.
fn member_unknown(error: StreamError) -> ApiError {
    let lost = match &error {
        StreamError::Refused(failure) => failure.is_user_unknown(),
        StreamError::NotFound(failure) => failure.is_user_deleted(),
        _ => false,
    };
    if lost {
        ApiError::new(Code::UserNotFound, "a member is not known at Stream").with_source(error)
    } else {
        error.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn user(name: &str) -> UserId {
        UserId::try_from(name.to_owned()).unwrap()
    }

    fn ask() -> Ask {
        Ask {
            id: CallId::try_from("c1".to_owned()).unwrap(),
            owner: user("alice"),
            members: vec![user("alice"), user("bob"), user("carol")],
            call_type: CallType::Video,
            ring: false,
            custom: serde_json::from_str(r#"{"a": 1, "b": 2}"#).unwrap(),
        }
    }

    #[test]
    fn a_fingerprint_tells_requests_apart_by_what_they_ask_for() {
        let base = ask().fingerprint();
        let mut same = ask();
        same.members.swap(1, 2);
        same.custom = serde_json::from_str(r#"{"b": 2, "a": 1}"#).unwrap();
        assert_eq!(same.fingerprint(), base);
        let changes: [fn(&mut Ask); 5] = [
            |ask| ask.owner = ask.members[1].clone(),
            |ask| ask.members.truncate(2),
            |ask| ask.call_type = CallType::Voice,
            |ask| ask.ring = true,
            |ask| ask.custom = None,
        ];
        for change in changes {
            let mut other = ask();
            change(&mut other);
            assert_ne!(other.fingerprint(), base);
        }
    }

    #[test]
    fn what_a_taken_id_means() {
        use CallState::{Active, Creating, Ended, Ending};
        let cases = [
            // same owner, same request, state
            (true, true, Creating, Verdict::Help),
            (true, true, Active, Verdict::Same),
            (true, true, Ending, Verdict::Refused(Code::CallEnded)),
            (true, true, Ended, Verdict::Refused(Code::CallEnded)),
            (true, false, Creating, Verdict::Refused(Code::CallIdReused)),
            (true, false, Active, Verdict::Refused(Code::CallIdReused)),
            (true, false, Ending, Verdict::Refused(Code::CallEnded)),
            (true, false, Ended, Verdict::Refused(Code::CallEnded)),
            (false, true, Creating, Verdict::Refused(Code::CallNotFound)),
            (false, true, Active, Verdict::Refused(Code::CallNotFound)),
            (false, false, Ending, Verdict::Refused(Code::CallNotFound)),
            (false, false, Ended, Verdict::Refused(Code::CallNotFound)),
        ];
        let at = Timestamp::from_secs(0);
        for (owner, request, state, verdict) in cases {
            let new = NewCall {
                id: ask().id,
                owner: user("alice"),
                members: vec![],
                call_type: CallType::Video,
                fingerprint: "f".into(),
                attempt: "a".into(),
                at,
            };
            let call = Call {
                call_id: ask().id,
                owner: user(if owner { "alice" } else { "mallory" }),
                members: vec![],
                call_type: CallType::Video,
                state,
                fingerprint: if request { "f" } else { "g" }.into(),
                attempt: "b".into(),
                created_at: at,
                active_at: None,
                ending_at: None,
                ended_at: None,
                end_reason: None,
            };
            assert_eq!(judge(&call, &new), verdict, "{owner} {request} {state:?}");
        }
    }
}
