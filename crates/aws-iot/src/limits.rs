//! The limits of AWS IoT Core that a client can check, in one place
//! (AWS General Reference, "AWS IoT Core endpoints and quotas").

use std::fmt;

use iot_session::Will;
use mqtt_codec::{PropertiesRef, QoS, TopicFilter};

use crate::Message;

/// A limit of AWS IoT Core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// 128 bytes.
    ClientId,
    /// 256 bytes, not counting `$aws/rules/<rule>/` and `$share/<name>/`.
    TopicLength,
    /// 7 slashes, not counting those of `$aws/rules/<rule>/` and `$share/<name>/`.
    TopicSlashes,
    /// 128 characters of the name in `$share/<name>/`.
    ShareName,
    /// 128 KiB.
    Payload,
    /// MQTT 5: 256 bytes.
    ContentType,
    /// MQTT 5: 8 KiB.
    CorrelationData,
    /// MQTT 5: 8 KiB of names and values together.
    UserProperties,
    /// QoS 1: there is no QoS 2.
    QoS,
}

impl Limit {
    /// The number, in the unit of the limit.
    #[must_use]
    pub const fn max(self) -> usize {
        match self {
            Self::ClientId => 128,
            Self::TopicLength => 256,
            Self::TopicSlashes => 7,
            Self::ShareName => 128,
            Self::Payload => 128 * 1024,
            Self::ContentType => 256,
            Self::CorrelationData | Self::UserProperties => 8 * 1024,
            Self::QoS => 1,
        }
    }
}

/// Something passes a limit of AWS IoT Core, which would close the connection. It was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitExceeded {
    /// Which limit.
    pub limit: Limit,
    /// What was given, in the unit of the limit.
    pub value: usize,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, max) = (self.value, self.limit.max());
        match self.limit {
            Limit::ClientId => write!(f, "the client id has {value} bytes, AWS IoT Core allows {max}"),
            Limit::TopicLength => write!(f, "the topic has {value} bytes, AWS IoT Core allows {max}"),
            Limit::TopicSlashes => write!(f, "the topic has {value} slashes, AWS IoT Core allows {max}"),
            Limit::Payload => write!(f, "the payload has {value} bytes, AWS IoT Core allows {max}"),
            Limit::ShareName => {
                write!(f, "the name of the share has {value} characters, AWS IoT Core allows {max}")
            }
            Limit::ContentType => write!(f, "the content type has {value} bytes, AWS IoT Core allows {max}"),
            Limit::CorrelationData => {
                write!(f, "the correlation data has {value} bytes, AWS IoT Core allows {max}")
            }
            Limit::UserProperties => {
                write!(f, "the user properties have {value} bytes, AWS IoT Core allows {max}")
            }
            Limit::QoS => write!(f, "QoS {value} does not exist at AWS IoT Core, use QoS 0 or 1"),
        }
    }
}

impl std::error::Error for LimitExceeded {}

fn check(limit: Limit, value: usize) -> Result<(), LimitExceeded> {
    if value > limit.max() { Err(LimitExceeded { limit, value }) } else { Ok(()) }
}

pub(crate) fn check_client_id(client_id: &str) -> Result<(), LimitExceeded> {
    check(Limit::ClientId, client_id.len())
}

