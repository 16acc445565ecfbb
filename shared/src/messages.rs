//! Chat in a call: sending so that a repeat does no harm, and paging backwards.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::auth::Caller;
use crate::calls::{self, CallStore};
use crate::clock::{Deadline, Timestamp, rfc3339, rfc3339_option};
use crate::error::{ApiError, Code};
use crate::fields::MessageText;
use crate::ids::{ChannelId, MessageCursor, MessageId};
use crate::stream::ops::{self, GetMessage, ListMessages, SendMessage};
use crate::stream::{Stream, StreamError};

/// A message as the apps see it.
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

/// Who wrote a message.
#[derive(Clone, Debug, Serialize)]
struct Author {
    id: String,
    name: Option<String>,
    image: Option<String>,
}

impl Message {
    fn of(message: ops::Message, channel: &ChannelId) -> Self {
        Self {
            id: message.id,
            channel_id: channel.clone(),
            text: message.text,
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
pub struct Page {
    /// Oldest first.
    messages: Vec<Message>,
    /// Whether there are older ones.
    has_more: bool,
    /// What to ask for next, to get the older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The chats of calls.
#[derive(Clone)]
pub struct Messages {
    /// The calls that they belong to.
    pub calls: Arc<dyn CallStore>,
    /// Stream.
    pub stream: Stream,
}

impl Messages {
    /// Sends a message to the chat of an active call that the caller is a member of. The same
    /// message under the same id is sent once, and answered the same each time.
    pub async fn send(
        &self,
        caller: &Caller,
        channel: &ChannelId,
        id: &MessageId,
        text: &MessageText,
        deadline: Deadline,
    ) -> Result<Message, ApiError> {
        self.require_active(caller, channel).await?;
        let send = SendMessage { channel, id, user: &caller.user, text: text.as_str() };
        let message = match self.stream.send(&send, deadline).await {
            Ok(answer) => answer.message,
            Err(StreamError::Refused(failure))
                if failure.code == Some(4) && failure.message.contains("already exists") =>
            {
                self.sent_before(caller, channel, id, text, deadline).await?
            }
            Err(error) => return Err(gone(error)),
        };
        Ok(Message::of(message, channel))
    }

    /// The message that has this id already, if it is the one that was to be sent.
    async fn sent_before(
        &self,
        caller: &Caller,
        channel: &ChannelId,
        id: &MessageId,
        text: &MessageText,
        deadline: Deadline,
    ) -> Result<ops::Message, ApiError> {
        let found = match self.stream.send(&GetMessage { id }, deadline).await {
            Ok(answer) => answer.message,
            // Deleted since, but the id stays taken.
            Err(StreamError::NotFound(_)) => return Err(ApiError::plain(Code::MessageIdReused)),
            Err(error) => return Err(error.into()),
        };
        let author = found.user.as_ref().map(|user| user.id.as_str());
        let same = found.cid == channel.cid()
            && author == Some(caller.user.as_str())
            && found.text == text.as_str();
        if same { Ok(found) } else { Err(ApiError::plain(Code::MessageIdReused)) }
    }

    /// The newest messages of the chat of an active call that the caller is a member of, or the
    /// newest before one.
    pub async fn list(
        &self,
        caller: &Caller,
        channel: &ChannelId,
        limit: u8,
        before: Option<&MessageCursor>,
        deadline: Deadline,
    ) -> Result<Page, ApiError> {
        /// The most that Stream's documentation advises for a page.
        const MOST: u8 = 100;
        self.require_active(caller, channel).await?;
        // One more than asked for tells whether there are more, where a page has room for it.
        let list = ListMessages { channel, limit: limit.saturating_add(1).min(MOST), before };
        let mut found = self.stream.send(&list, deadline).await.map_err(gone)?.messages;
        let limit = usize::from(limit);
        let has_more =
            if limit < usize::from(MOST) { found.len() > limit } else { found.len() >= limit };
        found.drain(..found.len().saturating_sub(limit));
        let messages: Vec<_> = found.into_iter().map(|m| Message::of(m, channel)).collect();
        let next = messages.first().filter(|_| has_more).map(|oldest| oldest.id.clone());
        Ok(Page { messages, has_more, next })
    }

    async fn require_active(&self, caller: &Caller, channel: &ChannelId) -> Result<(), ApiError> {
        calls::for_member(&*self.calls, channel.call(), caller).await?.require_active()
    }
}

/// An active call whose channel is gone at Stream has lost its chat for good.
fn gone(error: StreamError) -> ApiError {
    match error {
        StreamError::NotFound(_) => calls::not_found().with_source(error),
        error => error.into(),
    }
}
