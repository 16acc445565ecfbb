//! Chat messages in Stream's responses.

use serde::Deserialize;
use serde_json::Value;

use crate::stream::StreamTime;
use crate::stream::lenient::{entries, or_default};

/// A chat message.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// The id, unique in the app.
    pub id: String,
    /// The cid of the channel.
    pub cid: String,
    /// The text.
    #[serde(default, deserialize_with = "or_default")]
    pub text: String,
    /// The type, such as `regular`, `system` or `deleted`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The author.
    pub user: Option<Author>,
    /// Images, files and links.
    #[serde(default, deserialize_with = "entries")]
    pub attachments: Vec<Value>,
    /// When it was sent.
    pub created_at: StreamTime,
    /// When it was last changed.
    pub updated_at: Option<StreamTime>,
}

/// The author of a message.
#[derive(Clone, Debug, Deserialize)]
pub struct Author {
    /// The user's id.
    pub id: String,
    /// The display name.
    pub name: Option<String>,
    /// The URL of a picture.
    pub image: Option<String>,
}

/// A response that contains a message.
#[derive(Debug, Deserialize)]
pub struct MessageEnvelope {
    /// The message.
    pub message: Message,
}
