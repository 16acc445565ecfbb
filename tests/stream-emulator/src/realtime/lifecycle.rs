//! The life of a socket: it opens with a verified token, and closes when the client leaves or the
//! token or the user is no longer valid.

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::audience::Product;
use super::closing::Closing;
use super::connect::ConnectRequest;
use super::frames;
use super::socket::{Socket, SocketHandle, TokenTimes};
use crate::error::StreamError;
use crate::settings::Settings;
use crate::state::{Inner, State};
use crate::timestamp::Timestamp;
use crate::world::RequestSource;

impl State {
    /// Opens a socket. Its first frame is queued.
    pub(super) fn connect(&self, request: ConnectRequest) -> Result<SocketHandle, StreamError> {
        self.with_inner(|inner, now| inner.connect(request, self.settings(), now))
    }

    /// Removes the socket of a connection that has ended.
    pub(super) fn disconnect(&self, connection_id: &str) {
        self.with_inner(|inner, now| inner.remove_socket(connection_id, now));
    }

    pub(super) fn close_socket(&self, connection_id: &str, closing: Closing) {
        self.with_inner(|inner, now| inner.close_socket(connection_id, closing, now));
    }

    pub(super) fn health_check(&self, product: Product, connection_id: &str) -> Utf8Bytes {
        self.with_inner(|_, now| frames::health_check(product, connection_id, now))
    }

    pub(super) fn connection_error(&self, error: &StreamError) -> Utf8Bytes {
        self.with_inner(|_, now| frames::connection_error(error, now))
    }
}

impl Inner {
    fn connect(
        &mut self,
        request: ConnectRequest,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<SocketHandle, StreamError> {
        if let Some(refusal) = self.realtime.next_refusal() {
            return Err(refusal);
        }
        let claims = request.credentials.verify(settings, self.signature_check(), now)?;
        self.world.app().ensure_not_suspended()?;
        let user_id = claims
            .user()
            .ok_or_else(|| StreamError::unauthenticated(5, "the token has no user_id"))?;
        if request.user_id.as_deref().is_some_and(|named| named != user_id) {
            return Err(StreamError::unauthenticated(5, "user_id is not the user of the token"));
        }
        self.world.check_can_connect(user_id, claims.iat)?;
        self.world.set_request_source(RequestSource::Client);
        let connected = self.world.connect_user(user_id, request.details, now);
        self.world.set_request_source(RequestSource::default());
        connected?;
        self.world.set_online(user_id, true, now);
        let me = self.world.own_user(user_id)?;
        let token = TokenTimes { iat: claims.iat, exp: claims.exp };
        let handle = self.realtime.open(user_id, request.product, token);
        let frame = frames::first_frame(request.product, &handle.connection_id, me, now);
        if let Some(socket) = self.realtime.find(&handle.connection_id) {
            // The queue of a new socket is empty.
            let _ = socket.send(frame);
        }
        Ok(handle)
    }

    /// Removes a socket, with the effects on watchers and presence.
    fn remove_socket(&mut self, connection_id: &str, now: Timestamp) -> Option<Socket> {
        let socket = self.realtime.remove(connection_id)?;
        let user_id = socket.user_id.as_str();
        for cid in &socket.watched {
            self.end_watch(cid, user_id, now);
        }
        if !self.realtime.has_socket(user_id, None) {
            self.world.set_online(user_id, false, now);
        }
        if socket.product == Product::Video
            && !self.realtime.has_socket(user_id, socket.product.into())
        {
            self.world.client_disconnected(user_id, now);
        }
        Some(socket)
    }

    fn close_socket(&mut self, connection_id: &str, closing: Closing, now: Timestamp) {
        if let Some(socket) = self.remove_socket(connection_id, now) {
            socket.close(closing);
        }
    }

    /// Closes the sockets of a user, or those of all users. Returns their number.
    pub(crate) fn close_sockets(
        &mut self,
        user_id: Option<&str>,
        closing: &Closing,
        now: Timestamp,
    ) -> usize {
        let is_match = |socket: &&Socket| user_id.is_none_or(|user_id| user_id == socket.user_id);
        let sockets = self.realtime.sockets.iter().filter(is_match);
        let ids: Vec<String> = sockets.map(|socket| socket.connection_id.clone()).collect();
        for id in &ids {
            self.close_socket(id, closing.clone(), now);
        }
        ids.len()
    }

    /// Closes the sockets whose queue is full.
    pub(crate) fn close_overflowed_sockets(&mut self, now: Timestamp) {
        for id in std::mem::take(&mut self.realtime.overflowed) {
            self.close_socket(&id, Closing::overflow(), now);
        }
    }

    /// Closes the sockets whose token or user is no longer valid.
    pub(crate) fn close_unauthorized_sockets(&mut self, now: Timestamp) {
        let rejected: Vec<(String, StreamError)> = self
            .realtime
            .sockets
            .iter()
            .filter_map(|socket| {
                let TokenTimes { iat, exp } = socket.token;
                if exp.is_some_and(|exp| now.as_numeric_date() >= exp) {
                    let error = StreamError::unauthenticated(40, "Token is expired");
                    return Some((socket.connection_id.clone(), error));
                }
                let error = self.world.check_can_connect(&socket.user_id, iat).err()?;
                Some((socket.connection_id.clone(), error))
            })
            .collect();
        for (id, error) in rejected {
            self.close_socket(&id, Closing::unauthorized(&error), now);
        }
    }
}
