//! Credentials from services: what is asked of them, what is made of their answers, and of their refusals.
#![cfg(all(feature = "cognito", feature = "iot-credentials"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by panicking")]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iot_transport::credentials::{
    Cognito, Credentials, CredentialsError, IotCredentialProvider, ProvideCredentials, explain,
};
use iot_transport::{Attempt, BoxConnector, from_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

const POOL: &str = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN==";

/// A server that answers with what it was told to, one request for each stream, and remembers the requests.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<VecDeque<String>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn answering<const N: usize>(answers: [(u16, String); N]) -> Self {
        let server = Self::default();
        for (status, body) in answers {
            server.raw(&format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        }
        server
    }

    fn raw(&self, answer: &str) {
        self.answers.lock().unwrap().push_back(answer.to_owned());
    }

    /// What was asked so far, each as head and body.
    fn asked(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn connector(&self) -> BoxConnector {
        let server = self.clone();
        let dial = move |_: Attempt| {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(server.clone().serve(theirs));
            async { Ok(ours) }
        };
        BoxConnector::new(from_fn(dial).with_endpoint("service.example", 443))
    }

    async fn serve(self, mut stream: DuplexStream) {
        let mut request = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.to_ascii_lowercase().split_once("content-length: ").map_or(0, |(_, rest)| {
                        rest.split("\r\n").next().and_then(|text| text.parse().ok()).unwrap_or(0)
                    });
                if body.len() >= length {
                    break;
                }
            }
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        self.requests.lock().unwrap().push(String::from_utf8(request).unwrap());
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            // Nothing prepared: the stream stays open and silent until the other side has had enough.
            None => {
                let _ = stream.read_u8().await;
            }
        }
    }
}

