//! Subscription options and shared subscriptions.

use mqtt_codec::packet::{RetainHandling, Subscribe, SubscriptionOptions};
use mqtt_codec::{DecodeError, EncodeError, InvalidTopic, Packet, QoS, TopicFilter};

use crate::support::*;

/// A SUBSCRIBE of one filter with these options.
fn with_options(filter: &[u8], options: u8) -> Vec<u8> {
    packet(0x82, &[&[0, 7, 0], &field(filter), &[options]])
}

/// The filter is refused wherever it may come from.
#[track_caller]
fn no_filter(filter: &str) {
    assert_eq!(TopicFilter::try_from(filter), Err(InvalidTopic::Share), "{filter}");
    assert_eq!(TopicFilter::borrowed(filter), Err(InvalidTopic::Share), "{filter}");
    for bytes in [subscribe(V5, filter.as_bytes()), unsubscribe(V5, filter.as_bytes())] {
        malformed(from_client(V5, &bytes), DecodeError::Topic(InvalidTopic::Share));
    }
}

/// The filter is one, of the group `name`.
#[track_caller]
fn shared(text: &str, name: Option<&str>, inner: &str) {
    let parsed = TopicFilter::try_from(text).unwrap();
    assert_eq!((parsed.share_name(), parsed.without_share()), (name, inner));
    client_may_send(V5, &subscribe(V5, text.as_bytes()));
    client_may_send(V5, &unsubscribe(V5, text.as_bytes()));
}

#[test]
fn mqtt5_3_8_3_4_no_local_on_a_shared_subscription_is_a_protocol_error() {
    let refused = DecodeError::NoLocalOnShared;
    for options in [0x04, 0x05, 0x2E] {
        protocol_error(from_client(V5, &with_options(b"$share/g/a", options)), refused, 0x82);
        // Behind a filter that is in order.
        let bytes = packet(0x82, &[&[0, 7, 0], &field(b"a"), &[0x04], &field(b"$share/g/#"), &[options]]);
        protocol_error(from_client(V5, &bytes), refused, 0x82);
        client_may_send(V5, &with_options(b"$share/g/a", options & !0x04));
        client_may_send(V5, &with_options(b"a", options));
        client_may_send(V5, &with_options(b"$share", options));
    }
    let options = SubscriptionOptions { no_local: true, ..SubscriptionOptions::at(QoS::AtLeastOnce) };
    let sent = by_client(V5, Subscribe::new(id(7), [(&filter("$share/g/a"), options)]));
    assert!(matches!(sent, Err(EncodeError::Inconsistent(_))), "{sent:?}");
    let sent = by_client(V5, Subscribe::new(id(7), [(&filter("a"), options)]));
    assert_eq!(sent, Ok(with_options(b"a", 0x05)));
}

#[test]
fn mqtt5_3_8_3_5_reserved_subscription_options_are_malformed() {
    for reserved in [0x40, 0x80, 0xC0] {
        for options in [0x00, 0x01, 0x02, 0x0C, 0x10, 0x2E] {
            let refused = from_client(V5, &with_options(b"a", options | reserved));
            malformed(refused, DecodeError::SubscriptionOptions);
            client_may_send(V5, &with_options(b"a", options));
        }
    }
    // With every option there is, these bits are not written.
    let options = SubscriptionOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let bytes = with_options(b"a", 0x2E);
    assert_eq!(by_client(V5, Subscribe::new(id(7), [(&filter("a"), options)])), Ok(bytes.clone()));
    let Packet::Subscribe(taken) = client_may_send(V5, &bytes) else { panic!("no SUBSCRIBE") };
    assert!(taken.filters().all(|(_, found)| found == options));
}

#[test]
fn mqtt5_4_8_2_1_a_shared_filter_begins_with_share_and_a_name() {
    for bad in ["$share//a", "$share//", "$share///a"] {
        no_filter(bad);
    }
    shared("$share/g/a", Some("g"), "a");
    shared("$share/consumer1/sport/tennis/+", Some("consumer1"), "sport/tennis/+");
    // What begins with anything else is not shared.
    for plain in ["$share", "$Share/g/a", "$shared/g/a", "share/g/a", "/$share/g/a", "$SYS/g/a"] {
        shared(plain, None, plain);
    }
}

#[test]
fn mqtt5_4_8_2_2_a_share_name_has_no_wildcard_and_a_filter_follows_it() {
    for bad in [
        "$share/+/a",
        "$share/#/a",
        "$share/g+/a",
        "$share/#g/a",
        "$share/a+b/c",
        "$share/g",
        "$share/",
        "$share/g/",
        "$share/#",
        "$share/+",
    ] {
        no_filter(bad);
    }
    // The first slash behind the name ends it.
    shared("$share/g/a/b", Some("g"), "a/b");
    shared("$share/g//", Some("g"), "/");
    shared("$share/g/#", Some("g"), "#");
    shared("$share/$g*/+/a", Some("$g*"), "+/a");
    // What follows is a filter by the same rules as others.
    let misplaced = TopicFilter::try_from("$share/g/a#");
    assert_eq!(misplaced, Err(InvalidTopic::MisplacedHash));
}
