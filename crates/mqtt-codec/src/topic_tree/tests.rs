//! The tree against matching one by one.

use super::*;
use crate::matches;

const FILTERS: [&str; 16] = [
    "#",
    "+",
    "+/+",
    "/#",
    "/+",
    "a",
    "a/#",
    "a/+",
    "a/b",
    "a/+/c",
    "+/b/#",
    "$SYS/#",
    "$SYS/+",
    "$share/g/a/+",
    "$share/h/a/+",
    "$share/g/#",
];

fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(text).unwrap()
}

fn full() -> TopicTree<&'static str> {
    let mut tree = TopicTree::new();
    for text in FILTERS {
        assert_eq!(tree.insert(&filter(text), text), None);
    }
    tree
}

fn found(tree: &TopicTree<&'static str>, topic: &str) -> Vec<&'static str> {
    let mut found: Vec<_> = tree.matches(topic.as_bytes()).copied().collect();
    found.sort_unstable();
    found
}

#[test]
fn it_finds_what_matching_one_by_one_finds() {
    let tree = full();
    for topic in [
        "a", "b", "/", "//", "a/", "a/b", "a/b/c", "a/x/c", "x/b", "x/b/c/d", "/b", "$SYS", "$SYS/a",
        "$SYS/b/c",
    ] {
        let mut expected: Vec<_> =
            FILTERS.into_iter().filter(|f| matches(f.as_bytes(), topic.as_bytes())).collect();
        expected.sort_unstable();
        assert_eq!(found(&tree, topic), expected, "{topic}");
    }
}

#[test]
fn what_is_removed_leaves_nothing_behind() {
    let mut tree = full();
    assert_eq!(tree.len(), FILTERS.len());
    assert_eq!(tree.insert(&filter("a/b"), "again"), Some("a/b"));
    assert_eq!(tree.get(&filter("a/b")), Some(&"again"));
    *tree.get_mut(&filter("a/b")).unwrap() = "a/b";
    assert_eq!(tree.get(&filter("a/c")), None);
    assert_eq!(tree.remove(&filter("a/c")), None);
    for text in FILTERS {
        assert_eq!(tree.remove(&filter(text)), Some(text));
        assert!(!tree.values().any(|left| *left == text));
        assert!(!found(&tree, "a/b").contains(&text));
    }
    assert!(tree.is_empty());
    assert!(tree.nodes.is_empty() && tree.free.is_empty());
    // With one filter left, nodes are used again, and those that wait for it hold no memory.
    tree.insert(&filter("left"), "left");
    tree.insert(&filter("x/y/z"), "x/y/z");
    let nodes = tree.nodes.len();
    tree.remove(&filter("x/y/z"));
    assert!(tree.free.iter().all(|free| tree.nodes[*free].is_empty()));
    assert_eq!(tree.free.len(), 3);
    tree.insert(&filter("x/+/z"), "x/+/z");
    assert_eq!(tree.nodes.len(), nodes);
}

#[test]
fn the_deepest_filter_needs_no_deep_stack() {
    let deep = "/".repeat(65_535);
    let mut tree = TopicTree::new();
    tree.insert(&filter(&deep), 1);
    tree.insert(&filter(&"+/".repeat(32_767)), 2);
    assert_eq!(tree.matches(deep.as_bytes()).count(), 1);
    assert_eq!(tree.matches("x/".repeat(32_767).as_bytes()).copied().collect::<Vec<_>>(), [2]);
    drop(tree.clone());
    assert_eq!(tree.remove(&filter(&deep)), Some(1));
    assert_eq!(tree.values().count(), 1);
}

#[test]
fn an_empty_tree_matches_nothing() {
    let mut tree = TopicTree::<u8>::new();
    assert_eq!(tree.matches(b"a").next(), None);
    assert_eq!(tree.remove(&filter("#")), None);
    assert_eq!(alloc::format!("{tree:?}"), "[]");
}
