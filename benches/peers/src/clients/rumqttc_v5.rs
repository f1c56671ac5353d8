//! rumqttc, MQTT 5. It has no outcome for each message: PUBACKs are counted by the task that polls.

use std::ops::Range;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Client, Error, TOPIC, Target, WINDOW, payload};

pub struct Rumqttc {
    client: AsyncClient,
    polling: JoinHandle<Result<(), ConnectionError>>,
    /// How many PUBACKs are awaited in all, and who is told when they are in.
    awaited: watch::Sender<u64>,
    reached: watch::Receiver<u64>,
    sent: u64,
}

impl Client for Rumqttc {
    async fn connect(target: &Target) -> Result<Self, Error> {
        let mut options = MqttOptions::new("bench", "127.0.0.1", target.port);
        options.set_outgoing_inflight_upper_limit(WINDOW);
        // As many as ours takes ahead.
        let mut network = options.network_options();
        network.set_tcp_nodelay(target.nodelay);
        options.set_network_options(network);
        let (client, mut event_loop) = AsyncClient::new(options, 64);

        while !matches!(event_loop.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
        let (awaited, target) = watch::channel(0);
        let (reached_end, reached) = watch::channel(0);
        let polling = tokio::spawn(poll(event_loop, target, reached_end));
        Ok(Self { client, polling, awaited, reached, sent: 0 })
    }

    async fn publish(&mut self, numbers: Range<u64>) -> Result<(), Error> {
        self.sent += numbers.end - numbers.start;
        self.awaited.send(self.sent)?;
        for number in numbers {
            self.client.publish(TOPIC, QoS::AtLeastOnce, false, payload(number)).await?;
        }
        let sent = self.sent;
        self.reached.wait_for(|acknowledged| *acknowledged >= sent).await?;
        Ok(())
    }

    async fn send(&mut self, number: u64) -> Result<(), Error> {
        Ok(self.client.publish(TOPIC, QoS::AtMostOnce, false, payload(number)).await?)
    }

    async fn disconnect(self) -> Result<(), Error> {
        self.client.disconnect().await?;
        Ok(self.polling.await??)
    }
}

/// Tells once for each number that is awaited, not once for each PUBACK.
async fn poll(
    mut event_loop: EventLoop,
    awaited: watch::Receiver<u64>,
    reached: watch::Sender<u64>,
) -> Result<(), ConnectionError> {
    let mut acknowledged = 0;
    loop {
        match event_loop.poll().await? {
            Event::Incoming(Packet::PubAck(_)) => {
                acknowledged += 1;
                if acknowledged == *awaited.borrow() {
                    reached.send_replace(acknowledged);
                }
            }
            Event::Outgoing(Outgoing::Disconnect) => return Ok(()),
            _ => {}
        }
    }
}
