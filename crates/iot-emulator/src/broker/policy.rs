//! What clients are refused: the hook for tests of one's own recovery.

use mqtt_codec::{ReasonCode, TopicFilter};

/// What clients may do. Allows everything until told otherwise; changes hold from the next packet on.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Policy {
    /// Refuses every CONNECT with this code; codes below 0x80 are no refusals and let everything pass.
    pub refuse_connects: Option<ReasonCode>,
    /// Topics that nobody may publish to, wills included.
    pub deny_publish: Vec<TopicFilter>,
    /// Filters that nobody may subscribe to. A wildcard here covers wildcards there: `a/#` denies `a/+`.
    pub deny_subscribe: Vec<TopicFilter>,
}

impl Policy {
    pub(super) fn refuses_connect(&self) -> Option<ReasonCode> {
        self.refuse_connects.filter(|reason| reason.is_error())
    }

    pub(super) fn denies_publish(&self, topic: &str) -> bool {
        self.deny_publish.iter().any(|denied| covers(denied, topic))
    }

    pub(super) fn denies_subscribe(&self, filter: &TopicFilter) -> bool {
        self.deny_subscribe.iter().any(|denied| covers(denied, filter.without_share()))
    }
}

/// To the matching, a wildcard in `subject` is a level like any other.
fn covers(denied: &TopicFilter, subject: &str) -> bool {
    mqtt_codec::matches(denied.as_str().as_bytes(), subject.as_bytes()) || denied.as_str() == subject
}
