//! The house holds: who may import whom, which outside names stand where, and how large a file may be.

mod arrows;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use arrows::Arrows;

/// Each room, and the rooms that it may import. A new arrow is a reviewed line here.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("auth", &["model"]),
    ("lanes", &["model"]),
    ("deploy", &["model", "auth"]),
    ("senders", &["model", "auth", "deploy"]),
    ("wire", &["model", "deploy"]),
    ("client", &["model", "auth", "wire"]),
    ("host", &["model", "lanes", "deploy"]),
    ("store", &["model", "deploy"]),
    ("runner", &["model", "deploy", "lanes", "host", "store"]),
    ("intake", &["model", "auth", "deploy", "store", "runner"]),
    ("http", &["model", "auth", "deploy", "wire", "store", "runner", "intake", "senders"]),
    ("config", &["model", "auth", "deploy", "senders", "host", "http"]),
    ("service_manager", &[]),
    (
        "daemon",
        &[
            "model",
            "auth",
            "lanes",
            "deploy",
            "senders",
            "wire",
            "host",
            "store",
            "runner",
            "http",
            "config",
            "service_manager",
        ],
    ),
    ("setup", &["model", "auth", "senders", "client", "config", "daemon"]),
    ("cli", &["model", "auth", "wire", "client", "config", "daemon", "setup"]),
    ("main", &["cli"]),
];

/// The same for the rooms inside of host. Everybody there may say why something failed, what was found, what is told and what was printed.
const HOST: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("finding", &[]),
    ("reporter", &[]),
    ("logs", &[]),
    // `src/host.rs`: the trait that the rest of windlass asks.
    ("host", &[]),
    ("program", &[]),
    ("engine", &["program"]),
    ("health", &["program", "engine"]),
    ("systemd", &["program", "health"]),
    ("target", &["program", "engine", "health", "systemd"]),
    ("lifecycle", &["host", "program"]),
    ("machine", &["host", "program", "engine", "target", "lifecycle"]),
];
const EVERYBODYS: &[&str] = &["error", "finding", "logs", "reporter"];

/// Names from outside, and the only places where they may stand.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("axum::", &["src/http.rs", "src/http/"]),
    ("hyper_util::server", &["src/http.rs", "src/http/"]),
    ("bollard::", &["src/host/engine/"]),
    ("zbus::", &["src/host/systemd/bus.rs"]),
    ("rusqlite::", &["src/store.rs", "src/store/"]),
    ("process::Command", &["src/host/program/exec.rs"]),
    ("tokio::signal", &["src/daemon.rs", "src/daemon/", "src/service_manager.rs", "src/cli/"]),
    ("tokio::spawn", &[]),
    ("config::Config", &["src/config.rs", "src/config/"]),
    ("schemars::", &["src/config/"]),
];

/// Rooms whose types have no form on disk, on the wire or in a configuration: others give them one.
const WITHOUT_FORM: &[&str] = &["auth", "deploy", "lanes"];

const LONGEST_FILE: usize = 500;
const DRAWERS: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "types", "errors"];

struct Source {
    path: String,
    room: String,
    /// Without comments, tests included.
    code: String,
    production_lines: usize,
}

#[test]
fn every_room_imports_only_what_it_may() {
    let mut broken = Vec::new();
    for source in sources() {
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == source.room) else {
            assert!(source.room == "lib", "{} is in a room that the table does not know", source.path);
            continue;
        };
        for target in imported_rooms(&source.code) {
            if target != source.room && !allowed.contains(&target.as_str()) {
                broken.push(format!("{} imports {target}", source.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_room_of_host_imports_only_what_it_may() {
    let room = |path: &str| {
        let inner =
            path.strip_prefix("src/host/").or_else(|| path.strip_prefix("src/").filter(|rest| *rest == "host.rs"))?;
        Some(inner.split(['/', '.']).next().unwrap().to_owned())
    };
    let mut broken = Vec::new();
    for (from, to) in arrows().iter() {
        let (Some(importing), Some(imported)) = (room(from), room(to)) else { continue };
        let allowed = HOST.iter().find(|(name, _)| *name == importing);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{from} is in a room that the table does not know"));
        let is_allowed = |name: &str| allowed.contains(&name) || EVERYBODYS.contains(&name);
        if importing != imported && !is_allowed(&imported) {
            broken.push(format!("{from} imports {to}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// A file and its children count like all others: a parent that uses its children is not used by them.
#[test]
fn no_file_imports_one_that_imports_it_through_whichever_others() {
    let all = arrows();
    let mut broken = Vec::new();
    for (from, to) in all.iter() {
        if let Some(way) = all.way(to, from) {
            broken.push(format!("{from} imports {}", way.join(", which imports ")));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn outside_names_stand_only_where_they_belong() {
    let mut broken = Vec::new();
    for source in sources() {
        for (name, places) in OUTSIDE {
            if source.code.contains(name) && !places.iter().any(|place| source.path.starts_with(place)) {
                broken.push(format!("{} uses {name}", source.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn types_of_the_core_have_no_form_of_their_own() {
    for source in sources().iter().filter(|source| WITHOUT_FORM.contains(&source.room.as_str())) {
        assert!(!source.code.contains("serde"), "{} uses serde", source.path);
    }
}

#[test]
fn no_file_is_two_nouns_and_none_is_a_drawer() {
    for source in sources() {
        assert!(
            source.production_lines <= LONGEST_FILE,
            "{} has {} lines of production code",
            source.path,
            source.production_lines
        );
        let stem = Path::new(&source.path).file_stem().unwrap().to_str().unwrap();
        assert!(!DRAWERS.contains(&stem), "{} is a drawer", source.path);
    }
}

#[test]
fn every_file_opens_by_saying_what_it_is_for() {
    for path in rust_files(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not say what it is for", path.display());
    }
}

fn arrows() -> Arrows {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: PathBuf| {
        let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        (relative, fs::read_to_string(&path).unwrap())
    };
    Arrows::of(&rust_files(&root.join("src")).into_iter().map(read).collect::<Vec<_>>())
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = rust_files(&root.join("src"));
    assert!(files.len() > 20, "the sources were not found");
    files.into_iter().map(|path| source(root, &path)).collect()
}

fn source(root: &Path, path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap();
    let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let room = relative.trim_start_matches("src/").split(['/', '.']).next().unwrap().to_owned();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code: String = text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    let production = code.split("#[cfg(test)]").next().unwrap();
    let production_lines = production.lines().filter(|line| !line.trim().is_empty()).count();
    Source { path: relative, room, code, production_lines }
}

pub(crate) fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The first names after `crate::`, `windlass::` and `super::super::`, groups in braces included.
fn imported_rooms(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for prefix in ["crate::", "windlass::", "super::super::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            for name in first_names(rest) {
                if ROOMS.iter().any(|(room, _)| *room == name) {
                    rooms.insert(name);
                }
            }
        }
    }
    rooms
}

fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut names, mut start) = (0_usize, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                return names;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn imports_are_found_however_they_are_written() {
    let code =
        "use crate::{model::Digest, store::{Store, X}, wire};\nlet x = crate::http::App; super::super::cli::go()";
    let rooms: Vec<String> = imported_rooms(code).into_iter().collect();
    assert_eq!(rooms, ["cli", "http", "model", "store", "wire"]);
}
