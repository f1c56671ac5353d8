//! What a session survives and carries, against Mosquitto: resubscription, resumption, QoS 2, MQTT 5's properties and flow
//! control.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use iot_session::{Client, Message, QoS, Status, Version};
use iot_transport::{Attempt, ConnectError, Phase, Tcp, from_fn};
use mosquitto::Mosquitto;
use mqtt_codec::{Property, ReasonCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::client_checks::{Door, Servers, Way, client, client_over, connected, options, receive};
use crate::report::{Failure, Report, ensure};

pub(crate) async fn run(report: &mut Report, servers: &mut Servers) {
    for version in [Version::V3_1_1, Version::V5] {
        let way = Way { door: Door::Plain, version };
        let name = format!("mosquitto, TCP, {version}");
        report.check(&format!("{name}, resubscribe"), resubscribe(servers, way)).await;
        report.check(&format!("{name}, session resume"), resume(servers, way)).await;
        report.check(&format!("{name}, QoS 2 both ways"), exactly_once(servers, way)).await;
        report.check(&format!("{name}, QoS 2, cut again and again"), exactly_once_cut(servers, way)).await;
        report.check(&format!("{name}, offline queue"), offline_queue(servers, way)).await;
        report.check(&format!("{name}, flow control out"), window(servers, way)).await;
    }
    let way = Way { door: Door::Plain, version: Version::V5 };
    report.check("mosquitto, TCP, 5, properties", properties(servers, way)).await;
    report.check("mosquitto, TCP, 5, topic aliases both ways", topic_aliases(servers, way)).await;
    report.check("mosquitto, TCP, 5, message expiry", message_expiry(servers, way)).await;
    report.check("mosquitto, TCP, 5, shared subscription", shared(servers, way)).await;
    report.check("mosquitto, TCP, 5, the server's Receive Maximum", receive_maximum(way)).await;
}

/// A session that outlives its connection.
fn lasting(way: Way, client_id: &str) -> Result<iot_session::proto::ConnectOptions, Failure> {
    let options = options(way, client_id)?;
    Ok(match way.version {
        Version::V3_1_1 => options.clean_start(false),
        Version::V5 => options.session_expiry(Duration::from_secs(3600)),
    })
}

async fn back_online(client: &Client, connections: u64) -> Result<(), Failure> {
    let mut status = client.status();
    let online = async {
        while !(client.stats().connections > connections && status.borrow_and_update().is_connected()) {
            status.changed().await?;
        }
        Ok::<(), Failure>(())
    };
    tokio::time::timeout(Duration::from_secs(20), online).await.map_err(|_| "not back after 20 s")?
}

/// Twenty filters; the broker is killed, which ends the sessions that are not lasting; each filter is in force again.
async fn resubscribe(servers: &mut Servers, way: Way) -> Result<String, Failure> {
    let client = connected(servers, way, "resubscribe").await?;
    let mut streams = Vec::new();
    for n in 0..20 {
        streams.push(client.subscribe(format!("interop/re/{n}").as_str(), QoS::AtLeastOnce).await?);
    }
    servers.mosquitto.kill().await?;
    servers.mosquitto.restart().await?;
    back_online(&client, 1).await?;
    let status = client.status();
    ensure(
        matches!(&*status.borrow(), Status::Connected(connected) if !connected.session_present),
        "the session should be lost",
    )?;
    for (n, stream) in streams.iter_mut().enumerate() {
        client.publish(Message::new(format!("interop/re/{n}").as_str(), n.to_string())?).await?.await?;
        ensure(receive(stream).await?.payload() == n.to_string().as_bytes(), "another message")?;
    }
    client.disconnect().await?;
    Ok("20 filters in force again when the client is online".into())
}

/// What was stored while the client was away arrives without subscribing anew.
async fn resume(servers: &Servers, way: Way) -> Result<String, Failure> {
    let (client, _) = client(servers, way, lasting(way, "resume")?)?;
    client.connect().await?;
    let mut messages = client.subscribe("interop/resume", QoS::AtLeastOnce).await?;
    client.disconnect().await?;
    let other = connected(servers, way, "resume-other").await?;
    for n in 0..10 {
        other.publish(Message::new("interop/resume", n.to_string())?).await?.await?;
    }
    let again = client.connect().await?;
    ensure(again.session_present, "the session is lost")?;
    for n in 0..10 {
        ensure(receive(&mut messages).await?.payload() == n.to_string().as_bytes(), "another message")?;
    }
    client.disconnect().await?;
    other.disconnect().await?;
    Ok("10 messages stored while away, in order".into())
}

async fn exactly_once(servers: &Servers, way: Way) -> Result<String, Failure> {
    let client = connected(servers, way, "exactly-once").await?;
    let mut messages = client.subscribe("interop/2", QoS::ExactlyOnce).await?;
    ensure(messages.granted() == ReasonCode::GrantedQoS2, "QoS 2 was not granted")?;
    for n in 0..200 {
        client.publish(Message::new("interop/2", n.to_string())?.qos(QoS::ExactlyOnce)).await?.await?;
        let message = receive(&mut messages).await?;
        let fits = message.payload() == n.to_string().as_bytes() && message.quality() == QoS::ExactlyOnce;
        ensure(fits, format!("{n}: {message:?}"))?;
    }
    client.disconnect().await?;
    Ok("200 messages there and back".into())
}

/// Numbers at QoS 2 while the connection is cut again and again, wherever it happens to be: each arrives, none twice.
async fn exactly_once_cut(servers: &Servers, way: Way) -> Result<String, Failure> {
    const NUMBERS: u32 = 600;
    let port = servers.mosquitto.plain_port;
    let cut = from_fn(move |attempt: Attempt| {
        let number = attempt.number();
        async move {
            let stream = TcpStream::connect(("127.0.0.1", port)).await;
            let stream = stream.map_err(|error| ConnectError::from_io(Phase::Tcp, error))?;
            // As our own connector does: otherwise each small packet waits for a delayed acknowledgement.
            stream.set_nodelay(true).map_err(|error| ConnectError::from_io(Phase::Tcp, error))?;
            // Another place each time; from the twentieth on it stays.
            let left = if number < 20 { 700 + 97 * number as usize } else { usize::MAX };
            Ok(Cut { stream, left })
        }
    });
    let client = client_over(cut, lasting(way, "exactly-once-cut")?);
    client.connect().await?;
    let mut messages = client.subscribe("interop/2/cut", QoS::ExactlyOnce).await?;
    let publisher = client.clone();
    let publisher = tokio::spawn(async move {
        for n in 0..NUMBERS {
            let message = Message::new("interop/2/cut", n.to_string())?.qos(QoS::ExactlyOnce);
            publisher.publish(message).await?.await?;
        }
        Ok::<(), Failure>(())
    });
    let (mut seen, mut copies) = (BTreeSet::new(), 0);
    while seen.len() < NUMBERS as usize {
        let message =
            receive(&mut messages).await.map_err(|error| format!("after {}: {error}", seen.len()))?;
        seen.insert(std::str::from_utf8(message.payload())?.parse::<u32>()?);
        copies += 1;
    }
    publisher.await??;
    let connections = client.stats().connections;
    ensure(copies == NUMBERS, format!("{copies} arrivals of {NUMBERS} numbers"))?;
    ensure(connections >= 10, format!("{connections} connections only"))?;
    client.disconnect().await?;
    Ok(format!("{NUMBERS} numbers over {connections} connections, none twice"))
}

/// A stream that breaks after some bytes.
struct Cut {
    stream: TcpStream,
    left: usize,
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let mut part = buf.take(self.left);
        let polled = Pin::new(&mut self.stream).poll_read(context, &mut part);
        let read = part.filled().len();
        // What was read into the part is initialized, and part of the buffer.
        let bytes = part.filled().to_vec();
        if polled.is_ready() {
            buf.put_slice(&bytes);
            self.left = self.left.saturating_sub(read);
        }
        polled
    }
}

