//! Whole client stacks and the local AWS IoT Core's broker on one invented clock: no socket, no task, no waiting.

use std::fmt::Display;
use std::time::Duration;

use aws_iot::crates::iot_session::layers::Standard;
use aws_iot::crates::iot_session::proto::{ConnectOptions, Engine};
use aws_iot::crates::iot_session::stage::{
    Connected, Disconnected, Event, Gauges, LinkUp, Notice, Op, OpId, Owner, Receipt, Stage, SubscribeOp,
    UnsubscribeOp,
};
use aws_iot::crates::iot_session::{
    LinkError, Machine, MachineOutput, Message, Nanos, Now, OpError, QoS, TopicFilter, Version, stack,
};
use aws_iot::crates::mqtt_codec::packet::SubscriptionOptions;
use aws_iot::crates::mqtt_codec::{Codec, Packet};
use bytes::BytesMut;
use iot_emulator::broker::{Behaviour, Broker, ConnectionId, Output};

pub(crate) const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A broker and its clients.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) now: Nanos,
    links: u64,
    clients: Vec<Client>,
}

/// Which of the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(usize);

/// One client's stack and what happened to it.
struct Client {
    machine: Machine<Box<dyn Stage>>,
    link: Option<Link>,
    /// Whether a dial succeeds.
    network: bool,
    /// The next links are cut once this many bytes went from the broker to the client.
    cut_after: Option<usize>,
    ops: u64,
    events: Vec<(Nanos, Event)>,
    timeouts: usize,
    dials: Vec<Nanos>,
    received: Vec<(Nanos, String, String)>,
    sent: Vec<(Nanos, Packet)>,
}

