//! `windlass check`: looks for everything on this host that would make a deployment fail.

use serde::Serialize;
use serde_json::json;

use super::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Style};
use crate::config::{Problem, Settings};
use crate::daemon::{self, Survey};
use crate::model::{Clock, ProjectName};

/// Everything that was found.
#[derive(Default)]
struct Findings {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// One thing that was found, in the configuration or on the machine.
#[derive(Serialize)]
#[serde(untagged)]
enum Finding {
    Configuration(Problem),
    Machine { project: Option<ProjectName>, what: String },
}

pub(super) fn run(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let mut findings = Findings::default();
    let loaded = Settings::load(global.config.as_deref(), std::env::vars_os(), Clock::system().now());
    let survey = match loaded {
        Ok((settings, warnings)) => {
            findings.warnings.extend(warnings.into_iter().map(Finding::Configuration));
            let survey = super::wait_for(async { Ok(daemon::survey(&settings).await) })?;
            findings.take(&survey);
            Some(survey)
        }
        Err(error) => {
            findings.errors.extend(error.problems.into_iter().map(Finding::Configuration));
            None
        }
    };
    let engine = survey.as_ref().and_then(|survey| survey.engine.as_ref().ok());
    let well = findings.errors.is_empty();
    if output.is_json() {
        output.document(&json!({
            "well": well,
            "engine": engine.map(|engine| json!({ "version": engine.version, "api": engine.api })),
            "projects": survey.as_ref().map(|survey| survey.projects.len()),
            "errors": findings.errors,
            "warnings": findings.warnings,
        }));
    } else {
        for (word, style, found) in
            [("error", Style::Bad, &findings.errors), ("warning", Style::Busy, &findings.warnings)]
        {
            for finding in found {
                let word = output.paint(style, word);
                output.line(format_args!("{word}: {finding}"));
            }
        }
        if let (true, Some(survey), Some(engine)) = (well, &survey, engine) {
            let (count, version, api) = (survey.projects.len(), &engine.version, &engine.api);
            let projects = if count == 1 { "project" } else { "projects" };
            output.line(format_args!("nothing stands in the way: {count} {projects}, engine {version}, API {api}"));
        }
    }
    Ok(if well { Exit::Succeeded } else { Exit::Refused })
}

impl Findings {
    /// Takes what was found on the machine. An engine that is away makes everything fail, and is said once.
    fn take(&mut self, survey: &Survey) {
        if let Err(reason) = &survey.engine {
            self.errors.push(Finding::Machine { project: None, what: reason.clone() });
        }
        let found = survey.projects.iter().map(|(project, found)| (Some(project), found));
        for (project, found) in found.chain([(None, &survey.host)]) {
            for finding in found.iter().filter(|finding| survey.engine.as_ref() != Err(&finding.what)) {
                let list = if finding.is_error() { &mut self.errors } else { &mut self.warnings };
                list.push(Finding::Machine { project: project.cloned(), what: finding.what.clone() });
            }
        }
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
