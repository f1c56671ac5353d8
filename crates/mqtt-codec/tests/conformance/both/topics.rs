//! Section 4.7 of both standards: topic names, topic filters, and how they match.

use mqtt_codec::{DecodeError, InvalidText, InvalidTopic, TopicFilter, TopicName, matches};

use crate::support::*;

/// The filter is refused wherever it may come from.
#[track_caller]
fn no_filter(filter: &str, why: InvalidTopic) {
    assert_eq!(TopicFilter::try_from(filter), Err(why), "{filter}");
    assert_eq!(TopicFilter::borrowed(filter), Err(why), "{filter}");
    for version in BOTH {
        for bytes in [subscribe(version, filter.as_bytes()), unsubscribe(version, filter.as_bytes())] {
            malformed(from_client(version, &bytes), DecodeError::Topic(why));
        }
    }
}

/// The filter is one.
#[track_caller]
fn a_filter(filter: &str) {
    assert_eq!(TopicFilter::try_from(filter).unwrap().as_str(), filter);
    for version in BOTH {
        client_may_send(version, &subscribe(version, filter.as_bytes()));
        client_may_send(version, &unsubscribe(version, filter.as_bytes()));
    }
}

fn matched(filter: &str, topic: &str) -> bool {
    let parsed = (TopicFilter::borrowed(filter).unwrap(), TopicName::borrowed(topic).unwrap());
    let matched = matches(filter.as_bytes(), topic.as_bytes());
    assert_eq!(parsed.0.matches(&parsed.1), matched);
    matched
}

// also [v3.1.1 MQTT-4.7.1-1]
#[test]
fn mqtt5_4_7_0_1_wildcards_belong_in_filters_and_not_in_names() {
    for text in ["#", "+", "sport/#", "sport/+/player1", "+/tennis/#"] {
        a_filter(text);
        assert_eq!(TopicName::try_from(text), Err(InvalidTopic::WildcardInName));
        for version in BOTH {
            let will = [none(version), &field(text.as_bytes()), &field(b"bye")].concat();
            for bytes in [publish(version, text.as_bytes()), connect(version, 0x06, &[&field(b"id"), &will])]
            {
                let refused = from_client(version, &bytes);
                malformed(refused, DecodeError::Topic(InvalidTopic::WildcardInName));
            }
        }
    }
    for text in ["sport", "sport/tennis/player1"] {
        a_filter(text);
        assert_eq!(TopicName::try_from(text).unwrap().as_str(), text);
    }
}

// also [v3.1.1 MQTT-4.7.1-2]
#[test]
fn mqtt5_4_7_1_1_the_multi_level_wildcard_fills_the_last_level() {
    for bad in ["sport/tennis#", "sport/tennis/#/ranking", "#/", "##", "#a", "a/##", "a/#b", "#/#", "#/a"] {
        no_filter(bad, InvalidTopic::MisplacedHash);
    }
    for good in ["#", "/#", "sport/tennis/player1/#", "+/#", "a/a/long/enough/filter/for/all/paths/#"] {
        a_filter(good);
    }
    // It stands for any number of levels, the one above it among them.
    for topic in ["sport", "sport/", "sport/tennis", "sport/tennis/player1/score"] {
        assert!(matched("sport/#", topic), "{topic}");
    }
    assert!(!matched("sport/#", "sports"));
    assert!(!matched("sport/#", "/sport"));
}

// also [v3.1.1 MQTT-4.7.1-3]
#[test]
fn mqtt5_4_7_1_2_the_single_level_wildcard_fills_a_level() {
    for bad in ["sport+", "+sport", "sport/+tennis/a", "sport/te+nis", "++", "a/++/b", "+a/b", "a/a+"] {
        no_filter(bad, InvalidTopic::MisplacedPlus);
    }
    for good in ["+", "+/tennis/#", "sport/+/player1", "+/+", "/+", "+/", "a/+/+/a/long/filter/+/+"] {
        a_filter(good);
    }
    // It stands for one level, which may be empty.
    assert!(matched("sport/tennis/+", "sport/tennis/player1"));
    assert!(!matched("sport/tennis/+", "sport/tennis/player1/ranking"));
    assert!(matched("sport/+", "sport/"));
    assert!(!matched("sport/+", "sport"));
    assert!(matched("+/+", "/finance") && matched("/+", "/finance") && !matched("+", "/finance"));
}

