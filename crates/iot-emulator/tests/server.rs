//! Faults, limits and ends, over sockets without TLS except where it matters.

mod common;

use std::time::Duration;

use common::{BOTH, Client, Tls, connected, emulator, id, message, plain};
use iot_emulator::Emulator;
use mqtt_codec::packet::{Ack, Disconnect};
use mqtt_codec::{Packet, QoS, ReasonCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_kicked_client_finds_its_connection_cut() {
    let emulator = emulator().await;
    for version in BOTH {
        let mut client = connected(&emulator, version, "device").await;
        assert!(emulator.kick("device").await);
        assert_eq!(client.next().await, None);
        assert!(!emulator.kick("device").await);
    }
    let mut clients = Vec::new();
    for name in ["a", "b"] {
        clients.push(connected(&emulator, Version::V5, name).await);
    }
    assert_eq!(emulator.kick_all().await, 2);
    for mut client in clients {
        assert_eq!(client.next().await, None);
    }
}

#[tokio::test]
async fn a_kick_cuts_tls_without_a_farewell() {
    let emulator = emulator().await;
    let stream = Tls::with(emulator.credentials()).connect(&emulator).await.unwrap();
    let mut client = Client::new(stream, Version::V5);
    client.connect("device").await;
    emulator.kick("device").await;
    let error = client.stream.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("close_notify"), "{error}");
}

#[tokio::test]
async fn a_stalled_connection_is_open_and_silent_until_released() {
    let emulator = emulator().await;
    let mut stalled = connected(&emulator, Version::V5, "stalled").await;
    let mut other = connected(&emulator, Version::V5, "other").await;
    stalled.subscribe("t").await;
    assert!(emulator.stall("stalled").await);
    stalled.send(Packet::PingReq).await;
    other.publish("t", "x").await;
    other.next().await.unwrap();
    other.ping().await;
    assert!(!stalled.has_next().await);
    assert_eq!(emulator.connected_clients().await, ["other", "stalled"]);

    assert!(emulator.unstall("stalled").await);
    stalled.expect_message("x").await;
    assert_eq!(stalled.next().await, Some(Packet::PingResp));
    assert!(!emulator.stall("nobody").await);
}

#[tokio::test]
async fn a_client_whose_connection_is_stalled_can_connect_anew() {
    let emulator = emulator().await;
    let mut first = connected(&emulator, Version::V5, "device").await;
    emulator.stall("device").await;
    let mut second = connected(&emulator, Version::V5, "device").await;
    assert_eq!(first.next().await, None);
    second.ping().await;
}

#[tokio::test]
async fn the_next_connection_is_cut_after_so_many_bytes() {
    let emulator = emulator().await;
    emulator.cut_after(6);
    let mut client = plain(&emulator, Version::V3_1_1).await;
    assert_eq!(client.connect("device").await, ReasonCode::Success); // 4 bytes
    client.publish("t", "x").await; // its PUBACK has 4 bytes more
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, [0x40, 2]);
    let mut next = connected(&emulator, Version::V3_1_1, "device").await;
    next.ping().await;
}

#[tokio::test]
async fn connects_are_refused_until_they_are_not() {
    let emulator = emulator().await;
    emulator.refuse_connects(Some(ReasonCode::ServerUnavailable)).await;
    for version in BOTH {
        let mut client = plain(&emulator, version).await;
        assert_eq!(client.connect("device").await, ReasonCode::ServerUnavailable);
        assert_eq!(client.next().await, None);
    }
    emulator.refuse_connects(None).await;
    connected(&emulator, Version::V5, "device").await;
}

#[tokio::test]
async fn denied_topics_are_refused_until_all_is_allowed() {
    let emulator = emulator().await;
    emulator.deny_publish("secret/#").await.unwrap();
    assert!(emulator.deny_subscribe("a#").await.is_err());
    let mut client = connected(&emulator, Version::V5, "device").await;
    client.publish("secret/x", "x").await;
    let refused = Ack::with_reason(id(1), ReasonCode::NotAuthorized);
    assert_eq!(client.next().await, Some(Packet::PubAck(refused)));
    emulator.allow_all().await;
    client.publish("secret/x", "x").await;
    assert_eq!(client.next().await, Some(Packet::PubAck(Ack::new(id(1)))));
}

#[tokio::test]
async fn held_acks_come_when_released() {
    let emulator = emulator().await;
    emulator.hold_acks(true).await;
    let mut client = connected(&emulator, Version::V3_1_1, "device").await;
    client.publish("t", "x").await;
    client.ping().await;
    emulator.hold_acks(false).await;
    assert_eq!(client.next().await, Some(Packet::PubAck(Ack::new(id(1)))));
}

#[tokio::test]
async fn the_service_publishes() {
    let emulator = emulator().await;
    let mut client = connected(&emulator, Version::V5, "device").await;
    client.subscribe("t").await;
    emulator.publish("t", "from the service", QoS::AtLeastOnce, false).await.unwrap();
    client.expect_message("from the service").await;
    assert!(emulator.publish("not/+/a/name", "", QoS::AtMostOnce, false).await.is_err());
    assert_eq!(emulator.stats().await.queue_full, 0);
}

