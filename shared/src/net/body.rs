//! Reading of response bodies up to a size limit.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;

/// Reads a body. Returns `None` if it is larger than `max_bytes`.
pub(crate) async fn read_body<B>(mut body: B, max_bytes: usize) -> Result<Option<Bytes>, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut read = BytesMut::new();
    let mut next = next_data(&mut body).await?;
    while let Some(data) = next {
        if read.len() + data.len() > max_bytes {
            return Ok(None);
        }
        next = next_data(&mut body).await?;
        // Most bodies have one frame, which is not copied.
        if next.is_none() && read.is_empty() {
            return Ok(Some(data));
        }
        read.extend_from_slice(&data);
    }
    Ok(Some(read.freeze()))
}

/// The next part of a body, without its trailers.
async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};
    use http::HeaderMap;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    /// Reads a body of these parts and trailers. A part `!` is an error.
    fn read(parts: &[&'static str], max_bytes: usize) -> Result<Option<Bytes>, &'static str> {
        let frame = |part: &&'static str| match *part {
            "!" => Err("broken"),
            part => Ok(Frame::data(Bytes::from_static(part.as_bytes()))),
        };
        let trailers = Ok(Frame::trailers(HeaderMap::new()));
        let frames: Vec<_> = parts.iter().map(frame).chain([trailers]).collect();
        read_body(StreamBody::new(stream::iter(frames)), max_bytes).now_or_never().unwrap()
    }

    #[test]
    fn body_is_read_up_to_the_limit() {
        for (parts, expected) in [
            (&[][..], Ok(Some(""))),
            (&["abcd"], Ok(Some("abcd"))),
            (&["ab", "c", "", "d"], Ok(Some("abcd"))),
            (&["abcde"], Ok(None)),
            (&["abc", "de"], Ok(None)),
            (&["ab", "!"], Err("broken")),
        ] {
            assert_eq!(read(parts, 4), expected.map(|body| body.map(Bytes::from)), "{parts:?}");
        }
    }

    #[test]
    fn single_part_is_not_copied() {
        let part = Bytes::from_static(b"abcd");
        let frames = [Ok::<_, ()>(Frame::data(part.clone()))];
        let body = read_body(StreamBody::new(stream::iter(frames)), 4).now_or_never().unwrap();
        assert_eq!(body.unwrap().unwrap().as_ptr(), part.as_ptr());
    }
}
