//! The brokers: one that only acknowledges and counts, or Mosquitto with a witness.

mod broker;
mod connection;
pub mod sink;
pub mod witness;

use std::io::{BufRead, Write};
use std::str::FromStr;

use bytes::BytesMut;
use mqtt_codec::packet::Publish;
use mqtt_codec::{Codec, PacketId, TopicName, Version};
use tokio::sync::mpsc;

pub use broker::{Broker, Kind};

use crate::clients::{WINDOW, payload};

/// Where the messages go that a broker makes: the topics of so many filters.
pub fn made_topic(at: usize, filters: usize) -> String {
    if filters == 1 { "bench/peers/device-1/inbox".into() } else { format!("bench/peers/inbox/{at}") }
}

/// Messages that a broker is to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub messages: u64,
    /// Bytes of each.
    pub size: usize,
    /// To the topics of so many filters in turn.
    pub filters: usize,
    /// QoS 1, up to [`WINDOW`] of them unacknowledged; otherwise QoS 0, as fast as they can be written.
    pub at_least_once: bool,
}

/// What the process of a broker, or the witness beside it, can be told to do, a line for each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    /// Tell what came since it was last asked for.
    Report,
    /// Tell how many sessions there are.
    Sessions,
    /// Make messages.
    Make(Order),
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Report => f.write_str("report"),
            Self::Sessions => f.write_str("sessions"),
            Self::Make(Order { messages, size, filters, at_least_once }) => {
                write!(f, "make {messages} {size} {filters} {at_least_once}")
            }
        }
    }
}

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("what is {line:?}?");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["report"] => Ok(Self::Report),
            ["sessions"] => Ok(Self::Sessions),
            ["make", messages, size, filters, at_least_once] => Ok(Self::Make(Order {
                messages: messages.parse().map_err(|_| wrong())?,
                size: size.parse().map_err(|_| wrong())?,
                filters: filters.parse().map_err(|_| wrong())?,
                at_least_once: at_least_once.parse().map_err(|_| wrong())?,
            })),
            _ => Err(wrong()),
        }
    }
}

/// Messages that are still to be made, in the order of their numbers.
#[derive(Debug, Default)]
struct Making {
    /// A whole packet for each topic, with another number.
    packets: Vec<Template>,
    size: usize,
    next: u64,
    end: u64,
    /// How many may be unacknowledged yet; not counted at QoS 0.
    room: Option<u16>,
}

/// A packet in which numbers are replaced.
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    /// Where the packet identifier is.
    id: usize,
}

/// Bytes that are written at once.
const CHUNK: usize = 64 * 1024;

impl Making {
    fn new(order: Order, version: Version) -> Result<Self, String> {
        let Order { messages, filters, at_least_once, .. } = order;
        let size = order.size.max(8);
        let packet = |at| {
            let topic = TopicName::try_from(made_topic(at, filters)).map_err(|error| error.to_string())?;
            let mut packet = BytesMut::new();
            let publish = Publish::new(topic, payload(0, size));
            let publish = match PacketId::new(1).filter(|_| at_least_once) {
                Some(id) => publish.at_least_once(id),
                None => publish,
            };
            Codec::observer(version)
                .encode(&publish.into(), &mut packet)
                .map_err(|error| error.to_string())?;
            // In MQTT 5 the length of no properties comes between.
            let id = packet.len() - size - usize::from(version.is_v5()) - 2;
            Ok(Template { bytes: packet.to_vec(), id })
        };
        let packets: Result<Vec<_>, String> = (0..filters.max(1)).map(packet).collect();
        let room = at_least_once.then_some(WINDOW);
        Ok(Self { packets: packets?, size, next: 0, end: messages, room })
    }

    /// Some more of them. None, when all are made, or when acknowledgements have to come first.
    fn write(&mut self, output: &mut BytesMut) {
        while self.next < self.end && output.len() < CHUNK {
            let Template { bytes, id } = &self.packets[self.next as usize % self.packets.len()];
            let start = output.len();
            if let Some(room) = &mut self.room {
                let Some(less) = room.checked_sub(1) else { return };
                *room = less;
                output.extend_from_slice(bytes);
                // Never 0, and never one of the last few.
                let number = (self.next % u64::from(u16::MAX)) as u16 + 1;
                output[start + id..start + id + 2].copy_from_slice(&number.to_be_bytes());
            } else {
                output.extend_from_slice(bytes);
            }
            let at = output.len() - self.size;
            output[at..at + 8].copy_from_slice(&self.next.to_be_bytes());
            self.next += 1;
        }
    }

    /// One was acknowledged.
    fn acknowledged(&mut self) {
        self.room = self.room.map(|room| room.saturating_add(1));
    }
}

/// What is said to this process. It ends with the one that says it.
fn commands() -> mpsc::UnboundedReceiver<Command> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.parse() {
                Ok(command) => drop(sender.send(command)),
                Err(error) => eprintln!("error: {error}"),
            }
        }
        std::process::exit(0);
    });
    receiver
}

/// Says something to the bench.
fn say(what: impl std::fmt::Display) {
    println!("{what}");
    // Nobody is there to hear it any more: then this process ends, too.
    let _ = std::io::stdout().flush();
}

#[cfg(test)]
mod tests {
    use mqtt_codec::Packet;

    use super::*;
    use crate::ledger::Ledger;

    const ORDER: Order = Order { messages: 2_000, size: 64, filters: 3, at_least_once: false };

    #[test]
    fn a_command_is_read_as_it_was_written() {
        for command in [Command::Report, Command::Sessions, Command::Make(ORDER)] {
            assert_eq!(command.to_string().parse(), Ok(command));
        }
        assert!("make 9".parse::<Command>().is_err());
    }

    #[test]
    fn messages_are_made_for_each_filter_in_turn_with_each_number_once() {
        for (at_least_once, version) in [(false, Version::V5), (true, Version::V5), (true, Version::V3_1_1)] {
            let mut making = Making::new(Order { at_least_once, ..ORDER }, version).unwrap();
            let (mut codec, mut output) = (Codec::client(version), BytesMut::new());
            let (mut ledger, mut topics, mut next) = (Ledger::default(), Vec::new(), 0);
            making.write(&mut output);
            while !output.is_empty() {
                while let Some(Packet::Publish(publish)) = codec.decode(&mut output).unwrap() {
                    assert_eq!(publish.payload().len(), 64);
                    next += 1;
                    assert_eq!(publish.packet_id(), PacketId::new(next).filter(|_| at_least_once));
                    ledger.enter(publish.payload());
                    topics.push(publish.topic().to_owned());
                    making.acknowledged();
                }
                making.write(&mut output);
            }
            assert_eq!(ledger.report().check(2_000), Ok(()));
            assert_eq!(topics[..4], [0, 1, 2, 0].map(|at| made_topic(at, 3)));
        }
    }

    #[test]
    fn no_more_than_a_window_is_unacknowledged() {
        let mut making = Making::new(Order { at_least_once: true, ..ORDER }, Version::V5).unwrap();
        making.write(&mut BytesMut::new());
        assert_eq!(making.next, u64::from(WINDOW));
        making.acknowledged();
        making.write(&mut BytesMut::new());
        assert_eq!(making.next, u64::from(WINDOW) + 1);
    }
}
