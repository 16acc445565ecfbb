//! Listeners: on loopback for the servers of the stack itself, and on the host of the options for
//! the servers that clients reach.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::client_access::ClientAccess;
use crate::error::StartError;
use crate::tls::LocalTls;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Listens on a port of 127.0.0.1; 0 is any free port.
pub(crate) async fn bind_localhost(
    purpose: &'static str,
    port: u16,
) -> Result<(TcpListener, SocketAddr), StartError> {
    bind(purpose, LOOPBACK, port).await
}

async fn bind(
    purpose: &'static str,
    host: IpAddr,
    port: u16,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind_error = |reason| StartError::PortUnavailable { purpose, port, reason };
    let listener = TcpListener::bind((host, port)).await.map_err(bind_error)?;
    let address = listener.local_addr().map_err(bind_error)?;
    Ok((listener, address))
}

/// The listeners of a server that clients reach. All have the same port.
pub(crate) struct ClientListeners {
    pub(crate) sockets: Vec<TcpListener>,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// The addresses and the TLS of the servers that clients reach.
pub(crate) struct ClientEndpoints {
    hosts: Vec<IpAddr>,
    tls: Option<LocalTls>,
}

impl ClientEndpoints {
    /// Without access of clients, the endpoints are on loopback, without TLS.
    pub(crate) fn new(access: Option<&ClientAccess>) -> Result<Self, StartError> {
        let Some(access) = access else { return Ok(Self { hosts: vec![LOOPBACK], tls: None }) };
        let tls = match &access.tls_dir {
            Some(dir) => Some(LocalTls::load_or_create(dir, &access.addresses()?)?),
            None => None,
        };
        // The sample requests and the webhooks use loopback with any host.
        let hosts = if access.host.is_unspecified() || access.host == LOOPBACK {
            vec![access.host]
        } else {
            vec![LOOPBACK, access.host]
        };
        Ok(Self { hosts, tls })
    }

    /// Listens on a port; 0 is any free port. Returns the address on loopback.
    pub(crate) async fn bind(
        &self,
        purpose: &'static str,
        port: u16,
    ) -> Result<(ClientListeners, SocketAddr), StartError> {
        let mut bound_port = port;
        let mut sockets = Vec::new();
        for host in &self.hosts {
            let (socket, address) = bind(purpose, *host, bound_port).await?;
            bound_port = address.port();
            sockets.push(socket);
        }
        let tls = self.tls.as_ref().map(LocalTls::acceptor);
        Ok((ClientListeners { sockets, tls }, SocketAddr::new(LOOPBACK, bound_port)))
    }

    /// The certificate authority of `--tls`.
    pub(crate) fn tls(&self) -> Option<&LocalTls> {
        self.tls.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[tokio::test]
    async fn clients_reach_loopback_and_the_host_on_one_port() {
        for host in [LOOPBACK, IpAddr::V4(Ipv4Addr::UNSPECIFIED), "127.0.0.2".parse().unwrap()] {
            let access = ClientAccess { host, tls_dir: None };
            let endpoints = ClientEndpoints::new(Some(&access)).unwrap();
            let (listeners, address) = endpoints.bind("a test", 0).await.unwrap();
            for socket in &listeners.sockets {
                assert_eq!(socket.local_addr().unwrap().port(), address.port());
            }
            let is_specific = host != LOOPBACK && !host.is_unspecified();
            assert_eq!(listeners.sockets.len(), 1 + usize::from(is_specific), "{host}");
            for reachable in [LOOPBACK, host] {
                let target = SocketAddr::new(reachable, address.port());
                assert!(tokio::net::TcpStream::connect(target).await.is_ok(), "{target}");
            }
        }
    }

    #[tokio::test]
    async fn stack_without_client_access_listens_on_loopback_only() {
        let endpoints = ClientEndpoints::new(None).unwrap();
        let (listeners, address) = endpoints.bind("a test", 0).await.unwrap();
        assert_eq!(listeners.sockets.len(), 1);
        assert_eq!(listeners.sockets[0].local_addr().unwrap(), address);
        assert!(address.ip().is_loopback());
    }

    #[tokio::test]
    async fn address_of_another_machine_is_rejected() {
        // An address of the documentation range (RFC 3849).
        let host = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        let access = ClientAccess { host, tls_dir: None };
        let endpoints = ClientEndpoints::new(Some(&access)).unwrap();
        let result = endpoints.bind("the API", 0).await;
        assert!(matches!(result, Err(StartError::PortUnavailable { purpose: "the API", .. })));
    }
}
