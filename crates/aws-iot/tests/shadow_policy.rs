//! What shadows do where the policy does not let them, or a quota is used up.

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
use aws_iot::shadow::{ShadowSync, Value};
use cloud::{Cloud, Lamp, PREFIX, secs, settle, shadow};
use tokio::time::{sleep, timeout};

#[tokio::test(start_paused = true)]
async fn a_report_that_the_policy_forbids_ends_the_sync() {
    let cloud = Cloud::new();
    cloud.deny_publish(&format!("{PREFIX}/update"));
    let client = cloud.device(Version::V3_1_1).await;
    let sync = ShadowSync::new(&shadow(&client), Lamp::default());
    let running = sync.clone();
    let task = tokio::spawn(async move { running.run(|_, _| {}).await });
    sleep(secs(24 * 3600)).await;
    assert!(task.is_finished(), "{} connections in a day", client.stats().connections);
}

#[tokio::test(start_paused = true)]
async fn deltas_find_out_that_a_get_is_not_allowed() {
    let cloud = Cloud::new();
    cloud.deny_subscribe(&format!("{PREFIX}/get/accepted"));
    let client = cloud.device(Version::V3_1_1).await;
    let mut deltas = shadow(&client).deltas().await.unwrap();
    deltas.catch_up();
    let _ = timeout(secs(24 * 3600), deltas.next()).await;
    assert!(client.stats().connections < 10, "{}", client.stats().connections);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_allowed_ends_as_poisoned_in_3_1_1() {
    let cloud = Cloud::new();
    cloud.deny_subscribe(&format!("{PREFIX}/get/accepted"));
    let client = cloud.device(Version::V3_1_1).await;
    let shadow = shadow(&client);
    let error = shadow.get::<Value>().await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("get/accepted"), "{error}");
    // The connection lives on, and the others with it.
    shadow.delete().wait_for_connection(true).await.unwrap_err();
    let connections = client.stats().connections;
    sleep(secs(3600)).await;
    assert_eq!(client.stats().connections, connections);
}

#[tokio::test(start_paused = true)]
async fn deltas_without_the_right_to_get_do_not_cut_the_connection_for_ever() {
    let cloud = Cloud::new();
    cloud.deny_subscribe(&format!("{PREFIX}/get/accepted"));
    let client = cloud.builder(Version::V3_1_1).backoff(aws_iot::Backoff::default()).connect().await.unwrap();
    let mut deltas = shadow(&client).deltas().await.unwrap();
    let _task = tokio::spawn(async move { while deltas.next().await.is_some() {} });
    sleep(secs(60)).await;
    assert_eq!(client.stats().connections, 1);
    cloud.cut();
    sleep(secs(24 * 3600)).await;
    assert!(client.stats().connections < 20, "{}", client.stats().connections);
}

#[tokio::test(start_paused = true)]
async fn deltas_without_the_right_to_ask_do_not_cut_the_connection_for_ever() {
    let cloud = Cloud::new();
    cloud.deny_publish(&format!("{PREFIX}/get"));
    let client = cloud.builder(Version::V3_1_1).backoff(aws_iot::Backoff::default()).connect().await.unwrap();
    let mut deltas = shadow(&client).deltas().await.unwrap();
    let _task = tokio::spawn(async move { while deltas.next().await.is_some() {} });
    sleep(secs(60)).await;
    assert_eq!(client.stats().connections, 1);
    cloud.cut();
    sleep(secs(24 * 3600)).await;
    assert!(client.stats().connections < 20, "{}", client.stats().connections);
}

#[tokio::test(start_paused = true)]
async fn a_sync_without_the_right_to_get_ends_in_3_1_1() {
    let cloud = Cloud::new();
    cloud.deny_subscribe(&format!("{PREFIX}/get/accepted"));
    let client = cloud.builder(Version::V3_1_1).backoff(aws_iot::Backoff::default()).connect().await.unwrap();
    let sync = ShadowSync::new(&shadow(&client), Lamp::default());
    let running = sync.clone();
    let task = tokio::spawn(async move { running.run(|_, _| {}).await });
    sleep(secs(24 * 3600)).await;
    assert!(
        task.is_finished(),
        "{} connections, {} attempts",
        client.stats().connections,
        client.stats().attempts
    );
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_free_again_later_does_not_end_the_sync() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let mut others = Vec::new();
    for n in 0..47 {
        others.push(
            client
                .session()
                .subscribe(format!("other/{n}").as_str(), aws_iot::QoS::AtLeastOnce)
                .await
                .unwrap(),
        );
    }
    let sync = ShadowSync::new(&shadow(&client), Lamp::default());
    let running = sync.clone();
    let task = tokio::spawn(async move { running.run(|_, _| {}).await });
    settle().await;
    drop(others);
    sleep(secs(100)).await;
    assert!(!task.is_finished(), "{:?}", task.await);
}
