//! The one table of properties: number, type, and the packets that may carry it (MQTT 5, table 2-4).

/// The packets that carry properties; the will, which has its own set; and what only one side may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Context {
    Connect,
    ConnAck,
    /// By the server, or by either side.
    Publish,
    PublishByClient,
    Will,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    /// By either side.
    Disconnect,
    DisconnectByClient,
    DisconnectByServer,
    Auth,
}

impl Context {
    /// Every one of them.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const ALL: [Self; 17] = [
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PublishByClient,
        Self::Will,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::Disconnect,
        Self::DisconnectByClient,
        Self::DisconnectByServer,
        Self::Auth,
    ];

    const fn bit(self) -> u32 {
        1 << (self as u32)
    }

    /// The packet, whoever sends it.
    pub(crate) const fn by_either(self) -> Self {
        match self {
            Self::PublishByClient => Self::Publish,
            Self::DisconnectByClient | Self::DisconnectByServer => Self::Disconnect,
            other => other,
        }
    }
}

/// The type of a property's value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    U16,
    U32,
    VarInt,
    Text,
    Binary,
    Pair,
}

/// A row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) id: PropertyId,
    pub(crate) kind: Kind,
    /// The contexts that may carry it, a bit for each.
    contexts: u32,
}

impl Rule {
    #[inline]
    pub(crate) const fn allows(&self, context: Context) -> bool {
        self.contexts & context.bit() != 0
    }
}

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $kind:ident, [$($context:ident)*];)*) => {
        /// The number of a property (MQTT 5, table 2-4).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum PropertyId {
            $($(#[$doc])* $name = $id,)*
        }

        impl PropertyId {
            /// Every property, in the order of the numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The property with this number.
            #[must_use]
            pub const fn from_u32(id: u32) -> Option<Self> {
                match id {
                    $($id => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        /// The row of the property with this number.
        #[inline]
        pub(crate) fn rule(number: u32) -> Option<Rule> {
            #[expect(clippy::indexing_slicing, reason = "the compiler runs it, and would say")]
            const ROWS: [Option<Rule>; 0x2B] = {
                let mut rows = [None; 0x2B];
                let mut number = 0;
                while number < rows.len() {
                    rows[number] = match number {
                        $($id => Some(Rule {
                            id: PropertyId::$name,
                            kind: Kind::$kind,
                            contexts: $(Context::$context.bit() |)* 0,
                        }),)*
                        _ => None,
                    };
                    number += 1;
                }
                rows
            };
            *ROWS.get(number as usize)?
        }
    };
}

table! {
    /// 0: unspecified bytes, 1: UTF-8.
    PayloadFormatIndicator = 0x01, Bool, [Publish PublishByClient Will];
    /// Seconds.
    MessageExpiryInterval = 0x02, U32, [Publish PublishByClient Will];
    /// MIME type.
    ContentType = 0x03, Text, [Publish PublishByClient Will];
    /// A topic name.
    ResponseTopic = 0x08, Text, [Publish PublishByClient Will];
    /// Bytes.
    CorrelationData = 0x09, Binary, [Publish PublishByClient Will];
    /// 1 to 268,435,455.
    SubscriptionIdentifier = 0x0B, VarInt, [Publish Subscribe];
    /// Seconds.
    SessionExpiryInterval = 0x11, U32, [Connect ConnAck Disconnect DisconnectByClient];
    /// Text.
    AssignedClientIdentifier = 0x12, Text, [ConnAck];
    /// Seconds.
    ServerKeepAlive = 0x13, U16, [ConnAck];
    /// Text.
    AuthenticationMethod = 0x15, Text, [Connect ConnAck Auth];
    /// Bytes.
    AuthenticationData = 0x16, Binary, [Connect ConnAck Auth];
    /// 0 or 1.
    RequestProblemInformation = 0x17, Bool, [Connect];
    /// Seconds.
    WillDelayInterval = 0x18, U32, [Will];
    /// 0 or 1.
    RequestResponseInformation = 0x19, Bool, [Connect];
    /// Text.
    ResponseInformation = 0x1A, Text, [ConnAck];
    /// Text.
    ServerReference = 0x1C, Text, [ConnAck Disconnect DisconnectByServer];
    /// Text for people.
    ReasonString = 0x1F, Text, [ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect
        DisconnectByClient DisconnectByServer Auth];
    /// 1 to 65,535.
    ReceiveMaximum = 0x21, U16, [Connect ConnAck];
    /// 0 to 65,535.
    TopicAliasMaximum = 0x22, U16, [Connect ConnAck];
    /// 1 to 65,535.
    TopicAlias = 0x23, U16, [Publish PublishByClient];
    /// 0 or 1.
    MaximumQoS = 0x24, Bool, [ConnAck];
    /// 0 or 1.
    RetainAvailable = 0x25, Bool, [ConnAck];
    /// Name and value.
    UserProperty = 0x26, Pair, [Connect ConnAck Publish PublishByClient Will PubAck PubRec PubRel PubComp Subscribe
        SubAck Unsubscribe UnsubAck Disconnect DisconnectByClient DisconnectByServer Auth];
    /// 1 to 4,294,967,295 bytes.
    MaximumPacketSize = 0x27, U32, [Connect ConnAck];
    /// 0 or 1.
    WildcardSubscriptionAvailable = 0x28, Bool, [ConnAck];
    /// 0 or 1.
    SubscriptionIdentifierAvailable = 0x29, Bool, [ConnAck];
    /// 0 or 1.
    SharedSubscriptionAvailable = 0x2A, Bool, [ConnAck];
}
