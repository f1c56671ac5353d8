//! Reason codes (MQTT 5, section 2.4), one enum for both versions.

use core::fmt;

use crate::{DecodeError, EncodeError, Version};

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// What a packet answers (MQTT 5, section 2.4). MQTT 3.1.1's CONNACK return codes 1 to 5 and SUBACK's 0x80
        /// are carried as their MQTT 5 counterparts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl ReasonCode {
            /// The code for a number on the wire; `None` for numbers the standard does not name.
            #[must_use]
            pub const fn from_u8(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The standard's name for it, in lower case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reason_codes! {
    /// Success; also normal disconnection and granted QoS 0.
    #[default]
    Success = 0x00, "success";
    /// Subscription accepted at QoS 1.
    GrantedQoS1 = 0x01, "granted QoS 1";
    /// Subscription accepted at QoS 2.
    GrantedQoS2 = 0x02, "granted QoS 2";
    /// The client leaves and wants its will published.
    DisconnectWithWill = 0x04, "disconnect with will message";
    /// Accepted, but nobody subscribes to the topic.
    NoMatchingSubscribers = 0x10, "no matching subscribers";
    /// UNSUBSCRIBE of a filter that was not subscribed.
    NoSubscriptionExisted = 0x11, "no subscription existed";
    /// Enhanced authentication goes on.
    ContinueAuthentication = 0x18, "continue authentication";
    /// The client starts a re-authentication.
    ReAuthenticate = 0x19, "re-authenticate";
    /// No more specific code, or the sender does not want to say.
    UnspecifiedError = 0x80, "unspecified error";
    /// The packet could not be parsed.
    MalformedPacket = 0x81, "malformed packet";
    /// The packet was out of order or broke a rule of the protocol.
    ProtocolError = 0x82, "protocol error";
    /// Valid, but the receiver's implementation refuses it.
    ImplementationSpecificError = 0x83, "implementation specific error";
    /// The server does not speak the requested version.
    UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
    /// The client identifier is not allowed.
    ClientIdentifierNotValid = 0x85, "client identifier not valid";
    /// User name or password refused.
    BadUserNameOrPassword = 0x86, "bad user name or password";
    /// Not authorized.
    NotAuthorized = 0x87, "not authorized";
    /// The server is not available.
    ServerUnavailable = 0x88, "server unavailable";
    /// The server is busy.
    ServerBusy = 0x89, "server busy";
    /// The client is banned.
    Banned = 0x8A, "banned";
    /// The server is shutting down.
    ServerShuttingDown = 0x8B, "server shutting down";
    /// The authentication method is not supported or does not match.
    BadAuthenticationMethod = 0x8C, "bad authentication method";
    /// Nothing was heard for 1.5 times the keep-alive.
    KeepAliveTimeout = 0x8D, "keep alive timeout";
    /// Another connection with the same client identifier took over.
    SessionTakenOver = 0x8E, "session taken over";
    /// The filter is well formed but not accepted.
    TopicFilterInvalid = 0x8F, "topic filter invalid";
    /// The topic name is well formed but not accepted.
    TopicNameInvalid = 0x90, "topic name invalid";
    /// The packet identifier is in use already.
    PacketIdentifierInUse = 0x91, "packet identifier in use";
    /// The packet identifier is not known.
    PacketIdentifierNotFound = 0x92, "packet identifier not found";
    /// More than Receive Maximum publications are unacknowledged.
    ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
    /// A topic alias is zero or above the maximum.
    TopicAliasInvalid = 0x94, "topic alias invalid";
    /// The packet is larger than the Maximum Packet Size.
    PacketTooLarge = 0x95, "packet too large";
    /// Messages arrive faster than the receiver takes.
    MessageRateTooHigh = 0x96, "message rate too high";
    /// A quota is used up.
    QuotaExceeded = 0x97, "quota exceeded";
    /// Closed by an administrator.
    AdministrativeAction = 0x98, "administrative action";
    /// The payload does not match its format indicator.
    PayloadFormatInvalid = 0x99, "payload format invalid";
    /// The server keeps no retained messages.
    RetainNotSupported = 0x9A, "retain not supported";
    /// The QoS is above the server's maximum.
    QoSNotSupported = 0x9B, "QoS not supported";
    /// Use another server for now.
    UseAnotherServer = 0x9C, "use another server";
    /// The server has moved for good.
    ServerMoved = 0x9D, "server moved";
    /// The server knows no shared subscriptions.
    SharedSubscriptionsNotSupported = 0x9E, "shared subscriptions not supported";
    /// Connections come too fast.
    ConnectionRateExceeded = 0x9F, "connection rate exceeded";
    /// The connection has been up for as long as it may.
    MaximumConnectTime = 0xA0, "maximum connect time";
    /// The server knows no subscription identifiers.
    SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
    /// The server knows no wildcards.
    WildcardSubscriptionsNotSupported = 0xA2, "wildcard subscriptions not supported";
}