fn identity(id: &str) -> (u16, String) {
    (200, format!(r#"{{"IdentityId":"{id}"}}"#))
}

fn cognito_credentials(key: &str) -> (u16, String) {
    let object = format!(
        r#"{{"AccessKeyId":"{key}","SecretKey":"{SECRET}","SessionToken":"{TOKEN}","Expiration":1.7000000005E9}}"#
    );
    (200, format!(r#"{{"IdentityId":"x","Credentials":{object}}}"#))
}

fn refusal(kind: &str) -> (u16, String) {
    (400, format!(r#"{{"__type":"com.amazonaws.cognito#{kind}","message":"in its\nown words"}}"#))
}

fn device_credentials(expiration: &str) -> (u16, String) {
    let object = format!(
        r#"{{"accessKeyId":"AKID","secretAccessKey":"{SECRET}","sessionToken":"{TOKEN}","expiration":"{expiration}"}}"#
    );
    (200, format!(r#"{{"credentials":{object}}}"#))
}

async fn given(source: &impl ProvideCredentials) -> Credentials {
    source.provide_credentials().await.map_err(|error| explain(&error)).unwrap()
}

async fn refused(source: &impl ProvideCredentials) -> (CredentialsError, String) {
    let error = source.provide_credentials().await.expect_err("no credentials");
    let text = explain(&error);
    for shown in [&text, &format!("{error:?}"), &format!("{source:?}")] {
        assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "a secret in {shown}");
    }
    (error, text)
}

fn seconds(time: Option<SystemTime>) -> f64 {
    time.unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[tokio::test]
async fn an_identity_is_asked_for_once_and_credentials_each_time() {
    let server = Server::answering([
        identity("eu-west-1:me"),
        cognito_credentials("AKID1"),
        cognito_credentials("AKID2"),
    ]);
    let pool = Cognito::over(POOL, server.connector()).unwrap();
    assert_eq!(pool.identity_id(), None);
    let first = given(&pool).await;
    assert_eq!((first.access_key_id(), first.secret_access_key()), ("AKID1", SECRET));
    assert_eq!((first.session_token(), seconds(first.expiry())), (Some(TOKEN), 1_700_000_000.5));
    assert_eq!(given(&pool).await.access_key_id(), "AKID2");
    assert_eq!(pool.identity_id().as_deref(), Some("eu-west-1:me"));

    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked[0].starts_with("POST / HTTP/1.1\r\n"), "{}", asked[0]);
    for line in [
        "content-type: application/x-amz-json-1.1\r\n",
        "x-amz-target: AWSCognitoIdentityService.GetId\r\n",
        "host: service.example\r\n",
    ] {
        assert!(asked[0].contains(line), "{line} in {}", asked[0]);
    }
    assert!(asked[0].ends_with(&format!("\r\n\r\n{{\"IdentityPoolId\":\"{POOL}\"}}")), "{}", asked[0]);
    assert!(asked[1].contains("x-amz-target: AWSCognitoIdentityService.GetCredentialsForIdentity\r\n"));
    assert!(asked[2].ends_with("\r\n\r\n{\"IdentityId\":\"eu-west-1:me\"}"), "{}", asked[2]);
}

#[tokio::test]
async fn logins_are_asked_for_at_each_call_and_go_along_with_both_questions() {
    let server =
        Server::answering([identity("me"), cognito_credentials("AKID"), cognito_credentials("AKID")]);
    let calls = Arc::new(Mutex::new(0));
    let pool = Cognito::over(POOL, server.connector()).unwrap().logins({
        let calls = Arc::clone(&calls);
        move || {
            *calls.lock().unwrap() += 1;
            let token = format!("{TOKEN}{}", calls.lock().unwrap());
            async { Ok(HashMap::from([("accounts.google.com".to_owned(), token)])) }
        }
    });
    given(&pool).await;
    given(&pool).await;
    let asked = server.asked();
    for (request, call) in asked.iter().zip([1, 1, 2]) {
        assert!(
            request.contains(&format!(r#""Logins":{{"accounts.google.com":"{TOKEN}{call}"}}"#)),
            "{request}"
        );
    }
    assert!(!format!("{pool:?}").contains(TOKEN));
}

#[tokio::test]
async fn a_login_that_fails_is_told_and_one_without_end_is_left() {
    let server = Server::default();
    let pool = Cognito::over(POOL, server.connector()).unwrap();
    let failing = pool.logins(|| async { Err("the user has logged out".into()) });
    assert!(refused(&failing).await.1.ends_with("the user has logged out"));
    let hanging = failing.logins(std::future::pending).timeout(Duration::from_millis(1));
    let (_, text) = refused(&hanging).await;
    assert!(text.contains("were not there within 1ms"), "{text}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn an_identity_that_the_pool_no_longer_knows_is_asked_for_anew() {
    let server = Server::answering([
        refusal("ResourceNotFoundException"),
        identity("new"),
        cognito_credentials("AKID"),
    ]);
    let pool = Cognito::over(POOL, server.connector()).unwrap().identity("old");
    given(&pool).await;
    assert!(server.asked()[0].ends_with("{\"IdentityId\":\"old\"}"));
    assert_eq!(pool.identity_id().as_deref(), Some("new"));
}

#[tokio::test]
async fn an_identity_of_another_login_is_forgotten() {
    let server = Server::answering([refusal("NotAuthorizedException")]);
    let pool = Cognito::over(POOL, server.connector()).unwrap().identity("old");
    refused(&pool).await;
    assert_eq!(pool.identity_id(), None);
}

#[tokio::test]
async fn what_the_identity_service_refuses_is_told_with_its_reason_and_what_to_do() {
    for (answer, part) in [
        (refusal("NotAuthorizedException"), "allow guest access"),
        (refusal("ResourceNotFoundException"), "check the identity pool's identifier"),
        (refusal("InvalidIdentityPoolConfigurationException"), "IAM role"),
        (refusal("TooManyRequestsException"), "keep credentials in Cached"),
        (refusal("InvalidParameterException"), "the identity and the logins"),
        ((503, String::new()), "try again later"),
        ((418, "<html>".to_owned()), "no proxy answers for it"),
    ] {
        let (status, is_json) = (answer.0, answer.1.starts_with('{'));
        let server = Server::answering([answer]);
        let (error, text) = refused(&Cognito::over(POOL, server.connector()).unwrap()).await;
        assert!(matches!(error, CredentialsError::ProviderError(_)), "{text}");
        assert!(text.contains(part) && text.contains(POOL) && text.contains(&status.to_string()), "{text}");
        assert_eq!(text.contains(r#"("in its\nown words")"#), is_json, "{text}");
    }
    let server = Server::answering([refusal("NotAuthorizedException")]);
    let pool = Cognito::over(POOL, server.connector()).unwrap().logins(|| async { Ok(HashMap::new()) });
    let (_, text) = refused(&pool).await;
    assert!(text.contains("a login token has expired"), "{text}");
}

#[tokio::test]
async fn an_answer_that_lacks_something_names_it_and_shows_nothing_of_the_rest() {
    let whole = cognito_credentials("AKID").1;
    for (field, part) in [
        ("AccessKeyId", "AccessKeyId"),
        ("SecretKey", "SecretKey"),
        ("SessionToken", "SessionToken"),
        ("Expiration", "a time at which they expire"),
        ("Credentials", "AccessKeyId"),
    ] {
        let server = Server::answering([identity("me"), (200, whole.replace(field, "Other"))]);
        let (_, text) = refused(&Cognito::over(POOL, server.connector()).unwrap()).await;
        assert!(text.contains(&format!("lacks {part}")), "{field}: {text}");
    }
    for body in ["", "[]", "{}", "{\"IdentityId\":7}", "<html>", &"[".repeat(60_000)] {
        let server = Server::answering([(200, body.to_owned())]);
        let (_, text) = refused(&Cognito::over(POOL, server.connector()).unwrap()).await;
        assert!(text.contains("lacks IdentityId"), "{text}");
    }
}

#[test]
fn what_is_no_identity_pool_and_no_role_alias_is_told_at_once() {
    let server = Server::default();
    let text = explain(&Cognito::over("eu-west-1_AbCdEf", server.connector()).unwrap_err());
    assert!(text.contains("not that of a user pool"), "{text}");
    for alias in ["", "arn:aws:iot:x", "a/b", "a b", "ü", &"x".repeat(129)] {
        let error = IotCredentialProvider::over(alias, server.connector()).unwrap_err();
        assert!(matches!(error, CredentialsError::InvalidConfiguration(_)));
        assert!(explain(&error).contains("is no role alias"), "{alias}");
    }
}

#[tokio::test]
async fn the_credential_provider_is_asked_for_the_role_alias() {
    let server = Server::answering([
        device_credentials("2018-01-18T09:18:06Z"),
        device_credentials("2018-01-18T09:18:06Z"),
    ]);
    let provider = IotCredentialProvider::over("a_=,@-9", server.connector()).unwrap();
    let found = given(&provider).await;
    assert_eq!((found.access_key_id(), found.secret_access_key()), ("AKID", SECRET));
    assert_eq!((found.session_token(), seconds(found.expiry())), (Some(TOKEN), 1_516_267_086.0));
    given(&provider.thing_name("sensor:17")).await;
    let asked = server.asked();
    assert!(asked[0].starts_with("GET /role-aliases/a_=,@-9/credentials HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[0].contains("host: service.example\r\n") && !asked[0].contains("x-amzn-iot-thingname"));
    assert!(asked[1].contains("x-amzn-iot-thingname: sensor:17\r\n"), "{}", asked[1]);
}

#[tokio::test]
async fn what_the_credential_provider_refuses_is_told_with_its_reason_and_what_to_do() {
    for (status, part) in [
        (400, "presents its certificate"),
        (403, "iot:AssumeRoleWithCertificate"),
        (404, "iot:CredentialProvider"),
        (429, "keep credentials in Cached"),
        (500, "try again later"),
        (302, "no proxy answers"),
    ] {
        let server = Server::answering([(status, r#"{"message":"Access Denied"}"#.to_owned())]);
        let (error, text) =
            refused(&IotCredentialProvider::over("sensors", server.connector()).unwrap()).await;
        assert!(matches!(error, CredentialsError::ProviderError(_)), "{text}");
        let head = format!("refused the role alias sensors with status {status} (\"Access Denied\")");
        assert!(text.contains(part) && text.contains(&head), "{text}");
    }
    let server = Server::answering([device_credentials("tomorrow")]);
    let (_, text) = refused(&IotCredentialProvider::over("sensors", server.connector()).unwrap()).await;
    assert!(text.contains("lacks a time at which they expire"), "{text}");
    let odd = IotCredentialProvider::over("sensors", server.connector()).unwrap().thing_name("a\r\nb: c");
    assert!(matches!(refused(&odd).await.0, CredentialsError::InvalidConfiguration(_)));
}

#[tokio::test]
async fn a_credential_in_an_answer_that_cannot_be_one_is_not_used() {
    let body = device_credentials("2018-01-18T09:18:06Z").1.replace(TOKEN, "a\\r\\nx: y");
    let server = Server::answering([(200, body)]);
    let (_, text) = refused(&IotCredentialProvider::over("sensors", server.connector()).unwrap()).await;
    assert!(text.contains("sessionToken from the AWS IoT credential provider holds white space"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_silent_is_left_at_its_time_limit() {
    let server = Server::default();
    let provider = IotCredentialProvider::over("sensors", server.connector()).unwrap();
    let clock = Attempt::within(1, Duration::from_secs(100));
    let (_, text) = refused(&provider).await;
    assert!(
        text.contains("did not answer before the deadline") && text.contains("service.example:443"),
        "{text}"
    );
    assert_eq!(clock.remaining(), Duration::from_secs(90));
    refused(&provider.timeout(Duration::from_secs(3))).await;
    assert_eq!(clock.remaining(), Duration::from_secs(87));
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    for answer in ["SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let server = Server::default();
        server.raw(answer);
        let (error, text) =
            refused(&IotCredentialProvider::over("sensors", server.connector()).unwrap()).await;
        assert!(matches!(error, CredentialsError::ProviderError(_)), "{text}");
    }
}
