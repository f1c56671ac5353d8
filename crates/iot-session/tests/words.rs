//! What errors say to whoever reads a log, and what is not shown there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use iot_session::proto::{ConnectOptions, OptionsError};
use iot_session::stage::{
    EntryId, Gauges, Input, Link, Op, OpId, Output, Owner, StoreError, StoreErrorKind, StoreOp,
};
use iot_session::{ConnectionError, Dropped, LinkError, Message, Nanos, Now, OpError, Stage, Version};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Codec, DecodeError, EncodeError, InvalidText, InvalidTopic, Packet, ReasonCode};
use support::{Rig, options, secs};

#[test]
fn each_end_of_a_connection_has_words_of_its_own_and_says_whether_to_try_again() {
    let cut = || LinkError::new("cut", true);
    for (error, words, retryable) in [
        (ConnectionError::Link(cut()), "cut", true),
        (ConnectionError::Link(LinkError::new("wrong key", false)), "wrong key", false),
        (ConnectionError::ConnAckTimeout, "did not answer CONNECT within the connect timeout", true),
        (ConnectionError::ClosedBeforeConnAck(cut()), "before the server answered CONNECT: cut", true),
        (ConnectionError::KeepAlive { waited: secs(15) }, "no answer to PINGREQ for 15 s", true),
        (ConnectionError::Malformed(DecodeError::Truncated), "a malformed packet: a field runs past", true),
        (ConnectionError::Protocol("so"), "the server broke the protocol: so", true),
        (ConnectionError::Requested, "disconnected on request", false),
    ] {
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.is_retryable(), retryable, "{error}");
        assert!(OpError::Connect(error.clone()).to_string().contains(words), "{error}");
    }
}

#[test]
fn the_error_of_the_transport_is_found_under_all_that_is_around_it() {
    let link = LinkError::new("cut", true).with_source(io::Error::from(io::ErrorKind::ConnectionReset));
    let is_io = |error: &dyn Error| error.source().is_some_and(<dyn Error>::is::<io::Error>);
    assert!(is_io(&link));
    for error in [ConnectionError::Link(link.clone()), ConnectionError::ClosedBeforeConnAck(link)] {
        assert!(is_io(&error));
        assert!(is_io(&OpError::Connect(error)));
    }
    let malformed = ConnectionError::Malformed(DecodeError::Truncated);
    assert!(malformed.source().unwrap().is::<DecodeError>());
    let store = OpError::Store(StoreError::new(StoreErrorKind::Full, "full"));
    assert!(store.source().unwrap().is::<StoreError>());
    assert!(ConnectionError::Requested.source().is_none() && OpError::Closed.source().is_none());
}

