//! The file format of the shared credentials file: profiles, each with its properties.
//!
//! The rules are those of [Shared config and credentials
//! files](https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html) as the AWS SDKs test them. Where the
//! AWS CLI is more tolerant, so is this: a byte order mark is skipped, and a comment may be indented.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// The largest file that is read, in bytes.
pub(crate) const FILE_LIMIT: usize = 1024 * 1024;

/// The longest line, in bytes. A session token has some thousand.
pub(crate) const LINE_LIMIT: usize = 64 * 1024;

/// What is trimmed: the space of the format, and the carriage return of a line that ends in several.
const SPACE: [char; 3] = [' ', '\t', '\r'];
const COMMENT: [char; 2] = ['#', ';'];

/// The profiles of a file by name. Names are case-sensitive, a section that comes twice is one.
#[derive(Default)]
pub(crate) struct Profiles {
    profiles: BTreeMap<String, Profile>,
    /// The names of the sections `[profile NAME]`, which belong into the other file.
    prefixed: Vec<String>,
}

/// The properties of a profile by name, in lower case. Of two with one name the latter holds.
pub(crate) type Profile = BTreeMap<String, Property>;

/// The value of a property, and the line it begins in.
pub(crate) struct Property {
    pub(crate) value: Zeroizing<String>,
    pub(crate) line: usize,
}

/// What is wrong with a file, and in which of its lines. It never tells what the line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParseError {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) what: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl Profiles {
    /// Parses a file.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, ParseError> {
        let file = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
        let mut parser = Parser { read: Self::default(), place: Place::Start };
        for (index, line) in file.split(|byte| *byte == b'\n').enumerate() {
            let number = index.saturating_add(1);
            parser.line(line, number).map_err(|what| ParseError { line: number, what })?;
        }
        Ok(parser.read)
    }

    /// The profile of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// Every profile, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.profiles.iter().map(|(name, profile)| (name.as_str(), profile))
    }

    /// Whether there is a section `[profile NAME]`.
    pub(crate) fn is_prefixed(&self, name: &str) -> bool {
        self.prefixed.iter().any(|prefixed| prefixed == name)
    }
}

/// Where in the file the next line stands.
enum Place {
    Start,
    /// In a section that counts for nothing, after a property or before the first.
    Ignored {
        after: Option<AfterProperty>,
    },
    Profile {
        name: String,
        after: Option<(String, AfterProperty)>,
    },
}

/// What the lines that continue a property have to look like.
#[derive(Clone, Copy)]
enum AfterProperty {
    /// Its value goes on.
    Value,
    /// The value was empty: each line is a property of its own.
    Nested,
}

struct Parser {
    read: Profiles,
    place: Place,
}

