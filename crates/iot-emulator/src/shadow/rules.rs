//! What the Device Shadow service does where documents are silent or differ, and its limits.

use std::time::Duration;

use mqtt_codec::QoS;

/// Switches and limits of [`Shadows`](super::Shadows). The default is what is documented, or seen on the wire where that
/// differs; what neither says is marked as a guess.
///
/// ```
/// use iot_emulator::shadow::Rules;
///
/// let mut rules = Rules::default();
/// rules.requests_per_second = u32::MAX; // for a load test
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Whether a section that is sent as `{}` empties that section. Default: no, there is nothing to merge (a guess).
    pub empty_section_clears: bool,
    /// Whether an update with `version` 1 makes a shadow that does not exist, and one with another version is an invalid
    /// request. Default: no, any is a conflict (a guess).
    pub version_1_creates: bool,
    /// Whether a delete takes a version of its own, so that a shadow deleted at N is made again at N + 2, not N + 1.
    /// Default: yes (a guess).
    pub delete_takes_a_version: bool,
    /// How long numbering goes on after a delete. Default: 48 hours.
    pub tombstone: Duration,
    /// Whether an empty object that is desired and not reported is part of the delta. Default: yes (a guess).
    pub delta_has_empty_objects: bool,
    /// Whether the answer to a get has the delta's metadata as well. Default: no.
    pub get_has_delta_metadata: bool,
    /// Whether a rejection says when it was made. Default: no.
    pub rejections_have_a_timestamp: bool,
    /// Whether a body that is not JSON is answered in the documented words, `Invalid JSON`, instead of those seen on the
    /// wire. Default: no.
    pub documented_json_text: bool,
    /// Whether the answer about a named shadow that is missing names only the shadow, as documented, instead of thing and
    /// shadow, as seen on the wire. Default: no.
    pub documented_missing_text: bool,
    /// Whether the answer about a node that is not allowed names it. Default: yes (a guess).
    pub invalid_node_is_named: bool,
    /// Whether names of shadows may have a `$`. Default: yes (a guess).
    pub dollar_names: bool,
    /// Whether an update or delete by HTTP is published as accepted by MQTT, too. Default: yes (a guess).
    pub http_publishes_accepted: bool,
    /// In which order an update is published; clients must not count on any. Default: accepted first.
    pub order: Order,
    /// The QoS of what the service publishes; a subscription may lower it. Default: QoS 1 (a guess).
    pub qos: QoS,
    /// How long an answer takes. Default: none.
    pub answer_delay: Duration,

    /// The largest document: desired and reported as compact JSON, in bytes. Default: 8,192.
    pub max_document: usize,
    /// The deepest nesting below `desired` and `reported`. Default: 8.
    pub max_depth: usize,
    /// The depth that the answer names. Default: 6, as documented, though 8 are taken.
    pub depth_in_text: usize,
    /// The longest client token, in bytes. Default: 64.
    pub max_token: usize,
    /// The most requests under way for one thing on one connection. They can only be while there is an
    /// [`answer_delay`](Self::answer_delay). Default: 10.
    pub max_in_flight: usize,
    /// The most requests for one shadow in a second; [`u32::MAX`] is without a limit. Default: 20.
    pub requests_per_second: u32,
}

/// In which order the messages about one update come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Accepted, documents, delta.
    #[default]
    AcceptedFirst,
    /// Delta, documents, accepted.
    DeltaFirst,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            empty_section_clears: false,
            version_1_creates: false,
            delete_takes_a_version: true,
            tombstone: Duration::from_secs(48 * 60 * 60),
            delta_has_empty_objects: true,
            get_has_delta_metadata: false,
            rejections_have_a_timestamp: false,
            documented_json_text: false,
            documented_missing_text: false,
            invalid_node_is_named: true,
            dollar_names: true,
            http_publishes_accepted: true,
            order: Order::AcceptedFirst,
            qos: QoS::AtLeastOnce,
            answer_delay: Duration::ZERO,
            max_document: 8_192,
            max_depth: 8,
            depth_in_text: 6,
            max_token: 64,
            max_in_flight: 10,
            requests_per_second: 20,
        }
    }
}
