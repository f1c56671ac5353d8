//! rumqttc-next, MQTT 3.1.1. It has no outcome for each message: PUBACKs are counted by the task that polls.

use std::ops::Range;

use rumqttc_next_v4::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, PublishOptions, QoS,
    Transport,
};

use super::{Client, Counter, Error, Inbox, PAUSE, TOPIC, Target, WINDOW};

pub struct Rumqttc {
    client: AsyncClient,
    polling: tokio::task::JoinHandle<()>,
    acknowledged: Counter,
    subscribed: Counter,
    sent: u64,
    filters: u64,
    target: Target,
}

impl Client for Rumqttc {
    async fn connect(target: &Target, inbox: &Inbox) -> Result<Self, Error> {
        let mut options = MqttOptions::new(&target.client_id, (Target::HOST, target.port));
        options.set_inflight(WINDOW).set_keep_alive(target.keep_alive);
        let largest = target.payload.max(8 * 1024) + 1024;
        options.set_max_packet_size(largest, largest);
        if let Some([ca, certificate, key]) = target.tls()? {
            options.set_transport(Transport::tls(ca, Some((certificate, key)), None));
        }
        let (client, mut event_loop) = AsyncClient::builder(options).capacity(WINDOW.into()).build();
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(target.nodelay);
        event_loop.set_network_options(network);
        while !matches!(event_loop.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
        let (acknowledged, subscribed) = (Counter::default(), Counter::default());
        let polling = tokio::spawn(poll(event_loop, acknowledged.clone(), subscribed.clone(), inbox.clone()));
        Ok(Self { client, polling, acknowledged, subscribed, sent: 0, filters: 0, target: target.clone() })
    }

    async fn publish(&mut self, numbers: Range<u64>) -> Result<(), Error> {
        self.sent += numbers.end - numbers.start;
        for number in numbers {
            self.client.publish(TOPIC, self.target.payload(number), PublishOptions::at_least_once()).await?;
        }
        self.acknowledged.reach(self.sent).await
    }

    async fn send(&mut self, number: u64) -> Result<(), Error> {
        Ok(self.client.publish(TOPIC, self.target.payload(number), PublishOptions::at_most_once()).await?)
    }

    async fn subscribe(&mut self, filter: &str) -> Result<(), Error> {
        self.filters += 1;
        self.client.subscribe(filter, QoS::AtLeastOnce).await?;
        self.subscribed.reach(self.filters).await
    }

    async fn disconnect(self) -> Result<(), Error> {
        self.client.disconnect().await?;
        Ok(self.polling.await?)
    }
}

/// The loop that every user writes. Without the pause it would dial as fast as it can when the broker is away.
async fn poll(mut event_loop: EventLoop, acknowledged: Counter, subscribed: Counter, inbox: Inbox) {
    loop {
        match event_loop.poll().await {
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                acknowledged.add();
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                inbox.route(std::str::from_utf8(&publish.topic).unwrap_or_default(), &publish.payload);
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => {
                subscribed.add();
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => break,
            Ok(_) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    acknowledged.close();
    inbox.close();
}
