//! After it all: everything works, and nothing is left over.

use std::collections::BTreeSet;
use std::rc::Rc;

use aws_iot::shadow::{Update, Value};
use serde_json::json;
use tokio::time::timeout;

use super::check::{check, stored};
use super::cloud::{pass, secs, settle};
use super::faults::heal;
use super::random::Random;
use super::work::{Run, Shadow, What};

/// The network is sound, the service answers, all streams that go on listen.
pub(crate) async fn finale(mut random: Random, run: Rc<Run>, listeners: Vec<usize>) {
    heal(&mut random, &run);
    settle().await;
    timeout(secs(600), run.client.online()).await.expect("the network is back").unwrap();
    // Documents are asked for again after a minute at most, and answers are out.
    pass(secs(130)).await;
    check(&run);
    all_know(&run, &listeners);

    for Shadow { client, .. } in run.shadows.iter().chain([&run.in_step]) {
        let desired = json!({"last": random.below(1_000)});
        let accepted = client.update(Update::new().desired(desired)).await.unwrap();
        let document = client.get::<Value>().await.unwrap();
        assert!(document.version >= accepted.version);
        client.delete().await.unwrap();
        assert!(client.get::<Value>().await.unwrap_err().is_missing());
    }
    for (at, id) in run.ids.iter().enumerate() {
        run.cloud.ask(&format!("{id}/update"), &json!({"state": {"desired": {"very": at, "last": null}}}));
    }
    pass(secs(10)).await;
    all_know(&run, &listeners);

    let mut expected = kept(&run);
    for at in &listeners {
        expected.extend(
            ["update/delta", "delete/accepted"]
                .map(|tail| format!("{}/{tail}", run.shadows[*at].client.id())),
        );
    }
    expected.extend(
        ["update/delta", "delete/accepted"].map(|tail| format!("{}/{tail}", run.in_step.client.id())),
    );
    assert_subscribed(&run, &expected);
}

/// Whoever listens has heard what the service has, and does so.
fn all_know(run: &Run, listeners: &[usize]) {
    for at in listeners {
        let id = run.shadows[*at].client.id();
        let document = run.cloud.document(&stored(id)).unwrap_or_default();
        let version = document["version"].as_u64();
        let is_it = |what: &What| matches!(what, What::Delta { version: last, .. } if Some(*last) == version);
        let account = run.account.borrow();
        let heard = account.events.iter().any(|event| event.shadow == *at && is_it(&event.what));
        assert!(
            heard || document["state"]["delta"].is_null(),
            "{id}: nobody was told of {document}\n{}",
            run.cloud.journal(|journal| super::check::shown(journal, id))
        );
    }
    let document = run.cloud.document(&stored(run.in_step.client.id())).unwrap_or_default();
    let (state, own) = (&document["state"], run.sync.state());
    assert!(state["delta"].is_null(), "it is in step: {document}");
    let is_reported = |(name, value): (&String, &Value)| state["reported"][name] == *value;
    assert!(own.as_object().unwrap().iter().all(is_reported), "{own} is reported: {document}");
}

/// What shadows keep that have asked for everything, and the plain subscription.
pub(crate) fn kept(run: &Run) -> BTreeSet<String> {
    let mut filters = BTreeSet::from(["plain".to_owned()]);
    for Shadow { client, options } in run.shadows.iter().chain([&run.in_step]) {
        let tails: &[&str] = match options.wildcards {
            _ if !options.keep_subscribed => &[],
            true => &["+"],
            false => &["accepted", "rejected"],
        };
        for kind in ["get", "update", "delete"] {
            filters.extend(tails.iter().map(|tail| format!("{}/{kind}/{tail}", client.id())));
        }
    }
    filters
}

pub(crate) fn assert_subscribed(run: &Run, expected: &BTreeSet<String>) {
    let subscribed: BTreeSet<String> = run.cloud.subscriptions().into_iter().collect();
    let leaked: Vec<_> = subscribed.difference(expected).collect();
    let missing: Vec<_> = expected.difference(&subscribed).collect();
    assert!(leaked.is_empty() && missing.is_empty(), "leaked {leaked:?}, missing {missing:?}");
    assert_eq!(run.client.stats().subscriptions, expected.len() as u64);
}
