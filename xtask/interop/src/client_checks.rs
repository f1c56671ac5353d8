//! Our client against Mosquitto, through every door that it or what stands in front of it has, and against amqtt.

use std::collections::BTreeSet;
use std::time::Duration;

use iot_session::layers::{Backoff, DrainRate, OfflineQueue, Reconnect, Standard};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::{Client, Config, Message, Messages, OpError, QoS, TopicName, Version, Will, stack};
use iot_transport::{
    BoxConnector, Connector, HttpProxy, Identity, Material, Tcp, Tls, TlsOptions, TrustAnchors, WebSocket,
};
use mosquitto::Mosquitto;
use tokio::task::JoinHandle;

use crate::python::{self, PROXY_LOGIN, Server};
use crate::report::{Failure, Report, ensure};
use crate::session_checks;

#[derive(Clone, Copy)]
pub(crate) enum Door {
    Plain,
    MutualTls,
    /// websockify with TLS in front of Mosquitto.
    WebSocketTls,
    /// proxy.py in front of Mosquitto's mutual TLS.
    Proxy,
    /// amqtt, another broker.
    Amqtt,
}

/// Everything that is talked to.
pub(crate) struct Servers {
    pub(crate) mosquitto: Mosquitto,
    websockify: Server,
    proxy: Server,
    amqtt: Server,
}

impl Servers {
    async fn start() -> Result<Self, Failure> {
        let mosquitto = Mosquitto::start().await?;
        let websockify = python::websockify(&mosquitto).await?;
        Ok(Self { mosquitto, websockify, proxy: python::proxy().await?, amqtt: python::amqtt().await? })
    }
}

/// One way to reach the broker.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) door: Door,
    pub(crate) version: Version,
}

pub(crate) async fn run(report: &mut Report) {
    let mut servers = match Servers::start().await {
        Ok(servers) => servers,
        Err(error) => return report.check("start the servers", async { Err::<String, _>(error) }).await,
    };
    let mut idle = Vec::new();
    for (door, name) in [
        (Door::Plain, "mosquitto, TCP"),
        (Door::MutualTls, "mosquitto, mutual TLS"),
        (Door::WebSocketTls, "mosquitto, wss by websockify"),
        (Door::Proxy, "mosquitto, mutual TLS through proxy.py"),
    ] {
        for version in [Version::V3_1_1, Version::V5] {
            let way = Way { door, version };
            let name = format!("{name}, {version}");
            report.check(&format!("{name}, QoS 0 and 1 both ways"), both_ways(&servers, way)).await;
            report.check(&format!("{name}, retained"), retained(&servers, way)).await;
            report.check(&format!("{name}, will"), will(&servers, way)).await;
            report.check(&format!("{name}, broker killed mid-stream"), killed(&mut servers, way)).await;
            idle.push((format!("{name}, keep-alive"), way));
        }
    }
    keep_alives(report, &servers, idle).await;
    session_checks::run(report, &mut servers).await;
    let way = Way { door: Door::Amqtt, version: Version::V3_1_1 };
    report.check("amqtt, WebSocket, 3.1.1, QoS 0 and 1 both ways", both_ways(&servers, way)).await;
    report.check("amqtt, WebSocket, 3.1.1, will", will(&servers, way)).await;
    report.check("mosquitto, facade, mutual TLS", facade(&servers)).await;
    report.check("mosquitto, facade, mutual TLS through proxy.py", facade_proxy(&servers)).await;
    report.check("mosquitto, facade, no such CA", wrong_ca(&servers)).await;
    report.check("mosquitto, proxy.py, wrong password", wrong_password(&servers)).await;
}

pub(crate) fn options(way: Way, client_id: &str) -> Result<ConnectOptions, Failure> {
    Ok(ConnectOptions::new(way.version, client_id)?)
}

/// A client, its driver spawned, not connected yet.
pub(crate) fn client(
    servers: &Servers,
    way: Way,
    options: ConnectOptions,
) -> Result<(Client, JoinHandle<()>), Failure> {
    Ok(spawned(connector(servers, way.door), options))
}

/// The same over a connector of one's own.
pub(crate) fn client_over(connector: impl Connector, options: ConnectOptions) -> Client {
    spawned(connector, options).0
}

fn spawned(connector: impl Connector, options: ConnectOptions) -> (Client, JoinHandle<()>) {
    let engine = Engine::new(options);
    let codec = engine.codec();
    let backoff =
        Backoff::new(Duration::from_millis(50), Duration::from_millis(200), Duration::from_secs(20));
    let queue = OfflineQueue::unbounded().drain_rate(DrainRate::unlimited());
    let standard = Standard { reconnect: Reconnect::new(backoff), queue, ..Standard::default() };
    let stage = stack(engine).layer(standard).into_stage();
    let (client, driver) = iot_session::client(stage, codec, connector, Config::default());
    (client, tokio::spawn(driver.run()))
}

pub(crate) async fn connected(servers: &Servers, way: Way, client_id: &str) -> Result<Client, Failure> {
    let (client, _) = client(servers, way, options(way, client_id)?)?;
    client.connect().await?;
    Ok(client)
}

