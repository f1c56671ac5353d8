//! A server's own words, fit to be shown to people.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// The most characters of a server's words that are shown.
const LONGEST: usize = 300;
/// From how many bytes on a secret is looked for: shorter ones are in any text.
const SHORTEST_SECRET: usize = 4;
/// How many bytes in a row of a secret are as good as all of it.
const STRETCH: usize = 8;

/// What a request says that nobody else is to see.
#[derive(Default)]
pub(crate) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// Remembers a value, as it is and without its percent-encoding.
    pub(crate) fn add(&mut self, value: &str) {
        self.0.push(Zeroizing::new(value.to_owned()));
        let plain = decoded(value);
        if plain.as_str() != value {
            self.0.push(plain);
        }
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|secret| secret.as_str()).filter(|secret| secret.len() >= SHORTEST_SECRET)
    }

    /// Whether one of them is in the text, encoded or escaped perhaps.
    fn are_in(&self, text: &str) -> bool {
        let mut unescaped = Zeroizing::new(String::with_capacity(text.len()));
        unescaped.extend(text.chars().filter(|c| *c != '\\'));
        let decoded = decoded(&unescaped);
        self.all()
            .any(|secret| text.contains(secret) || unescaped.contains(secret) || decoded.contains(secret))
    }

    /// Whether so much of one of them is in the text that it is no coincidence: what repeats a request may cut it.
    fn are_in_part_in(&self, text: &str) -> bool {
        self.all().any(|secret| {
            secret
                .as_bytes()
                .windows(STRETCH)
                .any(|part| text.as_bytes().windows(STRETCH).any(|there| there == part))
        })
    }
}

/// The text without its percent-encoding.
pub(crate) fn decoded(text: &str) -> Zeroizing<String> {
    // Room for the longest outcome: what grows leaves what it held behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    bytes.extend(percent_decode_str(text));
    Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
}

/// The words in a line of at most 300 characters, without control characters; `None` if there are none.
///
/// A word ends at its question mark, since what follows may be a query. Nothing is left of a text that repeats one of
/// these secrets, but a phrase that says so.
pub(crate) fn quoted(text: &str, secrets: &Secrets) -> Option<String> {
    // One line, and nothing that could steer a terminal.
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        match word.split_once('?') {
            Some((word, query)) if !query.is_empty() => {
                line.push_str(word);
                line.push_str("?…");
            }
            _ => line.push_str(word),
        }
        if line.len() > LONGEST {
            line = line.chars().take(LONGEST).collect();
            break;
        }
    }
    if secrets.are_in(text) || secrets.are_in(&line) || secrets.are_in_part_in(&line) {
        return Some("(it repeats part of the request, which is not shown)".to_owned());
    }
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, secrets: &[&str]) -> Option<String> {
        let mut all = Secrets::default();
        secrets.iter().for_each(|secret| all.add(secret));
        quoted(text, &all)
    }

    #[test]
    fn words_fit_on_a_line_and_end_at_their_question_mark() {
        assert_eq!(shown("  two\r\n lines\u{1b}[31m ", &[]).as_deref(), Some("two lines [31m"));
        assert_eq!(shown("why? GET /mqtt?a=b HTTP/1.1", &[]).as_deref(), Some("why? GET /mqtt?… HTTP/1.1"));
        assert_eq!(shown(" \n ", &[]), None);
        assert_eq!(shown(&"é".repeat(1000), &[]).unwrap().chars().count(), LONGEST);
    }

    #[test]
    fn a_text_that_repeats_a_secret_is_not_shown() {
        for (text, secret) in [
            ("no: token s3cr", "s3cr"),
            ("token: a b/c=", "a%20b%2Fc%3D"),
            ("token: a%20b%2fc%3d", "a b/c="),
            (r"token: ab\/cd", "ab/cd"),
            // It is whole on the line only.
            ("s3cret\r\n token", "s3cret token"),
        ] {
            let words = shown(text, &[secret]);
            assert_eq!(
                words.as_deref(),
                Some("(it repeats part of the request, which is not shown)"),
                "{text}"
            );
        }
        // Behind what is shown, and only the beginning of it.
        assert!(
            shown(&format!("{} s3cret", "x".repeat(400)), &["s3cret"]).unwrap().starts_with("(it repeats")
        );
        assert!(shown("token: abcdefgh...", &["abcdefghijkl"]).unwrap().starts_with("(it repeats"));
        // Too short to mean anything.
        assert_eq!(shown("forbidden", &["for", ""]).as_deref(), Some("forbidden"));
    }
}
