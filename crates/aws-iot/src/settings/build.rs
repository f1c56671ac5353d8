//! From settings to a builder.

use iot_session::Version;
use iot_session::layers::{GiveUp, Jitter};
use iot_transport::{CustomAuthorizer, Material};

use super::Settings;
use super::error::{Origin, SettingsError};
use super::left::Left;
use super::parts;
use crate::builder::Builder;

impl Settings {
    /// A builder with these settings, to which more can be added.
    ///
    /// # Errors
    /// A setting is missing, or does not go with another one; it needs a feature without which the program was built. Files
    /// are looked at by [`connect`](Builder::connect).
    pub fn builder(&self) -> Result<Builder, SettingsError> {
        let mut left = Left(self.0.clone());
        let endpoint = left.text("endpoint").ok_or_else(|| {
            SettingsError::missing("endpoint", "give the name of AWS IoT Core's data endpoint")
        })?;
        let (builder, door) = door(&endpoint, &mut left)?;
        let builder = apply(&mut left, builder)?;
        left.end(&format!("it has no use with the door {door:?}"))?;
        Ok(builder)
    }

    /// These settings on a builder that knows endpoint and identity already, such as one whose private key is in a secure
    /// element ([`mutual_tls_with`](crate::mutual_tls_with)).
    ///
    /// # Errors
    /// As [`builder`](Self::builder); endpoint or identity are set here, too.
    pub fn apply<L>(&self, builder: Builder<L>) -> Result<Builder<L>, SettingsError> {
        let mut left = Left(self.0.clone());
        let builder = apply(&mut left, builder)?;
        left.end("the program sets the endpoint and who the device is by itself")?;
        Ok(builder)
    }
}

/// The way in, and its name.
fn door(endpoint: &str, left: &mut Left) -> Result<(Builder, &'static str), SettingsError> {
    let origin = left.origin("door");
    let door = left.text("door");
    let has_certificate = left.has("certificate") || left.has("private_key");
    let has_authorizer = left.0.keys().any(|key| key.starts_with("authorizer."));
    let named = match door.as_deref() {
        Some(door) => door,
        None if has_certificate => "mutual-tls",
        None if has_authorizer => "custom-authorizer",
        None => {
            return Err(SettingsError::missing(
                "certificate",
                "give the device's certificate and `private_key`, or say by `door` how else the device shows who it is",
            ));
        }
    };
    #[cfg(not(feature = "websocket"))]
    let _ = &origin;
    match named {
        "mutual-tls" => {
            let mut material = |key: &'static str| {
                let missing = || {
                    SettingsError::missing(
                        key,
                        "give its path: mutual TLS takes a certificate and its private key",
                    )
                };
                left.path(key).map(Material::file).ok_or_else(missing)
            };
            let (certificate, key) = (material("certificate")?, material("private_key")?);
            Ok((crate::mutual_tls(endpoint, certificate, key), "mutual-tls"))
        }
        "custom-authorizer" => {
            Ok((crate::custom_authorizer(endpoint, authorizer(left)?), "custom-authorizer"))
        }
        #[cfg(feature = "websocket")]
        "websocket" => {
            let builder = crate::websocket(endpoint, crate::credentials::Chain::new());
            let builder = match left.text("region") {
                Some(region) => builder.region(region),
                None => builder,
            };
            Ok((builder, "websocket"))
        }
        #[cfg(feature = "websocket")]
        "websocket-custom-authorizer" => {
            let builder = crate::websocket_custom_authorizer(endpoint, authorizer(left)?);
            Ok((builder, "websocket-custom-authorizer"))
        }
        _ => Err(SettingsError::new(
            &origin.unwrap_or(Origin::Given),
            "door",
            "it needs the feature `websocket` of the crate aws-iot, without which this program was built",
        )),
    }
}

fn authorizer(left: &mut Left) -> Result<CustomAuthorizer, SettingsError> {
    let mut authorizer = CustomAuthorizer::new();
    if let Some(name) = left.text("authorizer.name") {
        authorizer = authorizer.name(name);
    }
    match (left.text("authorizer.token_key"), left.secret("authorizer.token")) {
        (Some(key), Some(token)) => authorizer = authorizer.token(key, token.as_str()),
        (None, None) => {}
        (None, Some(_)) => {
            return Err(SettingsError::missing("authorizer.token_key", "a token goes with its key"));
        }
        (Some(_), None) => {
            return Err(SettingsError::missing("authorizer.token", "a token's key goes with a token"));
        }
    }
    if let Some(signature) = left.secret("authorizer.signature") {
        authorizer = authorizer.signature(signature.as_str());
    }
    Ok(authorizer)
}

