//! Who is at the other end of a connection, as far as the system knows without asking.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use nix::unistd::{Uid, User};

use super::error::Error;
use super::places::Place;
use super::socket::{Flushes, Lengths};

/// The other end of a connection. Every request that came over one carries it.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) origin: Origin,
    /// To learn when everything written has left.
    pub(super) flushes: Flushes,
    /// The `Content-Length` lines that came over the connection.
    pub(super) lengths: Lengths,
    /// The connection's place.
    pub(super) place: Arc<Place>,
}

impl Peer {
    /// Refuses a request whose answer takes long if its key has its share of connections already.
    pub(super) fn must_keep_its_place(head: &Parts) -> Result<(), Error> {
        match head.extensions.get::<Self>() {
            Some(peer) if peer.place.is_surplus() => Err(Error::TooManyOpen),
            _ => Ok(()),
        }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// From the network, or through a proxy on this host: whatever else a header claims is not believed.
    Network(SocketAddr),
    /// From a process on this host, of this user.
    Host { uid: Option<u32> },
}

impl Origin {
    /// The address, unless it is a process of this host.
    pub(super) const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Network(address) => Some(address.ip()),
            Self::Host { .. } => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => write!(f, "{address}"),
            Self::Host { uid: Some(uid) } => write!(f, "uid {uid}"),
            Self::Host { uid: None } => f.write_str("this host"),
        }
    }
}

/// The name of the user at the other end, as the system knows it.
pub(super) struct Operator(pub(super) String);

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let origin = head.extensions.get::<Peer>().map(|peer| peer.origin);
        let Some(Origin::Host { uid: Some(uid) }) = origin else { return Ok(Self("an operator".to_owned())) };
        // The answer may come from a directory somewhere on the network.
        let user = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(uid)));
        Ok(Self(match user.await {
            Ok(Ok(Some(user))) => user.name,
            _ => format!("uid {uid}"),
        }))
    }
}