struct Link {
    id: ConnectionId,
    codec: Codec,
    to_broker: BytesMut,
    to_client: BytesMut,
    delivered: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { broker: Broker::new(Behaviour::aws()), now: Nanos::ZERO, links: 0, clients: Vec::new() }
    }

    /// A client with the default stack.
    pub(crate) fn client(&mut self, version: Version, id: &str) -> At {
        self.client_with(ConnectOptions::new(version, id).unwrap(), Standard::default())
    }

    pub(crate) fn client_with(&mut self, options: ConnectOptions, layers: Standard) -> At {
        options.validate().unwrap();
        let engine = Engine::new(options);
        let codec = engine.codec();
        let stage: Box<dyn Stage> = Box::new(stack(engine).layer(layers).into_stage());
        self.clients.push(Client {
            machine: Machine::new(stage, codec),
            link: None,
            network: true,
            cut_after: None,
            ops: 0,
            events: Vec::new(),
            timeouts: 0,
            dials: Vec::new(),
            received: Vec::new(),
            sent: Vec::new(),
        });
        At(self.clients.len() - 1)
    }

    // --- what applications do ---

    pub(crate) fn op(&mut self, at: At, op: Op) -> OpId {
        let now = Now::mono(self.now);
        let client = &mut self.clients[at.0];
        client.ops += 1;
        let id = OpId::new(Owner::APPLICATION, client.ops);
        client.machine.handle_op(now, id, op);
        self.settle();
        id
    }

    /// Connects and wants it to succeed.
    pub(crate) fn connect(&mut self, at: At) -> Connected {
        let op = self.op(at, Op::CONNECT);
        match self.done(at, op) {
            Some(Ok(Receipt::Connected(connected))) => connected,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn publish(&mut self, at: At, topic: &str, payload: impl Display, qos: QoS) -> OpId {
        let message = Message::new(topic, payload.to_string()).unwrap().qos(qos);
        self.op(at, Op::Publish(message.into_op()))
    }

    pub(crate) fn subscribe(&mut self, at: At, filter: &str) -> OpId {
        let filters = vec![(filter_of(filter), SubscriptionOptions::at(QoS::AtLeastOnce))];
        self.op(at, Op::Subscribe(SubscribeOp { filters }))
    }

    pub(crate) fn unsubscribe(&mut self, at: At, filter: &str) -> OpId {
        self.op(at, Op::Unsubscribe(UnsubscribeOp { filters: vec![filter_of(filter)] }))
    }

    // --- what the world does ---

    /// Cuts a client's link as a network does: both sides notice at once.
    pub(crate) fn cut(&mut self, at: At) {
        if let Some(link) = self.clients[at.0].link.take() {
            self.broker.closed(self.now.to_duration(), link.id);
            self.clients[at.0]
                .machine
                .handle_link_down(Now::mono(self.now), LinkError::new("the network is gone", true));
        }
        self.settle();
    }

    /// Whether dials succeed; taken away, the present link is cut too.
    pub(crate) fn network(&mut self, at: At, up: bool) {
        self.clients[at.0].network = up;
        if !up {
            self.cut(at);
        }
    }

    /// Cuts each further link of a client after this many bytes from the broker; `None`: none.
    pub(crate) fn cut_after(&mut self, at: At, bytes: Option<usize>) {
        self.clients[at.0].cut_after = bytes;
    }

    /// The broker loses all connections and all sessions.
    pub(crate) fn restart_broker(&mut self) {
        let policy = self.broker.policy().clone();
        self.broker = Broker::new(Behaviour::aws());
        *self.broker.policy_mut() = policy;
        for at in 0..self.clients.len() {
            self.cut(At(at));
        }
    }

    /// Closes a client's connection from the side of the service, as AWS IoT Core does when it does not like what it got.
    pub(crate) fn kick(&mut self, client_id: &str) {
        assert!(self.broker.kick(self.now.to_duration(), client_id));
        self.settle();
    }

    /// Bytes that no broker sends.
    pub(crate) fn inject(&mut self, at: At, bytes: &[u8]) {
        let now = Now::mono(self.now);
        if self.clients[at.0].link.is_some() {
            self.clients[at.0].machine.handle_input(now, &mut BytesMut::from(bytes));
        }
        self.settle();
    }

    /// Lets time pass; every timer fires at its very instant.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        loop {
            let clients = self.clients.iter().filter_map(|client| client.machine.poll_timeout());
            let broker = self.broker.deadline().map(Nanos::from_duration);
            let Some(due) = clients.chain(broker).min().filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            if broker.is_some_and(|at| at <= self.now) {
                self.broker.handle_timeout(self.now.to_duration());
            }
            for client in &mut self.clients {
                if client.machine.poll_timeout().is_some_and(|at| at <= self.now) {
                    client.timeouts += 1;
                    client.machine.handle_timeout(Now::mono(self.now));
                }
            }
            self.settle();
            let stuck =
                self.clients.iter().any(|c| c.machine.poll_timeout().is_some_and(|at| at <= self.now));
            assert!(!stuck, "a deadline stands still");
        }
        self.now = end;
    }

    // --- what is to be seen ---

    pub(crate) fn done(&self, at: At, op: OpId) -> Option<Result<Receipt, OpError>> {
        let mut ends = self.clients[at.0].events.iter().filter_map(|(_, event)| match event {
            Event::Done(id, result) if *id == op => Some(result.clone()),
            _ => None,
        });
        let end = ends.next();
        assert!(ends.next().is_none(), "{op:?} ended twice");
        end
    }

    pub(crate) fn acked(&self, at: At, op: OpId) -> bool {
        matches!(self.done(at, op), Some(Ok(Receipt::Acked(_))))
    }

    /// The payloads that a client's application has received, in order.
    pub(crate) fn received(&self, at: At) -> Vec<&str> {
        self.clients[at.0].received.iter().map(|(_, _, payload)| payload.as_str()).collect()
    }

    /// When they came.
    pub(crate) fn received_at(&self, at: At) -> Vec<Nanos> {
        self.clients[at.0].received.iter().map(|(when, ..)| *when).collect()
    }

    pub(crate) fn gauges(&self, at: At) -> Gauges {
        self.clients[at.0].machine.gauges()
    }

    /// How often a timer fired.
    pub(crate) fn timeouts(&self, at: At) -> usize {
        self.clients[at.0].timeouts
    }

    /// All that was told, and when.
    pub(crate) fn history(&self, at: At) -> Vec<String> {
        self.clients[at.0].events.iter().map(|(at, event)| format!("{at:?} {event:?}")).collect()
    }

    pub(crate) fn dials(&self, at: At) -> &[Nanos] {
        &self.clients[at.0].dials
    }

    pub(crate) fn connections(&self, at: At) -> Vec<Nanos> {
        self.when(at, |event| matches!(event, Event::Connected(_)))
    }

    pub(crate) fn disconnections(&self, at: At) -> Vec<&Disconnected> {
        let events = self.clients[at.0].events.iter();
        events.filter_map(|(_, e)| if let Event::Disconnected(d) = e { Some(d) } else { None }).collect()
    }

    pub(crate) fn notices(&self, at: At) -> Vec<&Notice> {
        let events = self.clients[at.0].events.iter();
        events.filter_map(|(_, e)| if let Event::Notice(notice) = e { Some(notice) } else { None }).collect()
    }

    /// Packets of a kind that a client has sent.
    pub(crate) fn sent(&self, at: At, which: impl Fn(&Packet) -> bool) -> usize {
        self.clients[at.0].sent.iter().filter(|(_, packet)| which(packet)).count()
    }

    fn when(&self, at: At, which: impl Fn(&Event) -> bool) -> Vec<Nanos> {
        self.clients[at.0].events.iter().filter(|(_, event)| which(event)).map(|(at, _)| *at).collect()
    }

    // --- how it moves ---

    /// Moves bytes and carries out what is wanted until nothing moves any more.
    fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let mut moved = false;
            for at in 0..self.clients.len() {
                moved |= self.pump(at);
            }
            moved |= self.broker_outputs();
            if !moved {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// One client's outputs and bytes.
    fn pump(&mut self, at: usize) -> bool {
        let now = Now::mono(self.now);
        let mut moved = false;
        while let Some(output) = self.clients[at].machine.poll_output(now) {
            moved = true;
            self.flush(at);
            match output {
                MachineOutput::Dial => self.dial(at),
                MachineOutput::Hangup => {
                    if let Some(link) = self.clients[at].link.take() {
                        self.broker.closed(self.now.to_duration(), link.id);
                    }
                }
                MachineOutput::Event(event) => self.event(at, event),
                other => panic!("{other:?}"),
            }
        }
        moved | self.flush(at)
    }

    fn dial(&mut self, at: usize) {
        let (now, client) = (Now::mono(self.now), &mut self.clients[at]);
        client.dials.push(self.now);
        if !client.network {
            return client.machine.handle_link_down(now, LinkError::new("no route to the host", true));
        }
        self.links += 1;
        let (id, codec) = (ConnectionId(self.links), Codec::server());
        client.link =
            Some(Link { id, codec, to_broker: BytesMut::new(), to_client: BytesMut::new(), delivered: 0 });
        self.broker.connected(self.now.to_duration(), id);
        client.machine.handle_link_up(now, LinkUp::default());
    }

    fn event(&mut self, at: usize, event: Event) {
        let client = &mut self.clients[at];
        if let Event::Message(publish, token) = &event {
            let payload = String::from_utf8_lossy(publish.payload()).into_owned();
            client.received.push((self.now, publish.topic().to_owned(), payload));
            if let Some(token) = token {
                client.machine.handle_accepted(Now::mono(self.now), *token);
            }
        }
        client.events.push((self.now, event));
    }

    /// What a client has written goes to the broker.
    fn flush(&mut self, at: usize) -> bool {
        let client = &mut self.clients[at];
        let bytes = client.machine.transmit().split();
        let Some(link) = &mut client.link else {
            assert!(bytes.is_empty(), "bytes without a link");
            return false;
        };
        link.to_broker.extend_from_slice(&bytes);
        while let Some(packet) = link.codec.decode(&mut link.to_broker).unwrap() {
            client.sent.push((self.now, packet.clone()));
            self.broker.handle(self.now.to_duration(), link.id, packet);
        }
        !bytes.is_empty()
    }

    fn broker_outputs(&mut self) -> bool {
        let mut moved = false;
        while let Some(output) = self.broker.poll() {
            moved = true;
            match output {
                Output::Send { connection, packet, .. } => self.send(connection, &packet),
                Output::Close(connection) | Output::Abort(connection) => {
                    let error = LinkError::new("the server closed the connection", true).by_peer();
                    self.gone(connection, &error);
                }
                // Nobody here listens to what clients publish.
                Output::Published { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        moved
    }

    fn send(&mut self, connection: ConnectionId, packet: &Packet) {
        let now = Now::mono(self.now);
        let Some(client) =
            self.clients.iter_mut().find(|c| c.link.as_ref().is_some_and(|l| l.id == connection))
        else {
            return;
        };
        let Some(link) = &mut client.link else { return };
        let mut bytes = BytesMut::new();
        link.codec.encode(packet, &mut bytes).unwrap();
        let room = client.cut_after.map_or(usize::MAX, |limit| limit.saturating_sub(link.delivered));
        let cut = bytes.len() > room;
        bytes.truncate(room);
        link.delivered += bytes.len();
        link.to_client.extend_from_slice(&bytes);
        let mut buffer = std::mem::take(&mut link.to_client);
        client.machine.handle_input(now, &mut buffer);
        if let Some(link) = &mut client.link {
            link.to_client = buffer;
        }
        if cut {
            self.broker.closed(self.now.to_duration(), connection);
            self.gone(connection, &LinkError::new("the network is gone", true));
        }
    }

    fn gone(&mut self, connection: ConnectionId, error: &LinkError) {
        for client in &mut self.clients {
            if client.link.as_ref().is_some_and(|link| link.id == connection) {
                client.link = None;
                client.machine.handle_link_down(Now::mono(self.now), error.clone());
            }
        }
    }
}

fn filter_of(text: &str) -> TopicFilter {
    TopicFilter::try_from(text).unwrap()
}
