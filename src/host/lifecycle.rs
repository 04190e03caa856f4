//! The project's own commands around a deployment: before anything is touched, and for each end.

use super::finding::Finding;
use super::program::own::{Context, check, run, told};
use super::{End, HostError};
use crate::deploy::event::Outcome;
use crate::deploy::plan::Change;
use crate::deploy::spec::Lifecycle;
use crate::model::one_line;

/// An environment has no room for more, and nobody reads more.
const LONGEST_REASON: usize = 1000;

/// Runs the command that comes before anything is touched, where there is one.
pub(super) async fn before(lifecycle: &Lifecycle, change: &Change, context: &Context<'_>) -> Result<(), HostError> {
    match &lifecycle.before {
        Some(command) => run(command, &told(context.lease, change), context).await,
        // The configuration has changed since this was planned.
        None => Ok(()),
    }
}

/// Runs the command for such an end, where there is one.
pub(super) async fn conclude(lifecycle: &Lifecycle, end: &End, context: &Context<'_>) -> Result<(), HostError> {
    let command = match end.outcome {
        Outcome::Succeeded => &lifecycle.after,
        Outcome::Abandoned | Outcome::RolledBack | Outcome::RollbackFailed => &lifecycle.on_failure,
        // Somebody wanted it so.
        Outcome::Superseded | Outcome::Cancelled => &None,
    };
    let Some(command) = command else { return Ok(()) };
    let mut told = told(context.lease, &end.change);
    told.push(("WINDLASS_OUTCOME", end.outcome.to_string()));
    if let Some(reason) = &end.reason {
        told.push(("WINDLASS_REASON", one_line(reason, LONGEST_REASON)));
    }
    run(command, &told, context).await
}

/// What is wrong with the commands around a deployment.
pub(super) fn survey(lifecycle: &Lifecycle) -> Vec<Finding> {
    let named = [("before", &lifecycle.before), ("after", &lifecycle.after), ("on_failure", &lifecycle.on_failure)];
    named.into_iter().filter_map(|(name, command)| check(name, command.as_ref()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Reporter;
    use crate::host::program::own::tests::{change, lease, shell};
    use crate::host::program::runs::Runs;

    #[tokio::test]
    async fn each_end_has_its_command_and_what_somebody_wanted_has_none() {
        let directory = tempfile::tempdir().unwrap();
        let (lease, (reporter, _remarks)) = (lease().await, Reporter::new());
        let runs = Runs::new(None);
        let context =
            Context { lease: &lease, directory: directory.path(), runs: &runs, must: true, reporter: &reporter };
        let says = |word: &str| Some(shell(&format!("echo {word} $WINDLASS_OUTCOME \"$WINDLASS_REASON\" >> said"), 10));
        let lifecycle = Lifecycle { before: None, after: says("after"), on_failure: says("failed") };
        for (outcome, reason) in [
            (Outcome::Succeeded, None),
            (Outcome::Abandoned, Some("no such image")),
            (Outcome::RolledBack, Some("web is\nunhealthy")),
            (Outcome::RollbackFailed, Some("both")),
            (Outcome::Cancelled, Some("by root")),
            (Outcome::Superseded, None),
        ] {
            let end = End { outcome, reason: reason.map(str::to_owned), change: change() };
            conclude(&lifecycle, &end, &context).await.unwrap();
        }
        let said = std::fs::read_to_string(directory.path().join("said")).unwrap();
        insta::assert_snapshot!(said.replace(" \n", "\n"), @r"
        after succeeded
        failed abandoned no such image
        failed rolled_back web is unhealthy
        failed rollback_failed both
        ");
    }
}
