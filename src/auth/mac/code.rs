//! The message authentication code under every row: HMAC with SHA-256 (RFC 2104).

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::super::Secret;

/// A code as it was computed here. It can only be compared in constant time.
pub(in crate::auth) struct Code([u8; 32]);

impl Code {
    /// The code of all `parts`, one after the other.
    pub(in crate::auth) fn of(secret: &Secret, parts: &[&[u8]]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length: the error is of other codes")]
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
        for part in parts {
            mac.update(part);
        }
        Self(mac.finalize().into_bytes().into())
    }

    /// Whether `claimed` is this code. The whole of it: a code of any other length is not one.
    pub(super) fn is(&self, claimed: &[u8; 32]) -> bool {
        self.0.ct_eq(claimed).into()
    }

    pub(in crate::auth) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::hex;
    use super::*;

    // RFC 4231 (1, 2), octokit/webhooks-methods.js, CircleCI's documentation: keys too short to be one here.
    #[test]
    fn the_code_is_the_one_that_others_compute() {
        let unicode = r#"{"foo":"Foo\n\u001B[34mbar: ♥♥♥♥♥♥♥♥\nthis-is-lost\u001B[0m\u001B[2K"}"#;
        for (key, body, code) in [
            (&[0x0b; 20][..], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (b"mysecret", r#"{"foo":"bar"}"#, "4864d2759938a15468b5df9ade20bf161da9b4f737ea61794142f3484236bda3"),
            (b"development", unicode, "afecc3caa27548bb90d51a50384cb2868b9a3327b4ad6a01c9bd4ed0f8b0b12c"),
            (
                b"hunter123",
                "an-important-request-payload",
                "9be2242094a9a8c00c64306f382a7f9d691de910b4a266f67bd314ef18ac49fa",
            ),
        ] {
            let secret = Secret::new(key.to_vec());
            let claimed = hex::decode(code).unwrap();
            assert!(Code::of(&secret, &[body.as_bytes()]).is(&claimed), "{body}");
            let (head, tail) = body.as_bytes().split_at(3);
            assert!(Code::of(&secret, &[head, b"", tail]).is(&claimed), "{body} in parts");
            assert!(!Code::of(&secret, &[tail, head]).is(&claimed), "{body} in another order");
        }
    }

    #[test]
    fn a_text_that_was_parsed_and_written_again_has_another_code() {
        let secret = Secret::new(b"development".to_vec());
        let claimed = hex::decode("afecc3caa27548bb90d51a50384cb2868b9a3327b4ad6a01c9bd4ed0f8b0b12c").unwrap();
        let written_again = r#"{"foo":"Foo\n\u001b[34mbar: ♥♥♥♥♥♥♥♥\nthis-is-lost\u001b[0m\u001b[2K"}"#;
        assert!(!Code::of(&secret, &[written_again.as_bytes()]).is(&claimed));
    }

    #[test]
    fn a_code_that_differs_in_one_bit_is_another_code() {
        let mac = Code::of(&Secret::dummy(), &[b"body"]);
        for position in 0..256 {
            let mut claimed = *mac.as_bytes();
            claimed[position / 8] ^= 1 << (position % 8);
            assert!(!mac.is(&claimed), "bit {position}");
        }
    }
}
