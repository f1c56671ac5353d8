//! What goes into a stage and what comes out.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mqtt_codec::packet::Publish;
use mqtt_codec::{
    DecodeError, Packet, QoS, ReasonCode, Text, TopicFilter, Version, packet::SubscriptionOptions,
};

use super::store::{StoreError, StoreOp, Stored};
use crate::error::{ConnectionError, Dropped, LinkError, OpError};
use crate::time::Nanos;

/// Who issued an operation. The application is 0; a layer that issues its own takes a number of its own, and their
/// completions never leave it. Numbers below 16 belong to this crate, the others are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub u8);

impl Owner {
    /// The holder of the stack.
    pub const APPLICATION: Self = Self(0);
    /// The layer that keeps subscriptions.
    pub const RESUBSCRIBE: Self = Self(1);
    /// The layer that keeps messages on disk.
    pub const OUTBOX: Self = Self(2);
}

/// Names an operation for as long as it runs; every operation ends with exactly one [`Event::Done`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpId(u64);

impl OpId {
    /// The owner's `seq`-th operation; the upper 8 bits of `seq` are not kept.
    #[must_use]
    pub const fn new(owner: Owner, seq: u64) -> Self {
        Self((owner.0 as u64) << 56 | (seq & 0x00FF_FFFF_FFFF_FFFF))
    }

    /// Who issued it.
    #[must_use]
    pub const fn owner(self) -> Owner {
        Owner((self.0 >> 56) as u8)
    }

    /// Which of the owner's it is.
    #[must_use]
    pub const fn seq(self) -> u64 {
        self.0 & 0x00FF_FFFF_FFFF_FFFF
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpId({}:{})", self.owner().0, self.seq())
    }
}

/// What a stage is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// The holder wants something.
    Op(OpId, Op),
    /// The link came up or went away.
    Link(Link),
    /// The server sent a packet.
    Packet(Packet),
    /// The server sent bytes that are no packet; the link is of no more use.
    Malformed(DecodeError),
    /// A received message was taken by everyone it is for and may be acknowledged.
    Accepted(AckToken),
    /// The store answers to an [`Output::Store`].
    Stored(Stored),
    /// The instant of [`Stage::deadline`](super::Stage::deadline) has come.
    Timeout,
}

/// What a stage wants.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Write this packet.
    Send(Packet),
    /// Try to connect, once.
    Dial,
    /// Write what was sent before, then close. Also gives up an attempt that is under way.
    Hangup,
    /// Have the store do this.
    Store(StoreOp),
    /// Tell the holder.
    Event(Event),
}

/// What the holder of a session can ask for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Op {
    /// Connect. Ends once the session is up, or with the error of the first attempt.
    Connect(ConnectOp),
    /// Send a message.
    Publish(PublishOp),
    /// Ask for messages.
    Subscribe(SubscribeOp),
    /// Want no more of them.
    Unsubscribe(UnsubscribeOp),
    /// Leave in order; ends a reconnect that is waiting, too.
    Disconnect,
}

impl Op {
    /// [`Op::Connect`] with nothing said.
    pub const CONNECT: Self = Self::Connect(ConnectOp { retry: false });
}

/// How to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectOp {
    /// Go on trying, whatever the first attempt brings: for devices that boot offline. Default: as the layer that
    /// reconnects is set.
    pub retry: bool,
}

/// A message to send. The packet identifier is the engine's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishOp {
    /// Topic, payload, retain flag and properties.
    pub publish: Publish,
    /// Quality of service.
    pub qos: QoS,
    /// Whether it may wait for a connection; otherwise it ends with [`OpError::Offline`] when there is none.
    pub queue: bool,
    /// Whether a QoS 1 message may be issued again when the session was lost before it was acknowledged.
    pub resend: Resend,
    /// How often in a row the server has ended the connection right after this message was sent. Kept by the engine.
    pub strikes: u8,
    /// How long it may wait for a connection from now on, in milliseconds; `None`: for ever. Whoever lets it wait hands
    /// on what is left.
    pub ttl: Option<NonZeroU32>,
}

impl PublishOp {
    /// May be queued and issued again, without a time to live.
    #[must_use]
    pub const fn new(publish: Publish, qos: QoS) -> Self {
        Self { publish, qos, queue: true, resend: Resend::OtherSession, strikes: 0, ttl: None }
    }
}

/// What becomes of a QoS 1 message that was sent and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Resend {
    /// With its session it ends as [`OpError::Interrupted`].
    Never,
    /// It is issued again in another session. Past the operation timeout it ends as [`OpError::TimedOut`], and after a
    /// disconnect as [`OpError::Interrupted`]: its publisher is not kept waiting.
    #[default]
    OtherSession,
    /// The same, but it goes on until it is answered, however long that takes and whatever is between: somebody keeps it who
    /// does not give up.
    UntilAnswered,
}

