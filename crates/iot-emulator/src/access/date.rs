//! Dates as AWS writes them, to and from seconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

/// `20240115T120000Z`, and nothing else.
pub(super) fn parse_basic(text: &str) -> Option<SystemTime> {
    let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
    let [y1, y2, y3, y4, mo1, mo2, d1, d2, b'T', h1, h2, mi1, mi2, s1, s2, b'Z'] = *bytes else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0u64, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit.saturating_sub(b'0')))
        })
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[mo1, mo2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[mi1, mi2])?, number(&[s1, s2])?);
    let days_of_month = *days_of_months(year).get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if year < 1970 || !(1..=days_of_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = (1970..year).map(days_of_year).sum::<u64>()
        + days_of_months(year).iter().take(usize::try_from(month).ok()? - 1).sum::<u64>()
        + day
        - 1;
    Some(UNIX_EPOCH + Duration::from_secs(days * DAY + hour * 3_600 + minute * 60 + second))
}

/// The same, written. What is before 1970 or after 9999 becomes the nearest that is not.
pub(super) fn basic(at: SystemTime) -> String {
    iso_8601(at).replace(['-', ':'], "")
}

/// `2018-01-18T09:18:06Z`. What is before 1970 or after 9999 becomes the nearest that is not.
pub(crate) fn iso_8601(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(253_402_300_799);
    let (mut days, second) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    for len in days_of_months(year) {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    let (day, hour, minute, second) = (days + 1, second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn days_of_year(year: u64) -> u64 {
    days_of_months(year).iter().sum()
}

fn days_of_months(year: u64) -> [u64; 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn dates_are_read_and_written_to_the_second() {
        for (basic, extended, seconds) in [
            ("19700101T000000Z", "1970-01-01T00:00:00Z", 0),
            ("20000229T235959Z", "2000-02-29T23:59:59Z", 951_868_799),
            ("20240115T120000Z", "2024-01-15T12:00:00Z", 1_705_320_000),
            ("20241231T000001Z", "2024-12-31T00:00:01Z", 1_735_603_201),
            ("99991231T235959Z", "9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(parse_basic(basic), Some(at(seconds)), "{basic}");
            assert_eq!(iso_8601(at(seconds)), extended);
            assert_eq!(super::basic(at(seconds)), basic);
        }
        assert_eq!(iso_8601(at(u64::MAX / 4)), "9999-12-31T23:59:59Z");
        assert_eq!(iso_8601(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "20240115T120000",
            "20240115t120000Z",
            "20240015T120000Z",
            "20241315T120000Z",
            "20240100T120000Z",
            "20240132T120000Z",
            "20230229T120000Z",
            "20240115T240000Z",
            "20240115T126000Z",
            "20240115T120060Z",
            "19690115T120000Z",
            "2024011\u{e9}T12000Z",
            "+0240115T120000Z",
        ] {
            assert_eq!(parse_basic(text), None, "{text}");
        }
    }
}
