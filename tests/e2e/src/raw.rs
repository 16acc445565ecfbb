//! Raw bytes on a socket, for requests that an HTTP client would not send.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends bytes to `http://host:port`, and reads the response until the server closes.
pub async fn send_raw(url: &str, bytes: &[u8]) -> io::Result<String> {
    let address = url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(bytes).await?;
    let mut response = Vec::new();
    socket.read_to_end(&mut response).await?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}
