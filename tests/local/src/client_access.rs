//! The access of clients from outside this machine: phones, simulators and browsers.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::error::StartError;

/// The access of clients to the API and to the Stream emulator. Browsers of any origin may use
/// both (CORS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAccess {
    /// The address on which both listen, beside loopback. An unspecified address, such as
    /// `0.0.0.0`, means all addresses of this machine.
    pub host: IpAddr,
    /// The directory with the certificate authority. With it, both also speak TLS.
    pub tls_dir: Option<PathBuf>,
}

impl ClientAccess {
    /// The addresses, besides loopback, at which clients reach this machine.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, StartError> {
        if self.host.is_loopback() {
            return Ok(Vec::new());
        }
        if !self.host.is_unspecified() {
            return Ok(vec![self.host]);
        }
        let interfaces = if_addrs::get_if_addrs().map_err(StartError::Interfaces)?;
        // The system lists the interfaces of the network before those of virtual machines.
        let mut addresses = Vec::new();
        for address in interfaces.iter().map(if_addrs::Interface::ip) {
            if is_reachable(address, self.host) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

/// Whether a client in the network can open `http://address` if the servers listen on this host.
fn is_reachable(address: IpAddr, host: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        // A URL cannot name the interface that such an address needs.
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !is_link_local && (address.is_ipv4() || host.is_ipv6())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn reachable_addresses_exclude_loopback_and_link_local() {
        let (any_v4, any_v6) = (address("0.0.0.0"), address("::"));
        for (candidate, host, expected) in [
            ("192.168.1.5", any_v4, true),
            ("10.0.0.2", any_v6, true),
            ("127.0.0.1", any_v4, false),
            ("169.254.3.4", any_v4, false),
            ("fe80::1", any_v6, false),
            ("::1", any_v6, false),
            ("fd00::5", any_v6, true),
            ("fd00::5", any_v4, false),
        ] {
            assert_eq!(is_reachable(address(candidate), host), expected, "{candidate} at {host}");
        }
    }

    #[test]
    fn addresses_follow_the_host() {
        let addresses = |host| ClientAccess { host, tls_dir: None }.addresses().unwrap();
        assert!(addresses(address("127.0.0.1")).is_empty());
        assert_eq!(addresses(address("192.168.1.5")), [address("192.168.1.5")]);
        assert!(addresses(address("0.0.0.0")).iter().all(|found| !found.is_loopback()));
    }
}
