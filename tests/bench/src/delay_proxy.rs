//! A TCP proxy that delays a server by a network round trip.
//!
//! It uses threads, because the timers of tokio have a resolution of a millisecond.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Starts a proxy before a server. Returns its address.
///
/// The kernel accepts a connection at once, so the round trip of the TCP handshake is added to the
/// first request. Every response is delayed by the round trip, including those of a TLS handshake.
pub(crate) fn start(upstream: SocketAddr, round_trip: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A connection that fails is closed. The client reports it.
            let _ = forward(client, upstream, round_trip);
        }
    });
    Ok(address)
}

/// Forwards a connection until both sides have closed it.
fn forward(client: TcpStream, upstream: SocketAddr, round_trip: Duration) -> io::Result<()> {
    let server = TcpStream::connect(upstream)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let is_established = Arc::new(AtomicBool::new(false));
    let is_first = Arc::clone(&is_established);
    let request_delay = move || {
        if is_first.load(Ordering::Relaxed) { Duration::ZERO } else { round_trip }
    };
    copy(client.try_clone()?, server.try_clone()?, request_delay);
    copy(server, client, move || {
        is_established.store(true, Ordering::Relaxed);
        round_trip
    });
    Ok(())
}

/// Copies bytes in threads of their own, each part after the delay at its arrival.
fn copy(mut from: TcpStream, mut to: TcpStream, delay: impl Fn() -> Duration + Send + 'static) {
    let (sender, parts) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + delay();
            if sender.send((due, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, part) in parts {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&part).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_and_each_response_take_a_round_trip() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut byte = [0];
            while socket.read_exact(&mut byte).is_ok() {
                socket.write_all(&byte).unwrap();
            }
        });
        let round_trip = Duration::from_millis(20);
        let mut client = TcpStream::connect(start(upstream, round_trip).unwrap()).unwrap();
        let mut exchange = |value: u8| {
            let started = Instant::now();
            client.write_all(&[value]).unwrap();
            let mut response = [0];
            client.read_exact(&mut response).unwrap();
            assert_eq!(response, [value]);
            started.elapsed()
        };
        let first = exchange(0);
        assert!(first >= 2 * round_trip, "{first:?}");
        // The shortest of many, since a busy machine may delay some.
        let shortest = (1..=10).map(&mut exchange).min().unwrap();
        assert!(shortest >= round_trip && shortest < 2 * round_trip, "{shortest:?}");
        // The client closes: the server sees the end, and closes as well.
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
