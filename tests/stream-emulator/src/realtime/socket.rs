//! One open socket: its user, what it watches, and the way to its connection.

use std::collections::BTreeSet;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::audience::Product;
use super::closing::Closing;
use crate::views::SocketView;

/// The maximum number of frames that a socket has not sent yet.
pub(super) const QUEUE_FRAMES: usize = 1_000;

/// The times of a token, which limit a socket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TokenTimes {
    pub(crate) iat: Option<f64>,
    pub(crate) exp: Option<f64>,
}

/// An open socket. Its connection ends when the socket is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(super) connection_id: String,
    pub(super) user_id: String,
    pub(super) product: Product,
    pub(super) token: TokenTimes,
    /// The cids of channels or calls.
    pub(super) watched: BTreeSet<String>,
    /// The ids of the users whose presence the client asked for.
    pub(super) presence_of: BTreeSet<String>,
    frames: mpsc::Sender<Utf8Bytes>,
    closing: watch::Sender<Option<Closing>>,
}

/// The end of a socket that its connection holds.
#[derive(Debug)]
pub(super) struct SocketHandle {
    pub(super) connection_id: String,
    /// Ends when the socket is removed.
    pub(super) frames: mpsc::Receiver<Utf8Bytes>,
    /// Why the server ends the socket, once it does.
    pub(super) closing: watch::Receiver<Option<Closing>>,
}

/// The queue of a socket is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

impl Socket {
    pub(super) fn new(
        connection_id: String,
        user_id: &str,
        product: Product,
        token: TokenTimes,
    ) -> (Self, SocketHandle) {
        let (frames, frame_receiver) = mpsc::channel(QUEUE_FRAMES);
        let (closing, closing_receiver) = watch::channel(None);
        let handle = SocketHandle {
            connection_id: connection_id.clone(),
            frames: frame_receiver,
            closing: closing_receiver,
        };
        let socket = Self {
            connection_id,
            user_id: user_id.to_owned(),
            product,
            token,
            watched: BTreeSet::new(),
            presence_of: BTreeSet::new(),
            frames,
            closing,
        };
        (socket, handle)
    }

    /// Queues a frame. It never waits: a slow client must not block the world.
    pub(super) fn send(&self, frame: Utf8Bytes) -> Result<(), QueueFull> {
        match self.frames.try_send(frame) {
            Err(TrySendError::Full(_)) => Err(QueueFull),
            // A closed connection removes its socket.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Ends the connection after the queued frames.
    pub(super) fn close(self, closing: Closing) {
        self.closing.send_replace(Some(closing));
    }

    pub(super) fn view(&self) -> SocketView {
        SocketView {
            connection_id: self.connection_id.clone(),
            user_id: self.user_id.clone(),
            product: self.product.as_str().to_owned(),
            watched_cids: self.watched.iter().cloned().collect(),
        }
    }
}
