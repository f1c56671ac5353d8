//! Shadows by HTTP: what is answered, and who may ask.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use std::time::{Duration, UNIX_EPOCH};

use common::http::{Reply, exchange, now, plain_stream};
use common::{Tls, connected};
use iot_emulator::shadow::{Rules, ShadowId};
use iot_emulator::{AwsCredentials, Emulator};
use iot_transport::SigV4;
use iot_transport::credentials::Credentials;
use mqtt_codec::Version;
use ring::{digest, hmac};
use serde_json::{Value, json};

const LIST: &str = "/api/things/shadow/ListNamedShadowsForThing/lamp";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The headers of a signed request, by a signer of this test's own. Path and query have to be in their canonical form.
fn signed(credentials: &AwsCredentials, date: &str, method: &str, target: &str, body: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (mut names, mut lines) =
        ("host;x-amz-date".to_owned(), format!("host:localhost\nx-amz-date:{date}\n"));
    let mut headers = format!("X-Amz-Date: {date}\r\n");
    if let Some(token) = &credentials.session_token {
        names += ";x-amz-security-token";
        lines += &format!("x-amz-security-token:{token}\n");
        headers += &format!("X-Amz-Security-Token: {token}\r\n");
    }
    let sha256 = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", sha256(body));
    let scope = format!("{}/us-east-1/iotdevicegateway/aws4_request", date.get(..8).unwrap());
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let key =
        scope.split('/').fold(format!("AWS4{}", credentials.secret_access_key).into_bytes(), |key, part| {
            sign(&key, part).as_ref().to_vec()
        });
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(&canonical));
    let signature = hex(sign(&key, &to_sign).as_ref());
    let id = &credentials.access_key_id;
    format!(
        "{headers}Authorization: AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}\r\n"
    )
}

/// A date as signatures have it.
fn date(later: i64) -> String {
    let seconds = now().duration_since(UNIX_EPOCH).unwrap().as_secs().checked_add_signed(later).unwrap();
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    // `Mon, 15 Jan 2024 12:00:00 GMT`
    let words: Vec<&str> = text.split([' ', ':']).collect();
    let [_, day, month, year, hour, minute, second, _] = words.as_slice() else { panic!("{text}") };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| name == month).unwrap() + 1;
    format!("{year}{month:02}{day}T{hour}{minute}{second}Z")
}

async fn ask(emulator: &Emulator, method: &str, target: &str, headers: &str, body: &str) -> Reply {
    let request = request(method, target, headers, body.as_bytes());
    exchange(&mut plain_stream(emulator).await, request).await.unwrap()
}