impl Parser {
    fn line(&mut self, bytes: &[u8], number: usize) -> Result<(), &'static str> {
        if bytes.len() > LINE_LIMIT {
            return Err("it is longer than 64 KiB; this seems to be another file");
        }
        let line = str::from_utf8(bytes).map_err(|_| "it is not UTF-8; save the file as UTF-8 text")?;
        let text = line.trim_matches(SPACE);
        if text.is_empty() || text.starts_with(COMMENT) {
            return Ok(());
        }
        if line.starts_with('[') {
            self.section(line)
        } else if line.starts_with([' ', '\t']) {
            self.continuation(text)
        } else {
            self.property(line, number)
        }
    }

    fn section(&mut self, line: &str) -> Result<(), &'static str> {
        // Here a comment needs no space in front.
        let line = line.split(COMMENT).next().unwrap_or_default().trim_matches(SPACE);
        let name = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .ok_or("a section needs a closing bracket at its end, as in [default]")?
            .trim_matches(SPACE);
        self.place = if is_identifier(name) {
            self.read.profiles.entry(name.to_owned()).or_default();
            Place::Profile { name: name.to_owned(), after: None }
        } else {
            let prefixed = name.split_once([' ', '\t']).filter(|(prefix, _)| *prefix == "profile");
            self.read.prefixed.extend(prefixed.map(|(_, name)| name.trim_matches(SPACE).to_owned()));
            Place::Ignored { after: None }
        };
        Ok(())
    }

    fn property(&mut self, line: &str, number: usize) -> Result<(), &'static str> {
        let (key, value) = pair(line)?;
        let after = if value.is_empty() { AfterProperty::Nested } else { AfterProperty::Value };
        match &mut self.place {
            Place::Start => return Err("there is no section above it; begin the file with [default]"),
            Place::Ignored { after: last } => *last = Some(after),
            Place::Profile { name, after: last } => {
                let key = key.to_ascii_lowercase();
                if is_identifier(&key) {
                    let property = Property { value: Zeroizing::new(value.to_owned()), line: number };
                    // The section was entered into the map when it began.
                    self.read.profiles.get_mut(name).map(|profile| profile.insert(key.clone(), property));
                }
                *last = Some((key, after));
            }
        }
        Ok(())
    }

    fn continuation(&mut self, text: &str) -> Result<(), &'static str> {
        const ALONE: &str = "it begins with white space, and so continues the property above it, of which there \
                             is none; take the white space away";
        let (key, after) = match &self.place {
            Place::Start => return Err("there is no section above it; begin the file with [default]"),
            Place::Ignored { after } => (None, after.ok_or(ALONE)?),
            Place::Profile { name, after } => {
                let (key, after) = after.as_ref().ok_or(ALONE)?;
                (Some((name, key)), *after)
            }
        };
        if matches!(after, AfterProperty::Nested) {
            pair(text)?;
        }
        let property = key.and_then(|(name, key)| self.read.profiles.get_mut(name)?.get_mut(key));
        if let Some(property) = property {
            property.value.push('\n');
            property.value.push_str(text);
        }
        Ok(())
    }
}

/// The name and the value of a property. A comment needs a space in front.
fn pair(line: &str) -> Result<(&str, &str), &'static str> {
    let line = line.trim_matches(SPACE);
    let mut after_space = false;
    let comment = line.char_indices().find(|(_, c)| {
        let found = after_space && COMMENT.contains(c);
        after_space = c.is_whitespace();
        found
    });
    let line = comment.and_then(|(at, _)| line.get(..at)).unwrap_or(line);
    let (key, value) =
        line.split_once('=').ok_or("it is neither [section] nor name = value; an equals sign is missing")?;
    let key = key.trim_matches(SPACE);
    if key.is_empty() {
        Err("there is no name before the equals sign")
    } else {
        Ok((key, value.trim_matches(SPACE)))
    }
}

