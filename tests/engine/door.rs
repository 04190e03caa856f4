//! A door in front of an engine that holds requests, and lets them pass in the order in which they came.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::program::{PATIENCE, eventually};

/// Lets everything pass but what speaks of a certain thing.
pub struct EngineDoor {
    /// `tcp://…`, to be used in place of the engine's own address.
    pub address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// How long a request has the engine for itself that was held. What nobody waits for any more is carried out all the same, and
/// before what was asked later.
const HEAD_START: Duration = Duration::from_millis(500);

#[derive(Default)]
struct State {
    /// What a request must have in it to be held.
    held_back: Option<String>,
    held: bool,
    /// How many were held.
    tickets: u64,
    /// Those that are held, or have not had their time yet.
    queue: VecDeque<u64>,
}

impl EngineDoor {
    /// In front of the engine of `DOCKER_HOST`, which has a socket.
    pub fn new() -> Self {
        let engine = std::env::var("DOCKER_HOST").unwrap_or_default();
        let engine = engine.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if let Ok(server) = UnixStream::connect(&engine) {
                    state.join(client, server);
                }
            }
        });
        Self { address, shared }
    }

    /// From now on, a request that has `text` in its first line waits.
    pub fn hold(&self, text: &str) {
        self.shared.state.lock().unwrap().held_back = Some(text.to_owned());
    }

    /// Waits until a request is held.
    pub fn until_held(&self) {
        eventually(PATIENCE, "a request to be held", || self.shared.state.lock().unwrap().held.then_some(()));
    }

    /// Lets pass what was held.
    pub fn release(&self) {
        let mut state = self.shared.state.lock().unwrap();
        (state.held_back, state.held) = (None, false);
        self.shared.changed.notify_all();
    }
}

impl Drop for EngineDoor {
    fn drop(&mut self) {
        self.release();
    }
}

impl Shared {
    fn join(self: &Arc<Self>, mut client: TcpStream, mut server: UnixStream) {
        let (mut to_client, mut from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_server, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Both);
        });
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = client.read(&mut buffer) {
                let ticket = shared.wait(&String::from_utf8_lossy(&buffer[..count]));
                let written = server.write_all(&buffer[..count]);
                if ticket.is_some() {
                    std::thread::sleep(HEAD_START);
                    shared.state.lock().unwrap().queue.pop_front();
                    shared.changed.notify_all();
                }
                if written.is_err() {
                    break;
                }
            }
            let _ = server.shutdown(Shutdown::Both);
        });
    }

    /// Waits for as long as such a request is held back, and for those that were held before it; its ticket if it was held.
    fn wait(&self, request: &str) -> Option<u64> {
        let first = request.lines().next().unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        let is_held = |state: &State| state.held_back.as_ref().is_some_and(|text| first.contains(text.as_str()));
        if !is_held(&state) {
            return None;
        }
        let ticket = state.tickets;
        state.tickets += 1;
        state.queue.push_back(ticket);
        while is_held(&state) || state.queue.front() != Some(&ticket) {
            state.held = state.held_back.is_some();
            state = self.changed.wait(state).unwrap();
        }
        Some(ticket)
    }
}
