//! One project in depth.

use serde_json::json;

use super::super::list;
use super::super::output::{Output, Style};
use super::super::table::{Cell, Table, wrapped};
use super::super::when::Now;
use super::state::{State, style_of};
use crate::client::{Client, Failure, Request};
use crate::model::{ProjectName, one_line};
use crate::wire::text::short;
use crate::wire::view::{Deployments, FreezeView, ProjectView};

/// How many of a project's deployments are shown with it.
const LAST: usize = 5;

/// Shows the project `name`; whether it is well.
pub(super) async fn show(
    name: &ProjectName,
    width: Option<usize>,
    client: &Client,
    output: &mut Output,
) -> Result<bool, Failure> {
    let request = Request::get(format!("{name} cannot be shown"), format!("/v1/projects/{name}"))?;
    let failing = format!("the deployments of {name} cannot be shown");
    let history = Request::get(failing, format!("/v1/deployments?project={name}&limit={LAST}"))?;
    let (project, deployments): (ProjectView, Deployments) =
        tokio::try_join!(client.ask(&request), client.ask(&history))?;
    let Deployments { deployments } = deployments;
    let state = State::of(&project);
    if output.is_json() {
        output.document(&json!({ "project": project, "deployments": deployments }));
        return Ok(state.is_well());
    }
    let now = Now::here();
    for (style, line) in facts(&project, &state, &now) {
        for part in wrapped(&one_line(&line, 1000), width) {
            output.line(output.paint(style, &part));
        }
    }
    if let Some(running) = project.running.as_ref().filter(|running| !running.is_empty()) {
        output.line("");
        let mut table = Table::new(&["RUNNING", "STATE", "IMAGE", "DIGEST"]);
        for instance in running {
            // A digest is known by its first digits, and is copied in full from --wide or --json.
            let digits = instance.digest.strip_prefix("sha256:").and_then(|digits| digits.get(..12));
            let digest = if width.is_some() { digits.unwrap_or(&instance.digest) } else { &instance.digest };
            table.row(vec![
                Cell::plain(&instance.name),
                Cell::new(style_of(instance.condition), &instance.state),
                Cell::plain(&instance.image),
                Cell::new(Style::Dim, digest),
            ]);
        }
        table.print(width, output);
    }
    if !deployments.is_empty() {
        output.line("");
        list::table_of(&deployments, &now, list::Columns { project: false, wide: width.is_none() })
            .print(width, output);
    }
    Ok(state.is_well())
}

fn facts(project: &ProjectView, state: &State, now: &Now) -> Vec<(Style, String)> {
    let mut facts = vec![(Style::Plain, format!("project   {} ({})", project.name, project.target))];
    let since = project
        .since
        .map_or_else(String::new, |since| format!(" since {} ({})", now.zone.to_the_minute(since), now.age(since)));
    match (&project.running, project.runs.is_empty()) {
        (Some(_), false) => facts.push((Style::Plain, format!("runs      {}{since}", short(&project.runs)))),
        (Some(running), true) if running.is_empty() => facts.push((Style::Plain, "runs      nothing".to_owned())),
        _ => {}
    }
    facts.push((state.style, format!("state     {}", state.word)));
    if let Some(problem) = &state.problem {
        facts.push((Style::Plain, format!("problem   {}", problem.what)));
        facts.push((Style::Plain, format!("next      {}", problem.next)));
    }
    facts.push((Style::Plain, format!("images    {}", project.images.join(", "))));
    facts.push((Style::Plain, format!("tags      {}", project.tags.join(", "))));
    if let Some(FreezeView { reason, by, since, until }) = &project.frozen {
        let until = until.map_or_else(String::new, |until| format!(" until {}", now.zone.to_the_minute(until)));
        let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let since = now.zone.to_the_minute(*since);
        facts.push((Style::Busy, format!("frozen    since {since}{until} by {by}{reason}")));
    }
    facts
}
