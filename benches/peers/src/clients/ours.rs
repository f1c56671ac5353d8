//! aws-iot: the facade, over TCP or mutual TLS.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use aws_iot::crates::iot_transport::Tcp;
use aws_iot::{Ack, Material, Message, Pacing, QoS};

use super::{Client, Error, Inbox, TOPIC, Target, WINDOW};

pub struct Ours {
    client: aws_iot::Client,
    acks: VecDeque<Ack>,
    inbox: Inbox,
    target: Target,
}

impl Client for Ours {
    /// Nothing is paced, messages and connections: no client beside it paces.
    async fn connect(target: &Target, inbox: &Inbox) -> Result<Self, Error> {
        let builder = match target.tls_paths() {
            None => aws_iot::over(Tcp::new(Target::HOST, target.port)),
            Some([ca, certificate, key]) => {
                aws_iot::mutual_tls(Target::HOST, Material::file(certificate), Material::file(key))
                    .port(target.port)
                    .root_ca(Material::file(ca))
            }
        };
        let client = builder
            .version(target.version)
            .client_id(&target.client_id)
            .keep_alive(Duration::from_secs(target.keep_alive.into()))
            .pacing(Pacing::default())
            .connect_interval(Duration::ZERO)
            .connect()
            .await?;
        Ok(Self { client, acks: VecDeque::new(), inbox: inbox.clone(), target: target.clone() })
    }

    /// Every outcome is looked at, in order.
    async fn publish(&mut self, numbers: Range<u64>) -> Result<(), Error> {
        for number in numbers {
            if self.acks.len() >= usize::from(WINDOW)
                && let Some(ack) = self.acks.pop_front()
            {
                ack.await?;
            }
            let message = Message::new(TOPIC, self.target.payload(number))?;
            self.acks.push_back(self.client.publish(message).await?);
        }
        for ack in self.acks.drain(..) {
            ack.await?;
        }
        Ok(())
    }

    async fn send(&mut self, number: u64) -> Result<(), Error> {
        let message = Message::new(TOPIC, self.target.payload(number))?.qos(QoS::AtMostOnce);
        // Nobody waits for the outcome, as with the peers that have none.
        drop(self.client.publish(message).await?);
        Ok(())
    }

    async fn subscribe(&mut self, filter: &str) -> Result<(), Error> {
        let mut messages = self.client.subscribe(filter, QoS::AtLeastOnce).await?;
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                inbox.take(message.payload());
            }
            inbox.close();
        });
        Ok(())
    }

    async fn disconnect(self) -> Result<(), Error> {
        Ok(self.client.disconnect().await?)
    }
}