impl ReasonCode {
    /// The number on the wire in MQTT 5.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Codes of 0x80 and above say that something failed.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// The MQTT 3.1.1 CONNACK return code (section 3.2.2.3) with the same meaning; what 3.1.1 cannot say is 3,
    /// "server unavailable".
    #[must_use]
    pub const fn to_connect_return_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized | Self::Banned => 5,
            _ => 3,
        }
    }

    /// The nearest to this code that a CONNACK of this version can say: in MQTT 5 the code itself, in MQTT 3.1.1 one of six.
    ///
    /// ```
    /// use mqtt_codec::{ReasonCode, Version};
    ///
    /// let reason = ReasonCode::QuotaExceeded;
    /// assert_eq!(reason.in_connack(Version::V5), reason);
    /// assert_eq!(reason.in_connack(Version::V3_1_1), ReasonCode::ServerUnavailable);
    /// ```
    #[must_use]
    pub const fn in_connack(self, version: Version) -> Self {
        match version {
            Version::V5 => self,
            Version::V3_1_1 => match self {
                Self::Banned => Self::NotAuthorized,
                other => match Self::from_connect_return_code(other.to_connect_return_code()) {
                    Some(reason) => reason,
                    None => Self::ServerUnavailable,
                },
            },
        }
    }

    /// The reason behind an MQTT 3.1.1 CONNACK return code; 6 and above are reserved.
    #[must_use]
    pub const fn from_connect_return_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Success,
            1 => Self::UnsupportedProtocolVersion,
            2 => Self::ClientIdentifierNotValid,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }
}

/// The codes that a packet may carry.
pub(crate) struct ReasonSet([u64; 4]);

impl ReasonSet {
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "the compiler runs it, and would say"
    )]
    pub(crate) const fn of(codes: &[u8]) -> Self {
        let mut words = [0; 4];
        let mut at = 0;
        while at < codes.len() {
            let code = codes[at];
            words[(code >> 6) as usize] |= 1 << (code & 63);
            at += 1;
        }
        Self(words)
    }

    #[inline]
    pub(crate) fn has(&self, code: u8) -> bool {
        self.0.get(usize::from(code >> 6)).is_some_and(|word| word & (1 << (code & 63)) != 0)
    }

    /// The reason with this number, if it is one of the set.
    #[inline]
    pub(crate) fn read(&self, code: u8) -> Result<ReasonCode, DecodeError> {
        if !self.has(code) {
            return Err(DecodeError::InvalidReasonCode(code));
        }
        ReasonCode::from_u8(code).ok_or(DecodeError::InvalidReasonCode(code))
    }

    #[inline]
    pub(crate) fn check(&self, reason: ReasonCode) -> Result<(), EncodeError> {
        if self.has(reason.code()) { Ok(()) } else { Err(EncodeError::ReasonCode(reason)) }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.name(), self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_maps_to_itself() {
        let known = (0..=255).filter_map(ReasonCode::from_u8).inspect(|c| {
            assert_eq!(ReasonCode::from_u8(c.code()), Some(*c));
        });
        assert_eq!(known.count(), 43);
    }

    #[test]
    fn each_code_shows_its_number_and_a_name_of_its_own() {
        let known: alloc::vec::Vec<_> = (0..=255).filter_map(ReasonCode::from_u8).collect();
        for (at, code) in known.iter().enumerate() {
            let shown = alloc::format!("{code}");
            assert_eq!(shown, alloc::format!("{} (0x{:02X})", code.name(), code.code()));
            assert!(!code.name().is_empty());
            assert!(known.iter().take(at).all(|other| other.name() != code.name()), "{shown} twice");
        }
        assert_eq!(alloc::format!("{}", ReasonCode::NotAuthorized), "not authorized (0x87)");
    }

    #[test]
    fn connect_return_codes_go_there_and_back() {
        for code in 0..=5 {
            let reason = ReasonCode::from_connect_return_code(code).unwrap();
            assert_eq!(reason.to_connect_return_code(), code);
        }
        assert_eq!(ReasonCode::from_connect_return_code(6), None);
    }
}
