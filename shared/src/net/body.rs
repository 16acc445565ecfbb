//! Reading of response bodies up to a size limit.

use bytes::{Bytes, BytesMut};

/// Reads the body of a response. Returns `None` if it is larger than `max_bytes`.
pub(crate) async fn read_body(
    response: &mut reqwest::Response,
    max_bytes: usize,
) -> Result<Option<Bytes>, reqwest::Error> {
    let mut body = BytesMut::new();
    let mut next = response.chunk().await?;
    while let Some(chunk) = next {
        if body.len() + chunk.len() > max_bytes {
            return Ok(None);
        }
        next = response.chunk().await?;
        // Most bodies have one chunk, which is not copied.
        if next.is_none() && body.is_empty() {
            return Ok(Some(chunk));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}
