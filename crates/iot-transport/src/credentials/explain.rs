//! What a [`CredentialsError`] and all that lies beneath it say, in one sentence.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::CredentialsError;

/// The most errors of a chain that are looked at.
const DEEPEST: usize = 16;

/// The most bytes that a sentence has, an ellipsis aside.
const LONGEST: usize = 4096;

/// Says in one sentence why there are no credentials, for a log or a
/// [`ConnectError`](crate::ConnectError).
///
/// The `Display` of a [`CredentialsError`] is terse ("the credential provider was not enabled"), and what matters
/// is in its sources. This joins them: which source said what, and what to do about it; in lower case, without a
/// full stop, at most 4 KiB. Nothing of this crate puts a secret into an error; a provider of another crate
/// answers for itself.
///
/// ```
/// use iot_transport::credentials::{Environment, ProvideCredentials, explain};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let nothing_set = Environment::from_fn(|_| None::<String>);
/// let error = nothing_set.provide_credentials().await.unwrap_err();
/// assert!(explain(&error).contains("AWS_ACCESS_KEY_ID"));
/// # }
/// ```
#[must_use]
pub fn explain(error: &CredentialsError) -> String {
    let details = details(error);
    let head = match error {
        CredentialsError::CredentialsNotLoaded(_) if details.is_empty() => {
            return "no AWS credentials were found: the provider gave no reason; check that its source is set up"
                .to_owned();
        }
        CredentialsError::CredentialsNotLoaded(_) => "no AWS credentials were found",
        CredentialsError::ProviderTimedOut(late) => {
            let limit = late.timeout_duration();
            return format!(
                "the AWS credentials could not be had: their source gave no answer within {limit:?}; check the \
                 network between this device and it"
            );
        }
        CredentialsError::InvalidConfiguration(_) => "the source of the AWS credentials is set up wrongly",
        CredentialsError::ProviderError(_) => "the AWS credentials could not be had",
        _ => "the AWS credentials could not be had, for a reason nobody expected",
    };
    if details.is_empty() { head.to_owned() } else { format!("{head}: {details}") }
}

/// What the sources of an error say, each once, without the head.
fn details(error: &CredentialsError) -> String {
    let mut said = String::new();
    let mut next = error.source();
    for _ in 0..DEEPEST {
        let Some(error) = next else { break };
        let text = error.to_string();
        // Some errors repeat in their own text what their source says.
        if !text.is_empty() && !said.contains(&text) {
            if !said.is_empty() {
                said.push_str(": ");
            }
            said.push_str(&text);
        }
        // It has put what is beneath it into words already.
        next = if error.is::<crate::ConnectError>() { None } else { error.source() };
    }
    shorten(said)
}

fn shorten(mut text: String) -> String {
    if text.len() > LONGEST {
        let mut end = LONGEST;
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// An error that was told to several callers, or of which the source's name has to be told too.
#[derive(Debug)]
pub(super) struct Told {
    by: Option<String>,
    error: Arc<CredentialsError>,
}

/// The same error again: of the same kind, with the same words, and the original as its source; with who said
/// it in front, if that is to be told.
pub(super) fn tell(error: &Arc<CredentialsError>, by: Option<&str>) -> CredentialsError {
    let told = Told { by: by.map(str::to_owned), error: Arc::clone(error) };
    match **error {
        CredentialsError::CredentialsNotLoaded(_) => CredentialsError::not_loaded(told),
        CredentialsError::ProviderTimedOut(ref late) => {
            CredentialsError::provider_timed_out(late.timeout_duration())
        }
        CredentialsError::InvalidConfiguration(_) => CredentialsError::invalid_configuration(told),
        CredentialsError::ProviderError(_) => CredentialsError::provider_error(told),
        _ => CredentialsError::unhandled(told),
    }
}

/// What an error says about one source, for a list of them.
pub(super) fn said_by_source(error: &CredentialsError) -> String {
    let details = details(error);
    if details.is_empty() { error.to_string() } else { details }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = said_by_source(&self.error);
        match &self.by {
            Some(by) => write!(f, "{by}: {said}"),
            None => f.write_str(&said),
        }
    }
}

impl Error for Told {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(&'static str, CredentialsError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    #[test]
    fn the_sources_of_an_error_are_joined_each_once() {
        let error = CredentialsError::provider_error(Outer("a", CredentialsError::not_loaded("a")));
        assert_eq!(
            explain(&error),
            "the AWS credentials could not be had: a: the credential provider was not enabled"
        );
    }

    #[test]
    fn every_kind_says_something_of_its_own() {
        let late = CredentialsError::provider_timed_out(std::time::Duration::from_millis(1500));
        assert!(explain(&late).contains("within 1.5s"));
        let wrong = CredentialsError::invalid_configuration("no such role");
        assert_eq!(explain(&wrong), "the source of the AWS credentials is set up wrongly: no such role");
        assert!(explain(&CredentialsError::not_loaded_no_source()).contains("gave no reason"));
        assert!(explain(&CredentialsError::unhandled("odd")).ends_with("expected: odd"));
    }

    #[test]
    fn a_chain_without_end_and_a_text_without_end_are_cut() {
        let mut error = CredentialsError::not_loaded("the end");
        for _ in 0..100 {
            error = CredentialsError::provider_error(error);
        }
        assert!(!explain(&error).contains("the end"));
        let long = explain(&CredentialsError::not_loaded("ä".repeat(10_000)));
        assert!(long.len() < LONGEST + 64 && long.ends_with('…'));
    }

    #[test]
    fn what_is_told_again_keeps_its_kind_and_words() {
        let wrong = Arc::new(CredentialsError::invalid_configuration("no such role"));
        let told = tell(&wrong, None);
        assert!(matches!(told, CredentialsError::InvalidConfiguration(_)));
        assert_eq!(explain(&told), explain(&wrong));
        assert!(explain(&tell(&wrong, Some("the pool"))).ends_with("wrongly: the pool: no such role"));
    }
}
