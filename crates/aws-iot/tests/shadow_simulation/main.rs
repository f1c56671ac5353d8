//! Shadows under whatever a network and a service do, for seed after seed: several shadows with different options on one
//! connection that breaks after any byte, swallows what it carries, is closed, and loses its session, with answers that are
//! late, refused, repeated, or somebody else's; calls are given up, subscriptions and publishes not allowed.
//!
//! `SHADOW_SEEDS=5000 cargo test -p aws-iot --test shadow_simulation` runs more of them, `SHADOW_SEEDS=1 SHADOW_FROM=17` just
//! that one. The same seed is the same run.
//!
//! Checked are: each call ends once, within its time, as the service's journal has it; no token comes twice; what was accepted,
//! and nothing else, makes the service's shadows, without a count that is lost; deltas and documents come in order; after it all
//! every kind of request works, every stream delivers, a state kept in step is in step, exactly those subscriptions are left
//! that somebody holds, and nothing waits or runs that should not.

#![cfg(feature = "shadow")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests say what they expect by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]

mod check;
#[path = "../cloud/mod.rs"]
mod cloud;
mod faults;
mod finale;
mod link;
mod pool;
mod random;
mod work;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use aws_iot::crates::iot_transport::{Attempt, from_fn};
use aws_iot::shadow::{Options, ShadowClient, ShadowId, ShadowSync, Value};
use aws_iot::{Backoff, Client, QoS, Version};
use cloud::{Cloud, pass, secs, settle};
use finale::{assert_subscribed, finale, kept};
use iot_emulator::shadow::Order;
use link::Weather;
use pool::Pool;
use random::Random;
use serde_json::json;
use tokio::time::timeout;
use work::{Account, Run, Shadow, in_step, listener, worker};

/// One seed. Gives what happened, for comparison: of tokens, which are random, just the length.
async fn run(seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let cloud = Cloud::new();
    cloud.keep_journal();
    cloud.rules(|rules| {
        rules.delete_takes_a_version = random.chance(50);
        rules.order = *random.pick(&[Order::AcceptedFirst, Order::DeltaFirst]);
    });
    let weather = Weather::new(random.fork());
    let client = device(&mut random, &cloud, &weather).await;
    let mut plain = loop {
        match client.subscribe("plain", QoS::AtLeastOnce).await {
            Ok(messages) => break messages,
            Err(_) => pass(secs(1)).await,
        }
    };

    let ids = [
        ShadowId::classic("lamp").unwrap(),
        ShadowId::named("lamp", "cfg").unwrap(),
        ShadowId::classic("other").unwrap(),
    ];
    // Perhaps two clients of one shadow, each with its own way to ask.
    let shadows: Vec<Shadow> = (0..4).map(|at| shadow(&mut random, &client, &ids[at % 3])).collect();
    let in_step_id = ShadowId::named("other", "step").unwrap();
    let kept_in_step = shadow(&mut random, &client, &in_step_id);
    let sync = ShadowSync::new(&kept_in_step.client, json!({"n": 0, "on": true}));
    let run = Rc::new(Run {
        cloud: cloud.clone(),
        weather,
        client,
        ids: ids.into_iter().chain([in_step_id]).collect(),
        shadows,
        in_step: kept_in_step,
        sync,
        account: RefCell::<Account>::default(),
    });

    let mut pool = Pool::new(random.fork());
    for _ in 0..2 + random.below(5) {
        pool.add(worker(random.fork(), Rc::clone(&run), 12));
    }
    let listeners: Vec<usize> = (0..4).filter(|_| random.chance(30)).collect();
    for at in &listeners {
        pool.add_background(listener(random.fork(), Rc::clone(&run), *at));
    }
    pool.add_background(in_step(random.fork(), Rc::clone(&run)));
    pool.add_background(async move { while plain.next().await.is_some() {} });
    tokio::select! {
        biased;
        ended = timeout(secs(3_600), pool.run()) => ended.expect("every operation ends"),
        () = faults::faults(random.fork(), Rc::clone(&run)) => {}
    }
    pool.add(finale(random.fork(), Rc::clone(&run), listeners));
    timeout(secs(3_600), pool.run()).await.expect("the finale ends");

    // All streams go, but for the plain one, then everything.
    drop(pool);
    settle().await;
    let mut without_plain = kept(&run);
    without_plain.remove("plain");
    assert_subscribed(&run, &without_plain);
    let Ok(Run { client, shadows, in_step, sync, .. }) = Rc::try_unwrap(run).map_err(drop) else {
        panic!("nobody else has it")
    };
    drop((shadows, in_step, sync));
    settle().await;
    nothing_is_left(&cloud, &client);
    cloud.journal(|journal| {
        let line = |entry: &cloud::Entry| {
            format!("{:?} {:?} {} {}", entry.at, entry.by, entry.topic, entry.payload.len())
        };
        journal.iter().map(line).collect()
    })
}

