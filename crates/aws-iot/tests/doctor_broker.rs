//! The doctor and brokers that end the connection, on a runtime of several threads, where an operation ends before the status
//! says why.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod examination;

use std::io;
use std::time::Duration;

use aws_iot::doctor::{Finding, Options, Report, Step};
use aws_iot::{Builder, from_fn};
use examination::{fails_at, is_whole};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// Types of packets.
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;

/// What the broker answers at one type of packet, and otherwise what is right.
#[derive(Clone, Copy)]
enum At {
    /// Ends the stream.
    Close(u8),
    /// Sends these bytes.
    Say(u8, &'static [u8]),
}

fn device(at: At) -> Builder {
    let dial = move |_| async move {
        let (near, far) = duplex(1 << 16);
        tokio::spawn(serve(far, at));
        Ok(near)
    };
    aws_iot::over(from_fn(dial)).client_id("device")
}

/// A broker of MQTT 5 that agrees to everything but what is to go wrong, and sends nothing back.
async fn serve(mut link: DuplexStream, at: At) -> io::Result<()> {
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
        match at {
            At::Close(at) if at == kind => return Ok(()),
            At::Say(at, bytes) if at == kind => {
                link.write_all(bytes).await?;
                continue;
            }
            _ => {}
        }
        let place = if kind == PUBLISH { 2 + usize::from(body[1]) } else { 0 };
        let id = body.get(place..place + 2).map_or([0, 0], |id| [id[0], id[1]]);
        let answer: Vec<u8> = match kind {
            1 => vec![0x20, 3, 0, 0, 0],
            PUBLISH => vec![0x40, 2, id[0], id[1]],
            SUBSCRIBE => vec![0x90, 4, id[0], id[1], 0, 1],
            10 => vec![0xB0, 4, id[0], id[1], 0, 0],
            _ => Vec::new(),
        };
        link.write_all(&answer).await?;
    }
}

async fn examined(at: At) -> Report {
    let options = Options::new().step_timeout(Duration::from_secs(20));
    let report = device(at).diagnose(options).await;
    is_whole(&report);
    report
}

/// The failure, the same however often it is looked at.
async fn finding(step: Step, at: At) -> Finding {
    let first = fails_at(&examined(at).await, step);
    for _ in 0..50 {
        assert_eq!(fails_at(&examined(at).await, step), first);
    }
    first
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_at_subscribe_is_the_policy_or_another_program() {
    let closed = finding(Step::Subscribe, At::Close(SUBSCRIBE)).await;
    assert!(
        closed.what.contains("when SUBSCRIBE was sent") && closed.means.contains("iot:Subscribe"),
        "{closed:?}"
    );
    let forbidden = finding(Step::Subscribe, At::Say(SUBSCRIBE, &[0xE0, 2, 0x87, 0])).await;
    assert!(forbidden.means.contains("iot:Subscribe"), "{forbidden:?}");
    let taken = finding(Step::Subscribe, At::Say(SUBSCRIBE, &[0xE0, 2, 0x8E, 0])).await;
    assert!(taken.means.starts_with("another program connected by the client id device"), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_neither_policy_nor_network_is_not_called_so() {
    for (bytes, words) in [
        (&[0xE0u8, 2, 0x8B, 0][..], "for a reason of its own"),
        (&[0xE0, 2, 0x97, 0], "a limit of the server is passed"),
        (&[0x20, 3, 0, 0, 0], "breaks the rules of MQTT"),
        (&[0xF0, 0xFF, 0xFF, 0xFF, 0xFF], "breaks the rules of MQTT"),
    ] {
        let bytes: &'static [u8] = bytes;
        let found = finding(Step::Publish, At::Say(PUBLISH, bytes)).await;
        assert!(found.means.contains(words), "{found:?}");
    }
}
