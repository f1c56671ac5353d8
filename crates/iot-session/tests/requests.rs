//! Requests and their answers, on links in memory and a paused clock.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use iot_session::{
    Client, ConnectionError, Ended, Message, OpError, Request, RequestError, Requests, Status,
};
use mqtt_codec::packet::{Publish, SubAck};
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, Server};
use support::stack::{back, offline, online, online_briefly};
use support::{puback, publish, secs};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, timeout};

/// An answer begins with its token.
fn token_of(answer: &Message) -> Option<Bytes> {
    let word = answer.payload().split(|byte| *byte == b' ').next()?;
    Some(Bytes::copy_from_slice(word)).filter(|token| !token.is_empty())
}

fn requests(client: &Client) -> Requests {
    Requests::new(client, ["door/done", "door/refused"], token_of).unwrap()
}

fn request(token: &'static str) -> Request {
    Request::new(Message::new("door", token).unwrap(), token, secs(5))
}

/// Sends on a task of its own.
fn send(requests: &Requests, request: Request) -> JoinHandle<Result<Message, RequestError>> {
    let requests = requests.clone();
    tokio::spawn(async move { requests.send(request).await })
}

async fn subscribes(server: &mut Server) {
    let packet = server.recv_or_pong().await;
    let Some(Packet::Subscribe(subscribe)) = packet else { panic!("{packet:?}") };
    let filters: Vec<_> = subscribe.filters().map(|(filter, _)| filter.as_str().to_owned()).collect();
    assert_eq!(filters, ["door/done", "door/refused"], "both in one packet");
    let codes = [ReasonCode::GrantedQoS1, ReasonCode::GrantedQoS1];
    server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, codes))).await;
}

async fn unsubscribes(server: &mut Server) {
    for filter in ["door/done", "door/refused"] {
        let packet = server.recv_or_pong().await;
        let Some(Packet::Unsubscribe(unsubscribe)) = packet else { panic!("{packet:?}") };
        assert_eq!(unsubscribe.filters().next().unwrap().as_str(), filter);
        let ack = SubAck::new(unsubscribe.packet_id, [ReasonCode::Success]);
        server.send(Packet::UnsubAck(ack)).await;
    }
}

/// Takes a request and acknowledges it.
async fn takes(server: &mut Server, token: &str) -> Publish {
    let packet = server.recv_or_pong().await;
    let Some(Packet::Publish(request)) = packet else { panic!("{packet:?}") };
    assert_eq!((request.topic(), request.payload()), ("door", token.as_bytes()));
    // In a session that lives on it goes at QoS 0: it must not be sent again.
    if let Some(id) = request.packet_id() {
        server.send(puback(id.value())).await;
    }
    request
}

/// Nothing but pings comes for a while.
async fn silent(server: &mut Server) {
    let packet = timeout(secs(60), server.recv_or_pong()).await;
    assert!(packet.is_err(), "{packet:?}");
}