impl AsyncWrite for Cut {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let part = bytes.get(..self.left).unwrap_or(bytes);
        let polled = Pin::new(&mut self.stream).poll_write(context, part);
        if let Poll::Ready(Ok(written)) = &polled {
            self.left = self.left.saturating_sub(*written);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Messages made while the broker is away.
async fn offline_queue(servers: &mut Servers, way: Way) -> Result<String, Failure> {
    let client = connected(servers, way, "queue").await?;
    let mut messages = client.subscribe("interop/queue", QoS::AtLeastOnce).await?;
    let mut status = client.status();
    servers.mosquitto.kill().await?;
    status.wait_for(|status| matches!(status, Status::Disconnected { .. })).await?;
    let mut acks = Vec::new();
    for n in 0..50 {
        acks.push(client.publish(Message::new("interop/queue", n.to_string())?).await?);
    }
    servers.mosquitto.restart().await?;
    for n in 0..50 {
        ensure(receive(&mut messages).await?.payload() == n.to_string().as_bytes(), "another message")?;
    }
    for ack in acks {
        ack.await?;
    }
    client.disconnect().await?;
    Ok("50 messages made offline, in order, each acknowledged".into())
}

/// A thousand at once through a window of five.
async fn window(servers: &Servers, way: Way) -> Result<String, Failure> {
    let (client, _) = client(servers, way, options(way, "window")?.window(5))?;
    client.connect().await?;
    let mut most = 0;
    let mut acks = Vec::new();
    for n in 0..1000u32 {
        acks.push(client.publish(Message::new("interop/window", n.to_string())?).await?);
        most = most.max(client.stats().in_flight);
    }
    for ack in acks {
        ack.await?;
    }
    ensure((1..=5).contains(&most), format!("{most} in flight"))?;
    client.disconnect().await?;
    Ok(format!("1,000 messages, at most {most} in flight"))
}

/// User properties, content type, response topic and correlation data go through as they are.
async fn properties(servers: &Servers, way: Way) -> Result<String, Failure> {
    let client = connected(servers, way, "properties").await?;
    let mut messages = client.subscribe("interop/request", QoS::AtLeastOnce).await?;
    let request = Message::new("interop/request", "{}")?
        .property(Property::PayloadFormatIndicator(true))?
        .property(Property::ContentType("application/json"))?
        .property(Property::ResponseTopic("interop/response"))?
        .property(Property::CorrelationData(b"\x00\xff42"))?
        .property(Property::UserProperty("key", "first"))?
        .property(Property::UserProperty("key", "second"))?;
    client.publish(request).await?.await?;
    let message = receive(&mut messages).await?;
    let properties = message.properties();
    ensure(properties.content_type() == Some("application/json"), "the content type")?;
    ensure(properties.response_topic() == Some("interop/response"), "the response topic")?;
    ensure(properties.correlation_data() == Some(&b"\x00\xff42"[..]), "the correlation data")?;
    let user: Vec<_> = properties.user_properties().collect();
    ensure(user == [("key", "first"), ("key", "second")], format!("{user:?}"))?;
    client.disconnect().await?;
    Ok("format, content type, response topic, correlation data, user properties in order".into())
}

/// Fewer bytes for a long topic, both ways.
async fn topic_aliases(servers: &Servers, way: Way) -> Result<String, Failure> {
    let topic = format!("interop/alias/{}", "long".repeat(40));
    let mut bytes = Vec::new();
    for aliases in [0, 10] {
        let options = options(way, "aliases")?.topic_aliases(aliases).topic_alias_maximum(aliases);
        let (client, _) = client(servers, way, options)?;
        client.connect().await?;
        let mut messages = client.subscribe(topic.as_str(), QoS::AtLeastOnce).await?;
        let before = client.stats();
        for n in 0..50 {
            client.publish(Message::new(topic.as_str(), n.to_string())?).await?.await?;
            let message = receive(&mut messages).await?;
            ensure(
                message.topic() == topic && message.payload() == n.to_string().as_bytes(),
                "not the message",
            )?;
        }
        let after = client.stats();
        bytes.push((after.bytes_out - before.bytes_out, after.bytes_in - before.bytes_in));
        client.disconnect().await?;
    }
    let [(out_plain, in_plain), (out, back)] = bytes[..] else { return Err("two runs".into()) };
    ensure(out < out_plain / 3, format!("{out} bytes out instead of {out_plain}"))?;
    Ok(format!("50 messages: {out} bytes out instead of {out_plain}, {back} in instead of {in_plain}"))
}

async fn message_expiry(servers: &Servers, way: Way) -> Result<String, Failure> {
    let (client, _) = client(servers, way, lasting(way, "expiry")?)?;
    client.connect().await?;
    let mut messages = client.subscribe("interop/expiry", QoS::AtLeastOnce).await?;
    client.disconnect().await?;
    let other = connected(servers, way, "expiry-other").await?;
    let expiring = Message::new("interop/expiry", "old")?.property(Property::MessageExpiryInterval(1))?;
    other.publish(expiring).await?.await?;
    let lasting = Message::new("interop/expiry", "new")?.property(Property::MessageExpiryInterval(3600))?;
    other.publish(lasting).await?.await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(2_500));
    ticks.tick().await;
    ticks.tick().await; // the broker's clock, not ours
    client.connect().await?;
    let message = receive(&mut messages).await?;
    ensure(message.payload() == b"new", "an expired message")?;
    let left = message.properties().message_expiry_interval().unwrap_or_default();
    ensure((3590..3600).contains(&left), format!("{left} s left"))?;
    client.disconnect().await?;
    other.disconnect().await?;
    Ok(format!("the expired one is gone, the other has {left} s left"))
}

/// Two share a group: each message goes to one of them.
async fn shared(servers: &Servers, way: Way) -> Result<String, Failure> {
    let (one, two) = (connected(servers, way, "one").await?, connected(servers, way, "two").await?);
    let mut first = one.subscribe("$share/group/interop/shared", QoS::AtLeastOnce).await?;
    let mut second = two.subscribe("$share/group/interop/shared", QoS::AtLeastOnce).await?;
    for n in 0..20 {
        one.publish(Message::new("interop/shared", n.to_string())?).await?.await?;
    }
    let (mut to_one, mut to_two) = (0, 0);
    for _ in 0..20 {
        tokio::select! {
            message = receive(&mut first) => message.map(|_| to_one += 1)?,
            message = receive(&mut second) => message.map(|_| to_two += 1)?,
        }
    }
    ensure(to_one > 0 && to_two > 0, format!("{to_one} and {to_two}"))?;
    one.disconnect().await?;
    two.disconnect().await?;
    Ok(format!("20 messages: {to_one} to one, {to_two} to the other"))
}

/// A server that takes three messages at a time says so and gets no more.
async fn receive_maximum(way: Way) -> Result<String, Failure> {
    let broker = Mosquitto::with_window(3).await?;
    let tcp = Tcp::new("localhost", broker.plain_port);
    let client = client_over(tcp, options(way, "receive-maximum")?);
    let window = client.connect().await?.window;
    ensure(window == 3, format!("a window of {window}"))?;
    let mut most = 0;
    let mut acks = Vec::new();
    for n in 0..500u32 {
        acks.push(client.publish(Message::new("interop/maximum", n.to_string())?).await?);
        most = most.max(client.stats().in_flight);
    }
    for ack in acks {
        ack.await?;
    }
    ensure((1..=3).contains(&most), format!("{most} in flight"))?;
    client.disconnect().await?;
    Ok(format!("500 messages, at most {most} in flight"))
}
