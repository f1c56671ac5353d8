//! Basic Ingest: straight to a rule, past the message broker.

use std::error::Error;
use std::fmt;

use mqtt_codec::{InvalidTopic, TopicName};

use crate::limits::{LimitExceeded, check_topic};

/// The most bytes that a rule's name may have.
const MAX_NAME: usize = 128;

/// The topic that takes a message straight to a rule of AWS IoT Core, past the message broker and its price ("Reducing
/// messaging costs with Basic Ingest" in the AWS IoT Core developer guide). Nobody can subscribe to it. The rule sees
/// `topic`, which has the usual limits; `$aws/rules/<rule>/` does not count for them.
///
/// ```
/// let topic = aws_iot::basic_ingest("store_readings", "sensor/1/temperature")?;
/// assert_eq!(topic.as_str(), "$aws/rules/store_readings/sensor/1/temperature");
/// # Ok::<(), aws_iot::InvalidIngest>(())
/// ```
///
/// # Errors
/// The rule's name has other characters than letters, digits and `_`, or not 1 to 128 of them; or the topic cannot be
/// published to.
pub fn basic_ingest(rule: &str, topic: &str) -> Result<TopicName, InvalidIngest> {
    let fits = (1..=MAX_NAME).contains(&rule.len());
    if !fits || !rule.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(InvalidIngest::Rule);
    }
    TopicName::try_from(topic).map_err(InvalidIngest::Topic)?;
    check_topic(topic).map_err(InvalidIngest::Limit)?;
    TopicName::try_from(format!("$aws/rules/{rule}/{topic}")).map_err(InvalidIngest::Topic)
}

/// Why there is no topic for Basic Ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidIngest {
    /// That cannot be the name of a rule.
    Rule,
    /// The topic cannot be published to.
    Topic(InvalidTopic),
    /// The topic passes a limit.
    Limit(LimitExceeded),
}

impl fmt::Display for InvalidIngest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule => f.write_str("the name of a rule has 1 to 128 letters, digits and '_'"),
            Self::Topic(error) => error.fmt(f),
            Self::Limit(error) => error.fmt(f),
        }
    }
}

impl Error for InvalidIngest {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::check_message;
    use crate::{Limit, Message};

    #[test]
    fn the_prefix_does_not_count_and_the_rest_does() {
        let long = "t".repeat(256);
        let topic = basic_ingest("rule_1", &long).unwrap();
        assert!(check_message(&Message::new(topic, "x").unwrap()).is_ok());
        let limit = |topic: &str| match basic_ingest("rule_1", topic) {
            Err(InvalidIngest::Limit(exceeded)) => exceeded.limit,
            other => panic!("{other:?}"),
        };
        assert_eq!(limit(&"t".repeat(257)), Limit::TopicLength);
        assert_eq!(limit("1/2/3/4/5/6/7/8/9"), Limit::TopicSlashes);
        for rule in ["", "a-b", "a/b", "\u{e4}", &"r".repeat(129)] {
            assert_eq!(basic_ingest(rule, "t"), Err(InvalidIngest::Rule), "{rule}");
        }
        for topic in ["", "a/#", "+"] {
            assert!(matches!(basic_ingest("rule", topic), Err(InvalidIngest::Topic(_))), "{topic}");
        }
    }
}
