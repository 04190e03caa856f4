//! `windlass status`: what runs, and how the last deployments went.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::exit::Exit;
use super::list;
use super::output::{Output, Style};
use super::table::{self, Cell, Table};
use crate::client::{Client, Failure, Request};
use crate::model::{Clock, ProjectName, Timestamp, one_line};
use crate::wire::state::Condition;
use crate::wire::state::Outcome;
use crate::wire::state::StatusWord;
use crate::wire::view::{Deployments, FreezeView, ProjectView, Projects, RunningView, StateView};

/// Of which project.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass status                    all projects
  windlass status shop               one, with its last deployments
  windlass status shop --json | jq .project.running")]
pub(super) struct Args {
    /// One project, in detail
    project: Option<ProjectName>,
}

/// How many of a project's deployments are shown with it.
const LAST: usize = 5;
/// How many projects are read from the machine at a time.
const AT_ONCE: usize = 8;
/// With more projects than this, what runs is read for one at a time, when it is asked for by name.
const MOST_READ: usize = 100;

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    match args.project {
        Some(project) => one(&project, client, output).await,
        None => all(client, output).await,
    }
}

async fn all(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    client.must_show_all()?;
    let request = Request::get("the projects cannot be shown", "/v1/projects")?;
    let Projects { mut projects, state } = client.ask(&request).await?;
    if projects.len() <= MOST_READ {
        let read = stream::iter(projects).map(|project| read(project, client)).buffered(AT_ONCE);
        projects = read.try_collect().await?;
    }
    if output.is_json() {
        output.document(&Projects { projects, state });
        return Ok(Exit::Succeeded);
    }
    if projects.is_empty() {
        output.remark("there are no projects yet; windlass init PROJECT --compose DIR makes one");
        return Ok(Exit::Succeeded);
    }
    let now = Clock::system().now();
    let mut table = Table::new(&["PROJECT", "STATUS", "RELEASE", "RUNNING", "AGE"]);
    for project in &projects {
        table.row(row(project, now));
    }
    table.print(output);
    if let Some(state) = state {
        output.line("");
        output.line(output.paint(Style::Dim, &size(state)));
    }
    Ok(Exit::Succeeded)
}

/// `state: 1204 deployments, 12.3 MB on disk`.
fn size(StateView { bytes, deployments }: StateView) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a tenth of a megabyte is all that is shown")]
    let megabytes = bytes as f64 / 1e6;
    let word = if deployments == 1 { "deployment" } else { "deployments" };
    format!("state: {deployments} {word}, {megabytes:.1} MB on disk")
}

/// The same project with what runs of it. Of one that was never deployed, nothing does.
async fn read(project: ProjectView, client: &Client) -> Result<ProjectView, Failure> {
    match &project.newest {
        Some(_) => client.ask(&request_for(&project.name)?).await,
        None => Ok(project),
    }
}

fn request_for(project: &ProjectName) -> Result<Request, Failure> {
    Request::get(format!("{project} cannot be shown"), format!("/v1/projects/{project}"))
}

fn row(project: &ProjectView, now: Timestamp) -> Vec<Cell> {
    let newest = project.newest.as_ref();
    let status = match (&project.frozen, newest) {
        (Some(_), Some(newest)) => Cell::new(Style::Busy, format!("{}, frozen", newest.status)),
        (Some(_), None) => Cell::new(Style::Busy, "frozen"),
        (None, Some(newest)) => Cell::status(newest.status),
        (None, None) => Cell::new(Style::Dim, "never deployed"),
    };
    let running = match (&project.unreadable, &project.running) {
        (Some(_), _) => Cell::new(Style::Bad, "unreadable"),
        (None, Some(running)) => {
            let (style, text) = states_of(running);
            if project.drift.is_empty() {
                Cell::new(style, text)
            } else {
                Cell::new(Style::Bad, format!("{text}, not what was deployed"))
            }
        }
        (None, None) => Cell::new(Style::Dim, "-"),
    };
    vec![
        Cell::plain(project.name.as_str()),
        status,
        Cell::plain(newest.map_or_else(|| "-".to_owned(), |newest| table::images(&newest.release))),
        running,
        Cell::plain(newest.map_or_else(|| "-".to_owned(), |newest| table::age(now, newest.created_at))),
    ]
}

