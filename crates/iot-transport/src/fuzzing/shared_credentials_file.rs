//! The body of the fuzz target `shared_credentials_file`.
#![allow(clippy::panic, clippy::missing_panics_doc, reason = "a fuzz target reports by panicking")]

use crate::credentials::{FILE_LIMIT, LINE_LIMIT, Profiles};

/// Parses `data` as a shared credentials file. What is wrong is told with a line that there is; what is right is
/// the same when written down and parsed again.
pub fn shared_credentials_file(data: &[u8]) {
    if data.len() > FILE_LIMIT {
        return;
    }
    let lines = data.split(|byte| *byte == b'\n').count();
    let profiles = match Profiles::parse(data) {
        Ok(profiles) => profiles,
        Err(error) => {
            assert!((1..=lines).contains(&error.line), "line {} of {lines}", error.line);
            // Only what this crate says itself: the error has no room for the file's contents.
            let _: &'static str = error.what;
            return;
        }
    };
    for (_, profile) in profiles.iter() {
        assert!(profile.values().all(|property| (1..=lines).contains(&property.line)));
        assert!(profile.values().all(|property| property.value.len() <= data.len()));
    }
    let written = write(&profiles);
    assert!(written.lines().all(|line| line.len() <= LINE_LIMIT), "a line grew");
    match Profiles::parse(written.as_bytes()) {
        Ok(again) => assert!(content(&again) == content(&profiles), "it came back as another"),
        Err(error) => panic!("what was taken is refused when written anew: {error}"),
    }
}

/// The profiles as a file: each line of a value but the first goes on with a space.
fn write(profiles: &Profiles) -> String {
    let mut file = String::new();
    for (name, profile) in profiles.iter() {
        file.push_str(&format!("[{name}]\n"));
        for (key, property) in profile {
            file.push_str(&format!("{key}={}\n", property.value.replace('\n', "\n ")));
        }
    }
    file
}

/// All that a file says, without the lines it says it in.
fn content(profiles: &Profiles) -> Vec<(&str, Vec<(&str, &str)>)> {
    profiles
        .iter()
        .map(|(name, profile)| {
            let properties = profile.iter().map(|(key, property)| (key.as_str(), property.value.as_str()));
            (name, properties.collect())
        })
        .collect()
}
