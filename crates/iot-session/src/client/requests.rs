//! Requests on one topic and their answers on others, told apart by a token.

mod desk;
mod error;
mod opening;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use mqtt_codec::{Property, QoS, TopicFilter, Version};
use tokio::time::timeout;

use super::handle::Client;
use super::stats::Status;
use super::subscription::SubscribeOptions;
use crate::error::OpError;
use crate::message::Message;
use crate::stage::Connected;
use desk::Desk;
pub use error::RequestError;
use opening::Opening;

/// A way to ask: the topics on which answers come, and the token in each that says which request it is for. Clones share
/// it.
///
/// The answers are subscribed before the request goes out, and SUBACK is waited for. By default that lasts as long as any
/// request of these is under way, however it ends; with [`keep_subscribed`](Self::keep_subscribed), from the first one
/// on as long as there is a clone. It needs no task: whoever waits for an answer reads for all that wait.
///
/// ```
/// use std::time::Duration;
/// use bytes::Bytes;
/// use iot_session::{Client, Message, Request, Requests};
///
/// // The token is the first word of an answer.
/// fn token_of(answer: &Message) -> Option<Bytes> {
///     let word = answer.payload().split(|byte| *byte == b' ').next()?;
///     Some(Bytes::copy_from_slice(word))
/// }
///
/// async fn ask(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
///     let requests = Requests::new(client, ["door/open/done", "door/open/refused"], token_of)?;
///     let request = Message::new("door/open", "42 please")?;
///     let answer = requests.send(Request::new(request, "42", Duration::from_secs(5))).await?;
///     println!("{}", answer.topic());
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Requests(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    answers: Vec<TopicFilter>,
    options: SubscribeOptions,
    token_of: TokenOf,
    keep: bool,
    place: Mutex<Place>,
}

#[derive(Debug, Default)]
struct Place {
    /// The subscription while somebody uses it.
    desk: Weak<Desk>,
    /// While it is being made.
    opening: Weak<Opening>,
    /// The same, kept from going.
    kept: Option<Arc<Desk>>,
}

/// Which request an answer is for; `None`: for none, it is ignored.
pub(super) type TokenOf = fn(&Message) -> Option<Bytes>;

/// A request, and how long its answer is waited for.
#[derive(Debug, Clone)]
pub struct Request {
    message: Message,
    token: Bytes,
    within: Duration,
    wait_for_connection: bool,
}

impl Request {
    /// A request whose answer will have this `token`, which no other one under way may have. All of it is over after
    /// `within`: room, subscription and answer.
    ///
    /// The message is neither queued nor sent again: in a session that outlives its connection it goes out at QoS 0 for that, so
    /// that a refusal of it is not told. In MQTT 5 it expires by then, unless it says otherwise.
    pub fn new(message: Message, token: impl Into<Bytes>, within: Duration) -> Self {
        Self { message, token: token.into(), within, wait_for_connection: false }
    }

    /// Without a connection, waits for one, within the time that the answer has. Default: fails at once.
    #[must_use]
    pub fn wait_for_connection(mut self, wait: bool) -> Self {
        self.wait_for_connection = wait;
        self
    }
}

impl Requests {
    /// Requests whose answers come on these topics. `token_of` gives the token of an answer; it is called for all that
    /// comes there while a request is under way, so it bears anything.
    ///
    /// # Errors
    /// A filter is not valid.
    pub fn new<F>(
        client: &Client,
        answers: impl IntoIterator<Item = F>,
        token_of: fn(&Message) -> Option<Bytes>,
    ) -> Result<Self, F::Error>
    where
        F: TryInto<TopicFilter>,
    {
        Ok(Self(Arc::new(Inner {
            client: client.clone(),
            answers: answers.into_iter().map(F::try_into).collect::<Result<_, _>>()?,
            options: SubscribeOptions::new(QoS::AtLeastOnce),
            token_of,
            keep: false,
            place: Mutex::default(),
        })))
    }

    /// Stays subscribed after the first request, as long as there is a clone of these requests. What comes while none is
    /// under way is thrown away.
    #[must_use]
    pub fn keep_subscribed(self, keep: bool) -> Self {
        let Inner { client, answers, options, token_of, .. } = &*self.0;
        Self(Arc::new(Inner {
            client: client.clone(),
            answers: answers.clone(),
            options: *options,
            token_of: *token_of,
            keep,
            place: Mutex::default(),
        }))
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`RequestError`]. Unless it says so, nobody knows whether the request took effect.
    ///
    /// # Cancellation
    /// The answer is waited for no more, and what was subscribed for it alone is unsubscribed. The request may have been
    /// sent.
    pub async fn send(&self, request: Request) -> Result<Message, RequestError> {
        let within = request.within;
        timeout(within, self.exchange(request)).await.unwrap_or(Err(RequestError::TimedOut { within }))
    }