pub(crate) fn check_topic(topic: &str) -> Result<(), LimitExceeded> {
    // Basic Ingest: the first three levels do not count.
    let counted = topic
        .strip_prefix("$aws/rules/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(topic, |(_rule, topic)| topic);
    check(Limit::TopicLength, counted.len())?;
    check(Limit::TopicSlashes, counted.bytes().filter(|b| *b == b'/').count())
}

pub(crate) fn check_filter(filter: &TopicFilter) -> Result<(), LimitExceeded> {
    if let Some(name) = filter.share_name() {
        check(Limit::ShareName, name.chars().count())?;
    }
    check_topic(filter.without_share())
}

pub(crate) fn check_qos(qos: QoS) -> Result<(), LimitExceeded> {
    check(Limit::QoS, usize::from(qos as u8))
}

pub(crate) fn check_message(message: &Message) -> Result<(), LimitExceeded> {
    check_qos(message.quality())?;
    check_topic(message.topic())?;
    check(Limit::Payload, message.payload().len())?;
    check_properties(message.properties())
}

pub(crate) fn check_will(will: &Will) -> Result<(), LimitExceeded> {
    check_qos(will.qos)?;
    check_topic(will.topic.as_str())?;
    check(Limit::Payload, will.payload.len())?;
    check_properties(will.properties.as_ref())
}

fn check_properties(properties: PropertiesRef<'_>) -> Result<(), LimitExceeded> {
    if properties.is_empty() {
        return Ok(());
    }
    check(Limit::ContentType, properties.content_type().map_or(0, str::len))?;
    check(Limit::CorrelationData, properties.correlation_data().map_or(0, <[u8]>::len))?;
    let bytes = properties.user_properties().map(|(name, value)| name.len().saturating_add(value.len()));
    check(Limit::UserProperties, bytes.fold(0, usize::saturating_add))
}

#[cfg(test)]
mod tests {
    use mqtt_codec::{Property, TopicName};

    use super::*;

    #[test]
    fn each_limit_holds_at_its_number_and_fails_one_above() {
        assert!(check_client_id(&"c".repeat(128)).is_ok());
        assert_eq!(
            check_client_id(&"c".repeat(129)),
            Err(LimitExceeded { limit: Limit::ClientId, value: 129 })
        );
        assert!(check_topic(&"t".repeat(256)).is_ok());
        assert_eq!(
            check_topic(&"t".repeat(257)),
            Err(LimitExceeded { limit: Limit::TopicLength, value: 257 })
        );
        assert!(check_topic("1/2/3/4/5/6/7/8").is_ok());
        assert_eq!(
            check_topic("1/2/3/4/5/6/7/8/9"),
            Err(LimitExceeded { limit: Limit::TopicSlashes, value: 8 })
        );
        let message = |size: usize| Message::new("t", vec![0; size]).unwrap();
        assert!(check_message(&message(131_072)).is_ok());
        assert_eq!(
            check_message(&message(131_073)),
            Err(LimitExceeded { limit: Limit::Payload, value: 131_073 })
        );
        let error = check_message(&message(1).qos(QoS::ExactlyOnce)).unwrap_err();
        assert_eq!(error.to_string(), "QoS 2 does not exist at AWS IoT Core, use QoS 0 or 1");
    }

    #[test]
    fn properties_have_limits_of_their_own() {
        let message = |property| Message::new("t", "x").unwrap().property(property).unwrap();
        let (fits, exceeds) = ("x".repeat(256), "x".repeat(257));
        assert!(check_message(&message(Property::ContentType(&fits))).is_ok());
        let exceeded = |message: &Message| check_message(message).unwrap_err();
        let content_type = exceeded(&message(Property::ContentType(&exceeds)));
        assert_eq!(content_type, LimitExceeded { limit: Limit::ContentType, value: 257 });
        let (fits, exceeds) = ([0; 8192], [0; 8193]);
        assert!(check_message(&message(Property::CorrelationData(&fits))).is_ok());
        let data = exceeded(&message(Property::CorrelationData(&exceeds)));
        assert_eq!(data, LimitExceeded { limit: Limit::CorrelationData, value: 8193 });
        let half = "x".repeat(4095);
        let two = message(Property::UserProperty("a", &half)).property(Property::UserProperty("b", &half));
        let two = two.unwrap();
        assert!(check_message(&two).is_ok());
        let three = exceeded(&two.property(Property::UserProperty("c", "")).unwrap());
        assert_eq!(three, LimitExceeded { limit: Limit::UserProperties, value: 8193 });
    }

    #[test]
    fn a_will_and_the_name_of_a_share_are_held_to_theirs() {
        let mut will = Will::new(TopicName::try_from("1/2/3/4/5/6/7/8").unwrap(), "x");
        assert!(check_will(&will).is_ok());
        will.qos = QoS::ExactlyOnce;
        assert_eq!(check_will(&will).unwrap_err().limit, Limit::QoS);
        let share = |name: &str| TopicFilter::try_from(format!("$share/{name}/a")).unwrap();
        assert!(check_filter(&share(&"é".repeat(128))).is_ok());
        assert_eq!(check_filter(&share(&"é".repeat(129))).unwrap_err().value, 129);
    }

    #[test]
    fn basic_ingest_and_shared_subscriptions_do_not_count_their_prefix() {
        assert!(check_topic(&format!("$aws/rules/my_rule/{}", "1/2/3/4/5/6/7/8")).is_ok());
        assert!(check_topic(&format!("$aws/rules/my_rule/{}", "t".repeat(256))).is_ok());
        assert!(check_topic(&format!("$aws/rules/my_rule/{}", "t".repeat(257))).is_err());
        let filter = |text: &str| TopicFilter::try_from(text).unwrap();
        assert!(check_filter(&filter("$share/group/1/2/3/4/5/6/7/8")).is_ok());
        assert!(check_filter(&filter("$share/group/1/2/3/4/5/6/7/8/9")).is_err());
    }
}
