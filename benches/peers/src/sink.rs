//! A broker that acknowledges and counts, in a process of its own.
//!
//! Each payload begins with its number. When a connection ends, one line on standard output says what came over it:
//! see [`Report`].

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::str::FromStr;

use bytes::BytesMut;
use mqtt_codec::packet::{Ack, ConnAck, Publish};
use mqtt_codec::{Codec, Packet, ReasonCode};

/// Numbers from here on are no numbers of ours.
const HIGHEST: usize = 100_000_000;

/// What came over one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Different messages.
    pub messages: usize,
    /// Messages that came again.
    pub duplicates: usize,
    /// One more than the highest number.
    pub end: usize,
    /// Whether the peer did what a server does not expect.
    pub broken: bool,
}

impl Report {
    /// Whether it is this many messages, each of them once.
    pub fn check(self, sent: usize) -> Result<(), String> {
        if self == (Self { messages: sent, duplicates: 0, end: sent, broken: false }) {
            return Ok(());
        }
        Err(format!(
            "{sent} messages were sent, {} came, {} of them again; highest number {}{}",
            self.messages + self.duplicates,
            self.duplicates,
            self.end,
            if self.broken { "; the connection broke" } else { "" }
        ))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.messages, self.duplicates, self.end, u8::from(self.broken))
    }
}

impl FromStr for Report {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Result<Vec<usize>, _> = line.split_whitespace().map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[messages, duplicates, end, broken]) => {
                Ok(Self { messages, duplicates, end, broken: broken != 0 })
            }
            _ => Err(format!("the sink said {line:?}")),
        }
    }
}

/// Serves until its standard input ends. Its first line is the port.
pub fn run() -> Result<(), String> {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let serve = || -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        println!("{}", listener.local_addr()?.port());
        for stream in listener.incoming() {
            let mut connection = Connection::default();
            if connection.serve(stream?).is_err() {
                connection.report.broken = true;
            }
            println!("{}", connection.report);
        }
        Ok(())
    };
    serve().map_err(|error| format!("sink: {error}"))
}

#[derive(Default)]
struct Connection {
    report: Report,
    seen: Vec<bool>,
}

impl Connection {
    fn serve(&mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut codec = Codec::server();
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let n = stream.read(&mut chunk)?;
            if n == 0 {
                return Ok(());
            }
            input.extend_from_slice(&chunk[..n]);
            while let Some(packet) = codec.decode(&mut input).map_err(io::Error::other)? {
                let Some(reply) = self.reply(packet)? else { continue };
                codec.encode(&reply, &mut output).map_err(io::Error::other)?;
            }
            // All that was read is answered by one write.
            stream.write_all(&output)?;
            output.clear();
        }
    }

    fn reply(&mut self, packet: Packet) -> io::Result<Option<Packet>> {
        Ok(match packet {
            Packet::Connect(_) => Some(ConnAck::new(false, ReasonCode::Success).into()),
            Packet::Publish(publish) => {
                self.count(&publish)?;
                publish.packet_id().map(Ack::new).map(Packet::PubAck)
            }
            Packet::PingReq => Some(Packet::PingResp),
            Packet::Disconnect(_) => None,
            other => return Err(io::Error::other(format!("{} is not expected", other.name()))),
        })
    }

    fn count(&mut self, publish: &Publish) -> io::Result<()> {
        let number = publish.payload().first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let number = number.and_then(|number| usize::try_from(number).ok()).filter(|n| *n < HIGHEST);
        let number = number.ok_or_else(|| io::Error::other("a payload without number"))?;
        if number >= self.seen.len() {
            self.seen.resize(number + 1, false);
        }
        if std::mem::replace(&mut self.seen[number], true) {
            self.report.duplicates += 1;
        } else {
            self.report.messages += 1;
        }
        self.report.end = self.seen.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = Report { messages: 7, duplicates: 1, end: 9, broken: true };
        assert_eq!(report.to_string().parse(), Ok(report));
        assert!("7 1 9".parse::<Report>().is_err());
    }

    #[test]
    fn lost_and_duplicated_messages_are_noticed() {
        let mut connection = Connection::default();
        for number in [0u64, 1, 3, 3] {
            let publish =
                Publish::new(mqtt_codec::TopicName::try_from("t").unwrap(), number.to_be_bytes().to_vec());
            connection.count(&publish).unwrap();
        }
        assert_eq!(connection.report, Report { messages: 3, duplicates: 1, end: 4, broken: false });
        assert!(connection.report.check(4).is_err());
        assert!(connection.report.check(3).is_err());
        let whole = Report { messages: 3, duplicates: 0, end: 3, broken: false };
        assert_eq!(whole.check(3), Ok(()));
        assert!(whole.check(4).is_err());
    }
}
