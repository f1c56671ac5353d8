//! What can go wrong, in the words of the one who asked.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mqtt_codec::{DecodeError, EncodeError, InvalidTopic, ReasonCode, Text};

use crate::stage::StoreError;

/// The byte stream could not be had, or ended.
#[derive(Debug, Clone)]
pub struct LinkError {
    message: Arc<str>,
    retryable: bool,
    by_peer: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl LinkError {
    /// A sentence about what happened; `retryable` says whether trying again can help.
    #[must_use]
    pub fn new(message: impl Into<Arc<str>>, retryable: bool) -> Self {
        Self { message: message.into(), retryable, by_peer: false, source: None }
    }

    /// With the error behind it.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Says that the other side ended the stream, by an end of file or a reset: what it was sent last may be the reason.
    #[must_use]
    pub fn by_peer(mut self) -> Self {
        self.by_peer = true;
        self
    }

    /// Whether the other side ended the stream.
    #[must_use]
    pub fn is_by_peer(&self) -> bool {
        self.by_peer
    }

    /// Whether trying again can help. A wrong key stays wrong, a refused connection may not.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

/// The same words about the same kind of end; the errors behind them are not compared.
impl PartialEq for LinkError {
    fn eq(&self, other: &Self) -> bool {
        let Self { message, retryable, by_peer, source: _ } = self;
        (message, retryable, by_peer) == (&other.message, &other.retryable, &other.by_peer)
    }
}

impl Eq for LinkError {}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for LinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Why a connection ended or did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// No byte stream, or its end.
    Link(LinkError),
    /// The server refused CONNECT.
    Refused {
        /// The server's code.
        reason: ReasonCode,
        /// MQTT 5: the server's words.
        message: Option<Text>,
        /// MQTT 5: another server to use.
        server_reference: Option<Arc<str>>,
    },
    /// No CONNACK within the connect timeout.
    ConnAckTimeout,
    /// The link ended between CONNECT and CONNACK. MQTT 3.1.1 servers refuse that way, too.
    ClosedBeforeConnAck(LinkError),
    /// PINGREQ was not answered in time: the link is dead, though nobody said so.
    KeepAlive {
        /// How long the answer was waited for.
        waited: Duration,
    },
    /// MQTT 5: the server ended the connection by DISCONNECT.
    Server {
        /// The server's code.
        reason: ReasonCode,
        /// The server's words.
        message: Option<Text>,
        /// Another server to use.
        server_reference: Option<Arc<str>>,
    },
    /// The server sent bytes that are no packet.
    Malformed(DecodeError),
    /// The server sent a packet that it may not send here.
    Protocol(&'static str),
    /// [`Op::Disconnect`](crate::stage::Op::Disconnect).
    Requested,
}

impl ConnectionError {
    /// Whether the same attempt may succeed later. False for what only a change of the configuration can heal: a
    /// refused client identifier, bad credentials, a certificate that does not fit.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Link(error) | Self::ClosedBeforeConnAck(error) => error.is_retryable(),
            Self::Refused { reason, .. } => !matches!(
                reason,
                ReasonCode::UnsupportedProtocolVersion
                    | ReasonCode::ClientIdentifierNotValid
                    | ReasonCode::BadUserNameOrPassword
                    | ReasonCode::NotAuthorized
                    | ReasonCode::Banned
                    | ReasonCode::BadAuthenticationMethod
                    | ReasonCode::TopicNameInvalid
                    | ReasonCode::QoSNotSupported
                    | ReasonCode::RetainNotSupported
            ),
            Self::Requested => false,
            _ => true,
        }
    }

    /// Whether the server ended the connection: what it was sent last may be the reason. False for what this side
    /// gave up, and where nobody knows who it was.
    #[must_use]
    pub fn is_by_peer(&self) -> bool {
        match self {
            Self::Link(error) | Self::ClosedBeforeConnAck(error) => error.is_by_peer(),
            Self::Server { .. } => true,
            _ => false,
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(error) => error.fmt(f),
            Self::Refused { reason, message, server_reference } => {
                write!(f, "the server refused the connection: {reason}")?;
                words(message.as_ref(), f)?;
                elsewhere(server_reference.as_deref(), f)
            }
            Self::ConnAckTimeout => {
                f.write_str("the server did not answer CONNECT within the connect timeout")
            }
            Self::ClosedBeforeConnAck(error) => {
                write!(f, "the connection ended before the server answered CONNECT: {error}")
            }
            Self::KeepAlive { waited } => {
                write!(f, "the connection is dead: no answer to PINGREQ for {} s", waited.as_secs_f32())
            }
            Self::Server { reason, message, server_reference } => {
                write!(f, "the server ended the connection: {reason}")?;
                words(message.as_ref(), f)?;
                elsewhere(server_reference.as_deref(), f)
            }
            Self::Malformed(error) => write!(f, "the server sent a malformed packet: {error}"),
            Self::Protocol(what) => write!(f, "the server broke the protocol: {what}"),
            Self::Requested => f.write_str("disconnected on request"),
        }
    }
}

