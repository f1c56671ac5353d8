//! Shadows under whatever a network and a service do, for seed after seed: several shadows with different options on one
//! connection that is cut, stalls and loses its session, with answers that are late, refused, or somebody else's.
//!
//! `SHADOW_SEEDS=5000 cargo test -p aws-iot --test shadow_simulation` runs more of them, `SHADOW_SEED=17` just one.

#![cfg(feature = "shadow")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]

mod cloud;

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_iot::shadow::{Delta, ErrorKind, Options, ShadowClient, ShadowError, ShadowId, Update, Value};
use aws_iot::{Client, Message, QoS, Version};
use cloud::{Cloud, pass, secs, settle};
use serde_json::json;
use tokio::time::{Instant, timeout};

/// SplitMix64: the same numbers for the same seed.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn millis(&mut self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}

/// How the updates of a run ended, by their tokens.
#[derive(Default)]
struct Account {
    accepted: BTreeMap<String, u64>,
    refused: BTreeSet<String>,
    never_sent: BTreeSet<String>,
    ended: usize,
}

type Shared = Arc<Mutex<Account>>;

/// Everything of one seed.
async fn run(seed: u64) {
    let mut random = Random(seed);
    let version = if random.chance(50) { Version::V5 } else { Version::V3_1_1 };
    let cloud = Cloud::new();
    let lasting = random.chance(50);
    let builder = cloud.builder(version).clean_start(!lasting);
    let builder =
        if lasting && version == Version::V5 { builder.session_expiry(secs(3600)) } else { builder };
    let client = builder.connect().await.unwrap();

    let ids = ["lamp", "other"].map(|thing| ShadowId::classic(thing).unwrap());
    let ids = [&ids[..], &[ShadowId::named("lamp", "cfg").unwrap()]].concat();
    let shadows: Vec<ShadowClient> = ids
        .into_iter()
        .map(|id| {
            let options = Options::default()
                .keep_subscribed(random.chance(50))
                .wait_for_connection(random.chance(30))
                .wildcards(random.chance(30))
                .timeout(Duration::from_millis(500 + random.below(6_000)));
            client.shadow_with(id, options)
        })
        .collect();
    let account = Shared::default();
    let tasks: Vec<_> = (0..6)
        .map(|worker| {
            let (mut random, client, account) = (Random(random.next()), client.clone(), Arc::clone(&account));
            let shadow = shadows[worker % shadows.len()].clone();
            tokio::spawn(async move {
                for _ in 0..12 {
                    operation(&mut random, &client, &shadow, &account).await;
                    pass(random.millis(800)).await;
                }
            })
        })
        .collect();
    let faults = tokio::spawn(faults(Random(random.next()), cloud.clone()));
    for task in tasks {
        timeout(secs(3600), task).await.expect("every operation ends").unwrap();
    }
    faults.abort();
    cloud.serve(true);
    cloud.rules(|rules| rules.requests_per_second = u32::MAX);
    cloud.back();
    timeout(secs(600), client.online()).await.expect("the network is back").unwrap();
    pass(secs(60)).await;

    check(&cloud, &account.lock().unwrap());
    let kept = cloud.subscriptions();
    let allowed = |filter: &String| {
        let of = |shadow: &ShadowClient| filter.starts_with(&format!("{}/", shadow.id()));
        filter == "plain" || shadows.iter().any(of) && !filter.ends_with("/delta")
    };
    assert!(kept.iter().all(allowed), "only answers are kept: {kept:?}");
    drop(shadows);
    settle().await;
    assert_eq!(cloud.subscriptions(), [""; 0], "nothing is left");
}

/// The service's account and the client's agree.
fn check(cloud: &Cloud, account: &Account) {
    let mut sent = BTreeSet::new();
    for request in cloud.published("/update").into_iter().chain(cloud.published("/get")) {
        let token = request["clientToken"].as_str().unwrap().to_owned();
        assert!(sent.insert(token.clone()), "{token} was sent twice");
    }
    let mut accepted = BTreeMap::new();
    for document in cloud.said("/update/accepted") {
        let Some(token) = document["clientToken"].as_str() else { continue };
        let before = accepted.insert(token.to_owned(), document["version"].as_u64().unwrap());
        assert_eq!(before, None, "{token} took effect twice");
    }
    for (token, version) in &account.accepted {
        assert_eq!(accepted.get(token), Some(version), "{token} was told as accepted");
    }
    for token in &account.refused {
        assert!(!accepted.contains_key(token), "{token} was told as refused");
    }
    for token in &account.never_sent {
        assert!(!sent.contains(token), "{token} was told as not sent");
    }
    assert!(account.ended > 0);
}

