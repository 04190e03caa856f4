//! How a project is put into service: by the one table of several that it has.

use super::names::{Image, Reference};
use super::reader::Reader;
use crate::config::document::key_path::KeyPath;
use crate::deploy::spec::Target;
use crate::model::ImageReference;

/// A table that says how a project is put into service.
pub(super) trait TargetTable {
    /// What it means for a project that has these images; nothing when it means nothing.
    fn read(&self, reader: &mut Reader<'_>, at: &KeyPath, images: &[Image]) -> Option<Target>;
}

/// What the one table that is there means, out of all that could be, by their names.
pub(super) fn read(
    reader: &mut Reader<'_>,
    at: &KeyPath,
    images: &[Image],
    tables: &[(&str, Option<&dyn TargetTable>)],
) -> Option<Target> {
    let mut there = tables.iter().filter_map(|(name, table)| Some((*name, (*table)?)));
    match (there.next(), there.next()) {
        (Some((name, table)), None) => table.read(reader, &at.key(name), images),
        (Some((first, _)), Some((second, _))) => {
            let what = format!("has two targets, [{}] and [{}]: keep one", at.key(first), at.key(second));
            reader.problem(at, what);
            None
        }
        (None, _) => {
            if !tables.iter().any(|(name, _)| reader.is_told(&at.key(name))) {
                let all: Vec<String> = tables.iter().map(|(name, _)| format!("[{}]", at.key(name))).collect();
                let all = all.join(", ");
                reader.problem(at, format!("needs a table that says how to put it into service: one of {all}"));
            }
            None
        }
    }
}

/// The names that the target's own files have for the images.
pub(super) fn references(
    reader: &mut Reader<'_>,
    at: &KeyPath,
    images: &[Image],
    references: &[Reference],
) -> Vec<ImageReference> {
    for (i, reference) in references.iter().enumerate() {
        if !images.iter().any(|image| image.0 == *reference.0.repository()) {
            let what = format!("{} is not among the images of this project", reference.0.repository());
            reader.problem(&at.key("references").index(i), what);
        }
    }
    references.iter().map(|reference| reference.0.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::testbed::Testbed;
    use crate::deploy::spec::{Action, CommandLine, Lifecycle};

    fn with(table: &str) -> Testbed {
        let head = "[projects.site]\nimages = ['r.io/site', 'r.io/other']\nkeys = []\n";
        Testbed::new().project(&format!("{head}{table}"))
    }

    fn spec(table: &str) -> crate::deploy::spec::ProjectSpec {
        let key = "[[projects.site.keys]]\nid = 'ci'\nscheme = 'github'\nsecret_file = 'ci.key'\n";
        let head = "[projects.site]\nimages = ['r.io/site', 'r.io/other']\n";
        let testbed = Testbed::new().key("ci.key").project(&format!("{head}{table}\n{key}"));
        (*testbed.settings(&[]).projects[&"site".parse().unwrap()].spec).clone()
    }

    #[test]
    fn every_key_of_a_target_reaches_its_place() {
        let found = spec(
            "[projects.site.systemd]\nunits = ['a@1.service', 'b.service']\naction = 'reload-or-restart'\nreferences = ['r.io/site:live']",
        );
        let Target::Systemd(systemd) = found.target else { panic!("{:?}", found.target) };
        assert_eq!(
            format!("{:?} {:?}", systemd.units, systemd.references),
            "[a@1.service, b.service] [r.io/site:live]"
        );
        assert_eq!(systemd.action, Action::ReloadOrRestart);

        let found = spec("[projects.site.command]\nrun = ['/bin/a', 'b']\nrollback = ['/bin/c']\ndeadline = '10s'");
        let Target::Command(commands) = found.target else { panic!("{:?}", found.target) };
        let line = |words: &[&str]| CommandLine {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            deadline: Duration::from_secs(10),
        };
        assert_eq!((commands.run, commands.rollback), (line(&["/bin/a", "b"]), Some(line(&["/bin/c"]))));

        let found = spec(
            "systemd.unit = 'a.service'\n[projects.site.lifecycle]\nbefore = ['/bin/a', 'b']\non_failure = ['/bin/c']\ndeadline = '10s'",
        );
        let lifecycle =
            Lifecycle { before: Some(line(&["/bin/a", "b"])), after: None, on_failure: Some(line(&["/bin/c"])) };
        assert_eq!(found.lifecycle, lifecycle);
        assert_eq!(found.longest(), found.timeout * 2 + Duration::from_secs(10));
    }

    #[test]
    fn what_is_wrong_with_a_target_is_told() {
        for (table, expected) in [
            (
                "compose.directory = '/'\nsystemd.unit = 'a.service'",
                "projects.d/shop.toml:1:11: projects.site: has two targets, [projects.site.compose] and [projects.site.systemd]: keep one",
            ),
            (
                "systemd.unit = 'site'",
                "projects.d/shop.toml:4:16: projects.site.systemd.unit: \"site\" names no type of unit: write it in full, such as \"site.service\"",
            ),
            ("systemd.unit = '../site.service'", "is not the name of a unit"),
            ("systemd.unit = 'app@.service'", "is a template: name an instance of it, such as \"app@blue.service\""),
            ("systemd.units = ['a.service', 'a.service']", "projects.site.systemd.units: a.service is named twice"),
            (
                "systemd = { unit = 'a.service', units = ['b.service'] }",
                "projects.site.systemd: names its units with `unit` or with `units`, not with both",
            ),
            ("systemd = {}", "projects.site.systemd: needs a unit, such as unit = \"site.service\""),
            (
                "systemd = { unit = 'a.service', action = 'start' }",
                "\"start\" is not one of restart, reload, reload-or-restart",
            ),
            (
                "systemd = { unit = 'a.service', references = ['r.io/third:live'] }",
                "projects.site.systemd.references[0]: r.io/third is not among the images of this project",
            ),
            ("systemd.unit = 'a.container'", "names a `.container`, which has one image"),
            ("command.run = ['restart']", "projects.site.command.run: \"restart\" is not an absolute path"),
            ("command = {}", "projects.site.command: needs a program, such as run = [\"/usr/local/bin/restart-shop\"]"),
            (
                "compose.directory = '/'\nlifecycle.before = []",
                "projects.site.lifecycle.before: needs a program, such as before = [\"/usr/bin/true\"]",
            ),
            (
                "compose.directory = '/'\nlifecycle.befor = []",
                "projects.site.lifecycle.befor: unknown key; did you mean `before`?",
            ),
        ] {
            let problems = with(table).problems();
            assert!(problems.contains(expected), "{table}:\n{problems}");
            assert_eq!(problems.lines().filter(|line| !line.starts_with("warning")).count(), 1, "{table}:\n{problems}");
        }
    }
}
