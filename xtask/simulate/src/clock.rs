//! The virtual clock, and the calendar that the adversary sets.

use std::cell::Cell;

use iot_session::UnixMillis;
use tokio::time::Instant;

thread_local! {
    static ORIGIN: Cell<Option<Instant>> = const { Cell::new(None) };
    static SHIFT: Cell<i64> = const { Cell::new(0) };
}

/// The calendar at the beginning of a run.
const BEGINNING: i64 = 1_800_000_000_000;

/// A run begins on this thread.
#[expect(clippy::disallowed_methods, reason = "tokio's clock is the virtual one here")]
pub fn begin() {
    ORIGIN.set(Some(Instant::now()));
    SHIFT.set(0);
}

/// Milliseconds since the run began.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tokio's clock is the virtual one here")]
pub fn millis() -> u64 {
    let elapsed = ORIGIN.get().map(|origin| Instant::now().saturating_duration_since(origin));
    elapsed.and_then(|elapsed| u64::try_from(elapsed.as_millis()).ok()).unwrap_or(0)
}

/// The calendar jumps.
pub fn jump(seconds: i64) {
    SHIFT.set(SHIFT.get().saturating_add(seconds.saturating_mul(1000)));
}

/// What the calendar says.
#[must_use]
pub fn calendar() -> Option<UnixMillis> {
    let now = BEGINNING.saturating_add(SHIFT.get()).saturating_add_unsigned(millis());
    u64::try_from(now).ok().map(UnixMillis)
}
