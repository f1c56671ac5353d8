//! Shadows by HTTP: the "Device Shadow REST API" of the AWS IoT Core developer guide, and the list of a thing's shadows.

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Answer;
use super::answer::{Failure, json_response};
use crate::access::{Origin, Parameter, SignedRequest, decoded, parameters};
use crate::server::accept::Shared;
use crate::server::hub::{Event, Hub};
use crate::shadow::{Page, Rejection, ShadowId};

/// The largest body: far more than a document may have, so that the service says what is wrong with it.
pub(super) const MAX_BODY: usize = 128 * 1024;

const THINGS: &str = "/things/";
const LIST: &str = "/api/things/shadow/ListNamedShadowsForThing/";

/// How many names are on a page unless the client says so, and at most.
const PAGE: usize = 25;
const MAX_PAGE: usize = 100;

/// Whether a path is one of these.
pub(super) fn is_here(path: &str) -> bool {
    path.starts_with(LIST) || path.strip_prefix(THINGS).is_some_and(|rest| rest.ends_with("/shadow"))
}

pub(super) async fn answer(head: &Parts, body: &[u8], shared: &Shared, origin: &Origin) -> Answer {
    let path = head.uri.path();
    let parameters = parameters(head.uri.query().unwrap_or_default())
        .map_err(|refusal| Failure::bad_request(refusal.to_string()))?;
    authorize(head, path, &parameters, body, shared, origin)?;
    if let Some(thing) = path.strip_prefix(LIST) {
        if head.method != Method::GET {
            return Err(Failure::method("GET"));
        }
        return list(component(thing)?, &parameters, shared).await;
    }
    let thing = path.strip_prefix(THINGS).and_then(|rest| rest.strip_suffix("/shadow")).unwrap_or_default();
    let id = ShadowId::new(&component(thing)?, one(&parameters, "name")?)
        .ok_or_else(|| Failure::bad_request("The name of the thing, or of the shadow, is not valid."))?;
    let body = body.to_vec();
    let done = match head.method {
        Method::GET => ask(shared, move |hub| hub.shadows.get(hub.time(), &id)).await,
        Method::POST => ask(shared, move |hub| hub.shadows.update(hub.time(), &id, &body)).await,
        Method::DELETE => ask(shared, move |hub| hub.shadows.delete(hub.time(), &id)).await,
        _ => return Err(Failure::method("GET, POST, DELETE")),
    };
    let document = done?.map_err(refused)?;
    let mut response = json_response(StatusCode::OK, "application/json", &Value::Null);
    // As the service wrote it: in its order.
    *response.body_mut() = document.into();
    Ok(response)
}

async fn list(thing: String, parameters: &[Parameter], shared: &Shared) -> Answer {
    let size = match one(parameters, "pageSize")? {
        None => PAGE,
        Some(text) => match text.parse() {
            Ok(size @ 1..=MAX_PAGE) => size,
            _ => return Err(Failure::bad_request("pageSize has to be a number from 1 to 100.")),
        },
    };
    let after = one(parameters, "nextToken")?.map(name_of).transpose()?;
    let listed = ask(shared, move |hub| {
        let now = hub.time();
        Ok((hub.shadows.list(now, &thing, after.as_deref(), size)?, now.unix))
    });
    let (Page { names, next }, timestamp) = listed.await?.map_err(refused)?;
    let mut body = json!({ "results": names, "timestamp": timestamp });
    if let (Some(next), Some(fields)) = (next, body.as_object_mut()) {
        fields.insert("nextToken".to_owned(), token_of(&next).into());
    }
    Ok(json_response(StatusCode::OK, "application/json", &body))
}

/// What the shadows say, between two events of the broker.
async fn ask<T: Send + 'static>(
    shared: &Shared,
    question: impl FnOnce(&mut Hub) -> Result<T, Rejection> + Send + 'static,
) -> Result<Result<T, Rejection>, Failure> {
    let (reply, answer) = oneshot::channel();
    let asked = Event::Asked(Box::new(move |hub| {
        let _ = reply.send(question(hub));
    }));
    // Both fail when the emulator ends meanwhile.
    shared.events.send(asked).await.map_err(|_| Failure::internal())?;
    answer.await.map_err(|_| Failure::internal())
}

/// An active certificate, or a signature in a header or in the query.
fn authorize(
    head: &Parts,
    path: &str,
    query: &[Parameter],
    body: &[u8],
    shared: &Shared,
    origin: &Origin,
) -> Result<(), Failure> {
    let request = SignedRequest { method: head.method.as_str(), path, query, headers: &head.headers, body };
    if request.is_signed() || request.has_authorization() {
        return shared.service.verify(request).map_err(|refusal| Failure::forbidden(refusal.to_string()));
    }
    match &origin.certificate {
        Some(own) if shared.service.certificates.is_active(own) => Ok(()),
        Some(_) => Err(Failure::forbidden("The certificate is not active.")),
        None => Err(Failure::forbidden("Missing Authentication Token")),
    }
}

/// A rejection in the words of HTTP.
fn refused(rejection: Rejection) -> Failure {
    let kind = match rejection.code {
        400 => "InvalidRequestException",
        404 => "ResourceNotFoundException",
        409 => "ConflictException",
        413 => "RequestEntityTooLargeException",
        415 => "UnsupportedDocumentEncodingException",
        429 => "ThrottlingException",
        _ => "InternalFailureException",
    };
    let status = StatusCode::from_u16(rejection.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Failure::new(status, kind, rejection.message)
}

/// A part of a path. There a plus is a plus.
fn component(text: &str) -> Result<String, Failure> {
    decoded(&text.replace('+', "%2B")).ok_or_else(|| Failure::bad_request("The path is not percent-encoded."))
}

/// A parameter that is there at most once.
fn one<'a>(parameters: &'a [Parameter], name: &str) -> Result<Option<&'a str>, Failure> {
    let mut found = parameters.iter().filter(|parameter| parameter.name == name);
    match (found.next(), found.next()) {
        (first, None) => Ok(first.map(|parameter| parameter.value.as_str())),
        _ => Err(Failure::bad_request(format!("The parameter {name} is there more than once."))),
    }
}

/// A token for the page behind a name. Clients are not to look into it.
fn token_of(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The name in a token, which has to be one that a shadow can have.
fn name_of(token: &str) -> Result<String, Failure> {
    let (pairs, rest) = token.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let name: Option<String> =
        pairs.iter().map(|[high, low]| char::from_u32(digit(*high)? << 4 | digit(*low)?)).collect();
    name.filter(|name| rest.is_empty() && ShadowId::new("thing", Some(name)).is_some())
        .ok_or_else(|| Failure::bad_request("nextToken is not one that was given."))
}
