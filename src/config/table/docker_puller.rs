//! `[compat.docker_puller]`: the drop-in for docker-puller, with its token and what its hooks ask for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::names::{HookName, Reference};
use super::reader::{Holder, Reader, UsedSecret};
use crate::auth::AddressToken;
use crate::config::document::Document;
use crate::config::document::key_path::KeyPath;
use crate::config::document::problem::Problem;
use crate::config::document::value::FilePath;
use crate::deploy::catalog::Catalog;
use crate::model::{ImageReference, KeyId, ProjectName};
use crate::senders::docker_puller::{CALLER, PullerHook};

/// The drop-in for docker-puller: `POST /?token=TOKEN&hook=NAME` and `POST /TOKEN/PROJECT/NAME` on the hook port are
/// answered as docker-puller did. It is off without this table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    /// The file that has the token of all callers. Only its owner can read it (0600). A bare name is looked for in
    /// $CREDENTIALS_DIRECTORY, then beside this file, then in `keys` beside this file.
    pub(crate) token_file: FilePath,
    /// Whether the token may have fewer than 24 bytes. Such a token can be guessed, and `windlass check` says so each
    /// time.
    #[serde(default)]
    pub(crate) allow_short_token: bool,
    /// The hooks by name.
    #[serde(default)]
    pub(crate) hooks: BTreeMap<HookName, Hook>,
}

/// A hook deploys these images of this project. A call can ask for nothing else.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct Hook {
    /// The project that is deployed.
    pub(crate) project: ProjectName,
    /// The images that are deployed, with their tags. The project has to allow them.
    #[schemars(length(min = 1))]
    pub(crate) images: Vec<Reference>,
}

/// Reads the token, and finds what is wrong or odd about the table.
pub(crate) fn token(reader: &mut Reader<'_>, table: &Table) -> Option<AddressToken> {
    let at = path().key("token_file");
    let id: KeyId = CALLER.parse().ok()?;
    let directory = reader.document.directory();
    let read = reader.secrets.read(&table.token_file.0, directory).map_err(|error| error.to_string());
    let token = read.and_then(|(file, text)| {
        AddressToken::new(id, &text).map_err(|error| format!("{}: {error}", file.display())).map(|token| (file, token))
    });
    let (file, token) = match token {
        Ok(found) => found,
        Err(what) => {
            reader.problem(&at, what);
            return None;
        }
    };
    if let Some(bytes) = token.too_short() {
        let (file, least) = (file.display(), AddressToken::LEAST_BYTES);
        let what = format!("{file}: the token has {bytes} bytes, and one of fewer than {least} can be guessed");
        let problem = reader.document.problem(&at, what);
        if table.allow_short_token {
            let fix = "anyone who guesses it can trigger these hooks: give the callers one from `windlass key new --scheme bearer`";
            reader.warnings.push(problem.fix(fix));
        } else {
            let fix = "make one with `windlass key new --scheme bearer`, or write `allow_short_token = true` until all callers have it";
            reader.problems.push(problem.fix(fix));
        }
    }
    if table.hooks.is_empty() {
        reader.warning(&path(), "has no hooks: every call is answered \"Hook not found\"");
    }
    reader.used.push(UsedSecret { fingerprint: token.fingerprint(), holder: Holder::DockerPuller, at });
    Some(token)
}

/// Lets the callers of `hooks` ask for what these deploy.
pub(crate) fn let_in(projects: &mut Catalog, hooks: &HashMap<String, PullerHook>) {
    let Ok(caller) = CALLER.parse::<KeyId>() else { return };
    for hook in hooks.values() {
        // Nobody else has the catalog yet.
        if let Some(project) = projects.get_mut(&hook.project).and_then(Arc::get_mut)
            && !project.services.contains(&caller)
        {
            project.services.push(caller.clone());
        }
    }
}

