//! One connection's task: bytes in, bytes out, nothing of MQTT beyond packets.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use mqtt_codec::{Codec, Limits, Packet, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::gate::{Gate, Verdict};
use super::hub::{End, Event};
use super::link::Link;
use crate::broker::ConnectionId;

/// How much is read at once.
const CHUNK: usize = 4 * 1024;

/// How long what a client still sends is read and thrown away after the last byte to it. A socket that is closed with
/// unread bytes is reset, and the client might never see the reason.
const LINGER: Duration = Duration::from_millis(500);

/// A connection's own settings.
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) link: Arc<Link>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) max_packet_size: u32,
    /// What CONNECT has to pass.
    pub(super) gate: Gate,
    /// Cut once this many bytes were written.
    pub(super) cut_after: Option<usize>,
    /// Each packet is written by itself.
    pub(super) one_by_one: bool,
}

impl Connection {
    /// For a stream that makes a frame of every write: a packet is a frame. The standard asks no client to count on it, but
    /// AWS's first SDK for Python does: what comes behind a packet in the same frame it leaves until another frame arrives.
    pub(super) fn in_frames(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// Serves the connection to its end.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut self, stream: S) {
        let connected = Event::Connected(self.id, Arc::clone(&self.link));
        if self.events.send(connected).await.is_err() {
            return;
        }
        let (mut read, mut write) = tokio::io::split(stream);
        let mut cut_after = self.cut_after.take();
        let mut end = End::Cut;
        let written = tokio::select! {
            biased;
            () = self.given_up() => false,
            all = self.write_packets(&mut write, &mut cut_after) => all,
            how = self.read_packets(&mut read) => {
                end = how;
                false
            }
        };
        if written {
            let last = async {
                let _ = write.shutdown().await;
                let mut rest = [0; 512];
                while read.read(&mut rest).await.is_ok_and(|len| len > 0) {}
            };
            let _ = tokio::time::timeout(LINGER, last).await;
        }
        let _ = self.events.send(Event::Closed(self.id, end)).await;
    }

    /// Aborted, or closing for too long, or the hub is gone without having said good-bye.
    async fn given_up(&self) {
        tokio::select! {
            biased;
            () = self.link.expired() => {}
            () = self.hub_gone() => {}
        }
    }

    async fn hub_gone(&self) {
        self.events.closed().await;
        // Before the hub went it may have asked for a close, which is still being done.
        self.link.close();
        self.link.expired().await;
    }

    /// Writes until the connection is to close (`true`), or cannot or may not write more.
    async fn write_packets(
        &self,
        write: &mut (impl AsyncWrite + Unpin),
        cut_after: &mut Option<usize>,
    ) -> bool {
        loop {
            if *cut_after == Some(0) {
                return false;
            }
            let Some(mut chunk) = self.link.next().await else { return true };
            if let Some(left) = cut_after {
                chunk.truncate(*left);
                *left -= chunk.len();
            }
            while !chunk.is_empty() {
                let packet = chunk.split_to(self.piece(&chunk));
                if write.write_all(&packet).await.is_err() {
                    return false;
                }
            }
            if write.flush().await.is_err() {
                return false;
            }
        }
    }

    /// How many of these bytes are written at once.
    fn piece(&self, chunk: &[u8]) -> usize {
        if !self.one_by_one {
            return chunk.len();
        }
        // What the server of either version sends the client of version 5 knows.
        let codec = Codec::client(Version::V5).with_limits(Limits::with_max_packet_size(u32::MAX));
        codec.packet_len(chunk).ok().flatten().map_or(chunk.len(), |len| len.min(chunk.len()))
    }

    /// Reads until the peer is gone.
    async fn read_packets(&self, read: &mut (impl AsyncRead + Unpin)) -> End {
        let mut codec = Codec::server().with_limits(Limits::with_max_packet_size(self.max_packet_size));
        let mut buffer = BytesMut::new();
        let mut expiry = Box::pin(after(self.gate.lifetime()));
        loop {
            buffer.reserve(CHUNK);
            let read = tokio::select! {
                biased;
                () = &mut expiry => {
                    self.report(Event::Expired(self.id)).await;
                    return pending().await; // the hub says so and closes
                }
                read = read.read_buf(&mut buffer) => read,
            };
            match read {
                Ok(0) => return self.gate.end_of_stream(),
                Ok(_) => {}
                Err(_) => return End::Cut,
            }
            self.link.not_stalled().await;
            loop {
                let packet = match codec.decode(&mut buffer) {
                    Ok(Some(packet)) => packet,
                    Ok(None) => break,
                    Err(error) => {
                        self.report(Event::Malformed(self.id, error)).await;
                        return pending().await; // the hub answers and closes
                    }
                };
                if let Packet::Connect(connect) = &packet {
                    match self.gate.admit(connect) {
                        Verdict::Pass(lifetime) => expiry = Box::pin(after(lifetime)),
                        Verdict::TurnAway(reason) => {
                            self.report(Event::TurnedAway(self.id, connect.version(), reason)).await;
                            return pending().await; // the hub answers and closes
                        }
                    }
                }
                self.report(Event::Packet(self.id, packet)).await;
            }
        }
    }

    async fn report(&self, event: Event) {
        if self.events.send(event).await.is_err() {
            pending::<()>().await; // the hub is gone: what it left is still being written
        }
    }
}

/// Waits that long, or for ever.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => pending().await,
    }
}
