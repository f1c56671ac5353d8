//! The client as a `tower::Service`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc::{self, OwnedPermit};
use tower_service::Service;

use super::channels::Publish;
use super::handle::Client;
use super::outcomes::{Ack, Delivery};
use crate::error::OpError;
use crate::message::Message;

type Reserving =
    Pin<Box<dyn Future<Output = Result<OwnedPermit<Publish>, mpsc::error::SendError<()>>> + Send>>;

/// Publishes as a [`Service`]: ready when the session has room, and each call's future is the message's outcome.
///
/// So tower's own middleware applies: timeouts, concurrency limits, load shedding, and what others have written.
/// Each clone takes a place of its own in the session. A service that is ready holds that place until it is called or
/// dropped.
///
/// ```
/// # use std::time::Duration;
/// # use iot_session::{Client, Message};
/// use tower::{Service, ServiceBuilder, ServiceExt};
///
/// # async fn example(client: &Client) -> Result<(), tower::BoxError> {
/// let mut publish = ServiceBuilder::new()
///     .load_shed()
///     .concurrency_limit(10)
///     .timeout(Duration::from_secs(2))
///     .service(client.publish_service());
/// publish.ready().await?.call(Message::new("sensor/1", "21.5")?).await?;
/// # Ok(())
/// # }
/// ```
pub struct PublishService {
    publishes: mpsc::Sender<Publish>,
    place: Place,
}

/// ```text
///          no room: Reserving
///   None ──────────────────────► Reserving ──┐ room
///    ▲ └───────────────────────────────────► Reserved
///    └──────────────── call ──────────────────┘
/// ```
enum Place {
    None,
    Reserving(Reserving),
    Reserved(OwnedPermit<Publish>),
}

impl Client {
    /// The client as a `tower::Service` that publishes.
    #[must_use]
    pub fn publish_service(&self) -> PublishService {
        PublishService { publishes: self.publishes.clone(), place: Place::None }
    }
}

impl Service<Message> for PublishService {
    type Response = Delivery;
    type Error = OpError;
    type Future = Ack;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), OpError>> {
        let reserved = match &mut self.place {
            Place::Reserved(_) => return Poll::Ready(Ok(())),
            Place::Reserving(reserving) => ready!(reserving.as_mut().poll(context)),
            Place::None => match self.publishes.clone().try_reserve_owned() {
                Ok(permit) => Ok(permit),
                Err(mpsc::error::TrySendError::Closed(_)) => Err(mpsc::error::SendError(())),
                Err(mpsc::error::TrySendError::Full(publishes)) => {
                    let mut reserving: Reserving = Box::pin(publishes.reserve_owned());
                    let Poll::Ready(reserved) = reserving.as_mut().poll(context) else {
                        self.place = Place::Reserving(reserving);
                        return Poll::Pending;
                    };
                    reserved
                }
            },
        };
        match reserved {
            Ok(permit) => {
                self.place = Place::Reserved(permit);
                Poll::Ready(Ok(()))
            }
            Err(_) => {
                self.place = Place::None;
                Poll::Ready(Err(OpError::Closed))
            }
        }
    }

    /// Without having been ready it ends with [`OpError::Busy`] when there is no room.
    fn call(&mut self, message: Message) -> Ack {
        let (publish, outcome) = Publish::new(message);
        let permit = match std::mem::replace(&mut self.place, Place::None) {
            Place::Reserved(permit) => Some(permit),
            Place::None | Place::Reserving(_) => self.publishes.clone().try_reserve_owned().ok(),
        };
        if let Some(permit) = permit {
            permit.send(publish);
        } else {
            let closed = self.publishes.is_closed();
            let _ = publish.reply.send(Err(if closed { OpError::Closed } else { OpError::Busy }));
        }
        Ack(outcome)
    }
}

impl Clone for PublishService {
    fn clone(&self) -> Self {
        Self { publishes: self.publishes.clone(), place: Place::None }
    }
}

impl fmt::Debug for PublishService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_ready = matches!(self.place, Place::Reserved(_));
        f.debug_struct("PublishService").field("is_ready", &is_ready).finish_non_exhaustive()
    }
}
