//! How a project is doing: what runs of it, whether that is well, and what to do where it is not.

use super::super::output::Style;
use super::super::table::{short_id, tags};
use crate::wire::state::{Condition, Outcome, StatusWord};
use crate::wire::text::short;
use crate::wire::view::{DeploymentView, ProjectView, RunningView};

/// How bad it is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// What should run does not, or a rollback has failed.
    Down,
    /// Something else runs than was deployed, or nobody can say what runs.
    Odd,
    /// Something is under way.
    Busy,
    /// All is well, or there is nothing to be well.
    Well,
}

/// How a project is doing.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rank: Rank,
    /// What runs, as short as it can be said.
    pub(super) runs: Option<String>,
    pub(super) style: Style,
    pub(super) word: String,
    pub(super) problem: Option<Problem>,
}

/// What is not well, and the command that shows more of it or sets it right.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) next: String,
}

impl State {
    /// How `project` is doing.
    pub(super) fn of(project: &ProjectView) -> Self {
        let mut state = Self::of_what_runs(project);
        let Some(newest) = &project.newest else { return state };
        let name = &project.name;
        match newest.status {
            StatusWord::Ended(Outcome::RollbackFailed) => {
                state.rank = Rank::Down;
                state.problem = Some(of_last(newest, format!("windlass rollback {name}")));
            }
            StatusWord::Running if state.problem.is_none() => {
                state.rank = state.rank.min(Rank::Busy);
                let next = format!("windlass follow {name}");
                state.problem = project.doing.clone().map(|what| Problem { what, next });
            }
            StatusWord::Ended(Outcome::RolledBack | Outcome::Abandoned) if state.problem.is_none() => {
                state.problem = Some(of_last(newest, format!("windlass follow {name}")));
            }
            _ => {}
        }
        state
    }

    /// Whether nobody has to look.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.rank, Rank::Well | Rank::Busy)
    }

    fn of_what_runs(project: &ProjectView) -> Self {
        let name = &project.name;
        let quiet =
            |word: &str| Self { rank: Rank::Well, runs: None, style: Style::Dim, word: word.to_owned(), problem: None };
        let problem = |what: String, next: String| Some(Problem { what, next });
        if let Some(why) = &project.unreadable {
            let problem = problem(why.clone(), "windlass check".to_owned());
            return Self { rank: Rank::Odd, problem, ..quiet("unknown") };
        }
        let Some(running) = &project.running else { return quiet("-") };
        if running.is_empty() {
            if project.in_service.is_empty() {
                return quiet("-");
            }
            let what = format!("{} was deployed, and nothing of it is there", short(&project.in_service));
            return Self {
                rank: Rank::Down,
                runs: Some("nothing".to_owned()),
                style: Style::Bad,
                word: "DOWN".to_owned(),
                problem: problem(what, format!("windlass rollback {name}")),
            };
        }
        // To the same release once more: it is put back as a whole, and proven.
        let again = match &project.released_by {
            Some(id) => format!("windlass rollback {name} --to {}", short_id(id)),
            None => format!("windlass deploy {name} IMAGE"),
        };
        let runs = Some(if project.runs.is_empty() { "?".to_owned() } else { tags(&project.runs) });
        let with = |condition| running.iter().filter(move |instance| instance.condition == condition);
        let broken = with(Condition::Broken).count();
        if let Some(first) = with(Condition::Broken).next() {
            let word =
                if broken == running.len() { "DOWN".to_owned() } else { format!("{broken}/{} broken", running.len()) };
            return Self {
                rank: Rank::Down,
                runs,
                style: Style::Bad,
                word,
                problem: problem(format!("{} is {}", first.name, first.state), format!("windlass logs {name}")),
            };
        }
        if let Some(first) = project.missing.first() {
            let what = match project.missing.len() {
                1 => format!("{first} was deployed, and nothing of it is there"),
                count => format!("{first} and {} more were deployed, and nothing of them is there", count - 1),
            };
            return Self {
                rank: Rank::Down,
                runs,
                style: Style::Bad,
                word: format!("{} missing", project.missing.len()),
                problem: problem(what, again),
            };
        }
        if !project.drift.is_empty() {
            let what = format!("{} was deployed, and something else runs", short(&project.drift));
            return Self {
                rank: Rank::Odd,
                runs,
                style: Style::Bad,
                word: "changed".to_owned(),
                problem: problem(what, format!("windlass rollback {name}")),
            };
        }
        // While a deployment is under way that is as it must be.
        let is_settled = matches!(project.newest.as_ref().map(|newest| newest.status), Some(StatusWord::Ended(_)));
        if let Some(moved) = running.iter().find(|instance| is_settled && instance.pinned == Some(false)) {
            let what = format!("{} does not mean what runs: the next start would bring something else", moved.image);
            return Self {
                rank: Rank::Odd,
                runs,
                style: Style::Bad,
                word: "not pinned".to_owned(),
                problem: problem(what, again),
            };
        }
        let (style, word) = words(running);
        Self { rank: Rank::Well, runs, style, word, problem: None }
    }
}

/// The state of what is not broken, in a word.
fn words(running: &[RunningView]) -> (Style, String) {
    let count = |condition| running.iter().filter(|instance| instance.condition == condition).count();
    match (count(Condition::Starting), count(Condition::Unknown)) {
        (0, 0) if running.iter().any(|instance| instance.state == "healthy") => (Style::Good, "healthy".to_owned()),
        (0, 0) => (Style::Good, running.first().map(|instance| instance.state.clone()).unwrap_or_default()),
        (0, _) => (Style::Dim, running.first().map(|instance| instance.state.clone()).unwrap_or_default()),
        (starting, _) if starting == running.len() => (Style::Busy, "starting".to_owned()),
        (starting, _) => (Style::Busy, format!("{starting}/{} starting", running.len())),
    }
}

/// How a part of a project is shown.
pub(super) const fn style_of(condition: Condition) -> Style {
    match condition {
        Condition::Working => Style::Good,
        Condition::Starting => Style::Busy,
        Condition::Broken => Style::Bad,
        Condition::Unknown => Style::Dim,
    }
}

fn of_last(newest: &DeploymentView, next: String) -> Problem {
    Problem { what: newest.reason.clone().unwrap_or_else(|| newest.status.to_string()), next }
}

/// Why nothing at all can be read, where that is one reason for all.
pub(super) fn nothing_answers(projects: &[ProjectView]) -> Option<&str> {
    let mut reasons =
        projects.iter().filter(|project| project.newest.is_some()).map(|project| project.unreadable.as_deref());
    let first = reasons.next()??;
    reasons.all(|reason| reason == Some(first)).then_some(first)
}
