//! A chat message as Stream gives it.

use serde::Deserialize;
use serde_json::Value;

use crate::stream::StreamTime;

/// A message, as far as it is read.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// Its id, unique in the whole app.
    pub id: String,
    /// The channel that it stands in.
    pub cid: String,
    /// Its text.
    #[serde(default)]
    pub text: String,
    /// `regular`, `system`, `deleted` and others.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Who wrote it.
    pub user: Option<Author>,
    /// Images, files and links.
    #[serde(default)]
    pub attachments: Vec<Value>,
    /// When it was sent.
    pub created_at: StreamTime,
    /// When it was last changed.
    pub updated_at: Option<StreamTime>,
}

/// Who wrote a message.
#[derive(Clone, Debug, Deserialize)]
pub struct Author {
    /// The user's id.
    pub id: String,
    /// The name shown to others.
    pub name: Option<String>,
    /// A picture's URL.
    pub image: Option<String>,
}

/// An answer that holds one message.
#[derive(Debug, Deserialize)]
pub struct MessageEnvelope {
    /// The message.
    pub message: Message,
}
