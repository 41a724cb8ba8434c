//! Length-prefixed frames: how every request and response travels.
//!
//! ```text
//! u32 length | that many bytes | end of stream
//! ```
//! A length above the cap is refused before anything is allocated, and memory grows only with what
//! has really arrived. Bytes after the frame are refused, so a frame has exactly one form.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;

use crate::service::Service;

/// A request as it arrived. A broken one is handed up, not refused here: libp2p tells nobody about
/// a request that could not be read, and its sender would go uncharged.
#[derive(Debug)]
pub(crate) enum Request {
    /// A frame.
    Bytes(Vec<u8>),
    /// Against the rules; the stream is closed.
    Broken,
}

/// Codec of one [`Service`]; what the bytes mean is decided above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameCodec(pub(crate) Service);

impl Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_frame(io, self.0.request_bytes_max()).await {
            Ok(bytes) => Ok(Request::Bytes(bytes)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Request::Broken),
            Err(error) => Err(error),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.0.response_bytes_max()).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Request,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match request {
            Request::Bytes(bytes) => write_frame(io, &bytes, self.0.request_bytes_max()).await,
            Request::Broken => Err(broken("not a request")),
        }
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &response, self.0.response_bytes_max()).await
    }
}

async fn read_frame<T>(io: &mut T, bytes_max: usize) -> io::Result<Vec<u8>>
where
    T: AsyncRead + Unpin + Send,
{
    let mut prefix = [0; 4];
    io.read_exact(&mut prefix).await?;
    let length = u32::from_be_bytes(prefix);
    if usize::try_from(length).map_or(true, |length| length > bytes_max) {
        return Err(broken("length prefix above the cap"));
    }
    let mut bytes = Vec::new();
    (&mut *io)
        .take(u64::from(length))
        .read_to_end(&mut bytes)
        .await?;
    if u32::try_from(bytes.len()) != Ok(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if io.read(&mut [0]).await? != 0 {
        return Err(broken("bytes after the frame"));
    }
    Ok(bytes)
}

async fn write_frame<T>(io: &mut T, bytes: &[u8], bytes_max: usize) -> io::Result<()>
where
    T: AsyncWrite + Unpin + Send,
{
    let length = u32::try_from(bytes.len()).map_err(|_| broken("frame too long"))?;
    if bytes.len() > bytes_max {
        return Err(broken("frame above the cap"));
    }
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.close().await
}

/// Only this kind of error is held against the peer; the others happen to honest ones.
fn broken(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    fn read(bytes: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
        block_on(read_frame(&mut Cursor::new(bytes), bytes_max))
    }

    #[test]
    fn round_trip() {
        for service in Service::ALL {
            let bytes = vec![7; service.request_bytes_max()];
            let mut wire = Cursor::new(Vec::new());
            block_on(write_frame(&mut wire, &bytes, service.request_bytes_max())).unwrap();
            assert_eq!(
                read(wire.get_ref(), service.request_bytes_max()).unwrap(),
                bytes
            );
        }
    }

    #[test]
    fn refusals_have_reasons() {
        let kind = |bytes: &[u8]| read(bytes, 4).unwrap_err().kind();
        assert_eq!(
            kind(&[0x80, 0, 0, 0]),
            io::ErrorKind::InvalidData,
            "two gigabytes"
        );
        assert_eq!(
            kind(&[0, 0, 0, 5, 1, 2, 3, 4, 5]),
            io::ErrorKind::InvalidData,
            "cap + 1"
        );
        assert_eq!(
            kind(&[0, 0, 0, 1, 1, 2]),
            io::ErrorKind::InvalidData,
            "trailing byte"
        );
        assert_eq!(
            kind(&[0, 0, 0, 4, 1, 2, 3]),
            io::ErrorKind::UnexpectedEof,
            "cut short"
        );
        assert_eq!(kind(&[0, 0]), io::ErrorKind::UnexpectedEof, "half a prefix");
    }
}
