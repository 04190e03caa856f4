//! The text of a new project's file, for somebody who will read and change it.

use std::path::Path;

use super::super::quote::quote;
use crate::model::{ProjectName, Repository, UnitName};

/// What the file says.
#[derive(Debug)]
pub(super) struct ProjectFile<'a> {
    pub(super) project: &'a ProjectName,
    pub(super) images: &'a [Repository],
    pub(super) left_out: &'a [(String, String)],
    pub(super) target: &'a Target<'a>,
    pub(super) key_file: &'a str,
}

/// What puts it into service.
#[derive(Debug)]
pub(super) enum Target<'a> {
    /// The compose files in this directory.
    Compose(&'a Path),
    /// This unit.
    Unit(&'a UnitName),
}

impl Target<'_> {
    /// Its table in the file.
    fn table(&self, project: &ProjectName, images: &[Repository]) -> String {
        match self {
            Self::Compose(directory) => format!(
                "\
[projects.{project}.compose]
directory = {}

# The health checks and restarts of the containers are always watched. A check from outside proves more:
",
                quote(&directory.to_string_lossy())
            ),
            Self::Unit(unit) => {
                let images: Vec<String> = images.iter().map(|image| quote(&format!("{image}:latest"))).collect();
                format!(
                    "\
[projects.{project}.systemd]
unit = {}
# restart, reload or reload-or-restart:
# action = \"restart\"
# What the unit calls the image; on this host that name is the release. When this is not said:
# references = [{}]

# The unit's state and restarts are always watched. A check from outside proves more:
",
                    quote(unit.as_str()),
                    images.join(", ")
                )
            }
        }
    }
}

impl ProjectFile<'_> {
    /// Its text.
    pub(super) fn text(&self) -> String {
        let Self { project, images, left_out, target, key_file } = self;
        let table = target.table(project, images);
        let images: Vec<String> = images.iter().map(|image| quote(&image.to_string())).collect();
        let left_out: String =
            left_out.iter().map(|(service, why)| format!("# Not deployed: {}\n", one_comment(service, why))).collect();
        format!(
            "\
# The project {project}: what may be deployed, who may ask, and how it is put into service.

[projects.{project}]
# The only repositories that can be deployed here, by their full names.
images = [{images}]
{left_out}# Which tags; all of them when this is not said.
# tags = [\"main-*\", \"v*\"]

[[projects.{project}.keys]]
id = \"ci\"
scheme = \"standard\"
secret_file = {key_file}

{table}# [projects.{project}.health]
# http = \"http://127.0.0.1:8080/health\"
",
            images = images.join(", "),
            key_file = quote(key_file),
        )
    }
}

fn one_comment(service: &str, why: &str) -> String {
    crate::model::one_line(&format!("{service} {why}"), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_it_means_and_nothing_in_it_can_be_taken_for_something_else() {
        let text = ProjectFile {
            project: &"shop".parse().unwrap(),
            images: &["ghcr.io/acme/shop-api".parse().unwrap(), "ghcr.io/acme/shop-web".parse().unwrap()],
            left_out: &[("db".to_owned(), "uses docker.io/library/postgres\n[x]".to_owned())],
            target: &Target::Compose(Path::new("/srv/a \"shop\"\n")),
            key_file: "shop-ci.key",
        }
        .text();
        insta::assert_snapshot!(text, @r#"
        # The project shop: what may be deployed, who may ask, and how it is put into service.

        [projects.shop]
        # The only repositories that can be deployed here, by their full names.
        images = ["ghcr.io/acme/shop-api", "ghcr.io/acme/shop-web"]
        # Not deployed: db uses docker.io/library/postgres [x]
        # Which tags; all of them when this is not said.
        # tags = ["main-*", "v*"]

        [[projects.shop.keys]]
        id = "ci"
        scheme = "standard"
        secret_file = "shop-ci.key"

        [projects.shop.compose]
        directory = """
        /srv/a "shop"
        """

        # The health checks and restarts of the containers are always watched. A check from outside proves more:
        # [projects.shop.health]
        # http = "http://127.0.0.1:8080/health"
        "#);
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["projects"]["shop"]["compose"]["directory"].as_str(), Some("/srv/a \"shop\"\n"));
    }

    #[test]
    fn a_unit_is_named_with_what_it_calls_the_image() {
        let text = ProjectFile {
            project: &"site".parse().unwrap(),
            images: &["r.io/site".parse().unwrap()],
            left_out: &[],
            target: &Target::Unit(&"app@blue.service".parse().unwrap()),
            key_file: "site-ci.key",
        }
        .text();
        let (_, table) = text.split_once("secret_file").unwrap();
        insta::assert_snapshot!(table, @r#"
         = "site-ci.key"

        [projects.site.systemd]
        unit = "app@blue.service"
        # restart, reload or reload-or-restart:
        # action = "restart"
        # What the unit calls the image; on this host that name is the release. When this is not said:
        # references = ["r.io/site:latest"]

        # The unit's state and restarts are always watched. A check from outside proves more:
        # [projects.site.health]
        # http = "http://127.0.0.1:8080/health"
        "#);
    }
}
