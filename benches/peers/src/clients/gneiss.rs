//! gneiss-mqtt, its tokio client: a future of the outcome of each message, one listener for what comes in.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use gneiss_mqtt::client::config::{ConnectOptions, MqttClientOptions, ProtocolMode, TlsOptions};
use gneiss_mqtt::client::{
    AsyncClient, AsyncClientHandle, AsyncPublishResult, ClientEvent, PublishResponse, StopOptions,
    TokioClientBuilder,
};
use gneiss_mqtt::mqtt::{DisconnectPacket, PublishPacket, QualityOfService, SubscribePacket};

use super::{Client, Counter, Error, Inbox, TOPIC, Target, WINDOW};

pub struct Gneiss {
    client: AsyncClientHandle,
    outcomes: VecDeque<AsyncPublishResult>,
    stopped: Counter,
    target: Target,
}

impl Gneiss {
    async fn hand_over(&mut self, number: u64, qos: QualityOfService) -> Result<(), Error> {
        if self.outcomes.len() >= usize::from(WINDOW)
            && let Some(outcome) = self.outcomes.pop_front()
        {
            look_at(outcome).await?;
        }
        let packet = PublishPacket::builder(TOPIC.to_owned(), qos);
        let packet = packet.with_payload(self.target.payload(number)).build();
        self.outcomes.push_back(self.client.publish(packet, None));
        Ok(())
    }
}

async fn look_at(outcome: AsyncPublishResult) -> Result<(), Error> {
    match outcome.await? {
        PublishResponse::Qos1(ack) if !ack.reason_code().is_success() => Err(ack.to_string().into()),
        _ => Ok(()),
    }
}

impl Client for Gneiss {
    async fn connect(target: &Target, inbox: &Inbox) -> Result<Self, Error> {
        let connect = ConnectOptions::builder()
            .with_client_id(&target.client_id)
            .with_keep_alive_interval_seconds(Some(target.keep_alive))
            .build();
        let mode = if target.version.is_v5() { ProtocolMode::Mqtt5 } else { ProtocolMode::Mqtt311 };
        let options = MqttClientOptions::builder().with_protocol_mode(mode).build();
        let mut builder = TokioClientBuilder::new(Target::HOST, target.port);
        builder.with_connect_options(connect).with_client_options(options);
        if let Some([ca, certificate, key]) = target.tls()? {
            let mut tls = TlsOptions::builder_with_mtls_from_memory(&certificate, &key);
            builder.with_tls_options(tls.with_root_ca_from_memory(&ca).build_rustls()?);
        }
        let client = builder.build()?;
        let (connected, stopped) = (Counter::default(), Counter::default());
        let (inbox, up, down) = (inbox.clone(), connected.clone(), stopped.clone());
        client.start(Some(Arc::new(move |event: Arc<ClientEvent>| match &*event {
            ClientEvent::PublishReceived(event) => {
                inbox.route(event.publish.topic(), event.publish.payload().unwrap_or_default());
            }
            ClientEvent::ConnectionSuccess(_) => {
                up.add();
            }
            ClientEvent::Stopped(_) => {
                down.add();
            }
            _ => {}
        })))?;
        connected.reach(1).await?;
        Ok(Self { client, outcomes: VecDeque::new(), stopped, target: target.clone() })
    }

    async fn publish(&mut self, numbers: Range<u64>) -> Result<(), Error> {
        for number in numbers {
            self.hand_over(number, QualityOfService::AtLeastOnce).await?;
        }
        for outcome in self.outcomes.drain(..) {
            look_at(outcome).await?;
        }
        Ok(())
    }

    async fn send(&mut self, number: u64) -> Result<(), Error> {
        self.hand_over(number, QualityOfService::AtMostOnce).await
    }

    async fn subscribe(&mut self, filter: &str) -> Result<(), Error> {
        let packet = SubscribePacket::builder();
        let packet = packet.with_subscription_simple(filter.to_owned(), QualityOfService::AtLeastOnce);
        let answer = self.client.subscribe(packet.build(), None).await?;
        if answer.reason_codes().iter().all(|code| code.is_success()) { Ok(()) } else { Err(filter.into()) }
    }

    async fn disconnect(self) -> Result<(), Error> {
        let options = StopOptions::builder().with_disconnect_packet(DisconnectPacket::builder().build());
        self.client.stop(Some(options.build()))?;
        self.stopped.reach(1).await
    }
}
