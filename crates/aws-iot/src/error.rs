//! What can go wrong, in one type.

use std::error::Error as _;
use std::fmt;
use std::io;

use iot_session::stage::StoreError;
use iot_session::{ClosedError, ConnectionError, LinkError, OpError, OptionsError};
use iot_transport::{InvalidAddress, TlsSetupError, UnknownRegion};
use mqtt_codec::{InvalidTopic, ReasonCode};

use crate::limits::LimitExceeded;

/// Why a client could not be made, or an operation did not succeed. Each is one sentence that says what is wrong and,
/// where it can be known, what to do; `Debug` shows the same sentence, so that a `main` that returns it prints no dump.
#[non_exhaustive]
pub enum Error {
    /// The endpoint cannot be one.
    Endpoint(InvalidAddress),
    /// A certificate, a key or a CA cannot be used.
    Tls(TlsSetupError),
    /// The endpoint does not tell its AWS region, which signing needs, and none was given.
    Region(UnknownRegion),
    /// A setting is out of its range.
    Options(OptionsError),
    /// A limit of AWS IoT Core is passed.
    Limit(LimitExceeded),
    /// The operation failed; nothing was sent, or the server or the network said no.
    Operation(OpError),
    /// The outbox cannot be opened.
    Outbox(StoreError),
    /// A setting of a file or of the environment cannot be used.
    #[cfg(feature = "config")]
    #[cfg_attr(docsrs, doc(cfg(feature = "config")))]
    Settings(crate::SettingsError),
    /// There is no tokio runtime to run the connection on.
    NoRuntime,
    /// The system has no thread for a connection whose calls block.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    NoThread(io::Error),
}

impl Error {
    /// Whether the same call may succeed later without a change of the configuration. A certificate outside its dates may
    /// be replaced, or the clock be set.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Tls(error) => error.is_retryable(),
            Self::Operation(OpError::Connect(error)) => error.is_retryable(),
            Self::Operation(error) => {
                matches!(error, OpError::Offline | OpError::Busy | OpError::TimedOut | OpError::Interrupted)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Options(error) => error.fmt(f),
            Self::Limit(error) => error.fmt(f),
            Self::Outbox(error) => error.fmt(f),
            Self::Operation(error) => {
                error.fmt(f)?;
                hint(error).map_or(Ok(()), |hint| write!(f, "; {hint}"))
            }
            Self::Region(error) => write!(f, "{error} (Builder::region)"),
            #[cfg(feature = "config")]
            Self::Settings(error) => error.fmt(f),
            #[cfg(feature = "blocking")]
            Self::NoThread(error) => write!(f, "there is no thread for the connection to run on: {error}"),
            Self::NoRuntime => {
                f.write_str("there is no tokio runtime here: call it from async code under #[tokio::main]")
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an answer of the server usually means at AWS IoT Core, and what to do about it.
fn hint(error: &OpError) -> Option<&'static str> {
    let reason = match error {
        // A close without a word; anything else, such as a TLS alert, has said what there is to say.
        OpError::Connect(ConnectionError::ClosedBeforeConnAck(link)) if is_wordless(link) => {
            ReasonCode::NotAuthorized
        }
        OpError::Connect(ConnectionError::Refused { reason, .. }) => *reason,
        OpError::Refused { reason: ReasonCode::NotAuthorized, .. } => {
            return Some("the policy must allow this action on this topic");
        }
        _ => return None,
    };
    match reason {
        ReasonCode::NotAuthorized => {
            // Which door it was is not known here.
            Some(
                "the certificate must be active, or the custom authorizer let it pass, and the policy must allow \
                 iot:Connect for this client id",
            )
        }
        ReasonCode::UnsupportedProtocolVersion => Some("try the other MQTT version"),
        ReasonCode::ServerUnavailable | ReasonCode::ServerBusy | ReasonCode::QuotaExceeded => {
            Some("try again later")
        }
        ReasonCode::ConnectionRateExceeded => {
            Some("connect less often: AWS IoT Core takes one CONNECT per second")
        }
        ReasonCode::ClientIdentifierNotValid => {
            Some("choose another client id: 1 to 128 bytes, not beginning with $")
        }
        _ => None,
    }
}

/// Whether the link just ended, in order or not.
fn is_wordless(link: &LinkError) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    link.source().is_none_or(|source| {
        source.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        })
    })
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tls(error) => error.source(),
            Self::Operation(error) => error.source(),
            Self::Outbox(error) => Some(error),
            #[cfg(feature = "blocking")]
            Self::NoThread(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(feature = "config")]
impl From<crate::SettingsError> for Error {
    fn from(error: crate::SettingsError) -> Self {
        Self::Settings(error)
    }
}

macro_rules! from {
    ($($variant:ident: $error:ty),*) => {
        $(
            impl From<$error> for Error {
                fn from(error: $error) -> Self {
                    Self::$variant(error)
                }
            }
        )*
    };
}
from!(Endpoint: InvalidAddress, Region: UnknownRegion, Tls: TlsSetupError, Options: OptionsError, Limit: LimitExceeded, Operation: OpError);

impl From<InvalidTopic> for Error {
    fn from(error: InvalidTopic) -> Self {
        Self::Operation(OpError::Topic(error))
    }
}

impl From<ClosedError> for Error {
    fn from(_: ClosedError) -> Self {
        Self::Operation(OpError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(source: Option<io::Error>) -> String {
        let link = LinkError::new("the server closed the connection", true);
        let link = match source {
            Some(source) => link.with_source(source),
            None => link,
        };
        Error::from(OpError::Connect(ConnectionError::ClosedBeforeConnAck(link))).to_string()
    }

    #[test]
    fn a_close_without_a_word_is_explained_and_an_alert_speaks_for_itself() {
        assert!(closed(None).contains("iot:Connect"));
        assert!(closed(Some(io::ErrorKind::UnexpectedEof.into())).contains("iot:Connect"));
        assert!(closed(Some(io::ErrorKind::ConnectionReset.into())).contains("iot:Connect"));
        assert!(!closed(Some(io::Error::new(io::ErrorKind::InvalidData, "alert"))).contains("iot:Connect"));
    }

    #[test]
    fn debug_shows_the_sentence() {
        assert_eq!(format!("{:?}", Error::NoRuntime), Error::NoRuntime.to_string());
    }
}

/// Why [`Client::try_publish`](crate::Client::try_publish) does not take a message.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TryPublishError {
    /// A limit of AWS IoT Core is passed: it would never be taken.
    Limit(LimitExceeded),
    /// There is no room now; here is the message.
    Full(iot_session::Message),
    /// The client is closed; here is the message.
    Closed(iot_session::Message),
}

impl fmt::Display for TryPublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(error) => error.fmt(f),
            Self::Full(_) => f.write_str("no room for another message now"),
            Self::Closed(_) => f.write_str("the client is closed"),
        }
    }
}

impl std::error::Error for TryPublishError {}

impl From<LimitExceeded> for TryPublishError {
    fn from(error: LimitExceeded) -> Self {
        Self::Limit(error)
    }
}

impl From<iot_session::TryPublishError> for TryPublishError {
    fn from(error: iot_session::TryPublishError) -> Self {
        match error {
            iot_session::TryPublishError::Full(message) => Self::Full(message),
            iot_session::TryPublishError::Closed(message) => Self::Closed(message),
        }
    }
}
