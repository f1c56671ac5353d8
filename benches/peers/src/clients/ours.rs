//! iot-session over TCP.

use std::collections::VecDeque;
use std::ops::Range;

use iot_session::layers::Standard;
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::{Ack, Config, Message, QoS, Stage, client, stack};
use iot_transport::Tcp;
use mqtt_codec::Codec;
use tokio::task::JoinHandle;

use super::{Client, Error, TOPIC, Target, WINDOW, payload};

pub struct Ours {
    client: iot_session::Client,
    driver: JoinHandle<()>,
    acks: VecDeque<Ack>,
}

/// All layers. Nothing is paced: no client beside it paces.
fn default_stack(target: &Target) -> Result<(impl Stage + Send + 'static, Codec), Error> {
    let engine = Engine::new(ConnectOptions::new(target.version, "bench")?.window(WINDOW));
    let codec = engine.codec();
    Ok((stack(engine).layer(Standard::default()).into_stage(), codec))
}

impl Client for Ours {
    async fn connect(target: &Target) -> Result<Self, Error> {
        let (stage, codec) = default_stack(target)?;
        let (client, driver) = client(stage, codec, Tcp::new("127.0.0.1", target.port), Config::default());
        let driver = tokio::spawn(driver.run());
        client.connect().await?;
        Ok(Self { client, driver, acks: VecDeque::new() })
    }

    /// Every outcome is looked at, in order.
    async fn publish(&mut self, numbers: Range<u64>) -> Result<(), Error> {
        for number in numbers {
            if self.acks.len() >= usize::from(WINDOW)
                && let Some(ack) = self.acks.pop_front()
            {
                ack.await?;
            }
            self.acks.push_back(self.client.publish(Message::new(TOPIC, payload(number))?).await?);
        }
        for ack in self.acks.drain(..) {
            ack.await?;
        }
        Ok(())
    }

    async fn send(&mut self, number: u64) -> Result<(), Error> {
        let message = Message::new(TOPIC, payload(number))?.qos(QoS::AtMostOnce);
        self.client.publish(message).await?.await?;
        Ok(())
    }

    async fn disconnect(self) -> Result<(), Error> {
        self.client.disconnect().await?;
        drop(self.client);
        Ok(self.driver.await?)
    }
}
