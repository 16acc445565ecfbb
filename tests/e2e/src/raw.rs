//! Bytes on a socket, for what no HTTP client would send.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends these bytes to `http://host:port` and reads the answer until the other side closes.
pub async fn send_raw(url: &str, bytes: &[u8]) -> io::Result<String> {
    let address = url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(bytes).await?;
    let mut response = Vec::new();
    socket.read_to_end(&mut response).await?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}
