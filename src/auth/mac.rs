//! The family `Mac`: a code over the request that only who has the secret can make (RFC 2104). Senders differ by their
//! [`Row`] alone.
//!
//! What is not signed is not looked at: an id or a time is a part of what is signed, or it is not there.

pub(super) mod code;
pub(super) mod row;

#[cfg(test)]
mod another;
#[cfg(test)]
mod github;
#[cfg(test)]
mod standard;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Secret;
use super::cannot_sign::CannotSign;
use super::header::only;
use super::identity::Identity;
use super::reason::Reason;
use super::request::Request;
use crate::model::{DeliveryId, Timestamp};

use row::{Part, Row};

/// A sender that changes its key signs with both for a while, which makes two. A longer list is somebody's attempt.
const MOST_CODES: usize = 16;

/// A well-formed claim. Nothing in it is true before [`check`] has said so.
pub(super) struct Claim<'h> {
    codes: Vec<[u8; 32]>,
    /// Where an id is signed.
    id: Option<DeliveryId>,
    /// Where a time is signed.
    sent: Option<Sent<'h>>,
}

struct Sent<'h> {
    /// As it stands there.
    text: &'h str,
    seconds: i64,
    tolerance: u64,
}

impl<'h> Claim<'h> {
    /// Takes it from the headers; looks at no secret and at no body.
    pub(super) fn read(row: &Row, headers: &'h HeaderMap) -> Result<Self, Reason> {
        // All of them are found before the form of one is looked at: which is missing says more about who sends.
        let list = only(headers, row.header)?;
        let (mut id, mut time) = (None, None);
        for part in row.signed {
            match *part {
                Part::Id(header) => id = Some(only(headers, header)?),
                Part::Time { header, tolerance } => time = Some((only(headers, header)?, tolerance)),
                Part::Text(_) | Part::Body => {}
            }
        }
        let read_id = |id: &str| id.parse().ok().filter(|id| row.ambiguity(id).is_none());
        let read_time = |(text, tolerance)| Some(Sent { text, seconds: read_seconds(text)?, tolerance });
        Ok(Self {
            codes: read_codes(row, list).ok_or(Reason::Malformed)?,
            id: id.map(|id| read_id(id).ok_or(Reason::Malformed)).transpose()?,
            sent: time.map(|time| read_time(time).ok_or(Reason::Malformed)).transpose()?,
        })
    }

    /// Whether it was made just now, where a time is signed.
    fn check_time(&self, now: Timestamp) -> Result<(), Reason> {
        let now = now.as_seconds();
        match &self.sent {
            Some(sent) if now.abs_diff(sent.seconds) > sent.tolerance => {
                Err(if sent.seconds < now { Reason::Old } else { Reason::Early })
            }
            _ => Ok(()),
        }
    }
}

/// Whether who made the request has this secret, and made it just now.
pub(super) fn check(row: &Row, secret: &Secret, request: &Request<'_>, now: Timestamp) -> Result<Identity, Reason> {
    let claim = Claim::read(row, &request.head.headers)?;
    let id = claim.id.as_ref().map_or("", DeliveryId::as_str);
    let code = row.code(secret, id, claim.sent.as_ref().map_or("", |sent| sent.text), request.body);
    // No early end: which of the codes is right is nobody's business.
    if !claim.codes.iter().fold(false, |found, claimed| found | code.is(claimed)) {
        return Err(Reason::Unproven);
    }
    claim.check_time(now)?;
    Ok(claim.id.map_or(Identity::Body, Identity::Id))
}

/// The headers that make `body` authentic.
pub(super) fn sign(
    row: &Row,
    secret: &Secret,
    id: &DeliveryId,
    body: &[u8],
    now: Timestamp,
) -> Result<HeaderMap, CannotSign> {
    if let Some(separator) = row.ambiguity(id) {
        return Err(CannotSign::Id(separator));
    }
    let time = now.as_seconds().to_string();
    let code = row.code(secret, id.as_str(), &time, body);
    let mut headers = HeaderMap::new();
    let mut insert = |name, value: &str| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        Ok::<_, CannotSign>(())
    };
    insert(row.header, &format!("{}{}", row.prefix, row.encoding.encode(code.as_bytes())))?;
    for part in row.signed {
        match *part {
            Part::Id(header) => insert(header, id.as_str())?,
            Part::Time { header, .. } => insert(header, &time)?,
            Part::Text(_) | Part::Body => {}
        }
    }
    Ok(headers)
}

/// The codes that begin as the row wants it. Others are passed over, as the Standard Webhooks specification wants it: a
/// sender may add newer ones. Nothing at all when the list itself is out of form.
fn read_codes(row: &Row, list: &str) -> Option<Vec<[u8; 32]>> {
    let mut codes = Vec::new();
    for (position, entry) in list.split(|c| row.separator == Some(c)).enumerate() {
        if position == MOST_CODES || entry.is_empty() {
            return None;
        }
        codes.extend(entry.strip_prefix(row.prefix).and_then(|code| row.encoding.decode(code)));
    }
    // A claim that holds no code would still be worth a computation over the body, and prove nothing.
    if codes.is_empty() { None } else { Some(codes) }
}

/// Seconds since the epoch, in the only form that has one reading: no sign, no blank, no leading zero.
fn read_seconds(text: &str) -> Option<i64> {
    let canonical = text == "0" || !text.starts_with('0');
    if canonical && text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}
