//! A model of a broker: sessions, all qualities of service, both versions. It does what the standards say, but where the
//! adversary tells it otherwise, and notes everything that it sees. What a client may not do is noted as a fault.

mod packets;
mod session;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use mqtt_codec::{Codec, Packet, PacketId, QoS, Version};
use tokio::sync::Notify;

use crate::net::{Exchange, Link};
use session::Session;

/// A message as the broker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its topic.
    pub topic: String,
    /// Its number, which is its payload.
    pub number: u64,
    /// Its quality of service.
    pub qos: QoS,
    /// When.
    pub at: u64,
}

/// What the adversary has the broker do.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "the fields say it")]
pub struct Moods {
    pub refuse_connects: u64,
    pub withhold: bool,
    pub refuse_subscribes: bool,
    pub withhold_subacks: bool,
    pub stall: bool,
}

/// The model.
#[derive(Debug)]
pub struct Broker {
    version: Version,
    receive_maximum: u16,
    /// What it does wrong.
    pub moods: Moods,
    session: Option<Session>,
    /// The present connection, and whether CONNECT was taken on it.
    link: Option<(u64, Link)>,
    connected: bool,
    lasting: bool,
    links: u64,
    /// To be written on the present connection.
    out: VecDeque<Packet>,
    /// Answers that were withheld on the present connection.
    withheld: Vec<Packet>,
    /// Messages from the client, in order, as often as they were taken.
    pub seen: Vec<Seen>,
    /// Connections that were taken up.
    pub connections: u64,
    /// What the client may not do.
    pub faults: Vec<String>,
    /// A mark of all that was received, for comparing runs.
    pub trace: u64,
    next_message: u64,
}

/// The broker, and what wakes its task.
#[derive(Debug, Clone)]
pub struct Shared {
    broker: Arc<Mutex<Broker>>,
    wake: Arc<Notify>,
}

impl Shared {
    /// A broker without sessions.
    #[must_use]
    pub fn new(version: Version, receive_maximum: u16) -> Self {
        let broker = Broker {
            version,
            receive_maximum,
            moods: Moods::default(),
            session: None,
            link: None,
            connected: false,
            lasting: false,
            links: 0,
            out: VecDeque::new(),
            withheld: Vec::new(),
            seen: Vec::new(),
            connections: 0,
            faults: Vec::new(),
            trace: 0,
            next_message: 0,
        };
        Self { broker: Arc::new(Mutex::new(broker)), wake: Arc::new(Notify::new()) }
    }

    /// Looks at it, or changes it.
    pub fn lock(&self) -> MutexGuard<'_, Broker> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, and has its task look.
    pub fn with<T>(&self, change: impl FnOnce(&mut Broker) -> T) -> T {
        let result = change(&mut self.lock());
        self.wake.notify_waiters();
        result
    }

    /// Takes connections for ever.
    pub async fn run(self, exchange: Arc<Mutex<Exchange>>) {
        loop {
            let link = Exchange::accept(&exchange).await;
            let number = self.lock().accepted(&link);
            tokio::spawn(self.clone().serve(number, link));
        }
    }

    async fn serve(self, number: u64, link: Link) {
        let mut codec = Codec::server();
        let mut buffer = BytesMut::new();
        loop {
            let woken = self.wake.notified();
            let mut woken = std::pin::pin!(woken);
            woken.as_mut().enable();
            let (packets, stalls) = {
                let mut broker = self.lock();
                if !broker.is_present(number) {
                    break;
                }
                (std::mem::take(&mut broker.out), broker.moods.stall)
            };
            for packet in packets {
                let mut bytes = BytesMut::new();
                match codec.encode(&packet, &mut bytes) {
                    Ok(()) => link.send_down(&bytes).await,
                    Err(error) => self.lock().fault(format!("the model cannot say {packet:?}: {error}")),
                }
            }
            if !self.lock().out.is_empty() {
                continue;
            }
            if stalls {
                woken.await;
                continue;
            }
            let bytes = tokio::select! {
                biased;
                () = woken => continue,
                bytes = link.up.recv() => bytes,
            };
            if bytes.is_empty() {
                break;
            }
            let mut broker = self.lock();
            if !broker.is_present(number) {
                break;
            }
            broker.mark(&bytes);
            buffer.extend_from_slice(&bytes);
            loop {
                match codec.decode(&mut buffer) {
                    Ok(Some(packet)) => broker.packet(&packet),
                    Ok(None) => break,
                    Err(error) => {
                        broker.fault(format!("the client sent what is no packet: {error}"));
                        broker.hang_up();
                        break;
                    }
                }
            }
        }
        self.lock().gone(number);
        link.end(false);
    }
}

impl Broker {
    fn accepted(&mut self, link: &Link) -> u64 {
        self.hang_up();
        self.links += 1;
        self.link = Some((self.links, link.clone()));
        (self.connected, self.lasting) = (false, false);
        self.links
    }

    fn is_present(&self, number: u64) -> bool {
        self.link.as_ref().is_some_and(|(present, _)| *present == number)
    }

    /// The present connection, if the network has not swallowed it.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref().map(|(_, link)| link)
    }

    /// Whether a client is connected, as far as the broker can see.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected && self.link().is_some_and(Link::is_alive)
    }

    fn gone(&mut self, number: u64) {
        if self.is_present(number) {
            self.link = None;
            self.ended();
        }
    }

    /// The connection is over, by whoever's hand.
    fn ended(&mut self) {
        let was_connected = std::mem::take(&mut self.connected);
        let lasts = self.lasting || !was_connected;
        self.out.clear();
        self.withheld.clear();
        if let Some(session) = &mut self.session {
            session.disconnected();
        }
        if !lasts {
            self.session = None;
        }
    }

    /// Ends the present connection without a word.
    pub fn hang_up(&mut self) {
        if let Some((_, link)) = self.link.take() {
            link.end(false);
            self.ended();
        }
    }

    /// Forgets the session. A client that is connected is thrown out, as a broker that restarts does.
    pub fn lose_session(&mut self) {
        self.hang_up();
        self.session = None;
    }

    fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    fn mark(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.trace = self.trace.rotate_left(7) ^ crate::clock::millis();
    }

    /// Says now what was withheld.
    pub fn relent(&mut self) {
        self.moods = Moods::default();
        let withheld = std::mem::take(&mut self.withheld);
        self.out.extend(withheld);
    }

    /// Somebody publishes to this topic; the numbers of the messages.
    pub fn publish(&mut self, topic: &str, qos: QoS, count: u64) -> Vec<u64> {
        let numbers: Vec<u64> = (0..count).map(|n| self.next_message + n).collect();
        self.next_message += count;
        let (connected, window) = (self.connected, self.receive_maximum);
        if let Some(session) = &mut self.session {
            for number in &numbers {
                session.enqueue(topic, qos, *number, connected);
            }
            if connected {
                self.out.extend(session.send_next(window));
            }
        }
        numbers
    }

    /// The filters of the session, with what was granted.
    #[must_use]
    pub fn filters(&self) -> Vec<(String, QoS)> {
        let filters = self.session.iter().flat_map(|session| &session.filters);
        filters.map(|(filter, qos)| (filter.clone(), *qos)).collect()
    }

    /// How many QoS 2 messages of the client are taken and not released.
    #[must_use]
    pub fn unreleased(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.taken.len())
    }

    /// Messages that the client has not acknowledged to the end.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.session.as_ref().map_or(0, Session::unacknowledged)
    }
}

/// The identifiers of a connection, for reading.
fn id(value: u16) -> Option<PacketId> {
    PacketId::new(value)
}
