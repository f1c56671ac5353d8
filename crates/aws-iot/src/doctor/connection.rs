//! The way in, once TLS is known to work: the upgrade, CONNECT.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iot_session::proto::{ConnectOptions, Engine};
use iot_session::{Client, Config, ConnectionError, OpError};
use iot_transport::{Attempt, BoxConnector, BoxIo, ConnectError, ConnectErrorKind as Kind, Phase, from_fn};
use mqtt_codec::ReasonCode;

use super::aws::Who;
use super::report::{Finding, Step};
use super::tls;

/// Longer than any examination.
const DAY: Duration = Duration::from_secs(86_400);

/// The step that an attempt of this phase belongs to.
pub(super) fn step_of(phase: Phase) -> Step {
    match phase {
        Phase::Resolve => Step::Dns,
        Phase::Proxy => Step::Proxy,
        Phase::Tls => Step::Tls,
        Phase::Credentials => Step::Credentials,
        Phase::Upgrade => Step::Upgrade,
        _ => Step::Tcp,
    }
}

/// Why there is no stream, and which step that is.
pub(super) fn not_dialled(error: &ConnectError, who: &Who) -> (Step, Finding) {
    let step = step_of(error.phase());
    if step == Step::Tls
        && let Some(finding) = tls::late_alert(error, error.reason(), who)
    {
        return (Step::ClientCertificate, finding);
    }
    let finding = match (step, error.kind()) {
        (Step::Credentials, _) => Finding::of(
            error.reason(),
            "there is nothing to sign with: no AWS credentials came from where the program looks for them",
            "",
        ),
        (Step::Proxy, _) => Finding::of(
            error.reason(),
            "the proxy does not lead to the endpoint",
            "check the proxy's address, user name and password, and that it lets CONNECT to this host and port pass",
        ),
        (Step::Upgrade, Kind::HttpRefused) => refused_upgrade(error),
        (Step::Upgrade, _) => Finding::of(
            error.reason(),
            "what answers is not AWS IoT Core's WebSocket endpoint, or a proxy on the way does not know WebSocket",
            "check endpoint and port (443); ask whoever runs the proxy",
        ),
        _ => Finding::of(
            error.reason(),
            "the connection did not come about, though it did a moment ago",
            "try again",
        ),
    };
    (step, finding)
}

fn refused_upgrade(error: &ConnectError) -> Finding {
    let reason = error.reason();
    match error.http_status() {
        Some(401 | 403) if reason.contains("clock is") => Finding::of(
            reason,
            "this device's clock is wrong, and AWS takes a signature for 5 minutes only",
            "set the clock (NTP)",
        ),
        Some(401 | 403) if reason.contains("authorizer") => Finding::new(
            reason,
            "the custom authorizer does not exist, is not active, denies, or the token's signature is wrong",
            "look at `aws iot describe-authorizer` and at the authorizer's log in CloudWatch; `aws iot test-invoke-authorizer` \
             runs it",
        ),
        Some(401 | 403) => Finding::new(
            reason,
            "AWS does not take the signature: the access key is deleted or inactive, its secret or its session token is another \
             one's, the temporary credentials have expired, the region is not the endpoint's, or the clock is wrong",
            "see whether `aws sts get-caller-identity` works with these very credentials; check the region (Builder::region) \
             and the clock",
        ),
        _ => Finding::of(
            reason,
            "what answers is not AWS IoT Core's WebSocket endpoint",
            "check endpoint and port (443); ask whoever runs the proxy, if there is one",
        ),
    }
}

/// A session over this very stream, which is never dialled again: the engine alone, without what would repeat anything.
pub(super) fn session(io: BoxIo, options: ConnectOptions, limit: Duration) -> Client {
    let once = Arc::new(Mutex::new(Some(io)));
    let connector = from_fn(move |_: Attempt| {
        let io = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(
            io.ok_or_else(|| ConnectError::new(Phase::Tcp, Kind::Closed, "an examination connects once")),
        )
    });
    let engine = Engine::new(options.connect_timeout(limit).operation_timeout(limit));
    let codec = engine.codec();
    // What waited in the session is the device's, and stays unacknowledged.
    let explain = Some(iot_transport::explain_io as fn(&_) -> _);
    let config = Config { connect_timeout: limit, hold: DAY, explain, ..Config::default() };
    let (client, driver) = iot_session::client(engine, codec, BoxConnector::new(connector), config);
    // It ends, in order, when the last handle is dropped.
    tokio::spawn(driver.run());
    client
}

/// Why CONNECT was not accepted, and which step that is.
pub(super) fn not_connected(error: &OpError, who: &Who) -> (Step, Finding) {
    let sentence = error.to_string();
    let finding = match error {
        OpError::Connect(ConnectionError::ClosedBeforeConnAck(link) | ConnectionError::Link(link)) => {
            let late = link.source().and_then(|source| tls::late_alert(source, &link.to_string(), who));
            match late {
                Some(finding) => return (Step::ClientCertificate, finding),
                None => who.not_let_in(&sentence),
            }
        }
        OpError::Connect(ConnectionError::Refused { reason, .. }) => refused(*reason, &sentence, who),
        OpError::Connect(ConnectionError::Malformed(_) | ConnectionError::Protocol(_)) => Finding::new(
            sentence,
            "what answers does not speak MQTT: it is another service, or another door of AWS IoT Core",
            "check endpoint and port: 8883, or 443",
        ),
        _ => Finding::new(
            sentence,
            "something takes the connection and does not answer CONNECT: a custom authorizer that takes too long, a service \
             that is not MQTT, or a network that loses what is larger than its first packets (MTU)",
            "check endpoint and port; look at the authorizer, if there is one, and at the MTU of tunnels on the way",
        ),
    };
    (Step::Connect, finding)
}

fn refused(reason: ReasonCode, sentence: &str, who: &Who) -> Finding {
    let (means, remedy) = match reason {
        ReasonCode::NotAuthorized | ReasonCode::BadUserNameOrPassword | ReasonCode::Banned => {
            return who.not_let_in(sentence);
        }
        ReasonCode::ClientIdentifierNotValid => (
            "AWS IoT Core does not take this client id",
            "choose another one: 1 to 128 bytes, not beginning with $ (Builder::client_id)",
        ),
        ReasonCode::UnsupportedProtocolVersion => {
            ("the broker does not speak this version of MQTT", "use the other version (Builder::version)")
        }
        ReasonCode::ServerUnavailable | ReasonCode::ServerBusy => (
            "AWS IoT Core is busy or being changed",
            "try again in some minutes; see the AWS Health Dashboard",
        ),
        ReasonCode::QuotaExceeded | ReasonCode::ConnectionRateExceeded => (
            "a quota of the account is used up: connections per second, or one CONNECT per second for each client id",
            "try again more slowly; see Service Quotas for AWS IoT Core",
        ),
        ReasonCode::QoSNotSupported | ReasonCode::RetainNotSupported | ReasonCode::TopicNameInvalid => (
            "AWS IoT Core does not take the will",
            "use QoS 0 or 1 and a topic within its limits (Builder::will)",
        ),
        _ => (
            "the server does not take the connection",
            "see what AWS IoT Core logs (CloudWatch, AWSIotLogsV2)",
        ),
    };
    Finding::new(sentence, means, remedy)
}
