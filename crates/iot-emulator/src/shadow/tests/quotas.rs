//! How many requests there may be, and answers that take their time.

use super::*;

#[test]
fn a_shadow_takes_20_requests_in_a_second_by_any_way_and_others_are_not_concerned() {
    let mut service = Service::default();
    let (now, id) = (service.now, service.id.clone());
    for _ in 0..10 {
        service.update(r#"{"state":{}}"#);
        service.shadows.get(now, &id).unwrap();
    }
    let token = r#"{"state":{},"clientToken":"t"}"#;
    assert_eq!(service.refused("update", token), (429, "Too many requests".into(), Some("t".into())));
    assert_eq!(service.shadows.get(now, &id).unwrap_err().code, 429);
    assert_eq!(service.shadows.list(now, "T", None, 1).unwrap_err().code, 429);
    let mut other = ShadowId::new("T", Some("other")).unwrap();
    std::mem::swap(&mut service.id, &mut other);
    service.update(r#"{"state":{}}"#);
    service.id = other;
    service.now = at(101);
    service.update(r#"{"state":{}}"#);

    let mut service = Service::with(|rules| rules.requests_per_second = u32::MAX);
    for _ in 0..1_000 {
        service.update(r#"{"state":{}}"#);
    }
}

#[test]
fn answers_come_when_their_delay_is_over_and_in_order() {
    let mut service = Service::with(|rules| rules.answer_delay = Duration::from_secs(3));
    assert!(service.ask("update", r#"{"state":{"desired":{"a":1}}}"#).is_empty());
    service.now = at(101);
    assert!(service.ask("get", "").is_empty());
    assert_eq!(service.shadows.deadline(), Some(Duration::from_secs(103)));
    service.shadows.handle_timeout(Duration::from_millis(102_999));
    assert!(service.answers().is_empty());
    service.shadows.handle_timeout(Duration::from_secs(103));
    let tails: Vec<_> = service.answers().into_iter().map(|(tail, _)| tail).collect();
    assert_eq!(tails, ["update/accepted", "update/documents", "update/delta"]);
    service.shadows.handle_timeout(Duration::from_secs(104));
    assert_eq!(service.answers()[0].0, "get/accepted");
    assert_eq!(service.shadows.deadline(), None);
}

#[test]
fn ten_requests_for_a_thing_may_be_under_way_on_a_connection() {
    let mut service = Service::with(|rules| rules.answer_delay = Duration::from_secs(1));
    for _ in 0..10 {
        assert!(service.ask("get", "").is_empty());
    }
    // At once, whatever the delay, and for all shadows of the thing.
    let named = "$aws/things/T/shadow/name/cfg/get";
    assert_eq!(
        service.refused("get", r#"{"clientToken":"t"}"#),
        (429, "Too many requests".into(), Some("t".into()))
    );
    assert!(service.shadows.published(service.now, CLIENT, named, b""));
    assert!(service.shadows.poll().is_some());
    // Another connection, and another thing, have their own.
    assert!(service.shadows.published(service.now, Asker(2), named, b""));
    assert!(service.shadows.published(service.now, CLIENT, "$aws/things/U/shadow/get", b""));
    assert_eq!(service.shadows.poll(), None);
    // A connection that is gone has none under way; its answers come all the same.
    service.shadows.closed(CLIENT);
    assert!(service.ask("get", "").is_empty());
    service.shadows.handle_timeout(Duration::from_secs(101));
    let mut answers = 0;
    while service.shadows.poll().is_some() {
        answers += 1;
    }
    assert_eq!(answers, 13);
    service.now = at(101);
    for _ in 0..10 {
        assert!(service.ask("get", "").is_empty());
    }
    assert_eq!(service.refused("get", "").0, 429);
}

#[test]
fn an_update_is_under_way_until_its_last_message_is_published() {
    let mut service = Service::with(|rules| {
        rules.answer_delay = Duration::from_secs(1);
        rules.max_in_flight = 1;
    });
    assert!(service.ask("update", r#"{"state":{"desired":{"a":1}}}"#).is_empty());
    assert_eq!(service.refused("get", "").0, 429);
    service.shadows.handle_timeout(Duration::from_secs(101));
    assert_eq!(service.answers().len(), 3);
    assert!(service.ask("get", "").is_empty());
}

#[test]
fn what_waits_and_what_is_kept_is_bounded() {
    let mut service = Service::with(|rules| {
        rules.answer_delay = Duration::from_secs(1);
        rules.requests_per_second = u32::MAX;
    });
    for client in 0..20_000 {
        service.shadows.published(service.now, Asker(client), "$aws/things/T/shadow/get", b"");
    }
    assert!(service.shadows.waiting.len() <= MAX_WAITING);

    let mut service = Service::default();
    for number in 0..MAX_SHADOWS + 10 {
        service.id = ShadowId::new(&format!("T{number}"), None).unwrap();
        let answers = service.ask("update", r#"{"state":{}}"#);
        assert_eq!(answers[0].0 == "update/accepted", number < MAX_SHADOWS, "{number}");
    }
    // The memory of a deleted one gives way to a new one.
    let first = ShadowId::new("T0", None).unwrap();
    service.shadows.delete(service.now, &first).unwrap();
    service.answers_of_all();
    service.update(r#"{"state":{}}"#);
    assert_eq!(service.shadows.entries.len(), MAX_SHADOWS);
}

impl Service {
    /// Throws away what was published.
    fn answers_of_all(&mut self) {
        while self.shadows.poll().is_some() {}
    }
}