/// Filters to subscribe, in one SUBSCRIBE.
#[derive(Debug, Clone)]
pub struct SubscribeOp {
    /// The filters; at least one.
    pub filters: Vec<(TopicFilter, SubscriptionOptions)>,
}

/// Filters to unsubscribe, in one UNSUBSCRIBE.
#[derive(Debug, Clone)]
pub struct UnsubscribeOp {
    /// The filters; at least one.
    pub filters: Vec<TopicFilter>,
}

/// News of the byte stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum Link {
    /// The dial succeeded.
    Up(LinkUp),
    /// The dial failed, or the stream ended.
    Down(LinkError),
}

/// What the driver knows of a fresh link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LinkUp {
    /// The end of the connection attempt, CONNACK included; `None`: the engine counts its own connect timeout from
    /// here.
    pub deadline: Option<Nanos>,
}

impl LinkUp {
    /// With the instant by which CONNACK must be in.
    #[must_use]
    pub const fn by(deadline: Nanos) -> Self {
        Self { deadline: Some(deadline) }
    }
}

/// What the holder is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The session is up.
    Connected(Connected),
    /// The session is down. Told once for each attempt that fails and each connection that ends.
    Disconnected(Disconnected),
    /// A message came in. With a token, hand in [`Input::Accepted`] once it was taken.
    Message(Publish, Option<AckToken>),
    /// An operation has ended.
    Done(OpId, Result<Receipt, OpError>),
    /// The message of this operation is on disk: it survives the end of the process and a loss of power. Told once, before
    /// the operation's end, by a layer that keeps messages there.
    Stored(OpId),
    /// A message comes back from below: it was not handed to the link, or the session that it was part of is lost.
    /// A layer around that keeps messages issues it again under the same name; where there is none, the
    /// [`Machine`](crate::Machine) ends it with [`OpError::Interrupted`].
    Returned(OpId, Box<PublishOp>),
    /// Something happened that concerns no single operation.
    Notice(Notice),
}

/// What happened besides the operations.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The session is up, with every subscription in force or given up. Told by the client, no stage does.
    Online(Arc<Connected>),
    /// The connection, or an attempt to make one, ended. Told by the client, no stage does.
    Offline {
        /// Why. [`ConnectionError::Requested`]: by a disconnect.
        error: ConnectionError,
        /// How long until the next attempt; `None`: there will be none.
        retry_in: Option<Duration>,
    },
    /// A message that waited for a connection was given up; its publisher is told as well. Told by the client, no stage
    /// does.
    Dropped {
        /// Why.
        why: Dropped,
    },
    /// All wanted subscriptions are in force again, or given up: told before [`Event::Connected`].
    Resubscribed {
        /// How many filters were subscribed anew.
        sent: usize,
        /// How many the server had kept.
        kept: usize,
    },
    /// A subscription that was in force is given up: it is not asked for again unless somebody subscribes anew.
    Quarantined {
        /// The filter.
        filter: TopicFilter,
        /// What the server has against it.
        why: Quarantine,
    },
    /// What piled up without a connection goes out now.
    Draining {
        /// How many messages.
        queued: usize,
    },
    /// What had piled up is out.
    Drained,
    /// A message is given up: the server ends the connection whenever it is sent.
    Poisoned {
        /// Its topic.
        topic: Text,
    },
    /// A message that an earlier run of the program left on disk is given up: its publisher is not there any more to be
    /// told.
    Undelivered {
        /// Its topic, if it is known.
        topic: Option<Text>,
        /// What its publisher would have been told.
        why: Arc<str>,
    },
    /// The store on disk cannot do what it is asked for. What it concerns is told to those who wait for it, or is tried
    /// again.
    Storage {
        /// What happened.
        error: StoreError,
    },
    /// A handler panicked. Its subscription goes on with the next message.
    HandlerPanicked {
        /// What it handles.
        filter: TopicFilter,
    },
    /// A subscriber let QoS 1 messages wait for too long: they are acknowledged all the same, and while there is no room
    /// for further ones these are dropped.
    Lagging {
        /// What it subscribed.
        filter: TopicFilter,
    },
    /// Whoever reads the notices was too slow: some are lost at this place.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Why a subscription is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quarantine {
    /// SUBACK refused it.
    Refused(ReasonCode),
    /// The server ended the connection whenever it was asked for.
    ClosesConnection,
}

