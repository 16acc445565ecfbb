//! How the server ends a socket.

use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::error::StreamError;

/// The code that a client sees after a connection was lost. It is never on the wire.
const ABNORMAL: u16 = 1006;
/// The maximum length of a reason, in bytes.
const MAX_REASON_BYTES: usize = 123;

/// The end of a socket by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The remaining frames, then a close frame.
    Frame { code: u16, reason: String },
    /// The connection is lost without a close frame.
    Cut,
}

impl Closing {
    pub(crate) fn new(code: u16, reason: impl Into<String>) -> Self {
        Self::Frame { code, reason: reason.into() }
    }

    /// The end of a connection that Stream has refused.
    pub(super) fn refused() -> Self {
        Self::new(1000, "")
    }

    /// The token or the user is no longer valid. Stream's clients ignore code 1000 on an open
    /// socket. After code 1001 they connect again, and get the reason as `connection.error`.
    pub(super) fn unauthorized(error: &StreamError) -> Self {
        Self::new(1001, error.message())
    }

    pub(super) fn overflow() -> Self {
        Self::new(1011, "the client reads too slowly")
    }

    pub(super) fn idle() -> Self {
        Self::new(1001, "the client sent no health check")
    }

    /// The end with a code of a test. `None` if the code cannot end a socket.
    pub(crate) fn from_code(code: u16) -> Option<Self> {
        match code {
            ABNORMAL => Some(Self::Cut),
            _ if CloseCode::from(code).is_allowed() => Some(Self::new(code, "")),
            _ => None,
        }
    }

    /// The close frame, or `None` for a lost connection.
    pub(super) fn frame(self) -> Option<CloseFrame> {
        let Self::Frame { code, mut reason } = self else { return None };
        while reason.len() > MAX_REASON_BYTES {
            reason.pop();
        }
        Some(CloseFrame { code: code.into(), reason: reason.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_of_servers_end_a_socket() {
        assert_eq!(Closing::from_code(1001), Some(Closing::new(1001, "")));
        assert_eq!(Closing::from_code(4000), Some(Closing::new(4000, "")));
        assert_eq!(Closing::from_code(1006), Some(Closing::Cut));
        for code in [0, 999, 1005, 5000] {
            assert_eq!(Closing::from_code(code), None, "{code}");
        }
    }

    #[test]
    fn reason_fits_into_a_close_frame() {
        let frame = Closing::new(1001, "ä".repeat(100)).frame().expect("a frame");
        assert_eq!(frame.reason.len(), 122);
        assert_eq!(Closing::Cut.frame(), None);
    }
}
