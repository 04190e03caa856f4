//! `windlass check`: looks for everything on this host that would make a deployment fail.

use serde::Serialize;
use serde_json::json;

use super::exit::Exit;
use super::global::Global;
use super::output::{Output, Style};
use crate::client::Failure;
use crate::config::{Problem, Settings};
use crate::daemon::{self, Severity, Survey};
use crate::model::{Clock, ProjectName};

/// Everything that was looked at, in the order in which it is shown.
#[derive(Default)]
struct Findings(Vec<(Severity, Finding)>);

/// One thing that was looked at, in the configuration or on the machine.
#[derive(Serialize)]
#[serde(untagged)]
enum Finding {
    Configuration(Problem),
    Machine { project: Option<ProjectName>, what: String },
}

pub(super) async fn run(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let mut findings = Findings::default();
    let loaded = Settings::load(global.config.as_deref(), std::env::vars_os(), Clock::system().now());
    let survey = match loaded {
        Ok((settings, warnings)) => {
            findings.take_problems(Severity::Warning, warnings);
            let survey = daemon::survey(&settings).await;
            findings.take_survey(&survey);
            Some(survey)
        }
        Err(error) => {
            findings.take_problems(Severity::Error, error.problems);
            None
        }
    };
    let engine = survey.as_ref().and_then(|survey| survey.engine.as_ref().ok());
    let well = findings.of(Severity::Error).is_empty();
    if output.is_json() {
        output.document(&json!({
            "well": well,
            "engine": engine.map(|engine| json!({ "version": engine.version, "api": engine.api })),
            "projects": survey.as_ref().map(|survey| survey.projects.len()),
            "errors": findings.of(Severity::Error),
            "warnings": findings.of(Severity::Warning),
            "ok": findings.of(Severity::Ok),
        }));
    } else {
        for (severity, finding) in &findings.0 {
            let (style, word) = match severity {
                Severity::Ok => (Style::Good, "ok  "),
                Severity::Warning => (Style::Busy, "WARN"),
                Severity::Error => (Style::Bad, "FAIL"),
            };
            let word = output.paint(style, word);
            output.line(format_args!("{word}  {finding}"));
        }
        if let (true, Some(survey), Some(engine)) = (well, &survey, engine) {
            let (count, version, api) = (survey.projects.len(), &engine.version, &engine.api);
            let projects = if count == 1 { "project" } else { "projects" };
            output.line(format_args!("no problems found: {count} {projects}, engine {version}, API {api}"));
        }
    }
    Ok(if well { Exit::Succeeded } else { Exit::Refused })
}

impl Findings {
    fn take_problems(&mut self, severity: Severity, problems: Vec<Problem>) {
        self.0.extend(problems.into_iter().map(|problem| (severity, Finding::Configuration(problem))));
    }

    /// Takes what was found on the machine. An engine that is away makes everything fail, and is said once.
    fn take_survey(&mut self, survey: &Survey) {
        let (severity, what) = match &survey.engine {
            Ok(engine) => (Severity::Ok, format!("engine {}, API {}", engine.version, engine.api)),
            Err(reason) => (Severity::Error, reason.clone()),
        };
        self.0.push((severity, Finding::Machine { project: None, what }));
        let host = survey.host.iter().map(|found| (None, found));
        let projects =
            survey.projects.iter().flat_map(|(project, found)| found.iter().map(move |found| (Some(project), found)));
        for (project, found) in host.chain(projects) {
            if survey.engine.as_ref() != Err(&found.what) {
                let finding = Finding::Machine { project: project.cloned(), what: found.what.clone() };
                self.0.push((found.severity, finding));
            }
        }
    }

    fn of(&self, severity: Severity) -> Vec<&Finding> {
        self.0.iter().filter(|(of, _)| *of == severity).map(|(_, finding)| finding).collect()
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Configuration(problem) => write!(f, "{problem}"),
            Self::Machine { project: Some(project), what } => write!(f, "project {project}: {what}"),
            Self::Machine { project: None, what } => f.write_str(what),
        }
    }
}
