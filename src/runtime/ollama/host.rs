//! Where an Ollama server answers, read from `OLLAMA_HOST` or `--ollama` by
//! Ollama's own rules, seen from a client: an unspecified address is loopback.
//!
//! A user name, a password and a query never leave this file in anything that
//! is shown: only the request itself carries the first two.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use crate::domain::text::clean;
use crate::runtime::Endpoint;

/// The port Ollama listens on unless told otherwise.
const OLLAMA_PORT: u16 = 11434;

/// An address as a client uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct HostAddress {
    endpoint: Endpoint,
    host: String,
    /// `None`: what was given is no address; requests then say so instead of
    /// going to a server nobody named.
    base: Option<Url>,
}

/// The parts of an address, before they are put together again.
struct Parts<'a> {
    scheme: &'a str,
    login: Option<&'a str>,
    authority: &'a str,
    path: &'a str,
    default_port: u16,
    /// An `@` behind the first `/`, `?` or `#`: what stands before it may be
    /// the rest of a password, and the host may not be the host.
    hides_a_login: bool,
}

impl HostAddress {
    /// Reads an address. What Ollama would only warn about is a warning here.
    pub fn parse(given: &str) -> (Self, Option<String>) {
        let trimmed = given.trim().trim_matches(|c| c == '"' || c == '\'').trim();
        let (parts, scheme_warning) = split(trimmed);
        if parts.hides_a_login {
            return unreadable(&parts);
        }
        let (host, port, port_warning) = host_and_port(&parts);
        let host = client_view(&host);
        let warning = scheme_warning.or(port_warning);
        (assemble(&parts, host, port), warning)
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The host alone, for messages; brackets around IPv6 left out.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn is_tls(&self) -> bool {
        self.base.as_ref().is_some_and(|base| base.scheme() == "https")
    }

    /// The address of one call, below the path prefix.
    pub(super) fn url(&self, call: &str) -> Option<Url> {
        let mut url = self.base.clone()?;
        let path = format!("{}{call}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Some(url)
    }
}

impl Default for HostAddress {
    fn default() -> Self {
        HostAddress::parse("").0
    }
}

/// Written by hand: the derived one would print the password.
impl fmt::Debug for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostAddress").field(&self.endpoint.shown_url).finish()
    }
}

fn split(given: &str) -> (Parts<'_>, Option<String>) {
    let mut warning = None;
    let (scheme, rest, default_port) = match given.split_once("://") {
        None if given == "ollama.com" => ("https", given, 443),
        None => ("http", given, OLLAMA_PORT),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest, 80),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest, 443),
        Some((scheme, rest)) => {
            let scheme = clean(scheme);
            warning = Some(format!("scheme `{scheme}` is neither http nor https; http is used"));
            ("http", rest, OLLAMA_PORT)
        }
    };
    let ends = ['/', '?', '#'];
    let hides_a_login = rest.find(ends).is_some_and(|end| rest[end..].contains('@'));
    // A query or a fragment means nothing to Ollama and may hold a token.
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, authority) = match authority.rsplit_once('@') {
        Some((login, authority)) => (Some(login), authority),
        None => (None, authority),
    };
    (Parts { scheme, login, authority, path, default_port, hides_a_login }, warning)
}

/// Nothing of it is shown and nothing is sent anywhere.
fn unreadable(parts: &Parts<'_>) -> (HostAddress, Option<String>) {
    let shown_url = format!("{}://***", parts.scheme);
    let endpoint = Endpoint { shown_url, is_loopback: false, port: parts.default_port };
    let warning = "an `@` stands behind a `/`, `?` or `#`; in a user name or password those are \
                   written %2F, %3F and %23";
    let address = HostAddress { endpoint, host: "***".to_owned(), base: None };
    (address, Some(warning.to_owned()))
}

fn host_and_port(parts: &Parts<'_>) -> (String, u16, Option<String>) {
    let authority = parts.authority;
    // Without brackets an IPv6 address has no room for a port.
    if let Ok(address) = authority.trim_matches(['[', ']']).parse::<IpAddr>() {
        return (address.to_string(), parts.default_port, None);
    }
    let Some((host, port)) = authority.rsplit_once(':') else {
        return (authority.to_owned(), parts.default_port, None);
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    match port.parse::<u16>() {
        Ok(port) => (host, port, None),
        Err(_) => {
            let warning = format!(
                "port `{}` is not a number from 0 to 65535; {} is used",
                clean(port),
                parts.default_port
            );
            (host, parts.default_port, Some(warning))
        }
    }
}

/// A server binds to "any address"; a client cannot go there.
fn client_view(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
        Ok(address) => address.to_string(),
        Err(_) if host.is_empty() => Ipv4Addr::LOCALHOST.to_string(),
        Err(_) => host.to_owned(),
    }
}

