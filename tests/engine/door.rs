//! A door in front of an engine that holds requests.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};

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

#[derive(Default)]
struct State {
    /// What a request must have in it to be held.
    wanted: Option<String>,
    /// Whether one is held.
    held: bool,
    /// How often what was held was released.
    releases: u64,
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

    /// From now on, a request that has `text` in its first line waits. The engine carries it out when it passes, even
    /// where nobody waits for the answer any more.
    pub fn hold(&self, text: &str) {
        self.shared.state.lock().unwrap().wanted = Some(text.to_owned());
    }

    /// Waits until a request is held.
    pub fn until_held(&self) {
        eventually(PATIENCE, "a request to be held", || self.shared.state.lock().unwrap().held.then_some(()));
    }

    /// Holds no further request. What is held stays so.
    pub fn hold_no_more(&self) {
        self.shared.state.lock().unwrap().wanted = None;
    }

    /// Lets pass what was held, and holds no further request.
    pub fn release(&self) {
        let mut state = self.shared.state.lock().unwrap();
        (state.wanted, state.held) = (None, false);
        state.releases += 1;
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
                shared.wait(&String::from_utf8_lossy(&buffer[..count]));
                if server.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = server.shutdown(Shutdown::Both);
        });
    }

    /// Waits for as long as such a request is held.
    fn wait(&self, request: &str) {
        let first = request.lines().next().unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        if !state.wanted.as_ref().is_some_and(|text| first.contains(text.as_str())) {
            return;
        }
        state.held = true;
        let releases = state.releases;
        while state.releases == releases {
            state = self.changed.wait(state).unwrap();
        }
    }
}
