//! A message there and back each second.

use std::time::Duration;

use aws_iot::{Client, Message, QoS};

use crate::{Failure, say};

/// Subscribes to the topic, publishes to it each second and prints what comes back, until that many messages came.
///
/// # Errors
/// A message was not acknowledged, or the topic is not allowed.
pub async fn exchange(client: &Client, topic: &str, count: Option<u64>) -> Result<(), Failure> {
    let mut messages = client.subscribe(topic, QoS::AtLeastOnce).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let (mut sequence, mut received) = (0u64, 0u64);
    while count.is_none_or(|count| received < count) {
        tokio::select! {
            _ = ticks.tick() => {
                sequence += 1;
                let message = Message::new(topic, format!("New Message {sequence}"))?;
                client.publish(message).await?.await.map_err(aws_iot::Error::from)?;
            }
            message = messages.next() => {
                let Some(message) = message else { break };
                received += 1;
                let text = String::from_utf8_lossy(message.payload());
                say(format_args!("Received on {}: {text}", message.topic()))?;
            }
        }
    }
    Ok(())
}
