//! What network, service and others do meanwhile.

use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::cloud::{By, Entry, pass};
use super::random::Random;
use super::work::Run;

/// What is no answer, and no delta.
const NONSENSE: [&str; 7] = [
    "[]",
    "1",
    "null",
    "{",
    "{\"version\":1e999}",
    "{\"version\":1,\"state\":{},\"clientToken\":\"t\"}",
    "{\"version\":1,\"state\":[],\"timestamp\":1}",
];

const TAILS: [&str; 6] = [
    "get/accepted",
    "update/rejected",
    "update/delta",
    "update/accepted",
    "delete/accepted",
    "update/documents",
];

/// For ever.
pub(crate) async fn faults(mut random: Random, run: Rc<Run>) {
    let cloud = &run.cloud;
    let pause = 200 + random.below(3_000);
    loop {
        pass(random.millis(pause)).await;
        match random.below(14) {
            0 => cloud.cut(),
            1 => {
                cloud.outage();
                pass(random.millis(10_000)).await;
                cloud.back();
            }
            2 => {
                let delay = random.millis(8_000);
                cloud.rules(|rules| rules.answer_delay = delay);
            }
            3 => cloud.rules(|rules| rules.answer_delay = Duration::ZERO),
            4 => {
                let rate = random.below(4) as u32;
                cloud.rules(|rules| rules.requests_per_second = rate);
            }
            5 => cloud.rules(|rules| rules.requests_per_second = u32::MAX),
            6 => {
                let most = 1 + random.below(3) as usize;
                cloud.rules(|rules| rules.max_in_flight = most);
            }
            7 => cloud.forget_sessions(),
            8 => cloud.expire(),
            9 => refuse(&mut random, &run).await,
            10 => {
                cloud.serve(false);
                pass(random.millis(8_000)).await;
                cloud.serve(true);
            }
            11 => {
                let topic = format!("{}/{}", random.pick(&run.shadows).client.id(), random.pick(&TAILS));
                // One that can be read as a deletion, or as a delta, would be one.
                cloud.publish(&topic, *random.pick(&NONSENSE[..5]));
                cloud.publish(&topic.replace("delete", "get").replace("delta", "accepted"), NONSENSE[5]);
                cloud.publish(&topic.replace("delete", "get"), NONSENSE[6]);
            }
            12 => repeat(&mut random, &run),
            _ => application(&mut random, &run),
        }
    }
}

/// The policy does not allow something for a while.
async fn refuse(random: &mut Random, run: &Run) {
    let topics =
        ["get/accepted", "get/+", "update/rejected", "delete/accepted", "update/delta", "+/accepted"];
    let id = random.pick(&run.shadows).client.id().to_string();
    let filter = format!("{id}/{}", random.pick(&topics));
    let asks = format!("{id}/{}", random.pick(&["get", "update"]));
    let publishes = random.chance(30);
    run.cloud.policy(|policy| match publishes {
        true => policy.deny_publish.push(asks.as_str().try_into().unwrap()),
        false => policy.deny_subscribe.push(filter.as_str().try_into().unwrap()),
    });
    if random.chance(50) {
        run.cloud.forget_sessions();
    }
    pass(random.millis(6_000)).await;
    run.cloud.policy(|policy| {
        policy.deny_publish.clear();
        policy.deny_subscribe.clear();
    });
}

/// Something that the service said comes once more.
fn repeat(random: &mut Random, run: &Run) {
    let said = run.cloud.journal(|journal| {
        let recent = &journal[journal.len().saturating_sub(100)..];
        let by_service = |entry: &&Entry| entry.by == By::Service;
        recent.iter().filter(by_service).cloned().collect::<Vec<_>>()
    });
    if !said.is_empty() {
        let entry = random.pick(&said);
        run.cloud.publish(&entry.topic, &entry.payload);
    }
}

/// Others want something.
fn application(random: &mut Random, run: &Run) {
    let id = random.pick(&run.ids).to_string();
    let token = format!("app-{:016x}", random.next());
    if random.chance(10) {
        run.cloud.ask(&format!("{id}/delete"), &json!({"clientToken": token}));
        return;
    }
    let state = json!({"n": random.below(100), "deep": {"m": random.below(3)}});
    let request = json!({"state": {"desired": state}, "clientToken": token});
    run.cloud.ask(&format!("{id}/update"), &request);
}

/// Everything is well again.
pub(crate) fn heal(random: &mut Random, run: &Run) {
    let cloud = &run.cloud;
    cloud.serve(true);
    cloud.rules(|rules| {
        rules.requests_per_second = u32::MAX;
        rules.max_in_flight = 1_000;
        rules.answer_delay = Duration::ZERO;
    });
    cloud.policy(|policy| {
        policy.deny_publish.clear();
        policy.deny_subscribe.clear();
    });
    cloud.back();
    if run.weather.clear_up() || random.chance(30) {
        cloud.cut();
    }
}
