//! HTTP to one server: time limits, size limits, and errors in words that name
//! cause and remedy. It knows nothing of models.
//!
//! Follows no redirects and uses no proxy for loopback. Each request in flight
//! has a connection of its own, so none waits behind a load. Messages carry
//! neither the URL nor a header: both may hold secrets.

use std::error::Error;
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, redirect};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::host::HostAddress;
use super::short_lists::ShortLists;
use crate::domain::text::{clean, clean_bytes};
use crate::domain::{RuntimeFault, RuntimeFaultKind as Kind};

/// Shorter than the limit of a read, so that "no way there" and "no answer"
/// can be told apart.
const CONNECT_LIMIT: Duration = Duration::from_millis(1500);

/// Idle connections kept: one for the read that is due next, one for a key.
const IDLE_CONNECTIONS: usize = 2;

/// Longer than the slowest poll (10 s while a server is down), shorter than
/// the minute after which proxies like to close.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// A load has no time limit, so a peer that vanished is found by the kernel:
/// after about a minute (4 × 15 s).
const PEER_CHECK: Duration = Duration::from_secs(15);

/// As much of an error body as can hold a sentence worth showing.
const ERROR_BODY: usize = 64 * 1024;

/// A stream that has no limit of its own.
const LONGEST_STREAM: Duration = Duration::from_secs(3600);

/// What became of a line, and whether more are wanted.
pub type Taken = Result<ControlFlow<()>, RuntimeFault>;

/// One request and its limits.
#[derive(Debug, Clone)]
pub struct Ask {
    pub call: &'static str,
    /// `None`: a GET.
    pub body: Option<Value>,
    /// Over everything, from connecting to the last byte. `None`: only
    /// connecting is limited.
    pub time: Option<Duration>,
    /// The largest body taken.
    pub size: usize,
    /// Lists of words or numbers are cut as they come in: this is the most that
    /// is kept then.
    pub cut_to: Option<usize>,
    /// Send once more when a kept connection turns out dead.
    pub may_repeat: bool,
}

/// A client for one server, built at the first request: building takes longer
/// than a first frame may.
pub struct Http {
    address: HostAddress,
    headers: Vec<(String, String)>,
    client: OnceCell<Client>,
}

impl Http {
    pub fn new(address: HostAddress, headers: Vec<(String, String)>) -> Self {
        Http { address, headers, client: OnceCell::new() }
    }

    pub fn address(&self) -> &HostAddress {
        &self.address
    }

    /// Sends it and hands back the body of a success.
    pub async fn ask(&self, ask: Ask) -> Result<Vec<u8>, RuntimeFault> {
        let Some(limit) = ask.time else { return self.ask_patiently(&ask).await };
        match tokio::time::timeout(limit, self.ask_patiently(&ask)).await {
            Ok(answer) => answer,
            Err(_) => Err(timed_out(limit)),
        }
    }

    /// Sends it and hands on each line of a success as it comes in, until it is
    /// told to stop. `idle`: after a line so long is waited for the next whole one.
    pub async fn lines(
        &self,
        (ask, idle): (&Ask, Duration),
        take: impl FnMut(&[u8]) -> Taken,
    ) -> Result<(), RuntimeFault> {
        let limit = ask.time.unwrap_or(LONGEST_STREAM);
        let taken = tokio::time::timeout(limit, self.lines_patiently((ask, idle), take)).await;
        taken.unwrap_or_else(|_| Err(timed_out(limit)))
    }

