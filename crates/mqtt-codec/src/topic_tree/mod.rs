//! Many filters at once: which of them ask for a topic?

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::iter::Chain;
use core::slice;

use crate::topic::split_share;
use crate::{Buffer, TopicFilter};

/// A map from topic filters to values that finds all filters which match a topic, for brokers and routers.
///
/// A look-up walks the levels of the topic, not the filters. Without `+` it takes a step for each level; each `+` beside
/// another level may double the ways, up to the number of nodes, so that the worst case is that of looking at every
/// filter. It allocates only where `+` makes the walk branch. A node takes some 120 bytes for each level of a filter that
/// it shares with no other; a server that takes filters from strangers limits their levels (AWS IoT Core takes eight).
/// Matching follows
/// section 4.7 of both standards, like [`matches()`](crate::matches); `$share/<name>/<filter>` is kept apart from
/// `<filter>` and from other names, and matches what `<filter>` does.
///
/// ```
/// use mqtt_codec::{TopicFilter, TopicTree};
///
/// let mut tree = TopicTree::new();
/// tree.insert(&TopicFilter::try_from("sport/+/score")?, "scores");
/// tree.insert(&TopicFilter::try_from("sport/#")?, "everything");
/// tree.insert(&TopicFilter::try_from("$share/group/sport/#")?, "a group");
/// let mut found: Vec<_> = tree.matches(b"sport/tennis/score").copied().collect();
/// found.sort_unstable();
/// assert_eq!(found, ["a group", "everything", "scores"]);
/// assert_eq!(tree.remove(&TopicFilter::try_from("sport/#")?), Some("everything"));
/// assert_eq!(tree.matches(b"sport").copied().collect::<Vec<_>>(), ["a group"]);
/// # Ok::<(), mqtt_codec::InvalidTopic>(())
/// ```
#[derive(Clone)]
pub struct TopicTree<T> {
    /// The root is the first. Nodes are reached by number, so that dropping a deep tree needs no deep stack.
    nodes: Vec<Node<T>>,
    /// Numbers of nodes that are in use no more.
    free: Vec<usize>,
    len: usize,
}

#[derive(Clone)]
struct Node<T> {
    levels: Levels,
    plus: Option<usize>,
    /// Of filters that end here.
    here: Vec<Entry<T>>,
    /// Of filters that go on with `#`.
    hash: Vec<Entry<T>>,
}

/// The nodes below, by the level's name. Most nodes have one.
#[derive(Clone, Default)]
enum Levels {
    #[default]
    None,
    One(Box<[u8]>, usize),
    Many(BTreeMap<Box<[u8]>, usize>),
}

impl Levels {
    fn get(&self, level: &[u8]) -> Option<usize> {
        match self {
            Self::None => None,
            Self::One(name, node) => (**name == *level).then_some(*node),
            Self::Many(nodes) => nodes.get(level).copied(),
        }
    }

    fn insert(&mut self, level: &[u8], node: usize) {
        *self = match core::mem::take(self) {
            Self::None => Self::One(Box::from(level), node),
            Self::One(name, other) => Self::Many([(name, other), (Box::from(level), node)].into()),
            Self::Many(mut nodes) => {
                nodes.insert(Box::from(level), node);
                Self::Many(nodes)
            }
        };
    }

    fn remove(&mut self, level: &[u8]) {
        match self {
            Self::One(name, _) if **name == *level => *self = Self::None,
            Self::None | Self::One(..) => {}
            Self::Many(nodes) => {
                nodes.remove(level);
                if nodes.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}

#[derive(Clone)]
struct Entry<T> {
    share: Option<Box<[u8]>>,
    value: T,
}

const ROOT: usize = 0;

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { levels: Levels::None, plus: None, here: Vec::new(), hash: Vec::new() }
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.levels.is_empty() && self.plus.is_none() && self.here.is_empty() && self.hash.is_empty()
    }

    fn child(&self, level: &[u8]) -> Option<usize> {
        if level == b"+" { self.plus } else { self.levels.get(level) }
    }

    fn entries(&self, hash: bool) -> &Vec<Entry<T>> {
        if hash { &self.hash } else { &self.here }
    }

    fn entries_mut(&mut self, hash: bool) -> &mut Vec<Entry<T>> {
        if hash { &mut self.hash } else { &mut self.here }
    }
}

/// A filter taken apart: the group, the levels, and whether `#` is the last of them.
struct Path<'a> {
    share: Option<&'a [u8]>,
    /// `None` for the filter `#`.
    levels: Option<&'a [u8]>,
    hash: bool,
}