fn words(message: Option<&Text>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // The server's words are shown escaped: they end up in logs and terminals.
    message.map_or(Ok(()), |message| write!(f, ", \"{}\"", message.as_str().escape_debug()))
}

fn elsewhere(server_reference: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    server_reference
        .map_or(Ok(()), |server| write!(f, "; it names another server: {}", server.escape_debug()))
}

impl Error for ConnectionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Link(error) | Self::ClosedBeforeConnAck(error) => error.source(),
            Self::Malformed(error) => Some(error),
            _ => None,
        }
    }
}

/// Why an operation did not succeed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum OpError {
    /// There is no connection, and nothing keeps the operation for later. It was not sent.
    Offline,
    /// The in-flight window is full. It was not sent.
    Busy,
    /// The answer did not come within the operation timeout. A message may still be delivered: its packet
    /// identifier stays taken until the answer or the session's end.
    TimedOut,
    /// The connection ended before the answer, by an outage that the session did not survive or by a disconnect. It
    /// may or may not have been delivered; in a session that outlives a disconnect it is sent again at the next
    /// connection.
    Interrupted,
    /// The server refused it.
    Refused {
        /// The server's code.
        reason: ReasonCode,
        /// MQTT 5: the server's words.
        message: Option<Text>,
    },
    /// It cannot be sent as it is. It was not sent.
    Invalid(EncodeError),
    /// Not a topic name or filter. It was not sent.
    Topic(InvalidTopic),
    /// Neither side offers this. It was not sent.
    Unsupported(&'static str),
    /// It waited for a connection and was given up. It was not sent.
    Dropped(Dropped),
    /// The server ended the connection this many times in a row right after it was sent; it is not sent again. AWS IoT
    /// Core does so when the policy does not allow the topic.
    Poisoned {
        /// The topic or filter.
        topic: Text,
        /// How many times.
        strikes: u8,
    },
    /// The connection did not come about.
    Connect(ConnectionError),
    /// It could not be written to disk. It was not sent.
    Store(StoreError),
    /// The client has been closed: its driver task has ended. What is on disk goes out when the program runs again.
    Closed,
}

/// Why a message that waited for a connection was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dropped {
    /// The queue was full, and it drops the newest.
    Newest,
    /// The queue was full, and a newer message took its place.
    Oldest,
    /// Its time to live was over.
    Expired,
    /// It is larger than the whole queue.
    TooLarge,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Newest => "the offline queue is full",
            Self::Oldest => "the offline queue was full, and a newer message took the place of this one",
            Self::Expired => "its time to live was over before there was a connection",
            Self::TooLarge => "it is larger than the whole offline queue",
        })
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline => f.write_str("offline: there is no connection to send it on"),
            Self::Busy => f.write_str("too many messages are waiting for their acknowledgement"),
            Self::TimedOut => f.write_str("the server did not answer within the operation timeout"),
            Self::Interrupted => f.write_str(
                "the connection ended before the server answered; it may or may not have taken effect",
            ),
            Self::Refused { reason, message } => {
                write!(f, "the server refused it: {reason}")?;
                words(message.as_ref(), f)
            }
            Self::Invalid(error) => error.fmt(f),
            Self::Topic(error) => write!(f, "not a valid topic: {error}"),
            Self::Unsupported(what) => f.write_str(what),
            Self::Dropped(why) => why.fmt(f),
            Self::Poisoned { topic, strikes } => write!(
                f,
                "the server ended the connection {strikes} times in a row right after `{}` was sent; probably the \
                 policy does not allow this topic",
                topic.as_str().escape_debug()
            ),
            Self::Connect(error) => error.fmt(f),
            Self::Store(error) => write!(f, "not stored, so not sent: {error}"),
            Self::Closed => f.write_str("the client is closed"),
        }
    }
}

impl Error for OpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect(error) => error.source(),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<InvalidTopic> for OpError {
    fn from(error: InvalidTopic) -> Self {
        Self::Topic(error)
    }
}

impl From<EncodeError> for OpError {
    fn from(error: EncodeError) -> Self {
        Self::Invalid(error)
    }
}

impl From<Infallible> for OpError {
    /// So that functions take filters and what can become one alike.
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
