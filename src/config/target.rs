//! What the tables mean that say how a project is put into service, and what is run around that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::key_path::KeyPath;
use super::document::value::FilePath;
use super::names::{Image, Reference};
use super::project::ProjectReader;
use super::raw;
use crate::deploy::spec::{CommandLine, Commands, Compose, Lifecycle, Systemd, Target};
use crate::model::ImageReference;

impl ProjectReader<'_> {
    /// The one table of the three that is there; nothing when none is, or several.
    pub(super) fn target(
        &mut self,
        at: &KeyPath,
        images: &[Image],
        compose: Option<raw::Compose>,
        systemd: Option<raw::Systemd>,
        command: Option<raw::Command>,
    ) -> Option<Target> {
        let tables = [("compose", compose.is_some()), ("systemd", systemd.is_some()), ("command", command.is_some())];
        let there: Vec<&str> = tables.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
        if let [first, second, ..] = there.as_slice() {
            let what = format!("has two targets, [{}] and [{}]: keep one", at.key(first), at.key(second));
            self.problem(at, what);
            return None;
        }
        if let Some(compose) = compose {
            return Some(Target::Compose(self.compose(compose)));
        }
        if let Some(systemd) = systemd {
            return self.systemd(&at.key("systemd"), images, systemd).map(Target::Systemd);
        }
        if let Some(command) = command {
            return self.command(&at.key("command"), images, command).map(Target::Command);
        }
        if !tables.iter().any(|(name, _)| self.document.is_told(&at.key(name), &self.problems)) {
            let tables = ["compose", "systemd", "command"].map(|name| format!("[{}]", at.key(name))).join(", ");
            self.problem(at, format!("needs a table that says how to put it into service: one of {tables}"));
        }
        None
    }

    /// The directory is beside the file that names it, and everything else is in the directory, as it is for
    /// `docker compose` when it is run there.
    fn compose(&self, raw: raw::Compose) -> Compose {
        let directory = plain(&self.document.directory().join(raw.directory.0));
        let inside = |files: Vec<FilePath>| files.iter().map(|file| plain(&directory.join(&file.0))).collect();
        Compose {
            files: inside(raw.files),
            env_files: inside(raw.env_files),
            project_name: raw.project_name.map(|name| name.0),
            profiles: raw.profiles.into_iter().map(|name| name.0).collect(),
            services: raw.services.into_iter().map(|name| name.0).collect(),
            directory,
        }
    }

    fn systemd(&mut self, at: &KeyPath, images: &[Image], raw: raw::Systemd) -> Option<Systemd> {
        if raw.unit.is_some() && !raw.units.is_empty() {
            self.problem(at, "names its units with `unit` or with `units`, not with both");
        }
        let mut units = Vec::new();
        for unit in raw.unit.into_iter().chain(raw.units) {
            if units.contains(&unit.0) {
                self.problem(&at.key("units"), format!("{} is named twice", unit.0));
            } else {
                units.push(unit.0);
            }
        }
        let references = self.references(at, images, raw.references);
        if units.is_empty() {
            if !self.document.is_told(&at.key("units"), &self.problems) {
                self.missing(at, "unit", "a unit, such as unit = \"site.service\"");
            }
            return None;
        }
        let files = units.iter().filter(|unit| unit.is_quadlet()).count();
        if files > 0 && images.len() > 1 {
            let what = "names a `.container`, which has one image, and the project has several: one project for each";
            self.problem(at, what);
        }
        Some(Systemd { units, action: raw.action, references })
    }

    fn command(&mut self, at: &KeyPath, images: &[Image], raw: raw::Command) -> Option<Commands> {
        let references = self.references(at, images, raw.references);
        let deadline = raw.deadline.0;
        let rollback = raw.rollback.map(|words| self.line(at, "rollback", words, deadline));
        let Some(run) = raw.run else {
            self.missing(at, "run", "a program, such as run = [\"/usr/local/bin/restart-shop\"]");
            return None;
        };
        Some(Commands { run: self.line(at, "run", run, deadline), rollback, references })
    }

    fn references(&mut self, at: &KeyPath, images: &[Image], raw: Vec<Reference>) -> Vec<ImageReference> {
        for (i, reference) in raw.iter().enumerate() {
            if !images.iter().any(|image| image.0 == *reference.0.repository()) {
                let what = format!("{} is not among the images of this project", reference.0.repository());
                self.problem(&at.key("references").index(i), what);
            }
        }
        raw.into_iter().map(|reference| reference.0).collect()
    }

    /// The commands around a deployment.
    pub(super) fn lifecycle(&mut self, at: &KeyPath, raw: raw::Lifecycle) -> Lifecycle {
        let deadline = raw.deadline.0;
        let mut line = |key: &str, words: Option<Vec<String>>| Some(self.line(at, key, words?, deadline));
        Lifecycle {
            before: line("before", raw.before),
            after: line("after", raw.after),
            on_failure: line("on_failure", raw.on_failure),
        }
    }

    fn line(&mut self, at: &KeyPath, key: &str, words: Vec<String>, deadline: Duration) -> CommandLine {
        self.words(at, key, &words);
        CommandLine { words, deadline }
    }

    /// What is wrong with a program and its arguments.
    pub(super) fn words(&mut self, at: &KeyPath, key: &str, words: &[String]) {
        let at = at.key(key);
        match words.first() {
            None => self.problem(&at, format!("needs a program, such as {key} = [\"/usr/bin/true\"]")),
            Some(program) if !program.starts_with('/') => {
                self.problem(&at, format!("{program:?} is not an absolute path: no shell looks for it"));
            }
            Some(_) if words.iter().any(|word| word.contains('\0')) => {
                self.problem(&at, "has a word that no program can be given");
            }
            Some(_) => {}
        }
    }
}

/// The same path without `.` in it, as it is shown to people. What `..` means depends on links: it stays.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::super::testbed::Testbed;
    use super::*;
    use crate::deploy::spec::Action;

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
