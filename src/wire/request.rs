//! What may stand in the body of a hook, and in those of the operators' requests.

use serde::{Deserialize, Serialize};

use crate::deploy::request::Ask;
use crate::model::{DeploymentId, visible};

/// The native body of a hook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookBody {
    /// `repository:tag`, `repository@sha256:…` or `repository:tag@sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Instead of `image`: several that move together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    /// What the tag must resolve to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The sender's own count: one lower than the newest accepted is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The commit that was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The git reference that was built.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    /// The person or machine behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Where the build can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
    /// Only the plan is wanted. Here it is signed with the rest, which it is not in the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// An operator's wish to go back: `POST /v1/projects/{p}/rollback`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackBody {
    /// The deployment whose release shall run again; the one before the running one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DeploymentId>,
}

/// An operator's wish to let nothing through: `POST /v1/projects/{p}/freeze`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeBody {
    /// Why; whoever is refused reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For how long, such as `2h`; until unfrozen when absent.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
}

/// Reads the body of a hook.
///
/// # Errors
/// One line that says what is wrong and where.
pub fn parse_hook(body: &[u8]) -> Result<Ask, String> {
    let body: HookBody = parse(body)?;
    let images = match (body.image, body.images) {
        (Some(image), None) => vec![image],
        (None, Some(images)) => images,
        (None, None) => return Err("name an image: {\"image\": \"registry/repository:tag\"}".to_owned()),
        (Some(_), Some(_)) => return Err("write either `image` or `images`, not both".to_owned()),
    };
    Ok(Ask {
        images,
        digest: body.digest,
        sequence: body.sequence,
        commit: body.commit,
        git_ref: body.git_ref,
        actor: body.actor,
        run_url: body.run_url,
        dry_run: body.dry_run.unwrap_or(false),
    })
}

/// Reads a JSON object; an empty body is an object without members.
///
/// # Errors
/// One line that says what is wrong and where.
pub fn parse<T: serde::de::DeserializeOwned + Default>(body: &[u8]) -> Result<T, String> {
    let Some(first) = body.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Err("the body is empty; it must be a JSON object".to_owned());
    };
    // Sequences would do for serde where a struct is expected; a sender who means an object writes one.
    if *first != b'{' {
        return Err("the body must be a JSON object".to_owned());
    }
    serde_json::from_slice(body)
        .map_err(|error| format!("the body is not understood: {}", visible(&error.to_string(), 300)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_names_one_image_or_several() {
        let ask = parse_hook(br#"{"image":"r.io/a:1","sequence":7,"ref":"refs/heads/main","digest":null}"#).unwrap();
        assert_eq!((ask.images, ask.sequence, ask.digest), (vec!["r.io/a:1".to_owned()], Some(7), None));
        assert_eq!(parse_hook(br#"{"images":["r.io/a:1","r.io/b:1"]}"#).unwrap().images.len(), 2);
    }

    #[test]
    fn a_member_that_looks_right_and_is_not_is_shown_as_it_is() {
        let refusal = parse_hook(br#"{"image\u200b": "r.io/a:1"}"#).unwrap_err();
        assert!(refusal.contains(r"unknown field `image\u{200b}`"), "{refusal}");
    }

    #[test]
    fn what_is_not_an_object_with_known_members_is_refused_in_one_line() {
        let deep = format!("{{\"image\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let bodies: [&[u8]; 22] = [
            b"",
            b" ",
            b"null",
            b"[]",
            b"\"x\"",
            b"0",
            b"{}",
            b"{",
            b"{\"image\":1}",
            b"{\"image\":null}",
            b"{\"image\":\"a\",\"image\":\"b\"}",
            b"{\"image\":\"a\"} trailing",
            b"\xef\xbb\xbf{\"image\":\"a\"}",
            b"\xff\xfe{\0",
            b"{\"image\":\"\xff\"}",
            b"{\"image\":\"a\",\"sequence\":-1}",
            b"{\"image\":\"a\",\"sequence\":1e400}",
            b"{\"image\":\"a\",\"sequence\":NaN}",
            b"{\"image\":\"a\",\"images\":[\"b\"]}",
            b"{\"image\":\"a\",\"directory\":\"/etc\"}",
            b"{\"images\":\"a\"}",
            deep.as_bytes(),
        ];
        for body in bodies {
            let refusal = parse_hook(body).unwrap_err();
            assert!(!refusal.contains('\n') && refusal.len() < 400, "{refusal}");
        }
    }
}
