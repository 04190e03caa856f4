//! Why there was no answer, and what to do about it.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::address::Address;
use super::failure::{Failure, Kind};

/// What to say about a request that got no answer, or only half of one.
pub(super) fn failure(address: &Address, error: &reqwest::Error) -> Failure {
    let (reason, kind) = cause(error);
    let failure = Failure::new(Kind::Unreachable, format!("windlass does not answer at {address}"), &reason);
    match (address, kind) {
        (Address::Socket(_), Some(io::ErrorKind::PermissionDenied)) => {
            failure.fix("be in group windlass: sudo usermod -aG windlass $USER, then log in again")
        }
        (Address::Socket(_), Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)) => {
            failure.fix("is windlass running? systemctl status windlass; from another machine use --url and --key-file")
        }
        (Address::Socket(_), _) => failure.fix("what does it say? journalctl -u windlass -n 50"),
        (Address::Url(_), _) if reason.contains("certificate") => failure.fix(
            "let the service have a certificate that this machine trusts, or name its authority: SSL_CERT_FILE=ca.pem",
        ),
        (Address::Url(url), _) => {
            let port = url.port_or_known_default().unwrap_or(443);
            failure.fix(format!("is the URL right, and may this machine connect to port {port} there?"))
        }
    }
}

/// What to say about one that accepts connections and then says nothing.
pub(super) fn silent(address: &Address, waited: Duration) -> Failure {
    let waited = humantime::format_duration(waited);
    Failure::new(
        Kind::Unreachable,
        format!("windlass does not answer at {address}"),
        format!("no response within {waited}"),
    )
    .fix("what does it say? journalctl -u windlass -n 50, on its host")
}

/// The innermost cause, which is the one that says something.
fn cause(error: &reqwest::Error) -> (String, Option<io::ErrorKind>) {
    let mut innermost: &(dyn Error + 'static) = error;
    let mut kind = None;
    while let Some(source) = innermost.source() {
        innermost = source;
        kind = innermost.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
    }
    let reason = match kind {
        _ if error.is_timeout() => "the connection is not accepted".to_owned(),
        Some(io::ErrorKind::NotFound) => "there is no such socket".to_owned(),
        Some(io::ErrorKind::PermissionDenied) => "permission denied".to_owned(),
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        _ => innermost.to_string(),
    };
    (reason, kind)
}