#[tokio::test(start_paused = true)]
async fn the_answers_are_subscribed_for_as_long_as_a_request_is_under_way() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    for _ in 0..2 {
        let begun = Instant::now();
        let answer = send(&requests, request("1"));
        subscribes(&mut server).await;
        takes(&mut server, "1").await;
        server.send(publish("door/done", "1 open")).await;
        assert_eq!(answer.await.unwrap().unwrap().payload(), b"1 open");
        unsubscribes(&mut server).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nothing sleeps");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_kept_subscribed_are_subscribed_once_and_thrown_away_in_between() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client).keep_subscribed(true);
    let answer = send(&requests, request("1"));
    subscribes(&mut server).await;
    takes(&mut server, "1").await;
    server.send(publish("door/refused", "1 no")).await;
    assert_eq!(answer.await.unwrap().unwrap().topic(), "door/refused");
    // Far more than an inbox holds, or may stay unacknowledged.
    for _ in 0..1000 {
        server.send(publish("door/done", "others").at_least_once(support::id(9))).await;
        let packet = server.recv_or_pong().await;
        assert!(matches!(packet, Some(Packet::PubAck(_))), "{packet:?}");
    }
    let answer = send(&requests, request("2"));
    takes(&mut server, "2").await;
    server.send(publish("door/done", "2 yes")).await;
    assert_eq!(answer.await.unwrap().unwrap().payload(), b"2 yes");
    silent(&mut server).await;
    drop(requests);
    unsubscribes(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_by_their_tokens_in_any_order_and_whatever_else_comes() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    let tokens = ["1", "2", "3"];
    let answers = tokens.map(|token| send(&requests, request(token)));
    subscribes(&mut server).await;
    for token in tokens {
        takes(&mut server, token).await;
    }
    for payload in ["", " ", "4 for others", "3 third", "3 again", "1 first", "2 second"] {
        server.send(publish("door/done", payload)).await;
    }
    let mut payloads = Vec::new();
    for answer in answers {
        payloads.push(answer.await.unwrap().unwrap().payload_bytes());
    }
    assert_eq!(payloads, ["1 first", "2 second", "3 third"]);
    unsubscribes(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_polled_holds_up_no_other_one() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    let mut asleep = Box::pin(requests.send(request("1")));
    // It subscribes, sends, reads, and is polled no more.
    let served = async {
        subscribes(&mut server).await;
        takes(&mut server, "1").await;
    };
    let (polled, ()) = tokio::join!(timeout(secs(1), &mut asleep), served);
    assert!(polled.is_err());
    let answer = send(&requests, request("2"));
    takes(&mut server, "2").await;
    server.send(publish("door/done", "2 yes")).await;
    assert_eq!(answer.await.unwrap().unwrap().payload(), b"2 yes");
    server.send(publish("door/done", "1 late")).await;
    assert_eq!(asleep.await.unwrap().payload(), b"1 late");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_ends_in_time_and_leaves_nothing_behind() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    let begun = Instant::now();
    let answer = send(&requests, request("1"));
    subscribes(&mut server).await;
    takes(&mut server, "1").await;
    let error = answer.await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::TimedOut { within } if within == secs(5)), "{error}");
    assert_eq!(begun.elapsed(), secs(5));
    unsubscribes(&mut server).await;
    // A late answer is nobody's.
    server.send(publish("door/done", "1 late")).await;
    silent(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn time_spent_on_the_subscription_counts_and_nothing_is_sent_after_it() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    let request = Request::new(Message::new("door", "1").unwrap(), "1", secs(2));
    let answer = send(&requests, request);
    assert!(matches!(server.recv_or_pong().await, Some(Packet::Subscribe(_))));
    let begun = Instant::now();
    assert!(matches!(answer.await.unwrap(), Err(RequestError::TimedOut { .. })));
    assert_eq!(begun.elapsed(), secs(2));
    let mut sent = Vec::new();
    while let Ok(Some(packet)) = timeout(secs(60), server.recv_or_pong()).await {
        sent.push(packet);
    }
    assert!(!sent.iter().any(|packet| matches!(packet, Packet::Publish(_))), "{sent:?}");
    assert!(sent.iter().any(|packet| matches!(packet, Packet::Unsubscribe(_))), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_cancelled_leaves_the_others_alone_and_the_last_one_unsubscribes() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    let first = send(&requests, request("1"));
    subscribes(&mut server).await;
    takes(&mut server, "1").await;
    let second = send(&requests, request("2"));
    takes(&mut server, "2").await;
    first.abort();
    yield_now().await;
    server.send(publish("door/done", "2 yes")).await;
    assert!(second.await.unwrap().is_ok());
    unsubscribes(&mut server).await;
    let third = send(&requests, request("3"));
    subscribes(&mut server).await;
    takes(&mut server, "3").await;
    third.abort();
    unsubscribes(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_subscription_of_one_that_is_cancelled_makes_it() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    let first = send(&requests, request("1"));
    yield_now().await;
    let second = send(&requests, request("2"));
    yield_now().await;
    first.abort();
    // Of the one, and whatever follows from its end.
    loop {
        match server.recv_or_pong().await {
            Some(Packet::Subscribe(subscribe)) => {
                let codes = subscribe.filters().map(|_| ReasonCode::GrantedQoS1);
                server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, codes))).await;
            }
            Some(Packet::Unsubscribe(unsubscribe)) => {
                let codes = unsubscribe.filters().map(|_| ReasonCode::Success);
                server.send(Packet::UnsubAck(SubAck::new(unsubscribe.packet_id, codes))).await;
            }
            Some(Packet::Publish(request)) => {
                assert_eq!(request.payload(), b"2");
                server.send(publish("door/done", "2 yes")).await;
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(second.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_a_request_fails_at_once_or_waits_for_one_if_asked() {
    let links = Links::default();
    let (client, server) = online(&links).await;
    offline(&client, server).await;
    let requests = requests(&client);
    let begun = Instant::now();
    let error = requests.send(request("1")).await.unwrap_err();
    assert!(matches!(error, RequestError::Offline) && !error.may_have_been_sent());
    assert!(error.to_string().contains("no connection"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let answer = send(&requests, request("1").wait_for_connection(true));
    let mut server = back(&links, true).await;
    subscribes(&mut server).await;
    takes(&mut server, "1").await;
    server.send(publish("door/done", "1 yes")).await;
    assert!(answer.await.unwrap().is_ok());
    drop(server);
    let within = Instant::now();
    let error = send(&requests, request("2").wait_for_connection(true)).await.unwrap().unwrap_err();
    assert!(matches!(
        error,
        RequestError::TimedOut { .. } | RequestError::Publish(_) | RequestError::Offline
    ));
    assert!(within.elapsed() <= secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_before_the_request_is_acknowledged_ends_it_and_it_is_not_sent_again() {
    let links = Links::default();
    let (client, mut server) = online_briefly(&links).await;
    let requests = requests(&client).keep_subscribed(true);
    let answer = send(&requests, request("1"));
    subscribes(&mut server).await;
    assert!(matches!(server.recv_or_pong().await, Some(Packet::Publish(_))));
    offline(&client, server).await;
    let mut server = back(&links, false).await;
    let error = answer.await.unwrap().unwrap_err();
    assert!(
        matches!(error, RequestError::Publish(OpError::Interrupted)) && error.may_have_been_sent(),
        "{error}"
    );
    // The subscription is made anew by the session.
    subscribes(&mut server).await;
    silent(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn in_a_session_that_lives_on_a_request_is_not_sent_again_either() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client).keep_subscribed(true);
    let answer = send(&requests, request("1"));
    subscribes(&mut server).await;
    assert!(matches!(server.recv_or_pong().await, Some(Packet::Publish(_))));
    offline(&client, server).await;
    assert!(matches!(answer.await.unwrap(), Err(RequestError::TimedOut { .. })));
    let mut server = back(&links, true).await;
    silent(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_on_the_next_connection_of_the_session_is_one() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client).keep_subscribed(true);
    let answer = send(&requests, request("1"));
    subscribes(&mut server).await;
    takes(&mut server, "1").await;
    yield_now().await;
    offline(&client, server).await;
    let mut server = back(&links, true).await;
    server.send(publish("door/done", "1 yes").at_least_once(support::id(1))).await;
    assert_eq!(answer.await.unwrap().unwrap().payload(), b"1 yes");
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_is_the_requests_error_and_leaves_none() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    let answer = send(&requests, request("1"));
    let Some(Packet::Subscribe(subscribe)) = server.recv_or_pong().await else { panic!() };
    let codes = [ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized];
    server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, codes))).await;
    let error = answer.await.unwrap().unwrap_err();
    let RequestError::Subscribe(OpError::Refused { reason, .. }) = &error else { panic!("{error}") };
    assert_eq!(*reason, ReasonCode::NotAuthorized);
    assert!(!error.may_have_been_sent());
    let packet = server.recv_or_pong().await;
    let Some(Packet::Unsubscribe(unsubscribe)) = packet else { panic!("{packet:?}") };
    assert_eq!(unsubscribe.filters().next().unwrap().as_str(), "door/done", "the one that was granted");
}

#[tokio::test(start_paused = true)]
async fn a_token_under_way_is_not_taken_twice() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    let answer = send(&requests, request("1"));
    subscribes(&mut server).await;
    takes(&mut server, "1").await;
    assert!(matches!(requests.send(request("1")).await, Err(RequestError::TokenInUse)));
    server.send(publish("door/done", "1 yes")).await;
    assert!(answer.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_ends_ends_its_requests_and_the_next_one_makes_it_anew() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client).keep_subscribed(true);
    let answer = send(&requests, request("1"));
    subscribes(&mut server).await;
    takes(&mut server, "1").await;
    let (unsubscribed, ()) = tokio::join!(client.unsubscribe("door/refused"), async {
        let Some(Packet::Unsubscribe(unsubscribe)) = server.recv_or_pong().await else { panic!() };
        let ack = SubAck::new(unsubscribe.packet_id, [ReasonCode::Success]);
        server.send(Packet::UnsubAck(ack)).await;
    });
    unsubscribed.unwrap();
    assert!(matches!(answer.await.unwrap(), Err(RequestError::Ended(Ended::Unsubscribed))));
    let answer = send(&requests, request("2"));
    // What is left of the one before is given up on the way.
    loop {
        match server.recv_or_pong().await {
            Some(Packet::Subscribe(subscribe)) => {
                let codes = subscribe.filters().map(|_| ReasonCode::GrantedQoS1);
                server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, codes))).await;
            }
            Some(Packet::Publish(_)) => break,
            other => panic!("{other:?}"),
        }
    }
    server.send(publish("door/refused", "2 no")).await;
    assert_eq!(answer.await.unwrap().unwrap().topic(), "door/refused");
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_ahead_of_messages_that_wait_for_room_and_expires_with_its_time() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client).keep_subscribed(true);
    let answer = send(&requests, request("1"));
    subscribes(&mut server).await;
    takes(&mut server, "1").await;
    server.send(publish("door/done", "1 yes")).await;
    answer.await.unwrap().unwrap();

    let publisher = client.clone();
    tokio::spawn(async move {
        for _ in 0..200 {
            let _ack = publisher.publish(Message::new("out", "x").unwrap()).await.unwrap();
        }
    });
    let mut in_flight = Vec::new();
    while in_flight.len() < 100 {
        let Some(Packet::Publish(publish)) = server.recv_or_pong().await else { panic!() };
        in_flight.push(publish.packet_id().unwrap());
    }
    let answer = send(&requests, request("2"));
    yield_now().await;
    server.send(puback(in_flight[0].value())).await;
    let sent = takes(&mut server, "2").await;
    assert_eq!(sent.properties().message_expiry_interval(), Some(5));
    server.send(publish("door/done", "2 yes")).await;
    answer.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_client_ends_its_requests() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let requests = requests(&client);
    let answer = send(&requests, request("1"));
    subscribes(&mut server).await;
    takes(&mut server, "1").await;
    client.close(Duration::ZERO).await.unwrap();
    let error = answer.await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Ended(Ended::Closed) | RequestError::Closed), "{error}");
    assert!(matches!(requests.send(request("2")).await, Err(RequestError::Offline | RequestError::Closed)));
    let status = client.status().borrow().clone();
    assert!(matches!(status, Status::Idle | Status::Disconnected { error: ConnectionError::Requested, .. }));
}