/// Whether the format allows this name; sections and properties with another are ignored. The bound on the length
/// is ours: names are compared at each line.
fn is_identifier(name: &str) -> bool {
    (1..=256).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-/.%@:+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(file: &str) -> Profiles {
        Profiles::parse(file.as_bytes()).map_err(|error| error.to_string()).unwrap()
    }

    fn value<'a>(profiles: &'a Profiles, profile: &str, key: &str) -> Option<&'a str> {
        Some(profiles.get(profile)?.get(key)?.value.as_str())
    }

    fn error(file: impl AsRef<[u8]>) -> (usize, String) {
        match Profiles::parse(file.as_ref()) {
            Ok(_) => panic!("taken"),
            Err(error) => (error.line, error.what.to_owned()),
        }
    }

    #[test]
    fn a_property_belongs_to_the_section_above_it_and_is_found_in_lower_case() {
        let profiles = parse("[a]\nName = 1\n[b]\nname=2\n");
        assert_eq!((value(&profiles, "a", "name"), value(&profiles, "b", "name")), (Some("1"), Some("2")));
        assert_eq!((value(&profiles, "A", "name"), value(&profiles, "a", "Name")), (None, None));
        assert_eq!(profiles.get("b").unwrap().get("name").unwrap().line, 4);
    }

    #[test]
    fn names_and_values_are_trimmed_and_line_ends_of_windows_are_none_of_them() {
        let profiles = parse("\u{feff}[ \tdefault ]\r\nname \t=  \tva=l ue \t\r\n\r\nempty =\r\n");
        assert_eq!(value(&profiles, "default", "name"), Some("va=l ue"));
        assert_eq!(value(&profiles, "default", "empty"), Some(""));
    }

    #[test]
    fn a_comment_stands_alone_or_behind_a_space_but_behind_a_section_needs_none() {
        let file =
            "# one\n; two\n  # indented\n[a]; three\n[b] # four\nx = 1 # five ; six\ny = 1;2#3\nz = #\n";
        let profiles = parse(file);
        assert!(profiles.get("a").is_some());
        let of_b = |key| value(&profiles, "b", key);
        assert_eq!((of_b("x"), of_b("y"), of_b("z")), (Some("1"), Some("1;2#3"), Some("")));
    }

    #[test]
    fn a_line_that_begins_with_space_continues_the_value_with_its_comments() {
        let profiles = parse("[a]\nx = 1\n \t two # three \t\n\n\tfour\n # no part of it\ny = 5\n");
        assert_eq!(value(&profiles, "a", "x"), Some("1\ntwo # three\nfour"));
        assert_eq!(value(&profiles, "a", "y"), Some("5"));
    }

    #[test]
    fn below_an_empty_value_stand_properties_of_its_own() {
        let profiles = parse("[a]\ns3 =\n  in valid = 1\n  other =\n");
        assert_eq!(value(&profiles, "a", "s3"), Some("\nin valid = 1\nother ="));
        assert_eq!(error("[a]\ns3 =\n  1\n").0, 3);
        assert_eq!(error("[a]\ns3 =\n  = 1\n").0, 3);
    }

    #[test]
    fn a_section_that_comes_twice_is_one_and_the_latter_of_two_properties_holds() {
        let profiles = parse("[a]\nx = 1\ny = 2\n[b]\n[a]\nX = 3\nx = 4\n");
        assert_eq!((value(&profiles, "a", "x"), value(&profiles, "a", "y")), (Some("4"), Some("2")));
    }

    #[test]
    fn sections_and_properties_with_a_name_that_cannot_be_are_ignored() {
        let file = "[in valid]\nx = 1\n two\n[]\nx = 1\n[sso-session a]\nx =\n y = 1\n[a!]\nx = 1\n[ok-/.%@_:+]\n\
                    in valid = 1\n two\nx = 3\n";
        let profiles = parse(file);
        let found: Vec<_> = profiles.iter().map(|(name, profile)| (name, profile.len())).collect();
        assert_eq!(found, [("ok-/.%@_:+", 1)]);
    }

    #[test]
    fn the_sections_of_the_other_file_are_ignored_but_remembered() {
        let profiles = parse("[profile \ta]\nx = 1\n");
        assert!(profiles.get("a").is_none() && profiles.is_prefixed("a") && !profiles.is_prefixed("b"));
    }

    #[test]
    fn an_error_names_its_line_and_what_to_do() {
        for (file, line, part) in [
            ("\n[a", 2, "closing bracket"),
            ("[a] b", 1, "closing bracket"),
            ("# x\nx = 1", 2, "no section above"),
            (" x = 1", 1, "no section above"),
            ("[a]\n x = 1", 2, "white space"),
            ("[a]\nx = 1\n[a]\n more", 4, "white space"),
            ("[in valid]\n x = 1", 2, "white space"),
            ("[a]\nkey : value", 2, "equals sign"),
            ("[a]\nkey # = value", 2, "equals sign"),
            ("[a]\n\n= value", 3, "no name"),
        ] {
            let (at, what) = error(file);
            assert!(at == line && what.contains(part), "{file:?}: line {at}: {what}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_at_its_line() {
        assert_eq!(error(b"[a]\nx = 1\ny = \xff\n").0, 3);
        assert!(error(b"[a]\n\xc3").1.contains("UTF-8"));
        let long = format!("[a]\nx = {}\n", "y".repeat(LINE_LIMIT));
        assert!(error(&long).1.contains("64 KiB") && error(&long).0 == 2);
        assert!(Profiles::parse(&vec![b'\n'; FILE_LIMIT]).is_ok());
    }
}
