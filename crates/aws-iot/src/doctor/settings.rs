//! What the program connects with, and what can be told of it without a network.

use std::time::{Duration, SystemTime};

use iot_session::proto::ConnectOptions;
use iot_session::{Message, OpError};
use iot_transport::tls::CertificateFacts;
use iot_transport::{Address, TlsSetupError};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::aws::{Principal, Who, shown};
use super::notes::{Notes, Stop};
use super::report::{Finding, Outcome, Step};
use super::{Options, endpoint, tls};
use crate::builder::Builder;
use crate::door::{Door, Way};
use crate::error::Error;
use crate::limits;

/// What a step may take.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3_600);

/// The settings that are examined.
pub(super) struct Patient {
    pub(super) endpoint: String,
    pub(super) door: Door,
    pub(super) way: Way,
    pub(super) port: Option<u16>,
    pub(super) options: Result<ConnectOptions, Error>,
    pub(super) topic: Option<String>,
    pub(super) thing_name: Option<String>,
    pub(super) limit: Duration,
}

impl Patient {
    pub(super) fn new<L>(builder: &Builder<L>, options: Options) -> Self {
        let client_id = options.client_id.as_deref().or(builder.client_id.as_deref());
        Self {
            endpoint: builder.endpoint.clone(),
            door: builder.door.clone(),
            way: builder.way.clone(),
            port: builder.port,
            options: builder.options(client_id),
            topic: options.topic,
            thing_name: options.thing_name,
            limit: options.step_timeout.clamp(SHORTEST, LONGEST),
        }
    }

    /// In a line. What is no endpoint may be a URL with a password in it.
    pub(super) fn subject(&self) -> String {
        let place = match self.endpoint.parse::<Address>() {
            Ok(address) => address.to_string(),
            Err(_) => "no endpoint".into(),
        };
        let client_id = self.options.as_ref().map_or("?".into(), |options| shown(options.client_id()));
        format!("{place} by {:?}, client id {client_id}", self.door)
    }
}

/// Settings and files.
pub(super) async fn settings(patient: &Patient, notes: &mut Notes<'_>) -> Result<Who, Stop> {
    let wrong = |what: String| {
        Finding::new(what, "a setting of the program is out of its range", "correct it in the program")
    };
    if Handle::try_current().is_err() {
        return Err(notes.fail(Step::Settings, wrong(Error::NoRuntime.to_string())));
    }
    let options = match &patient.options {
        Ok(options) => options,
        Err(error) => return Err(notes.fail(Step::Settings, wrong(error.to_string()))),
    };
    if let Err(error) = test_topic(patient) {
        let remedy = "choose another one, without wildcards, of at most 7 slashes";
        let finding =
            Finding::new(format!("the test topic: {error}"), "no message can be sent to it", remedy);
        return Err(notes.fail(Step::Settings, finding));
    }
    #[cfg(feature = "proxy")]
    if let Some(proxy) = &patient.way.proxy
        && let Err(error) = proxy.address().0.parse::<Address>()
    {
        let finding = Finding::new(
            format!("the proxy: {error}"),
            "no proxy can have this name",
            "give its host name alone; user name and password go by Proxy::basic_auth",
        );
        return Err(notes.fail(Step::Settings, finding));
    }
    let principal = Principal::of(&patient.door);
    let client_id = options.client_id().to_owned();
    let mut who = Who { principal, client_id, certificate_id: None, region: None };
    #[cfg(feature = "websocket")]
    who.region.clone_from(&patient.way.region);
    if matches!(patient.door, Door::Own(_)) {
        notes.pass(Step::Settings, "the settings are valid")?;
        return Ok(who);
    }
    // Where TLS is asked for its protocol matters later only.
    let tls = patient.door.tls(&patient.way, 0);
    let read = move || -> Result<Option<CertificateFacts>, TlsSetupError> {
        tls.check()?;
        tls.client_certificate()
    };
    let finding = match timeout(patient.limit, tokio::task::spawn_blocking(read)).await {
        Ok(Ok(Ok(Some(facts)))) => {
            who.certificate_id = facts.id().map(str::to_owned);
            let id = facts.id().map(|id| format!(", certificate id {id}")).unwrap_or_default();
            let what = format!("certificate and key belong together: {facts}{id}");
            notes.note(
                Step::Settings,
                if ends_soon(&facts) { expiring(what) } else { Outcome::Passed { detail: what } },
            )?;
            return Ok(who);
        }
        Ok(Ok(Ok(None))) => {
            notes.pass(Step::Settings, "the settings are valid, the files can be read")?;
            return Ok(who);
        }
        Ok(Ok(Err(error))) => tls::wrong_setup(&error),
        Ok(Err(_)) | Err(_) => Finding::new(
            "the files of certificate, key and CA could not be read in time",
            "the disk that they are on does not answer",
            "look at the disk",
        ),
    };
    Err(notes.fail(Step::Settings, finding))
}

fn expiring(what: String) -> Outcome {
    Outcome::Doubtful(Finding::new(
        what,
        "the certificate expires within 30 days",
        "have a new one issued, registered and activated, and its policy attached, before that",
    ))
}

#[expect(clippy::disallowed_methods, reason = "a certificate's dates are measured by the system's")]
fn ends_soon(facts: &CertificateFacts) -> bool {
    let soon = SystemTime::now().checked_add(Duration::from_secs(30 * 86_400));
    facts.not_after().zip(soon).is_some_and(|(end, soon)| end < soon)
}

/// The topic of the test message, if it can be one.
pub(super) fn test_topic(patient: &Patient) -> Result<String, Error> {
    let topic = match (&patient.topic, &patient.options) {
        (Some(topic), _) => topic.clone(),
        (None, Ok(options)) => {
            let level: String = options
                .client_id()
                .chars()
                .map(|c| if c.is_control() || matches!(c, '/' | '+' | '#') { '_' } else { c })
                .collect();
            format!("sdk/test/doctor/{level}")
        }
        (None, Err(_)) => String::new(),
    };
    if topic.starts_with("$share/") {
        return Err(OpError::Unsupported("a shared subscription cannot be published to").into());
    }
    limits::check_topic(&topic)?;
    Message::new(topic.as_str(), "")?;
    Ok(topic)
}

/// What the endpoint tells by its form.
pub(super) fn place(patient: &Patient, notes: &mut Notes<'_>) -> Result<(String, u16), Stop> {
    let address: Address = match patient.endpoint.parse() {
        Ok(address) => address,
        Err(error) => {
            let sentence = iot_transport::InvalidAddress::to_string(&error);
            let finding = Finding::of(&sentence, "nothing can be connected to by such a name", "");
            return Err(notes.fail(Step::Endpoint, finding));
        }
    };
    let port = patient.port.or(address.port()).unwrap_or(patient.door.default_port());
    let host = address.host().to_owned();
    #[cfg(feature = "websocket")]
    let (websocket, region) = {
        let signed = matches!(patient.door, Door::SigV4(_));
        let region = if signed { endpoint::region(&host, patient.way.region.as_deref()) } else { None };
        (signed || matches!(patient.door, Door::WebSocketCustomAuthorizer(_)), region)
    };
    #[cfg(not(feature = "websocket"))]
    let (websocket, region) = (false, None::<Outcome>);
    let outcome = match (endpoint::examine(&host, port, websocket), region) {
        (Outcome::Passed { .. }, Some(region)) => region,
        (outcome, _) => outcome,
    };
    notes.note(Step::Endpoint, outcome)?;
    Ok((host, port))
}
