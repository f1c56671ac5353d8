//! From settings to a builder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use iot_session::layers::{Backoff, DrainRate, DropPolicy, GiveUp, Jitter, OfflineQueue, Pacing};
use iot_session::{QoS, TopicName, Version, Will};
use iot_transport::{CustomAuthorizer, Material};
use zeroize::Zeroizing;

use super::error::{Origin, SettingsError};
use super::keys::Value;
use super::{Entry, Settings};
use crate::builder::Builder;

/// The settings of which a builder is being made. Each is taken out as it is used; what is left in the end has no use.
struct Left(BTreeMap<&'static str, Entry>);

macro_rules! take {
    ($($name:ident: $variant:ident -> $type:ty),*) => {
        $(
            fn $name(&mut self, key: &str) -> Option<$type> {
                self.take(key).and_then(|value| match value {
                    Value::$variant(value) => Some(value),
                    _ => None,
                })
            }
        )*
    };
}

impl Left {
    take!(text: Text -> String, secret: Secret -> Zeroizing<String>, path: Path -> PathBuf, seconds: Seconds -> Duration,
          count: Count -> u64, rate: Rate -> f64, switch: Switch -> bool);

    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).map(|entry| entry.value)
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    fn origin(&self, key: &str) -> Option<Origin> {
        self.0.get(key).map(|entry| entry.origin.clone())
    }

    fn number<N: TryFrom<u64>>(&mut self, key: &str) -> Option<N> {
        self.count(key).and_then(|count| N::try_from(count).ok())
    }

    /// Nothing may be left.
    fn end(self, why: &str) -> Result<(), SettingsError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((key, entry)) => Err(SettingsError::new(&entry.origin, key, why)),
        }
    }

    /// Whether any setting of a table is given, for which this program may have been built without the feature.
    #[cfg(not(all(
        feature = "outbox",
        feature = "proxy",
        feature = "websocket",
        feature = "platform-verifier"
    )))]
    fn without(&self, key: &str, feature: &str) -> Result<(), SettingsError> {
        match self.0.iter().find(|(name, _)| name.starts_with(key)) {
            None => Ok(()),
            Some((name, entry)) => Err(SettingsError::new(
                &entry.origin,
                name,
                format!(
                    "it needs the feature `{feature}` of the crate aws-iot, without which this program was built"
                ),
            )),
        }
    }
}

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
    if let Some(will) = will(left)? {
        builder = builder.will(will);
    }
    if let Some(backoff) = backoff(left)? {
        builder = builder.backoff(backoff);
    }
    if let Some(pacing) = pacing(left) {
        builder = builder.pacing(pacing);
    }
    if let Some(queue) = offline_queue(left) {
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
    if left.switch("platform_roots") == Some(true) {
        left.without("platform_roots", "platform-verifier")?;
    }
    #[cfg(feature = "proxy")]
    if let Some(proxy) = proxy(left)? {
        builder = builder.proxy(proxy);
    }
    #[cfg(not(feature = "proxy"))]
    left.without("proxy.", "proxy")?;
    #[cfg(feature = "outbox")]
    if let Some(outbox) = outbox(left)? {
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

fn will(left: &mut Left) -> Result<Option<Will>, SettingsError> {
    let origin = left.origin("will.topic");
    let Some(topic) = left.text("will.topic") else { return Ok(None) };
    let wrong = |error: mqtt_codec::InvalidTopic| {
        SettingsError::new(origin.as_ref().unwrap_or(&Origin::Given), "will.topic", error.to_string())
    };
    let topic = TopicName::try_from(topic).map_err(wrong)?;
    let mut will = Will::new(topic, left.text("will.payload").unwrap_or_default());
    if left.count("will.qos") == Some(1) {
        will.qos = QoS::AtLeastOnce;
    }
    will.retain = left.switch("will.retain").unwrap_or_default();
    Ok(Some(will))
}

fn backoff(left: &mut Left) -> Result<Option<Backoff>, SettingsError> {
    let origin = left.origin("backoff.max").or_else(|| left.origin("backoff.base"));
    let (base, max, stable) =
        (left.seconds("backoff.base"), left.seconds("backoff.max"), left.seconds("backoff.stable"));
    let Some(origin) = origin else {
        let usual = Backoff::default();
        return Ok(stable.map(|stable| Backoff::new(usual.base(), usual.max(), stable)));
    };
    let usual = Backoff::default();
    let (base, max) = (base.unwrap_or(usual.base()), max.unwrap_or(usual.max()));
    if max < base {
        let why = format!("it is below `backoff.base`, which is {} s", base.as_secs_f64());
        return Err(SettingsError::new(&origin, "backoff.max", why));
    }
    Ok(Some(Backoff::new(base, max, stable.unwrap_or(usual.stable()))))
}

/// AWS IoT Core's rates, but for those that are given.
fn pacing(left: &mut Left) -> Option<Pacing> {
    const PUBLISHES: u32 = 100;
    const BYTES: u32 = 512 * 1024;
    let (publishes, bytes) =
        (left.number::<u32>("pacing.publishes_per_second"), left.number::<u32>("pacing.bytes_per_second"));
    if publishes.is_none() && bytes.is_none() {
        return None;
    }
    let mut pacing = Pacing::off();
    pacing = match publishes.unwrap_or(PUBLISHES) {
        0 => pacing,
        rate => pacing.publishes_per_second(rate),
    };
    Some(match bytes.unwrap_or(BYTES) {
        0 => pacing,
        rate => pacing.bytes_per_second(rate),
    })
}

fn offline_queue(left: &mut Left) -> Option<OfflineQueue> {
    let messages = left.number::<usize>("offline_queue.max_messages");
    let bytes = left.number::<usize>("offline_queue.max_bytes");
    let when_full = left.text("offline_queue.when_full");
    let rate = left.rate("offline_queue.drain_rate");
    if messages.is_none() && bytes.is_none() && when_full.is_none() && rate.is_none() {
        return None;
    }
    let mut queue = messages.map_or_else(OfflineQueue::default, OfflineQueue::bounded);
    if let Some(bytes) = bytes {
        queue = queue.max_bytes(bytes);
    }
    if let Some(policy) = when_full {
        queue = queue.when_full(drop_policy(&policy));
    }
    if let Some(rate) = rate {
        queue = queue.drain_rate(drain_rate(rate));
    }
    Some(queue)
}

fn drop_policy(word: &str) -> DropPolicy {
    if word == "drop-oldest" { DropPolicy::DropOldest } else { DropPolicy::DropNewest }
}

fn drain_rate(per_second: f64) -> DrainRate {
    if per_second > 0.0 { DrainRate::per_second(per_second) } else { DrainRate::unlimited() }
}

#[cfg(feature = "outbox")]
fn outbox(left: &mut Left) -> Result<Option<crate::OutboxFile>, SettingsError> {
    use crate::{Durability, OutboxFile};

    let Some(path) = left.path("outbox.path") else {
        return match left.0.iter().find(|(key, _)| key.starts_with("outbox.")) {
            Some((key, entry)) => {
                Err(SettingsError::new(&entry.origin, key, "it has no use without `outbox.path`"))
            }
            None => Ok(None),
        };
    };
    let mut outbox = OutboxFile::new(path);
    if let Some(messages) = left.number("outbox.max_messages") {
        outbox = outbox.max_messages(messages);
    }
    if let Some(bytes) = left.number("outbox.max_bytes") {
        outbox = outbox.max_bytes(bytes);
    }
    if let Some(policy) = left.text("outbox.when_full") {
        outbox = outbox.when_full(drop_policy(&policy));
    }
    if let Some(rate) = left.rate("outbox.drain_rate") {
        outbox = outbox.drain_rate(drain_rate(rate));
    }
    if let Some(keep) = left.switch("outbox.keep_session") {
        outbox = outbox.keep_session(keep);
    }
    if let Some(interval) = left.seconds("outbox.sync_interval") {
        outbox = outbox.durability(Durability::Interval(interval));
    }
    Ok(Some(outbox))
}

#[cfg(feature = "proxy")]
fn proxy(left: &mut Left) -> Result<Option<crate::Proxy>, SettingsError> {
    let Some(host) = left.text("proxy.host") else {
        return match left.0.iter().find(|(key, _)| key.starts_with("proxy.")) {
            Some((key, entry)) => {
                Err(SettingsError::new(&entry.origin, key, "it has no use without `proxy.host`"))
            }
            None => Ok(None),
        };
    };
    let port = left.number("proxy.port").ok_or_else(|| {
        SettingsError::missing("proxy.port", "a proxy goes with its port, often 3128 or 8080")
    })?;
    let proxy = crate::Proxy::new(host, port);
    match (left.text("proxy.user"), left.secret("proxy.password")) {
        (Some(user), Some(password)) => Ok(Some(proxy.basic_auth(user, password.as_str()))),
        (None, None) => Ok(Some(proxy)),
        (Some(_), None) => Err(SettingsError::missing("proxy.password", "a user goes with a password")),
        (None, Some(_)) => Err(SettingsError::missing("proxy.user", "a password goes with a user")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{self, Kind};
    use super::*;

    /// Something that the setting may be.
    fn sample(key: &str, kind: Kind) -> String {
        match (key, kind) {
            ("will.topic", _) => "a/b".to_owned(),
            (_, Kind::Text | Kind::Secret | Kind::Path) => "word".to_owned(),
            (_, Kind::Seconds) => "40".to_owned(),
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
            (cfg!(feature = "platform-verifier"), "platform_roots"),
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
