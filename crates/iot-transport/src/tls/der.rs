//! The little that has to be read from DER (ITU-T X.690) before rustls sees it: what a blob is, and from when to when
//! a certificate is good (RFC 5280, section 4.1).

use std::fmt;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`: the version of a certificate.
const VERSION: u8 = 0xA0;

/// From when to when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Seconds,
    pub(super) not_after: Seconds,
}

/// Seconds since 1970, UTC. `Display` gives `2024-01-15 12:00:00 UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seconds(pub(super) i64);

/// The validity of a certificate in DER; none if it is no certificate.
pub(super) fn validity(certificate: &[u8]) -> Option<Validity> {
    let mut outer = Der(certificate);
    let mut fields = Der(Der(outer.take(SEQUENCE)?).take(SEQUENCE)?);
    if fields.next() == Some(VERSION) {
        fields.take(VERSION)?;
    }
    fields.take(INTEGER)?; // serial number
    fields.take(SEQUENCE)?; // signature algorithm
    fields.take(SEQUENCE)?; // issuer
    let mut dates = Der(fields.take(SEQUENCE)?);
    Some(Validity { not_before: dates.time()?, not_after: dates.time()? })
}

/// Issuer and subject of a certificate, as people write them: `CN=Amazon Root CA 1, O=Amazon`.
pub(super) fn names(certificate: &[u8]) -> Option<(String, String)> {
    let mut outer = Der(certificate);
    let mut fields = Der(Der(outer.take(SEQUENCE)?).take(SEQUENCE)?);
    if fields.next() == Some(VERSION) {
        fields.take(VERSION)?;
    }
    fields.take(INTEGER)?; // serial number
    fields.take(SEQUENCE)?; // signature algorithm
    let issuer = name(fields.take(SEQUENCE)?);
    fields.take(SEQUENCE)?; // validity
    Some((issuer, name(fields.take(SEQUENCE)?)))
}

/// Of a distinguished name, what tells most. It may be anybody's: what could steer a terminal is escaped, what is long cut.
fn name(name: &[u8]) -> String {
    const LONGEST: usize = 64;
    let mut parts = Der(name);
    let mut shown = Vec::new();
    while let Some(part) = parts.take(SET) {
        let read = || {
            let mut pair = Der(Der(part).take(SEQUENCE)?);
            let key = match pair.take(OBJECT_IDENTIFIER)? {
                [0x55, 0x04, 0x03] => "CN",
                [0x55, 0x04, 0x0A] => "O",
                [0x55, 0x04, 0x0B] => "OU",
                _ => return None,
            };
            let value = String::from_utf8_lossy(pair.take(pair.next()?)?).into_owned();
            let value: String = value.chars().take(LONGEST).collect();
            Some(format!("{key}={}", value.escape_debug()))
        };
        shown.extend(read());
    }
    // The common name first, which encodings put last.
    shown.reverse();
    if shown.is_empty() { "a name without words".into() } else { shown.join(", ") }
}

/// Whether this is a certificate of version 1, which has no field for its version.
pub(super) fn is_version_1(certificate: &[u8]) -> bool {
    let fields = || Der(certificate).take(SEQUENCE).and_then(|outer| Der(outer).take(SEQUENCE));
    validity(certificate).is_some() && fields().is_some_and(|fields| Der(fields).next() == Some(INTEGER))
}

/// Whether this is a PKCS#12 archive (RFC 7292, section 4): a sequence that begins with the version 3.
pub(super) fn is_pkcs12(blob: &[u8]) -> bool {
    let version = || {
        let mut fields = Der(Der(blob).take(SEQUENCE)?);
        let version = fields.take(INTEGER)?;
        (fields.next() == Some(SEQUENCE)).then_some(version)
    };
    version() == Some(&[3])
}

/// Whether this is an encrypted private key (RFC 5958, section 3): a sequence that begins with an algorithm.
pub(super) fn is_encrypted_key(blob: &[u8]) -> bool {
    let algorithm = || {
        let mut fields = Der(Der(blob).take(SEQUENCE)?);
        let mut algorithm = Der(fields.take(SEQUENCE)?);
        algorithm.take(OBJECT_IDENTIFIER)
    };
    algorithm().is_some()
}

