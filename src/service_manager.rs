//! The service manager that runs windlass, where one does: it is told what goes on, and hands sockets over.
//!
//! The protocols are those of sd_notify(3) and sd_listen_fds(3). A service manager that does not listen changes nothing.

use std::ffi::OsStr;
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;
use nix::time::{ClockId, clock_gettime};

/// Whoever started windlass and wants to know how it is. Where nobody does, nothing is said.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names.
    #[must_use]
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let socket = variable("NOTIFY_SOCKET").and_then(|address| {
            connect(&address).inspect_err(|error| tracing::warn!(%error, "failed to reach the service manager")).ok()
        });
        // The watchdog may be meant for a parent that passed its environment on.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0).map(Duration::from_micros);
        Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// Whether there is anybody to tell.
    #[must_use]
    pub const fn listens(&self) -> bool {
        self.socket.is_some()
    }

    /// How often it wants a sign of life, if at all.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Everything works; also after [`ServiceManager::reloading`].
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// What is being done, in one line for people.
    pub fn status(&self, line: &str) {
        self.tell(&format!("STATUS={}", line.replace('\n', " ")));
    }

    /// The configuration is being read again.
    pub fn reloading(&self) {
        // Without a clock that it can compare, a manager would not know which reload is meant.
        if let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) {
            self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", Duration::from(now).as_micros()));
        }
    }

    /// The end has begun, and may take so long.
    pub fn stopping(&self, at_most: Duration) {
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", at_most.as_micros()));
    }

    /// A sign of life.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, message: &str) {
        let told = self.socket.as_ref().map(|socket| socket.send(message.as_bytes()));
        if let Some(Err(error)) = told {
            tracing::debug!(%error, message, "the service manager did not listen");
        }
    }
}

fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.as_bytes() {
        // An abstract name stands in no directory.
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        _ => socket.connect(address)?,
    }
    Ok(socket)
}

/// The sockets on which the service manager listens for windlass; whoever connects while windlass does not run waits
/// there. To be called while there is one thread only: what it takes is taken out of the environment.
///
/// # Errors
/// When one of them is no TCP socket.
pub fn handed_over() -> io::Result<Vec<TcpListener>> {
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..given.len() {
        if let Some(listener) = given.take_tcp_listener(index)? {
            listener.set_nonblocking(true)?;
            listeners.push(listener);
        }
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(address: &str, socket: &UnixDatagram, tell: impl FnOnce(&ServiceManager)) -> String {
        let manager = ServiceManager { socket: Some(connect(OsStr::new(address)).unwrap()), watchdog: None };
        tell(&manager);
        let mut message = [0; 256];
        let count = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..count]).into_owned()
    }

    #[test]
    fn each_message_is_one_datagram_in_the_words_of_sd_notify() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let address = path.to_str().unwrap();
        assert_eq!(heard(address, &socket, ServiceManager::ready), "READY=1");
        assert_eq!(heard(address, &socket, ServiceManager::alive), "WATCHDOG=1");
        assert_eq!(heard(address, &socket, |manager| manager.status("one\ntwo")), "STATUS=one two");
        let stopping = heard(address, &socket, |manager| manager.stopping(Duration::from_secs(2)));
        assert_eq!(stopping, "STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000");
        let reloading = heard(address, &socket, ServiceManager::reloading);
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn a_manager_may_listen_under_an_abstract_name() {
        let name = format!("windlass-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        assert_eq!(heard(&format!("@{name}"), &socket, ServiceManager::ready), "READY=1");
    }

    #[test]
    fn where_nobody_listens_nothing_happens() {
        ServiceManager::default().ready();
        assert!(connect(OsStr::new("/nowhere/notify")).is_err());
    }
}
