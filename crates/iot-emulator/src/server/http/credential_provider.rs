//! The credential provider: temporary AWS credentials for a client certificate.

use hyper::StatusCode;
use serde_json::json;

use super::Answer;
use super::answer::{Failure, json_response};
use crate::access::{Origin, decoded, iso_8601};
use crate::server::service::Service;

/// The role alias that a path asks credentials of.
pub(super) fn alias(path: &str) -> Option<String> {
    let alias = path.strip_prefix("/role-aliases/")?.strip_suffix("/credentials")?;
    // In a path a plus is a plus.
    decoded(&alias.replace('+', "%2B"))
}

pub(super) fn answer(alias: &str, service: &Service, origin: &Origin) -> Answer {
    let known = origin.certificate.as_ref().is_some_and(|own| service.certificates.is_active(own));
    if !known || alias != service.role_alias {
        return Err(Failure::new(StatusCode::FORBIDDEN, "AccessDeniedException", "Access Denied"));
    }
    let (credentials, expires) = service.issue_credentials().map_err(|_| Failure::internal())?;
    let body = json!({ "credentials": {
        "accessKeyId": credentials.access_key_id,
        "secretAccessKey": credentials.secret_access_key,
        "sessionToken": credentials.session_token,
        "expiration": iso_8601(expires),
    }});
    Ok(json_response(StatusCode::OK, "application/json", &body))
}
