//! Tells what was made, what comes next, and what to paste into CI.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::output::{Output, Style};
use super::super::project_files::{Files, KEY_ID};
use super::snippet::{Ci, Hook};
use crate::model::{ProjectName, Repository, one_line};

/// What stands in a snippet for an address that nobody named.
const SOMEWHERE: &str = "https://deploy.example.com";

/// What there is to say about a project.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) project: ProjectName,
    pub(super) images: Vec<Repository>,
    pub(super) timeout: Duration,
    pub(super) key: PathBuf,
    /// The address that was named.
    pub(super) url: Option<String>,
    /// Where windlass listens on this host.
    pub(super) listen: String,
    /// What was made just now.
    pub(super) made: Option<Made>,
}

/// What was made just now.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) files: Files,
    /// Services that are left as they are, and why.
    pub(super) left_out: Vec<(String, String)>,
}

impl Report {
    /// Prints it, with the snippets for `chosen`; without any, that for a shell and where the others are.
    pub(super) fn print(&self, chosen: Option<&[Ci]>, output: &mut Output) {
        let snippets = chosen.unwrap_or(&[Ci::Shell]);
        if output.is_json() {
            let snippets: Map<String, Value> =
                snippets.iter().map(|ci| (ci.name().to_owned(), self.snippet(*ci).into())).collect();
            output.document(&json!({
                "project": self.project,
                "project_file": self.made.as_ref().map(|made| &made.files.project),
                "key_file": self.key,
                "images": self.images,
                "snippets": snippets,
            }));
            return;
        }
        if let Some(made) = &self.made {
            self.print_made(made, output);
        }
        output.line(format_args!("In CI, keep what `{}` shows as the secret WINDLASS_KEY_HEX.", self.key_hex()));
        for ci in snippets {
            output.line("");
            output.line(output.paint(Style::Bold, &format!("# {}", ci.title())));
            self.snippet(*ci).lines().for_each(|line| output.line(line));
        }
        if chosen.is_none() {
            let others = Ci::ALL.map(Ci::name).join("|");
            output.line("");
            output.line(format_args!("For other places: windlass init {} --ci {others}|all", self.project));
        }
    }

    fn print_made(&self, made: &Made, output: &mut Output) {
        let images: Vec<String> = self.images.iter().map(ToString::to_string).collect();
        output.line(format_args!("wrote {}: deploys {}", made.files.project.display(), images.join(", ")));
        for (service, why) in &made.left_out {
            output.line(one_line(&format!("  not deployed: {service} {why}"), 300));
        }
        output.line(format_args!("wrote {}: the key `{KEY_ID}`, scheme standard", made.files.key.display()));
        output.line("");
        output.line("Next, on this host:");
        output.line("  windlass check                     is everything there that a deployment needs?");
        output.line("  sudo systemctl reload windlass     takes the project in");
    }

    fn snippet(&self, ci: Ci) -> String {
        let here = format!("http://{}", self.listen);
        let unnamed = if ci == Ci::Shell { &here } else { SOMEWHERE };
        ci.snippet(&Hook {
            project: &self.project,
            image: self.images.first(),
            url: self.url.as_deref().unwrap_or(unnamed),
            key_hex: &self.key_hex(),
            timeout: self.timeout,
        })
    }

    /// How the key is shown, in the form that openssl wants.
    fn key_hex(&self) -> String {
        format!("sudo windlass key hex {}", self.key.display())
    }
}
