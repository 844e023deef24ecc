//! An HTTP server that answers each path with a fixed body. For answers that
//! no real server gives, where a fake one would already be too sane.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

pub struct Canned(String);

impl Canned {
    /// Serves until the test ends.
    pub fn start(answer: impl Fn(&str) -> String + Send + Clone + 'static) -> Canned {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let answer = answer.clone();
                std::thread::spawn(move || serve(stream, &answer));
            }
        });
        Canned(url)
    }

    pub fn url(&self) -> &str {
        &self.0
    }
}

/// One request a connection; a client that goes away early is no fault.
fn serve(mut stream: TcpStream, answer: &dyn Fn(&str) -> String) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
    let body = answer(first.split(' ').nth(1).unwrap_or_default());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let _gone = stream.write_all(format!("{head}{body}").as_bytes());
}
