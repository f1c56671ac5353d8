//! Over a connection: a message there and back, a shadow, a good-bye.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use iot_session::{Client, ConnectionError, Delivery, Message, Messages, OpError, QoS, Status, TopicFilter};
use mqtt_codec::ReasonCode;
use tokio::time::timeout;

use super::aws::{Who, shown};
use super::report::{Finding, Outcome};

/// A connection, and who has it.
pub(super) struct Talk<'a> {
    pub(super) client: &'a Client,
    pub(super) who: &'a Who,
    pub(super) limit: Duration,
}

/// How long the status may be behind an operation.
const MOMENT: Duration = Duration::from_secs(1);

/// Whether an operation ended with the connection.
fn is_loss<T>(outcome: &Result<T, OpError>) -> bool {
    outcome.as_ref().is_err_and(is_end)
}

fn is_end(error: &OpError) -> bool {
    matches!(error, OpError::Interrupted | OpError::Offline | OpError::Closed | OpError::Connect(_))
}

/// What an operation came to.
enum Ended<T> {
    Done(T),
    /// The connection ended, for this reason.
    Lost(ConnectionError),
    Late,
}

impl Talk<'_> {
    /// Whether the connection is up.
    pub(super) fn is_up(&self) -> bool {
        self.client.status().borrow().is_connected()
    }

    pub(super) async fn subscribe(&self, topic: &TopicFilter) -> (Outcome, Option<Messages>) {
        let resource = format!("topicfilter/{topic}");
        let asked = self.client.subscribe(topic.clone(), QoS::AtLeastOnce);
        let finding = match self.until_lost(asked, is_loss).await {
            Ended::Done(Ok(messages)) => {
                let detail = format!("{}, {:?}", shown(topic.as_str()), messages.granted());
                return (Outcome::Passed { detail }, Some(messages));
            }
            ended => self.refused(ended, "SUBSCRIBE", "iot:Subscribe", &resource),
        };
        (Outcome::Failed(finding), None)
    }

    pub(super) async fn publish(&self, message: Message) -> Outcome {
        let topic = message.topic().to_owned();
        let asked = async {
            let ack = self.client.publish(message).await.map_err(|_| OpError::Closed)?;
            ack.await
        };
        match self.until_lost(asked, is_loss).await {
            Ended::Done(Ok(Delivery::Acked(ReasonCode::NoMatchingSubscribers))) => {
                Outcome::Passed { detail: "acknowledged; nobody subscribes to the topic".into() }
            }
            Ended::Done(Ok(_)) => Outcome::Passed { detail: format!("{}, acknowledged", shown(&topic)) },
            ended => {
                Outcome::Failed(self.refused(ended, "PUBLISH", "iot:Publish", &format!("topic/{topic}")))
            }
        }
    }

    /// Waits for the message with this payload.
    pub(super) async fn receive(&self, messages: &mut Messages, topic: &str, payload: &[u8]) -> Outcome {
        let found = async {
            while let Some(message) = messages.next().await {
                if message.payload() == payload {
                    return true;
                }
            }
            false
        };
        let resource = format!("topic/{topic}");
        match self.until_lost(found, |found| !found).await {
            Ended::Done(true) => Outcome::Passed { detail: "the message came back".into() },
            Ended::Lost(error) => {
                let not_allowed = |what: &str| self.who.not_allowed(what, "iot:Receive", &resource);
                Outcome::Failed(self.lost(&error, "the message was to come back", not_allowed))
            }
            Ended::Done(false) | Ended::Late => {
                let what = format!("the message did not come back within {} ms", self.limit.as_millis());
                Outcome::Failed(self.who.not_allowed(&what, "iot:Receive", &resource))
            }
        }
    }

    /// Asks for a shadow, which need not be there.
    #[cfg(feature = "shadow")]
    pub(super) async fn shadow(&self, thing: &str) -> Outcome {
        use iot_session::RequestError;
        use iot_shadow::{ErrorKind, Shadow, ShadowClient, ShadowError, ShadowId, Value};
        let passed = |detail: &str| Outcome::Passed { detail: detail.into() };
        let id = match ShadowId::classic(thing) {
            Ok(id) => id,
            Err(error) => {
                let means = "no thing can have this name";
                return Outcome::Failed(Finding::new(error.to_string(), means, "give the name of a thing"));
            }
        };
        let shadow = ShadowClient::new(self.client, id);
        let call = shadow.get::<Value>().timeout(self.limit);
        let asked = async {
            let got: Result<Shadow<Value>, _> = call.await;
            got
        };
        let is_loss = |got: &Result<Shadow<Value>, ShadowError>| match got.as_ref().map_err(ShadowError::kind)
        {
            Err(ErrorKind::Session(RequestError::Subscribe(error) | RequestError::Publish(error))) => {
                is_end(error)
            }
            Err(kind) => matches!(kind, ErrorKind::Offline | ErrorKind::Closed),
            Ok(_) => false,
        };
        match self.until_lost(asked, is_loss).await {
            Ended::Done(Ok(shadow)) => passed(&format!("version {}", shadow.version)),
            Ended::Done(Err(error)) if error.is_missing() => {
                passed("the thing has no classic shadow yet (404), and asking is allowed")
            }
            Ended::Done(Err(error)) => Outcome::Failed(match error.kind() {
                ErrorKind::Rejected(rejection) if rejection.is_retryable() => Finding::new(
                    error.to_string(),
                    "the service is asked too often for this thing or by this account, or has a failure of its own",
                    "examine again later; see Service Quotas for AWS IoT Core",
                ),
                ErrorKind::Session(RequestError::Subscribe(cause) | RequestError::Publish(cause))
                    if !matches!(cause, OpError::Refused { .. } | OpError::TimedOut) =>
                {
                    Finding::new(
                        error.to_string(),
                        "the request cannot be sent as it is: the broker may take only smaller packets, or less at once",
                        "see what the broker said at CONNECT",
                    )
                }
                ErrorKind::Rejected(_) | ErrorKind::Session(_) => self.no_shadow(&error.to_string(), thing),
                ErrorKind::TimedOut { .. } => self.silent_shadow(&error.to_string(), thing),
                _ => Finding::new(
                    error.to_string(),
                    "the shadow's answer is none that this program understands",
                    "look at the shadow with `aws iot-data get-thing-shadow`",
                ),
            }),
            Ended::Lost(error) => {
                Outcome::Failed(
                    self.lost(&error, "the shadow was asked for", |what: &str| self.no_shadow(what, thing)),
                )
            }
            Ended::Late => Outcome::Failed(self.silent_shadow("the shadow did not answer", thing)),
        }
    }

    #[cfg(feature = "shadow")]
    fn no_shadow(&self, what: &str, thing: &str) -> Finding {
        let get = format!("/$aws/things/{thing}/shadow/get");
        let mut finding = self.who.not_allowed(what, "iot:Publish", &format!("topic{get}"));
        finding.means.push_str(", or not iot:Subscribe or iot:Receive on the topics of the answers");
        let get = shown(&get);
        finding
            .remedy
            .push_str(&format!(", and iot:Subscribe on topicfilter{get}/*, iot:Receive on topic{get}/*"));
        finding
    }

    /// What is not allowed is not answered either.
    #[cfg(feature = "shadow")]
    fn silent_shadow(&self, what: &str, thing: &str) -> Finding {
        let mut finding = self.no_shadow(what, thing);
        finding.means.push_str("; or the broker knows no shadows, or the network swallows what is sent");
        finding
    }

    /// Leaves in order.
    pub(super) async fn disconnect(&self) -> Outcome {
        match timeout(self.limit, self.client.disconnect()).await {
            Ok(Ok(())) => Outcome::Passed { detail: "in order".into() },
            _ => Outcome::Doubtful(Finding::new(
                "the connection could not be ended in order",
                "the network swallows what is sent, or the connection was just cut",
                "examine once more",
            )),
        }
    }

    /// Why an operation failed.
    fn refused<T>(
        &self,
        ended: Ended<Result<T, OpError>>,
        packet: &str,
        action: &str,
        resource: &str,
    ) -> Finding {
        match ended {
            Ended::Done(Err(OpError::Refused { reason, message })) => {
                let what = OpError::Refused { reason, message }.to_string();
                match reason {
                    ReasonCode::QuotaExceeded => Finding::new(
                        what,
                        "a quota of AWS IoT Core is used up: subscriptions of a connection, or requests per second",
                        "subscribe to less, or more slowly; see Service Quotas for AWS IoT Core",
                    ),
                    ReasonCode::TopicNameInvalid | ReasonCode::TopicFilterInvalid => Finding::new(
                        what,
                        "AWS IoT Core does not take this topic",
                        "choose another test topic: at most 7 slashes and 256 bytes, not beginning with $",
                    ),
                    _ => self.who.not_allowed(&what, action, resource),
                }
            }
            Ended::Lost(error) => {
                let not_allowed = |what: &str| self.who.not_allowed(what, action, resource);
                self.lost(&error, &format!("{packet} was sent"), not_allowed)
            }
            Ended::Late | Ended::Done(Err(OpError::TimedOut)) => {
                let what = format!("no answer to {packet} within {} ms", self.limit.as_millis());
                Finding::new(
                    what,
                    "the network swallows what is sent, or is very slow",
                    "try again with more time",
                )
            }
            Ended::Done(Err(error)) => {
                Finding::new(error.to_string(), "it cannot be sent as it is", "choose another test topic")
            }
            Ended::Done(Ok(_)) => {
                Finding::new("an answer that is none", "the broker is not well", "try again")
            }
        }
    }

    /// Why the connection ended. AWS IoT Core ends it for what the policy does not allow, which `not_allowed` tells.
    fn lost(
        &self,
        error: &ConnectionError,
        when: &str,
        not_allowed: impl FnOnce(&str) -> Finding,
    ) -> Finding {
        use ReasonCode as Code;
        let what = format!("the connection ended when {when}: {error}");
        let client_id = shown(&self.who.client_id);
        let (means, remedy) = match error {
            ConnectionError::Server { reason: Code::SessionTakenOver, .. } => (
                format!("another program connected by the client id {client_id}: the device itself, perhaps"),
                "stop the other one, or give each a client id of its own",
            ),
            ConnectionError::Server {
                reason:
                    Code::ServerShuttingDown
                    | Code::ServerBusy
                    | Code::ServerUnavailable
                    | Code::UseAnotherServer
                    | Code::ServerMoved
                    | Code::MaximumConnectTime
                    | Code::AdministrativeAction
                    | Code::KeepAliveTimeout,
                ..
            } => (
                "the server ended the connection for a reason of its own".to_owned(),
                "examine once more, in some minutes if need be",
            ),
            ConnectionError::Server {
                reason:
                    Code::QuotaExceeded
                    | Code::MessageRateTooHigh
                    | Code::ConnectionRateExceeded
                    | Code::ReceiveMaximumExceeded
                    | Code::PacketTooLarge,
                ..
            } => (
                "a limit of the server is passed".to_owned(),
                "send less, or more slowly; see Service Quotas for AWS IoT Core",
            ),
            ConnectionError::Malformed(_) | ConnectionError::Protocol(_) => (
                "what answers breaks the rules of MQTT: it is not AWS IoT Core, or something on the way changes what it sends"
                    .to_owned(),
                "check endpoint and port; find out what lies between",
            ),
            _ if error.is_by_peer() => {
                let mut finding = not_allowed(&what);
                finding.means.push_str(&format!(
                    ", for which AWS IoT Core ends the connection; or another program connected by the client id \
                     {client_id}"
                ));
                return finding;
            }
            _ => ("the network was lost".to_owned(), "examine once more"),
        };
        Finding::new(what, means, remedy)
    }

    /// Until it is done, the connection is lost or the time is over.
    async fn until_lost<T>(&self, work: impl Future<Output = T>, is_loss: impl Fn(&T) -> bool) -> Ended<T> {
        let mut status = self.client.status();
        let lost = async {
            loop {
                if let Status::Disconnected { error, .. } = &*status.borrow_and_update() {
                    return error.clone();
                }
                if status.changed().await.is_err() {
                    return ConnectionError::Requested;
                }
            }
        };
        let (mut work, mut lost) = (pin!(work), pin!(lost));
        let first = poll_fn(|context| {
            // What tells more comes first.
            let lost = lost.as_mut().poll(context);
            match (work.as_mut().poll(context), lost) {
                (_, Poll::Ready(error)) => Poll::Ready(Ended::Lost(error)),
                (Poll::Ready(done), Poll::Pending) => Poll::Ready(Ended::Done(done)),
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        });
        match timeout(self.limit, first).await {
            // Operations end with the connection, a moment before the status says why.
            Ok(Ended::Done(done)) if is_loss(&done) => {
                timeout(self.limit.min(MOMENT), lost).await.map_or(Ended::Done(done), Ended::Lost)
            }
            Ok(ended) => ended,
            Err(_) => Ended::Late,
        }
    }
}
