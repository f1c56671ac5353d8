//! Credentials out of the environment and files, and the order in which they are looked for.
#![cfg(feature = "sigv4")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iot_transport::credentials::aws_credential_types::provider::future;
use iot_transport::credentials::{
    Chain, Credentials, CredentialsError, Environment, ProvideCredentials, SharedFile, explain,
};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN==";
const BOTH: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", SECRET)];

fn environment<const N: usize>(variables: [(&str, &str); N]) -> Environment {
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Environment::from_fn(move |name| {
        variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    })
}

/// A directory with a shared credentials file in it.
struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn with(text: impl AsRef<[u8]>) -> Self {
        let home = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(home.directory.path().join(".aws")).unwrap();
        home.write(text);
        home
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join(".aws").join("credentials")
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(self.file(), text).unwrap();
    }

    fn environment(&self) -> Environment {
        environment([("HOME", self.directory.path().to_str().unwrap())])
    }
}

fn profile(name: &str, key: &str) -> String {
    format!("[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n")
}

async fn refused(source: &impl ProvideCredentials) -> (CredentialsError, String) {
    let error = source.provide_credentials().await.expect_err("no credentials");
    let text = explain(&error);
    for shown in [&text, &format!("{error:?}"), &format!("{source:?}")] {
        assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "a secret in {shown}");
    }
    (error, text)
}

fn not_loaded(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::CredentialsNotLoaded(_))
}

fn misconfigured(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::InvalidConfiguration(_))
}

async fn key(source: &impl ProvideCredentials) -> String {
    let credentials = source.provide_credentials().await.map_err(|error| explain(&error)).unwrap();
    credentials.access_key_id().to_owned()
}

#[tokio::test]
async fn the_environment_gives_key_secret_and_token_without_the_space_around_them() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", " AKIDENV\n"),
        BOTH[1],
        ("AWS_SESSION_TOKEN", "\tIQoJb3JpZ2luX2VjEXAMPLETOKEN=="),
    ];
    let source = environment(variables);
    let found = source.provide_credentials().await.unwrap();
    assert_eq!((found.access_key_id(), found.secret_access_key()), ("AKIDENV", SECRET));
    assert_eq!((found.session_token(), found.expiry()), (Some(TOKEN), None));
    let shown = format!("{found:?} {source:?}");
    assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn an_empty_variable_counts_as_not_set() {
    let source = environment([BOTH[0], BOTH[1], ("AWS_SESSION_TOKEN", "")]);
    assert_eq!(source.provide_credentials().await.unwrap().session_token(), None);
    let (error, text) =
        refused(&environment([("AWS_ACCESS_KEY_ID", " "), ("AWS_SECRET_ACCESS_KEY", "")])).await;
    assert!(not_loaded(&error) && text.contains("are not set"), "{text}");
}

#[tokio::test]
async fn half_a_key_names_the_other_half() {
    let (error, text) = refused(&environment([BOTH[0]])).await;
    assert!(not_loaded(&error) && text.contains("AWS_SECRET_ACCESS_KEY is not; set both"), "{text}");
    let (error, text) = refused(&environment([BOTH[1]])).await;
    assert!(not_loaded(&error) && text.contains("AWS_ACCESS_KEY_ID is not; set both"), "{text}");
    let (error, text) = refused(&environment([("AWS_SESSION_TOKEN", TOKEN)])).await;
    assert!(not_loaded(&error) && text.contains("set all three"), "{text}");
}

#[tokio::test]
async fn the_environment_is_read_anew_at_each_call() {
    let now = Arc::new(Mutex::new("AKID1"));
    let source = Environment::from_fn({
        let now = Arc::clone(&now);
        move |name| match name {
            "AWS_ACCESS_KEY_ID" => Some(*now.lock().unwrap()),
            "AWS_SECRET_ACCESS_KEY" => Some(SECRET),
            _ => None,
        }
    });
    assert_eq!(key(&source).await, "AKID1");
    *now.lock().unwrap() = "AKID2";
    assert_eq!(key(&source).await, "AKID2");
}

