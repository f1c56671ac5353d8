//! mqtt5: a publish returns at its acknowledgement, so a window is as many publishes at once; a callback for each filter.

use std::ops::Range;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mqtt5::time::Duration;
use mqtt5::transport::tls::TlsConfig;
use mqtt5::{ConnectOptions, MqttClient, ProtocolVersion, PublishResult, QoS, SubscribeOptions};

use super::{Client, Error, Inbox, TOPIC, Target, WINDOW};

pub struct Mqtt5 {
    client: MqttClient,
    inbox: Inbox,
    target: Target,
}

impl Client for Mqtt5 {
    async fn connect(target: &Target, inbox: &Inbox) -> Result<Self, Error> {
        let version = if target.version.is_v5() { ProtocolVersion::V5 } else { ProtocolVersion::V311 };
        let options = ConnectOptions::new(&target.client_id)
            .with_keep_alive(Duration::from_secs(target.keep_alive.into()))
            .with_protocol_version(version);
        let client = MqttClient::new(&target.client_id);
        match target.tls()? {
            None => {
                let address = format!("mqtt://{}:{}", Target::HOST, target.port);
                client.connect_with_options(&address, options).await?;
            }
            Some([ca, certificate, key]) => {
                let mut tls = TlsConfig::new(([127, 0, 0, 1], target.port).into(), Target::HOST);
                tls.load_ca_cert_pem_bytes(&ca)?;
                tls.load_client_cert_pem_bytes(&certificate)?;
                tls.load_client_key_pem_bytes(&key)?;
                client.connect_with_tls_and_options(tls.with_system_roots(false), options).await?;
            }
        }
        Ok(Self { client, inbox: inbox.clone(), target: target.clone() })
    }

    async fn publish(&mut self, numbers: Range<u64>) -> Result<(), Error> {
        let mut outcomes = FuturesUnordered::new();
        for number in numbers {
            if outcomes.len() >= usize::from(WINDOW) {
                look_at(outcomes.next().await)?;
            }
            outcomes.push(self.client.publish_qos1(TOPIC, self.target.payload(number)));
        }
        while !outcomes.is_empty() {
            look_at(outcomes.next().await)?;
        }
        Ok(())
    }

    async fn send(&mut self, number: u64) -> Result<(), Error> {
        look_at(Some(self.client.publish_qos0(TOPIC, self.target.payload(number)).await))
    }

    async fn subscribe(&mut self, filter: &str) -> Result<(), Error> {
        let options = SubscribeOptions { qos: QoS::AtLeastOnce, ..SubscribeOptions::default() };
        let inbox = self.inbox.clone();
        self.client
            .subscribe_with_options(filter, options, move |message| inbox.take(&message.payload))
            .await?;
        Ok(())
    }

    async fn disconnect(self) -> Result<(), Error> {
        Ok(self.client.disconnect().await?)
    }
}

fn look_at(outcome: Option<mqtt5::Result<PublishResult>>) -> Result<(), Error> {
    match outcome.transpose()? {
        Some(PublishResult::Queued(_)) => Err("not acknowledged, but queued".into()),
        _ => Ok(()),
    }
}
