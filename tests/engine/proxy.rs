//! A door in front of a registry that can be held and shut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::program::{PATIENCE, eventually};

/// The type of the first record that a TLS client sends (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Lets everything pass until it is told otherwise.
pub struct Proxy {
    /// `127.0.0.1:PORT`.
    pub address: String,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many bytes may still come from the registry; nothing means any number.
    allowance: Option<u64>,
    /// Whether something waits because of that.
    held: bool,
    shut: bool,
    /// What every request is answered with, instead of by the registry.
    answer: Option<String>,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy in front of `127.0.0.1:port`.
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::<Shared>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                shared.join(client, port);
            }
        });
        Self { address, state }
    }

    /// From now on only so many bytes come through from the registry; the rest waits.
    pub fn hold_after(&self, bytes: u64) {
        self.change(|state| state.allowance = Some(bytes));
    }

    /// Waits until something is held.
    pub fn until_held(&self) {
        eventually(PATIENCE, "a pull to be held", || self.state.lock().held.then_some(()));
    }

    /// Lets pass again what was held.
    pub fn release(&self) {
        self.change(|state| {
            state.allowance = None;
            state.held = false;
        });
    }

    /// Breaks off what is under way, and whatever comes.
    pub fn shut(&self) {
        self.change(|state| {
            state.shut = true;
            for stream in state.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        self.release();
    }

    /// Answers every request itself from now on, with a whole HTTP response; with nothing the registry answers again.
    pub fn answer_with(&self, answer: Option<&str>) {
        self.change(|state| {
            state.answer = answer.map(str::to_owned);
            for stream in state.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }

    /// Lets connections in again.
    pub fn open(&self) {
        self.change(|state| state.shut = false);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.state.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins a client with the registry, unless the door is shut.
    fn join(self: &Arc<Self>, client: TcpStream, port: u16) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
        {
            let mut state = self.lock();
            if state.shut {
                return;
            }
            if let Some(answer) = state.answer.clone() {
                std::thread::spawn(move || respond(client, &answer));
                return;
            }
            state.open.extend([&client, &server].iter().filter_map(|stream| stream.try_clone().ok()));
        }
        let streams = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || pass(streams.0, streams.1, |_| {}));
        let shared = Arc::clone(self);
        std::thread::spawn(move || pass(server, client, |bytes| shared.take(bytes)));
    }

    /// Waits until so many bytes may pass.
    fn take(&self, bytes: u64) {
        let mut state = self.lock();
        loop {
            match &mut state.allowance {
                Some(left) if *left < bytes => state.held = true,
                Some(left) => {
                    *left -= bytes;
                    return;
                }
                None => return,
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Answers one request, whatever it was. To the engine's first question, whether it speaks TLS, it says no at once.
fn respond(mut client: TcpStream, answer: &str) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(client.read(&mut byte), Ok(1)) {
            return;
        }
        if head.is_empty() && byte[0] == TLS_HANDSHAKE {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            return;
        }
        head.push(byte[0]);
    }
    let _ = client.write_all(answer.as_bytes());
    let _ = client.shutdown(Shutdown::Write);
    let _ = client.read(&mut byte);
}

fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn(u64)) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        before(count as u64);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
