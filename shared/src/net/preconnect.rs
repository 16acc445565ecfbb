//! Connections that a function opens before its first event.
//!
//! A connection takes two round trips and the cryptography of a handshake. At init it runs beside
//! the fetch of the secrets, and with a whole processor
//! (`docs/adr/0039-cold-starts-and-size.md`).

use std::time::Duration;

use futures_util::future::join_all;

use crate::config::{Env, StoreConfig, StreamConfig};
use crate::net::{Client, body, endpoint};

/// The time limit of a request to Stream that opens a connection, and of all connections to the
/// table together.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The largest response of Stream that is read. A connection is reused only after its response is complete.
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
    hosts: Hosts,
}

/// The numbers of connections to open to these hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hosts {
    table: Option<(String, usize)>,
    stream: Option<(String, usize)>,
}

impl Preconnect {
    /// Selects the hosts. Sends no request.
    pub(crate) fn new(connections: Connections, env: &Env, client: Client) -> Self {
        Self { client, hosts: Hosts::new(connections, env) }
    }

    /// Opens the connections in the background. A failure is ignored: the first request then opens
    /// a connection of its own.
    pub(crate) fn start(&self) {
        let Hosts { table, stream } = self.hosts.clone();
        if let Some((url, connections)) = table {
            let client = self.client.clone();
            tokio::spawn(async move { connect_to_table(&client, &url, connections).await });
        }
        if let Some((url, connections)) = stream {
            let client = self.client.http.clone();
            tokio::spawn(async move { connect_to_stream(&client, &url, connections).await });
        }
    }
}

impl Hosts {
    /// The hosts of the configuration. A function without the key of a Stream app never calls
    /// Stream.
    fn new(connections: Connections, env: &Env) -> Self {
        let host = |url: String, connections| (connections > 0).then_some((url, connections));
        let endpoint_url = |store: StoreConfig| {
            let StoreConfig { region, endpoint, .. } = store;
            let endpoint = endpoint::resolve(endpoint::DYNAMODB, &region, endpoint.as_deref());
            Some(endpoint.ok()?.url().to_owned())
        };
        let table = StoreConfig::from_env(env).ok().and_then(endpoint_url);
        let stream =
            env.get("STREAM_API_KEY").and_then(|_| StreamConfig::base_url_from_env(env).ok());
        Self {
            table: table.and_then(|url| host(url, connections.table)),
            stream: stream.and_then(|url| host(url.to_owned(), connections.stream)),
        }
    }
}

async fn connect_to_table(client: &Client, url: &str, connections: usize) {
    if let Ok(pool) = client.pool(url) {
        let _ = tokio::time::timeout(TIMEOUT, pool.open(connections)).await;
    }
}

/// `reqwest` has no call for opening a connection, so each sends a request.
async fn connect_to_stream(client: &reqwest::Client, url: &str, connections: usize) {
    // The handshakes of the others resume the session of the first.
    if request(client, url).await.is_ok() && connections > 1 {
        join_all((0..connections).map(|_| request(client, url))).await;
    }
}

/// Sends a request without credentials. The response does not matter.
async fn request(client: &reqwest::Client, url: &str) -> Result<(), reqwest::Error> {
    let response = client.get(url).timeout(TIMEOUT).send().await?;
    let body = http::Response::from(response).into_body();
    body::read_body(body, MAX_RESPONSE_BYTES).await.map(|_| ())
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
        let hosts = |connections, pairs: &[(&str, &str)]| {
            let Hosts { table, stream } = Hosts::new(connections, &pairs.iter().copied().collect());
            (table, stream)
        };
        let host = |url: &str, connections| Some((url.to_owned(), connections));
        let aws = [("AWS_REGION", "eu-west-1"), ("TABLE_NAME", "t"), ("STREAM_API_KEY", "k")];
        let dynamodb = host("https://dynamodb.eu-west-1.amazonaws.com", 4);
        let stream = host("https://chat.stream-io-api.com", 1);
        assert_eq!(hosts(both, &aws), (dynamodb.clone(), stream));
        assert_eq!(hosts(Connections { stream: 0, ..both }, &aws), (dynamodb, None));
        assert_eq!(hosts(Connections::default(), &aws), (None, None));
        let china = [("AWS_REGION", "cn-north-1"), ("TABLE_NAME", "t")];
        let dynamodb = host("https://dynamodb.cn-north-1.amazonaws.com.cn", 4);
        assert_eq!(hosts(both, &china), (dynamodb, None));
        let sovereign = [("AWS_REGION", "eusc-de-east-1"), ("TABLE_NAME", "t")];
        let dynamodb = host("https://dynamodb.eusc-de-east-1.amazonaws.eu", 4);
        assert_eq!(hosts(both, &sovereign), (dynamodb, None));
        let invalid = [("AWS_REGION", "not a region"), ("TABLE_NAME", "t")];
        assert_eq!(hosts(both, &invalid), (None, None));
        let local = [
            ("DYNAMODB_ENDPOINT", "http://127.0.0.1:1"),
            ("STREAM_BASE_URL", "http://127.0.0.1:2/"),
        ];
        let expected = (host("http://127.0.0.1:1", 4), host("http://127.0.0.1:2", 1));
        assert_eq!(hosts(both, &[&aws[..], &local].concat()), expected);
    }

    #[test]
    fn connections_are_opened_and_reused() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = net::client().unwrap();
        let (url, accepted) = start_server();
        let connect = |connections| {
            runtime.block_on(connect_to_stream(&client.http, &url, connections));
            accepted.load(Ordering::SeqCst)
        };
        assert_eq!(connect(1), 1);
        assert_eq!(connect(1), 1, "the first connection is reused");
        let opened = connect(3);
        assert!((2..=3).contains(&opened), "{opened}");
        let (url, _) = start_server();
        runtime.block_on(connect_to_table(&client, &url, 3));
        assert_eq!(client.pool(&url).unwrap().idle_connections(), 3);
    }

    /// Starts a server that responds 404. Returns its URL and the number of accepted connections.
    fn start_server() -> (String, Arc<AtomicUsize>) {
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
        (url, accepted)
    }
}
