//! The drop-in for docker-puller: its token, and what its hooks ask for.

use std::collections::{BTreeMap, HashMap};

use super::document::Document;
use super::key_path::KeyPath;
use super::names::HookName;
use super::part::{Holder, Part, UsedSecret};
use super::problem::Problem;
use super::raw;
use super::secret_file::SecretFiles;
use crate::auth::Token;
use crate::deploy::catalog::Catalog;
use crate::deploy::docker_puller::PullerHook;
use crate::model::KeyId;

/// How logs and answers call whoever has the token.
const CALLER: &str = "docker-puller";

/// Reads the token, and tells `main`, which is `config.toml`, what is wrong or odd about it.
pub(super) fn token(main: &mut Part, raw: &raw::DockerPuller, secrets: &SecretFiles) -> Option<Token> {
    let at = path().key("token_file");
    let id: KeyId = CALLER.parse().ok()?;
    let read = secrets.read(&raw.token_file.0, main.document.directory()).map_err(|error| error.to_string());
    let token = read.and_then(|(file, text)| {
        Token::new(id, &text).map_err(|error| format!("{}: {error}", file.display())).map(|token| (file, token))
    });
    let (file, token) = match token {
        Ok(found) => found,
        Err(what) => {
            main.problems.push(main.document.problem(&at, what));
            return None;
        }
    };
    if let Some(short) = token.too_short() {
        let problem = main.document.problem(&at, format!("{}: {short}", file.display()));
        if raw.allow_short_token {
            main.warnings.push(problem.mend("whoever finds it can repeat the hooks below, and nothing else"));
        } else {
            main.problems.push(problem.mend(
                "give the callers the new one; or, until they have it, `allow_short_token = true`",
            ));
        }
    }
    if raw.hooks.is_empty() {
        let what = "has no hooks: every call is answered \"Hook not found\"".to_owned();
        main.warnings.push(main.document.problem(&path(), what));
    }
    main.secrets.push(UsedSecret { fingerprint: token.fingerprint(), holder: Holder::DockerPuller, at });
    Some(token)
}

/// What each hook asks for. What its project would refuse at every call is told now.
pub(super) fn hooks(
    document: &Document,
    raw: BTreeMap<HookName, raw::PullerHook>,
    projects: &Catalog,
    problems: &mut Vec<Problem>,
) -> HashMap<String, PullerHook> {
    let mut hooks = HashMap::new();
    // A project that could not be read is not unknown.
    let all_are_known = problems.is_empty();
    for (HookName(name), hook) in raw {
        let at = path().key("hooks").key(&name);
        let mut problem = |key: &str, what: String| problems.push(document.problem(&at.key(key), what));
        if hook.images.is_empty() {
            problem("images", "needs at least one image, such as \"ghcr.io/acme/shop:latest\"".to_owned());
        }
        let images: Vec<_> = hook.images.into_iter().map(|image| image.0).collect();
        match projects.get(&hook.project) {
            Some(project) => {
                for refused in images.iter().filter_map(|image| project.spec.allows(image).err()) {
                    problem("images", format!("project {} does not take it: {refused}", hook.project));
                }
            }
            None if all_are_known => problem("project", format!("there is no project {}", hook.project)),
            None => {}
        }
        hooks.insert(name, PullerHook { project: hook.project, images });
    }
    hooks
}

fn path() -> KeyPath {
    KeyPath::of(&["compat", "docker_puller"])
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::testbed::{SHOP, Testbed};

    const PULLER: &str = "[compat.docker_puller]\ntoken_file = 'token'\n[compat.docker_puller.hooks.myHook_1]\n\
                          project = 'shop'\nimages = ['ghcr.io/acme/shop:latest']\n";

    fn with(token: &str, config: &str) -> Testbed {
        Testbed::new().key("ci.key").project(SHOP).secret("keys/token", token, 0o600).file("config.toml", config)
    }

    fn long() -> String {
        "t".repeat(24)
    }

    #[test]
    fn a_hook_asks_for_the_images_that_stand_here() {
        let settings = with(&long(), PULLER).settings(&[("WINDLASS_CONCURRENCY", "7")]);
        let puller = settings.docker_puller.unwrap();
        let hook = &puller.hooks["myHook_1"];
        assert_eq!((hook.project.as_str(), hook.ask().images), ("shop", vec!["ghcr.io/acme/shop:latest".to_owned()]));
        assert!(with(&long(), "").settings(&[]).docker_puller.is_none());
    }

    #[test]
    fn a_short_token_has_to_be_allowed_and_is_a_warning_even_then() {
        assert_snapshot!(with("abc123", PULLER).problems(), @"");
        let allowed = PULLER.replace("'token'\n", "'token'\nallow_short_token = true\n");
        assert_snapshot!(with("abc123", &allowed).problems(), @"");
        assert_snapshot!(with(&long(), &allowed).problems(), @"");
    }

    #[test]
    fn a_token_is_a_secret_like_a_key() {
        let key = std::fs::read_to_string(with("", "").path().join("keys/ci.key")).unwrap();
        assert_snapshot!(with(&key, PULLER).problems(), @"");
        assert_snapshot!(with("\n", PULLER).problems(), @"");
        assert_snapshot!(with("two words", PULLER).problems(), @"");
        assert_snapshot!(with("x", PULLER).secret("keys/token", &long(), 0o644).problems(), @"");
        assert_snapshot!(with("x", &PULLER.replace("'token'", "'gone'")).problems(), @"");
    }

    #[test]
    fn what_would_be_refused_at_every_call_is_refused_at_the_start() {
        let twice = "[compat.docker_puller.hooks.'a/b']\nproject = 'shop'\nimages = []\n";
        let text = PULLER.replace("'shop'", "'other'") + twice;
        assert_snapshot!(with(&long(), &text).problems(), @"");
        assert_snapshot!(with(&long(), &PULLER.replace("ghcr.io/acme/shop:latest", "ghcr.io/acme/shop")).problems(), @"");
        assert_snapshot!(with(&long(), &PULLER.replace("acme/shop:", "acme/web:")).problems(), @"");
        assert_snapshot!(with(&long(), &PULLER.replace("ghcr.io/acme/shop:latest", "shop:latest")).problems(), @"");
        assert_snapshot!(with(&long(), &PULLER.replace("myHook_1", "''")).problems(), @"");
        assert_snapshot!(with(&long(), "[compat.docker_puller]\ntoken_file = 'token'\n").problems(), @"");
        assert_snapshot!(with(&long(), "[compat.docker_pullr]\ntoken_file = 'token'\n").problems(), @"");
    }
}