/// Everything but the door.
fn apply<L>(left: &mut Left, mut builder: Builder<L>) -> Result<Builder<L>, SettingsError> {
    macro_rules! set {
        ($($kind:ident $key:ident),*) => {
            $(
                if let Some(value) = left.$kind(stringify!($key)) {
                    builder = builder.$key(value);
                }
            )*
        };
    }
    set!(number port, text username, text client_id, switch clean_start, seconds session_expiry,
         seconds keep_alive, switch metrics, seconds connect_timeout, seconds operation_timeout,
         seconds connect_interval, switch retry_first);
    if let Some(password) = left.secret("password") {
        builder = builder.password(password.as_bytes());
    }
    if left.is_on("platform_roots")
        && let Some(origin) = left.origin("root_ca")
    {
        return Err(SettingsError::new(&origin, "root_ca", "it has no use beside `platform_roots`"));
    }
    if let Some(root_ca) = left.path("root_ca") {
        builder = builder.root_ca(Material::file(root_ca));
    }
    builder = match left.text("mqtt").as_deref() {
        Some("3.1.1") => builder.version(Version::V3_1_1),
        Some(_) => builder.version(Version::V5),
        None => builder,
    };
    builder = match left.text("jitter").as_deref() {
        Some("none") => builder.jitter(Jitter::None),
        Some("full") => builder.jitter(Jitter::Full),
        Some(_) => builder.jitter(Jitter::Decorrelated),
        None => builder,
    };
    builder = match left.text("give_up").as_deref() {
        Some("always") => builder.give_up(GiveUp::Always),
        Some("never") => builder.give_up(GiveUp::Never),
        Some(_) => builder.give_up(GiveUp::BeforeFirst),
        None => builder,
    };
    if let Some(strikes) = left.number::<u8>("containment") {
        builder = builder.containment((strikes > 0).then_some(strikes));
    }
    if let Some(will) = parts::will(left)? {
        builder = builder.will(will);
    }
    if let Some(backoff) = parts::backoff(left)? {
        builder = builder.backoff(backoff);
    }
    if let Some(pacing) = parts::pacing(left) {
        builder = builder.pacing(pacing);
    }
    if let Some(queue) = parts::offline_queue(left) {
        builder = builder.offline_queue(queue);
    }
    with_features(left, builder)
}