/// Details of a new connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// The version of MQTT that is spoken.
    pub version: Version,
    /// Whether the server kept the session: subscriptions and unacknowledged messages live on.
    pub session_present: bool,
    /// Whether that is surely the session as this client left it. It is not after an attempt whose CONNACK was lost: that one
    /// may have begun a new session, which the server finds now. Subscriptions are made anew then, as without a session.
    pub session_certain: bool,
    /// The keep-alive in force, in seconds: the server's if it set one. 0: none.
    pub keep_alive: u16,
    /// How many unacknowledged publications of QoS 1 and 2 may be out at once.
    pub window: u16,
    /// How long the session outlives the connection, in seconds, as the server granted it. 0: not at all; 4,294,967,295:
    /// for ever, or in MQTT 3.1.1 without a clean session, as long as the server likes.
    pub session_expiry: u32,
    /// The largest packet the server takes, in bytes; 4,294,967,295: it named no limit.
    pub max_packet_size: u32,
    /// The highest quality of service the server takes messages at.
    pub max_qos: QoS,
    /// Whether the server keeps retained messages.
    pub retain: bool,
    /// Whether the server knows wildcards in filters.
    pub wildcards: bool,
    /// Whether the server knows shared subscriptions.
    pub shared: bool,
    /// Whether the server knows subscription identifiers.
    pub subscription_identifiers: bool,
    /// How many topic aliases the server takes.
    pub topic_alias_maximum: u16,
    /// What few servers say.
    pub info: Option<Arc<ServerInfo>>,
}

impl Default for Connected {
    /// What a server of MQTT 5 that says nothing means: no session, no keep-alive, no limits. For tests of layers.
    fn default() -> Self {
        Self {
            version: Version::V5,
            session_present: false,
            session_certain: true,
            keep_alive: 0,
            window: u16::MAX,
            session_expiry: 0,
            max_packet_size: u32::MAX,
            max_qos: QoS::ExactlyOnce,
            retain: true,
            wildcards: true,
            shared: true,
            subscription_identifiers: true,
            topic_alias_maximum: 0,
            info: None,
        }
    }
}

/// What a server may have said in CONNACK besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The client identifier that the server made up, because there was none.
    pub assigned_client_id: Option<Text>,
    /// What response topics should be made of.
    pub response_information: Option<Text>,
    /// Another server to use.
    pub server_reference: Option<Text>,
    /// A sentence for people.
    pub message: Option<Text>,
}

/// Why there is no connection and what comes next.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Disconnected {
    /// What ended the connection or the attempt.
    pub error: ConnectionError,
    /// When the next attempt starts; `None`: none will.
    pub retry_at: Option<Nanos>,
}

impl Disconnected {
    /// Without a next attempt.
    #[must_use]
    pub const fn new(error: ConnectionError) -> Self {
        Self { error, retry_at: None }
    }
}

/// How an operation succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// Connected.
    Connected(Connected),
    /// A QoS 0 message was handed to the link. Whether it arrives, nobody knows.
    Sent,
    /// A message was acknowledged: by PUBACK at QoS 1, by PUBREC and PUBCOMP at QoS 2; the first one's code.
    Acked(ReasonCode),
    /// SUBACK came; each filter's code is in it, refused ones too.
    Subscribed(Box<Granted>),
    /// UNSUBACK came.
    Unsubscribed(Box<Granted>),
    /// Left in order.
    Disconnected,
}

/// The server's answer to filters, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    /// A code for each filter.
    pub reasons: Vec<ReasonCode>,
    /// MQTT 5: the server's words.
    pub message: Option<Text>,
}

/// Names a received message of QoS 1 or 2 until it is acknowledged. At QoS 1 a token from a connection that is gone
/// acknowledges nothing: the server sends the message again, and it is delivered again. At QoS 2 it still counts: the
/// server may send the message again, but it is not delivered again while the session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AckToken {
    /// Not zero, so that an optional token takes no more room.
    pub(crate) epoch: NonZeroU32,
    pub(crate) seq: u32,
}

/// What a stack holds at present; each stage adds its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Gauges {
    /// Messages that wait for a connection or for their turn, in all layers.
    pub queued: usize,
    /// Their size: topic, properties, payload, in bytes.
    pub queued_bytes: usize,
    /// Sent QoS 1 and 2 messages whose acknowledgement is awaited.
    pub in_flight: usize,
    /// Filters that the server has acknowledged.
    pub subscriptions: usize,
}

/// Inputs and outputs move through every layer by value: they stay small.
const _: () = assert!(size_of::<Input>() <= 96 && size_of::<Output>() <= 96);
const _: () = assert!(size_of::<Connected>() <= 48 && size_of::<Receipt>() <= 80);
