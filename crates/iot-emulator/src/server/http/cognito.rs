//! Amazon Cognito Identity, as much as a client needs for its credentials.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Answer;
use super::answer::{Failure, json_response};
use crate::server::service::Service;

/// Where it is.
pub(super) const PATH: &str = "/";

const CONTENT: &str = "application/x-amz-json-1.1";

/// What went wrong: its type and a message.
type Error = (&'static str, &'static str);

pub(super) fn answer(headers: &HeaderMap, body: &Bytes, service: &Service) -> Answer {
    match act(headers, body, service) {
        Ok(body) => Ok(json_response(StatusCode::OK, CONTENT, &body)),
        Err(Some((kind, message))) => {
            let body = json!({ "__type": kind, "message": message });
            let mut response = json_response(StatusCode::BAD_REQUEST, CONTENT, &body);
            super::answer::set(response.headers_mut(), "x-amzn-errortype", kind);
            Ok(response)
        }
        Err(None) => Err(Failure::internal()),
    }
}

/// `None` is a fault of the emulator's own.
fn act(headers: &HeaderMap, body: &Bytes, service: &Service) -> Result<Value, Option<Error>> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let action = target.strip_prefix("AWSCognitoIdentityService.").unwrap_or_default();
    if !["GetId", "GetCredentialsForIdentity"].contains(&action) {
        return Err(Some(("UnknownOperationException", "X-Amz-Target names nothing that is known.")));
    }
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != CONTENT) {
        return Err(Some(("SerializationException", "Content-Type has to be application/x-amz-json-1.1.")));
    }
    let request: Value = serde_json::from_slice(body)
        .map_err(|_| Some(("SerializationException", "The body is not valid JSON.")))?;
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let logged_in = logins(request.get("Logins"))?;
    if action == "GetId" {
        let pool = text("IdentityPoolId")
            .ok_or(Some(("InvalidParameterException", "IdentityPoolId is missing, or is not a string.")))?;
        if pool != service.identity_pool {
            return Err(Some(("ResourceNotFoundException", "IdentityPool not found.")));
        }
        if !logged_in && !service.unauthenticated_identities {
            let message = "Unauthenticated access is not supported for this identity pool.";
            return Err(Some(("NotAuthorizedException", message)));
        }
        let id = service.identities.create(&service.verifier.region, logged_in).map_err(|_| None)?;
        return Ok(json!({ "IdentityId": id }));
    }
    let id = text("IdentityId")
        .ok_or(Some(("InvalidParameterException", "IdentityId is missing, or is not a string.")))?;
    let authenticated = service
        .identities
        .authenticated(id)
        .ok_or(Some(("ResourceNotFoundException", "Identity not found.")))?;
    if authenticated && !logged_in {
        return Err(Some(("NotAuthorizedException", "Access to Identity is forbidden.")));
    }
    let (credentials, expires) = service.issue_credentials().map_err(|_| None)?;
    let expiration = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    Ok(json!({
        "IdentityId": id,
        "Credentials": {
            "AccessKeyId": credentials.access_key_id,
            "SecretKey": credentials.secret_access_key,
            "SessionToken": credentials.session_token,
            "Expiration": expiration,
        },
    }))
}

/// Whether there is a login. Its token is not looked into: any but an empty one will do.
fn logins(logins: Option<&Value>) -> Result<bool, Option<Error>> {
    let logins = match logins {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::Object(logins)) => logins,
        Some(_) => return Err(Some(("SerializationException", "Logins is not an object."))),
    };
    if logins.values().any(|token| token.as_str().is_none_or(str::is_empty)) {
        return Err(Some(("NotAuthorizedException", "Invalid login token.")));
    }
    Ok(!logins.is_empty())
}
