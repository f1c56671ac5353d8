//! Topic aliases both ways (MQTT 5, section 3.3.2.3.4). They live as long as a connection, and nobody above sees them.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use bytes::Bytes;
use mqtt_codec::TopicName;
use mqtt_codec::packet::Publish;

/// What the server's aliases stand for.
#[derive(Debug, Default)]
pub(super) struct FromServer {
    /// Alias 1 first. The topics are copies: a read buffer does not live on for them.
    topics: Vec<Option<TopicName>>,
}

impl FromServer {
    /// A new connection.
    pub(super) fn restart(&mut self) {
        self.topics.clear();
    }

    /// The message under its topic, without an alias. Fails with what is wrong with the alias.
    pub(super) fn resolve(&mut self, publish: Publish, maximum: u16) -> Result<Publish, &'static str> {
        let Some(alias) = publish.properties().topic_alias() else { return Ok(publish) };
        if alias > maximum {
            // [MQTT-3.1.2-26], [MQTT-3.1.2-27]
            return Err("a topic alias above Topic Alias Maximum");
        }
        // Zero is refused by the codec [MQTT-3.3.2-8].
        let index = usize::from(alias).saturating_sub(1);
        let known = self.topics.get(index).and_then(Option::as_ref);
        let topic = match known {
            Some(known) if publish.topic_bytes().is_empty() || known.as_bytes() == publish.topic_bytes() => {
                known.clone()
            }
            _ => {
                let Ok(topic) = TopicName::try_from(publish.topic()) else {
                    return Err("a topic alias that stands for nothing");
                };
                if self.topics.len() <= index {
                    self.topics.resize(index.saturating_add(1), None);
                }
                if let Some(entry) = self.topics.get_mut(index) {
                    *entry = Some(topic.clone());
                }
                topic
            }
        };
        Ok(publish.with_full_topic(topic))
    }
}

/// The aliases given to topics on this connection: first come, first served, and kept until its end.
///
/// To take an alias away from the topic that went without a message for longest would suit topics that change all the
/// time. But whoever publishes on more topics than there are aliases in turn would then find none of them, each time at
/// the price of three bytes; this way some always have theirs.
#[derive(Debug, Default)]
pub(super) struct ToServer {
    maximum: u16,
    known: BTreeMap<Bytes, NonZeroU16>,
}

/// A topic this short gains nothing: the alias takes three bytes, and may make the length of the properties one longer.
const SHORTEST: usize = 5;

impl ToServer {
    /// A new connection, on which the server takes aliases up to `maximum`.
    pub(super) fn restart(&mut self, maximum: u16) {
        *self = Self { maximum, known: BTreeMap::new() };
    }

    /// The message as it goes over this connection. The first one on a topic has both topic and alias, and goes without
    /// the alias if it does not fit then.
    pub(super) fn shorten(&mut self, publish: Publish, fits: impl FnOnce(&Publish) -> bool) -> Publish {
        if self.maximum == 0 || publish.topic_bytes().len() < SHORTEST {
            return publish;
        }
        if let Some(alias) = self.known.get(publish.topic_bytes()) {
            return publish.with_topic_alias(*alias, true);
        }
        let next = u16::try_from(self.known.len().saturating_add(1)).ok().and_then(NonZeroU16::new);
        let Some(alias) = next.filter(|alias| alias.get() <= self.maximum) else { return publish };
        let introduced = publish.with_topic_alias(alias, false);
        if !fits(&introduced) {
            return publish;
        }
        self.known.insert(Bytes::copy_from_slice(publish.topic_bytes()), alias);
        introduced
    }
}
