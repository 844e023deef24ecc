//! A server that answers as a function says and keeps what it was asked: on a
//! unix socket or on loopback. One request a connection.

#![allow(dead_code, reason = "each test that includes this uses another part of it")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

pub enum Answer {
    Status(u16, String),
    /// Status and a header line of one's own.
    Header(u16, String),
    /// The connection stays open and nothing comes.
    Silence,
    /// A body that never ends: its beginning, and then nothing.
    Endless,
}

pub struct Scripted {
    seen: Arc<Mutex<Vec<String>>>,
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub url: String,
    serving: JoinHandle<()>,
}

type Script = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

impl Scripted {
    /// A socket that is there already is replaced.
    pub fn on_socket(
        path: &Path,
        script: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Scripted {
        let _ = fs::remove_file(path);
        let listener = UnixListener::bind(path).expect("the folder is there");
        let (seen, script): (Arc<Mutex<_>>, Script) = (Arc::default(), Arc::new(script));
        let kept = Arc::clone(&seen);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&kept)));
            }
        });
        Scripted { seen, url: String::new(), serving }
    }

    pub async fn on_loopback(script: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let (seen, script): (Arc<Mutex<_>>, Script) = (Arc::default(), Arc::new(script));
        let kept = Arc::clone(&seen);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&kept)));
            }
        });
        Scripted { seen, url, serving }
    }

    /// `METHOD path body`, in order.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no server panics").clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let Some(request) = read(&mut stream).await else { return };
    let answer = script(&request);
    seen.lock().expect("no server panics").push(request);
    let (status, header, body) = match answer {
        Answer::Status(status, body) => (status, String::new(), body),
        Answer::Header(status, line) => (status, format!("{line}\r\n"), String::new()),
        Answer::Silence => return std::future::pending().await,
        Answer::Endless => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&[b'x'; 64 * 1024]).await;
            return std::future::pending().await;
        }
    };
    // Without a body there is no length to tell.
    let length = match status {
        204 | 304 => String::new(),
        _ => format!("content-length: {}\r\n", body.len()),
    };
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{header}{length}\r\n");
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((head, body)) = String::from_utf8_lossy(&text).split_once("\r\n\r\n") {
            let header = |line: &str| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            };
            let length: usize = head.lines().find_map(header).unwrap_or(0);
            if body.len() >= length {
                let (first, _) = head.lines().next()?.rsplit_once(' ')?;
                return Some(format!("{first} {body}").trim_end().to_owned());
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => text.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}
