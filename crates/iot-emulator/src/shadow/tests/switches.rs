//! Each switch of the rules, one way and the other.

use super::*;

#[test]
fn an_empty_section_merges_nothing_or_empties_the_section() {
    for (clears, left) in [(false, json!({"reported": {"a": 1}})), (true, json!({}))] {
        let mut service = Service::with(|rules| rules.empty_section_clears = clears);
        service.update(r#"{"state":{"reported":{"a":1}}}"#);
        service.update(r#"{"state":{"reported":{}}}"#);
        assert_eq!(service.state(), left);
    }
}

#[test]
fn a_version_where_no_shadow_is_conflicts_or_has_to_be_1() {
    let mut service = Service::default();
    for version in [0, 1, 2] {
        assert_eq!(service.refused("update", format!(r#"{{"state":{{}},"version":{version}}}"#)).0, 409);
    }
    let mut service = Service::with(|rules| rules.version_1_creates = true);
    let (code, message, _) = service.refused("update", r#"{"state":{},"version":2}"#);
    assert_eq!((code, message.as_str()), (400, "Invalid version"));
    assert_eq!(service.update(r#"{"state":{},"version":1}"#)["version"], 1);
}

#[test]
fn numbering_goes_on_after_a_delete_with_or_without_a_number_for_it_and_ends_after_two_days() {
    for (takes, after, expected) in
        [(true, 48 * 3_600 - 1, 3), (false, 48 * 3_600 - 1, 2), (true, 48 * 3_600, 1), (false, 0, 2)]
    {
        let mut service = Service::with(|rules| rules.delete_takes_a_version = takes);
        service.update(r#"{"state":{}}"#);
        assert_eq!(service.ask("delete", "")[0].1["version"], 1);
        service.now = at(100 + after);
        assert_eq!(service.update(r#"{"state":{}}"#)["version"], expected, "{takes} {after}");
    }
    let mut service = Service::with(|rules| rules.tombstone = Duration::from_secs(5));
    service.update(r#"{"state":{}}"#);
    service.ask("delete", "");
    service.now = at(105);
    assert_eq!(service.update(r#"{"state":{}}"#)["version"], 1);
}

#[test]
fn an_empty_object_that_is_not_reported_is_a_difference_or_none() {
    for (has, delta) in [(true, Some(json!({"e": {}}))), (false, None)] {
        let mut service = Service::with(|rules| rules.delta_has_empty_objects = has);
        assert_eq!(service.delta(r#"{"state":{"desired":{"e":{}},"reported":{"r":1}}}"#), delta);
    }
}

#[test]
fn the_metadata_of_a_get_has_that_of_the_delta_if_wanted() {
    for has in [false, true] {
        let mut service = Service::with(|rules| rules.get_has_delta_metadata = has);
        service.update(r#"{"state":{"desired":{"a":1}}}"#);
        let (_, document) = service.ask("get", "").swap_remove(0);
        let expected = has.then(|| json!({"a": {"timestamp": 100}}));
        assert_eq!(document["metadata"].get("delta"), expected.as_ref());
    }
}

#[test]
fn a_rejection_has_a_timestamp_if_wanted() {
    for has in [false, true] {
        let mut service = Service::with(|rules| rules.rejections_have_a_timestamp = has);
        let (_, rejection) = service.ask("get", "").swap_remove(0);
        assert_eq!(rejection.get("timestamp"), has.then(|| json!(100)).as_ref());
    }
}

#[test]
fn words_are_those_of_the_wire_or_of_the_documents() {
    let mut service = Service::default().named("cfg");
    assert_eq!(service.refused("update", "{").1, "Payload contains invalid json");
    assert_eq!(service.refused("get", "").1, "No shadow exists with name: 'T~cfg'");
    assert_eq!(
        service.refused("update", r#"{"state":{"foo":{}}}"#).1,
        "State contains an invalid node: 'foo'"
    );
    let mut service = Service::with(|rules| {
        rules.documented_json_text = true;
        rules.documented_missing_text = true;
        rules.invalid_node_is_named = false;
        rules.max_depth = 1;
        rules.depth_in_text = 8;
    })
    .named("cfg");
    assert_eq!(service.refused("update", "{").1, "Invalid JSON");
    assert_eq!(service.refused("get", "").1, "No shadow exists with name: 'cfg'");
    assert_eq!(service.refused("update", r#"{"state":{"foo":{}}}"#).1, "State contains an invalid node");
    let (code, message, _) = service.refused("update", r#"{"state":{"desired":{"a":{"b":1}}}}"#);
    assert_eq!((code, message.as_str()), (400, "JSON contains too many levels of nesting; maximum is 8"));
}

#[test]
fn names_with_a_dollar_are_names_or_not() {
    let topic = "$aws/things/T/shadow/name/$package/get";
    for names in [true, false] {
        let mut service = Service::with(|rules| rules.dollar_names = names);
        assert_eq!(service.shadows.published(service.now, CLIENT, topic, b""), names);
        let id = ShadowId::new("T", Some("$package")).unwrap();
        let answers = [
            service.shadows.update(service.now, &id, br#"{"state":{}}"#),
            service.shadows.get(service.now, &id),
            service.shadows.delete(service.now, &id),
        ];
        for answer in answers {
            assert_eq!(answer.map_err(|rejection| rejection.code).err(), (!names).then_some(400));
        }
    }
}

#[test]
fn an_update_by_http_is_published_as_accepted_or_not() {
    for publishes in [true, false] {
        let mut service = Service::with(|rules| rules.http_publishes_accepted = publishes);
        let id = service.id.clone();
        service.shadows.update(service.now, &id, br#"{"state":{}}"#).unwrap();
        let tails: Vec<_> = service.answers().into_iter().map(|(tail, _)| tail).collect();
        assert_eq!(tails.contains(&"update/accepted".to_owned()), publishes);
        assert!(tails.contains(&"update/documents".to_owned()));
    }
}

#[test]
fn messages_about_an_update_come_in_either_order_and_at_the_qos_of_the_rules() {
    let forwards = ["update/accepted", "update/documents", "update/delta"];
    for order in [Order::AcceptedFirst, Order::DeltaFirst] {
        let mut service = Service::with(|rules| rules.order = order);
        let answers = service.ask("update", r#"{"state":{"desired":{"a":1}}}"#);
        let mut tails: Vec<_> = answers.iter().map(|(tail, _)| tail.as_str()).collect();
        if order == Order::DeltaFirst {
            tails.reverse();
        }
        assert_eq!(tails, forwards);
    }
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut service = Service::with(|rules| rules.qos = qos);
        service.shadows.published(service.now, CLIENT, "$aws/things/T/shadow/get", b"");
        assert_eq!(service.shadows.poll().unwrap().qos, qos);
    }
}