/// `2 healthy, 1 exited (1) of 11507a0e2f5e`.
fn states_of(running: &[RunningView]) -> (Style, String) {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for instance in running {
        match counts.iter_mut().find(|(state, _)| *state == instance.state) {
            Some((_, count)) => *count += 1,
            None => counts.push((&instance.state, 1)),
        }
    }
    let any = |condition| running.iter().any(|instance| instance.condition == condition);
    let worst = [Condition::Broken, Condition::Starting, Condition::Unknown].into_iter().find(|worst| any(*worst));
    let style = if running.is_empty() { Style::Bad } else { style_of(worst.unwrap_or(Condition::Working)) };
    let states: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let mut digests: Vec<&str> = running.iter().map(|instance| short(&instance.digest)).collect();
    digests.dedup();
    let text = format!("{} of {}", states.join(", "), digests.join(", "));
    (style, if running.is_empty() { "nothing".to_owned() } else { text })
}

/// A digest as people read it out; anything else as it is.
fn short(digest: &str) -> &str {
    digest.strip_prefix("sha256:").and_then(|digits| digits.get(..12)).unwrap_or(digest)
}

fn style_of(condition: Condition) -> Style {
    match condition {
        Condition::Working => Style::Good,
        Condition::Starting => Style::Busy,
        Condition::Broken => Style::Bad,
        Condition::Unknown => Style::Dim,
    }
}

async fn one(name: &ProjectName, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let request = request_for(name)?;
    let failing = format!("the deployments of {name} cannot be shown");
    let history = Request::get(failing, format!("/v1/deployments?project={name}&limit={LAST}"))?;
    let (project, deployments): (ProjectView, Deployments) =
        tokio::try_join!(client.ask(&request), client.ask(&history))?;
    let Deployments { deployments } = deployments;
    if output.is_json() {
        output.document(&json!({ "project": project, "deployments": deployments }));
        return Ok(Exit::Succeeded);
    }
    for line in facts(&project) {
        output.line(one_line(&line, 1000));
    }
    let now = Clock::system().now();
    if let Some(running) = project.running.as_ref().filter(|running| !running.is_empty()) {
        output.line("");
        let mut table = Table::new(&["RUNNING", "STATE", "IMAGE", "DIGEST"]);
        for instance in running {
            table.row(vec![
                Cell::plain(&instance.name),
                Cell::new(style_of(instance.condition), &instance.state),
                Cell::plain(&instance.image),
                Cell::new(Style::Dim, &instance.digest),
            ]);
        }
        table.print(output);
    }
    if !deployments.is_empty() {
        output.line("");
        list::table_of(&deployments, now, false).print(output);
    }
    Ok(Exit::Succeeded)
}

fn facts(project: &ProjectView) -> Vec<String> {
    let mut facts = vec![
        format!("project   {} ({})", project.name, project.target),
        format!("images    {}", project.images.join(", ")),
        format!("tags      {}", project.tags.join(", ")),
    ];
    if let Some(FreezeView { reason, by, since, until }) = &project.frozen {
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        facts.push(format!("frozen    since {since}{until} by {by}{reason}"));
    }
    match (&project.newest, &project.unreadable) {
        (_, Some(why)) => facts.push(format!("running   cannot be read: {why}")),
        (None, None) => facts.push("running   nothing was deployed yet".to_owned()),
        (Some(_), None) if project.running.as_ref().is_some_and(Vec::is_empty) => {
            facts.push("running   nothing".to_owned());
        }
        (Some(_), None) => {}
    }
    if !project.drift.is_empty() {
        facts.push(format!(
            "drift     {} was deployed, and something else runs; `windlass rollback {}` puts it back",
            table::images(&project.drift),
            project.name
        ));
    }
    facts.extend(pin(project));
    facts
}

