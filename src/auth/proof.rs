//! How a key proves a request, and what it takes: a variant for each family of schemes.
//!
//! This is where families meet, and all that the rest of windlass knows of them. A family is a file that says what a
//! request claims by its head, whether it is proven, and how a client makes it so; its members differ by data alone.
//! What a family needs stands in its variant: a shared secret, and as well a public key, or an issuer whose keys are
//! known. It gets the whole request, since a signature may stand in the address or in the body.

use http::HeaderMap;

use super::Secret;
use super::cannot_sign::CannotSign;
use super::identity::Identity;
use super::key_text::KeyError;
use super::mac::{self, row::Row};
use super::reason::Reason;
use super::request::Request;
use super::scheme::Scheme;
use super::token::{self, Place};
use crate::model::{DeliveryId, Timestamp};

/// How a key proves a request.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// By a code over the request that only the secret makes.
    Mac(&'static Row, Secret),
    /// By the secret itself, in this place of the request.
    Token(Place, Secret),
}

impl Proof {
    /// From the content of a key file.
    pub(super) fn read(scheme: Scheme, content: &str) -> Result<Self, KeyError> {
        Ok(Self::of(scheme, scheme.key_text().read(content)?))
    }

    /// One for work whose result is thrown away.
    pub(super) fn dummy(scheme: Scheme) -> Self {
        Self::of(scheme, Secret::dummy())
    }

    fn of(scheme: Scheme, secret: Secret) -> Self {
        match scheme {
            Scheme::Mac(row) => Self::Mac(row, secret),
            Scheme::Token(place) => Self::Token(place, secret),
        }
    }

    pub(super) const fn scheme(&self) -> Scheme {
        match self {
            Self::Mac(row, _) => Scheme::Mac(row),
            Self::Token(place, _) => Scheme::Token(*place),
        }
    }

    pub(super) const fn secret(&self) -> &Secret {
        match self {
            Self::Mac(_, secret) | Self::Token(_, secret) => secret,
        }
    }

    /// Whether it proves a request, and what makes that the same as another one. Takes as long for a wrong claim as for a
    /// right one.
    pub(super) fn check(&self, request: &Request<'_>, now: Timestamp) -> Result<Identity, Reason> {
        match self {
            Self::Mac(row, secret) => mac::check(row, secret, request, now),
            Self::Token(place, secret) => token::check(*place, secret, request),
        }
    }

    /// The headers that make `body` authentic.
    pub(super) fn sign(&self, id: &DeliveryId, body: &[u8], now: Timestamp) -> Result<HeaderMap, CannotSign> {
        match self {
            Self::Mac(row, secret) => mac::sign(row, secret, id, body, now),
            Self::Token(place, secret) => token::sign(*place, secret, id),
        }
    }
}