// also [v3.1.1 MQTT-4.7.2-1]
#[test]
fn mqtt5_4_7_2_1_a_leading_wildcard_does_not_match_dollar_topics() {
    for filter in ["#", "+", "+/#", "+/monitor/Clients", "+/+/+"] {
        for topic in ["$SYS", "$SYS/monitor/Clients", "$aws/things/x", "$"] {
            assert!(!matched(filter, topic), "{filter} {topic}");
        }
    }
    for filter in ["$SYS/#", "$SYS/monitor/+", "$SYS/+/Clients", "$SYS/monitor/Clients"] {
        assert!(matched(filter, "$SYS/monitor/Clients"), "{filter}");
    }
    // Only in front it is special.
    assert!(matched("#", "a/$SYS") && matched("+/+", "a/$SYS") && matched("a/+", "a/$SYS"));
    assert!(matched("+/monitor/Clients", "SYS/monitor/Clients"));
}

// also [v3.1.1 MQTT-4.7.3-1]
#[test]
fn mqtt5_4_7_3_1_names_and_filters_have_at_least_one_character() {
    no_filter("", InvalidTopic::Empty);
    assert_eq!(TopicName::try_from(""), Err(InvalidTopic::Empty));
    assert_eq!(TopicName::borrowed(""), Err(InvalidTopic::Empty));
    for version in BOTH {
        // In MQTT 5 a topic alias could stand for the topic; here is none.
        for refused in
            [from_client(version, &publish(version, b"")), from_server(version, &publish(version, b""))]
        {
            protocol_error(refused, DecodeError::NoTopic, 0x82);
        }
        let bytes = connect(version, 0x06, &[&field(b"id"), none(version), &field(b""), &field(b"bye")]);
        malformed(from_client(version, &bytes), DecodeError::Topic(InvalidTopic::Empty));
        for shortest in [&b"/"[..], b"a", b" "] {
            client_may_send(version, &publish(version, shortest));
        }
    }
    a_filter("/");
    a_filter(" ");
}

// also [v3.1.1 MQTT-4.7.3-2]
#[test]
fn mqtt5_4_7_3_2_names_and_filters_have_no_null_character() {
    let null = InvalidText::ContainsNull;
    for text in ["\0", "a/\0", "\0/a", "a/b\0c", "a/topic/with/one/far/behind\0"] {
        assert_eq!(TopicName::try_from(text), Err(InvalidTopic::Text(null)));
        assert_eq!(TopicName::borrowed(text), Err(InvalidTopic::Text(null)));
        assert_eq!(TopicFilter::try_from(text), Err(InvalidTopic::Text(null)));
        assert_eq!(TopicFilter::borrowed(text), Err(InvalidTopic::Text(null)));
        let bytes = text.as_bytes();
        for version in BOTH {
            for bytes in [publish(version, bytes), subscribe(version, bytes), unsubscribe(version, bytes)] {
                malformed(from_client(version, &bytes), DecodeError::Text(null));
            }
            malformed(from_server(version, &publish(version, bytes)), DecodeError::Text(null));
        }
    }
    a_filter("a/\u{1}");
    assert!(TopicName::try_from("a/\u{1}").is_ok());
}

// also [v3.1.1 MQTT-4.7.3-3]
#[test]
fn mqtt5_4_7_3_3_names_and_filters_have_at_most_65535_bytes() {
    let (longest, longer) = ("a".repeat(65_535), "a".repeat(65_536));
    let too_long = InvalidTopic::Text(InvalidText::TooLong);
    assert_eq!(TopicName::try_from(&*longer), Err(too_long));
    assert_eq!(TopicName::borrowed(&longer), Err(too_long));
    assert_eq!(TopicFilter::try_from(&*longer), Err(too_long));
    assert_eq!(TopicFilter::borrowed(&longer), Err(too_long));
    // Bytes count, not characters.
    assert_eq!(TopicName::try_from("ü".repeat(32_768)), Err(too_long));
    a_filter(&longest);
    for version in BOTH {
        client_may_send(version, &publish(version, longest.as_bytes()));
        server_may_send(version, &publish(version, longest.as_bytes()));
    }
}

// also [v3.1.1 MQTT-4.7.3-4]
#[test]
fn mqtt5_4_7_3_4_matching_normalizes_nothing() {
    // Upper and lower case, composed and decomposed, blanks and empty levels are different topics.
    for (filter, other) in [
        ("ACCOUNTS", "Accounts"),
        ("caf\u{e9}", "cafe\u{301}"),
        ("\u{212b}", "\u{c5}"),
        ("Accounts payable", "Accounts  payable"),
        ("a", "a "),
        ("/finance", "finance"),
        ("a//b", "a/b"),
        ("a/b", "a/b/"),
        ("\u{feff}a", "a"),
    ] {
        assert!(!matched(filter, other) && !matched(other, filter), "{filter} {other}");
        assert!(matched(filter, filter) && matched(other, other));
    }
}