/// That the next start would bring something else than what runs. While a deployment is under way that is as it must be.
fn pin(project: &ProjectView) -> Option<String> {
    let newest = project.newest.as_ref().filter(|newest| matches!(newest.status, StatusWord::Ended(_)))?;
    let moved = project.running.iter().flatten().find(|instance| instance.pinned == Some(false))?;
    let runs = newest.release.first().filter(|_| newest.status == StatusWord::Ended(Outcome::Succeeded));
    let image = runs.map_or_else(|| "IMAGE".to_owned(), |release| release.image.to_string());
    Some(format!(
        "pin       {} does not mean what runs, and the next start would bring something else; \
         `windlass deploy {} {image}` pins it",
        moved.image, project.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(states: &[(&str, Condition, &str)]) -> Vec<RunningView> {
        let one = |(state, condition, digest): &(&str, Condition, &str)| RunningView {
            name: "shop-api-1".to_owned(),
            image: "ghcr.io/acme/api:live".to_owned(),
            digest: (*digest).to_owned(),
            state: (*state).to_owned(),
            condition: *condition,
            pinned: None,
        };
        states.iter().map(one).collect()
    }

    #[test]
    fn what_runs_is_counted_by_its_state_and_named_by_its_digests() {
        let (old, new) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        let told = |states: &[(&str, Condition, &str)]| format!("{:?}", states_of(&running(states)));
        let (working, starting, broken) = (Condition::Working, Condition::Starting, Condition::Broken);
        assert_eq!(told(&[]), "(Bad, \"nothing\")");
        assert_eq!(
            told(&[("healthy", working, &old), ("healthy", working, &old)]),
            "(Good, \"2 healthy of aaaaaaaaaaaa\")"
        );
        assert_eq!(
            told(&[("healthy", working, &old), ("exited (1)", broken, &new), ("starting", starting, "built here")]),
            "(Bad, \"1 healthy, 1 exited (1), 1 starting of aaaaaaaaaaaa, bbbbbbbbbbbb, built here\")"
        );
        assert_eq!(
            told(&[("starting", starting, &new), ("running", working, &new)]),
            "(Busy, \"1 starting, 1 running of bbbbbbbbbbbb\")"
        );
        assert_eq!(told(&[("active (running)", working, &new)]), "(Good, \"1 active (running) of bbbbbbbbbbbb\")");
        assert_eq!(told(&[("pinned", Condition::Unknown, &new)]), "(Dim, \"1 pinned of bbbbbbbbbbbb\")");
    }

    #[test]
    fn a_project_says_why_it_lets_nothing_through_and_why_it_cannot_be_read() {
        let project = ProjectView {
            name: "shop".parse().unwrap(),
            images: vec!["ghcr.io/acme/api".to_owned()],
            tags: vec!["main-*".to_owned(), "v*".to_owned()],
            target: "compose".to_owned(),
            frozen: Some(FreezeView {
                reason: Some("the database is being moved".to_owned()),
                by: "ada".to_owned(),
                since: Timestamp::from_millis(0),
                until: Some(Timestamp::from_millis(7_200_000)),
            }),
            newest: None,
            running: None,
            drift: Vec::new(),
            unreadable: Some("the engine does not answer".to_owned()),
        };
        insta::assert_snapshot!(facts(&project).join("\n"), @r"
        project   shop (compose)
        images    ghcr.io/acme/api
        tags      main-*, v*
        frozen    since 1970-01-01T00:00:00.000Z until 1970-01-01T02:00:00.000Z by ada: the database is being moved
        running   cannot be read: the engine does not answer
        ");
    }

    #[test]
    fn what_was_deployed_is_named_where_something_else_runs() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let project: ProjectView = serde_json::from_value(json!({
            "name": "shop", "images": ["ghcr.io/acme/shop"], "tags": ["*"], "target": "compose", "frozen": null,
            "newest": null, "running": [{ "name": "shop-web-1", "image": "ghcr.io/acme/shop:live", "digest": "x", "state": "running" }],
            "drift": [{ "image": "ghcr.io/acme/shop:v3", "digest": digest }],
        }))
        .unwrap();
        assert_eq!(
            facts(&project).last().unwrap(),
            "drift     shop:v3 (aaaaaaaaaaaa) was deployed, and something else runs; `windlass rollback shop` puts it back"
        );
        let running = format!("{:?}", row(&project, Timestamp::from_millis(0))[3]);
        assert!(running.contains("1 running of x, not what was deployed") && running.contains("Bad"), "{running}");
    }
}
