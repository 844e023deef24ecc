//! An answer over HTTP/1.1, as much of it as one short question needs: its
//! status, and a body with a length, in chunks, or up to the end.

use std::io;

/// A list of a thousand containers fits.
const LONGEST_BODY: usize = 1024 * 1024;
const LONGEST_HEAD: usize = 16 * 1024;

/// The body of what has come so far; `None` while more is to come.
pub fn body(text: &[u8], has_ended: bool) -> io::Result<Option<Vec<u8>>> {
    let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else {
        return match has_ended || text.len() > LONGEST_HEAD {
            true => Err(broken("no head")),
            false => Ok(None),
        };
    };
    let head = std::str::from_utf8(&text[..end]).map_err(|_| broken("a head that is no text"))?;
    let body = &text[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    if status != Some("200") {
        return Err(broken("not the answer asked for"));
    }
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let field = |name: &str| {
        let found = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    let whole = if field("transfer-encoding").is_some_and(|how| how.eq_ignore_ascii_case("chunked"))
    {
        chunks(body)?
    } else if let Some(length) = field("content-length") {
        let length: usize = length.parse().map_err(|_| broken("a length that is no number"))?;
        bounded(length)?;
        body.get(..length).map(<[u8]>::to_vec)
    } else {
        bounded(body.len())?;
        has_ended.then(|| body.to_vec())
    };
    match whole {
        None if has_ended => Err(broken("cut off")),
        whole => Ok(whole),
    }
}

/// The chunks put together; `None` while the last one has not come.
fn chunks(mut rest: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            bounded(rest.len())?;
            return Ok(None);
        };
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size.and_then(|line| line.split(';').next());
        let size = size.and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        let size = size.ok_or_else(|| broken("a chunk without a size"))?;
        bounded(whole.len().saturating_add(size))?;
        if size == 0 {
            return Ok(Some(whole));
        }
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else { return Ok(None) };
        whole.extend_from_slice(chunk);
        // The line end behind it may still be on its way.
        let Some(after) = rest.get(end + 4 + size..) else { return Ok(None) };
        rest = after;
    }
}

fn bounded(length: usize) -> io::Result<()> {
    if length > LONGEST_BODY { Err(broken("too long")) } else { Ok(()) }
}

fn broken(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n\
        3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    const TO_THE_END: &str = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello";

    #[test]
    fn a_body_is_whole_when_its_end_has_come() {
        for text in [LENGTH, CHUNKS] {
            let bytes = text.as_bytes();
            let whole = (0..=bytes.len()).find(|length| {
                body(&bytes[..*length], false).unwrap().is_some_and(|body| body == b"hello")
            });
            // Chunks end with an empty one; what follows it is not waited for.
            let end = if text == LENGTH { bytes.len() } else { bytes.len() - 2 };
            assert_eq!(whole, Some(end));
            assert!(body(&bytes[..end - 3], true).is_err(), "cut off");
        }
        assert_eq!(body(TO_THE_END.as_bytes(), false).unwrap(), None);
        assert_eq!(body(TO_THE_END.as_bytes(), true).unwrap().as_deref(), Some(&b"hello"[..]));
    }

    #[test]
    fn refusals_and_endless_bodies_are_faults() {
        for text in [
            "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n[]".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(LONGEST_BODY + 1)),
            "x".repeat(LONGEST_HEAD + 1),
        ] {
            assert!(body(text.as_bytes(), false).is_err(), "{}", &text[..40]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            for head in ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] {
                let text = [head.as_bytes(), &rest].concat();
                let _ = (body(&text, false), body(&text, true));
            }
        }
    }
}
