//! Deltas and documents: which are news, in which order, and what an outage does not take away.

#![cfg(feature = "shadow")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]

mod cloud;

use aws_iot::Version;
use aws_iot::shadow::{Delta, Deltas, Update, Value};
use cloud::{BOTH, Cloud, PREFIX, lamp, secs, settle, shadow};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};

/// A delta as the service would send it.
fn delta(cloud: &Cloud, version: u64) {
    let document = json!({"version": version, "state": {"n": version}, "metadata": {"n": {"timestamp": 5}}});
    cloud.publish(&format!("{PREFIX}/update/delta"), document.to_string());
}

/// The versions of the deltas that are there.
async fn versions(deltas: &mut Deltas) -> Vec<u64> {
    let mut versions = Vec::new();
    while let Ok(delta) = timeout(secs(1), deltas.next()).await {
        versions.push(delta.unwrap().version);
    }
    versions
}

async fn silent(deltas: &mut Deltas) {
    assert_eq!(versions(deltas).await, [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_is_not_newer_than_the_last_one_is_left_out() {
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let mut deltas = shadow(&client).deltas().await.unwrap();
        assert_eq!(
            cloud.subscribed(),
            [[format!("{PREFIX}/update/delta"), format!("{PREFIX}/delete/accepted")]]
        );
        for version in [5, 5, 4, 6, 9, 7] {
            delta(&cloud, version);
        }
        assert_eq!(versions(&mut deltas).await, [5, 6, 9]);
        drop(deltas);
        settle().await;
        assert_eq!(cloud.subscriptions(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_is_older_than_what_was_accepted_is_left_out_one_that_is_as_new_is_not() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow = shadow(&client);
    let mut deltas = shadow.deltas().await.unwrap();
    cloud.desire(&lamp(), &json!({"a": 1}));
    // Both wait to be read when the second one is made old by an answer.
    let accepted = shadow.update(Update::new().reported(json!({"b": 1}))).await.unwrap();
    assert_eq!(accepted.version, 2);
    assert_eq!(versions(&mut deltas).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn after_a_delete_numbering_begins_anew() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let mut deltas = shadow(&client).deltas().await.unwrap();
    delta(&cloud, 50);
    cloud.publish(&format!("{PREFIX}/delete/accepted"), r#"{"version":50}"#);
    delta(&cloud, 1);
    delta(&cloud, 1);
    assert_eq!(versions(&mut deltas).await, [50, 1]);
}

#[tokio::test(start_paused = true)]
async fn when_there_is_found_to_be_no_shadow_numbering_begins_anew() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow = shadow(&client);
    let mut deltas = shadow.deltas().await.unwrap();
    delta(&cloud, 50);
    assert_eq!(versions(&mut deltas).await, [50]);
    assert!(shadow.get::<Value>().await.unwrap_err().is_missing());
    delta(&cloud, 2);
    assert_eq!(versions(&mut deltas).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn what_was_desired_in_an_outage_is_recovered_by_a_get_if_the_session_is_gone() {
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let shadow = shadow(&client);
        let mut deltas = shadow.deltas().await.unwrap();
        cloud.desire(&lamp(), &json!({"color": "red"}));
        assert_eq!(versions(&mut deltas).await, [1]);
        cloud.outage();
        settle().await;
        cloud.desire(&lamp(), &json!({"color": "blue"}));
        cloud.update(&lamp(), &json!({"state": {"reported": {"other": 1}}}));
        cloud.back();
        let recovered = deltas.next().await.unwrap();
        assert_eq!((recovered.version, &recovered.state), (3, &json!({"color": "blue"})));
        assert!(recovered.metadata.set_at("/color").is_some());
        assert_eq!(cloud.published("/get").len(), 1);
        // It goes on from there, and nothing comes twice.
        silent(&mut deltas).await;
        cloud.desire(&lamp(), &json!({"level": 1}));
        assert_eq!(versions(&mut deltas).await, [4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_lives_on_brings_the_deltas_itself_and_nothing_is_asked() {
    for version in BOTH {
        let cloud = Cloud::new();
        let builder = cloud.builder(version).clean_start(false);
        let builder = if version == Version::V5 { builder.session_expiry(secs(3600)) } else { builder };
        let client = builder.connect().await.unwrap();
        let mut deltas = shadow(&client).deltas().await.unwrap();
        cloud.outage();
        settle().await;
        cloud.desire(&lamp(), &json!({"a": 1}));
        cloud.desire(&lamp(), &json!({"a": 2}));
        cloud.back();
        assert_eq!(deltas.next().await.unwrap().version, 1);
        assert_eq!(deltas.next().await.unwrap().version, 2);
        silent(&mut deltas).await;
        assert_eq!(cloud.published("/get"), [json!(null); 0], "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn several_outages_that_nobody_looked_at_are_recovered_from_together() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let mut deltas = shadow(&client).deltas().await.unwrap();
    for n in 0..3 {
        cloud.outage();
        settle().await;
        cloud.desire(&lamp(), &json!({ "n": n }));
        cloud.back();
        client.online().await.unwrap();
        settle().await;
    }
    let recovered = deltas.next().await.unwrap();
    assert_eq!((recovered.version, recovered.state), (3, json!({"n": 2})));
    silent(&mut deltas).await;
    assert_eq!(cloud.published("/get").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shadow_that_was_deleted_in_an_outage_is_noticed() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let mut deltas = shadow(&client).deltas().await.unwrap();
    delta(&cloud, 50);
    assert_eq!(versions(&mut deltas).await, [50]);
    cloud.cut();
    silent(&mut deltas).await;
    client.online().await.unwrap();
    silent(&mut deltas).await;
    assert_eq!(cloud.published("/get").len(), 1);
    delta(&cloud, 1);
    assert_eq!(versions(&mut deltas).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_cannot_be_had_is_asked_for_again_with_longer_and_longer_waits() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let mut deltas = shadow(&client).deltas().await.unwrap();
    cloud.desire(&lamp(), &json!({"a": 1}));
    assert_eq!(versions(&mut deltas).await, [1]);
    cloud.rules(|rules| rules.requests_per_second = 0);
    cloud.desire_anyway(&json!({"a": 2}));
    deltas.catch_up();
    let begun = Instant::now();
    assert!(timeout(secs(10), deltas.next()).await.is_err());
    assert_eq!(deltas.catch_up_error().unwrap().rejection().unwrap().code, 429);
    let asked = cloud.published("/get").len();
    assert_eq!(asked, 4, "at 0, 1, 3 and 7 seconds");
    cloud.rules(|rules| rules.requests_per_second = u32::MAX);
    assert_eq!(deltas.next().await.unwrap().state, json!({"a": 2}));
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert!(deltas.catch_up_error().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_get_that_is_not_allowed_leaves_the_deltas_as_they_are() {
    let cloud = Cloud::new();
    cloud.deny_subscribe(&format!("{PREFIX}/get/accepted"));
    let client = cloud.device(Version::V5).await;
    let mut deltas = shadow(&client).deltas().await.unwrap();
    deltas.catch_up();
    silent(&mut deltas).await;
    assert!(!deltas.catch_up_error().unwrap().is_retryable());
    cloud.desire(&lamp(), &json!({"a": 1}));
    assert_eq!(versions(&mut deltas).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn the_echo_pattern_settles_the_difference() {
    #[derive(Debug, Deserialize)]
    struct Wish {
        color: Option<String>,
    }
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let shadow = shadow(&client);
        let mut deltas = shadow.deltas().await.unwrap();
        let device = tokio::spawn(async move {
            let mut colors = Vec::new();
            while let Some(delta) = deltas.next().await {
                colors.extend(delta.state_as::<Wish>().unwrap().color);
                shadow.update(Update::new().reported(delta.state)).await.unwrap();
            }
            colors
        });
        for color in ["red", "green", "blue"] {
            cloud.desire(&lamp(), &json!({ "color": color }));
            settle().await;
            settle().await;
            let state = cloud.document(&lamp()).unwrap()["state"].clone();
            assert_eq!(state, json!({"desired": {"color": color}, "reported": {"color": color}}));
        }
        client.disconnect().await.unwrap();
        drop(client);
        device.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn streams_of_one_shadow_are_independent_and_end_with_the_client() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow = shadow(&client);
    let (mut one, mut other) = (shadow.deltas().await.unwrap(), shadow.deltas().await.unwrap());
    cloud.desire(&lamp(), &json!({"a": 1}));
    assert_eq!((versions(&mut one).await, versions(&mut other).await), (vec![1], vec![1]));
    drop(other);
    cloud.desire(&lamp(), &json!({"a": 2}));
    assert_eq!(versions(&mut one).await, [2]);
    assert!(client.close(secs(1)).await.unwrap().is_empty());
    assert!(one.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn documents_tell_every_change_before_and_after() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Lamp {
        n: Option<u32>,
    }
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow = shadow(&client);
    let mut documents = shadow.documents::<Lamp>().await.unwrap();
    assert_eq!(cloud.subscribed(), [[format!("{PREFIX}/update/documents")]]);
    let accepted = shadow.update(Update::new().reported(json!({"n": 1}))).await.unwrap();
    let change = documents.next().await.unwrap();
    assert_eq!((change.previous, change.current.version), (None, 1));
    assert_eq!(change.current.state.reported, Some(Lamp { n: Some(1) }));
    assert_eq!(change.client_token, accepted.client_token);
    cloud.update(&lamp(), &json!({"state": {"reported": {"n": "no number"}}}));
    cloud.update(&lamp(), &json!({"state": {"reported": {"n": 3}}}));
    // The one in between is no `Lamp`, and neither is the one that has it as what was before.
    cloud.update(&lamp(), &json!({"state": {"reported": {"n": 4}}}));
    let change = documents.next().await.unwrap();
    assert_eq!(change.previous.unwrap().state.reported, Some(Lamp { n: Some(3) }));
    assert_eq!(documents.unreadable(), 2);
    // A late one is left out; a shadow that is made anew is not.
    let document = |version: u64, previous: Value| {
        json!({"previous": previous, "current": {"state": {}, "version": version}}).to_string()
    };
    let topic = format!("{PREFIX}/update/documents");
    cloud.publish(&topic, document(2, json!({"state": {}, "version": 1})));
    cloud.publish(&topic, document(1, Value::Null));
    assert_eq!(documents.next().await.unwrap().current.version, 1);
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_is_waited_for_in_vain_is_not_lost() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let mut deltas = shadow(&client).deltas().await.unwrap();
    for _ in 0..10 {
        assert!(timeout(secs(1), deltas.next()).await.is_err());
    }
    cloud.desire(&lamp(), &json!({"a": 1}));
    deltas.catch_up();
    // Given up in the middle of the question, too.
    assert!(timeout(secs(0), deltas.next()).await.is_err());
    let delta: Delta = deltas.next().await.unwrap();
    assert_eq!(delta.version, 1);
}