async fn device(random: &mut Random, cloud: &Cloud, weather: &Weather) -> Client {
    let version = *random.pick(&cloud::BOTH);
    let (cloud, weather) = (cloud.clone(), weather.clone());
    let connector = from_fn(move |_: Attempt| {
        let link = weather.link(cloud.dial());
        async move { Ok(link) }
    });
    let lasting = random.chance(50);
    let builder = aws_iot::over(connector)
        .client_id("device")
        .version(version)
        .backoff(Backoff::new(secs(1), secs(1), secs(20)))
        .clean_start(!lasting);
    let builder =
        if lasting && version == Version::V5 { builder.session_expiry(secs(3_600)) } else { builder };
    let client = builder.connect_lazily().await.unwrap();
    timeout(secs(600), client.online()).await.unwrap().unwrap();
    client
}

fn shadow(random: &mut Random, client: &Client, id: &ShadowId) -> Shadow {
    let options = Options::default()
        .keep_subscribed(random.chance(50))
        .wait_for_connection(random.chance(30))
        .wildcards(random.chance(30))
        .timeout(Duration::from_millis(500 + random.below(6_000)));
    Shadow { client: client.shadow_with(id.clone(), options), options }
}

fn nothing_is_left(cloud: &Cloud, client: &Client) {
    assert_eq!(cloud.subscriptions(), [""; 0], "nobody listens");
    let stats = client.stats();
    assert_eq!((stats.subscriptions, stats.queued, stats.in_flight), (0, 0, 0));
    assert_eq!(cloud.under_way(), (1, 0, false), "one connection, nothing waits");
    // The driver, the broker's side of its connection, and the service's clock.
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 3);
}

fn simulate(seed: u64) -> Vec<String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let outcome = std::panic::catch_unwind(|| runtime.block_on(run(seed)));
    outcome.unwrap_or_else(|panic| {
        eprintln!("this was seed {seed}");
        std::panic::resume_unwind(panic);
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn every_request_ends_once_as_the_service_has_it_and_no_subscription_is_left() {
    let (from, seeds) = (number("SHADOW_FROM").unwrap_or(0), number("SHADOW_SEEDS").unwrap_or(200));
    for seed in from..from + seeds {
        simulate(seed);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..10 {
        let (one, other) = (simulate(seed), simulate(seed));
        let differs = one.iter().zip(&other).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.len(), other.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_subscription_beside_shadows_is_not_theirs_to_end() {
    let cloud = Cloud::new();
    let client = cloud.device(Version::V5).await;
    let topic = "$aws/things/lamp/shadow/get/accepted";
    let mut own = client.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
    let shadow: ShadowClient =
        client.shadow_with(ShadowId::classic("lamp").unwrap(), Options::default().keep_subscribed(false));
    cloud.desire(&cloud::lamp(), &json!({"a": 1}));
    shadow.get::<Value>().await.unwrap();
    settle().await;
    assert_eq!(cloud.subscriptions(), [topic], "the application has it still");
    assert!(own.next().await.is_some(), "and heard the answer too");
}
