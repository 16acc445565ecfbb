//! The real-time side: the sockets of clients, and which events they receive.
//!
//! [`Realtime`] holds the open sockets. They are part of the state behind the mutex, and each has a
//! bounded queue of frames to its connection, so that a slow client never blocks the world.

mod audience;
mod closing;
mod connect;
mod connection;
mod frames;
mod handshake;
mod lifecycle;
mod recipients;
mod socket;
mod upgrade;
mod watch;

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use crate::error::StreamError;
use crate::rng::SplitMix64;
use crate::views::SocketView;
use crate::world::World;

use audience::targets;
use recipients::Recipients;
use socket::{Socket, SocketHandle, TokenTimes};

pub(crate) use audience::{Product, is_webhook_event};
pub(crate) use closing::Closing;
pub(crate) use handshake::Endpoint;
pub(crate) use recipients::may_receive;
pub(crate) use upgrade::upgrade;
pub(crate) use watch::WatchRequest;

/// The open sockets.
#[derive(Debug, Default)]
pub(crate) struct Realtime {
    /// In the order in which they connected.
    sockets: Vec<Socket>,
    /// The errors of the next connections, each with the number of connections, which is not 0.
    refusals: VecDeque<(usize, StreamError)>,
    /// The connection ids of sockets whose queue is full.
    overflowed: BTreeSet<String>,
    id_rng: SplitMix64,
}

impl Realtime {
    fn open(&mut self, user_id: &str, product: Product, token: TokenTimes) -> SocketHandle {
        let (socket, handle) = Socket::new(self.id_rng.uuid(), user_id, product, token);
        self.sockets.push(socket);
        handle
    }

    fn find(&mut self, connection_id: &str) -> Option<&mut Socket> {
        self.sockets.iter_mut().find(|socket| socket.connection_id == connection_id)
    }

    fn remove(&mut self, connection_id: &str) -> Option<Socket> {
        let is_match = |socket: &Socket| socket.connection_id == connection_id;
        let position = self.sockets.iter().position(is_match)?;
        Some(self.sockets.remove(position))
    }

    fn has_socket(&self, user_id: &str, product: Option<Product>) -> bool {
        self.sockets.iter().any(|socket| {
            socket.user_id == user_id && product.is_none_or(|product| product == socket.product)
        })
    }

    /// The ids of the users that watch a channel or a call, sorted.
    fn watchers(&self, cid: &str) -> BTreeSet<String> {
        let watching = self.sockets.iter().filter(|socket| socket.watched.contains(cid));
        watching.map(|socket| socket.user_id.clone()).collect()
    }

    /// Makes the next connections fail with an error.
    pub(crate) fn refuse_next(&mut self, times: usize, error: &StreamError) {
        if times > 0 {
            self.refusals.push_back((times, error.clone()));
        }
    }

    /// The error of this connection, if a test makes it fail.
    fn next_refusal(&mut self) -> Option<StreamError> {
        let (times, error) = self.refusals.front_mut()?;
        *times -= 1;
        let (is_last, error) = (*times == 0, error.clone());
        if is_last {
            self.refusals.pop_front();
        }
        Some(error)
    }

    /// The open sockets, in the order in which they connected.
    pub(crate) fn views(&self) -> Vec<SocketView> {
        self.sockets.iter().map(Socket::view).collect()
    }

    /// Queues an event for the sockets in its audiences.
    pub(crate) fn deliver(&mut self, event: &Value, world: &World) {
        if self.sockets.is_empty() {
            return;
        }
        let kind = event["type"].as_str().unwrap_or_default();
        let recipients = Recipients::new(event, world);
        let cid = event["cid"].as_str().unwrap_or_default();
        let watcher_count = self.watchers(cid).len();
        for target in targets(kind) {
            for socket in &self.sockets {
                if !recipients.include(target.audience, socket, world) {
                    continue;
                }
                let (product, user_id) = (socket.product, socket.user_id.as_str());
                let frame =
                    frames::event_frame(event, *target, product, user_id, watcher_count, world);
                if socket.send(frame).is_err() {
                    self.overflowed.insert(socket.connection_id.clone());
                }
            }
        }
        self.end_watches(kind, event);
    }

    /// Ends the watches of a deleted object, and those of a removed member.
    fn end_watches(&mut self, kind: &str, event: &Value) {
        let ended: Option<(&str, Option<&str>)> = match kind {
            "channel.deleted" => event["cid"].as_str().map(|cid| (cid, None)),
            "call.deleted" => event["call_cid"].as_str().map(|cid| (cid, None)),
            "member.removed" => {
                let member = event["member"]["user_id"].as_str();
                event["cid"].as_str().zip(member).map(|(cid, user_id)| (cid, Some(user_id)))
            }
            _ => None,
        };
        let Some((cid, user_id)) = ended else { return };
        for socket in &mut self.sockets {
            if user_id.is_none_or(|user_id| user_id == socket.user_id) {
                socket.watched.remove(cid);
            }
        }
    }
}
