//! A witness beside Mosquitto, in a process of its own: it sees every message that is published, and makes messages.

use std::net::Ipv4Addr;

use bytes::BytesMut;
use mqtt_codec::packet::{ConnectBuilder, Publish, Subscribe, SubscriptionOptions};
use mqtt_codec::{Codec, Packet, PacketId, QoS, Text, TopicFilter, TopicName, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Command, Making, commands, say};
use crate::clients::{Error, TOPIC};
use crate::ledger::Ledger;

/// What the witness publishes to itself: when it comes, all is here that was published before.
const FENCE: &str = "bench/peers/fence";

/// Serves until its standard input ends. Its first line says that it is there.
pub fn run(port: u16) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(serve(port)).map_err(|error| format!("witness: {error}"))
}

async fn serve(port: u16) -> Result<(), Error> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let mut codec = Codec::client(Version::V3_1_1);
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let mut connect = ConnectBuilder::new(Version::V3_1_1, Text::try_from("witness")?);
    connect.keep_alive = 0;
    codec.encode(&connect.build()?.into(), &mut output)?;
    let filters = [TopicFilter::try_from(TOPIC)?, TopicFilter::try_from(FENCE)?];
    let filters = filters.iter().map(|filter| (filter, SubscriptionOptions::at(QoS::AtMostOnce)));
    let id = PacketId::new(1).ok_or("no packet identifier")?;
    codec.encode(&Subscribe::new(id, filters).into(), &mut output)?;
    let (mut commands, mut ledger, mut making) = (commands(), Ledger::default(), Making::default());
    loop {
        making.write(&mut output);
        while !output.is_empty() {
            stream.write_all(&output).await?;
            output.clear();
            making.write(&mut output);
        }
        tokio::select! {
            read = stream.read_buf(&mut input) => {
                if read? == 0 {
                    return Err("Mosquitto ended the connection".into());
                }
            }
            Some(command) = commands.recv() => match command {
                Command::Report => {
                    let fence = Publish::new(TopicName::try_from(FENCE)?, Vec::new());
                    codec.encode(&fence.into(), &mut output)?;
                }
                Command::Sessions => say(0),
                Command::Make(order) => {
                    say("ok");
                    making = Making::new(order, Version::V3_1_1)?;
                }
            }
        }
        while let Some(packet) = codec.decode(&mut input)? {
            match packet {
                Packet::SubAck(_) => say("0 0"),
                Packet::PubAck(_) => making.acknowledged(),
                Packet::Publish(publish) if publish.topic() == FENCE => {
                    say(std::mem::take(&mut ledger).report());
                }
                Packet::Publish(publish) => ledger.enter(publish.payload()),
                _ => {}
            }
        }
    }
}
