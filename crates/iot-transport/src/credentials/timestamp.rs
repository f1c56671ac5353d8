//! Points in time as AWS's JSON writes them.

use std::time::SystemTime;
#[cfg(feature = "cognito")]
use std::time::{Duration, UNIX_EPOCH};

#[cfg(feature = "iot-credentials")]
use aws_smithy_types::date_time::{DateTime, Format};

/// Seconds since 1970, perhaps with a fraction. `None` for what is before 1970 or beyond the clock's range.
#[cfg(feature = "cognito")]
pub(super) fn from_seconds(seconds: f64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// ISO 8601 with its offset, as in `2018-01-18T09:18:06Z`.
#[cfg(feature = "iot-credentials")]
pub(super) fn from_iso_8601(text: &str) -> Option<SystemTime> {
    let time = DateTime::from_str(text, Format::DateTimeWithOffset).ok()?;
    SystemTime::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "iot-credentials")]
    #[test]
    fn iso_8601_is_counted_from_1970() {
        let seconds = |text| from_iso_8601(text).map(|at| at.duration_since(UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2018-01-18T09:18:06Z"), Some(1_516_267_086));
        assert_eq!(seconds("2024-02-29T23:59:59.123+00:00"), Some(1_709_251_199));
        assert_eq!(seconds("2100-03-01T00:00:00Z"), Some(4_107_542_400));
        assert_eq!(seconds("2018-01-18T11:18:06+02:00"), Some(1_516_267_086));
        assert_eq!(seconds("9999-12-31T23:59:59Z"), Some(253_402_300_799));
    }

    #[cfg(feature = "iot-credentials")]
    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "Z",
            "2018-01-18",
            "2018-01-18T09:18:06",
            "2018-01-18T09:18:06.xZ",
            "2018-13-18T09:18:06Z",
            "2018-00-18T09:18:06Z",
            "2018-02-29T09:18:06Z",
            "2100-02-29T09:18:06Z",
            "2018-01-00T09:18:06Z",
            "2018-01-18T24:18:06Z",
            "2018-01-18T09:60:06Z",
            "2018-01-18T09:18:61Z",
            "2018-01-18T09:18Z",
            "2018-01-18-01T09:18:06Z",
            "+018-01-18T09:18:06Z",
            "18446744073709551616-01-18T09:18:06Z",
        ] {
            assert_eq!(from_iso_8601(text), None, "{text}");
        }
    }

    #[cfg(feature = "cognito")]
    #[test]
    fn seconds_may_have_a_fraction_and_must_fit() {
        assert_eq!(from_seconds(1.5e9), UNIX_EPOCH.checked_add(Duration::from_secs(1_500_000_000)));
        assert_eq!(from_seconds(0.25), UNIX_EPOCH.checked_add(Duration::from_millis(250)));
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(from_seconds(wrong), None, "{wrong}");
        }
    }
}
