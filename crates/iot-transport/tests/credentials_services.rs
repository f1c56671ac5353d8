//! Credentials from services: what is asked of them, what is made of their answers, and of their refusals.
#![cfg(all(feature = "cognito", feature = "iot-credentials"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by panicking")]
#![allow(unreachable_pub, reason = "the helpers are in a file of their own")]

mod service;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iot_transport::credentials::{Cognito, CredentialsError, IotCredentialProvider, explain};
use iot_transport::{Attempt, from_fn};
use service::{
    POOL, SECRET, Server, TOKEN, cognito_credentials, device_credentials, given, identity, refusal, refused,
    seconds,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
async fn an_identity_that_a_login_may_not_have_is_forgotten_unless_it_was_given() {
    for (given_one, login, remembered) in [
        (false, true, None),
        (false, false, Some("old")),
        (true, true, Some("old")),
        (true, false, Some("old")),
    ] {
        let server = Server::answering([refusal("NotAuthorizedException")]);
        if !given_one {
            server
                .answers
                .lock()
                .unwrap()
                .extend(Server::answering([identity("old")]).answers.lock().unwrap().drain(..));
            server.answers.lock().unwrap().rotate_left(1);
        }
        let mut pool = Cognito::over(POOL, server.connector()).unwrap();
        if given_one {
            pool = pool.identity("old");
        }
        if login {
            pool = pool.logins(|| async {
                Ok(HashMap::from([("accounts.google.com".to_owned(), TOKEN.to_owned())]))
            });
        }
        refused(&pool).await;
        assert_eq!(pool.identity_id().as_deref(), remembered, "given {given_one}, login {login}");
    }
}

#[tokio::test]
async fn a_refusal_that_repeats_a_login_token_is_not_shown() {
    let body = format!(r#"{{"__type":"NotAuthorizedException","message":"Invalid login token {TOKEN}"}}"#);
    let server = Server::answering([(400, body)]);
    let pool = Cognito::over(POOL, server.connector())
        .unwrap()
        .logins(|| async { Ok(HashMap::from([("accounts.google.com".to_owned(), TOKEN.to_owned())])) });
    let (_, text) = refused(&pool).await;
    assert!(text.contains("repeats part of the request"), "{text}");
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
        assert_eq!(text.contains(r#"("in its own words")"#), is_json, "{text}");
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
    let server = Server::answering([identity("me"), (200, whole.replace(SECRET, ""))]);
    let (_, text) = refused(&Cognito::over(POOL, server.connector()).unwrap()).await;
    assert!(text.contains("lacks SecretKey"), "{text}");
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
async fn what_is_no_http_and_what_breaks_off_is_told() {
    let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n{}", " ".repeat(70_000));
    for (answer, part) in [
        ("SSH-2.0-x\r\n", "is not HTTP/1.1"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "in the middle of its answer"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", "in the middle of its answer"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\n\r\n{", "in the middle of its answer"),
        ("", "without an answer"),
        (&large, "is larger than 64 KiB"),
    ] {
        let server = Server::default();
        server.raw(answer);
        let (error, text) =
            refused(&IotCredentialProvider::over("sensors", server.connector()).unwrap()).await;
        assert!(matches!(error, CredentialsError::ProviderError(_)), "{text}");
        assert!(text.contains(part) && text.contains("service.example:443"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_slowly_is_read_to_its_end_within_the_time_limit() {
    let (_, body) = device_credentials("2018-01-18T09:18:06Z");
    for (seconds, in_time) in [(9, true), (11, false)] {
        let body = body.clone();
        let dial = move |_: Attempt| {
            let body = body.clone();
            let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(async move {
                theirs.read_buf(&mut Vec::with_capacity(1024)).await.unwrap();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                theirs.write_all(head.as_bytes()).await.unwrap();
                tokio::time::advance(Duration::from_secs(seconds)).await;
                let _ = theirs.write_all(body.as_bytes()).await;
                let _ = theirs.read_to_end(&mut Vec::new()).await;
            });
            async { Ok(ours) }
        };
        let provider = IotCredentialProvider::over("sensors", from_fn(dial)).unwrap();
        if in_time {
            assert_eq!(given(&provider).await.access_key_id(), "AKID");
        } else {
            let (_, text) = refused(&provider).await;
            assert!(text.contains("did not answer before the deadline"), "{text}");
        }
    }
}
