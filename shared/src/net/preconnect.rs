//! Connections that a function opens before its first event.
//!
//! A connection takes two round trips and the cryptography of a handshake. At init it runs beside
//! the fetch of the secrets, and with a whole processor
//! (`docs/adr/0039-cold-starts-and-size.md`).

use std::time::Duration;

use futures_util::future::join_all;

use crate::config::{Env, StoreConfig, StreamConfig};
use crate::net::{Client, body};

/// The time limit of a request that opens a connection.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The largest response that is read. A connection is reused only after its response is complete.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The numbers of connections that the first request of a function uses at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connections {
    /// To DynamoDB.
    pub table: usize,
    /// To Stream.
    pub stream: usize,
}

/// The connections that a function opens at init.
pub(crate) struct Preconnect {
    client: Client,
    hosts: Vec<Host>,
}

/// A host and the number of connections to open.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    url: String,
    connections: usize,
}

impl Preconnect {
    /// Selects the hosts. Sends no request.
    pub(crate) fn new(connections: Connections, env: &Env, client: Client) -> Self {
        Self { client, hosts: hosts(connections, env) }
    }

    /// Opens the connections in the background. A failure is ignored: the first request then opens
    /// a connection of its own.
    pub(crate) fn start(&self) {
        for host in &self.hosts {
            let (host, client) = (host.clone(), self.client.clone());
            tokio::spawn(async move { host.connect(&client).await });
        }
    }
}

/// The hosts of the configuration. A function without the key of a Stream app never calls Stream.
fn hosts(connections: Connections, env: &Env) -> Vec<Host> {
    let table = StoreConfig::from_env(env).ok().map(|store| store.endpoint_url());
    let stream = env.get("STREAM_API_KEY").and_then(|_| StreamConfig::base_url_from_env(env).ok());
    [(table, connections.table), (stream.map(str::to_owned), connections.stream)]
        .into_iter()
        .filter(|(_, connections)| *connections > 0)
        .filter_map(|(url, connections)| Some(Host { url: url?, connections }))
        .collect()
}

impl Host {
    async fn connect(&self, client: &Client) {
        // The handshakes of the others resume the session of the first.
        if request(client, &self.url).await.is_ok() && self.connections > 1 {
            join_all((0..self.connections).map(|_| request(client, &self.url))).await;
        }
    }
}

/// Sends a request without credentials. The response does not matter.
async fn request(client: &Client, url: &str) -> Result<(), reqwest::Error> {
    let mut response = client.get(url).timeout(TIMEOUT).send().await?;
    body::read_body(&mut response, MAX_RESPONSE_BYTES).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::net;

    #[test]
    fn hosts_follow_the_configuration() {
        let both = Connections { table: 4, stream: 1 };
        let host = |url: &str, connections| Host { url: url.to_owned(), connections };
        let aws = [("AWS_REGION", "eu-west-1"), ("TABLE_NAME", "t"), ("STREAM_API_KEY", "k")];
        let dynamodb = host("https://dynamodb.eu-west-1.amazonaws.com", 4);
        let stream = host("https://chat.stream-io-api.com", 1);
        assert_eq!(hosts(both, &Env::from(aws)), [dynamodb.clone(), stream]);
        assert_eq!(hosts(Connections { stream: 0, ..both }, &Env::from(aws)), [dynamodb]);
        assert_eq!(hosts(Connections::default(), &Env::from(aws)), []);
        let china = [("AWS_REGION", "cn-north-1"), ("TABLE_NAME", "t")];
        let dynamodb = host("https://dynamodb.cn-north-1.amazonaws.com.cn", 4);
        assert_eq!(hosts(both, &Env::from(china)), [dynamodb]);
        let local = [
            ("DYNAMODB_ENDPOINT", "http://127.0.0.1:1"),
            ("STREAM_BASE_URL", "http://127.0.0.1:2/"),
        ];
        let env = Env::from([aws[0], aws[1], aws[2], local[0], local[1]]);
        let expected = [host("http://127.0.0.1:1", 4), host("http://127.0.0.1:2", 1)];
        assert_eq!(hosts(both, &env), expected);
    }

    #[test]
    fn connections_are_opened_and_reused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    while matches!(socket.read(&mut [0; 1024]), Ok(1..)) {
                        let response = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno";
                        socket.write_all(response).unwrap();
                    }
                });
            }
        });
        let client = net::client().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connect = |connections| {
            let host = Host { url: url.clone(), connections };
            runtime.block_on(host.connect(&client));
            accepted.load(Ordering::SeqCst)
        };
        assert_eq!(connect(1), 1);
        assert_eq!(connect(1), 1, "the first connection is reused");
        let opened = connect(3);
        assert!((2..=3).contains(&opened), "{opened}");
    }
}
