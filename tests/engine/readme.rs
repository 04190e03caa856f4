//! README's tour, and what is for CI, typed along: files, commands, and what they say.

use std::fs;

use crate::image::Image;
use crate::program::Program;
use crate::run::{PASSWORD, free_port};
use crate::site::Site;

const README: &str = include_str!("../../README.md");
const HOOK: &str = include_str!("../../docs/hook.md");

/// What stands between two fences.
struct Block {
    language: &'static str,
    text: &'static str,
}

/// What README says of a place, and what it is here. Longer ones first.
struct Places(Vec<(&'static str, String)>);

impl Places {
    fn here(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    fn there(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (there, here)| text.replace(here, there))
    }
}

/// The blocks of a page's chapters from `first` up to `last`.
fn blocks(page: &'static str, first: &str, last: &str) -> Vec<Block> {
    let begin = page.find(first).unwrap();
    let chapters = &page[begin..begin + page[begin..].find(last).unwrap()];
    let mut parts = chapters.split("\n```");
    parts.next();
    let mut blocks = Vec::new();
    while let (Some(block), Some(_)) = (parts.next(), parts.next()) {
        let (language, text) = block.split_once('\n').unwrap();
        blocks.push(Block { language, text });
    }
    blocks
}

/// What a line says, whatever ids, digests and times it says it with.
fn essence(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let word = if is_time(word) { "#" } else { word };
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
        let mut said = String::new();
        let mut rest = word;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|letter| is_part(letter) != is_part(first)).unwrap_or(rest.len());
            said.push_str(if is_part(first) && varies(&rest[..end]) { "#" } else { &rest[..end] });
            rest = &rest[end..];
        }
        words.push(said);
    }
    words.join(" ")
}

/// Whether a word is a date or a time of day.
fn is_time(word: &str) -> bool {
    let shape: String = word.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    matches!(shape.as_str(), "00:00:00" | "00:00" | "0000-00-00")
}

fn varies(part: &str) -> bool {
    let number = part.trim_end_matches(['m', 's']);
    let is_number = !number.is_empty() && number.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    let is_measured = is_number && (number.len() < part.len() || number.matches('.').count() == 1);
    is_measured || (matches!(part.len(), 12 | 26 | 64) && part.contains(|letter: char| letter.is_ascii_digit()))
}

/// Lines that say the same, without those that come or not as the moment has it.
fn essences(text: &str) -> Vec<String> {
    text.lines().map(essence).filter(|line| !line.is_empty() && !line.contains(" layers, ")).collect()
}

#[test]
fn what_changes_from_run_to_run_is_no_difference() {
    let line =
        "09:41:07 rolled_back 01m7z9hxbpnas3947491ys1nvx: shop:v3 (3f5fe7f47009) in 2.9 s, [1/5] 5s 127.0.0.1:80";
    assert_eq!(essence(line), "# rolled_back #: shop:v3 (#) in # s, [1/5] # 127.0.0.1:80");
}

#[test]
fn the_tour_says_what_happens_to_whoever_types_along() {
    let site = Site::new();
    for (tag, image) in [
        ("v1", Image::web("v1")),
        ("v2", Image::web("v2")),
        ("v3", Image::running("v3", "echo 'fatal: no database'; exit 1")),
    ] {
        site.publish(&format!("shop:{tag}"), &image);
    }
    for written in ["config.toml", "projects.d/project.toml", "ci.key", "registry.password"] {
        fs::remove_file(site.directory.join(written)).unwrap();
    }
    let hooks = format!("127.0.0.1:{}", free_port());
    let places = Places(vec![
        ("ghcr.io/acme/shop", site.full("shop")),
        ("\"ghcr.io\"", format!("\"{}\"", site.address)),
        ("/srv/shop", site.project_directory().display().to_string()),
        ("/etc/windlass", site.directory.display().to_string()),
        ("127.0.0.1:8080", format!("127.0.0.1:{}", site.ports[0])),
        ("127.0.0.1:9010", hooks.clone()),
        // Compose calls things after the directory.
        ("shop-web", format!("{}-web", site.name)),
        ("shop_default", format!("{}_default", site.name)),
    ]);

    let mut tour = blocks(README, "## From nothing", "## Where the rest is");
    tour.extend(blocks(HOOK, "## From CI", "## The request"));
    let mut script = format!(
        "set -euo pipefail\nexec 2>&1\n\
         windlass() {{\n  [[ $* != serve ]] || exec '{program}' --config '{dir}/config.toml' serve >'{dir}/daemon.log' 2>&1\n  \
         '{program}' --config '{dir}/config.toml' \"$@\"\n}}\n\
         sudo() {{ \"$@\"; }}\ntrap 'kill %1' EXIT\n",
        dir = site.directory.display(),
        program = env!("CARGO_BIN_EXE_windlass"),
    );
    for (number, block) in tour.iter().enumerate() {
        match (block.language, block.text.lines().next().and_then(|line| line.strip_prefix("# /"))) {
            ("sh", _) => {
                script.push_str(&format!("echo '@@ {number}'\n{}\n", places.here(block.text)));
                if block.text.contains("serve &") {
                    script.push_str(&format!("until curl -fso /dev/null http://{hooks}/readyz; do sleep 0.1; done\n"));
                }
            }
            ("yaml" | "toml", Some(path)) => {
                fs::write(places.here(&format!("/{path}")), places.here(block.text)).unwrap();
            }
            _ => {}
        }
    }
    let typed = Program::new("bash")
        .args(["-c", &script])
        .env("GHCR_TOKEN", PASSWORD)
        .env("WINDLASS_LISTEN", &hooks)
        .env("WINDLASS_SOCKET", site.directory.join("windlass.sock"))
        .env("WINDLASS_STATE_DIR", site.directory.join("state"))
        .env("no_proxy", "127.0.0.1,deploy.example.com")
        .output();
    let said = places.there(&typed.stdout);
    assert_eq!(typed.code, 0, "{said}");

    let said_by = |number: usize| {
        let begin = said.split_once(&format!("@@ {number}\n")).unwrap_or_else(|| panic!("{said}")).1;
        essences(begin.split("@@ ").next().unwrap())
    };
    let mut compared = 0;
    for (number, pair) in tour.windows(2).enumerate() {
        let [Block { language: "sh", .. }, sample @ Block { language: "text" | "yaml", .. }] = pair else { continue };
        let (expected, actual) = (essences(sample.text), said_by(number));
        assert!(
            actual.windows(expected.len()).any(|lines| lines == expected),
            "README says\n{}\nbut it was\n{}\nin full\n{said}",
            expected.join("\n"),
            actual.join("\n"),
        );
        compared += 1;
    }
    assert_eq!(compared, 5, "samples in README's tour");
}