impl<'a> Path<'a> {
    fn of(filter: &'a [u8]) -> Self {
        let (share, filter) = split_share(filter);
        let (levels, hash) = match filter.strip_suffix(b"#") {
            // A filter is valid, so that there is a slash or nothing before the `#`.
            Some(before) => (before.strip_suffix(b"/"), true),
            None => (Some(filter), false),
        };
        Self { share, levels, hash }
    }

    fn levels(&self) -> impl Iterator<Item = &'a [u8]> {
        self.levels.into_iter().flat_map(|levels| levels.split(|byte| *byte == b'/'))
    }

    /// Where the group's entry is, or belongs: entries are in the order of the groups' names.
    fn position<T>(&self, entries: &[Entry<T>]) -> Result<usize, usize> {
        entries.binary_search_by(|entry| entry.share.as_deref().cmp(&self.share))
    }
}

impl<T> Default for TopicTree<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> TopicTree<T> {
    /// Without any filter; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of filters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no filter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a filter, or gives it another value; returns the one before.
    pub fn insert(&mut self, filter: &TopicFilter<impl Buffer>, value: T) -> Option<T> {
        let path = Path::of(filter.as_bytes());
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = ROOT;
        for level in path.levels() {
            at = self.child_or_new(at, level);
        }
        let entries = self.nodes.get_mut(at)?.entries_mut(path.hash);
        match path.position(entries) {
            Ok(position) => {
                let entry = entries.get_mut(position)?;
                return Some(core::mem::replace(&mut entry.value, value));
            }
            Err(position) => entries.insert(position, Entry { share: path.share.map(Box::from), value }),
        }
        self.len = self.len.saturating_add(1);
        None
    }

