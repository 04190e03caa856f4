//! Reads what a request claims in its headers.

use http::HeaderMap;

use super::reason::Reason;

/// The value of a header that may stand only once. Of two values, an intermediary may have checked the other one.
pub(super) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Reason> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Reason::Missing)?;
    if values.next().is_some() {
        return Err(Reason::Repeated);
    }
    value.to_str().map_err(|_| Reason::Malformed)
}