#[tokio::test]
async fn what_cannot_be_a_key_is_told_by_its_name_and_not_by_its_value() {
    let odd = format!("{SECRET} {SECRET}");
    for (value, part) in [
        (odd.as_str(), "white space"),
        (&format!("\"{SECRET}\""), "quotation marks"),
        (&format!("ü{SECRET}"), "no AWS key"),
    ] {
        let (error, text) = refused(&environment([BOTH[0], ("AWS_SECRET_ACCESS_KEY", value)])).await;
        assert!(misconfigured(&error), "{text}");
        assert!(text.contains("AWS_SECRET_ACCESS_KEY") && text.contains(part), "{text}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_variable_that_is_not_unicode_is_told_by_its_name() {
    use std::os::unix::ffi::OsStringExt as _;
    let source = Environment::from_fn(|_| Some(std::ffi::OsString::from_vec(vec![0xff])));
    let (error, text) = refused(&source).await;
    assert!(
        misconfigured(&error) && text.contains("AWS_ACCESS_KEY_ID of the environment is not Unicode"),
        "{text}"
    );
}

#[tokio::test]
async fn the_file_in_the_home_directory_gives_the_profile_default() {
    let home = Home::with(format!(
        "{}aws_session_token={TOKEN}\n{}",
        profile("default", "AKID1"),
        profile("other", "AKID2")
    ));
    let source = SharedFile::new().environment(home.environment());
    let found = source.provide_credentials().await.unwrap();
    assert_eq!((found.access_key_id(), found.secret_access_key()), ("AKID1", SECRET));
    assert_eq!((found.session_token(), found.expiry()), (Some(TOKEN), None));
    assert_eq!(key(&source.profile("other")).await, "AKID2");
}

#[tokio::test]
async fn file_and_profile_are_named_by_the_environment_and_overruled_by_the_program() {
    let home = Home::with(format!("{}{}", profile("a", "AKIDA"), profile("b", "AKIDB")));
    let elsewhere = Home::with(profile("a", "AKIDELSEWHERE"));
    let file = home.file();
    let variables = [("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()), ("AWS_PROFILE", "a")];
    let source = SharedFile::new().environment(environment(variables));
    assert_eq!(key(&source).await, "AKIDA");
    assert_eq!(key(&source.clone().profile("b")).await, "AKIDB");
    assert_eq!(key(&source.path(elsewhere.file())).await, "AKIDELSEWHERE");
}

#[tokio::test]
async fn a_file_that_was_replaced_is_found_without_a_restart() {
    let home = Home::with(profile("default", "AKID1"));
    let source = SharedFile::new().path(home.file());
    assert_eq!(key(&source).await, "AKID1");
    home.write(profile("default", "AKID2"));
    assert_eq!(key(&source).await, "AKID2");
    fs::remove_file(home.file()).unwrap();
    assert!(not_loaded(&refused(&source).await.0));
}

#[tokio::test]
async fn what_is_not_there_is_named_and_lets_the_next_source_try() {
    let home = Home::with(format!(
        "{}[profile prefixed]\n[half]\naws_access_key_id = AKID\n[other-half]\naws_secret_access_key = {SECRET}\n\
         [empty]\naws_access_key_id =\n[process]\ncredential_process = /bin/x\n",
        profile("Default", "AKID")
    ));
    let file = SharedFile::new().environment(home.environment());
    for (profile, part) in [
        ("default", "in other case"),
        ("prefixed", "[prefixed], without the word profile"),
        ("nobody", "check AWS_PROFILE"),
        ("half", "has aws_access_key_id but no aws_secret_access_key"),
        ("other-half", "has aws_secret_access_key but no aws_access_key_id"),
        ("empty", "has neither"),
        ("process", "by credential_process, which is not followed here"),
    ] {
        let (error, text) = refused(&file.clone().profile(profile)).await;
        assert!(not_loaded(&error) && text.contains(part) && text.contains(profile), "{profile}: {text}");
    }
    let (error, text) = refused(&SharedFile::new().path("not/there")).await;
    assert!(not_loaded(&error) && text.contains("there is no file not/there"), "{text}");
    let (error, text) = refused(&SharedFile::new().environment(environment([]))).await;
    assert!(not_loaded(&error) && text.contains("set HOME"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_broken_is_told_by_its_line_and_not_by_its_contents() {
    let good = profile("default", "AKID");
    for (text, line, part) in [
        (format!("{good}{SECRET}\n").into_bytes(), "line 4", "equals sign"),
        (format!("[default\n{SECRET}").into_bytes(), "line 1", "closing bracket"),
        (
            format!("{good}\n\nx = \u{1}{SECRET}").into_bytes().into_iter().chain([0xff]).collect(),
            "line 6",
            "UTF-8",
        ),
        (
            format!("[default]\naws_access_key_id = AKID\naws_secret_access_key = {SECRET}\n {SECRET}\n")
                .into_bytes(),
            "line 3",
            "white space",
        ),
        (
            format!("[default]\naws_access_key_id = AKID\naws_secret_access_key = '{SECRET}'\n").into_bytes(),
            "line 3",
            "quotation",
        ),
    ] {
        let home = Home::with(text);
        let (error, text) = refused(&SharedFile::new().path(home.file())).await;
        assert!(misconfigured(&error) && text.contains(line) && text.contains(part), "{text}");
        assert!(text.contains(home.file().to_str().unwrap()), "{text}");
    }
}

#[tokio::test]
async fn a_profile_for_a_role_is_not_used_with_the_keys_beside_it() {
    let home = Home::with(format!("{}role_arn = arn:aws:iam::1:role/x\n", profile("default", "AKID")));
    let (error, text) = refused(&SharedFile::new().path(home.file())).await;
    assert!(misconfigured(&error) && text.contains("AwsConfigChain"), "{text}");
}

#[tokio::test]
async fn files_that_are_none_and_files_without_end_are_refused_at_once() {
    let home = Home::with(vec![b'\n'; 1024 * 1024 + 1]);
    let (error, text) = refused(&SharedFile::new().path(home.file())).await;
    assert!(misconfigured(&error) && text.contains("larger than 1 MiB"), "{text}");
    let (error, text) = refused(&SharedFile::new().path(home.directory.path())).await;
    assert!(
        matches!(error, CredentialsError::ProviderError(_)) && text.contains("not a regular file"),
        "{text}"
    );
    if Path::new("/dev/zero").exists() {
        assert!(refused(&SharedFile::new().path("/dev/zero")).await.1.contains("not a regular file"));
    }
}

#[test]
fn without_a_runtime_the_file_is_read_in_place() {
    use std::task::{Context, Poll, Waker};
    let home = Home::with(profile("default", "AKID"));
    let source = SharedFile::new().path(home.file());
    let mut future = std::pin::pin!(source.provide_credentials());
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(found)) if found.access_key_id() == "AKID"));
}

#[tokio::test]
async fn explicit_credentials_come_first_then_the_environment_then_the_file() {
    let home = Home::with(profile("default", "AKIDFILE"));
    let directory = home.directory.path().to_str().unwrap();
    let given = Credentials::new("AKIDGIVEN", SECRET, None, None, "test");
    let full = Chain::of(environment([BOTH[0], BOTH[1], ("HOME", directory)]));
    assert_eq!(key(&full.clone().with_static(given)).await, "AKIDGIVEN");
    assert_eq!(key(&full).await, "AKIDENV");
    assert_eq!(key(&Chain::of(home.environment())).await, "AKIDFILE");
}

#[tokio::test]
async fn halves_and_empty_values_let_the_next_source_try() {
    let home = Home::with(profile("default", "AKIDFILE"));
    let directory = home.directory.path().to_str().unwrap();
    for half in [BOTH[0], BOTH[1], ("AWS_SESSION_TOKEN", TOKEN), ("AWS_ACCESS_KEY_ID", "")] {
        let chain = Chain::of(environment([half, ("HOME", directory)]));
        assert_eq!(key(&chain).await, "AKIDFILE", "{half:?}");
    }
    for (id, secret) in [("", SECRET), ("AKID", ""), ("", "")] {
        let nothing = Credentials::new(id, secret, Some(TOKEN.to_owned()), None, "test");
        assert_eq!(key(&Chain::of(home.environment()).with_static(nothing)).await, "AKIDFILE");
    }
}

#[tokio::test]
async fn a_source_that_is_broken_ends_the_search_and_is_named() {
    let home = Home::with(profile("default", "AKIDFILE"));
    let directory = home.directory.path().to_str().unwrap();
    let chain = Chain::of(environment([BOTH[0], ("AWS_SECRET_ACCESS_KEY", "a b"), ("HOME", directory)]));
    let (error, text) = refused(&chain).await;
    assert!(misconfigured(&error), "{text}");
    assert_eq!(
        text,
        "the source of the AWS credentials is set up wrongly: environment: AWS_SECRET_ACCESS_KEY of the environment \
         holds white space or a line break; copy it again, in one line"
    );
}

#[derive(Debug)]
struct Late;

impl ProvideCredentials for Late {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let late = CredentialsError::provider_timed_out(Duration::from_secs(7));
        future::ProvideCredentials::ready(Err(late))
    }
}

#[tokio::test]
async fn the_end_of_the_chain_lists_what_each_source_said() {
    let empty = tempfile::tempdir().unwrap();
    let chain = Chain::of(environment([BOTH[0], ("HOME", empty.path().to_str().unwrap())]))
        .with_static(Credentials::new("", SECRET, None, None, "test"));
    let (error, text) = refused(&chain).await;
    assert!(not_loaded(&error));
    assert!(text.starts_with("no AWS credentials were found: explicit credentials: the access key id is empty; environment: AWS_ACCESS_KEY_ID is set and"), "{text}");
    assert!(
        text.contains("; shared credentials file: there is no file ")
            && text.ends_with("set up one of these"),
        "{text}"
    );
    assert_eq!(format!("{chain:?}"), r#"["explicit credentials", "environment", "shared credentials file"]"#);

    assert!(refused(&Chain::empty()).await.1.contains("has no sources"));
    let (error, text) =
        refused(&Chain::empty().then("slow", Late).then("environment", environment(BOTH))).await;
    assert!(matches!(error, CredentialsError::ProviderTimedOut(_)) && text.contains("within 7s"), "{text}");
}
