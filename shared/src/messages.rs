//! The chat of a call: idempotent sending and backward paging.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::Caller;
use crate::calls::{self, CallReader};
use crate::clock::{Clock, Deadline, Timestamp, rfc3339, rfc3339_option};
use crate::error::{ApiError, Code};
use crate::fields::MessageText;
use crate::ids::{ChannelId, MessageId};
use crate::plain_text;
use crate::random::Random;
use crate::rate_limiter::Permit;
use crate::stream::ops::{self, GetMessage, ListMessages, SendMessage};
use crate::stream::{StreamClient, StreamError};
use crate::users::{self, AccountReader};

/// A message in a response.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    id: String,
    channel_id: ChannelId,
    text: String,
    #[serde(rename = "type")]
    kind: String,
    user: Option<Author>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Value>,
    #[serde(serialize_with = "rfc3339")]
    created_at: Timestamp,
    #[serde(serialize_with = "rfc3339_option")]
    updated_at: Option<Timestamp>,
}

/// The author of a message.
#[derive(Clone, Debug, Serialize)]
struct Author {
    id: String,
    name: Option<String>,
    image: Option<String>,
}

impl Message {
    fn from_stream(message: ops::Message, channel: &ChannelId) -> Self {
        Self {
            id: message.id,
            channel_id: channel.clone(),
            text: plain_text::from_stream(&message.text).to_owned(),
            kind: message.kind,
            user: message.user.map(|user| Author {
                id: user.id,
                name: user.name,
                image: user.image,
            }),
            attachments: message.attachments,
            created_at: message.created_at.0,
            updated_at: message.updated_at.map(|at| at.0),
        }
    }
}

/// A page of a call's chat.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessagePage {
    /// Oldest first.
    messages: Vec<Message>,
    /// Whether older messages exist.
    has_more: bool,
    /// The cursor of the next page, which has older messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The maximum number of messages in a page: 1 to 100, 50 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PageLimit(u8);

impl PageLimit {
    fn get(self) -> u8 {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<String> for PageLimit {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let limit = text.parse().ok().filter(|limit| (1..=100).contains(limit));
        limit.map(Self).ok_or("limit must be 1 to 100")
    }
}

/// Sends and lists the messages of calls.
#[derive(Clone)]
pub struct MessageService {
    /// The calls that the chats belong to.
    pub calls: Arc<dyn CallReader>,
    /// The accounts of users.
    pub accounts: Arc<dyn AccountReader>,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of ids.
    pub random: Arc<dyn Random>,
}

impl MessageService {
    /// Sends a message to the chat of an active call. The caller must be a member. A retry with the
    /// same id returns the same message and sends nothing.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `user_deactivated`, `user_banned`, `user_deleted`, `call_not_found`,
    /// `call_not_active`, `call_ended`, `message_id_reused`, `message_blocked`,
    /// `store_unavailable`, and the errors of Stream.
    pub async fn send(
        &self,
        caller: &Caller,
        channel: &ChannelId,
        id: &MessageId,
        text: &MessageText,
        permit: Permit<'_>,
        deadline: Deadline,
    ) -> Result<Message, ApiError> {
        permit.consume_alongside(self.require_active(caller, channel)).await?;
        let text = plain_text::to_stream(text.as_str());
        let send = SendMessage { channel, id, user: &caller.user, text: &text };
        let message = match self.stream.send(&send, deadline).await {
            Ok(response) => response.message,
            Err(StreamError::Rejected(failure)) if failure.is_id_taken() => {
                self.get_existing(caller, channel, id, &text, deadline).await?
            }
            Err(error) => return Err(map_channel_error(error)),
        };
        require_delivered(&message)?;
        Ok(Message::from_stream(message, channel))
    }

