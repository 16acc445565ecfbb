//! Listeners on the loopback interface.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::error::StartError;

/// Listens on a port of 127.0.0.1; 0 is any free port.
pub(crate) async fn bind_localhost(
    purpose: &'static str,
    port: u16,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind_error = |reason| StartError::PortUnavailable { purpose, port, reason };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(bind_error)?;
    let address = listener.local_addr().map_err(bind_error)?;
    Ok((listener, address))
}
