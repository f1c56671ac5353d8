//! The parts of a builder that take several settings.

use iot_session::layers::{Backoff, DrainRate, DropPolicy, OfflineQueue, Pacing};
use iot_session::{QoS, TopicName, Will};

use super::error::{Origin, SettingsError};
use super::left::Left;

pub(super) fn will(left: &mut Left) -> Result<Option<Will>, SettingsError> {
    let origin = left.origin("will.topic");
    let Some(topic) = left.text("will.topic") else {
        return left.nothing_of("will.", "will.topic").map(|()| None);
    };
    let wrong = |error: mqtt_codec::InvalidTopic| {
        SettingsError::new(origin.as_ref().unwrap_or(&Origin::Given), "will.topic", error.to_string())
    };
    let topic = TopicName::try_from(topic).map_err(wrong)?;
    let mut will = Will::new(topic, left.text("will.payload").unwrap_or_default());
    if left.count("will.qos") == Some(1) {
        will.qos = QoS::AtLeastOnce;
    }
    will.retain = left.switch("will.retain").unwrap_or_default();
    Ok(Some(will))
}

pub(super) fn backoff(left: &mut Left) -> Result<Option<Backoff>, SettingsError> {
    let (of_base, of_max) = (left.origin("backoff.base"), left.origin("backoff.max"));
    let (base, max, stable) =
        (left.seconds("backoff.base"), left.seconds("backoff.max"), left.seconds("backoff.stable"));
    if base.is_none() && max.is_none() && stable.is_none() {
        return Ok(None);
    }
    let usual = Backoff::default();
    let (base, max) = (base.unwrap_or(usual.base()), max.unwrap_or(usual.max()));
    if max < base {
        let (base, max) = (base.as_secs_f64(), max.as_secs_f64());
        let (key, why) = match &of_max {
            Some(_) => ("backoff.max", format!("it is below `backoff.base`, which is {base} s")),
            None => ("backoff.base", format!("it is above `backoff.max`, which is {max} s")),
        };
        return Err(SettingsError::new(&of_max.or(of_base).unwrap_or(Origin::Given), key, why));
    }
    Ok(Some(Backoff::new(base, max, stable.unwrap_or(usual.stable()))))
}

/// AWS IoT Core's rates, but for those that are given.
pub(super) fn pacing(left: &mut Left) -> Option<Pacing> {
    const PUBLISHES: u32 = 100;
    const BYTES: u32 = 512 * 1024;
    let (publishes, bytes) =
        (left.number::<u32>("pacing.publishes_per_second"), left.number::<u32>("pacing.bytes_per_second"));
    if publishes.is_none() && bytes.is_none() {
        return None;
    }
    let mut pacing = Pacing::off();
    pacing = match publishes.unwrap_or(PUBLISHES) {
        0 => pacing,
        rate => pacing.publishes_per_second(rate),
    };
    Some(match bytes.unwrap_or(BYTES) {
        0 => pacing,
        rate => pacing.bytes_per_second(rate),
    })
}

pub(super) fn offline_queue(left: &mut Left) -> Option<OfflineQueue> {
    let messages = left.number::<usize>("offline_queue.max_messages");
    let bytes = left.number::<usize>("offline_queue.max_bytes");
    let when_full = left.text("offline_queue.when_full");
    let rate = left.rate("offline_queue.drain_rate");
    if messages.is_none() && bytes.is_none() && when_full.is_none() && rate.is_none() {
        return None;
    }
    let mut queue = messages.map_or_else(OfflineQueue::default, OfflineQueue::bounded);
    if let Some(bytes) = bytes {
        queue = queue.max_bytes(bytes);
    }
    if let Some(policy) = when_full {
        queue = queue.when_full(drop_policy(&policy));
    }
    if let Some(rate) = rate {
        queue = queue.drain_rate(drain_rate(rate));
    }
    Some(queue)
}

fn drop_policy(word: &str) -> DropPolicy {
    if word == "drop-oldest" { DropPolicy::DropOldest } else { DropPolicy::DropNewest }
}

fn drain_rate(per_second: f64) -> DrainRate {
    if per_second > 0.0 { DrainRate::per_second(per_second) } else { DrainRate::unlimited() }
}

#[cfg(feature = "outbox")]
pub(super) fn outbox(left: &mut Left) -> Result<Option<crate::OutboxFile>, SettingsError> {
    use crate::{Durability, OutboxFile};

    let Some(path) = left.path("outbox.path") else {
        return left.nothing_of("outbox.", "outbox.path").map(|()| None);
    };
    let mut outbox = OutboxFile::new(path);
    if let Some(messages) = left.number("outbox.max_messages") {
        outbox = outbox.max_messages(messages);
    }
    if let Some(bytes) = left.number("outbox.max_bytes") {
        outbox = outbox.max_bytes(bytes);
    }
    if let Some(policy) = left.text("outbox.when_full") {
        outbox = outbox.when_full(drop_policy(&policy));
    }
    if let Some(rate) = left.rate("outbox.drain_rate") {
        outbox = outbox.drain_rate(drain_rate(rate));
    }
    if let Some(keep) = left.switch("outbox.keep_session") {
        outbox = outbox.keep_session(keep);
    }
    if let Some(interval) = left.seconds("outbox.sync_interval") {
        outbox = outbox.durability(Durability::Interval(interval));
    }
    Ok(Some(outbox))
}

#[cfg(feature = "proxy")]
pub(super) fn proxy(left: &mut Left) -> Result<Option<crate::Proxy>, SettingsError> {
    let Some(host) = left.text("proxy.host") else {
        return left.nothing_of("proxy.", "proxy.host").map(|()| None);
    };
    let port = left.number("proxy.port").ok_or_else(|| {
        SettingsError::missing("proxy.port", "a proxy goes with its port, often 3128 or 8080")
    })?;
    let proxy = crate::Proxy::new(host, port);
    match (left.text("proxy.user"), left.secret("proxy.password")) {
        (Some(user), Some(password)) => Ok(Some(proxy.basic_auth(user, password.as_str()))),
        (None, None) => Ok(Some(proxy)),
        (Some(_), None) => Err(SettingsError::missing("proxy.password", "a user goes with a password")),
        (None, Some(_)) => Err(SettingsError::missing("proxy.user", "a password goes with a user")),
    }
}
