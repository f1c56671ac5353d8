//! A state kept in step: what crosses, what is slow, and what others do meanwhile.

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
use std::time::Duration;

use aws_iot::Version;
use aws_iot::shadow::{Options, ShadowId, ShadowSync, Value};
use cloud::{Cloud, Lamp, PREFIX, lamp, secs, settle, shadow};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn after_a_burst_during_a_long_apply_the_last_wish_is_done() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = ShadowSync::new(&shadow(&client), Lamp::default());
    let running = sync.clone();
    let _task = tokio::spawn(async move {
        running
            .run_with(|lamp, delta| async move {
                sleep(secs(120)).await;
                let level = delta.state["level"].as_u64().unwrap_or(lamp.level);
                move |lamp: &mut Lamp| lamp.level = level
            })
            .await
    });
    settle().await;
    for level in 1..=1000u64 {
        cloud.desire(&lamp(), &json!({"level": level}));
        sleep(Duration::from_millis(100)).await;
    }
    sleep(secs(3600)).await;
    assert_eq!(sync.state().level, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_crosses_a_report_leaves_no_half_of_a_state() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = ShadowSync::new(&shadow(&client), Lamp::default());
    let running = sync.clone();
    let _task = tokio::spawn(async move { running.run(|_, _| {}).await });
    settle().await;
    sync.modify(|lamp| lamp.level = 7);
    cloud.delete(&lamp());
    sleep(secs(3600)).await;
    let document = cloud.document(&lamp());
    let reported = document.map(|document| document["state"]["reported"].clone());
    assert!(reported.is_none() || reported == Some(json!({"on": false, "level": 7})), "{reported:?}");
}

#[test]
fn apply_may_look_at_the_state() {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let cloud = Cloud::new();
            cloud.desire(&lamp(), &json!({"level": 1}));
            let client = cloud.device(Version::V5).await;
            let sync = ShadowSync::new(&shadow(&client), Lamp::default());
            let running = sync.clone();
            let _task = tokio::spawn(async move {
                let inner = running.clone();
                running
                    .run(move |_, _| {
                        let _ = inner.state();
                    })
                    .await
            });
            settle().await;
            tell.send(()).unwrap();
        });
    });
    assert!(told.recv_timeout(Duration::from_secs(20)).is_ok(), "it hangs");
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_document_does_not_end_the_sync() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = ShadowSync::new(&shadow(&client), Lamp::default());
    cloud.serve(false);
    let running = sync.clone();
    let task = tokio::spawn(async move { running.run(|_, _| {}).await });
    settle().await;
    let token = cloud.published("/get").pop().unwrap()["clientToken"].clone();
    // A lone surrogate: JSON by its grammar, and a string that some services store as it is.
    cloud.publish(
        &format!("{PREFIX}/get/accepted"),
        format!(r#"{{"state":{{"desired":{{"x":"\ud800"}}}},"version":3,"clientToken":{token}}}"#),
    );
    settle().await;
    assert!(!task.is_finished(), "{:?}", task.await);
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_unsubscribed_do_not_end_the_sync() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = ShadowSync::new(&shadow(&client), Lamp::default());
    let running = sync.clone();
    let task = tokio::spawn(async move { running.run(|_, _| {}).await });
    settle().await;
    cloud.rules(|rules| rules.answer_delay = secs(1));
    sync.modify(|lamp| lamp.level = 7);
    settle().await;
    client.session().unsubscribe(format!("{PREFIX}/update/accepted").as_str()).await.unwrap();
    sleep(secs(100)).await;
    assert!(!task.is_finished(), "{:?}", task.await);
}

#[tokio::test(start_paused = true)]
async fn after_a_burst_that_changes_nothing_the_last_wish_is_done() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = ShadowSync::new(&shadow(&client), Lamp::default());
    let running = sync.clone();
    let _task = tokio::spawn(async move {
        running
            .run_with(|lamp, delta| async move {
                sleep(secs(120)).await;
                let level = delta.state["level"].as_u64().unwrap_or(lamp.level).min(10);
                move |lamp: &mut Lamp| lamp.level = level
            })
            .await
    });
    settle().await;
    cloud.desire(&lamp(), &json!({"level": 11}));
    sleep(secs(600)).await;
    assert_eq!(sync.state().level, 10);
    for level in 12..=600u64 {
        cloud.desire(&lamp(), &json!({"level": level}));
        sleep(Duration::from_millis(150)).await;
    }
    cloud.desire(&lamp(), &json!({"level": 3}));
    sleep(secs(24 * 3600)).await;
    assert_eq!(sync.state().level, 3);
}

