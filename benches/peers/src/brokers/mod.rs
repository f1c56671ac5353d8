//! The brokers: one that only acknowledges and counts, or Mosquitto with a witness.

mod broker;
mod connection;
pub mod sink;
pub mod witness;

use std::io::{BufRead, Write};
use std::str::FromStr;

use bytes::BytesMut;
use mqtt_codec::packet::Publish;
use mqtt_codec::{Codec, TopicName, Version};
use tokio::sync::mpsc;

pub use broker::{Broker, Kind};

use crate::clients::payload;

/// Where the messages go that a broker makes: the topics of so many filters.
pub fn made_topic(at: usize, filters: usize) -> String {
    if filters == 1 { "bench/peers/device-1/inbox".into() } else { format!("bench/peers/inbox/{at}") }
}

/// What the process of a broker, or the witness beside it, can be told to do, a line for each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    /// Tell what came since it was last asked for.
    Report,
    /// Tell how many sessions there are.
    Sessions,
    /// Make this many messages of this size for so many filters.
    Make { messages: u64, size: usize, filters: usize },
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Report => f.write_str("report"),
            Self::Sessions => f.write_str("sessions"),
            Self::Make { messages, size, filters } => write!(f, "make {messages} {size} {filters}"),
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
            ["make", messages, size, filters] => Ok(Self::Make {
                messages: messages.parse().map_err(|_| wrong())?,
                size: size.parse().map_err(|_| wrong())?,
                filters: filters.parse().map_err(|_| wrong())?,
            }),
            _ => Err(wrong()),
        }
    }
}

/// Messages that are still to be made, in the order of their numbers. QoS 0: nothing is waited for.
#[derive(Debug, Default)]
struct Making {
    /// A whole packet for each topic, with another number.
    packets: Vec<Vec<u8>>,
    size: usize,
    next: u64,
    end: u64,
}

/// Bytes that are written at once.
const CHUNK: usize = 64 * 1024;

impl Making {
    fn new(messages: u64, size: usize, filters: usize, version: Version) -> Result<Self, String> {
        let packet = |at| {
            let topic = TopicName::try_from(made_topic(at, filters)).map_err(|error| error.to_string())?;
            let mut packet = BytesMut::new();
            let publish = Publish::new(topic, payload(0, size)).into();
            Codec::observer(version).encode(&publish, &mut packet).map_err(|error| error.to_string())?;
            Ok(packet.to_vec())
        };
        let packets: Result<Vec<_>, String> = (0..filters.max(1)).map(packet).collect();
        Ok(Self { packets: packets?, size: size.max(8), next: 0, end: messages })
    }

    /// Some more of them. None, when all are made.
    fn write(&mut self, output: &mut BytesMut) {
        while self.next < self.end && output.len() < CHUNK {
            let packet = &self.packets[self.next as usize % self.packets.len()];
            output.extend_from_slice(packet);
            let at = output.len() - self.size;
            output[at..at + 8].copy_from_slice(&self.next.to_be_bytes());
            self.next += 1;
        }
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

    #[test]
    fn a_command_is_read_as_it_was_written() {
        for command in
            [Command::Report, Command::Sessions, Command::Make { messages: 9, size: 64, filters: 1_000 }]
        {
            assert_eq!(command.to_string().parse(), Ok(command));
        }
        assert!("make 9".parse::<Command>().is_err());
    }

    #[test]
    fn messages_are_made_for_each_filter_in_turn_with_each_number_once() {
        let mut making = Making::new(2_000, 64, 3, Version::V5).unwrap();
        let (mut codec, mut output) = (Codec::client(Version::V5), BytesMut::new());
        let (mut ledger, mut topics) = (Ledger::default(), Vec::new());
        loop {
            making.write(&mut output);
            if output.is_empty() {
                break;
            }
            while let Some(Packet::Publish(publish)) = codec.decode(&mut output).unwrap() {
                assert_eq!(publish.payload().len(), 64);
                ledger.enter(publish.payload());
                topics.push(publish.topic().to_owned());
            }
        }
        assert_eq!(ledger.report().check(2_000), Ok(()));
        assert_eq!(topics[..4], [0, 1, 2, 0].map(|at| made_topic(at, 3)));
    }
}