    async fn lines_patiently(
        &self,
        (ask, idle): (&Ask, Duration),
        mut take: impl FnMut(&[u8]) -> Taken,
    ) -> Result<(), RuntimeFault> {
        let mut response = self.success(ask).await?;
        let (mut rest, mut taken) = (Vec::new(), 0);
        let mut line_due = Instant::now() + ask.time.unwrap_or(LONGEST_STREAM);
        loop {
            let chunk = timeout_at(line_due, response.chunk()).await.map_err(|_| stalled(idle))?;
            let Some(chunk) = chunk.map_err(|error| self.fault_of(&error))? else { break };
            taken += chunk.len();
            if taken > ask.size {
                return Err(too_large(ask.size));
            }
            for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
                rest.extend_from_slice(piece);
                if piece.ends_with(b"\n") {
                    if take_line(&rest, &mut take)?.is_break() {
                        return Ok(());
                    }
                    rest.clear();
                    line_due = Instant::now() + idle;
                }
            }
        }
        take_line(&rest, &mut take).map(|_| ())
    }

    async fn ask_patiently(&self, ask: &Ask) -> Result<Vec<u8>, RuntimeFault> {
        let response = self.success(ask).await?;
        self.body(response, ask.size, ask.cut_to).await
    }

    /// The answer, its body still to come, or the fault it tells.
    async fn success(&self, ask: &Ask) -> Result<Response, RuntimeFault> {
        let client = self.client().await?;
        let mut sent = self.request(client, ask)?.send().await;
        // A server that restarted leaves a dead connection in the pool; that
        // is no news worth a fault.
        if ask.may_repeat && sent.as_ref().is_err_and(is_broken) {
            sent = self.request(client, ask)?.send().await;
        }
        let response = sent.map_err(|error| self.fault_of(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let words = match self.body(response, ERROR_BODY, None).await {
            Ok(body) => words_of(&body),
            Err(_) => None,
        };
        Err(status_fault(status.as_u16(), words))
    }

    async fn client(&self) -> Result<&Client, RuntimeFault> {
        self.client
            .get_or_try_init(|| async {
                let builder = self.builder()?;
                let is_tls = self.address.is_tls();
                // Reading the certificates of the system takes tens of
                // milliseconds, which the loop has not got.
                match tokio::task::spawn_blocking(move || build(builder, is_tls)).await {
                    Ok(Ok(client)) => Ok(client),
                    Ok(Err(error)) => Err(set_up_fault(&error.to_string())),
                    Err(error) => Err(set_up_fault(&error.to_string())),
                }
            })
            .await
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder, RuntimeFault> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let wrong = || set_up_fault(&format!("header `{}` cannot be sent", clean(name)));
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let builder = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_LIMIT)
            .tcp_keepalive(PEER_CHECK)
            .tcp_keepalive_interval(PEER_CHECK)
            .tcp_keepalive_retries(3);
        let is_loopback = self.address.endpoint().is_loopback;
        Ok(if is_loopback { builder.no_proxy() } else { builder })
    }

    fn request(&self, client: &Client, ask: &Ask) -> Result<RequestBuilder, RuntimeFault> {
        let Some(url) = self.address.url(ask.call) else {
            let shown = &self.address.endpoint().shown_url;
            return Err(RuntimeFault::new(
                Kind::Unreachable,
                format!("`{shown}` is not an address; accepted is http://host:port"),
            ));
        };
        Ok(match &ask.body {
            Some(body) => client.post(url).json(body),
            None => client.get(url),
        })
    }

    async fn body(
        &self,
        mut response: Response,
        most: usize,
        cut_to: Option<usize>,
    ) -> Result<Vec<u8>, RuntimeFault> {
        let announced = response.content_length().unwrap_or(0);
        if announced > most as u64 {
            return Err(too_large(most));
        }
        let room = cut_to.map_or(usize::try_from(announced).unwrap_or(0), |_| 0);
        let mut body = Vec::with_capacity(room);
        let mut lists = ShortLists::default();
        let mut taken = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| self.fault_of(&error))? {
            taken += chunk.len();
            if taken > most {
                return Err(too_large(most));
            }
            let Some(limit) = cut_to else {
                body.extend_from_slice(&chunk);
                continue;
            };
            lists.feed(&chunk, &mut body);
            if body.len() > limit {
                return Err(too_large(limit));
            }
        }
        Ok(body)
    }

    fn fault_of(&self, error: &reqwest::Error) -> RuntimeFault {
        let host = self.address.host();
        let shown = &self.address.endpoint().shown_url;
        let cause = cause_of(error);
        if error.is_dns() {
            let detail = format!("host name `{host}` is not known: check the address");
            return RuntimeFault::new(Kind::Unreachable, detail);
        }
        if !error.is_connect() {
            return match error.is_timeout() {
                true => RuntimeFault::new(Kind::TimedOut, "no answer in time"),
                false => RuntimeFault::new(
                    Kind::Broken,
                    format!("the connection broke half way: {cause}"),
                ),
            };
        }
        if io_kind(error) == Some(io::ErrorKind::ConnectionRefused) {
            let detail = format!("nobody listens at {shown}: start it with `ollama serve`");
            return RuntimeFault::new(Kind::Refused, detail);
        }
        let detail = if error.is_timeout() {
            format!("no connection to {host} within {:.1} s", CONNECT_LIMIT.as_secs_f32())
        } else {
            format!("no connection to {host}: {cause}")
        };
        RuntimeFault::new(Kind::Unreachable, detail)
    }
}

fn take_line(line: &[u8], take: &mut impl FnMut(&[u8]) -> Taken) -> Taken {
    let line = line.trim_ascii();
    if line.is_empty() { Ok(ControlFlow::Continue(())) } else { take(line) }
}

/// For plain HTTP the roots are left empty: no certificate store is read, and
/// no memory is held for one.
fn build(builder: reqwest::ClientBuilder, is_tls: bool) -> reqwest::Result<Client> {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = if is_tls { builder } else { builder.tls_certs_only([]) };
    builder.build()
}

