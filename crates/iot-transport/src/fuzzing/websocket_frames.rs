//! The body of `websocket_frames`.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::script::{Scripted, Steps};
use crate::websocket::{Role, WebSocketIo};

/// What a stream gave: its bytes, and the error that ended it or none.
#[derive(Debug, PartialEq)]
struct Read {
    bytes: Vec<u8>,
    end: Result<(), (io::ErrorKind, String)>,
}

/// Reads `data` as what a server, or a client, sends: once as it stands and once in pieces, with pauses. Both give the
/// same; what is written meanwhile are frames of ours, and not many.
pub fn websocket_frames(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let (steps, incoming) = data.split_at_checked(usize::from(choice >> 2)).unwrap_or_default();
    let role = if choice & 1 == 0 { Role::Client } else { Role::Server };
    let writes = choice & 2 != 0;
    let (whole, _) = read(incoming, &[], role, writes);
    let (pieces, written) = read(incoming, steps, role, writes);
    assert_eq!(whole, pieces, "the pieces make a difference");
    assert!(whole.bytes.len() <= incoming.len(), "more bytes than came");
    check_written(&written, role, incoming.len());
}

fn read(incoming: &[u8], steps: &[u8], role: Role, writes: bool) -> (Read, Vec<u8>) {
    let io = Scripted::new(incoming, Steps::new(steps));
    let mut stream = WebSocketIo::new(io, Vec::new(), role);
    let mut bytes = Vec::new();
    let mut buffer = [0; 100];
    let end = loop {
        if writes {
            let _ = finish(stream.write(b"written"));
        }
        match finish(stream.read(&mut buffer)) {
            Ok(0) => break Ok(()),
            Ok(len) => bytes.extend_from_slice(buffer.get(..len).unwrap_or_default()),
            Err(error) => break Err((error.kind(), error.to_string())),
        }
    };
    assert!(matches!(finish(stream.read(&mut buffer)), Ok(0)), "bytes behind the end");
    let _ = finish(stream.shutdown());
    (Read { bytes, end }, stream.get_ref().written.clone())
}

/// Polls to the end, which may not take long.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("still not done");
}

/// Whole frames, masked if they are a client's, each of a kind that we send.
fn check_written(written: &[u8], role: Role, incoming: usize) {
    assert!(
        written.len() <= 3 * incoming + 20 * (incoming + 3) + 400,
        "{} bytes for {incoming}",
        written.len()
    );
    let mut rest = written;
    let mut closed = false;
    while let [first, second, behind @ ..] = rest {
        assert!(!closed, "a frame behind the close frame");
        let masked = second & 0x80 != 0;
        assert_eq!(masked, matches!(role, Role::Client), "masked or not");
        let len = usize::from(second & 0x7F);
        assert!(len < 126, "a frame longer than any that is sent here");
        let len = if masked { len + 4 } else { len };
        assert!(matches!(first, 0x82 | 0x8A | 0x88), "operation {first:#x}");
        closed = *first == 0x88;
        let Some((_, next)) = behind.split_at_checked(len) else { panic!("half a frame") };
        rest = next;
    }
    assert!(rest.is_empty(), "half a head");
}
