//! The emulator's side of a WebSocket against a client of another implementation, tungstenite: upgrade, frames both ways,
//! ping, close.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]
#![allow(dead_code, reason = "the shared helpers serve other tests too")]

mod common;

use bytes::BytesMut;
use common::http::{now, signed};
use iot_emulator::Emulator;
use mqtt_codec::packet::ConnectBuilder;
use mqtt_codec::{Codec, Packet, Text, Version};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message, client};

/// A client that blocks, as it comes; the emulator is elsewhere.
fn talk(port: u16, target: &str) {
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut request = format!("ws://localhost{target}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("mqtt"));
    let (mut socket, response) = client(request, stream).unwrap();
    assert_eq!(response.headers().get("sec-websocket-protocol").unwrap(), "mqtt");

    let connect = ConnectBuilder::new(Version::V5, Text::try_from("peer").unwrap()).build().unwrap();
    let mut bytes = BytesMut::new();
    Codec::client(Version::V5).encode(&connect.into(), &mut bytes).unwrap();
    // In two messages, a ping between them.
    let rest = bytes.split_off(5);
    socket.send(Message::binary(bytes.to_vec())).unwrap();
    socket.send(Message::Ping("are you there".into())).unwrap();
    socket.send(Message::binary(rest.to_vec())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("are you there".into()));
    let Message::Binary(answer) = socket.read().unwrap() else { panic!("no binary frame") };
    let answer = Codec::client(Version::V5).decode(&mut BytesMut::from(&answer[..])).unwrap();
    assert!(matches!(answer, Some(Packet::ConnAck(_))), "{answer:?}");

    // Good-bye in order, on both sides.
    socket.close(None).unwrap();
    loop {
        match socket.read() {
            Ok(Message::Close(_) | Message::Binary(_)) => {}
            Err(tungstenite::Error::ConnectionClosed) => break,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_of_another_implementation_is_understood_and_understands() {
    let emulator = Emulator::builder().plain(true).start().await.unwrap();
    let target = signed(&emulator, &emulator.aws_credentials(), now());
    let port = emulator.plain_port().unwrap();
    tokio::task::spawn_blocking(move || talk(port, &target)).await.unwrap();
    emulator.shutdown().await;
}
