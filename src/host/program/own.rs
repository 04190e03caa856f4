//! Runs the project's own programs: what they are told, and what becomes of what they say.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::exec::{ExecError, Output, Run};
use super::runs::Runs;
use crate::deploy::plan::{Change, Source};
use crate::deploy::spec::CommandLine;
use crate::host::finding::Finding;
use crate::host::{HostError, Reporter};
use crate::lanes::Lease;

/// Of what a program says, so much is kept for the reason of its failure.
const KEPT: usize = 64 * 1024;
/// Of what it says, so many lines are written down.
const TOLD_LINES: usize = 1000;

/// For which deployment a program is run, and where.
pub(in crate::host) struct Context<'a> {
    pub(in crate::host) lease: &'a Lease,
    pub(in crate::host) directory: &'a Path,
    pub(in crate::host) runs: &'a Runs,
    /// Whether it must be run even where no record of it can be written.
    pub(in crate::host) must: bool,
    pub(in crate::host) reporter: &'a Reporter,
}

/// What a program is told, all of it in its environment. Its names are part of what windlass promises.
pub(in crate::host) type Told = Vec<(&'static str, String)>;

/// What every program is told of a deployment.
pub(in crate::host) fn told(lease: &Lease, change: &Change) -> Told {
    let mut told = vec![
        ("WINDLASS_PROJECT", lease.project().to_string()),
        ("WINDLASS_DEPLOYMENT", lease.deployment().to_string()),
        ("WINDLASS_ACTION", if change.back { "rollback" } else { "deploy" }.to_owned()),
    ];
    if let Some(first) = change.to.first() {
        told.push(("WINDLASS_IMAGE", by_digest(first)));
        told.push(("WINDLASS_DIGEST", digest(first)));
        told.push(("WINDLASS_IMAGES", lines(&change.to)));
    }
    if let Some(first) = change.from.first() {
        told.push(("WINDLASS_PREVIOUS_IMAGE", by_digest(first)));
        told.push(("WINDLASS_PREVIOUS_IMAGES", lines(&change.from)));
    }
    told
}

/// Runs a program to its end, its words becoming remarks. Its exit code decides.
pub(in crate::host) async fn run(
    command: &CommandLine,
    told: &[(&'static str, String)],
    context: &Context<'_>,
) -> Result<(), HostError> {
    let Some((program, arguments)) = command.words.split_first() else { return Ok(()) };
    let count = AtomicUsize::new(0);
    let say = |line: &str| match count.fetch_add(1, Ordering::Relaxed) {
        0..TOLD_LINES => context.reporter.say(line),
        TOLD_LINES => context.reporter.say("(output truncated)"),
        _ => {}
    };
    let run = Run {
        program,
        arguments,
        directory: Some(context.directory),
        environment: told,
        input: None,
        deadline: command.deadline,
        keep: KEPT,
        on_line: Some(&say),
        record: context.runs.begin(context.lease.project(), context.must)?,
    };
    let failed = |reason: String| HostError::refused(format!("{program} failed"), reason);
    let output = run.output().await.map_err(|error| match error {
        ExecError::NotFound { .. } => failed("it does not exist".to_owned()),
        // It names the program itself.
        ExecError::Failed { reason, .. } => failed(reason),
        ExecError::Deadline { after, tail, .. } => {
            let said = if tail.is_empty() { String::new() } else { format!("; it said last: {tail}") };
            failed(format!("not done within {}{said}", humantime::format_duration(after)))
        }
        error @ ExecError::Short { .. } => HostError::short_of_resources(error.to_string()),
        other @ ExecError::NoDirectory { .. } => failed(other.to_string()),
    })?;
    if output.status.success() { Ok(()) } else { Err(failed(why(&output))) }
}

fn why(output: &Output) -> String {
    let code = output.status.code().map_or_else(|| output.status.to_string(), |code| format!("exit code {code}"));
    let said = [output.stderr.last_lines(3), output.stdout.last_lines(3)].into_iter().find(|said| !said.is_empty());
    said.map_or_else(|| code.clone(), |said| format!("{code}: {said}"))
}

fn by_digest(source: &Source) -> String {
    match source {
        Source::Registry(image) => image.by_digest(),
        // The engine takes an id wherever it takes a reference.
        Source::Local(id) => id.to_string(),
    }
}

fn digest(source: &Source) -> String {
    match source {
        Source::Registry(image) => image.digest.to_string(),
        Source::Local(id) => id.to_string(),
    }
}

fn lines(sources: &[Source]) -> String {
    sources.iter().map(by_digest).collect::<Vec<_>>().join("\n")
}

/// What is wrong with a program that windlass is to run, if anything.
pub(in crate::host) fn check(name: &str, command: &CommandLine) -> Option<Finding> {
    let program = command.program();
    let wrong = |what: &str| Some(Finding::error(format!("`{name}`: {program} {what}")));
    let facts = match std::fs::metadata(program) {
        Ok(facts) => facts,
        Err(error) => return wrong(&format!("cannot be run: {error}")),
    };
    let mode = facts.permissions().mode();
    if !facts.is_file() {
        return wrong("is not a program");
    }
    if mode & 0o111 == 0 {
        return wrong("is not executable: chmod +x it");
    }
    // Whoever writes it decides what windlass does.
    if mode & 0o002 != 0 {
        return wrong("can be written by everybody, who could then run anything as windlass: chmod o-w it");
    }
    if mode & 0o020 != 0 && facts.gid() != 0 {
        return wrong("can be written by a group, whose members could then run anything as windlass: chmod g-w it");
    }
    None
}

#[cfg(test)]
pub(in crate::host) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lanes::{Lanes, Turn};
    use crate::model::{DeploymentId, Digest, ImageReference, Timestamp};

    pub(in crate::host) async fn lease() -> Lease {
        let slot = Lanes::new(1, 1).reserve(&"shop".parse().unwrap()).unwrap();
        let id = DeploymentId::new(Timestamp::from_millis(1_700_000_000_000));
        match slot.confirm(id, 1, std::iter::empty().collect()).await.unwrap() {
            Turn::Lease(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn image(reference: &str) -> Source {
        Source::Registry(reference.parse::<ImageReference>().unwrap().pinned(Digest::of(reference.as_bytes())))
    }

    pub(in crate::host) fn shell(script: &str, deadline: u64) -> CommandLine {
        let words = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        CommandLine { words, deadline: Duration::from_secs(deadline) }
    }

    pub(in crate::host) fn change() -> Change {
        Change { to: vec![image("r.io/api:v2"), image("r.io/web:v2")], from: vec![image("r.io/api:live")], back: false }
    }

    async fn ran(command: &CommandLine, told: &Told) -> (Result<(), String>, Vec<String>) {
        let (reporter, mut remarks) = Reporter::new();
        let (lease, runs) = (lease().await, Runs::new(None));
        let context =
            Context { lease: &lease, directory: Path::new("/"), runs: &runs, must: false, reporter: &reporter };
        let result = run(command, told, &context).await.map_err(|error| error.to_string());
        drop(reporter);
        let mut lines = Vec::new();
        while let Some(crate::host::Remark::Line(line)) = remarks.recv().await {
            lines.push(line);
        }
        (result, lines)
    }

    #[tokio::test]
    async fn a_program_is_told_everything_in_its_environment_and_nothing_in_its_arguments() {
        let lease = lease().await;
        let script = "echo $# $WINDLASS_PROJECT $WINDLASS_ACTION; echo $WINDLASS_DEPLOYMENT; echo $WINDLASS_IMAGE; \
            echo $WINDLASS_DIGEST; echo \"$WINDLASS_IMAGES\"; echo $WINDLASS_PREVIOUS_IMAGE";
        let (result, lines) = ran(&shell(script, 10), &told(&lease, &change())).await;
        let digest = |reference: &str| Digest::of(reference.as_bytes());
        let (api, web) = (digest("r.io/api:v2"), digest("r.io/web:v2"));
        assert_eq!(result, Ok(()));
        assert_eq!(
            lines,
            [
                "0 shop deploy".to_owned(),
                lease.deployment().to_string(),
                format!("r.io/api@{api}"),
                api.to_string(),
                format!("r.io/api@{api}"),
                format!("r.io/web@{web}"),
                format!("r.io/api@{}", digest("r.io/api:live")),
            ]
        );
    }

    #[tokio::test]
    async fn the_way_back_is_named_and_an_image_of_this_host_is_told_by_its_id() {
        let back = Change { to: vec![Source::Local(Digest::of(b"built"))], from: Vec::new(), back: true };
        let told = told(&lease().await, &back);
        let value = |name| told.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!(value("WINDLASS_ACTION"), Some("rollback"));
        assert_eq!(value("WINDLASS_IMAGE"), Some(Digest::of(b"built").as_str()));
        assert_eq!(value("WINDLASS_PREVIOUS_IMAGE"), None);
    }

    #[tokio::test]
    async fn the_exit_code_decides_and_the_last_words_are_the_reason() {
        let (result, lines) = ran(&shell("echo trying; echo no way >&2; exit 3", 10), &Told::new()).await;
        assert_eq!(result, Err("/bin/sh failed: exit code 3: no way".to_owned()));
        assert_eq!(lines.len(), 2, "{lines:?}");
        let (result, _) = ran(&shell("echo on my way >&2; sleep 20", 1), &Told::new()).await;
        assert_eq!(result, Err("/bin/sh failed: not done within 1s; it said last: on my way".to_owned()));
        let missing = CommandLine { words: vec!["/no/such/program".to_owned()], deadline: Duration::from_secs(1) };
        assert_eq!(ran(&missing, &Told::new()).await.0, Err("/no/such/program failed: it does not exist".to_owned()));
    }

    #[tokio::test]
    async fn a_program_that_never_stops_talking_does_not_fill_the_journal() {
        let (result, lines) = ran(&shell("seq 1 5000; exit 3", 10), &Told::new()).await;
        assert_eq!(result, Err("/bin/sh failed: exit code 3: 4998; 4999; 5000".to_owned()));
        assert_eq!(lines.len(), TOLD_LINES + 1);
        assert!(lines[TOLD_LINES].contains("output truncated"), "{}", lines[TOLD_LINES]);
    }

    #[test]
    fn a_program_that_others_could_change_or_that_cannot_be_run_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("restart");
        let command =
            |path: &Path| CommandLine { words: vec![path.display().to_string()], deadline: Duration::from_secs(1) };
        let found = |path: &Path| check("run", &command(path)).map(|finding| finding.what).unwrap_or_default();
        assert!(found(&program).contains("No such file"), "{}", found(&program));
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        for (mode, what) in [(0o644, "not executable"), (0o757, "written by everybody"), (0o755, ""), (0o700, "")] {
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = found(&program);
            assert_eq!((found.contains(what), found.is_empty()), (true, what.is_empty()), "{mode:o}: {found}");
        }
        assert!(found(directory.path()).contains("is not a program"));
    }
}
