//! Names, filters and matching.

use super::*;

fn matched(filter: &str, topic: &str) -> bool {
    TopicFilter::try_from(filter).unwrap().matches(&TopicName::try_from(topic).unwrap())
}

#[test]
fn names_carry_no_wildcards_and_are_not_empty() {
    assert_eq!(TopicName::try_from(""), Err(InvalidTopic::Empty));
    assert_eq!(TopicName::try_from("a/+"), Err(InvalidTopic::WildcardInName));
    assert_eq!(TopicName::try_from("a#"), Err(InvalidTopic::WildcardInName));
    assert!(TopicName::try_from("/").is_ok());
}

#[test]
fn filters_hold_their_wildcards_in_whole_levels() {
    for good in ["#", "+", "/", "a/#", "+/+/#", "//", "a//b", "$share/g/#", "$share/g/a/+", "$SYS/#"] {
        assert!(TopicFilter::try_from(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "a#",
        "a/#/b",
        "#/",
        "a+",
        "+a/b",
        "$share/",
        "$share/g",
        "$share/g/",
        "$share//a",
        "$share/a+/b",
        "$share/g/a#",
    ] {
        assert!(TopicFilter::try_from(bad).is_err(), "{bad}");
    }
}

#[test]
fn matching_follows_section_4_7() {
    assert!(matched("sport/tennis/player1/#", "sport/tennis/player1"));
    assert!(matched("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
    assert!(matched("sport/#", "sport"));
    assert!(matched("+/+", "/finance"));
    assert!(matched("/+", "/finance"));
    assert!(!matched("+", "/finance"));
    assert!(matched("+/#", "foo"));
    assert!(matched("foo/+/#", "foo/bar"));
    assert!(!matched("sport/+", "sport"));
    assert!(matched("sport/+", "sport/"));
    assert!(!matched("a/b", "a/b/c"));
    assert!(!matched("a/b/c", "a/b"));
    assert!(!matched("A", "a"));
}

#[test]
fn leading_wildcards_do_not_see_dollar_topics() {
    // [MQTT-4.7.2-1]
    assert!(!matched("#", "$SYS/a"));
    assert!(!matched("+/a", "$SYS/a"));
    assert!(matched("$SYS/#", "$SYS/a"));
    assert!(matched("$SYS/+", "$SYS/a"));
}

#[test]
fn a_share_prefix_is_looked_through() {
    let filter = TopicFilter::try_from("$share/group/a/+").unwrap();
    assert_eq!(filter.share_name(), Some("group"));
    assert_eq!(filter.without_share(), "a/+");
    assert!(matched("$share/group/a/+", "a/b"));
    assert!(!matched("$share/group/#", "$aws/x"));
}
