//! The reserved topics of the Device Shadow service: built and parsed.

use std::fmt;

use mqtt_codec::{InvalidTopic, TopicFilter, TopicName};

use crate::name::{InvalidName, ShadowName, ThingName};

/// A shadow of a thing: the classic one without a name, or a named one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShadowId {
    /// Whose shadow.
    pub thing: ThingName,
    /// Which one; `None` is the classic shadow.
    pub name: Option<ShadowName>,
}

/// What can be asked of a shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read the document.
    Get,
    /// Merge a document in.
    Update,
    /// Delete the shadow.
    Delete,
}

impl Action {
    /// As it stands in topics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What the service says to an action or of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reply {
    /// The request itself, as clients publish it.
    Request,
    /// It was done.
    Accepted,
    /// It was not.
    Rejected,
}

/// A topic of the Device Shadow service.
///
/// ```
/// use iot_shadow::{Action, Reply, ShadowId, ShadowTopic};
///
/// let topic = ShadowTopic::Action(Action::Get, Reply::Accepted);
/// let shadow = ShadowId::named("thermostat", "config")?;
/// assert_eq!(shadow.topic(topic), "$aws/things/thermostat/shadow/name/config/get/accepted");
/// assert_eq!(ShadowId::parse("$aws/things/thermostat/shadow/name/config/get/accepted"), Some((shadow, topic)));
/// # Ok::<(), iot_shadow::InvalidName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShadowTopic {
    /// An action, or the answer to one.
    Action(Action, Reply),
    /// `update/delta`: desired and reported differ.
    Delta,
    /// `update/documents`: the documents before and after an update.
    Documents,
}

impl ShadowTopic {
    /// Every topic of a shadow.
    pub const ALL: [Self; 11] = [
        Self::Action(Action::Get, Reply::Request),
        Self::Action(Action::Get, Reply::Accepted),
        Self::Action(Action::Get, Reply::Rejected),
        Self::Action(Action::Update, Reply::Request),
        Self::Action(Action::Update, Reply::Accepted),
        Self::Action(Action::Update, Reply::Rejected),
        Self::Action(Action::Delete, Reply::Request),
        Self::Action(Action::Delete, Reply::Accepted),
        Self::Action(Action::Delete, Reply::Rejected),
        Self::Delta,
        Self::Documents,
    ];

    /// What stands behind the shadow's prefix.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Action(Action::Get, Reply::Request) => "get",
            Self::Action(Action::Get, Reply::Accepted) => "get/accepted",
            Self::Action(Action::Get, Reply::Rejected) => "get/rejected",
            Self::Action(Action::Update, Reply::Request) => "update",
            Self::Action(Action::Update, Reply::Accepted) => "update/accepted",
            Self::Action(Action::Update, Reply::Rejected) => "update/rejected",
            Self::Action(Action::Delete, Reply::Request) => "delete",
            Self::Action(Action::Delete, Reply::Accepted) => "delete/accepted",
            Self::Action(Action::Delete, Reply::Rejected) => "delete/rejected",
            Self::Delta => "update/delta",
            Self::Documents => "update/documents",
        }
    }
}

impl ShadowId {
    /// The classic shadow of a thing.
    ///
    /// # Errors
    /// The name is not valid.
    pub fn classic(thing: &str) -> Result<Self, InvalidName> {
        Ok(Self { thing: ThingName::new(thing)?, name: None })
    }

    /// A named shadow of a thing.
    ///
    /// # Errors
    /// A name is not valid.
    pub fn named(thing: &str, name: &str) -> Result<Self, InvalidName> {
        Ok(Self { thing: ThingName::new(thing)?, name: Some(ShadowName::new(name)?) })
    }

    /// One of the shadow's topics, as a string.
    #[must_use]
    pub fn topic(&self, topic: ShadowTopic) -> String {
        format!("{self}/{}", topic.suffix())
    }

    /// One of the shadow's topics to publish to.
    ///
    /// # Errors
    /// None: the names are checked; the type says what the codec can say.
    pub fn topic_name(&self, topic: ShadowTopic) -> Result<TopicName, InvalidTopic> {
        TopicName::try_from(self.topic(topic))
    }

    /// One of the shadow's topics to subscribe to.
    ///
    /// # Errors
    /// None: the names are checked; the type says what the codec can say.
    pub fn topic_filter(&self, topic: ShadowTopic) -> Result<TopicFilter, InvalidTopic> {
        TopicFilter::try_from(self.topic(topic))
    }

    /// Takes a topic apart; `None` for everything that is no topic of the Device Shadow service.
    #[must_use]
    pub fn parse(topic: &str) -> Option<(Self, ShadowTopic)> {
        let (thing, rest) = topic.strip_prefix("$aws/things/")?.split_once("/shadow/")?;
        let (name, suffix) = match rest.strip_prefix("name/") {
            Some(rest) => rest.split_once('/').map(|(name, suffix)| (Some(name), suffix))?,
            None => (None, rest),
        };
        let topic = ShadowTopic::ALL.into_iter().find(|topic| topic.suffix() == suffix)?;
        let name = name.map(ShadowName::new).transpose().ok()?;
        Some((Self { thing: ThingName::new(thing).ok()?, name }, topic))
    }
}

impl fmt::Display for ShadowId {
    /// The prefix of all of its topics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$aws/things/{}/shadow", self.thing)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, "/name/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_documented_topics_are_built() {
        let classic = ShadowId::classic("T").unwrap();
        assert_eq!(classic.topic(ShadowTopic::Delta), "$aws/things/T/shadow/update/delta");
        assert_eq!(
            classic.topic_name(ShadowTopic::Documents).unwrap().as_str(),
            "$aws/things/T/shadow/update/documents"
        );
        let named = ShadowId::named("T", "cfg").unwrap();
        let request = ShadowTopic::Action(Action::Delete, Reply::Request);
        assert_eq!(named.topic_filter(request).unwrap().as_str(), "$aws/things/T/shadow/name/cfg/delete");
    }

    #[test]
    fn other_topics_are_not_shadows() {
        for other in [
            "",
            "$aws/things/T/shadow",
            "$aws/things/T/shadow/",
            "$aws/things/T/shadow/get/",
            "$aws/things/T/shadow/get/accepted/x",
            "$aws/things/T/shadow/cfg/get",
            "$aws/things/T/shadow/name/cfg",
            "$aws/things/T/shadow/name//get",
            "$aws/things//shadow/get",
            "$aws/things/a b/shadow/get",
            "$aws/things/T/jobs/get",
            "aws/things/T/shadow/get",
        ] {
            assert_eq!(ShadowId::parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_topic_comes_apart_as_it_was_put_together(
            thing in "[a-zA-Z0-9:_-]{1,128}",
            name in proptest::option::of("[a-zA-Z0-9:_$-]{1,64}"),
            index in 0..ShadowTopic::ALL.len(),
        ) {
            let shadow = match &name {
                Some(name) => ShadowId::named(&thing, name).unwrap(),
                None => ShadowId::classic(&thing).unwrap(),
            };
            let topic = ShadowTopic::ALL[index];
            prop_assert_eq!(ShadowId::parse(&shadow.topic(topic)), Some((shadow, topic)));
        }

        #[test]
        fn parsing_never_panics_and_what_it_takes_it_gives_back(topic in "\\PC{0,80}|\\$aws/things/\\PC{0,20}/shadow/\\PC{0,40}") {
            if let Some((shadow, kind)) = ShadowId::parse(&topic) {
                prop_assert_eq!(shadow.topic(kind), topic);
            }
        }
    }
}