pub(crate) async fn receive(messages: &mut Messages) -> Result<Message, Failure> {
    let next = tokio::time::timeout(Duration::from_secs(10), messages.next()).await;
    next.map_err(|_| "no message within 10 s")?.ok_or_else(|| "the stream has ended".into())
}

async fn both_ways(servers: &Servers, way: Way) -> Result<String, Failure> {
    let client = connected(servers, way, "both-ways").await?;
    let mut messages = client.subscribe("interop/+/x", QoS::AtLeastOnce).await?;
    for n in 0..200u32 {
        let qos = if n % 2 == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let payload = n.to_string().repeat(1 + n as usize * 7);
        client.publish(Message::new("interop/a/x", payload.clone())?.qos(qos)).await?.await?;
        let message = receive(&mut messages).await?;
        // amqtt delivers QoS 0 at the subscription's QoS.
        let same_qos = message.quality() == qos || matches!(way.door, Door::Amqtt);
        ensure(message.payload() == payload.as_bytes() && same_qos, format!("message {n}: {message:?}"))?;
    }
    client.disconnect().await?;
    Ok("200 messages there and back".into())
}

async fn retained(servers: &Servers, way: Way) -> Result<&'static str, Failure> {
    let client = connected(servers, way, "retained").await?;
    client.publish(Message::new("interop/retained", "kept")?.retain(true)).await?.await?;
    let mut messages = client.subscribe("interop/retained", QoS::AtLeastOnce).await?;
    let message = receive(&mut messages).await?;
    ensure(message.is_retained() && message.payload() == b"kept", format!("{message:?}"))?;
    client.publish(Message::new("interop/retained", "")?.retain(true)).await?.await?;
    let message = receive(&mut messages).await?;
    ensure(!message.is_retained() && message.payload().is_empty(), format!("{message:?}"))?;
    client.disconnect().await?;
    Ok("kept, flagged, cleared")
}

async fn will(servers: &Servers, way: Way) -> Result<&'static str, Failure> {
    let watcher = connected(servers, way, "watcher").await?;
    let mut messages = watcher.subscribe("interop/will", QoS::AtLeastOnce).await?;
    let mut gone = Will::new(TopicName::try_from("interop/will")?, "gone");
    gone.qos = QoS::AtLeastOnce;
    let (orderly, _) = client(servers, way, options(way, "mortal")?.will(gone.clone()))?;
    orderly.connect().await?;
    orderly.disconnect().await?;
    let (dying, driver) = client(servers, way, options(way, "mortal")?.will(gone))?;
    dying.connect().await?;
    watcher.publish(Message::new("interop/will", "fence")?).await?.await?;
    ensure(receive(&mut messages).await?.payload() == b"fence", "a will after an orderly disconnect")?;
    driver.abort();
    ensure(receive(&mut messages).await?.payload() == b"gone", "not the will")?;
    watcher.disconnect().await?;
    Ok("published after a cut, not after a disconnect")
}

/// All of the ways side by side, since silence takes its time.
async fn keep_alives(report: &mut Report, servers: &Servers, ways: Vec<(String, Way)>) {
    let mut running = Vec::new();
    for (name, way) in ways.into_iter().filter(|(name, _)| report.wants(name)) {
        let idle = options(way, &format!("idle-{}", running.len()))
            .and_then(|options| client(servers, way, options.keep_alive(Duration::from_secs(1))));
        running.push((name, tokio::spawn(async { keep_alive(idle?.0).await })));
    }
    for (name, running) in running {
        report.check(&name, async { running.await? }).await;
    }
}

async fn keep_alive(client: Client) -> Result<String, Failure> {
    client.connect().await?;
    let before = client.stats();
    let mut status = client.status();
    // Mosquitto closes after 1.5 s of silence.
    let change = tokio::time::timeout(Duration::from_secs(4), status.changed()).await;
    ensure(change.is_err(), "the status changed during 4 s of silence")?;
    let stats = client.stats();
    let pings = (stats.bytes_out - before.bytes_out) / 2;
    ensure((3..=4).contains(&pings), format!("{pings} pings in 4 s"))?;
    ensure(stats.bytes_in - before.bytes_in >= 6, "pings were not answered")?;
    client.disconnect().await?;
    Ok(format!("{pings} pings in 4 s of silence, one connection"))
}

