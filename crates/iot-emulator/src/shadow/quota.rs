//! How many requests there may be: under way for a thing on a connection, and in a second for a shadow.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Asker;
use super::id::ShadowId;

/// What is counted. Both maps hold no more than what is under way, or was asked for in the last second.
#[derive(Debug, Default)]
pub(super) struct Quota {
    under_way: BTreeMap<Asker, BTreeMap<String, usize>>,
    /// When the second began, and how many requests there were in it.
    rates: BTreeMap<ShadowId, (Duration, u32)>,
    /// When old seconds were last thrown away.
    swept: Duration,
}

const SECOND: Duration = Duration::from_secs(1);

impl Quota {
    /// A request begins, unless there are too many.
    pub(super) fn begin(&mut self, asker: Asker, thing: &str, max: usize) -> bool {
        let of_thing = self.under_way.entry(asker).or_default().entry(thing.to_owned()).or_default();
        let fits = *of_thing < max;
        *of_thing += usize::from(fits);
        fits
    }

    /// A request has ended.
    pub(super) fn end(&mut self, asker: Asker, thing: &str) {
        let Some(things) = self.under_way.get_mut(&asker) else { return };
        if let Some(count) = things.get_mut(thing) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                things.remove(thing);
            }
        }
        if things.is_empty() {
            self.under_way.remove(&asker);
        }
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, asker: Asker) {
        self.under_way.remove(&asker);
    }

    /// Counts a request for a shadow, unless there were too many in this second.
    pub(super) fn count(&mut self, now: Duration, id: &ShadowId, max: u32) -> Result<(), ()> {
        if max == u32::MAX {
            return Ok(());
        }
        if now.saturating_sub(self.swept) >= SECOND {
            self.swept = now;
            self.rates.retain(|_, (began, _)| now.saturating_sub(*began) < SECOND);
        }
        let (began, count) = self.rates.entry(id.clone()).or_insert((now, 0));
        if now.saturating_sub(*began) >= SECOND {
            (*began, *count) = (now, 0);
        }
        if *count >= max {
            return Err(());
        }
        *count += 1;
        Ok(())
    }
}
