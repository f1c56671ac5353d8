//! Why a request came to nothing.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use iot_session::{Client, ConnectionError, Ended, OpError, RequestError, Status};
use mqtt_codec::ReasonCode;

use crate::rejection::Rejection;

/// Why a request came to nothing, and its token.
#[derive(Debug, Clone)]
pub struct ShadowError {
    kind: Box<ErrorKind>,
    client_token: Option<String>,
}

/// Why a request came to nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The service refused it: nothing has changed.
    Rejected(Rejection),
    /// No answer came in time. It may take effect all the same.
    TimedOut {
        /// How long it was waited for.
        within: Duration,
    },
    /// There is no connection; requests to shadows are not kept for later. It was not sent. See
    /// [`Options::wait_for_connection`](crate::Options::wait_for_connection).
    Offline,
    /// It cannot be sent as it is, for this reason. It was not sent.
    Invalid(String),
    /// The request was accepted, and the answer cannot be read as what was asked for, for this reason. An update has taken
    /// effect.
    Unreadable(String),
    /// The answers could not be subscribed, or the request not published. Both are refused when the policy of the device's
    /// certificate does not allow the topics.
    Session(RequestError),
    /// The server ended the connection again and again while this was asked for: AWS IoT Core does so when the policy of the
    /// device's certificate does not allow the topics. It is not asked for any more.
    Disconnects,
    /// The client is closed.
    Closed,
}

impl ShadowError {
    pub(crate) fn new(kind: ErrorKind, client_token: Option<String>) -> Self {
        Self { kind: Box::new(kind), client_token }
    }

    pub(crate) fn of_subscription(error: OpError) -> Self {
        let kind = match error {
            OpError::Offline => ErrorKind::Offline,
            OpError::Closed => ErrorKind::Closed,
            error => ErrorKind::Session(RequestError::Subscribe(error)),
        };
        Self::new(kind, None)
    }

    pub(crate) fn of_request(error: RequestError, client_token: Option<String>) -> Self {
        let kind = match error {
            RequestError::Offline => ErrorKind::Offline,
            RequestError::Closed => ErrorKind::Closed,
            RequestError::TimedOut { within } => ErrorKind::TimedOut { within },
            error => ErrorKind::Session(error),
        };
        Self::new(kind, client_token)
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The token of the request; `None`: it was not about one.
    #[must_use]
    pub fn client_token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    /// What the service said, if it was the service.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match self.kind() {
            ErrorKind::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// There is no such shadow: [`Rejection::is_missing`].
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.rejection().is_some_and(Rejection::is_missing)
    }

    /// The shadow has another version: [`Rejection::is_conflict`].
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.rejection().is_some_and(Rejection::is_conflict)
    }

    /// Whether the same may succeed later: the network, the service's load, and what was interrupted. An update that
    /// may have taken effect all the same raises the version once more when it is sent again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            ErrorKind::Rejected(rejection) => rejection.is_retryable(),
            ErrorKind::TimedOut { .. } | ErrorKind::Offline => true,
            ErrorKind::Session(RequestError::Subscribe(error) | RequestError::Publish(error)) => {
                match error {
                    OpError::Offline
                    | OpError::Busy
                    | OpError::TimedOut
                    | OpError::Interrupted
                    | OpError::Dropped(_)
                    | OpError::Connect(_) => true,
                    // A quota may be free again later; what is not allowed stays so.
                    OpError::Refused { reason, .. } => !matches!(
                        reason,
                        ReasonCode::NotAuthorized
                            | ReasonCode::TopicNameInvalid
                            | ReasonCode::TopicFilterInvalid
                    ),
                    _ => false,
                }
            }
            // The next request subscribes anew.
            ErrorKind::Session(RequestError::Ended(Ended::Unsubscribed)) => true,
            _ => false,
        }
    }
}

/// How often in a row the server may end the connection over a request before that counts as a refusal: AWS IoT Core does so
/// when the policy does not allow the topic. A network that is cut is none.
const STRIKES: u8 = 5;

/// Counts the connections that the server has ended over requests.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    count: u8,
    /// Whether there was a connection when the request began, and how many there had been.
    begun: (bool, u64),
}

impl Strikes {
    /// A request begins.
    pub(super) fn begin(&mut self, client: &Client) {
        self.begun = (client.status().borrow().is_connected(), client.stats().connections);
    }

    /// Counts an error. Gives what to say instead once it is one too many.
    pub(super) fn strike(&mut self, error: &ShadowError, client: &Client) -> Option<ShadowError> {
        let interrupted = matches!(
            error.kind(),
            ErrorKind::TimedOut { .. }
                | ErrorKind::Session(
                    RequestError::Publish(OpError::Interrupted)
                        | RequestError::Subscribe(OpError::Interrupted)
                )
        );
        let by_peer = match &*client.status().borrow() {
            Status::Disconnected { error, .. } => ConnectionError::is_by_peer(error),
            _ => false,
        };
        let (was_connected, connections) = self.begun;
        let lost = by_peer && (was_connected || client.stats().connections > connections);
        if interrupted && lost {
            self.count = self.count.saturating_add(1);
        }
        let token = || error.client_token.clone();
        (self.count >= STRIKES).then(|| ShadowError::new(ErrorKind::Disconnects, token()))
    }

    pub(super) fn is_clear(&self) -> bool {
        self.count == 0
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }
}

impl fmt::Display for ShadowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ErrorKind::Rejected(rejection) => write!(f, "the service refused the request: {rejection}")?,
            ErrorKind::TimedOut { within } => write!(f, "no answer came within {within:?}")?,
            ErrorKind::Offline => {
                f.write_str(
                    "offline: there is no connection, and requests to shadows are not kept for later",
                )?;
            }
            ErrorKind::Invalid(why) => write!(f, "the request cannot be sent: {why}")?,
            ErrorKind::Unreadable(why) => write!(f, "the answer cannot be read: {why}")?,
            ErrorKind::Session(error) => write!(f, "{error}")?,
            ErrorKind::Disconnects => f.write_str(
                "the server ends the connection over it again and again: does the policy allow the topics of the shadow?",
            )?,
            ErrorKind::Closed => f.write_str("the client is closed")?,
        }
        match &self.client_token {
            Some(token) => write!(f, " (client token {token:?})"),
            None => Ok(()),
        }
    }
}

impl Error for ShadowError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.kind() {
            ErrorKind::Rejected(rejection) => Some(rejection),
            ErrorKind::Session(error) => Some(error),
            _ => None,
        }
    }
}