#[test]
fn each_end_of_an_operation_has_words_of_its_own() {
    for (error, words) in [
        (OpError::Offline, "there is no connection"),
        (OpError::Busy, "too many messages are waiting"),
        (OpError::TimedOut, "within the operation timeout"),
        (OpError::Interrupted, "may or may not have taken effect"),
        (OpError::Invalid(EncodeError::Empty), "at least one entry"),
        (OpError::Topic(InvalidTopic::Empty), "not a valid topic: empty"),
        (OpError::Unsupported("not that"), "not that"),
        (OpError::Dropped(Dropped::Newest), "the offline queue is full"),
        (OpError::Dropped(Dropped::Oldest), "a newer message took the place of this one"),
        (OpError::Dropped(Dropped::Expired), "its time to live was over"),
        (OpError::Dropped(Dropped::TooLarge), "larger than the whole offline queue"),
        (OpError::Store(StoreError::new(StoreErrorKind::Full, "full")), "not stored, so not sent: full"),
        (OpError::Closed, "the client is closed"),
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn options_that_make_no_connect_say_which_one_it_is() {
    let named = ConnectOptions::new(Version::V5, "a\0").unwrap_err();
    assert_eq!(named, OptionsError::Text("client id", InvalidText::ContainsNull));
    assert!(named.to_string().contains("the client id is"), "{named}");
    let user = options(Version::V5).login("a\0", None).unwrap_err();
    assert!(user.to_string().contains("user name"), "{user}");
    assert!(options(Version::V5).login("user", Some(vec![b'x'; 65_535].into())).is_ok());
    let password = options(Version::V5).login("user", Some(vec![b'x'; 65_536].into())).unwrap_err();
    assert_eq!(password.to_string(), "the password is longer than 65,535 bytes");
    let version = options(Version::V3_1_1).login("user", None).unwrap().session_expiry(secs(60)).validate();
    assert!(matches!(&version, Err(error) if error.to_string().contains("MQTT 3.1.1")), "{version:?}");
}

#[test]
fn the_server_is_told_the_largest_packet_and_a_larger_one_ends_the_connection() {
    let mut rig = Rig::new(options(Version::V5).max_packet_size(1));
    rig.op(Op::CONNECT);
    rig.link_up();
    let sent = rig.sent();
    let [Packet::Connect(connect)] = sent.as_slice() else { panic!("{sent:?}") };
    // At least 128, so that a CONNACK fits.
    assert_eq!(connect.properties().maximum_packet_size(), Some(128));
    rig.receive(ConnAck::new(false, ReasonCode::Success));
    rig.receive(support::publish("a", "x"));
    rig.receive_bytes(&mut bytes::BytesMut::from(&b"\x30\xff\x01"[..]));
    let why = rig.why();
    assert!(matches!(why, ConnectionError::Malformed(DecodeError::PacketTooLarge { max: 128, .. })), "{why}");
    assert!(matches!(
        rig.sent().last(),
        Some(Packet::Disconnect(disconnect)) if disconnect.reason == ReasonCode::PacketTooLarge
    ));
}

#[test]
fn payloads_and_records_are_shown_by_their_length() {
    let message = Message::new("a/b", "hunter2").unwrap();
    let shown = format!("{message:?}");
    assert!(shown.contains("a/b") && shown.contains("7 bytes") && !shown.contains("hunter2"), "{shown}");
    let record = Bytes::from_static(b"hunter2");
    assert_eq!(format!("{:?}", StoreOp::Append(EntryId(3), record)), "Append(3, 7 bytes)");
    assert_eq!(format!("{:?}", StoreOp::Remove(EntryId(3))), "Remove(3)");
    assert_eq!(format!("{:?}", StoreOp::Take(EntryId(3))), "Take(3)");
    let load = StoreOp::Load { from: EntryId(3), entries: 2, bytes: 10 };
    assert_eq!(format!("{load:?}"), "Load(3, 2, 10 bytes)");
    assert_eq!(format!("{:?}", OpId::new(Owner::OUTBOX, 3)), format!("OpId({}:3)", Owner::OUTBOX.0));
    let shown = format!("{:?}", options(Version::V5).login("user", Some("hunter2".into())).unwrap());
    assert!(shown.contains("device") && !shown.contains("hunter2"), "{shown}");
}

/// Sends what only a server sends, once it is connected.
#[derive(Default)]
struct Confused {
    out: Option<Output>,
    told: Rc<RefCell<Vec<String>>>,
}

impl Stage for Confused {
    fn handle(&mut self, _now: Now, input: Input) {
        match input {
            Input::Link(Link::Up(_)) => {
                self.out = Some(Output::Send(ConnAck::new(false, ReasonCode::Success).into()));
            }
            Input::Link(Link::Down(error)) => self.told.borrow_mut().push(error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn poll(&mut self, _now: Now) -> Option<Output> {
        self.out.take()
    }

    fn deadline(&self) -> Option<Nanos> {
        None
    }

    fn ready(&self) -> bool {
        true
    }

    fn gauges(&self, _gauges: &mut Gauges) {}
}

#[test]
fn a_layer_that_sends_what_cannot_be_encoded_is_told_and_loses_its_link() {
    let stage = Confused::default();
    let told = Rc::clone(&stage.told);
    let mut rig = Rig::around(Box::new(stage), Codec::client(Version::V5));
    rig.link_up();
    assert_eq!(rig.hangups.len(), 1);
    assert!(rig.machine.transmit().is_empty());
    let words = "CONNACK could not be encoded: CONNACK may only be sent by the other side";
    assert_eq!(*told.borrow(), [words]);
}
