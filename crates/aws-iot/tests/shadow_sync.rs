//! A state that is kept in step with its shadow, through bursts, outages and refusals.

#![cfg(feature = "shadow")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]

mod cloud;

use std::sync::{Arc, Mutex};

use aws_iot::shadow::{Options, ShadowId, ShadowSync, SyncError, Value};
use aws_iot::{Client, Version};
use cloud::{BOTH, Cloud, lamp, secs, settle};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Lamp {
    on: bool,
    level: u8,
    timer: Option<u32>,
}

#[derive(Deserialize)]
struct Wish {
    on: Option<bool>,
    level: Option<u8>,
}

fn sync(client: &Client) -> ShadowSync<Lamp> {
    ShadowSync::new(&client.shadow(ShadowId::classic("lamp").unwrap()), Lamp::default())
}

/// Does what is desired as far as it can: no level above 10.
fn run(sync: &ShadowSync<Lamp>) -> JoinHandle<Result<(), SyncError>> {
    let sync = sync.clone();
    tokio::spawn(async move {
        sync.run(|lamp, delta| {
            let wish: Wish = delta.state_as().unwrap();
            lamp.on = wish.on.unwrap_or(lamp.on);
            lamp.level = wish.level.unwrap_or(lamp.level).min(10);
        })
        .await
    })
}

fn state(cloud: &Cloud) -> Value {
    cloud.document(&lamp()).map_or(Value::Null, |document| document["state"].clone())
}