fn assemble(parts: &Parts<'_>, host: String, port: u16) -> HostAddress {
    let in_url = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let path = parts.path.trim_end_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    let place = format!("{in_url}:{port}{slash}{path}");
    let login = parts.login.map(|login| format!("{login}@")).unwrap_or_default();
    let base = Url::parse(&format!("{}://{login}{place}", parts.scheme)).ok();
    let endpoint = Endpoint {
        shown_url: clean(&format!("{}://{place}", parts.scheme)),
        is_loopback: is_loopback(&host),
        port,
    };
    HostAddress { endpoint, host: clean(&host), base }
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(given: &str, shown: &str) {
        let (address, warning) = HostAddress::parse(given);
        assert_eq!((address.endpoint().shown_url.as_str(), warning), (shown, None), "{given:?}");
    }

    #[test]
    fn addresses_are_read_as_ollama_reads_them() {
        for (given, shown) in [
            ("", "http://127.0.0.1:11434"),
            ("   ", "http://127.0.0.1:11434"),
            ("1.2.3.4", "http://1.2.3.4:11434"),
            ("1.2.3.4:1234", "http://1.2.3.4:1234"),
            (":1234", "http://127.0.0.1:1234"),
            (":0", "http://127.0.0.1:0"),
            ("example.com", "http://example.com:11434"),
            ("example.com:1234", "http://example.com:1234"),
            (" 1.2.3.4 ", "http://1.2.3.4:11434"),
            ("\"1.2.3.4\"", "http://1.2.3.4:11434"),
            ("'1.2.3.4:80'", "http://1.2.3.4:80"),
            ("http://1.2.3.4", "http://1.2.3.4:80"),
            ("http://1.2.3.4:4321", "http://1.2.3.4:4321"),
            ("https://1.2.3.4", "https://1.2.3.4:443"),
            ("https://1.2.3.4:4321/", "https://1.2.3.4:4321"),
            ("HTTPS://example.com", "https://example.com:443"),
            ("ollama.com", "https://ollama.com:443"),
            ("https://example.com/ollama", "https://example.com:443/ollama"),
            ("example.com:56789/ollama/", "http://example.com:56789/ollama"),
            ("[::1]", "http://[::1]:11434"),
            ("::1", "http://[::1]:11434"),
            ("[2001:db8::1]:1337", "http://[2001:db8::1]:1337"),
            ("2001:db8::1", "http://[2001:db8::1]:11434"),
        ] {
            expect(given, shown);
        }
    }

    #[test]
    fn a_client_goes_to_loopback_where_a_server_listens_anywhere() {
        for (given, shown) in [
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:1234", "http://127.0.0.1:1234"),
            ("http://0.0.0.0", "http://127.0.0.1:80"),
            ("::", "http://[::1]:11434"),
            ("[::]:1234", "http://[::1]:1234"),
        ] {
            expect(given, shown);
        }
    }

    #[test]
    fn a_wrong_port_falls_back_with_a_warning() {
        for (given, shown) in [
            ("1.2.3.4:66000", "http://1.2.3.4:11434"),
            ("1.2.3.4:-1", "http://1.2.3.4:11434"),
            ("https://1.2.3.4:port", "https://1.2.3.4:443"),
            ("[::1]:x", "http://[::1]:11434"),
            ("ftp://1.2.3.4", "http://1.2.3.4:11434"),
        ] {
            let (address, warning) = HostAddress::parse(given);
            assert_eq!(address.endpoint().shown_url, shown);
            assert!(warning.is_some_and(|w| w.contains("used")), "{given}");
        }
    }

    #[test]
    fn secrets_go_into_requests_only() {
        let (address, _) = HostAddress::parse("https://me:hunter2@host:99/pre?token=abc#frag");
        assert_eq!(address.endpoint().shown_url, "https://host:99/pre");
        assert_eq!(format!("{address:?}"), "HostAddress(\"https://host:99/pre\")");
        let url = address.url("/api/ps").unwrap();
        assert_eq!(url.as_str(), "https://me:hunter2@host:99/pre/api/ps");
    }

    #[test]
    fn a_password_that_was_not_escaped_is_not_shown_either() {
        for given in [
            "http://me:hun/ter2@host:1/",
            "http://me:hun?ter2@host",
            "me:hun#ter2@host",
            "http:///me:hunter2@host",
            "http:/me:hunter2@host:1",
            "//me:hunter2@host",
            "http://host/?token=me@hunter2",
        ] {
            let (address, warning) = HostAddress::parse(given);
            let warning = warning.unwrap();
            let told = format!("{address:?} {} {warning}", address.host());
            assert!(!told.contains("hun") && !told.contains("ter2"), "{given}: {told}");
            assert!(warning.contains("%2F"), "{warning}");
            assert_eq!(address.url("/api/ps"), None, "{given}");
        }
    }

    #[test]
    fn loopback_is_known_in_all_its_spellings() {
        for (given, loopback) in [
            ("", true),
            ("localhost", true),
            ("LOCALHOST:80", true),
            ("127.9.8.7", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", true),
            ("192.168.1.9", false),
            ("localhost.example.com", false),
        ] {
            assert_eq!(HostAddress::parse(given).0.endpoint().is_loopback, loopback, "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_kept_and_cannot_be_asked() {
        let (address, _) = HostAddress::parse("no such host!\u{1b}[2J");
        assert_eq!(address.url("/api/ps"), None);
        assert!(!address.endpoint().shown_url.contains('\u{1b}'));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,80}") {
            let (address, _) = HostAddress::parse(&text);
            let _ = address.url("/api/ps");
        }
    }
}
