//! As much of HTTP/1.1 as a fake server and its driver need: one request at a
//! time, bodies with a length, connections kept.

use std::io::{Read, Write};
use std::net::TcpStream as BlockingStream;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub host: String,
    pub headers: String,
    pub body: Vec<u8>,
}

/// Reads the next request; `None` when the client has gone.
pub async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut seen = Vec::new();
    let mut buffer = [0_u8; 4096];
    let head_end = loop {
        if let Some(at) = find(&seen, b"\r\n\r\n") {
            break at;
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => seen.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    };
    let head = String::from_utf8_lossy(&seen[..head_end]).into_owned();
    let mut body = seen.split_off(head_end + 4);
    let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while body.len() < length {
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => body.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
    let mut first = head.lines().next()?.split(' ');
    Some(Request {
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        host: header(&head, "host").unwrap_or_default().to_owned(),
        headers: head,
        body,
    })
}

/// The value of a header, by its lower-case name.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// An answer's head; the body follows.
pub fn head(status: u16, kind: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n",
        words(status)
    )
}

fn words(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Some Status",
    }
}

/// Sends a whole answer; false when the client has gone.
pub async fn answer(stream: &mut TcpStream, status: u16, kind: &str, body: &[u8]) -> bool {
    let mut whole = head(status, kind, body.len()).into_bytes();
    whole.extend_from_slice(body);
    stream.write_all(&whole).await.is_ok()
}

/// Asks from a test, without a client library: the server is on loopback.
pub fn ask(address: &str, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = BlockingStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(body.to_owned())
}
