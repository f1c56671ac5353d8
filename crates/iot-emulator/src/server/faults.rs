//! Faults to order: what an application's own recovery is tested with.

use std::sync::PoisonError;

use mqtt_codec::{InvalidTopic, ReasonCode, TopicFilter};

use super::Emulator;

/// # Faults
/// All of them hold until they are taken back, except where a single connection is meant.
impl Emulator {
    /// Cuts a client's connection without a word, as a network would. Its will is published. Whether it was connected.
    pub async fn kick(&self, client_id: &str) -> bool {
        let client_id = client_id.to_owned();
        self.call(move |hub| hub.broker.kick(hub.clock.now(), &client_id)).await
    }

    /// Cuts all connections, and returns how many clients were connected.
    pub async fn kick_all(&self) -> usize {
        self.call(|hub| hub.broker.kick_all(hub.clock.now())).await
    }

    /// Refuses every CONNECT with this code, or accepts them again (`None`). MQTT 3.1.1 clients are told the nearest of
    /// their return codes; a code that no CONNACK carries closes the connection without one.
    pub async fn refuse_connects(&self, reason: Option<ReasonCode>) {
        self.call(move |hub| hub.broker.policy_mut().refuse_connects = reason).await;
    }

    /// Forbids to publish to what the filter matches: PUBACK 0x87 for QoS 1 in MQTT 5, else the connection is closed.
    ///
    /// # Errors
    /// The filter is not valid.
    pub async fn deny_publish(&self, filter: &str) -> Result<(), InvalidTopic> {
        let filter = TopicFilter::try_from(filter)?;
        self.call(move |hub| add(&mut hub.broker.policy_mut().deny_publish, filter)).await;
        Ok(())
    }

    /// Forbids to subscribe to what the filter covers: SUBACK 0x87, in MQTT 3.1.1 0x80.
    ///
    /// # Errors
    /// The filter is not valid.
    pub async fn deny_subscribe(&self, filter: &str) -> Result<(), InvalidTopic> {
        let filter = TopicFilter::try_from(filter)?;
        self.call(move |hub| add(&mut hub.broker.policy_mut().deny_subscribe, filter)).await;
        Ok(())
    }

    /// Takes back everything that was denied, to publish and to subscribe.
    pub async fn allow_all(&self) {
        self.call(|hub| {
            let policy = hub.broker.policy_mut();
            policy.deny_publish.clear();
            policy.deny_subscribe.clear();
        })
        .await;
    }

    /// Holds PUBACKs back, or lets those held back go. Messages are delivered all the same.
    pub async fn hold_acks(&self, hold: bool) {
        self.call(move |hub| hub.broker.hold_acks(hold)).await;
    }

    /// Stops reading from and writing to a client's connection, which stays open: the half-open connection that only a
    /// keep-alive finds. A later connection of the same client is not stalled. Whether it was connected.
    pub async fn stall(&self, client_id: &str) -> bool {
        let client_id = client_id.to_owned();
        self.call(move |hub| hub.stall(&client_id, true)).await
    }

    /// Ends a [stall](Self::stall): what piled up is read and written. Whether the client was connected.
    pub async fn unstall(&self, client_id: &str) -> bool {
        let client_id = client_id.to_owned();
        self.call(move |hub| hub.stall(&client_id, false)).await
    }

    /// Cuts the next connection that is made once this many bytes were written to it, in the middle of a packet if it
    /// comes to that. With TLS the bytes of MQTT count.
    pub fn cut_after(&self, bytes: usize) {
        *self.shared.cut_after.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }
}

fn add(filters: &mut Vec<TopicFilter>, filter: TopicFilter) {
    if !filters.contains(&filter) {
        filters.push(filter);
    }
}
