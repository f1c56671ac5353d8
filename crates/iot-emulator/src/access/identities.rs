//! Identities of a Cognito identity pool: handed out, and remembered for a while.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use super::random::uuid;

/// How many identities are remembered; the oldest go first.
const IDENTITIES: usize = 1_000;

/// The identities of one pool.
#[derive(Debug, Default)]
pub(crate) struct Identities(Mutex<VecDeque<Identity>>);

#[derive(Debug)]
struct Identity {
    id: String,
    authenticated: bool,
}

impl Identities {
    /// A new identity, `us-east-1:<uuid>`.
    pub(crate) fn create(&self, region: &str, authenticated: bool) -> io::Result<String> {
        let id = format!("{region}:{}", uuid()?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= IDENTITIES {
            known.pop_front();
        }
        known.push_back(Identity { id: id.clone(), authenticated });
        Ok(id)
    }

    /// Whether an identity was made with a login; `None` when there is no such identity.
    pub(crate) fn authenticated(&self, id: &str) -> Option<bool> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|identity| identity.id == id).map(|identity| identity.authenticated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_remembered_up_to_a_number() {
        let identities = Identities::default();
        let first = identities.create("us-east-1", true).unwrap();
        assert!(first.starts_with("us-east-1:"));
        assert_eq!(identities.authenticated(&first), Some(true));
        for _ in 0..IDENTITIES {
            identities.create("us-east-1", false).unwrap();
        }
        assert_eq!(identities.authenticated(&first), None);
    }
}
