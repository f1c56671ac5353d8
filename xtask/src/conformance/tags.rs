//! The numbers of statements in comments and in the names of tests.

use super::standard::Standard;

/// Every statement that the line names together with its standard.
pub(super) fn tags_in(line: &str) -> Vec<(Standard, String)> {
    let mut found = Vec::new();
    for standard in Standard::ALL {
        for rest in line.split(standard.citation()).skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(rest.len());
            let number = rest.get(..end).unwrap_or_default().trim_end_matches(['.', '-']);
            found.push((standard, format!("MQTT-{number}")));
        }
    }
    found
}

/// Whether the line has a statement's number without a standard before it.
pub(super) fn cites_neither(line: &str) -> bool {
    line.match_indices("MQTT-").any(|(at, word)| {
        let before = line.get(..at + word.len()).unwrap_or_default();
        let after = line.get(at + word.len()..).unwrap_or_default();
        after.starts_with(|c: char| c.is_ascii_digit())
            && !Standard::ALL.iter().any(|standard| before.ends_with(standard.citation()))
    })
}

/// The statement in a test's name. Names such as `mqtt5_connect` are not meant to have one.
pub(super) fn tag_of(name: &str) -> Option<Result<(Standard, String), ()>> {
    let (standard, rest) = Standard::ALL
        .into_iter()
        .find_map(|standard| name.strip_prefix(standard.test()).map(|rest| (standard, rest)))?;
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let parts: Vec<&str> = rest.split('_').take(4).collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match parts.as_slice() {
        [a, b, c, d] if parts.iter().all(is_number) => Some(Ok((standard, format!("MQTT-{a}.{b}.{c}-{d}")))),
        _ => Some(Err(())),
    }
}