async fn operation(random: &mut Random, client: &Client, shadow: &ShadowClient, account: &Shared) {
    match random.below(10) {
        0..=3 => {
            let state = json!({ "n": random.below(5), "deep": {"m": random.below(3)} });
            let update =
                if random.chance(60) { Update::new().desired(state) } else { Update::new().reported(state) };
            let call = shadow.update(update);
            let accepted = ends(call.into_future()).await;
            let mut account = account.lock().unwrap();
            account.ended += 1;
            match accepted {
                Ok(accepted) => {
                    let token = accepted.client_token.unwrap();
                    assert_eq!(account.accepted.insert(token, accepted.version), None, "answered twice");
                }
                Err(error) => {
                    let token = error.client_token().unwrap().to_owned();
                    match error.kind() {
                        ErrorKind::Rejected(_) => drop(account.refused.insert(token)),
                        ErrorKind::Offline => drop(account.never_sent.insert(token)),
                        ErrorKind::TimedOut { .. } | ErrorKind::Session(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        4 | 5 => {
            let document = ends(shadow.get::<Value>().into_future()).await;
            assert!(
                document.is_ok_and(|document| document.client_token.is_some()) || client.stats().attempts > 0
            );
        }
        6 => {
            // Given up in the middle.
            let _ = timeout(random.millis(50), shadow.get::<Value>().into_future()).await;
        }
        7 => {
            let _ = ends(shadow.delete().into_future()).await;
        }
        8 => {
            let message = Message::new("plain", "x").unwrap();
            let _ = timeout(secs(20), client.publish(message)).await;
        }
        _ => deltas(random, shadow).await,
    }
}

/// Listens for a while; versions only grow, since deleted shadows are remembered.
async fn deltas(random: &mut Random, shadow: &ShadowClient) {
    let Ok(mut deltas) = shadow.deltas().await else { return };
    if random.chance(50) {
        deltas.catch_up();
    }
    let mut last = 0;
    for _ in 0..random.below(6) {
        let Ok(Some(delta)) = timeout(random.millis(5_000), deltas.next()).await else { continue };
        let Delta { version, state, .. } = delta;
        assert!(version > last && state.is_object(), "{version} after {last}");
        last = version;
    }
}

/// The outcome of a call, which comes within its time.
async fn ends<R>(call: impl Future<Output = Result<R, ShadowError>>) -> Result<R, ShadowError> {
    let begun = Instant::now();
    let outcome = call.await;
    let took = begun.elapsed();
    assert!(took <= Duration::from_millis(6_501), "it took {took:?}");
    if let Err(error) = &outcome
        && let ErrorKind::TimedOut { within } = error.kind()
    {
        assert!(took >= *within, "{error} after {took:?}");
    }
    outcome
}

async fn faults(mut random: Random, cloud: Cloud) {
    let hostile =
        ["[]", "1", "null", "{", "{\"version\":1e999}", "{\"version\":1,\"state\":{},\"clientToken\":\"t\"}"];
    let tails = ["get/accepted", "update/rejected", "update/delta", "update/accepted"];
    let mut delay = secs(0);
    loop {
        pass(random.millis(2_000)).await;
        match random.below(8) {
            0 => cloud.cut(),
            1 => {
                cloud.outage();
                pass(random.millis(10_000)).await;
                cloud.back();
            }
            2 => {
                delay += random.millis(3_000);
                cloud.rules(|rules| rules.answer_delay = delay);
            }
            3 => {
                // A service answers in order: nothing new before the late answers are out.
                cloud.serve(false);
                pass(delay).await;
                delay = secs(0);
                cloud.rules(|rules| rules.answer_delay = delay);
                cloud.serve(true);
            }
            4 => cloud.rules(|rules| rules.requests_per_second = 0),
            5 => cloud.rules(|rules| rules.requests_per_second = u32::MAX),
            6 => cloud.forget_sessions(),
            _ => {
                let topic = format!("$aws/things/lamp/shadow/{}", tails[random.below(4) as usize]);
                let payload = hostile[random.below(6) as usize];
                if !topic.ends_with("/delta") {
                    cloud.publish(&topic, payload);
                }
            }
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn every_request_ends_once_as_the_service_has_it_and_no_subscription_is_left() {
    let seeds = match number("SHADOW_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SHADOW_SEEDS").unwrap_or(150),
    };
    for seed in seeds {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let outcome = std::panic::catch_unwind(|| runtime.block_on(run(seed)));
        if let Err(panic) = outcome {
            eprintln!("this was seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_subscription_beside_shadows_is_not_theirs_to_end() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let topic = "$aws/things/lamp/shadow/get/accepted";
    let mut own = client.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
    let shadow =
        client.shadow_with(ShadowId::classic("lamp").unwrap(), Options::default().keep_subscribed(false));
    cloud.desire(&cloud::lamp(), &json!({"a": 1}));
    shadow.get::<Value>().await.unwrap();
    settle().await;
    assert_eq!(cloud.subscriptions(), [topic], "the application has it still");
    assert!(own.next().await.is_some(), "and heard the answer too");
}
