//! Tells the service manager how the guard is: a datagram to the socket it
//! named. Where none is named, nothing is sent.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Ready, reloading, stopping, as systemd reads it.
#[derive(Debug, Default)]
pub struct Notifier(Option<SocketAddr>);

impl Notifier {
    /// `name` is what `NOTIFY_SOCKET` says: a path, or an abstract name after
    /// an `@`. One that cannot be a socket is as none.
    pub fn new(name: Option<&str>) -> Notifier {
        Notifier(name.and_then(|name| match name.strip_prefix('@') {
            Some(name) => abstract_address(name).ok(),
            None => SocketAddr::from_pathname(name).ok().filter(|_| name.starts_with('/')),
        }))
    }

    /// `READY=1`, `STATUS=…`; several at once are one a line. Never waits, and
    /// a manager that has gone is no fault of ours.
    pub fn tell(&self, state: &str) {
        if let Some(address) = &self.0 {
            drop(send(address, state));
        }
    }
}

fn send(address: &SocketAddr, state: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), address).map(drop)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_arrives_at_a_path() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        Notifier::new(path.to_str()).tell("READY=1\nSTATUS=level normal");
        let mut heard = [0; 64];
        let count = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..count], b"READY=1\nSTATUS=level normal");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_told_arrives_at_an_abstract_name() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("plimsoll-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        Notifier::new(Some(&format!("@{name}"))).tell("STOPPING=1");
        let mut heard = [0; 64];
        let count = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..count], b"STOPPING=1");
    }

    #[test]
    fn without_a_manager_nothing_is_told() {
        for name in [None, Some("/nowhere/at/all"), Some("relative"), Some("")] {
            Notifier::new(name).tell("READY=1");
        }
    }
}