    async fn exchange(&self, request: Request) -> Result<Message, RequestError> {
        let client = &self.0.client;
        let connected = self.connected(request.wait_for_connection).await?;
        let desk = self.desk().await?;
        let mut answer = pin!(Desk::wait(desk, request.token)?);
        let message = in_time(request.message, &connected, request.within);
        let ack = client.publish_first(message).await.map_err(|_| RequestError::Closed)?;
        let mut ack = pin!(ack);
        let mut is_acked = false;
        poll_fn(|context| {
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(answer.map_err(RequestError::Ended));
            }
            if !is_acked && let Poll::Ready(acked) = ack.as_mut().poll(context) {
                is_acked = true;
                match acked {
                    // The answer may be slower than PUBACK, or come without it.
                    Ok(_) | Err(OpError::TimedOut) => {}
                    Err(OpError::Offline) => return Poll::Ready(Err(RequestError::Offline)),
                    Err(OpError::Closed) => return Poll::Ready(Err(RequestError::Closed)),
                    Err(error) => return Poll::Ready(Err(RequestError::Publish(error))),
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The connection, which is waited for or must be there.
    async fn connected(&self, wait: bool) -> Result<Connected, RequestError> {
        if wait {
            return self.0.client.online().await.map_err(|_| RequestError::Closed);
        }
        match &*self.0.client.status().borrow() {
            Status::Connected(connected) => Ok(connected.clone()),
            _ => Err(RequestError::Offline),
        }
    }

    /// The subscription, which is made if there is none in force.
    async fn desk(&self) -> Result<Arc<Desk>, RequestError> {
        let opening = match self.0.present() {
            Ok(desk) => return Ok(desk),
            Err(opening) => opening,
        };
        poll_fn(|context| opening.poll(context)).await
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The subscription that is in force, or else the one that is being made.
    fn present(self: &Arc<Self>) -> Result<Arc<Desk>, Arc<Opening>> {
        let mut place = self.lock();
        if let Some(desk) = place.desk.upgrade().filter(|desk| desk.is_open()) {
            return Ok(desk);
        }
        if let Some(opening) = place.opening.upgrade() {
            return Err(opening);
        }
        // Not the whole of it: the subscription must not keep itself alive.
        let inner = Arc::downgrade(self);
        let (client, answers) = (self.client.clone(), self.answers.clone());
        let (options, token_of) = (self.options, self.token_of);
        let opening = Arc::new(Opening::new(async move {
            let answers = client.subscribe_all(answers, options).await;
            let answers = answers.map_err(|error| match error {
                OpError::Offline => RequestError::Offline,
                OpError::Closed => RequestError::Closed,
                error => RequestError::Subscribe(error),
            });
            let desk = answers.map(|answers| Arc::new(Desk::new(answers, token_of)));
            if let Some(inner) = inner.upgrade() {
                inner.opened(desk.as_ref().ok());
            }
            desk
        }));
        place.opening = Arc::downgrade(&opening);
        Err(opening)
    }

    fn opened(&self, desk: Option<&Arc<Desk>>) {
        let mut place = self.lock();
        // The next one that finds no subscription in force makes one.
        place.opening = Weak::new();
        if let Some(desk) = desk {
            place.desk = Arc::downgrade(desk);
            place.kept = self.keep.then(|| Arc::clone(desk));
        }
    }
}

/// The message as a request: neither kept for later nor sent again, and worth nothing after its time.
fn in_time(message: Message, connected: &Connected, within: Duration) -> Message {
    let mut message = message.queue(false).resend(false);
    if connected.session_expiry > 0 {
        // What a session that lives on has not seen acknowledged it must send again, however much later.
        message = message.qos(QoS::AtMostOnce);
    }
    if connected.version != Version::V5 || message.properties().message_expiry_interval().is_some() {
        return message;
    }
    let seconds = within.as_secs().saturating_add(u64::from(within.subsec_nanos() > 0));
    let expiry = u32::try_from(seconds).unwrap_or(u32::MAX).max(1);
    let unchanged = message.clone();
    message.property(Property::MessageExpiryInterval(expiry)).unwrap_or(unchanged)
}
