//! Watches: requests that subscribe a socket to the events of channels, calls or users.
//!
//! A chat request does so with `watch` or `presence`, and a request for calls with its connection
//! id alone, except for a query.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::audience::Product;
use crate::error::StreamError;
use crate::request::ApiRequest;
use crate::route::Route;
use crate::settings::Settings;
use crate::state::Inner;
use crate::timestamp::Timestamp;

/// The maximum number of watchers in a response.
const MAX_WATCHERS: usize = 100;

/// The part of a request that subscribes a socket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WatchRequest {
    connection_id: String,
    product: Product,
    watch: bool,
    presence: bool,
    watchers: WatcherPage,
}

#[derive(Debug, Default, Deserialize)]
struct WatchFlags {
    watch: Option<bool>,
    presence: Option<bool>,
    watchers: Option<WatcherPage>,
}

/// The page of watchers in the response to a request for one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WatcherPage {
    limit: Option<usize>,
    offset: Option<usize>,
}

impl WatcherPage {
    fn select<T>(self, watchers: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        let offset = self.offset.unwrap_or_default();
        watchers.into_iter().skip(offset).take(self.limit.unwrap_or(MAX_WATCHERS))
    }
}

impl WatchRequest {
    /// `None` if the request subscribes to nothing.
    pub(crate) fn from_request(request: &ApiRequest) -> Result<Option<Self>, StreamError> {
        let connection_id = request.query.get_owned("connection_id").filter(|id| !id.is_empty());
        let (product, flags) = match request.route {
            Route::GetOrCreateChannel(_)
            | Route::GetOrCreateDistinctChannel(_)
            | Route::QueryChannels => (Product::Chat, request.body()),
            Route::QueryUsers => (Product::Chat, request.payload()),
            Route::QueryCalls => (Product::Video, request.body()),
            Route::GetCall(_) | Route::GetOrCreateCall(_) | Route::JoinCall(_) => {
                let watch = Some(connection_id.is_some());
                (Product::Video, Ok(WatchFlags { watch, ..WatchFlags::default() }))
            }
            _ => return Ok(None),
        };
        // The operation reports a body that is not valid.
        let flags: WatchFlags = flags.unwrap_or_default();
        let (watch, presence) =
            (flags.watch.unwrap_or_default(), flags.presence.unwrap_or_default());
        if !watch && !presence {
            return Ok(None);
        }
        let connection_id = connection_id.ok_or_else(|| {
            StreamError::invalid_input("watch and presence require a connection_id")
        })?;
        let watchers = flags.watchers.unwrap_or_default();
        Ok(Some(Self { connection_id, product, watch, presence, watchers }))
    }
}

impl Inner {
    /// Checks that the socket of a request is open and belongs to the user.
    pub(crate) fn check_watch(
        &mut self,
        request: &WatchRequest,
        user_id: &str,
    ) -> Result<(), StreamError> {
        self.realtime
            .find(&request.connection_id)
            .filter(|socket| socket.user_id == user_id && socket.product == request.product)
            .map(|_| ())
            .ok_or_else(|| {
                let id = &request.connection_id;
                StreamError::new(400, 46, format!("connection_id {id:?} is not found"))
            })
    }

    /// Subscribes the socket to the objects of the response, and adds the watchers to it.
    pub(crate) fn start_watching(
        &mut self,
        request: &WatchRequest,
        response: &mut Value,
        settings: &Settings,
        now: Timestamp,
    ) {
        let entries = entries(response);
        if request.watch {
            for cid in entries.iter().filter_map(|entry| cid(entry)) {
                self.watch(request, cid, settings, now);
            }
        }
        if request.presence {
            let users: BTreeSet<String> =
                entries.iter().flat_map(|entry| user_ids(entry)).map(str::to_owned).collect();
            if let Some(socket) = self.realtime.find(&request.connection_id) {
                socket.presence_of.extend(users);
            }
        }
        drop(entries);
        if request.product == Product::Chat {
            self.add_watchers(request.watchers, response);
        }
    }

    fn watch(&mut self, request: &WatchRequest, cid: &str, settings: &Settings, now: Timestamp) {
        let Some(socket) = self.realtime.find(&request.connection_id) else { return };
        let user_id = socket.user_id.clone();
        let watchers = self.realtime.watchers(cid);
        if request.product == Product::Chat && !watchers.contains(&user_id) {
            let count = watchers.len() + 1;
            self.world.emit_watching("user.watching.start", cid, &user_id, count, now);
            self.publish(settings, now);
        }
        if let Some(socket) = self.realtime.find(&request.connection_id) {
            socket.watched.insert(cid.to_owned());
        }
    }

    /// Ends the watch of one socket of a user.
    pub(crate) fn stop_watching(
        &mut self,
        connection_id: &str,
        cid: &str,
        user_id: &str,
        now: Timestamp,
    ) {
        let socket = self.realtime.find(connection_id);
        if socket.is_some_and(|it| it.user_id == user_id && it.watched.remove(cid)) {
            self.end_watch(cid, user_id, now);
        }
    }

