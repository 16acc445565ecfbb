//! The sockets of clients.

use super::Emulator;
use crate::error::StreamError;
use crate::realtime::Closing;
use crate::views::SocketView;

impl Emulator {
    /// The open sockets, in the order in which they connected.
    #[must_use]
    pub fn sockets(&self) -> Vec<SocketView> {
        self.state().with_inner(|inner, _| inner.realtime.views())
    }

    /// Closes the sockets of a user, or all without a user, with the code of a close frame. Code
    /// 1006 closes the connections without a frame. Returns the number of sockets, which is 0 if
    /// the code cannot close a socket.
    #[allow(clippy::must_use_candidate, reason = "the number is often of no interest")]
    pub fn drop_sockets(&self, user_id: Option<&str>, code: u16) -> usize {
        let Some(closing) = Closing::from_code(code) else { return 0 };
        self.state().with_inner(|inner, now| inner.close_sockets(user_id, &closing, now))
    }

    /// Refuses the next connections with a `connection.error` that has this code of Stream.
    pub fn refuse_connections(&self, times: usize, code: i32) {
        let error = StreamError::connection_refusal(code);
        self.state().with_inner(|inner, _| inner.realtime.refuse_next(times, &error));
    }
}
