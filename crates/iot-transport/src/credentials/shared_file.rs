//! Credentials out of the shared credentials file.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use aws_credential_types::provider::future;
use tokio::runtime::Handle;

use super::environment::Environment;
use super::keys::{self, Named};
use super::profiles::{FILE_LIMIT, Profile, Profiles, Property};
use super::{Credentials, CredentialsError, ProvideCredentials};
use crate::file;

const KEY: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";

/// Properties by which a profile gets its credentials from elsewhere.
const ELSEWHERE: [&str; 5] =
    ["credential_process", "sso_session", "sso_start_url", "web_identity_token_file", "login_session"];

/// Credentials out of the shared credentials file, usually `~/.aws/credentials`: the properties
/// `aws_access_key_id`, `aws_secret_access_key` and `aws_session_token` of one profile.
///
/// The file is read at each call, on tokio's blocking pool, so that a file that was replaced is found without a
/// restart; at most 1 MiB of it. Its format is that of [Shared config and credentials
/// files](https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html), where it is found that of [Location
/// of the shared files](https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html). The file `config`
/// beside it is not read, and roles, SSO and processes are not followed: that is for the feature `aws-config`.
/// The credentials have no expiry, since the file tells none.
///
/// | what | is taken from | else |
/// |---|---|---|
/// | the file | [`path`](Self::path), `AWS_SHARED_CREDENTIALS_FILE` | `~/.aws/credentials` |
/// | the profile | [`profile`](Self::profile), `AWS_PROFILE` | `default` |
/// | `~` | `HOME` | on Windows `USERPROFILE`, then `HOMEDRIVE` with `HOMEPATH` |
///
/// # Errors
///
/// - [`CredentialsError::CredentialsNotLoaded`] when there is no such file, no such profile in it, or no complete
///   key in the profile.
/// - [`CredentialsError::InvalidConfiguration`] when the file breaks the format, when a value holds what no key
///   has, or when the profile is for a role. Lines are named, their contents never.
/// - [`CredentialsError::ProviderError`] when the file cannot be read.
///
/// ```
/// use iot_transport::credentials::{ProvideCredentials, SharedFile};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("credentials");
/// std::fs::write(&path, "[device]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = wJalrXUt\n")?;
/// let file = SharedFile::new().path(&path).profile("device");
/// assert_eq!(file.provide_credentials().await?.access_key_id(), "AKIDEXAMPLE");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct SharedFile {
    environment: Environment,
    path: Option<PathBuf>,
    profile: Option<String>,
}

impl SharedFile {
    /// The file and the profile that the environment names, or the usual ones.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this file. A `~` in it has no meaning. Default: what the environment says, else
    /// `~/.aws/credentials`.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Takes this profile; names are case-sensitive. Default: what the environment says, else `default`.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Looks up variables here. Default: the process's environment.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let path = self.file(cfg!(windows))?;
        let profile = match &self.profile {
            Some(profile) => profile.clone(),
            None => self
                .environment
                .get("AWS_PROFILE")?
                .map_or_else(|| "default".to_owned(), |name| name.to_string()),
        };
        let Ok(runtime) = Handle::try_current() else {
            return load(&path, &profile);
        };
        runtime.spawn_blocking(move || load(&path, &profile)).await.unwrap_or_else(|stopped| {
            let text = "the task that reads the shared credentials file was stopped";
            Err(CredentialsError::provider_error(format!("{text}: {stopped}")))
        })
    }

    fn file(&self, windows: bool) -> Result<PathBuf, CredentialsError> {
        if let Some(path) = &self.path {
            return Ok(path.clone());
        }
        let home = || home(&self.environment, windows);
        let no_home = |name: &str| {
            let text = format!(
                "there is no home directory to find {name} in; set HOME, or AWS_SHARED_CREDENTIALS_FILE"
            );
            CredentialsError::not_loaded(text)
        };
        let Some(named) = self.environment.get_os("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from) else {
            let name = "~/.aws/credentials";
            return home().map(|home| home.join(".aws").join("credentials")).ok_or_else(|| no_home(name));
        };
        match named.strip_prefix("~") {
            Ok(rest) => {
                home().map(|home| home.join(rest)).ok_or_else(|| no_home("AWS_SHARED_CREDENTIALS_FILE"))
            }
            Err(_) => Ok(named),
        }
    }
}

fn home(environment: &Environment, windows: bool) -> Option<PathBuf> {
    let drive = || {
        let mut home: OsString = environment.get_os("HOMEDRIVE")?;
        home.push(environment.get_os("HOMEPATH")?);
        Some(home)
    };
    let on_windows = || if windows { environment.get_os("USERPROFILE").or_else(drive) } else { None };
    environment.get_os("HOME").or_else(on_windows).map(PathBuf::from)
}

