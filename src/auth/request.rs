//! A request as it was received.

use std::fmt;

use bytes::Bytes;
use http::request::Parts;

/// A request as it was received. It proves nothing: the body is bytes, not yet JSON.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Method, address and headers.
    pub head: &'a Parts,
    /// The body, byte for byte: text that was parsed and written again has another signature.
    pub body: &'a Bytes,
}

// The address and the headers may hold a token, and the body is as long as its sender likes.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} headers, {} bytes)", self.head.headers.len(), self.body.len())
    }
}