    /// Emits that a user stopped watching a channel, unless another socket of the user watches it.
    pub(super) fn end_watch(&mut self, cid: &str, user_id: &str, now: Timestamp) {
        let watchers = self.realtime.watchers(cid);
        if !watchers.contains(user_id) {
            let count = watchers.len();
            self.world.emit_watching("user.watching.stop", cid, user_id, count, now);
        }
    }

    fn add_watchers(&self, page: WatcherPage, response: &mut Value) {
        let add = |entry: &mut Value| {
            let Some(cid) = cid(entry) else { return };
            let watchers = self.realtime.watchers(cid);
            entry["watcher_count"] = json!(watchers.len());
            entry["watchers"] =
                page.select(&watchers).map(|id| self.world.user_response(id)).collect();
        };
        match response.get_mut("channels") {
            Some(Value::Array(channels)) => channels.iter_mut().for_each(add),
            _ => add(response),
        }
    }
}

/// The objects in a response: those of a query, or the response itself.
fn entries(response: &Value) -> Vec<&Value> {
    let lists = ["channels", "calls", "users"].iter().filter_map(|name| response.get(name));
    let entries: Vec<&Value> = lists.filter_map(Value::as_array).flatten().collect();
    if entries.is_empty() { vec![response] } else { entries }
}

fn cid(entry: &Value) -> Option<&str> {
    entry["channel"]["cid"].as_str().or_else(|| entry["call"]["cid"].as_str())
}

/// The ids of the members of a channel, or of a user.
fn user_ids(entry: &Value) -> Vec<&str> {
    let members = entry["members"].as_array().into_iter().flatten();
    members.filter_map(|member| member["user_id"].as_str()).chain(entry["id"].as_str()).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    fn watch_request(start: &str, body: &Value) -> Result<Option<WatchRequest>, StreamError> {
        let (method, uri) = start.split_once(' ').expect("a method and a URI");
        let builder = Request::builder().method(method).uri(uri);
        let (head, ()) = builder.body(()).expect("a request").into_parts();
        WatchRequest::from_request(&ApiRequest::new(&head, Bytes::from(body.to_string())))
    }

    #[test]
    fn flags_or_the_connection_id_subscribe() {
        let chat = |watch, presence| {
            let connection_id = "x".to_owned();
            let watchers = WatcherPage::default();
            Some(WatchRequest { connection_id, product: Product::Chat, watch, presence, watchers })
        };
        let video = WatchRequest {
            connection_id: "x".to_owned(),
            product: Product::Video,
            watch: true,
            presence: false,
            watchers: WatcherPage::default(),
        };
        let watch = json!({ "watch": true });
        let none = json!({});
        for (start, body, expected) in [
            ("POST /channels/messaging/c/query?connection_id=x", &watch, chat(true, false)),
            ("POST /channels/messaging/c/query?connection_id=x", &none, None),
            ("POST /channels?connection_id=x", &json!({ "presence": true }), chat(false, true)),
            (
                "GET /users?payload=%7B%22presence%22%3Atrue%7D&connection_id=x",
                &none,
                chat(false, true),
            ),
            ("POST /channels/messaging/c/message?connection_id=x", &watch, None),
            ("GET /video/call/default/c?connection_id=x", &none, Some(video)),
            ("GET /video/call/default/c", &none, None),
            ("POST /video/calls?connection_id=x", &none, None),
        ] {
            assert_eq!(watch_request(start, body), Ok(expected), "{start}");
        }
    }

    #[test]
    fn page_of_watchers_has_a_limit_and_an_offset() {
        let selected = |page: Value| {
            let page: WatcherPage = serde_json::from_value(page).expect("a page");
            page.select(["a", "b", "c"]).collect::<String>()
        };
        assert_eq!(selected(json!({})), "abc");
        assert_eq!(selected(json!({ "limit": 1, "offset": 1 })), "b");
        assert_eq!(selected(json!({ "limit": 0 })), "");
        assert!(serde_json::from_value::<WatcherPage>(json!({ "id_gt": "a" })).is_err());
    }

    #[test]
    fn watch_requires_a_connection_id() {
        let outcome = watch_request("POST /channels/messaging/c/query", &json!({ "watch": true }));
        assert_eq!(outcome.map_err(|error| error.status()), Err(400));
    }

    #[test]
    fn queries_subscribe_to_each_object() {
        let response = json!({
            "calls": [{ "call": { "cid": "default:c" } }, { "call": { "cid": "default:d" } }],
        });
        let cids: Vec<&str> = entries(&response).into_iter().filter_map(cid).collect();
        assert_eq!(cids, ["default:c", "default:d"]);
        let response = json!({
            "channel": { "cid": "messaging:c" },
            "members": [{ "user_id": "alice" }, { "user_id": "bob" }],
        });
        assert_eq!(cid(entries(&response)[0]), Some("messaging:c"));
        assert_eq!(user_ids(entries(&response)[0]), ["alice", "bob"]);
        let response = json!({ "users": [{ "id": "alice" }] });
        assert_eq!(user_ids(entries(&response)[0]), ["alice"]);
    }
}
