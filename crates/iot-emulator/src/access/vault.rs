//! The credentials that the emulator knows: those it was given, and those it has issued.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::credentials::AwsCredentials;
use super::random;

/// How many issued sets are remembered; the oldest go first.
const ISSUED: usize = 1_000;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Vault(Mutex<Known>);

#[derive(Debug)]
struct Known {
    configured: AwsCredentials,
    issued: VecDeque<AwsCredentials>,
}

impl Vault {
    pub(crate) fn new(configured: AwsCredentials) -> Self {
        Self(Mutex::new(Known { configured, issued: VecDeque::new() }))
    }

    /// Credentials for good, of the emulator's own making.
    pub(crate) fn generate() -> io::Result<AwsCredentials> {
        Ok(AwsCredentials::new(format!("AKIA{}", random::upper(16)?), random::base64(40)?))
    }

    /// Temporary credentials.
    pub(crate) fn issue(&self, now: SystemTime, lifetime: Duration) -> io::Result<AwsCredentials> {
        let access_key = format!("ASIA{}", random::upper(16)?);
        let mut issued = AwsCredentials::new(access_key, random::base64(40)?)
            .with_session_token(format!("{}==", random::base64(342)?));
        issued.expires = now.checked_add(lifetime);
        let mut known = self.known();
        known.issued.retain(|old| old.expires.is_none_or(|at| at > now));
        if known.issued.len() >= ISSUED {
            known.issued.pop_front();
        }
        known.issued.push_back(issued.clone());
        Ok(issued)
    }

    pub(crate) fn configured(&self) -> AwsCredentials {
        self.known().configured.clone()
    }

    pub(crate) fn configure(&self, credentials: AwsCredentials) {
        self.known().configured = credentials;
    }

    pub(crate) fn find(&self, access_key_id: &str) -> Option<AwsCredentials> {
        let known = self.known();
        std::iter::once(&known.configured)
            .chain(&known.issued)
            .find(|credentials| credentials.access_key_id == access_key_id)
            .cloned()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn what_is_issued_is_found_and_the_oldest_is_forgotten_first() {
        let vault = Vault::new(AwsCredentials::new("mine", "secret"));
        let hour = Duration::from_secs(3_600);
        let first = vault.issue(UNIX_EPOCH, hour).unwrap();
        assert_eq!(vault.find(&first.access_key_id), Some(first.clone()));
        let mut last = first.clone();
        for _ in 0..ISSUED {
            last = vault.issue(UNIX_EPOCH, hour).unwrap();
        }
        assert_eq!(vault.find(&first.access_key_id), None);
        assert_eq!(vault.known().issued.len(), ISSUED);
        assert_eq!(vault.find("mine"), Some(AwsCredentials::new("mine", "secret")));

        vault.issue(UNIX_EPOCH + hour, hour).unwrap();
        assert_eq!(vault.find(&last.access_key_id), None);
        assert_eq!(vault.known().issued.len(), 1);
    }
}