/// What only some programs are built with.
fn with_features<L>(left: &mut Left, mut builder: Builder<L>) -> Result<Builder<L>, SettingsError> {
    #[cfg(feature = "platform-verifier")]
    if left.switch("platform_roots") == Some(true) {
        builder = builder.platform_roots();
    }
    #[cfg(not(feature = "platform-verifier"))]
    if left.is_on("platform_roots") {
        left.without("platform_roots", "platform-verifier")?;
    } else {
        // It is as it would be.
        left.switch("platform_roots");
    }
    #[cfg(feature = "proxy")]
    if let Some(proxy) = parts::proxy(left)? {
        builder = builder.proxy(proxy);
    }
    #[cfg(not(feature = "proxy"))]
    left.without("proxy.", "proxy")?;
    #[cfg(feature = "outbox")]
    if let Some(outbox) = parts::outbox(left)? {
        builder = builder.outbox(outbox);
    }
    #[cfg(not(feature = "outbox"))]
    left.without("outbox.", "outbox")?;
    #[cfg(not(feature = "websocket"))]
    left.without("region", "websocket")?;
    #[cfg(not(any(feature = "outbox", feature = "proxy", feature = "platform-verifier")))]
    let _ = &mut builder;
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use iot_session::QoS;
    use iot_session::layers::{Backoff, DrainRate, OfflineQueue, Pacing};

    use super::super::keys::{self, Kind};
    use super::*;

    /// Something that the setting may be.
    fn sample(key: &str, kind: Kind) -> String {
        match (key, kind) {
            ("will.topic", _) => "a/b".to_owned(),
            (_, Kind::Text | Kind::Host | Kind::Secret | Kind::Path) => "word".to_owned(),
            (_, Kind::Seconds(..)) => "40".to_owned(),
            (_, Kind::Count(min, _)) => min.max(1).to_string(),
            (_, Kind::Rate) => "1.5".to_owned(),
            (_, Kind::Switch) => "true".to_owned(),
            (_, Kind::OneOf(words)) => words.first().copied().unwrap_or_default().to_owned(),
        }
    }

    /// All settings but these, as from the environment.
    fn all_but(without: &[&str]) -> Settings {
        Settings::from_variables(|name| {
            let (key, kind) = keys::KEYS.iter().find(|(key, _)| keys::variable(key) == name).copied()?;
            let is_without = without.iter().any(|start| key.starts_with(start));
            (!is_without).then(|| Ok(sample(key, kind)))
        })
        .unwrap()
    }

    /// What needs a feature that is off.
    fn not_built() -> Vec<&'static str> {
        [
            // Beside `root_ca` it has no use.
            (false, "platform_roots"),
            (cfg!(feature = "proxy"), "proxy."),
            (cfg!(feature = "outbox"), "outbox."),
        ]
        .into_iter()
        .filter_map(|(is_built, key)| (!is_built).then_some(key))
        .collect()
    }

    #[test]
    fn every_setting_is_used_with_a_door_that_has_a_use_for_it() {
        let mut without = not_built();
        without.extend(["authorizer.", "region"]);
        let settings = all_but(&without);
        let builder = settings.builder().unwrap();
        assert_eq!(builder.port, Some(1));
        assert_eq!(builder.keep_alive, Duration::from_secs(40));
        assert_eq!(builder.session_expiry, Duration::from_secs(40));
        assert_eq!(builder.connect_timeout, Duration::from_secs(40));
        assert_eq!(builder.operation_timeout, Duration::from_secs(40));
        assert_eq!(builder.connect_interval, Duration::from_secs(40));
        assert_eq!(builder.client_id.as_deref(), Some("word"));
        assert_eq!(builder.username.as_deref(), Some("word"));
        assert_eq!(builder.password.as_ref().map(|word| word.as_slice()), Some(b"word".as_slice()));
        assert_eq!(builder.version, Version::V3_1_1);
        assert!(builder.clean_start && builder.metrics && builder.retry_first);
        assert_eq!(
            builder.backoff,
            Backoff::new(Duration::from_secs(40), Duration::from_secs(40), Duration::from_secs(40))
        );
        assert_eq!(builder.give_up, GiveUp::BeforeFirst);
        assert_eq!(builder.containment, Some(1));
        assert_eq!(builder.pacing, Pacing::off().publishes_per_second(1).bytes_per_second(1));
        let queue = OfflineQueue::bounded(1).max_bytes(1).drain_rate(DrainRate::per_second(1.5));
        assert_eq!(builder.offline_queue, queue);
        let will = builder.will.unwrap();
        assert_eq!(
            (will.topic.as_str(), &*will.payload, will.qos, will.retain),
            ("a/b", b"word".as_slice(), QoS::AtLeastOnce, true)
        );
        #[cfg(feature = "outbox")]
        assert!(format!("{:?}", builder.outbox).contains("\"word\""));
        #[cfg(feature = "proxy")]
        assert!(format!("{:?}", builder.way.proxy).contains("\"word\""));
    }

    #[test]
    fn what_a_shell_leaves_around_a_variable_is_passed_over() {
        let given = [
            ("AWS_IOT_PORT", "8883\r\n"),
            ("AWS_IOT_MQTT", " 5\n"),
            ("AWS_IOT_ENDPOINT", "e\n"),
            ("AWS_IOT_CLIENT_ID", ""),
        ];
        let settings = Settings::from_variables(|name| {
            given.iter().find(|(given, _)| *given == name).map(|(_, value)| Ok((*value).to_owned()))
        });
        assert_eq!(
            format!("{:?}", settings.unwrap()),
            r#"Settings {"endpoint": "e", "mqtt": "5", "port": 8883}"#
        );
    }

    #[test]
    fn what_a_door_has_no_use_for_is_an_error() {
        let mut without = not_built();
        without.extend(["region"]);
        let error = all_but(&without).builder().unwrap_err();
        assert_eq!(error.key(), Some("authorizer.name"));
        assert!(error.to_string().contains("AWS_IOT_AUTHORIZER_NAME"), "{error}");
        assert!(error.to_string().contains("\"mutual-tls\""), "{error}");
    }

    #[test]
    fn a_custom_authorizer_is_told_all_that_is_given() {
        let toml = "endpoint = 'e'\nusername = 'me'\n[authorizer]\nname = 'n'\ntoken_key = 'k'\ntoken = 't'\nsignature = 's'";
        let builder = Settings::from_toml(toml).unwrap().builder().unwrap();
        let crate::door::Door::CustomAuthorizer(authorizer) = &builder.door else { panic!("{builder:?}") };
        let username = authorizer.username("me");
        assert_eq!(
            username.as_str(),
            "me?x-amz-customauthorizer-name=n&x-amz-customauthorizer-signature=s&k=t"
        );
    }

    #[test]
    fn a_zero_is_no_limit_and_what_is_not_given_is_as_ever() {
        let toml = "endpoint = 'e'\ncertificate = 'c'\nprivate_key = 'k'\ncontainment = 0\n\
                    [pacing]\npublishes_per_second = 0\n[offline_queue]\ndrain_rate = 0\n[backoff]\nstable = 7";
        let builder = Settings::from_toml(toml).unwrap().builder().unwrap();
        assert_eq!(builder.containment, None);
        assert_eq!(builder.pacing, Pacing::off().bytes_per_second(512 * 1024));
        assert_eq!(builder.offline_queue, OfflineQueue::default().drain_rate(DrainRate::unlimited()));
        let usual = Backoff::default();
        assert_eq!(builder.backoff, Backoff::new(usual.base(), usual.max(), Duration::from_secs(7)));
        assert_eq!(builder.keep_alive, Duration::from_secs(30));
    }
}
