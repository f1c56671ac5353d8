//! `examples.txt`, request by request.

use super::*;

#[test]
fn every_worked_example_is_answered_as_written() {
    let mut service = Service::default();
    let mut wanted = Vec::new();
    let mut got = Vec::new();
    let mut requests = 0;
    let settle = |wanted: &mut Vec<(String, Value)>, got: &mut Vec<(String, Value)>, request: &str| {
        let by_topic = |one: &(String, Value), other: &(String, Value)| one.0.cmp(&other.0);
        wanted.sort_by(by_topic);
        got.sort_by(by_topic);
        assert_eq!(wanted, got, "{request}");
        wanted.clear();
        got.clear();
    };
    let mut request = "";
    for line in include_str!("examples.txt").lines() {
        if let Some(prefix) = line.strip_prefix("prefix ") {
            settle(&mut wanted, &mut got, request);
            service = Service::default();
            let name = prefix.strip_prefix("$aws/things/T/shadow").unwrap().strip_prefix("/name/");
            service.id = ShadowId::new("T", name).unwrap();
        } else if let Some(rest) = line.strip_prefix("at ") {
            settle(&mut wanted, &mut got, request);
            request = line;
            requests += 1;
            let mut words = rest.splitn(3, ' ');
            service.now = at(words.next().unwrap().parse().unwrap());
            let tail = words.next().unwrap();
            got = service.ask(tail, spelled_out(words.next().unwrap_or_default()));
        } else if let Some(answer) = line.strip_prefix("    ") {
            let (tail, document) = answer.split_once(' ').unwrap();
            wanted.push((tail.to_owned(), serde_json::from_str(document).unwrap()));
        }
    }
    settle(&mut wanted, &mut got, request);
    assert_eq!(requests, 41);
}

/// `{N x}` is N times x.
fn spelled_out(payload: &str) -> String {
    match payload.split_once(" x}") {
        Some((before, after)) => {
            let (before, count) = before.rsplit_once('{').unwrap();
            format!("{before}{}{after}", "x".repeat(count.parse().unwrap()))
        }
        None => payload.to_owned(),
    }
}
