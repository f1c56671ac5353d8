//! The doctor where there is no AWS IoT Core: names, ports, other servers, brokers that do as they like.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod examination;

use std::io;

use aws_iot::doctor::Step;
use aws_iot::{Builder, Version, from_fn};
use examination::{BOTH, fails_at, hides, impatient, is_whole, mutual_tls, passes, patient, skips};
use iot_emulator::{Authority, Emulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;

fn device(endpoint: &str, port: u16) -> Builder {
    let authority = Authority::new().unwrap();
    mutual_tls(endpoint, port, &authority.issue_client("device").unwrap(), &authority.ca_pem())
}

#[tokio::test]
async fn a_name_without_an_address_is_told_as_one() {
    // No name server is asked about it: RFC 6761, section 6.4.
    let report = device("no-such-name.invalid", 8883).diagnose(patient()).await;
    let finding = fails_at(&report, Step::Dns);
    assert!(
        finding.what.contains("no-such-name.invalid") && finding.means.contains("misspelt"),
        "{finding:?}"
    );
    skips(&report, &[Step::Tcp, Step::Tls, Step::Connect]);
    is_whole(&report);
}

#[tokio::test]
async fn the_wrong_type_of_endpoint_is_not_dialled() {
    let report = device("abc.credentials.iot.eu-west-1.amazonaws.com", 8883).diagnose(patient()).await;
    assert!(fails_at(&report, Step::Endpoint).remedy.contains("iot:Data-ATS"), "{report}");
    skips(&report, &[Step::Dns]);
    let report = device("https://user:hunter2hunter2@host/", 8883).diagnose(patient()).await;
    assert!(fails_at(&report, Step::Endpoint).what.contains("is not an endpoint"), "{report}");
    hides(&report, &["hunter2hunter2"]);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let report = device("127.0.0.1", port).diagnose(patient()).await;
    let finding = fails_at(&report, Step::Tcp);
    assert!(finding.what.contains("refuses") && finding.means.contains("nothing listens"), "{finding:?}");
    skips(&report, &[Step::Dns, Step::Tls]);
}

#[tokio::test]
async fn a_listener_that_never_answers_fails_at_tls_when_its_time_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let report = device("localhost", listener.local_addr().unwrap().port()).diagnose(impatient()).await;
    let finding = fails_at(&report, Step::Tls);
    assert!(finding.means.contains("says nothing"), "{finding:?}");
    passes(&report, &[Step::Tcp]);
}

/// A listener that says this to everybody, and no more.
async fn says(words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(words).await;
                let _ = stream.shutdown().await;
                // What is not read would turn the end into a reset.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_without_tls_and_one_that_hangs_up_are_told_apart() {
    let port = says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    let finding = fails_at(&device("localhost", port).diagnose(patient()).await, Step::Tls);
    assert!(finding.what.contains("not TLS") && finding.means.contains("port without TLS"), "{finding:?}");
    let port = says(b"").await;
    let finding = fails_at(&device("localhost", port).diagnose(patient()).await, Step::Tls);
    assert!(finding.means.contains("SNI"), "{finding:?}");
}

/// A broker that answers each packet as it is told: the packet's type, its identifier.
fn broker(answer: fn(u8, [u8; 2]) -> Vec<u8>) -> Builder {
    aws_iot::over(from_fn(move |_| async move {
        let (near, far) = duplex(4096);
        tokio::spawn(serve(far, answer));
        Ok(near)
    }))
    .client_id("device")
}

async fn serve(mut link: DuplexStream, answer: fn(u8, [u8; 2]) -> Vec<u8>) -> io::Result<()> {
    loop {
        let kind = link.read_u8().await? >> 4;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = link.read_u8().await?;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        let mut body = vec![0; length];
        link.read_exact(&mut body).await?;
        let at = if kind == 3 { 2 + usize::from(body[1]) } else { 0 };
        let id = body.get(at..at + 2).map_or([0, 0], |id| [id[0], id[1]]);
        link.write_all(&answer(kind, id)).await?;
    }
}

/// As a broker of 3.1.1 has it, but that nothing is delivered.
fn acknowledges(kind: u8, [high, low]: [u8; 2]) -> Vec<u8> {
    match kind {
        1 => vec![0x20, 2, 0, 0],
        3 => vec![0x40, 2, high, low],
        8 => vec![0x90, 3, high, low, 1],
        10 => vec![0xB0, 2, high, low],
        _ => Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_come_back_means_that_receiving_is_not_allowed() {
    let report = broker(acknowledges).version(Version::V3_1_1).diagnose(patient()).await;
    let finding = fails_at(&report, Step::Receive);
    assert!(finding.means.contains("iot:Receive on topic/sdk/test/doctor/device"), "{finding:?}");
    passes(&report, &[Step::Connect, Step::Subscribe, Step::Publish, Step::Disconnect]);
    skips(&report, &[Step::Dns, Step::Tcp, Step::Tls, Step::ClientCertificate, Step::Upgrade]);
    is_whole(&report);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_connect_is_waited_for_as_long_as_a_step_may_take() {
    for version in BOTH {
        let report = broker(|_, _| Vec::new()).version(version).diagnose(impatient()).await;
        assert!(fails_at(&report, Step::Connect).means.contains("does not answer CONNECT"), "{report}");
    }
    let report = broker(|_, _| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).diagnose(patient()).await;
    assert!(fails_at(&report, Step::Connect).means.contains("does not speak MQTT"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_takes_its_id_back_is_told_as_that() {
    let taken_over = |kind, _| match kind {
        1 => vec![0x20, 3, 0, 0, 0],
        _ => vec![0xE0, 2, 0x8E, 0],
    };
    let report = broker(taken_over).diagnose(patient()).await;
    let finding = fails_at(&report, Step::Subscribe);
    assert!(finding.means.contains("client id device"), "{finding:?}");
    skips(&report, &[Step::Publish, Step::Receive, Step::Shadow, Step::Disconnect]);
}

#[tokio::test]
async fn a_connector_of_ones_own_that_fails_is_told_by_its_phase() {
    use aws_iot::crates::iot_transport::{ConnectError, ConnectErrorKind, Phase, Tcp};
    let builder = aws_iot::over(from_fn(async |_| {
        Err::<DuplexStream, _>(ConnectError::new(Phase::Proxy, ConnectErrorKind::HttpRefused, "no; not here"))
    }));
    let report = builder.diagnose(patient()).await;
    assert_eq!(fails_at(&report, Step::Proxy).what, "no", "{report}");
    is_whole(&report);

    let emulator = Emulator::builder().plain(true).start().await.unwrap();
    let plain = aws_iot::over(Tcp::new("127.0.0.1", emulator.plain_port().unwrap()));
    assert!(plain.diagnose(patient()).await.is_healthy());
}
