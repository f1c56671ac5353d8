//! A broker on a loopback port of this process, on a thread of its own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use bytes::BytesMut;

use super::Server;

/// Serves connections, each on its thread, until the process ends. Gives the port.
pub fn start() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    port
}

fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut server = Server::new();
    let mut replies = BytesMut::new();
    let mut chunk = vec![0; 64 * 1024];
    // All that was read is answered by one write. A client that breaks off ends it, too.
    while let Ok(n @ 1..) = stream.read(&mut chunk) {
        server.answer(chunk.get(..n).unwrap_or_default(), &mut replies);
        if stream.write_all(&replies).is_err() {
            return;
        }
        replies.clear();
    }
}
