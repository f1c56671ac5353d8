//! What the broker does where services differ: switches and limits, apart from the running broker.

use std::time::Duration;

/// Switches and limits of a [`Broker`](super::Broker).
///
/// The [default](Behaviour::default) follows the MQTT standards, with the sizes of AWS IoT Core where they cannot hurt
/// a standard client. [`Behaviour::aws`] adds the places where AWS IoT Core deviates from the standards and its tighter
/// limits. QoS 2 does not exist in either: MQTT 5 clients are told by Maximum QoS 1.
///
/// ```
/// use iot_emulator::broker::Behaviour;
///
/// let mut behaviour = Behaviour::default();
/// behaviour.hash_matches_parent = false;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behaviour {
    /// Whether `a/#` matches `a` itself. Standard: yes. AWS: no.
    pub hash_matches_parent: bool,
    /// Whether a filter with wildcards gets stored retained messages. Standard: yes. AWS: only exact filters do.
    pub wildcards_get_retained: bool,
    /// Whether a session of one MQTT version can be resumed in the other. AWS: no; the old session then ends.
    pub sessions_cross_versions: bool,
    /// AWS: a keep-alive of 0 or above 1,200 s becomes 1,200 s, one below 30 s becomes 30 s. Standard: as asked for.
    pub clamp_keep_alive: bool,
    /// AWS: a forbidden subscription closes a 3.1.1 connection. Standard: SUBACK 0x80.
    pub denied_subscribe_closes: bool,
    /// AWS: client identifiers that begin with `$` are refused.
    pub reserved_client_ids: bool,

    /// How long sessions live without a connection: what MQTT 3.1.1 sessions get, and the most that MQTT 5 clients
    /// can ask for. Default: 1 hour.
    pub session_expiry: Duration,
    /// How long a connection may stay without CONNECT. Default: 10 s.
    pub connect_timeout: Duration,
    /// QoS 1 messages that a client may have unacknowledged. Default: 100.
    pub receive_maximum: u16,
    /// QoS 1 messages unacknowledged by a client; a client's lower Receive Maximum wins. Default: 100.
    pub max_in_flight: u16,
    /// The highest topic alias that clients may use. Default: 8.
    pub topic_alias_maximum: u16,
    /// The largest packet taken, in bytes. Default: 149,504.
    pub max_packet_size: u32,
    /// The largest payload taken, in bytes. Default: what fits in a packet. AWS: 131,072.
    pub max_payload: usize,
    /// The longest client identifier in bytes. AWS: 128.
    pub max_client_id: usize,
    /// The longest topic in bytes. AWS: 256.
    pub max_topic: usize,
    /// The most slashes in a topic or filter. AWS: 7.
    pub max_topic_slashes: usize,
    /// The most filters in one SUBSCRIBE. AWS: 8.
    pub max_filters: usize,
    /// The most subscriptions of one session. Default: 1,000. AWS: 50.
    pub max_subscriptions: usize,
    /// The most sessions, connected or not. Default: 2,000.
    pub max_sessions: usize,
    /// The most messages waiting for one session; newer ones are dropped. Default: 1,000.
    pub max_queued: usize,
    /// The most bytes waiting for one session. Default: 4 MiB.
    pub max_queued_bytes: usize,
    /// The most retained messages. Default: 1,000.
    pub max_retained: usize,
    /// The most bytes of retained messages. Default: 8 MiB.
    pub max_retained_bytes: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            hash_matches_parent: true,
            wildcards_get_retained: true,
            sessions_cross_versions: true,
            clamp_keep_alive: false,
            denied_subscribe_closes: false,
            reserved_client_ids: false,
            session_expiry: Duration::from_secs(3_600),
            connect_timeout: Duration::from_secs(10),
            receive_maximum: 100,
            max_in_flight: 100,
            topic_alias_maximum: 8,
            max_packet_size: 149_504,
            max_payload: usize::MAX,
            max_client_id: usize::MAX,
            max_topic: usize::MAX,
            max_topic_slashes: usize::MAX,
            max_filters: usize::MAX,
            max_subscriptions: 1_000,
            max_sessions: 2_000,
            max_queued: 1_000,
            max_queued_bytes: 4 * 1024 * 1024,
            max_retained: 1_000,
            max_retained_bytes: 8 * 1024 * 1024,
        }
    }
}

impl Behaviour {
    /// As AWS IoT Core deviates from the standards, with its limits per connection and packet.
    #[must_use]
    pub fn aws() -> Self {
        Self {
            hash_matches_parent: false,
            wildcards_get_retained: false,
            sessions_cross_versions: false,
            clamp_keep_alive: true,
            denied_subscribe_closes: true,
            reserved_client_ids: true,
            max_payload: 128 * 1024,
            max_client_id: 128,
            max_topic: 256,
            max_topic_slashes: 7,
            max_filters: 8,
            max_subscriptions: 50,
            ..Self::default()
        }
    }

    /// Whether a message on `topic` is one that `filter` asks for.
    pub(super) fn matches(&self, filter: &str, topic: &str) -> bool {
        let (filter, topic) = (filter.as_bytes(), topic.as_bytes());
        if !mqtt_codec::matches(filter, topic) {
            return false;
        }
        // Behind a match, a `#` with more slashes before it than the topic has stands for the parent.
        self.hash_matches_parent || !filter.ends_with(b"#") || slashes(topic) >= slashes(filter)
    }

    /// Whether a topic or filter (without its share prefix) is within the limits.
    pub(super) fn allows_topic(&self, topic: &str) -> bool {
        topic.len() <= self.max_topic && slashes(topic.as_bytes()) <= self.max_topic_slashes
    }

    /// Whether a client may call itself this.
    pub(super) fn allows_client_id(&self, id: &str) -> bool {
        id.len() <= self.max_client_id && !(self.reserved_client_ids && id.starts_with('$'))
    }

    /// The keep-alive that holds, in seconds; 0: none.
    pub(super) fn keep_alive(&self, asked: u16) -> u16 {
        match asked {
            asked if !self.clamp_keep_alive => asked,
            0 => 1_200,
            asked => asked.clamp(30, 1_200),
        }
    }
}

fn slashes(topic: &[u8]) -> usize {
    topic.iter().filter(|byte| **byte == b'/').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_aws_a_hash_does_not_match_its_parent() {
        let (standard, aws) = (Behaviour::default(), Behaviour::aws());
        for (filter, topic) in [("sensor/#", "sensor"), ("+/#", "sensor")] {
            assert!(standard.matches(filter, topic));
            assert!(!aws.matches(filter, topic));
        }
        for (filter, topic) in [("sensor/#", "sensor/"), ("sensor/#", "sensor/a/b"), ("#", "a"), ("a", "a")] {
            assert!(standard.matches(filter, topic) && aws.matches(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn on_aws_keep_alives_are_clamped() {
        let aws = Behaviour::aws();
        assert_eq!([0, 5, 60, 2_000].map(|asked| aws.keep_alive(asked)), [1_200, 30, 60, 1_200]);
        assert_eq!(Behaviour::default().keep_alive(0), 0);
    }
}