/// What each hook asks for. What its project would refuse at every call is told now.
pub(crate) fn hooks(
    document: &Document,
    tables: BTreeMap<HookName, Hook>,
    projects: &Catalog,
    problems: &mut Vec<Problem>,
) -> HashMap<String, PullerHook> {
    let mut hooks = HashMap::new();
    // A project that could not be read is not unknown.
    let all_are_known = problems.is_empty();
    for (HookName(name), hook) in tables {
        let at = path().key("hooks").key(&name);
        let told = document.is_told(&at.key("images"), problems);
        let mut problem = |key: &str, what: String| problems.push(document.problem(&at.key(key), what));
        if hook.images.is_empty() && !told {
            problem("images", "needs at least one image, such as \"ghcr.io/acme/shop:latest\"".to_owned());
        }
        let images: Vec<ImageReference> = hook.images.into_iter().map(|image| image.0).collect();
        let repositories: BTreeSet<_> = images.iter().map(ImageReference::repository).collect();
        if repositories.len() < images.len() {
            problem("images", "names a repository twice".to_owned());
        }
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

    use crate::config::testbed::{SHOP, Testbed};

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
        assert_snapshot!(with("abc123", PULLER).problems(), @"config.toml:2:14: compat.docker_puller.token_file: keys/token: the token has 6 bytes, and one of fewer than 24 can be guessed; make one with `windlass key new --scheme bearer`, or write `allow_short_token = true` until all callers have it");
        let allowed = PULLER.replace("'token'\n", "'token'\nallow_short_token = true\n");
        assert_snapshot!(with("abc123", &allowed).problems(), @"warning: config.toml:2:14: compat.docker_puller.token_file: keys/token: the token has 6 bytes, and one of fewer than 24 can be guessed; anyone who guesses it can trigger these hooks: give the callers one from `windlass key new --scheme bearer`");
        assert_snapshot!(with(&long(), &allowed).problems(), @"");
    }

    #[test]
    fn a_token_is_a_secret_like_a_key() {
        let key = std::fs::read_to_string(with("", "").path().join("keys/ci.key")).unwrap();
        assert_snapshot!(with(&key, PULLER).problems(), @"projects.d/shop.toml:7:15: projects.shop.keys[0].secret_file: key ci of project shop has the same secret as the token of docker-puller (config.toml); make another with `windlass key new`");
        assert_snapshot!(with("\n", PULLER).problems(), @"config.toml:2:14: compat.docker_puller.token_file: keys/token: the key is empty: make one with `windlass key new`");
        assert_snapshot!(with("two words", PULLER).problems(), @"config.toml:2:14: compat.docker_puller.token_file: keys/token: the key has characters that cannot be part of it, such as a second line: write it as plain text, on one line");
        assert_snapshot!(with("x", PULLER).secret("keys/token", &long(), 0o644).problems(), @"config.toml:2:14: compat.docker_puller.token_file: keys/token can be read by others than its owner (mode 0644); run `chmod 600 keys/token`");
        assert_snapshot!(with("x", &PULLER.replace("'token'", "'gone'")).problems(), @"config.toml:2:14: compat.docker_puller.token_file: no such file: looked for gone, keys/gone");
    }

    #[test]
    fn what_would_be_refused_at_every_call_is_refused_at_the_start() {
        let twice = "[compat.docker_puller.hooks.'a/b']\nproject = 'shop'\nimages = []\n";
        let text = PULLER.replace("'shop'", "'other'") + twice;
        assert_snapshot!(with(&long(), &text).problems(), @r#"
        config.toml:8:10: compat.docker_puller.hooks."a/b".images: needs at least one image, such as "ghcr.io/acme/shop:latest"
        config.toml:4:11: compat.docker_puller.hooks.myHook_1.project: there is no project other
        "#);
        assert_snapshot!(with(&long(), &PULLER.replace("ghcr.io/acme/shop:latest", "ghcr.io/acme/shop")).problems(), @r#"config.toml:5:11: compat.docker_puller.hooks.myHook_1.images[0]: "ghcr.io/acme/shop" is not an image with its tag, such as "ghcr.io/acme/shop:live""#);
        assert_snapshot!(with(&long(), &PULLER.replace(":latest'", ":latest', 'ghcr.io/acme/shop:v1'")).problems(), @"config.toml:5:10: compat.docker_puller.hooks.myHook_1.images: names a repository twice");
        assert_snapshot!(with(&long(), &PULLER.replace("acme/shop:", "acme/web:")).problems(), @"config.toml:5:10: compat.docker_puller.hooks.myHook_1.images: project shop does not take it: ghcr.io/acme/web is not among the images of this project");
        assert_snapshot!(with(&long(), &PULLER.replace("ghcr.io/acme/shop:latest", "shop:latest")).problems(), @"config.toml:5:11: compat.docker_puller.hooks.myHook_1.images[0]: write the full name with its registry, such as `docker.io/library/shop:latest`");
        assert_snapshot!(with(&long(), &PULLER.replace("myHook_1", "''")).problems(), @r#"config.toml:3:29: compat.docker_puller.hooks."": a hook's name has 1 to 200 bytes, and no control characters"#);
        assert_snapshot!(with(&long(), "[compat.docker_puller]\ntoken_file = 'token'\n").problems(), @r#"warning: config.toml:1:9: compat.docker_puller: has no hooks: every call is answered "Hook not found""#);
        assert_snapshot!(with(&long(), "[compat.docker_pullr]\ntoken_file = 'token'\n").problems(), @"config.toml:1:9: compat.docker_pullr: unknown key; did you mean `docker_puller`?");
    }
}
