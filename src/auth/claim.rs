//! What a request claims about itself: read from its headers, in the form that its scheme prescribes.

use http::HeaderMap;

use crate::model::Timestamp;

use super::reason::Reason;
use super::{Identity, Scheme, Secret};

/// A well-formed claim of one scheme. Nothing in it is true before [`Claim::is_made_with`] has said so.
pub(super) trait Claim<'h>: Sized {
    /// Whose keys can prove it.
    const SCHEME: Scheme;

    /// Takes it from the headers; looks at no secret and at no body.
    fn read(headers: &'h HeaderMap) -> Result<Self, Reason>;

    /// Whether whoever made it has this secret. Takes as long for a wrong claim as for a right one.
    fn is_made_with(&self, secret: &Secret, body: &[u8]) -> bool;

    /// Whether it was made just now, where the scheme signs a time.
    fn check_time(&self, _now: Timestamp) -> Result<(), Reason> {
        Ok(())
    }

    /// What makes two deliveries of this scheme the same.
    fn identity(self) -> Identity;
}

/// The value of a header that may stand only once. Of two values, an intermediary may have checked the other one.
pub(super) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Reason> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Reason::Missing)?;
    if values.next().is_some() {
        return Err(Reason::Repeated);
    }
    value.to_str().map_err(|_| Reason::Malformed)
}
