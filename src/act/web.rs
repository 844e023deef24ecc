//! HTTP as the hands need it: clients that follow no redirect, and answers
//! that are read only so far.

use std::error::Error;
use std::io;

use reqwest::{Client, ClientBuilder, Response, redirect};

use crate::domain::text::clean;

/// A client for a few requests. Slow with TLS, since the certificates of the
/// system are read: for a thread that may wait.
pub fn client(shape: ClientBuilder, is_tls: bool) -> reqwest::Result<Client> {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = shape
        .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(0);
    let builder = if is_tls { builder } else { builder.tls_certs_only([]) };
    builder.build()
}

/// The beginning of the answer's body.
pub async fn beginning(mut answer: Response, most: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Ok(body)
}

/// The innermost cause, which alone says what happened and never has the
/// address, where a secret may be.
pub fn cause_of(error: &reqwest::Error) -> String {
    let mut innermost: Option<&dyn Error> = error.source();
    while let Some(next) = innermost.and_then(Error::source) {
        innermost = Some(next);
    }
    let cause = innermost.map(|cause| clean(&cause.to_string()));
    cause.unwrap_or_else(|| "no reason given".to_owned())
}

/// What the system said, where it was the system.
pub fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = cause.source();
    }
    None
}