    /// Returns the existing message with this id, if it equals the message to be sent.
    async fn get_existing(
        &self,
        caller: &Caller,
        channel: &ChannelId,
        id: &MessageId,
        text: &str,
        deadline: Deadline,
    ) -> Result<ops::Message, ApiError> {
        let existing = match self.stream.send(&GetMessage { id }, deadline).await {
            Ok(response) => response.message,
            // The message was deleted, but its id stays in use.
            Err(StreamError::NotFound(_)) => {
                return Err(ApiError::from_code(Code::MessageIdReused));
            }
            Err(error) => return Err(error.into()),
        };
        let author = existing.user.as_ref().map(|user| user.id.as_str());
        let is_same = existing.cid == channel.cid()
            && author == Some(caller.user.as_str())
            && existing.text == text;
        if is_same { Ok(existing) } else { Err(ApiError::from_code(Code::MessageIdReused)) }
    }

    /// Returns the newest messages of the chat of an active call, or the newest ones before the
    /// cursor. The caller must be a member.
    ///
    /// # Errors
    ///
    /// `user_deactivated`, `user_banned`, `user_deleted`, `call_not_found`, `call_not_active`,
    /// `call_ended`, `invalid_query` if the cursor is unknown at Stream, `store_unavailable`, and
    /// the errors of Stream.
    pub async fn list(
        &self,
        caller: &Caller,
        channel: &ChannelId,
        limit: PageLimit,
        before: Option<&MessageId>,
        deadline: Deadline,
    ) -> Result<MessagePage, ApiError> {
        self.require_active(caller, channel).await?;
        let limit = limit.get();
        // One extra message shows whether more exist. Stream returns at most 300 per request.
        let list = ListMessages { channel, limit: limit + 1, before };
        let mut page = match self.stream.send(&list, deadline).await {
            Ok(response) => response.messages,
            // The cursor is the only part of the request that the caller controls.
            Err(StreamError::Rejected(failure)) if before.is_some() && failure.status == 400 => {
                let detail = "before must be the id of a message of this call";
                let error = StreamError::Rejected(failure);
                return Err(ApiError::new(Code::InvalidQuery, detail).with_source(error));
            }
            Err(error) => return Err(map_channel_error(error)),
        };
        let excess = page.len().saturating_sub(usize::from(limit));
        page.drain(..excess);
        let has_more = excess > 0;
        let readable = page.into_iter().flatten();
        let messages: Vec<_> =
            readable.map(|message| Message::from_stream(message, channel)).collect();
        // Without a readable message there is no cursor.
        let next = messages.first().filter(|_| has_more).map(|oldest| oldest.id.clone());
        Ok(MessagePage { messages, has_more: next.is_some(), next })
    }

    /// Requires an active caller and an active call of the caller. Services have no access, since
    /// they are not users at Stream.
    async fn require_active(&self, caller: &Caller, channel: &ChannelId) -> Result<(), ApiError> {
        let get_call = calls::get_authorized(&*self.calls, channel.call(), |call| {
            call.is_member(&caller.user)
        });
        let now = self.clock.now();
        let call = users::require_active_alongside(&*self.accounts, caller, now, get_call).await?;
        call.require_active()
    }

    /// Generates an id for a message without one. It makes the retries towards Stream idempotent.
    #[must_use]
    pub fn generate_id(&self) -> MessageId {
        MessageId::from_uuid(self.random.uuid_v7(self.clock.now()))
    }
}

/// Rejects a message that Stream answered but did not deliver: its moderation blocked the message,
/// or took it for a command. Only the sender sees such a message, and Stream does not store it.
fn require_delivered(message: &ops::Message) -> Result<(), ApiError> {
    match message.kind.as_str() {
        "error" | "ephemeral" => {
            let detail = "change the text: Stream's moderation blocked the message";
            Err(ApiError::new(Code::MessageBlocked, detail))
        }
        _ => Ok(()),
    }
}

/// If the channel of an active call is missing at Stream, the call counts as not found.
fn map_channel_error(error: StreamError) -> ApiError {
    match error {
        StreamError::NotFound(ref failure) if !failure.is_user_deleted() => {
            calls::not_found().with_source(error)
        }
        error => error.into(),
    }
}
