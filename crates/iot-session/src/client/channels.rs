//! What goes from the handle to the driver.

use std::sync::Arc;

use mqtt_codec::packet::SubscriptionOptions;
use mqtt_codec::{ReasonCode, TopicFilter};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::clock;
use super::inbox::{Inbox, Signal};
use super::outcomes::{Delivery, Leftover};
use super::stats::{Shared, Status};
use crate::error::OpError;
use crate::message::Message;
use crate::stage::Connected;

/// A message on its way to the session, which takes it while its window has room.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) message: Message,
    /// Since when it waits, if that matters.
    pub(super) since: Option<Instant>,
    pub(super) reply: oneshot::Sender<Result<Delivery, OpError>>,
    /// Who waits for it to be on disk.
    pub(super) stored: Option<oneshot::Sender<Result<(), OpError>>>,
}

impl Publish {
    /// Handed over now, with the end where its outcome comes.
    pub(super) fn new(message: Message) -> (Self, oneshot::Receiver<Result<Delivery, OpError>>) {
        let since = message.is_bounded_in_time().then(clock::instant);
        let (reply, outcome) = oneshot::channel();
        (Self { message, since, reply, stored: None }, outcome)
    }
}

/// What needs no room in the window, and so does not wait behind publishes.
#[derive(Debug)]
pub(super) enum Request {
    Subscribe {
        /// At least one filter, each with the ticket of its route.
        filters: Vec<(u64, TopicFilter)>,
        options: SubscriptionOptions,
        inbox: Arc<Inbox>,
        /// A code for each filter.
        reply: oneshot::Sender<Result<Vec<ReasonCode>, OpError>>,
    },
    Unsubscribe(TopicFilter, oneshot::Sender<Result<ReasonCode, OpError>>),
}

/// What goes past both.
#[derive(Debug)]
pub(super) enum Control {
    Connect(oneshot::Sender<Result<Connected, OpError>>),
    /// Answered once it is taken.
    ConnectLazily(oneshot::Sender<()>),
    ReconnectNow,
    Disconnect(oneshot::Sender<()>),
    Close(Instant, oneshot::Sender<Leftover>),
}

/// The driver's ends of the handle's channels.
#[derive(Debug)]
pub(super) struct Channels {
    pub(super) publishes: mpsc::Receiver<Publish>,
    /// Boxed as requests are, since few come here: a channel sets memory aside for 32 of whatever goes through.
    pub(super) urgent: mpsc::Receiver<Box<Publish>>,
    pub(super) requests: mpsc::Receiver<Box<Request>>,
    pub(super) control: mpsc::Receiver<Control>,
    pub(super) signals: mpsc::UnboundedReceiver<Signal>,
    pub(super) status: watch::Sender<Status>,
    pub(super) shared: Arc<Shared>,
}
