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
        let finding = match self.until_lost(asked).await {
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
        match self.until_lost(asked).await {
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
        match self.until_lost(found).await {
            Ended::Done(true) => Outcome::Passed { detail: "the message came back".into() },
            Ended::Lost(error) => {
                Outcome::Failed(self.lost(&error, "the message was to come back", "iot:Receive", &resource))
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
        use iot_shadow::{ErrorKind, Shadow, ShadowClient, ShadowId, Value};
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
        match self.until_lost(asked).await {
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
                ErrorKind::Rejected(_) | ErrorKind::Session(_) | ErrorKind::TimedOut { .. } => {
                    self.no_shadow(&error.to_string(), thing)
                }
                _ => Finding::new(
                    error.to_string(),
                    "the shadow's answer is none that this program understands",
                    "look at the shadow with `aws iot-data get-thing-shadow`",
                ),
            }),
            Ended::Lost(error) => {
                Outcome::Failed(self.no_shadow(
                    &format!("the connection ended when the shadow was asked for: {error}"),
                    thing,
                ))
            }
            Ended::Late => Outcome::Failed(self.no_shadow("the shadow did not answer", thing)),
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
            Ended::Lost(error) => self.lost(&error, &format!("{packet} was sent"), action, resource),
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

    fn lost(&self, error: &ConnectionError, when: &str, action: &str, resource: &str) -> Finding {
        let what = format!("the connection ended when {when}: {error}");
        if let ConnectionError::Server { reason: ReasonCode::SessionTakenOver, .. } = error {
            return Finding::new(
                what,
                format!(
                    "another program connected by the client id {}: the device itself, perhaps",
                    shown(&self.who.client_id)
                ),
                "stop the other one, or give each a client id of its own",
            );
        }
        if error.is_by_peer() {
            let mut finding = self.who.not_allowed(&what, action, resource);
            finding.means.push_str(&format!(
                ", for which AWS IoT Core ends the connection; or another program connected by the client id {}",
                shown(&self.who.client_id)
            ));
            return finding;
        }
        Finding::new(what, "the network was lost", "examine once more")
    }

    /// Until it is done, the connection is lost or the time is over.
    async fn until_lost<T>(&self, work: impl Future<Output = T>) -> Ended<T> {
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
            // What tells more comes first: operations end with the connection.
            let lost = lost.as_mut().poll(context);
            match (work.as_mut().poll(context), lost) {
                (_, Poll::Ready(error)) => Poll::Ready(Ended::Lost(error)),
                (Poll::Ready(done), Poll::Pending) => Poll::Ready(Ended::Done(done)),
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        });
        timeout(self.limit, first).await.unwrap_or(Ended::Late)
    }
}
