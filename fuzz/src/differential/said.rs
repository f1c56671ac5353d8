//! What a packet says, in terms that every codec's packets can be put in.

use mqtt_codec::PropertyId;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Number(u32),
    Bytes(Vec<u8>),
    Pair(Vec<u8>, Vec<u8>),
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u8> for Value {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Number(flag.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<(&str, &str)> for Value {
    fn from((name, value): (&str, &str)) -> Self {
        Self::Pair(name.as_bytes().to_vec(), value.as_bytes().to_vec())
    }
}

/// A packet's fields in their order; its properties as a set, and those of the will as another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    packet: &'static str,
    fields: Vec<(&'static str, Value)>,
    properties: Vec<(u8, Value)>,
    will_properties: Vec<(u8, Value)>,
}

impl Said {
    pub fn new(packet: &'static str) -> Self {
        Self { packet, ..Self::default() }
    }

    /// The packets that carry nothing but an identifier in MQTT 3.1.1.
    pub fn with_id(packet: &'static str, packet_id: u16) -> Self {
        Self::new(packet).field("packet id", packet_id)
    }

    pub fn field(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Absent is not the same as empty.
    pub fn optional(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    pub fn will(self, topic: &str, payload: &[u8], qos: u8, retain: bool) -> Self {
        self.field("will topic", topic)
            .field("will payload", payload)
            .field("will qos", qos)
            .field("will retain", retain)
    }

    /// A property with the value it has when absent is left out: some codecs cannot tell these two apart.
    pub fn property(mut self, id: PropertyId, value: Option<impl Into<Value>>) -> Self {
        let Some(value) = value.map(Into::into) else { return self };
        if self.default_of(id).is_none_or(|default| value != Value::Number(default)) {
            insert(&mut self.properties, id, value);
        }
        self
    }

    pub fn will_property(mut self, id: PropertyId, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            insert(&mut self.will_properties, id, value.into());
        }
        self
    }

    /// The value that stands for an absent property.
    fn default_of(&self, id: PropertyId) -> Option<u32> {
        match (self.packet, id) {
            ("CONNECT", PropertyId::SessionExpiryInterval | PropertyId::RequestResponseInformation)
            | ("CONNECT" | "CONNACK", PropertyId::TopicAliasMaximum)
            | ("PUBLISH", PropertyId::PayloadFormatIndicator) => Some(0),
            ("CONNECT", PropertyId::RequestProblemInformation)
            | (
                "CONNACK",
                PropertyId::RetainAvailable
                | PropertyId::WildcardSubscriptionAvailable
                | PropertyId::SubscriptionIdentifierAvailable
                | PropertyId::SharedSubscriptionAvailable,
            ) => Some(1),
            ("CONNACK", PropertyId::ReceiveMaximum) => Some(0xFFFF),
            ("CONNACK", PropertyId::MaximumQoS) => Some(2),
            _ => None,
        }
    }

    pub fn is(&self, packet: &str) -> bool {
        self.packet == packet
    }

    /// Whether a field has this value.
    pub fn has_field(&self, name: &'static str, value: impl Into<Value>) -> bool {
        self.fields.contains(&(name, value.into()))
    }

    /// Whether a property, of the packet or of its will, has this value.
    pub fn has(&self, id: PropertyId, value: impl Into<Value>) -> bool {
        let entry = (id as u8, value.into());
        self.properties.contains(&entry) || self.will_properties.contains(&entry)
    }
}

/// Keeps the set in order.
fn insert(set: &mut Vec<(u8, Value)>, id: PropertyId, value: Value) {
    let entry = (id as u8, value);
    let at = set.partition_point(|other| *other <= entry);
    set.insert(at, entry);
}