/// Elements one behind the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The tag of the next element.
    fn next(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The contents of the next element, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&first, rest) = self.0.split_first()?;
        let (&short, mut rest) = rest.split_first()?;
        let len = match short {
            0..=0x7F => usize::from(short),
            0x81..=0x84 => {
                let (long, behind) = rest.split_at_checked(usize::from(short & 0x7F))?;
                rest = behind;
                long.iter()
                    .try_fold(0usize, |len, byte| len.checked_mul(256)?.checked_add(usize::from(*byte)))?
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        (first == tag).then_some(contents)
    }

    fn time(&mut self) -> Option<Seconds> {
        let tag = self.next()?;
        let text = std::str::from_utf8(self.take(tag)?).ok()?.strip_suffix('Z')?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = match tag {
            UTC_TIME => {
                let (short, rest) = text.split_at_checked(2)?;
                let short: i64 = short.parse().ok()?;
                (if short < 50 { 2000 + short } else { 1900 + short }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (year.parse().ok()?, rest)
            }
            _ => return None,
        };
        let mut parts = [0i64; 5];
        let mut rest = rest;
        for part in &mut parts {
            let (two, behind) = rest.split_at_checked(2)?;
            *part = two.parse().ok()?;
            rest = behind;
        }
        let [month, day, hour, minute, second] = parts;
        let sound =
            (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
        let days = days_since_1970(year, month, day);
        (sound && rest.is_empty()).then_some(Seconds(((days * 24 + hour) * 60 + minute) * 60 + second))
    }
}

/// In the Gregorian calendar, whose years are taken to begin in March, so that the leap day is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, time) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        // The years of the calendar are 365.2425 days on average: the guess is off by one at most.
        let mut year = 1970 + days * 400 / 146_097 + 1;
        while days_since_1970(year, 1, 1) > days {
            year -= 1;
        }
        let month = (1..=12).rev().find(|&month| days_since_1970(year, month, 1) <= days).unwrap_or(1);
        let day = days - days_since_1970(year, month, 1) + 1;
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        let mut element = vec![tag];
        match u8::try_from(contents.len()) {
            Ok(len @ 0..=127) => element.push(len),
            _ => {
                element.push(0x82);
                element.extend(u16::try_from(contents.len()).unwrap().to_be_bytes());
            }
        }
        element.extend(contents);
        element
    }

    fn time(tag: u8, text: &str) -> Option<Seconds> {
        Der(&element(tag, text.as_bytes())).time()
    }

    #[test]
    fn times_are_read_and_shown() {
        for (tag, text, seconds, shown) in [
            (UTC_TIME, "700101000000Z", 0, "1970-01-01 00:00:00 UTC"),
            (UTC_TIME, "240115120000Z", 1_705_320_000, "2024-01-15 12:00:00 UTC"),
            (UTC_TIME, "491231235959Z", 2_524_607_999, "2049-12-31 23:59:59 UTC"),
            (UTC_TIME, "500101000000Z", -631_152_000, "1950-01-01 00:00:00 UTC"),
            (GENERALIZED_TIME, "20240229000000Z", 1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (GENERALIZED_TIME, "20500101000000Z", 2_524_608_000, "2050-01-01 00:00:00 UTC"),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            let read = time(tag, text);
            assert_eq!(read, Some(Seconds(seconds)), "{text}");
            assert_eq!(read.unwrap().to_string(), shown);
        }
    }

    #[test]
    fn every_day_is_shown_as_the_one_it_is() {
        for days in -40_000..80_000i64 {
            let shown = Seconds(days * 86_400).to_string();
            let digits: String = shown.chars().take(10).filter(char::is_ascii_digit).collect();
            assert_eq!(
                time(GENERALIZED_TIME, &format!("{digits}000000Z")),
                Some(Seconds(days * 86_400)),
                "{shown}"
            );
        }
    }

    #[test]
    fn names_are_shown_with_the_common_name_first_and_nothing_that_steers_a_terminal() {
        let part = |last: u8, value: &str| {
            let key = element(OBJECT_IDENTIFIER, &[0x55, 0x04, last]);
            element(SET, &element(SEQUENCE, &[key, element(0x0C, value.as_bytes())].concat()))
        };
        let full = [part(0x06, "US"), part(0x0A, "Ama\u{1b}[31mzon"), part(0x03, &"x".repeat(100))].concat();
        assert_eq!(name(&full), format!("CN={}, O=Ama\\u{{1b}}[31mzon", "x".repeat(64)));
        assert_eq!(name(&full[..20]), "a name without words");
        assert_eq!(name(&[]), "a name without words");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for (tag, text) in [
            (UTC_TIME, "2401151200Z"),
            (UTC_TIME, "240115120000"),
            (UTC_TIME, "240015120000Z"),
            (UTC_TIME, "240115250000Z"),
            (UTC_TIME, "24011512000é"),
            (GENERALIZED_TIME, "20240115120000.5Z"),
            (GENERALIZED_TIME, ""),
            (INTEGER, "240115120000Z"),
        ] {
            assert_eq!(time(tag, text), None, "{text}");
        }
    }

    #[test]
    fn a_certificate_cut_off_anywhere_or_with_any_length_is_no_panic() {
        let dates =
            [element(UTC_TIME, b"240115120000Z"), element(GENERALIZED_TIME, b"20500101000000Z")].concat();
        let fields = [
            element(VERSION, &element(INTEGER, &[2])),
            element(INTEGER, &[1; 20]),
            element(SEQUENCE, &[]),
            element(SEQUENCE, &[0; 200]),
            element(SEQUENCE, &dates),
        ];
        let certificate = element(SEQUENCE, &element(SEQUENCE, &fields.concat()));
        let read = validity(&certificate).unwrap();
        assert_eq!((read.not_before.0, read.not_after.0), (1_705_320_000, 2_524_608_000));
        assert!(!is_encrypted_key(&certificate));
        for len in 0..certificate.len() {
            assert_eq!(validity(&certificate[..len]), None);
            for byte in [0x00, 0x7F, 0x80, 0x84, 0x88, 0xFF] {
                let mut other = certificate.clone();
                other[len] = byte;
                let _ = (validity(&other), is_encrypted_key(&other));
            }
        }
        assert!(is_encrypted_key(&element(SEQUENCE, &element(SEQUENCE, &element(OBJECT_IDENTIFIER, &[42])))));
    }
}
