//! Why a delivery cannot be signed.

/// Why a delivery cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum CannotSign {
    /// The id would make the signed text ambiguous: this text separates it there from what follows.
    #[error("a delivery id that is signed has no `{0}` in it")]
    Id(&'static str),
    /// The key or the id cannot stand in a header.
    #[error("the key or the delivery id cannot stand in a header")]
    Header(#[from] http::header::InvalidHeaderValue),
}
