//! Connections that are open and silent.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::ensure;

use crate::common::{
    drive::{REST_BODY, REST_PATH},
    server::Server,
};

/// The head of an empty SETTINGS frame (RFC 9113 §6.5), and of one that acknowledges.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const SETTINGS_ACK: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];

/// An HTTP/2 connection after preface and SETTINGS of both sides.
pub(crate) fn http2(server: &Server) -> anyhow::Result<TcpStream> {
    let mut stream = connect(server.grpc)?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
    stream.write_all(&SETTINGS)?;
    stream.write_all(&SETTINGS_ACK)?;
    // Frames of the server, until the one that acknowledges ours.
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        if head == SETTINGS_ACK {
            return Ok(stream);
        }
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        stream.read_exact(&mut vec![0; length])?;
    }
}

/// An HTTP/1.1 connection after one request.
pub(crate) fn http1(server: &Server) -> anyhow::Result<TcpStream> {
    let mut stream = connect(server.rest)?;
    let length = REST_BODY.len();
    write!(
        stream,
        "POST {REST_PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{REST_BODY}"
    )?;
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer)?;
    ensure!(
        answer[..read].starts_with(b"HTTP/1.1 200 "),
        "a request was refused"
    );
    Ok(stream)
}

fn connect(address: std::net::SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}