fn set_up_fault(cause: &str) -> RuntimeFault {
    let detail = format!("the HTTP client cannot be set up: {}", clean(cause));
    RuntimeFault::new(Kind::Unreachable, detail)
}

fn timed_out(limit: Duration) -> RuntimeFault {
    let detail = format!(
        "no full answer within {} s: the server hangs or the machine is too busy",
        limit.as_secs_f32()
    );
    RuntimeFault::new(Kind::TimedOut, detail)
}

fn stalled(idle: Duration) -> RuntimeFault {
    let detail = format!("it said nothing whole for {} s and was given up", idle.as_secs_f32());
    RuntimeFault::new(Kind::TimedOut, detail)
}

fn too_large(most: usize) -> RuntimeFault {
    let detail =
        format!("an answer of more than {} MiB, cut off: is this Ollama?", most.div_ceil(1 << 20));
    RuntimeFault::new(Kind::TooLarge, detail)
}

/// The connection died before an answer began.
fn is_broken(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout() && !error.is_builder()
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = cause.source();
    }
    None
}

/// The innermost cause, which alone says what happened and never has the URL.
fn cause_of(error: &reqwest::Error) -> String {
    let mut innermost: Option<&dyn Error> = error.source();
    while let Some(next) = innermost.and_then(Error::source) {
        innermost = Some(next);
    }
    innermost.map_or_else(|| "no reason given".to_owned(), |cause| clean(&cause.to_string()))
}

/// What an error body says: Ollama's own words, a page's title, or its text.
fn words_of(body: &[u8]) -> Option<Words> {
    if let Ok(Value::Object(answer)) = serde_json::from_slice::<Value>(body) {
        let words = answer.get("error").and_then(Value::as_str).map(clean)?;
        return (!words.is_empty()).then_some(Words::Own(words));
    }
    let text = clean_bytes(body);
    if text.starts_with('<') {
        return Some(Words::Page(title_of(&text)));
    }
    (!text.is_empty()).then_some(Words::Text(text))
}

enum Words {
    /// `{"error": …}`: the server speaks for itself.
    Own(String),
    /// An HTML page, from a proxy or another program.
    Page(Option<String>),
    Text(String),
}

fn title_of(page: &str) -> Option<String> {
    // Lower-casing only ASCII keeps every index valid in the original.
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower.get(start..)?.find('<')?;
    let title = page.get(start..end)?.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

fn status_fault(status: u16, words: Option<Words>) -> RuntimeFault {
    let speaks_itself = matches!(words, Some(Words::Own(_)));
    let said = match words {
        Some(Words::Own(words) | Words::Text(words)) => format!(": {words}"),
        Some(Words::Page(Some(title))) => format!(": a web page, \"{title}\""),
        Some(Words::Page(None)) => ": a web page".to_owned(),
        None => String::new(),
    };
    let remedy = match status {
        300..=399 => "; redirects are not followed: name the final address",
        401 => "; it asks for a login: put it into the address or a header",
        403 => {
            "; the server does not accept this Host name: use 127.0.0.1 or localhost, or let the proxy send a local Host header"
        }
        407 => "; the proxy asks for a login",
        429 => "; too many requests: it is asked again later",
        502 | 504 => "; a proxy answers, and Ollama behind it does not: is it running?",
        503 => "; the server's queue is full, or it is just starting: try again soon",
        404 | 405 if !speaks_itself => "; is this address an Ollama server?",
        500..=599 if !speaks_itself => "; the server's log has the reason",
        _ => "",
    };
    RuntimeFault::new(Kind::Status(status), format!("status {status}{said}{remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn detail(status: u16, body: &str) -> String {
        status_fault(status, words_of(body.as_bytes())).detail
    }

    #[test]
    fn the_servers_own_words_stand_alone() {
        let body = r#"{"error":"model 'x' not found"}"#;
        assert_eq!(detail(404, body), "status 404: model 'x' not found");
        let body = r#"{"error":"out of \u001b[31mmemory"}"#;
        assert_eq!(detail(500, body), "status 500: out of [31mmemory");
    }

    #[test]
    fn foreign_answers_name_the_remedy() {
        for (status, body, wanted) in [
            (301, "", "redirects are not followed"),
            (401, "", "login"),
            (403, "", "Host"),
            (404, "404 page not found", "is this address an Ollama server?"),
            (429, "slow down", "asked again later"),
            (500, "<html><title>Oops</title></html>", "\"Oops\""),
            (502, "<html>", "is it running?"),
            (503, r#"{"error":"server busy"}"#, "queue is full"),
        ] {
            let detail = detail(status, body);
            assert!(detail.contains(wanted), "{detail}");
        }
    }
}
