//! From the texts that a source holds to credentials, with the checks that all sources share.

use std::time::SystemTime;

use super::{Credentials, CredentialsError};

/// One text and what it is called where it stands.
pub(super) struct Named<'a> {
    /// As in `AWS_ACCESS_KEY_ID of the environment`.
    pub(super) name: String,
    pub(super) text: &'a str,
}

/// Long-lived or temporary credentials of these texts.
///
/// AWS gives out keys and tokens of printable ASCII without spaces. Anything else is a slip made while copying,
/// and would show up only as a refused signature.
pub(super) fn credentials(
    access_key_id: &Named<'_>,
    secret_access_key: &Named<'_>,
    session_token: Option<&Named<'_>>,
    expiry: Option<SystemTime>,
    provider: &'static str,
) -> Result<Credentials, CredentialsError> {
    let token = session_token.map(checked).transpose()?.map(str::to_owned);
    Ok(Credentials::new(checked(access_key_id)?, checked(secret_access_key)?, token, expiry, provider))
}

fn checked<'a>(value: &Named<'a>) -> Result<&'a str, CredentialsError> {
    let wrong = |what: &str| {
        let name = &value.name;
        Err(CredentialsError::invalid_configuration(format!("{name} {what}")))
    };
    if value.text.contains(['"', '\'']) {
        return wrong("holds quotation marks, which count as part of it here; take them away");
    }
    if value.text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("holds white space or a line break; copy it again, in one line");
    }
    if !value.text.is_ascii() {
        return wrong("holds characters that no AWS key or token has; copy it again");
    }
    Ok(value.text)
}