/// What was reported since the last look.
fn reports(cloud: &Cloud) -> Vec<Value> {
    cloud.published("/update").into_iter().map(|update| update["state"]["reported"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn it_reports_itself_does_what_is_desired_and_reports_that() {
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let sync = sync(&client);
        let _running = run(&sync);
        settle().await;
        assert_eq!(reports(&cloud), [json!({"on": false, "level": 0})]);
        cloud.desire(&lamp(), &json!({"on": true}));
        settle().await;
        assert_eq!(reports(&cloud), [json!({"on": true})], "only what is new");
        assert_eq!(state(&cloud), json!({"desired": {"on": true}, "reported": {"on": true, "level": 0}}));
        sync.modify(|lamp| lamp.timer = Some(5));
        settle().await;
        sync.modify(|lamp| lamp.timer = None);
        settle().await;
        assert_eq!(reports(&cloud), [json!({"timer": 5}), json!({"timer": null})]);
        assert_eq!(sync.state(), Lamp { on: true, level: 0, timer: None });
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_cannot_do_stays_a_difference_and_makes_no_noise() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let _running = run(&sync(&client));
    cloud.desire(&lamp(), &json!({"level": 99}));
    sleep(secs(3600)).await;
    assert_eq!(reports(&cloud), [json!({"on": false, "level": 10})]);
    assert_eq!(state(&cloud)["delta"], json!({"level": 99}));
    cloud.desire(&lamp(), &json!({"level": 100}));
    sleep(secs(3600)).await;
    assert_eq!(reports(&cloud), [json!(null); 0]);
}

#[tokio::test(start_paused = true)]
async fn what_was_desired_before_it_began_is_done_before_anything_is_reported() {
    let cloud = Cloud::new();
    cloud.desire(&lamp(), &json!({"on": true}));
    cloud.update(&lamp(), &json!({"state": {"reported": {"on": false, "level": 0, "of another": 1}}}));
    let client = cloud.device(Version::V5).await;
    let _running = run(&sync(&client));
    settle().await;
    assert_eq!(reports(&cloud), [json!({"on": true})]);
    assert_eq!(state(&cloud)["reported"], json!({"on": true, "level": 0, "of another": 1}));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_changes_is_one_report() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = sync(&client);
    let _running = run(&sync);
    settle().await;
    reports(&cloud);
    for level in 1..=9 {
        sync.modify(|lamp| lamp.level = level);
    }
    settle().await;
    assert_eq!(reports(&cloud), [json!({"level": 9})]);
    // Those that are made while a report is under way are in the next one.
    cloud.rules(|rules| rules.answer_delay = secs(1));
    sync.modify(|lamp| lamp.level = 1);
    settle().await;
    for level in 2..=5 {
        sync.modify(|lamp| lamp.level = level);
    }
    sleep(secs(3)).await;
    assert_eq!(reports(&cloud), [json!({"level": 1}), json!({"level": 5})]);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_deltas_is_applied_once_with_the_last_one() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = sync(&client);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (running, applied) = (sync.clone(), Arc::clone(&seen));
    let _running = tokio::spawn(async move {
        running
            .run_with(|_, delta| {
                let level = delta.state["level"].as_u64().unwrap();
                applied.lock().unwrap().push(level);
                async move {
                    sleep(secs(10)).await; // a motor
                    move |lamp: &mut Lamp| lamp.level = level.try_into().unwrap()
                }
            })
            .await
    });
    settle().await;
    for level in 1..=20 {
        cloud.desire(&lamp(), &json!({ "level": level }));
    }
    sleep(secs(60)).await;
    assert!(seen.lock().unwrap().len() <= 2, "{seen:?}");
    assert_eq!(seen.lock().unwrap().last(), Some(&20));
    assert_eq!(state(&cloud), json!({"desired": {"level": 20}, "reported": {"on": false, "level": 20}}));
}

#[tokio::test(start_paused = true)]
async fn changes_in_an_outage_are_reported_after_it_and_what_was_desired_meanwhile_comes_first() {
    for version in BOTH {
        let cloud = Cloud::new();
        let client = cloud.device(version).await;
        let sync = sync(&client);
        let _running = run(&sync);
        settle().await;
        reports(&cloud);
        cloud.outage();
        settle().await;
        sync.modify(|lamp| lamp.timer = Some(7));
        sync.modify(|lamp| lamp.level = 3);
        cloud.desire(&lamp(), &json!({"level": 8}));
        sleep(secs(100)).await;
        cloud.back();
        sleep(secs(100)).await;
        assert_eq!(reports(&cloud), [json!({"level": 8, "timer": 7})], "{version}");
        assert_eq!(sync.state(), Lamp { on: false, level: 8, timer: Some(7) });
        assert_eq!(state(&cloud).get("delta"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn it_may_begin_without_a_connection() {
    let cloud = Cloud::new();
    cloud.outage();
    let client = cloud.builder(Version::V5).connect_lazily().await.unwrap();
    let running = run(&sync(&client));
    sleep(secs(100)).await;
    cloud.back();
    client.online().await.unwrap();
    settle().await;
    assert_eq!(reports(&cloud), [json!({"on": false, "level": 0})]);
    assert!(!running.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_report_whose_fate_is_not_known_is_looked_up_before_the_next_one() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = sync(&client);
    let _running = run(&sync);
    settle().await;
    reports(&cloud);
    // It takes effect, but the answer comes too late.
    cloud.rules(|rules| rules.answer_delay = secs(3600));
    sync.modify(|lamp| lamp.timer = Some(9));
    sleep(secs(4)).await;
    sync.modify(|lamp| lamp.timer = None);
    sleep(secs(3)).await;
    cloud.rules(|rules| rules.answer_delay = secs(0));
    sleep(secs(200)).await;
    assert_eq!(reports(&cloud), [json!({"timer": 9}), json!({"timer": null})]);
    assert_eq!(state(&cloud)["reported"], json!({"on": false, "level": 0}));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_has_too_much_to_do_is_asked_again_later() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = sync(&client);
    let running = run(&sync);
    settle().await;
    reports(&cloud);
    cloud.rules(|rules| rules.requests_per_second = 0);
    sync.modify(|lamp| lamp.level = 1);
    sleep(secs(100)).await;
    let asked = reports(&cloud).len();
    assert!((5..=8).contains(&asked), "{asked} times in 100 s, with longer and longer waits");
    cloud.rules(|rules| rules.requests_per_second = u32::MAX);
    sleep(secs(60)).await;
    assert_eq!(state(&cloud)["reported"]["level"], 1);
    assert!(!running.is_finished());
}

#[tokio::test(start_paused = true)]
async fn after_a_delete_all_of_it_is_reported_with_the_next_change() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = sync(&client);
    let _running = run(&sync);
    settle().await;
    cloud.delete(&lamp());
    sleep(secs(100)).await;
    assert_eq!(cloud.document(&lamp()), None, "it is not made anew by itself");
    reports(&cloud);
    sync.modify(|lamp| lamp.level = 1);
    settle().await;
    assert_eq!(reports(&cloud), [json!({"on": false, "level": 1})]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_get_better_by_trying_again_ends_it() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow = client.shadow_with(ShadowId::classic("lamp").unwrap(), Options::default());
    let number = ShadowSync::new(&shadow, 5);
    let error = number.run(|_, _| {}).await.unwrap_err();
    assert!(matches!(&error, SyncError::State(why) if why.contains("object")), "{error}");

    let large = ShadowSync::new(&shadow, json!({"text": "x".repeat(9_000)}));
    let error = large.run(|_, _| {}).await.unwrap_err();
    let SyncError::Shadow(error) = error else { panic!("{error}") };
    assert_eq!(error.rejection().unwrap().code, 413);

    let first = sync(&client);
    let running = run(&first);
    settle().await;
    assert!(matches!(first.run(|_, _| {}).await, Err(SyncError::Running)));
    client.close(secs(1)).await.unwrap();
    let ended = timeout(secs(10), running).await.unwrap().unwrap();
    assert!(matches!(ended, Err(SyncError::Ended)), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn dropped_and_run_again_it_goes_on_from_the_same_state() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = sync(&client);
    let running = run(&sync);
    settle().await;
    running.abort();
    settle().await;
    sync.modify(|lamp| lamp.level = 4);
    sleep(secs(10)).await;
    reports(&cloud);
    let _running = run(&sync);
    settle().await;
    assert_eq!(reports(&cloud), [json!({"level": 4})]);
}
