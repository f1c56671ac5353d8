//! The disagreements that are known, and the clause of the standard that decides each.

use core::fmt;

use mqtt_codec::{DecodeError, PropertyId, Version};

use super::said::Said;

/// A packet that a peer sees in another way than our codec.
#[derive(Debug)]
pub struct Disagreement {
    pub peer: &'static str,
    pub version: Version,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    /// The peer panics.
    Panics,
    /// We refuse it, the peer takes it.
    Taken(DecodeError),
    /// We wait for more bytes, the peer takes it as it is.
    Completed(Said),
    /// We take it, the peer does not.
    Refused(Said),
    /// Both take it, and do not read the same in it.
    ReadInAnotherWay { ours: Said, theirs: Said },
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peer, version) = (self.peer, self.version);
        match &self.what {
            What::Panics => write!(f, "{peer} ({version}) panics"),
            What::Taken(error) => write!(f, "{peer} ({version}) takes what we refuse: {error:?}"),
            What::Completed(theirs) => {
                write!(f, "{peer} ({version}) takes what is not complete to us: {theirs:?}")
            }
            What::Refused(ours) => write!(f, "{peer} ({version}) refuses what we take: {ours:?}"),
            What::ReadInAnotherWay { ours, theirs } => {
                write!(f, "{peer} ({version}) reads\n{theirs:?}\nwhere we read\n{ours:?}")
            }
        }
    }
}

/// What a class of disagreements looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// The peer panics.
    Panics,
    /// We refuse it for this reason, a variant of [`DecodeError`] by its name; the peer takes it.
    Taken(&'static str),
    /// The peer refuses this value of a property, or more of them, which we take.
    Refused(PropertyId, u32),
}

/// A class of disagreements.
#[derive(Debug)]
pub struct Known {
    pub peer: &'static str,
    pub version: Version,
    pub shows: Shows,
    /// Why we are right.
    pub clause: &'static str,
}

const fn known(peer: &'static str, version: Version, shows: Shows, clause: &'static str) -> Known {
    Known { peer, version, shows, clause }
}

/// Every class that was found. The tests hold a seed against each.
pub const KNOWN: &[Known] = &[
];

impl Disagreement {
    /// The class that this one belongs to.
    #[must_use]
    pub fn known(&self) -> Option<&'static Known> {
        KNOWN.iter().find(|known| {
            known.peer == self.peer
                && known.version == self.version
                && match (known.shows, &self.what) {
                    (Shows::Panics, What::Panics) => true,
                    (Shows::Taken(variant), What::Taken(error)) => variant == name(error),
                    (Shows::Refused(id, value), What::Refused(ours)) => ours.has(id, value),
                    _ => false,
                }
        })
    }
}

/// The variant's name.
fn name(error: &DecodeError) -> String {
    let debug = format!("{error:?}");
    debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
}
