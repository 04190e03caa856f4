//! The table of senders that sign with a code: all in which one differs from the others is its row.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::key_text::KeyText;
use super::super::{Secret, hex};
use super::code::Code;
use crate::model::DeliveryId;

/// Standard Webhooks, the symmetric signatures (`v1`) of its specification: signs `ID.TIMESTAMP.BODY`.
///
/// The specification's libraries have the same tolerance.
pub(in crate::auth) const STANDARD: Row = Row {
    name: "standard",
    header: "webhook-signature",
    prefix: "v1,",
    separator: Some(' '),
    encoding: Encoding::Base64,
    signed: &[
        Part::Id("webhook-id"),
        Part::Text("."),
        Part::Time { header: "webhook-timestamp", tolerance: 300 },
        Part::Text("."),
        Part::Body,
    ],
    key: KeyText::Whsec,
};

/// As GitHub signs, and Gitea and Forgejo besides.
///
/// It signs neither a time nor an id, so a delivery that somebody recorded proves itself for ever: what keeps it
/// from deploying twice is that its body is its identity; a recorded empty body, which reads, goes on reading.
/// `X-GitHub-Delivery` is not signed and is not looked at, nor is the older `X-Hub-Signature` with SHA-1.
pub(in crate::auth) const GITHUB: Row = Row {
    name: "github",
    header: "x-hub-signature-256",
    prefix: "sha256=",
    separator: None,
    encoding: Encoding::Hex,
    signed: &[Part::Body],
    key: KeyText::Line,
};

/// All rows. Where two prove one request, the first counts: what signs more stands before what signs less.
pub(in crate::auth) const ROWS: &[&Row] = &[&STANDARD, &GITHUB];

/// How a sender signs. The code is HMAC with SHA-256.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Its name in configuration files.
    pub(in crate::auth) name: &'static str,
    /// The header that has the code. Here as below, the name of a header is in lower case.
    pub(in crate::auth) header: &'static str,
    /// What stands before the code.
    pub(in crate::auth) prefix: &'static str,
    /// What stands between several codes, of which one has to be right. Without it, there is one.
    pub(in crate::auth) separator: Option<char>,
    /// How the code is written.
    pub(in crate::auth) encoding: Encoding,
    /// What is signed, one after the other. The body is the last of it; an id and a time end with a text that cannot be
    /// a part of them, so that nothing can be shifted from one part into the next.
    pub(in crate::auth) signed: &'static [Part],
    /// How a key file writes the secret.
    pub(in crate::auth) key: KeyText,
}

/// A part of what is signed.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::auth) enum Part {
    /// The same text each time.
    Text(&'static str),
    /// The id of the delivery, as it stands in this header.
    Id(&'static str),
    /// When it was signed, as it stands in this header.
    Time {
        /// Has seconds since the epoch, as a decimal number.
        header: &'static str,
        /// How far the sender's clock and ours may be apart, in seconds: so many are still accepted.
        tolerance: u64,
    },
    /// The body, byte for byte.
    Body,
}

/// How a code is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::auth) enum Encoding {
    /// 64 digits, in lower or upper case.
    Hex,
    /// With padding (RFC 4648, section 4).
    Base64,
}

impl Row {
    /// The code of a request. A part that is not signed does not matter.
    pub(super) fn code(&self, secret: &Secret, id: &str, time: &str, body: &[u8]) -> Code {
        let part = |part: &Part| match part {
            Part::Text(text) => text.as_bytes(),
            Part::Id(_) => id.as_bytes(),
            Part::Time { .. } => time.as_bytes(),
            Part::Body => body,
        };
        Code::of(secret, &self.signed.iter().map(part).collect::<Vec<_>>())
    }

    /// The text that ends a signed id, when it stands in this id too: what is signed could be read in two ways.
    pub(super) fn ambiguity(&self, id: &DeliveryId) -> Option<&'static str> {
        self.signed.windows(2).find_map(|two| match *two {
            [Part::Id(_), Part::Text(end)] if id.as_str().contains(end) => Some(end),
            _ => None,
        })
    }
}

impl Encoding {
    pub(super) fn encode(self, code: &[u8; 32]) -> String {
        match self {
            Self::Hex => hex::encode(code),
            Self::Base64 => BASE64.encode(code),
        }
    }

    pub(super) fn decode(self, text: &str) -> Option<[u8; 32]> {
        match self {
            Self::Hex => hex::decode(text),
            Self::Base64 => BASE64.decode(text).ok()?.try_into().ok(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use http::HeaderName;

    use super::*;

    /// What the code relies on and the types do not say.
    pub(in crate::auth::mac) fn must_be_sound(row: &Row) {
        let name = row.name;
        let mut headers = vec![row.header];
        for (at, part) in row.signed.iter().enumerate() {
            let next = row.signed.get(at + 1);
            match part {
                Part::Text(text) => assert!(!text.is_empty(), "{name}"),
                Part::Id(header) => {
                    headers.push(header);
                    assert!(matches!(next, Some(Part::Text(end)) if end.len() == 1), "{name}: {next:?}");
                }
                Part::Time { header, .. } => {
                    headers.push(header);
                    let ends = |end: &str| end.starts_with(|c: char| !c.is_ascii_digit());
                    assert!(matches!(next, Some(Part::Text(end)) if ends(end)), "{name}: {next:?}");
                }
                Part::Body => assert_eq!(next, None, "{name}"),
            }
        }
        assert_eq!(row.signed.last(), Some(&Part::Body), "{name}");
        for (at, header) in headers.iter().enumerate() {
            assert_eq!(HeaderName::from_static(header).as_str(), *header);
            assert!(!headers[..at].contains(header), "{name}: {header} has two meanings");
        }
        let written = format!("{}{}", row.prefix, row.encoding.encode(&[0xfb; 32]));
        assert!(row.separator.is_none_or(|separator| !written.contains(separator)), "{name}: {written}");
    }

    #[test]
    fn every_row_can_be_read_in_one_way_only_and_has_a_name_of_its_own() {
        for (at, row) in ROWS.iter().enumerate() {
            must_be_sound(row);
            assert!(ROWS[..at].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
