//! Requests to shadows: what is subscribed for them, what they come to, and that nothing disturbs them.

#![cfg(feature = "shadow")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]

mod cloud;

use std::collections::HashSet;
use std::future::IntoFuture;

use aws_iot::shadow::{
    Accepted, ErrorKind, Options, Shadow, ShadowClient, ShadowError, ShadowId, Update, Value,
};
use aws_iot::{Client, Message, QoS};
use cloud::{BOTH, Cloud, PREFIX, lamp, secs, settle};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

fn classic(client: &Client, options: Options) -> ShadowClient {
    client.shadow_with(ShadowId::classic("lamp").unwrap(), options)
}

fn pair(action: &str) -> Vec<String> {
    vec![format!("{PREFIX}/{action}/accepted"), format!("{PREFIX}/{action}/rejected")]
}

fn report(state: Value) -> Update {
    Update::new().reported(state)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lamp {
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u8>,
}

#[tokio::test(start_paused = true)]
async fn a_typed_update_is_accepted_and_read_back_with_versions_metadata_and_token() {
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let shadow = classic(&client, Options::default());
        let red = Lamp { color: Some("red".into()), level: None };
        let accepted = shadow.update(Update::new().reported(red)).await.unwrap();
        assert_eq!((accepted.version, &accepted.state), (1, &json!({"reported": {"color": "red"}})));
        let sent = cloud.published("/update");
        assert_eq!(accepted.client_token.as_deref(), sent[0]["clientToken"].as_str());

        cloud.desire(&lamp(), &json!({"level": 3}));
        let document: Shadow<Lamp> = shadow.get().await.unwrap();
        assert_eq!(document.state.reported, Some(Lamp { color: Some("red".into()), level: None }));
        assert_eq!(document.state.desired, Some(Lamp { color: None, level: Some(3) }));
        assert_eq!((document.state.delta, document.version), (Some(json!({"level": 3})), 2));
        assert!(document.metadata.set_at("/reported/color").is_some());
        assert!(document.timestamp.is_some());

        assert_eq!(shadow.delete().await.unwrap().version, 2);
        let error = shadow.get::<Value>().await.unwrap_err();
        assert!(error.is_missing() && !error.is_retryable(), "{error}");
        assert_eq!(error.rejection().unwrap().code, 404);
        let sent = cloud.published("/get");
        assert_eq!(error.client_token(), sent.last().unwrap()["clientToken"].as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_subscribed_once_in_one_packet_and_kept_until_the_last_handle_goes() {
    let cloud = Cloud::new();
    let client = cloud.device(BOTH[1]).await;
    let shadow = classic(&client, Options::default());
    settle().await;
    assert_eq!(cloud.subscribed(), Vec::<Vec<String>>::new(), "nothing before the first use");
    for _ in 0..3 {
        shadow.get::<Value>().await.unwrap_err();
    }
    assert_eq!(cloud.subscribed(), [pair("get")]);
    shadow.update(report(json!({}))).await.unwrap();
    shadow.delete().await.unwrap();
    assert_eq!(cloud.subscribed(), [pair("update"), pair("delete")]);
    assert_eq!(cloud.subscriptions().len(), 6);
    let other = shadow.clone();
    drop(shadow);
    settle().await;
    assert_eq!(cloud.subscriptions().len(), 6);
    drop(other);
    settle().await;
    assert_eq!(cloud.subscriptions(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_kept_is_given_up_however_the_request_ends() {
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let shadow = classic(&client, Options::default().keep_subscribed(false));
        let gone = async |what: &str| {
            settle().await;
            assert_eq!(cloud.subscriptions(), [""; 0], "{what}");
            assert_eq!(cloud.unsubscribed(), pair("get"), "{what}");
        };
        shadow.get::<Value>().await.unwrap_err();
        gone("rejected").await;
        cloud.desire(&lamp(), &json!({"a": 1}));
        shadow.get::<Value>().await.unwrap();
        gone("accepted").await;

        cloud.serve(false);
        let error = shadow.get::<Value>().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }), "{error}");
        gone("timed out").await;

        let mut call = shadow.get::<Value>().into_future();
        tokio::select! {
            _ = &mut call => panic!("nobody answers"),
            () = settle() => {}
        }
        assert_eq!(cloud.subscriptions().len(), 2);
        drop(call);
        gone("cancelled").await;

        // The last of several that are under way.
        let first = tokio::spawn(shadow.get::<Value>().timeout(secs(2)).into_future());
        let second = tokio::spawn(shadow.get::<Value>().timeout(secs(4)).into_future());
        first.await.unwrap().unwrap_err();
        settle().await;
        assert_eq!(cloud.subscriptions().len(), 2);
        second.await.unwrap().unwrap_err();
        gone("the last one").await;
    }
}

#[tokio::test(start_paused = true)]
async fn wildcards_are_one_filter_for_each_kind_and_deltas_in_them_are_no_answers() {
    let cloud = Cloud::new();
    let client = cloud.device(BOTH[1]).await;
    let shadow = classic(&client, Options::default().wildcards(true));
    cloud.desire(&lamp(), &json!({"a": 1}));
    for _ in 0..50 {
        // Each brings accepted, documents and a delta, all with the token.
        shadow.update(report(json!({"b": 1}))).await.unwrap();
    }
    shadow.get::<Value>().await.unwrap();
    let filter = |action| vec![format!("{PREFIX}/{action}/+")];
    assert_eq!(cloud.subscribed(), [filter("update"), filter("get")]);
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_on_one_shadow_get_their_own_answers_in_any_order() {
    for version in BOTH {
        let cloud = Cloud::new();
        cloud.serve(false);
        let client = cloud.device(version).await;
        let shadow = classic(&client, Options::default());
        let calls: Vec<_> =
            (0..20).map(|n| tokio::spawn(shadow.update(report(json!({ "n": n }))).into_future())).collect();
        settle().await;
        let sent = cloud.published("/update");
        let tokens: HashSet<&str> = sent.iter().map(|sent| sent["clientToken"].as_str().unwrap()).collect();
        assert_eq!(tokens.len(), 20, "each has its own");
        assert!(tokens.iter().all(|token| token.len() <= 64));
        for sent in sent.iter().rev() {
            let n = sent["state"]["reported"]["n"].as_u64().unwrap();
            let answer =
                json!({"state": sent["state"], "version": n + 100, "clientToken": sent["clientToken"]});
            let refusal = json!({"code": 400 + n, "message": "no", "clientToken": sent["clientToken"]});
            if n % 2 == 0 {
                cloud.publish(&format!("{PREFIX}/update/accepted"), answer.to_string());
                // What comes again is nobody's.
                cloud.publish(&format!("{PREFIX}/update/rejected"), refusal.to_string());
            } else {
                cloud.publish(&format!("{PREFIX}/update/rejected"), refusal.to_string());
            }
        }
        for (n, call) in (0_u64..).zip(calls) {
            let outcome: Result<Accepted, ShadowError> = call.await.unwrap();
            match outcome {
                Ok(accepted) => assert_eq!((n % 2, accepted.version), (0, n + 100)),
                Err(error) => assert_eq!(u64::from(error.rejection().unwrap().code), 400 + n),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hostile_payloads_on_every_topic_of_the_shadow_disturb_nothing() {
    for version in BOTH {
        let cloud = Cloud::new();
        cloud.serve(false);
        let client = cloud.device(version).await;
        let shadow = classic(&client, Options::default());
        let mut deltas = shadow.deltas().await.unwrap();
        let mut documents = shadow.documents::<Value>().await.unwrap();
        let call = tokio::spawn(shadow.update(report(json!({"a": 1}))).timeout(secs(60)).into_future());
        settle().await;
        let token = cloud.published("/update")[0]["clientToken"].as_str().unwrap().to_owned();
        let deep = format!("{{\"version\":1,\"state\":{}1{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
        let large = format!(
            "{{\"version\":1,\"clientToken\":\"x\",\"state\":{{\"a\":\"{}\"}}}}",
            "x".repeat(10_000_000)
        );
        let hostile: Vec<&[u8]> = vec![
            b"",
            b"[]",
            b"1",
            b"null",
            b"\"t\"",
            b"{",
            b"{}",
            b"\xFF\xFE\x00",
            b"{\"version\":1e999,\"state\":{}}",
            b"{\"version\":-1,\"state\":{}}",
            b"{\"version\":99999999999999999999,\"state\":{}}",
            b"{\"version\":\"1\",\"state\":{}}",
            b"{\"version\":7,\"state\":[]}",
            b"{\"version\":7,\"state\":null}",
            b"{\"clientToken\":5,\"version\":7}",
            b"[1,2,3,4]",
            deep.as_bytes(),
            large.as_bytes(),
        ];
        for tail in
            ["update/accepted", "update/rejected", "update/delta", "update/documents", "delete/accepted"]
        {
            for payload in &hostile {
                cloud.publish(&format!("{PREFIX}/{tail}"), payload);
                settle().await;
            }
        }
        let delta = json!({"version": 8, "state": {"a": 2}}).to_string();
        cloud.publish(&format!("{PREFIX}/update/delta"), delta);
        assert_eq!(deltas.next().await.unwrap().version, 8);
        let change = json!({"previous": null, "current": {"version": 8, "state": {}}}).to_string();
        cloud.publish(&format!("{PREFIX}/update/documents"), change);
        assert_eq!(documents.next().await.unwrap().current.version, 8);
        let answer = json!({"version": 8, "state": {}, "clientToken": token}).to_string();
        cloud.publish(&format!("{PREFIX}/update/accepted"), answer);
        assert_eq!(call.await.unwrap().unwrap().version, 8);
        assert_eq!(client.session().stats().connections, 1, "the connection was never lost");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_is_an_error_that_says_so_and_the_next_one_is_not_affected() {
    let cloud = Cloud::new();
    let client = cloud.device(BOTH[1]).await;
    let shadow = classic(&client, Options::default());
    cloud.desire(&lamp(), &json!({"color": 5}));
    let error = shadow.get::<Lamp>().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unreadable(_)), "{error}");
    assert!(error.client_token().is_some());
    assert_eq!(shadow.get::<Value>().await.unwrap().version, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_a_request_fails_at_once_and_is_never_sent() {
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let shadow = classic(&client, Options::default());
        shadow.get::<Value>().await.unwrap_err();
        cloud.outage();
        settle().await;
        let begun = Instant::now();
        let error = shadow.update(report(json!({"a": 1}))).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Offline), "{error}");
        assert!(error.to_string().contains("offline") && error.is_retryable());
        assert_eq!(begun.elapsed(), secs(0));
        cloud.back();
        client.online().await.unwrap();
        settle().await;
        assert_eq!(cloud.published("/update"), [json!(null); 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_wait_for_a_connection_within_its_own_time() {
    let cloud = Cloud::new();
    let client = cloud.device(BOTH[1]).await;
    let shadow = classic(&client, Options::default().wait_for_connection(true));
    cloud.outage();
    settle().await;
    let begun = Instant::now();
    let error = shadow.update(report(json!({"a": 1}))).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut { within } if *within == secs(5)), "{error}");
    assert_eq!(begun.elapsed(), secs(5));
    let call = tokio::spawn(shadow.update(report(json!({"a": 2}))).timeout(secs(60)).into_future());
    settle().await;
    cloud.back();
    assert_eq!(call.await.unwrap().unwrap().version, 1);
    assert_eq!(cloud.published("/update").len(), 1, "what timed out was not sent later");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_ends_the_requests_under_way_once_and_the_next_ones_work() {
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let shadow = classic(&client, Options::default());
        shadow.get::<Value>().await.unwrap_err();
        cloud.serve(false);
        let calls: Vec<_> = (0..5).map(|_| tokio::spawn(shadow.get::<Value>().into_future())).collect();
        settle().await;
        cloud.cut();
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert!(error.is_retryable(), "{error}");
        }
        cloud.serve(true);
        client.online().await.unwrap();
        assert!(shadow.get::<Value>().await.unwrap_err().is_missing());
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_callers_own_is_kept_and_checked() {
    let cloud = Cloud::new();
    let client = cloud.device(BOTH[1]).await;
    let shadow = classic(&client, Options::default());
    let accepted = shadow.update(report(json!({"a": 1})).client_token("my own \"token\"")).await.unwrap();
    assert_eq!(accepted.client_token.as_deref(), Some("my own \"token\""));
    let document = shadow.get::<Value>().client_token("x".repeat(64)).await.unwrap();
    assert_eq!(document.client_token, Some("x".repeat(64)));
    let error = shadow.get::<Value>().client_token("x".repeat(65)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid(why) if why.contains("65 bytes")), "{error}");

    cloud.serve(false);
    let first = tokio::spawn(shadow.get::<Value>().client_token("same").into_future());
    settle().await;
    let error = shadow.get::<Value>().client_token("same").await.unwrap_err();
    assert!(error.to_string().contains("same token") && error.client_token() == Some("same"), "{error}");
    cloud.publish(&format!("{PREFIX}/get/accepted"), r#"{"version":9,"clientToken":"same"}"#);
    assert_eq!(first.await.unwrap().unwrap().version, 9);
}

#[tokio::test(start_paused = true)]
async fn an_update_for_a_version_conflicts_and_modify_tries_again() {
    let cloud = Cloud::new();
    let client = cloud.device(BOTH[1]).await;
    let shadow = classic(&client, Options::default());
    let version = cloud.desire(&lamp(), &json!({"n": 1}));
    cloud.desire(&lamp(), &json!({"m": 1}));
    let error = shadow.update(report(json!({})).if_version(version)).await.unwrap_err();
    assert!(error.is_conflict() && !error.is_retryable(), "{error}");

    let mut tries = 0;
    let accepted = shadow
        .modify::<Value, Value>(|document| {
            tries += 1;
            if tries < 4 {
                // Somebody comes in between.
                cloud.desire(&lamp(), &json!({ "n": tries }));
            }
            let n = document.unwrap().state.desired.as_ref().unwrap()["n"].as_u64().unwrap();
            Some(Update::new().reported(json!({ "seen": n })))
        })
        .await
        .unwrap()
        .unwrap();
    assert_eq!((tries, &accepted.state["reported"]), (4, &json!({"seen": 3})));

    let mut tries = 0;
    let outcome = shadow
        .modify::<Value, Value>(|_| {
            tries += 1;
            cloud.desire(&lamp(), &json!({ "n": tries }));
            Some(Update::new().reported(json!({})))
        })
        .await;
    assert!(outcome.unwrap_err().is_conflict());
    assert_eq!(tries, 10);
    assert_eq!(shadow.modify::<Value, Value>(|_| None).await.unwrap(), None);
    shadow.delete().await.unwrap();
    let made = shadow.modify::<Value, Value>(|document| {
        assert!(document.is_none());
        Some(Update::new().reported(json!({"made": true})))
    });
    assert!(made.await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn many_shadows_and_plain_messages_share_a_connection() {
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let mut messages = client.subscribe("plain", QoS::AtLeastOnce).await.unwrap();
        let calls: Vec<_> = (0..8)
            .map(|n| {
                let id = match n % 2 {
                    0 => ShadowId::classic(&format!("thing{n}")).unwrap(),
                    _ => ShadowId::named("lamp", &format!("shadow{n}")).unwrap(),
                };
                let (shadow, client) = (client.shadow(id), client.clone());
                tokio::spawn(async move {
                    for round in 0..10 {
                        let _ack = client.publish(Message::new("plain", "x").unwrap()).await.unwrap();
                        let accepted =
                            shadow.update(report(json!({ "n": n, "round": round }))).await.unwrap();
                        assert_eq!(accepted.version, round + 1);
                    }
                    let document: Shadow = shadow.get().await.unwrap();
                    assert_eq!(document.state.reported, Some(json!({ "n": n, "round": 9 })));
                })
            })
            .collect();
        for _ in 0..80 {
            assert_eq!(messages.next().await.unwrap().payload(), b"x");
        }
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(client.session().stats().connections, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_or_is_not_allowed_is_said_and_nothing_is_sent() {
    let cloud = Cloud::new();
    let client = cloud.device(BOTH[1]).await;
    let shadow = classic(&client, Options::default());
    let error = shadow.update(report(json!({"a": "x".repeat(200_000)}))).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid(why) if why.contains("131072")), "{error}");
    let state = std::collections::HashMap::from([((1, 2), 3)]);
    let error = shadow.update(Update::new().reported(state)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid(why) if why.contains("JSON")), "{error}");
    assert_eq!(cloud.published("/update"), [json!(null); 0]);

    cloud.deny_subscribe(&format!("{PREFIX}/get/rejected"));
    let error = shadow.get::<Value>().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Session(_)) && !error.is_retryable(), "{error}");
    settle().await;
    assert!(!cloud.subscriptions().contains(&format!("{PREFIX}/get/accepted")), "no half of a pair is left");
    let large = shadow.update(report(json!({"a": "x".repeat(9_000)}))).await.unwrap_err();
    assert_eq!(large.rejection().unwrap().code, 413);
}
