//! What is written about a hook that is taken over, for somebody who will read and change it.

use std::collections::BTreeSet;

use super::super::project_files::{Files, KEY_ID};
use super::super::quote::quote;
use crate::model::{ImageReference, ProjectName, one_line};

/// One hook as it becomes a project.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) hook: String,
    pub(crate) project: ProjectName,
    pub(crate) images: Vec<ImageReference>,
    /// The program by its absolute path, and its arguments.
    pub(crate) run: Vec<String>,
    pub(crate) files: Files,
}

/// As a bare name it is looked for in `keys`.
pub(super) const TOKEN_FILE: &str = "docker-puller.token";

impl Imported {
    /// The text of its project's file.
    pub(super) fn project_file(&self) -> String {
        let Self { hook, project, images, run, files } = self;
        let hook = one_line(hook, 200);
        format!(
            "\
# The project {project}: what docker-puller's hook {hook} did.

[projects.{project}]
# The only repositories that can be deployed here, by their full names, and their tags.
images = {repositories}
tags = {tags}

# For callers that sign, instead of the token that all hooks of docker-puller share: `windlass init {project} --ci all`
# prints what to paste.
[[projects.{project}.keys]]
id = {id}
scheme = \"standard\"
secret_file = {key}

[projects.{project}.command]
# windlass has pulled the image and tagged it when this runs; WINDLASS_IMAGE names it. So take `docker pull` out of the
# program: when what ran before has to be put back, it would pull the bad image again.
run = {run}
# What the program calls the images on this host: these tags are moved to the release.
references = {references}
",
            repositories = list(images.iter().map(ImageReference::repository)),
            tags = list(images.iter().filter_map(ImageReference::tag).collect::<BTreeSet<_>>()),
            id = quote(KEY_ID),
            key = quote(&files.key_name),
            run = list(run),
            references = list(images),
        )
    }
}

/// What config.toml has to say.
pub(super) fn table(hooks: &[Imported], short: bool) -> String {
    let mut text = format!(
        "\
# docker-puller's callers go on as they are: POST /?token=TOKEN&hook=NAME. A token in an address ends up in the logs of
# proxies. Take this out when all callers sign.
[compat.docker_puller]
token_file = {}
",
        quote(TOKEN_FILE)
    );
    if short {
        text.push_str(
            "# It can be guessed. Take this line out when the callers have a longer one.\nallow_short_token = true\n",
        );
    }
    for Imported { hook, project, images, .. } in hooks {
        let (hook, project, images) = (quote(hook), quote(project.as_str()), list(images));
        text.push_str(&format!("\n[compat.docker_puller.hooks.{hook}]\nproject = {project}\nimages = {images}\n"));
    }
    text
}

/// The name of a hook with what a project's name cannot have taken out of it.
pub(super) fn project_name(hook: &str) -> Option<ProjectName> {
    let lower = hook.to_lowercase();
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let plain: String = lower.chars().map(|c| if inner(c) { c } else { '-' }).collect();
    plain.trim_matches(['-', '_']).parse().ok()
}

fn list(texts: impl IntoIterator<Item = impl ToString>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| quote(&text.to_string())).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn imported() -> Imported {
        Imported {
            hook: "My Shop".to_owned(),
            project: project_name("My Shop").unwrap(),
            images: vec!["ghcr.io/acme/shop:latest".parse().unwrap(), "r.io:5000/web:live".parse().unwrap()],
            run: vec!["/opt/my \"shop\".sh".to_owned(), "--now".to_owned()],
            files: Files::of(&project_name("My Shop").unwrap(), Path::new("/etc/windlass")),
        }
    }

    #[test]
    fn a_hook_becomes_a_project_that_runs_its_program() {
        insta::assert_snapshot!(imported().project_file(), @r#"
        # The project my-shop: what docker-puller's hook My Shop did.

        [projects.my-shop]
        # The only repositories that can be deployed here, by their full names, and their tags.
        images = ["ghcr.io/acme/shop", "r.io:5000/web"]
        tags = ["latest", "live"]

        # For callers that sign, instead of the token that all hooks of docker-puller share: `windlass init my-shop --ci all`
        # prints what to paste.
        [[projects.my-shop.keys]]
        id = "ci"
        scheme = "standard"
        secret_file = "my-shop-ci.key"

        [projects.my-shop.command]
        # windlass has pulled the image and tagged it when this runs; WINDLASS_IMAGE names it. So take `docker pull` out of the
        # program: when what ran before has to be put back, it would pull the bad image again.
        run = ['/opt/my "shop".sh', "--now"]
        # What the program calls the images on this host: these tags are moved to the release.
        references = ["ghcr.io/acme/shop:latest", "r.io:5000/web:live"]
        "#);
    }

    #[test]
    fn the_table_says_which_hook_asks_for_what_and_whether_the_token_is_short() {
        insta::assert_snapshot!(table(&[imported()], true), @r#"
        # docker-puller's callers go on as they are: POST /?token=TOKEN&hook=NAME. A token in an address ends up in the logs of
        # proxies. Take this out when all callers sign.
        [compat.docker_puller]
        token_file = "docker-puller.token"
        # It can be guessed. Take this line out when the callers have a longer one.
        allow_short_token = true

        [compat.docker_puller.hooks."My Shop"]
        project = "my-shop"
        images = ["ghcr.io/acme/shop:latest", "r.io:5000/web:live"]
        "#);
        assert!(!table(&[imported()], false).contains("allow_short_token"));
    }

    #[test]
    fn a_project_is_named_as_its_hook_as_far_as_it_can_be() {
        for (hook, name) in
            [("shop", Some("shop")), ("My_Shop 2", Some("my_shop-2")), ("-a.b-", Some("a-b")), ("äß", None)]
        {
            assert_eq!(project_name(hook).as_ref().map(ProjectName::as_str), name, "{hook}");
        }
    }
}
