//! The first step of a connection: who connects, with which token and details.
//!
//! A chat client sends all of it in the URL, a video client in its first message. Both APIs report
//! a refusal as a frame after the upgrade, since a client does not see the status of a failed
//! upgrade.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::audience::Product;
use crate::auth::Credentials;
use crate::error::StreamError;
use crate::request::Query;
use crate::v1::user_from_v1;
use crate::world::UserDetails;

/// A request to connect.
#[derive(Debug)]
pub(super) struct ConnectRequest {
    pub(super) product: Product,
    pub(super) credentials: Credentials,
    /// The user that the client names. It must be the user of the token.
    pub(super) user_id: Option<String>,
    pub(super) details: UserDetails,
}

/// The `json` parameter of a chat client.
#[derive(Deserialize)]
struct ChatParams {
    user_id: Option<String>,
    #[serde(default)]
    user_details: Map<String, Value>,
}

/// The first message of a video client.
#[derive(Deserialize)]
struct VideoParams {
    token: String,
    #[serde(default)]
    user_details: Map<String, Value>,
}

impl ConnectRequest {
    pub(super) fn from_chat_query(query: &Query) -> Result<Self, StreamError> {
        let params = query.get("json").unwrap_or("{}");
        let params: ChatParams = serde_json::from_str(params)
            .map_err(|error| StreamError::invalid_input(format!("json is not valid: {error}")))?;
        let detailed_id = user_id(&params.user_details);
        let mut details = Value::Object(params.user_details);
        user_from_v1(&mut details);
        let details = if let Value::Object(details) = details { details } else { Map::new() };
        Ok(Self {
            product: Product::Chat,
            credentials: Credentials::from_query(query, query.get_owned("authorization")),
            user_id: params.user_id.or(detailed_id),
            details: UserDetails::new(details),
        })
    }

    pub(super) fn from_video_message(query: &Query, message: &str) -> Result<Self, StreamError> {
        let params: VideoParams = serde_json::from_str(message)
            .map_err(|_| StreamError::unauthenticated(5, "the first message must have a token"))?;
        Ok(Self {
            product: Product::Video,
            credentials: Credentials::from_query(query, Some(params.token)),
            user_id: user_id(&params.user_details),
            details: UserDetails::new(params.user_details),
        })
    }
}

fn user_id(details: &Map<String, Value>) -> Option<String> {
    details.get("id").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::Uri;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use serde_json::json;

    use super::*;

    fn query(text: &str) -> Query {
        Query::from_uri(&format!("/connect?{text}").parse::<Uri>().expect("a URI"))
    }

    fn chat(params: &str) -> Result<ConnectRequest, StreamError> {
        let json = utf8_percent_encode(params, NON_ALPHANUMERIC);
        ConnectRequest::from_chat_query(&query(&format!("json={json}&authorization=a.b.secret")))
    }

    #[test]
    fn both_products_give_the_same_details() {
        let details = json!({ "id": "alice", "name": "Alice", "plan": "pro", "mutes": [] });
        let params = json!({ "user_id": "alice", "user_details": details });
        let chat = chat(&params.to_string()).expect("a request");
        let details = json!({ "id": "alice", "name": "Alice", "custom": { "plan": "pro" } });
        let message = json!({ "token": "a.b.secret", "user_details": details });
        let video = ConnectRequest::from_video_message(&query(""), &message.to_string());
        let video = video.expect("a request");
        assert_eq!(chat.details, video.details);
        assert_eq!((chat.user_id, video.user_id), (Some("alice".into()), Some("alice".into())));
    }

    #[test]
    fn debug_output_redacts_the_token() {
        let debug = format!("{:?}", chat("{}"));
        assert!(debug.contains("Credentials"), "{debug}");
        assert!(!debug.contains("secret"), "{debug}");
        let debug = format!("{:?}", query("authorization=a.b.secret&json=x"));
        assert!(debug.contains("json") && !debug.contains("secret"), "{debug}");
    }

    #[test]
    fn invalid_first_message_is_rejected() {
        assert_eq!(chat("[]").map_err(|error| error.status()).err(), Some(400));
        for message in ["", "{}", "{\"token\": 1}"] {
            let outcome = ConnectRequest::from_video_message(&query(""), message);
            assert_eq!(outcome.map_err(|error| error.status()).err(), Some(401), "{message}");
        }
    }
}
