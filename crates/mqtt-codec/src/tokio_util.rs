//! [`tokio_util::codec`] for [`Codec`]: feature `tokio-util`.

use std::io;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use crate::{Codec, Packet};

/// Protocol errors come out as [`io::ErrorKind::InvalidData`] with the [`DecodeError`](crate::DecodeError) inside.
#[cfg_attr(docsrs, doc(cfg(feature = "tokio-util")))]
impl Decoder for Codec {
    type Item = Packet;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Packet>> {
        Self::decode(self, buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Packets that cannot be sent come out as [`io::ErrorKind::InvalidInput`] with the
/// [`EncodeError`](crate::EncodeError) inside.
#[cfg_attr(docsrs, doc(cfg(feature = "tokio-util")))]
impl Encoder<Packet> for Codec {
    type Error = io::Error;

    fn encode(&mut self, packet: Packet, buffer: &mut BytesMut) -> io::Result<()> {
        Self::encode(self, &packet, buffer)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    #[test]
    fn a_framed_codec_gives_packets_and_io_errors() {
        let mut codec = Codec::observer(Version::V5);
        let mut buffer = BytesMut::new();
        Encoder::encode(&mut codec, Packet::PingReq, &mut buffer).unwrap();
        assert_eq!(Decoder::decode(&mut codec, &mut buffer).unwrap(), Some(Packet::PingReq));
        buffer.extend_from_slice(&[0x00]);
        let error = Decoder::decode(&mut codec, &mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(std::string::ToString::to_string(&error).contains("packet type 0"));
    }
}