fn request(method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

async fn ask_signed(emulator: &Emulator, method: &str, target: &str, body: &str) -> Reply {
    let headers = signed(&emulator.aws_credentials(), &date(0), method, target, body);
    ask(emulator, method, target, &headers, body).await
}

async fn emulator() -> Emulator {
    let mut rules = Rules::default();
    rules.requests_per_second = u32::MAX;
    Emulator::builder().plain(true).https(true).shadows(rules).start().await.unwrap()
}

#[tokio::test]
async fn a_shadow_is_made_read_and_deleted_and_devices_hear_of_it() {
    let emulator = emulator().await;
    let mut device = connected(&emulator, Version::V5, "device").await;
    device.subscribe("$aws/things/lamp/shadow/name/cfg/update/delta").await;
    let target = "/things/lamp/shadow?name=cfg";
    let missing = ask_signed(&emulator, "GET", target, "").await;
    assert_eq!(
        (missing.status, missing.header("x-amzn-errortype")),
        (404, Some("ResourceNotFoundException:"))
    );
    assert_eq!(missing.json()["message"], "No shadow exists with name: 'lamp~cfg'");

    let body = r#"{"state":{"desired":{"on":true}},"clientToken":"t"}"#;
    let made = ask_signed(&emulator, "POST", target, body).await;
    assert_eq!((made.status, made.header("content-type")), (200, Some("application/json")));
    assert_eq!((&made.json()["version"], &made.json()["clientToken"]), (&json!(1), &json!("t")));
    let Some(mqtt_codec::Packet::Publish(delta)) = device.next().await else { panic!("no delta") };
    assert_eq!(serde_json::from_slice::<Value>(delta.payload()).unwrap()["state"], json!({"on": true}));

    let read = ask_signed(&emulator, "GET", target, "").await;
    assert_eq!(read.json()["state"], json!({"desired": {"on": true}, "delta": {"on": true}}));
    assert!(read.body.starts_with("{\"state\":"), "in the order of the service: {}", read.body);
    let deleted = ask_signed(&emulator, "DELETE", target, "").await;
    assert_eq!((deleted.status, &deleted.json()["version"]), (200, &json!(1)));
    emulator.shutdown().await;
}

#[tokio::test]
async fn rejections_have_the_names_of_the_rest_api() {
    let emulator = emulator().await;
    let target = "/things/lamp/shadow";
    ask_signed(&emulator, "POST", target, r#"{"state":{}}"#).await;
    let large = json!({"state": {"desired": {"a": "x".repeat(9_000)}}}).to_string();
    for (body, status, kind) in [
        ("{", 400, "InvalidRequestException:"),
        (r#"{"state":5}"#, 400, "InvalidRequestException:"),
        (r#"{"state":{},"version":7}"#, 409, "ConflictException:"),
        (large.as_str(), 413, "RequestEntityTooLargeException:"),
    ] {
        let reply = ask_signed(&emulator, "POST", target, body).await;
        assert_eq!((reply.status, reply.header("x-amzn-errortype")), (status, Some(kind)), "{reply:?}");
    }
    emulator.change_shadow_rules(|rules| rules.requests_per_second = 0).await;
    let reply = ask_signed(&emulator, "GET", target, "").await;
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (429, Some("ThrottlingException:")));
    let reply = ask_signed(&emulator, "PUT", target, "").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, POST, DELETE")));
    for target in
        ["/things//shadow", "/things/a%20b/shadow", "/things/lamp/shadow?name=", "/things/a%/shadow"]
    {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let path = target.split('?').next().unwrap().replace('%', "%25");
        let canonical = if query.is_empty() { path } else { format!("{path}?{query}") };
        let headers = signed(&emulator.aws_credentials(), &date(0), "GET", &canonical, "");
        assert_eq!(ask(&emulator, "GET", target, &headers, "").await.status, 400, "{target}");
    }
    let too_much = "x".repeat(200_000);
    let reply = ask(&emulator, "POST", "/things/lamp/shadow", "", &too_much).await;
    let kind = Some("RequestEntityTooLargeException:");
    assert_eq!(
        (reply.status, reply.header("x-amzn-errortype"), reply.header("connection")),
        (413, kind, Some("close"))
    );
}

#[tokio::test]
async fn the_named_shadows_of_a_thing_are_listed_in_pages() {
    let emulator = emulator().await;
    for number in 0..30 {
        let id = ShadowId::new("lamp", Some(&format!("s{number:02}"))).unwrap();
        emulator.desire(&id, json!({})).await.unwrap();
    }
    emulator.desire(&ShadowId::new("lamp", None).unwrap(), json!({})).await.unwrap();
    let first = ask_signed(&emulator, "GET", LIST, "").await.json();
    assert_eq!(first["results"].as_array().unwrap().len(), 25);
    assert!(first["timestamp"].is_u64());
    let next = format!("{LIST}?nextToken={}", first["nextToken"].as_str().unwrap());
    let second = ask_signed(&emulator, "GET", &next, "").await.json();
    assert_eq!(second["results"], json!(["s25", "s26", "s27", "s28", "s29"]));
    assert_eq!(second.get("nextToken"), None);
    let all = ask_signed(&emulator, "GET", &format!("{LIST}?pageSize=100"), "").await.json();
    assert_eq!(all["results"].as_array().unwrap().len(), 30);
    let none = ask_signed(&emulator, "GET", "/api/things/shadow/ListNamedShadowsForThing/nobody", "").await;
    assert_eq!(none.json()["results"], json!([]));
    let page = ask_signed(&emulator, "GET", &format!("{LIST}?pageSize=1"), "").await.json();
    assert_eq!(page["results"], json!(["s00"]));
    for wrong in [
        "pageSize=",
        "pageSize=-1",
        "pageSize=0",
        "pageSize=101",
        "pageSize=x",
        "pageSize=1&pageSize=1",
        "nextToken=",
        "nextToken=zz",
        "nextToken=f",
        "nextToken=ff",
        "nextToken=%2Bf",
        // `a b` and `é`, which no shadow is called.
        "nextToken=612062",
        "nextToken=c3a9",
    ] {
        assert_eq!(ask_signed(&emulator, "GET", &format!("{LIST}?{wrong}"), "").await.status, 400, "{wrong}");
    }
    assert_eq!(ask_signed(&emulator, "POST", LIST, "").await.status, 405);
}

#[tokio::test]
async fn a_certificate_opens_the_https_port_until_it_is_taken_back() {
    let emulator = emulator().await;
    let credentials = emulator.credentials().clone();
    let tls = Tls { port: emulator.https_port(), ..Tls::with(&credentials) };
    let get = async || {
        let mut stream = tls.connect(&emulator).await.unwrap();
        let request = "GET /things/lamp/shadow HTTP/1.1\r\nHost: localhost\r\n\r\n";
        exchange(&mut stream, request).await.unwrap()
    };
    assert_eq!(get().await.status, 404);
    let other = emulator.authority().issue_client("other").unwrap();
    let anonymous = Tls { port: emulator.https_port(), identity: None, ..Tls::with(&other) };
    let mut stream = anonymous.connect(&emulator).await.unwrap();
    let request = "GET /things/lamp/shadow HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let reply = exchange(&mut stream, request).await.unwrap();
    assert_eq!((reply.status, reply.json()["message"].as_str()), (403, Some("Missing Authentication Token")));
    emulator.deactivate_certificate(&credentials).unwrap();
    assert_eq!(get().await.status, 403);
}

#[tokio::test]
async fn all_requests_go_on_one_connection_with_a_certificate() {
    let emulator = emulator().await;
    let tls = Tls { port: emulator.https_port(), ..Tls::with(emulator.credentials()) };
    let mut stream = tls.connect(&emulator).await.unwrap();
    let mut ask = async |method: &str, target: &str, headers: &str, body: &[u8]| {
        exchange(&mut stream, request(method, target, headers, body)).await.unwrap()
    };
    let target = "/things/a%3Ab/shadow?name=c%66g";
    let made = ask("POST", target, "", br#"{"state":{"reported":{"on":true}}}"#).await;
    assert_eq!((made.status, &made.json()["version"]), (200, &json!(1)));
    assert_eq!(emulator.shadows().await, [ShadowId::new("a:b", Some("cfg")).unwrap()]);
    let not_text = ask("POST", target, "", b"{\"state\":{\"reported\":{\"a\":\"\xff\"}}}").await;
    let kind = Some("UnsupportedDocumentEncodingException:");
    assert_eq!((not_text.status, not_text.header("x-amzn-errortype")), (415, kind));
    let read = ask("GET", target, "", b"").await.json();
    assert_eq!(read["state"], json!({"reported": {"on": true}}));
    let list = ask("GET", "/api/things/shadow/ListNamedShadowsForThing/a:b", "", b"").await.json();
    assert_eq!(list["results"], json!(["cfg"]));
    // Who signs has to sign well, whatever the certificate.
    let refused = ask("DELETE", target, "Authorization: AWS4-HMAC-SHA256 Signature=0\r\n", b"").await;
    assert_eq!(refused.status, 403);
    assert_eq!(ask("DELETE", target, "", b"").await.status, 200);
    assert_eq!(ask("DELETE", target, "", b"").await.status, 404);
    for target in ["/things/a/b/shadow", "/things/a%2Fb/shadow", "/things/a+b/shadow", "/things/a%c3/shadow"]
    {
        let reply = ask("GET", target, "", b"").await;
        let kind = Some("InvalidRequestException:");
        assert_eq!((reply.status, reply.header("x-amzn-errortype")), (400, kind), "{target}");
    }
    assert_eq!(ask("GET", "/things/shadow", "", b"").await.status, 404);
}

#[tokio::test]
async fn a_signature_will_do_on_the_https_port_in_a_header_or_in_the_query() {
    let emulator = emulator().await;
    let tls = Tls { port: emulator.https_port(), identity: None, ..Tls::with(emulator.credentials()) };
    let mut stream = tls.connect(&emulator).await.unwrap();
    let (target, body) = ("/things/lamp/shadow", r#"{"state":{"desired":{"a":1}}}"#);
    let headers = signed(&emulator.aws_credentials(), &date(0), "POST", target, body);
    let made = exchange(&mut stream, request("POST", target, &headers, body.as_bytes())).await.unwrap();
    assert_eq!(made.status, 200);
    let AwsCredentials { access_key_id, secret_access_key, .. } = emulator.aws_credentials();
    let credentials = Credentials::new(access_key_id, secret_access_key, None, None, "test");
    let signer = SigV4::new(credentials.clone()).region("us-east-1");
    let url = signer.presigned_url("localhost", target, &credentials, now()).unwrap();
    let target = url.strip_prefix("wss://localhost").unwrap();
    // Signed for a get, without a body.
    for (method, body, status) in
        [("GET", "", 200), ("POST", body, 403), ("DELETE", "", 403), ("GET", body, 403)]
    {
        let reply = exchange(&mut stream, request(method, target, "", body.as_bytes())).await.unwrap();
        assert_eq!(reply.status, status, "{method} {body}");
    }
    let changed = target.replace("lamp", "lamq");
    assert_eq!(exchange(&mut stream, request("GET", &changed, "", b"")).await.unwrap().status, 403);
}

#[tokio::test]
async fn signatures_that_do_not_fit_are_refused_and_change_nothing() {
    let emulator = emulator().await;
    let (target, body) = ("/things/lamp/shadow", r#"{"state":{"desired":{"a":1}}}"#);
    let own = emulator.aws_credentials();
    let wrong = AwsCredentials::new(own.access_key_id.as_str(), "another secret");
    for headers in [
        String::new(),
        signed(&wrong, &date(0), "POST", target, body),
        signed(&own, &date(-600), "POST", target, body),
        signed(&own, &date(600), "POST", target, body),
        signed(&own, &date(0), "POST", target, "{}"),
        signed(&own, &date(0), "GET", target, body),
        signed(&own, &date(0), "POST", "/things/other/shadow", body),
        signed(&own.clone().with_session_token("x"), &date(0), "POST", target, body),
        "Authorization: Basic dXNlcjpwYXNz\r\n".to_owned(),
    ] {
        let reply = ask(&emulator, "POST", target, &headers, body).await;
        assert_eq!(
            (reply.status, reply.header("x-amzn-errortype")),
            (403, Some("ForbiddenException:")),
            "{headers}"
        );
        assert!(!reply.body.contains(&own.secret_access_key));
    }
    assert_eq!(emulator.shadows().await, []);
    emulator.set_aws_credentials(own.with_session_token("a/b+c=="));
    let headers = signed(&emulator.aws_credentials(), &date(0), "POST", target, body);
    assert_eq!(ask(&emulator, "POST", target, &headers, body).await.status, 200);
}
