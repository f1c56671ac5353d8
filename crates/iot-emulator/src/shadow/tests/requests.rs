//! What is a request, what is refused, and what is the same in all documents.

use super::*;

#[test]
fn only_the_topics_of_requests_are_requests() {
    let mut shadows = Shadows::default();
    let thing = "a".repeat(128);
    let name = "n".repeat(64);
    for topic in [
        format!("$aws/things/{thing}/shadow/get"),
        format!("$aws/things/{thing}/shadow/name/{name}/delete"),
        "$aws/things/a:_-Z9/shadow/name/$package/update".to_owned(),
    ] {
        assert!(shadows.published(at(1), CLIENT, &topic, b""), "{topic}");
        assert!(shadows.poll().is_some());
    }
    for topic in [
        format!("$aws/things/{thing}a/shadow/get"),
        format!("$aws/things/T/shadow/name/{name}n/get"),
        "$aws/things/T/shadow/get/accepted".to_owned(),
        "$aws/things/T/shadow/update/delta".to_owned(),
        "$aws/things/T/shadow/Get".to_owned(),
        "$aws/things/T/shadow/cfg/get".to_owned(),
        "$aws/things/T/shadow/name//get".to_owned(),
        "$aws/things//shadow/get".to_owned(),
        "$aws/things/a b/shadow/get".to_owned(),
        "$aws/things/T/shadow/name/cfg/get/".to_owned(),
        "$aws/things/T/jobs/get".to_owned(),
        "things/T/shadow/get".to_owned(),
    ] {
        assert!(!shadows.published(at(1), CLIENT, &topic, b""), "{topic}");
        assert_eq!(shadows.poll(), None);
    }
}

#[test]
fn members_stand_in_the_order_of_the_wire() {
    let mut service = Service::default();
    let update = r#"{"state":{"desired":{"a":1}},"clientToken":"t"}"#;
    let topic = format!("{}/update", service.id);
    service.shadows.published(service.now, CLIENT, &topic, update.as_bytes());
    let published: Vec<String> = std::iter::from_fn(|| service.shadows.poll())
        .map(|outgoing| String::from_utf8(outgoing.payload.to_vec()).unwrap())
        .collect();
    assert_eq!(
        published,
        [
            r#"{"state":{"desired":{"a":1}},"metadata":{"desired":{"a":{"timestamp":100}}},"version":1,"timestamp":100,"clientToken":"t"}"#,
            r#"{"previous":null,"current":{"state":{"desired":{"a":1}},"metadata":{"desired":{"a":{"timestamp":100}}},"version":1},"timestamp":100,"clientToken":"t"}"#,
            r#"{"version":1,"timestamp":100,"state":{"a":1},"metadata":{"a":{"timestamp":100}},"clientToken":"t"}"#,
        ]
    );
}

