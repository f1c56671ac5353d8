//! What the service says when it refuses a request.

use std::error::Error;
use std::fmt;

use serde::Deserialize;

/// A request that the service refused ("Device Shadow error messages" in the AWS IoT Core developer guide).
///
/// Branch on the code: the words change without notice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Rejection {
    /// As HTTP has them: 400 for what is wrong with the request, 401, 403, 404 when there is no such shadow, 409 when its
    /// version is another one, 413 too large, 415 no UTF-8, 429 too many requests, 500 a failure of the service. 0: the
    /// refusal could not be read.
    pub code: u16,
    /// Words for people.
    #[serde(default)]
    pub message: String,
    /// When it was refused, in seconds since 1970, if the service says so.
    #[serde(default)]
    pub timestamp: Option<u64>,
}

impl Rejection {
    /// There is no such shadow.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.code == 404
    }

    /// The shadow has another version than the one that was [asked for](crate::Update::if_version).
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code == 409
    }

    /// Whether the same request may succeed later: 429 and 5xx. A [conflict](Self::is_conflict) is not among them; it takes
    /// another request.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.code == 429 || (500..600).contains(&self.code)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, message, .. } = self;
        write!(f, "{code} {}", message.escape_debug())
    }
}

impl Error for Rejection {}