#[tokio::test(start_paused = true)]
async fn what_others_report_inside_a_member_is_left_alone() {
    #[derive(Clone, Serialize)]
    struct Nested {
        net: Net,
    }
    #[derive(Clone, Serialize)]
    struct Net {
        ssid: &'static str,
    }
    let cloud = Cloud::new();
    cloud.update(
        &lamp(),
        &json!({"state": {"reported": {"net": {"ssid": "a", "rssi of another": 1}, "other": 1}}}),
    );
    let client = cloud.device(Version::V5).await;
    let sync = ShadowSync::new(&shadow(&client), Nested { net: Net { ssid: "b" } });
    let running = sync.clone();
    let _task = tokio::spawn(async move { running.run(|_, _| {}).await });
    settle().await;
    assert_eq!(
        cloud.document(&lamp()).unwrap()["state"]["reported"],
        json!({"net": {"ssid": "b", "rssi of another": 1}, "other": 1})
    );
}

#[tokio::test(start_paused = true)]
async fn a_sensor_is_reported_while_a_motor_runs() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let sync = ShadowSync::new(&shadow(&client), Lamp::default());
    let running = sync.clone();
    let _task = tokio::spawn(async move {
        running
            .run_with(|lamp, delta| async move {
                sleep(secs(10)).await;
                let level = delta.state["level"].as_u64().unwrap_or(lamp.level);
                move |lamp: &mut Lamp| lamp.level = level
            })
            .await
    });
    settle().await;
    cloud.desire(&lamp(), &json!({"level": 5}));
    sleep(secs(1)).await;
    sync.modify(|lamp| lamp.on = true); // a button
    sleep(secs(60)).await;
    assert!(sync.state().on, "the button is forgotten");
}

#[tokio::test(start_paused = true)]
async fn changes_are_reported_when_the_connection_is_back_whenever_that_is() {
    let mut worst = secs(0);
    for outage in (60..400).step_by(7) {
        let cloud = Cloud::new();
        let client =
            cloud.builder(Version::V5).clean_start(false).session_expiry(secs(3600)).connect().await.unwrap();
        let shadow = client
            .shadow_with(ShadowId::classic("lamp").unwrap(), Options::default().wait_for_connection(true));
        let sync = ShadowSync::new(&shadow, Lamp::default());
        let running = sync.clone();
        let _task = tokio::spawn(async move { running.run(|_, _| {}).await });
        settle().await;
        cloud.outage();
        settle().await;
        sync.modify(|lamp| lamp.level = 7);
        sleep(secs(outage)).await;
        cloud.back();
        client.online().await.unwrap();
        let begun = Instant::now();
        while cloud.document(&lamp()).unwrap()["state"]["reported"]["level"] != 7 {
            sleep(Duration::from_millis(100)).await;
        }
        worst = worst.max(begun.elapsed());
    }
    assert!(worst < secs(5), "{worst:?}");
}

#[tokio::test(start_paused = true)]
async fn a_get_from_within_apply_is_answered() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let shadow =
        client.shadow_with(ShadowId::classic("lamp").unwrap(), Options::default().keep_subscribed(false));
    let sync = ShadowSync::new(&shadow, Lamp::default());
    let (running, asked) = (sync.clone(), shadow.clone());
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&outcomes);
    let _task = tokio::spawn(async move {
        running
            .run_with(move |_, _| {
                let (asked, seen) = (asked.clone(), Arc::clone(&seen));
                async move {
                    let outcome = asked.get::<Value>().await.map(|s| s.version).map_err(|e| e.to_string());
                    seen.lock().unwrap().push(outcome);
                    |_: &mut Lamp| {}
                }
            })
            .await
    });
    settle().await;
    // A new connection and a delta that is there when it is noticed.
    cloud.cut();
    client.online().await.unwrap();
    for n in 0..4 {
        tokio::task::yield_now().await;
        cloud.desire(&lamp(), &json!({"level": n}));
    }
    sleep(secs(30)).await;
    assert!(outcomes.lock().unwrap().iter().all(Result::is_ok), "{outcomes:?}");
}