fn load(path: &Path, profile: &str) -> Result<Credentials, CredentialsError> {
    let shown = path.display();
    let file = file::read(path, FILE_LIMIT).map_err(|error| unreadable(path, &error))?;
    if file.len() > FILE_LIMIT {
        let text = format!("{shown} is larger than 1 MiB; is it the shared credentials file?");
        return Err(CredentialsError::invalid_configuration(text));
    }
    let profiles = Profiles::parse(&file)
        .map_err(|error| CredentialsError::invalid_configuration(format!("{shown}, {error}")))?;
    let Some(found) = profiles.get(profile) else {
        let hint = if profiles.is_prefixed(profile) {
            format!("; in this file its section has to be [{profile}], without the word profile")
        } else if profiles.iter().any(|(name, _)| name.eq_ignore_ascii_case(profile)) {
            "; there is one in other case, which makes a difference".to_owned()
        } else {
            "; check AWS_PROFILE and the sections of the file".to_owned()
        };
        return Err(CredentialsError::not_loaded(format!("{shown} has no profile {profile:?}{hint}")));
    };
    of_profile(found, &format!("profile {profile:?} of {shown}"))
}

fn of_profile(profile: &Profile, what: &str) -> Result<Credentials, CredentialsError> {
    if profile.contains_key("role_arn") {
        let text = format!(
            "{what} is for a role (role_arn), which is not taken on here; use AwsConfigChain of the feature aws-config"
        );
        return Err(CredentialsError::invalid_configuration(text));
    }
    let get = |name: &str| profile.get(name).filter(|property| !property.value.is_empty());
    let (Some(key), Some(secret)) = (get(KEY), get(SECRET)) else {
        let text = match (get(KEY), get(SECRET)) {
            (Some(_), _) => format!("{what} has {KEY} but no {SECRET}; it needs both"),
            (_, Some(_)) => format!("{what} has {SECRET} but no {KEY}; it needs both"),
            _ => match ELSEWHERE.iter().find(|name| profile.contains_key(**name)) {
                Some(name) => format!(
                    "{what} gets its credentials by {name}, which is not followed here; use AwsConfigChain of the \
                     feature aws-config"
                ),
                None => format!("{what} has neither {KEY} nor {SECRET}"),
            },
        };
        return Err(CredentialsError::not_loaded(text));
    };
    let token = get(TOKEN).map(|token| named(TOKEN, token, what));
    keys::credentials(
        &named(KEY, key, what),
        &named(SECRET, secret, what),
        token.as_ref(),
        None,
        "SharedFile",
    )
}

fn named<'a>(name: &str, property: &'a Property, what: &str) -> Named<'a> {
    Named { name: format!("{name} in line {}, {what},", property.line), text: property.value.as_str() }
}

fn unreadable(path: &Path, error: &io::Error) -> CredentialsError {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => CredentialsError::not_loaded(format!("there is no file {path}")),
        io::ErrorKind::PermissionDenied => CredentialsError::provider_error(format!(
            "this program may not read the shared credentials file {path}; check its owner and mode"
        )),
        _ => CredentialsError::provider_error(format!(
            "the shared credentials file {path} cannot be read: {error}"
        )),
    }
}

impl ProvideCredentials for SharedFile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(variables: &'static [(&str, &str)], windows: bool) -> Result<PathBuf, CredentialsError> {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        SharedFile::new().environment(Environment::from_fn(lookup)).file(windows)
    }

    /// The cases of the AWS SDKs for the location of the file.
    #[test]
    fn the_home_directory_is_looked_for_in_the_order_of_the_reference() {
        let usual = |home: &str| Path::new(home).join(".aws").join("credentials");
        let all = [("HOME", "/h"), ("USERPROFILE", "/u"), ("HOMEDRIVE", "/d"), ("HOMEPATH", "/p")];
        let all: &'static [(&str, &str)] = Box::leak(Box::new(all));
        assert_eq!(file(all, false).unwrap(), usual("/h"));
        assert_eq!(file(all, true).unwrap(), usual("/h"));
        assert_eq!(file(&all[1..], true).unwrap(), usual("/u"));
        assert_eq!(file(&all[2..], true).unwrap(), usual("/d/p"));
        for (variables, windows) in [(&all[1..], false), (&all[3..], true), (&[("HOME", "")][..], false)] {
            assert!(matches!(file(variables, windows), Err(CredentialsError::CredentialsNotLoaded(_))));
        }
    }

    #[test]
    fn the_environment_names_the_file_and_a_tilde_in_it_is_the_home_directory() {
        let named = |variables| file(variables, false).unwrap();
        assert_eq!(named(&[("AWS_SHARED_CREDENTIALS_FILE", "/a/b")]), Path::new("/a/b"));
        assert_eq!(named(&[("AWS_SHARED_CREDENTIALS_FILE", "~/b"), ("HOME", "/h")]), Path::new("/h/b"));
        assert_eq!(named(&[("AWS_SHARED_CREDENTIALS_FILE", "~x/b"), ("HOME", "/h")]), Path::new("~x/b"));
        assert!(file(&[("AWS_SHARED_CREDENTIALS_FILE", "~/b")], false).is_err());
    }
}