#[tokio::test]
async fn garbage_closes_only_its_own_connection() {
    let emulator = emulator().await;
    let mut good = connected(&emulator, Version::V5, "good").await;
    let mut bad = plain(&emulator, Version::V5).await;
    bad.stream.write_all(&[0xFF; 64]).await.unwrap();
    assert_eq!(bad.next().await, None);
    let mut late = connected(&emulator, Version::V5, "late").await;
    late.stream.write_all(&[0xFF; 64]).await.unwrap();
    let answer = Disconnect::new(ReasonCode::MalformedPacket);
    assert_eq!(late.next().await, Some(answer.into()));
    assert_eq!(late.next().await, None);
    good.ping().await;
}

#[tokio::test]
async fn a_packet_above_the_maximum_is_refused_by_its_header() {
    let emulator = emulator().await;
    let mut client = connected(&emulator, Version::V5, "device").await;
    client.stream.write_all(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await.unwrap();
    let answer = Disconnect::new(ReasonCode::PacketTooLarge);
    assert_eq!(client.next().await, Some(answer.into()));
}

#[tokio::test]
async fn a_client_that_never_reads_is_dropped() {
    let emulator = Emulator::builder().plain(true).outgoing_limit(256 * 1024).start().await.unwrap();
    let mut deaf = connected(&emulator, Version::V5, "deaf").await;
    deaf.subscribe("t").await;
    let mut publisher = connected(&emulator, Version::V5, "publisher").await;
    let payload = "x".repeat(100_000);
    for _ in 0..1_000 {
        publisher.send(message("t", &payload)).await;
        publisher.ping().await;
        if emulator.connected_clients().await == ["publisher"] {
            return;
        }
    }
    panic!("100 MB wait for a client that does not read");
}

#[tokio::test]
async fn connections_are_bounded() {
    let emulator = Emulator::builder().plain(true).max_connections(1).start().await.unwrap();
    let mut first = connected(&emulator, Version::V5, "first").await;
    let mut second = plain(&emulator, Version::V5).await;
    assert_eq!(second.next().await, None);
    first.ping().await;
    emulator.kick("first").await;
    assert_eq!(first.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn handshakes_and_connects_that_never_come_are_given_up() {
    let emulator = emulator().await;
    let mut silent = TcpStream::connect(("127.0.0.1", emulator.port())).await.unwrap();
    let in_time = Duration::from_secs(11);
    assert!(tokio::time::timeout(in_time, silent.read_u8()).await.unwrap().is_err());
    let mut silent = plain(&emulator, Version::V5).await;
    assert_eq!(tokio::time::timeout(in_time, silent.next()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_told_that_its_keep_alive_has_passed() {
    let emulator = emulator().await;
    let mut client = plain(&emulator, Version::V5).await;
    let name = mqtt_codec::Text::try_from("device").unwrap();
    client.send(mqtt_codec::packet::ConnectBuilder::new(Version::V5, name).build().unwrap()).await;
    assert!(matches!(client.next().await, Some(Packet::ConnAck(_))));
    let farewell = Disconnect::new(ReasonCode::KeepAliveTimeout);
    assert_eq!(client.next().await, Some(farewell.into()));
}

#[tokio::test]
async fn while_nobody_is_accepted_connections_go_on() {
    let emulator = emulator().await;
    let mut before = connected(&emulator, Version::V5, "before").await;
    let port = emulator.plain_port().unwrap();
    emulator.stop_accepting().await;
    for port in [port, emulator.port()] {
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    }
    before.ping().await;
    emulator.resume_accepting().await.unwrap();
    emulator.resume_accepting().await.unwrap();
    assert_eq!(emulator.plain_port(), Some(port));
    connected(&emulator, Version::V5, "after").await;
}

#[tokio::test]
async fn shutdown_says_so_and_leaves_no_listening_socket() {
    let emulator = emulator().await;
    let (tls, plain_port) = (emulator.port(), emulator.plain_port().unwrap());
    let _half_open = TcpStream::connect(("127.0.0.1", tls)).await.unwrap();
    let mut new = connected(&emulator, Version::V5, "new").await;
    let mut old = connected(&emulator, Version::V3_1_1, "old").await;
    let farewell = Disconnect::new(ReasonCode::ServerShuttingDown);
    let clients = async {
        assert_eq!(new.next().await, Some(farewell.into()));
        assert_eq!(new.next().await, None);
        assert_eq!(old.next().await, None);
        drop((new, old));
    };
    // Well before the half-open connection's handshake would time out.
    let shutdown = tokio::time::timeout(Duration::from_secs(5), emulator.shutdown());
    assert!(tokio::join!(shutdown, clients).0.is_ok());
    for port in [tls, plain_port] {
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    }
}

#[tokio::test]
async fn dropping_the_handle_ends_everything() {
    let emulator = emulator().await;
    let port = emulator.port();
    let mut client = connected(&emulator, Version::V5, "device").await;
    drop(emulator);
    assert_eq!(client.next().await, None);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_says_so() {
    let emulator = emulator().await;
    let error = Emulator::builder().port(emulator.port()).start().await.unwrap_err();
    assert!(error.to_string().contains("another program uses the port"), "{error}");
}
