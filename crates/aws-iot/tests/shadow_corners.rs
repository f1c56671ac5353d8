//! Requests, deltas and documents: what crosses, what is slow, and what comes twice.

#![cfg(feature = "shadow")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]

mod cloud;

use std::time::Duration;

use aws_iot::Version;
use aws_iot::shadow::{
    Deltas, Documents, ErrorKind, Options, ShadowClient, ShadowError, ShadowId, ShadowSync, Update, Value,
};
use cloud::{BOTH, Cloud, PREFIX, lamp, secs, settle, shadow};
use serde_json::json;
use tokio::time::{sleep, timeout};

fn delta(cloud: &Cloud, version: u64) {
    let document = json!({"version": version, "state": {"n": version}, "timestamp": 1_700_000_100u64});
    cloud.publish(&format!("{PREFIX}/update/delta"), document.to_string());
}

async fn versions(deltas: &mut Deltas) -> Vec<u64> {
    let mut versions = Vec::new();
    while let Ok(delta) = timeout(secs(1), deltas.next()).await {
        versions.push(delta.unwrap().version);
    }
    versions
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_not_polled_holds_up_no_get() {
    let cloud = Cloud::new();
    cloud.desire(&lamp(), &json!({"a": 1}));
    let client = cloud.device(Version::V5).await;
    let shadow = shadow(&client);
    let mut deltas = shadow.deltas().await.unwrap();
    deltas.catch_up();
    // One turn of a `select!` of the application's own that another branch wins.
    assert!(timeout(secs(0), deltas.next()).await.is_err());
    let outcome = shadow.get::<Value>().await;
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn deltas_that_nobody_polls_hold_back_nothing() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow = shadow(&client);
    let _deltas = shadow.deltas().await.unwrap();
    for version in 1..=400 {
        delta(&cloud, version);
        settle().await;
    }
    let outcome = shadow.update(Update::new().reported(json!({"a": 1}))).await;
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn documents_that_come_again_are_passed_over() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let mut documents = shadow(&client).documents::<Value>().await.unwrap();
    let one = json!({"previous": null, "current": {"state": {}, "version": 1}, "timestamp": 5}).to_string();
    let two = json!({"previous": {"state": {}, "version": 1}, "current": {"state": {}, "version": 2}, "timestamp": 6}).to_string();
    for document in [&one, &two, &one, &two] {
        cloud.publish(&format!("{PREFIX}/update/documents"), document);
    }
    let mut seen = Vec::new();
    while let Ok(change) = timeout(secs(1), documents.next()).await {
        seen.push(change.unwrap().current.version);
    }
    assert_eq!(seen, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_own_delete_resets_the_memory() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow = shadow(&client);
    cloud.serve(false);
    let answer = |tail: &'static str, document: Value| {
        let cloud = cloud.clone();
        async move {
            loop {
                settle().await;
                if let Some(request) = cloud.published(tail.rsplit_once('/').unwrap().0).pop() {
                    let mut document = document.clone();
                    document["clientToken"] = request["clientToken"].clone();
                    cloud.publish(&format!("{PREFIX}{tail}"), document.to_string());
                    return;
                }
            }
        }
    };
    let update = shadow.update(Update::new().reported(json!({"a": 1})));
    let (accepted, ()) = tokio::join!(
        async { update.await },
        answer("/update/accepted", json!({"state": {}, "version": 50, "timestamp": 1_700_000_000u64}))
    );
    assert_eq!(accepted.unwrap().version, 50);
    let delete = shadow.delete();
    let (deleted, ()) = tokio::join!(
        async { delete.await },
        answer("/delete/accepted", json!({"version": 50, "timestamp": 1_700_000_001u64}))
    );
    assert_eq!(deleted.unwrap().version, 50);
    // More than 48 hours later an application makes it anew.
    let mut deltas = shadow.deltas().await.unwrap();
    delta(&cloud, 1);
    delta(&cloud, 2);
    assert_eq!(versions(&mut deltas).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn modify_is_done_once_though_an_answer_comes_twice() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow = shadow(&client);
    cloud.update(&lamp(), &json!({"state": {"reported": {"n": 0}}}));
    cloud.rules(|rules| rules.answer_delay = secs(1));
    let mut first = true;
    let other = cloud.clone();
    let task = tokio::spawn(async move {
        shadow
            .modify::<Value, Value>(move |shadow| {
                let n = shadow.unwrap().state.reported.as_ref().unwrap()["n"].as_u64().unwrap();
                if std::mem::take(&mut first) {
                    other.update(&lamp(), &json!({"state": {"reported": {"other": 1}}}));
                }
                Some(Update::new().reported(json!({"n": n + 1})).client_token("mine"))
            })
            .await
    });
    // Get 1 s, update 1 s: 409; get 1 s, update...
    sleep(Duration::from_millis(3500)).await;
    let refusal = cloud.said("/update/rejected").pop().unwrap();
    cloud.publish(&format!("{PREFIX}/update/rejected"), refusal.to_string());
    task.await.unwrap().unwrap();
    let n = cloud.document(&lamp()).unwrap()["state"]["reported"]["n"].clone();
    assert_eq!(n, 1);
}

#[tokio::test(start_paused = true)]
async fn deltas_that_are_there_can_be_read_after_the_close() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let mut deltas = shadow(&client).deltas().await.unwrap();
    delta(&cloud, 1);
    settle().await;
    client.close(secs(1)).await.unwrap();
    assert_eq!(deltas.next().await.map(|delta| delta.version), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_never_sent_after_its_end() {
    for version in BOTH {
        let cloud = Cloud::new();
        let builder = cloud.builder(version).clean_start(false);
        let builder = if version == Version::V5 { builder.session_expiry(secs(3600)) } else { builder };
        let client = builder.connect().await.unwrap();
        let shadow = shadow(&client);
        shadow.update(Update::new().reported(json!({"n": 0}))).await.unwrap();
        cloud.published("/update");
        cloud.deaf(true);
        let s = shadow.clone();
        let task = tokio::spawn(async move { s.update(Update::new().reported(json!({"n": 1}))).await });
        settle().await;
        cloud.outage();
        cloud.deaf(false);
        let outcome = task.await.unwrap();
        assert!(outcome.is_err());
        assert!(cloud.published("/update").is_empty());
        sleep(secs(1800)).await;
        // Meanwhile something else was reported, by way of another connection.
        cloud.update(&lamp(), &json!({"state": {"reported": {"n": 2}}}));
        cloud.back();
        client.online().await.unwrap();
        settle().await;
        assert_eq!(cloud.document(&lamp()).unwrap()["state"]["reported"]["n"], 2, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_cannot_be_read_is_a_refusal() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow = shadow(&client);
    cloud.serve(false);
    let task = tokio::spawn(async move { shadow.update(Update::new().reported(json!({"n": 1}))).await });
    settle().await;
    let token = cloud.published("/update").pop().unwrap()["clientToken"].clone();
    cloud.publish(
        &format!("{PREFIX}/update/rejected"),
        json!({"code": "413", "clientToken": token}).to_string(),
    );
    let error = task.await.unwrap().unwrap_err();
    assert!(
        !matches!(error.kind(), ErrorKind::Unreadable(_)),
        "`Unreadable` promises that the update has taken effect: {error}"
    );
}

#[tokio::test(start_paused = true)]
async fn cancelled_deltas_keep_no_get() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow =
        client.shadow_with(ShadowId::classic("lamp").unwrap(), Options::default().keep_subscribed(false));
    let mut deltas = shadow.deltas().await.unwrap();
    deltas.catch_up();
    assert!(timeout(secs(0), deltas.next()).await.is_err());
    drop(deltas);
    sleep(secs(1)).await;
    assert_eq!(cloud.subscriptions(), [""; 0]);
}

#[test]
fn everything_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    fn is_sync<T: Sync>() {}
    #[expect(dead_code, reason = "it need not run to be compiled")]
    fn all(
        sync: &ShadowSync<Value>,
        shadow: &ShadowClient,
        deltas: &mut Deltas,
        documents: &mut Documents<Value>,
    ) {
        is_send(&sync.run(|_, _| {}));
        is_send(&sync.run_with(|_, _| async { |_: &mut Value| {} }));
        is_send(&shadow.modify::<Value, Value>(|_| None));
        is_send(&shadow.deltas());
        is_send(&shadow.documents::<Value>());
        is_send(&deltas.next());
        is_send(&documents.next());
    }
    is_sync::<ShadowClient>();
    is_sync::<ShadowSync<Value>>();
    is_sync::<ShadowError>();
}
