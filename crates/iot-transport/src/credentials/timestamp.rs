//! Points in time as AWS's JSON writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970, perhaps with a fraction. `None` for what is before 1970 or beyond the clock's range.
#[cfg(feature = "cognito")]
pub(super) fn from_seconds(seconds: f64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// ISO 8601 in UTC, as in `2018-01-18T09:18:06Z`; a fraction of a second is let pass and dropped.
#[cfg(feature = "iot-credentials")]
pub(super) fn from_iso_8601(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let time = match time.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => time,
    };
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(month, year)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    let days = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum::<u64>()
        + (1..month).map(|month| days_in(month, year)).sum::<u64>()
        + (day - 1);
    UNIX_EPOCH.checked_add(Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

#[cfg(feature = "iot-credentials")]
fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        *number = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(feature = "iot-credentials")]
fn days_in(month: u64, year: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(feature = "iot-credentials")]
fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
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
            "2018-01-18T09:18:06+02:00",
            "2018-01-18T09:18:06.xZ",
            "2018-13-18T09:18:06Z",
            "2018-00-18T09:18:06Z",
            "2018-02-29T09:18:06Z",
            "2100-02-29T09:18:06Z",
            "2018-01-00T09:18:06Z",
            "1969-01-01T00:00:00Z",
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