/// Numbers go out while the broker is killed with -9 and restarted; every one of them must arrive.
async fn killed(servers: &mut Servers, way: Way) -> Result<String, Failure> {
    // proxy.py looks for what there is to pass on every 25 ms.
    let numbers: u32 = if matches!(way.door, Door::Proxy) { 200 } else { 2000 };
    let options = options(way, "stream")?;
    let options = match way.version {
        Version::V3_1_1 => options.clean_start(false),
        Version::V5 => options.session_expiry(Duration::from_secs(3600)),
    };
    let (client, _) = client(servers, way, options)?;
    client.connect().await?;
    let topic = "interop/stream";
    let mut messages = client.subscribe(topic, QoS::AtLeastOnce).await?;
    let publisher = tokio::spawn(publish_numbers(client.clone(), topic, numbers));
    let (mut seen, mut copies, mut kills) = (BTreeSet::new(), 0u32, 0u32);
    while seen.len() < numbers as usize {
        let next = tokio::time::timeout(Duration::from_secs(10), messages.next()).await;
        let message =
            next.map_err(|_| format!("{} of {numbers} numbers after 10 s of silence", seen.len()))?;
        let message = message.ok_or("the stream has ended")?;
        seen.insert(std::str::from_utf8(message.payload())?.parse::<u32>()?);
        copies += 1;
        if kills < 2 && seen.len() > (kills as usize + 1) * numbers as usize / 4 {
            kills += 1;
            servers.mosquitto.kill().await?;
            servers.mosquitto.restart().await?;
        }
    }
    publisher.await??;
    let connections = client.stats().connections;
    ensure(connections == 3, format!("{connections} connections instead of 3"))?;
    client.disconnect().await?;
    Ok(format!("{numbers} numbers over {connections} connections, {} received twice", copies - numbers))
}

/// Publishes each number once, whatever happens to the connection, one after another.
async fn publish_numbers(client: Client, topic: &'static str, numbers: u32) -> Result<(), Failure> {
    for n in 0..numbers {
        match client.publish(Message::new(topic, n.to_string())?).await?.await {
            // A message whose answer is late is still sent again by the session.
            Ok(_) | Err(OpError::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn builder(servers: &Servers) -> aws_iot::Builder {
    let broker = &servers.mosquitto;
    aws_iot::mutual_tls(
        "localhost",
        Material::file(broker.file("device.pem")),
        Material::file(broker.file("device.key")),
    )
    .root_ca(Material::file(broker.file("ca.pem")))
    .port(broker.tls_port)
}

async fn facade(servers: &Servers) -> Result<&'static str, Failure> {
    let client = builder(servers).connect().await?;
    let mut messages = client.subscribe("sdk/test/Rust", QoS::AtLeastOnce).await?;
    client.publish(Message::new("sdk/test/Rust", "hello")?).await?.await?;
    ensure(receive(&mut messages).await?.payload() == b"hello", "not the message")?;
    client.disconnect().await?;
    Ok("certificate, key and CA from files, hello there and back")
}

async fn wrong_ca(servers: &Servers) -> Result<String, Failure> {
    let other = Mosquitto::start().await?;
    match builder(servers).root_ca(Material::file(other.file("ca.pem"))).connect().await {
        Ok(_) => Err("a server of an unknown CA was accepted".into()),
        Err(error) => {
            ensure(!error.is_retryable(), format!("said to be retryable: {error}"))?;
            Ok(format!("refused, \"{error}\""))
        }
    }
}

async fn facade_proxy(servers: &Servers) -> Result<&'static str, Failure> {
    let (user, password) = PROXY_LOGIN;
    let proxy = aws_iot::Proxy::new("127.0.0.1", servers.proxy.port).basic_auth(user, password);
    let client = builder(servers).proxy(proxy).connect().await?;
    client.publish(Message::new("sdk/test/Rust", "hello")?).await?.await?;
    client.disconnect().await?;
    Ok("acknowledged")
}

async fn wrong_password(servers: &Servers) -> Result<String, Failure> {
    let proxy = aws_iot::Proxy::new("127.0.0.1", servers.proxy.port).basic_auth("device", "wrong");
    match builder(servers).proxy(proxy).connect().await {
        Ok(_) => Err("the proxy took a wrong password".into()),
        Err(error) => {
            ensure(!error.is_retryable() && error.to_string().contains("407"), format!("{error}"))?;
            Ok(format!("refused, \"{error}\""))
        }
    }
}

fn connector(servers: &Servers, door: Door) -> BoxConnector {
    let Servers { mosquitto, websockify, proxy, amqtt } = servers;
    match door {
        Door::Plain => BoxConnector::new(Tcp::new("localhost", mosquitto.plain_port)),
        Door::MutualTls => BoxConnector::new(tls(mosquitto, Tcp::new("localhost", mosquitto.tls_port))),
        Door::WebSocketTls => {
            BoxConnector::new(WebSocket::new(tls(mosquitto, Tcp::new("127.0.0.1", websockify.port))))
        }
        Door::Proxy => {
            let (user, password) = PROXY_LOGIN;
            let proxy = Tcp::new("127.0.0.1", proxy.port);
            let tunnel = HttpProxy::new(proxy, "localhost", mosquitto.tls_port).basic_auth(user, password);
            BoxConnector::new(tls(mosquitto, tunnel))
        }
        Door::Amqtt => BoxConnector::new(WebSocket::new(Tcp::new("127.0.0.1", amqtt.port))),
    }
}

fn tls<C: Connector>(broker: &Mosquitto, inner: C) -> Tls<C> {
    let identity =
        Identity::new(Material::file(broker.file("device.pem")), Material::file(broker.file("device.key")));
    let options = TlsOptions::new(TrustAnchors::ca(Material::file(broker.file("ca.pem")))).identity(identity);
    Tls::new(inner, options)
}