#[test]
fn what_is_no_request_document_is_refused_and_changes_nothing() {
    let mut service = Service::default();
    service.update(r#"{"state":{"desired":{"a":1}}}"#);
    let before = service.shadows.document(&service.id);
    let deep = "[".repeat(100_000);
    let huge = format!(r#"{{"state":{{"desired":{{"a":"{}"}}}}}}"#, "x".repeat(10_000_000));
    let nul = "Payload contains invalid json";
    for (payload, code, message) in [
        (&b"[]"[..], 400, nul),
        (b"1", 400, nul),
        (b"", 400, nul),
        (b"null", 400, nul),
        (deep.as_bytes(), 400, nul),
        (br#"{"state":{"desired":{"a":1e999}}}"#, 400, nul),
        (
            b"{\"state\":{\"desired\":{\"a\":\"\xff\"}}}",
            415,
            "Unsupported documented encoding; supported encoding is UTF-8",
        ),
        (br#"{"state":{"desired":{"a":1}},"version":-1}"#, 400, "Invalid version"),
        (br#"{"state":{"desired":{"a":1}},"version":1.5}"#, 400, "Invalid version"),
        (br#"{"state":{"desired":{"a":1}},"version":null}"#, 400, "Invalid version"),
        (br#"{"state":{"desired":{"a":1}},"clientToken":7}"#, 400, "Invalid clientToken"),
        (br#"{"state":{"desired":{"a":{"b":[{"c":[null]}]}}}}"#, 400, "Invalid JSON"),
        (huge.as_bytes(), 413, "The payload exceeds the maximum size allowed"),
    ] {
        service.now.uptime += Duration::from_secs(1);
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(60)]).into_owned();
        assert_eq!(service.refused("update", payload), (code, message.to_owned(), None), "{shown}");
    }
    assert_eq!(service.shadows.document(&service.id), before);
}

#[test]
fn a_get_or_delete_takes_any_body_and_repeats_a_token_that_it_finds() {
    let mut service = Service::default();
    for payload in [&b"\xff\xfe"[..], b"[1]", b"{\"clientToken\":1}", b"{"] {
        assert_eq!(service.refused("get", payload).2, None);
    }
    service.update(r#"{"state":{}}"#);
    let (tail, answer) = service.ask("delete", r#"{"clientToken":"d","state":7}"#).swap_remove(0);
    assert_eq!((tail.as_str(), &answer["clientToken"]), ("delete/accepted", &"d".into()));
}

#[test]
fn the_depth_counts_names_and_arrays_but_nothing_that_is_empty() {
    let nested = |levels: usize, inner: &str| {
        let (open, close) = (r#"{"a":"#.repeat(levels), "}".repeat(levels));
        format!(r#"{{"state":{{"desired":{open}{inner}{close}}}}}"#)
    };
    for (levels, inner, fits) in [
        (8, "1", true),
        (8, "{}", true),
        (8, "[]", true),
        (9, "1", false),
        (7, "[1]", true),
        (8, "[1]", false),
    ] {
        let mut service = Service::default();
        let answers = service.ask("update", nested(levels, inner));
        assert_eq!(answers[0].0 == "update/accepted", fits, "{levels} {inner}: {answers:?}");
    }
}

#[test]
fn the_size_is_that_of_both_sections_and_not_of_their_metadata() {
    let blob = |section: &str, bytes: usize| {
        format!(r#"{{"state":{{"{section}":{{"b":"{}"}}}}}}"#, "x".repeat(bytes - r#"{"b":""}"#.len()))
    };
    let mut service = Service::default();
    service.update(&blob("desired", 4_192));
    assert_eq!(service.refused("update", blob("reported", 4_001)).0, 413);
    service.update(&blob("reported", 4_000));
    assert_eq!(service.refused("update", r#"{"state":{"reported":{"c":1}}}"#).0, 413);
    service.update(r#"{"state":{"reported":{"b":"y"}}}"#);
}

#[test]
fn a_fresh_version_number_is_taken_by_every_update_even_one_that_changes_nothing() {
    let mut service = Service::default();
    for version in 1..=5 {
        assert_eq!(service.update(r#"{"state":{"reported":{"a":1}}}"#)["version"], version);
    }
    assert_eq!(service.refused("update", r#"{"state":{},"version":6}"#).0, 409);
    assert_eq!(service.update(r#"{"state":{},"version":5}"#)["version"], 6);
}

#[test]
fn by_http_the_answer_is_returned_and_mqtt_clients_hear_of_it_but_not_of_rejections() {
    let mut service = Service::default();
    let (now, id) = (service.now, service.id.clone());
    assert_eq!(service.shadows.get(now, &id).unwrap_err().code, 404);
    assert_eq!(service.shadows.update(now, &id, b"{").unwrap_err().code, 400);
    assert!(service.answers().is_empty());
    let answer = service.shadows.update(now, &id, br#"{"state":{"desired":{"a":1}}}"#).unwrap();
    let tails: Vec<_> = service.answers().into_iter().map(|(tail, _)| tail).collect();
    assert_eq!(tails, ["update/accepted", "update/documents", "update/delta"]);
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["version"], 1);
    let document: Value = serde_json::from_str(&service.shadows.get(now, &id).unwrap()).unwrap();
    assert_eq!(document["state"], json!({"desired": {"a": 1}, "delta": {"a": 1}}));
    service.shadows.delete(now, &id).unwrap();
    assert_eq!(service.answers()[0].0, "delete/accepted");
}

#[test]
fn the_named_shadows_of_a_thing_are_listed_in_pages() {
    let mut service = Service::with(|rules| rules.requests_per_second = u32::MAX);
    for name in [None, Some("b"), Some("a"), Some("gone"), Some("c")] {
        let id = ShadowId::new("T", name).unwrap();
        service.shadows.update(service.now, &id, br#"{"state":{}}"#).unwrap();
    }
    let gone = ShadowId::new("T", Some("gone")).unwrap();
    service.shadows.delete(service.now, &gone).unwrap();
    let page = service.shadows.list(service.now, "T", None, 2).unwrap();
    assert_eq!(page, Page { names: vec!["a".into(), "b".into()], next: Some("b".into()) });
    let page = service.shadows.list(service.now, "T", page.next.as_deref(), 2).unwrap();
    assert_eq!(page, Page { names: vec!["c".into()], next: None });
    assert_eq!(service.shadows.list(service.now, "other", None, 25).unwrap().names, Vec::<String>::new());
    assert_eq!(service.shadows.list(service.now, "no thing", None, 25).unwrap_err().code, 400);
}

#[test]
fn an_export_brings_everything_back_and_nothing_else_is_taken_for_one() {
    let mut service = Service::default();
    service.update(r#"{"state":{"desired":{"a":{"b":[1,{"c":2}]},"e":{}},"reported":{"x":1}}}"#);
    let deleted = ShadowId::new("T", Some("gone")).unwrap();
    service.shadows.update(service.now, &deleted, br#"{"state":{}}"#).unwrap();
    service.shadows.delete(service.now, &deleted).unwrap();
    let export = service.shadows.export();
    let mut other = Shadows::default();
    other.import(&export).unwrap();
    assert_eq!(other.export(), export);
    assert_eq!(other.document(&service.id), service.shadows.document(&service.id));
    let again = other.update(service.now, &deleted, br#"{"state":{}}"#).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap()["version"], 3);

    for (path, broken) in [
        ("/format", json!(2)),
        ("/shadows", json!({})),
        ("/shadows/0/thing", json!("a b")),
        ("/shadows/0/version", json!(-1)),
        ("/shadows/0/metadata/desired", json!({})),
        ("/shadows/0/metadata/desired/a", json!({"timestamp": 1})),
        ("/shadows/0/state", json!(null)),
        ("/shadows/1/deleted", json!("yesterday")),
    ] {
        let mut export = export.clone();
        *export.pointer_mut(path).unwrap() = broken;
        let before = other.export();
        assert!(other.import(&export).is_err(), "{path}");
        assert_eq!(other.export(), before);
    }
}