    fn child_or_new(&mut self, at: usize, level: &[u8]) -> usize {
        if let Some(child) = self.nodes.get(at).and_then(|node| node.child(level)) {
            return child;
        }
        let child = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.nodes.len().saturating_sub(1)
        });
        if let Some(node) = self.nodes.get_mut(at) {
            if level == b"+" {
                node.plus = Some(child);
            } else {
                node.levels.insert(level, child);
            }
        }
        child
    }

    /// The value of this very filter.
    #[must_use]
    pub fn get(&self, filter: &TopicFilter<impl Buffer>) -> Option<&T> {
        let path = Path::of(filter.as_bytes());
        let entries = self.nodes.get(self.find(&path)?)?.entries(path.hash);
        entries.get(path.position(entries).ok()?).map(|entry| &entry.value)
    }

    /// The value of this very filter, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, filter: &TopicFilter<impl Buffer>) -> Option<&mut T> {
        let path = Path::of(filter.as_bytes());
        let at = self.find(&path)?;
        let entries = self.nodes.get_mut(at)?.entries_mut(path.hash);
        let position = path.position(entries).ok()?;
        entries.get_mut(position).map(|entry| &mut entry.value)
    }

    fn find(&self, path: &Path<'_>) -> Option<usize> {
        let root = if self.nodes.is_empty() { None } else { Some(ROOT) };
        path.levels().try_fold(root?, |at, level| self.nodes.get(at)?.child(level))
    }

    /// Takes a filter out and returns its value.
    pub fn remove(&mut self, filter: &TopicFilter<impl Buffer>) -> Option<T> {
        let path = Path::of(filter.as_bytes());
        let at = self.find(&path)?;
        let entries = self.nodes.get_mut(at)?.entries_mut(path.hash);
        let position = path.position(entries).ok()?;
        let entry = entries.remove(position);
        self.len = self.len.saturating_sub(1);
        self.prune(&path);
        if self.len == 0 {
            *self = Self::new();
        }
        Some(entry.value)
    }

    /// Gives back the nodes along `path` that nothing hangs on any more.
    fn prune(&mut self, path: &Path<'_>) {
        let mut way = Vec::new();
        let mut at = ROOT;
        for level in path.levels() {
            way.push((at, level));
            match self.nodes.get(at).and_then(|node| node.child(level)) {
                Some(child) => at = child,
                None => return,
            }
        }
        for (parent, level) in way.into_iter().rev() {
            if !self.nodes.get(at).is_some_and(Node::is_empty) {
                return;
            }
            self.give_back(at);
            if let Some(node) = self.nodes.get_mut(parent) {
                if level == b"+" {
                    node.plus = None;
                } else {
                    node.levels.remove(level);
                }
            }
            at = parent;
        }
    }

    /// Keeps the number of an empty node for later, and the memory of none.
    fn give_back(&mut self, at: usize) {
        if let Some(node) = self.nodes.get_mut(at) {
            *node = Node::default();
        }
        self.free.push(at);
    }

    /// The values of all filters that match `topic`, the bytes of a valid topic name, in no particular order.
    #[must_use]
    pub fn matches<'n>(&self, topic: &'n [u8]) -> Matches<'_, 'n, T> {
        let start = Visit { node: ROOT, rest: Some(topic), wildcards: topic.first() != Some(&b'$') };
        Matches {
            nodes: &self.nodes,
            entries: [].iter().chain([].iter()),
            next: Some(start),
            branches: Vec::new(),
        }
    }

    /// All values, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flat_map(|node| node.here.iter().chain(&node.hash)).map(|entry| &entry.value)
    }
}

impl<T: fmt::Debug> fmt::Debug for TopicTree<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

/// The values of the filters that match a topic: see [`TopicTree::matches`].
pub struct Matches<'t, 'n, T> {
    nodes: &'t [Node<T>],
    entries: Chain<slice::Iter<'t, Entry<T>>, slice::Iter<'t, Entry<T>>>,
    next: Option<Visit<'n>>,
    /// Where the walk could also have gone. A node is reached in one way only, so that none is visited twice.
    branches: Vec<Visit<'n>>,
}

#[derive(Clone, Copy)]
struct Visit<'n> {
    node: usize,
    /// The levels that are left; `None` behind the last.
    rest: Option<&'n [u8]>,
    /// Not at the first level of a topic that begins with `$` [v5 MQTT-4.7.2-1, v3.1.1 MQTT-4.7.2-1].
    wildcards: bool,
}

impl<'t, T> Iterator for Matches<'t, '_, T> {
    type Item = &'t T;

    fn next(&mut self) -> Option<&'t T> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Some(&entry.value);
            }
            let visit = self.next.take().or_else(|| self.branches.pop())?;
            let node = self.nodes.get(visit.node)?;
            let hash = if visit.wildcards { node.hash.as_slice() } else { &[] };
            let Some(rest) = visit.rest else {
                // `a/#` matches `a` too (section 4.7.1.2).
                self.entries = node.here.iter().chain(hash);
                continue;
            };
            self.entries = hash.iter().chain(&[]);
            let mut parts = rest.splitn(2, |byte| *byte == b'/');
            let (level, rest) = (parts.next()?, parts.next());
            let go = |node| Visit { node, rest, wildcards: true };
            self.next = node.levels.get(level).map(go);
            if let Some(plus) = node.plus.filter(|_| visit.wildcards) {
                match self.next {
                    None => self.next = Some(go(plus)),
                    Some(_) => self.branches.push(go(plus)),
                }
            }
        }
    }
}

impl<T> fmt::Debug for Matches<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matches").field("branches", &self.branches.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
