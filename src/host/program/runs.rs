//! Programs that must not outlive windlass: each run that changes something leaves a record before it begins, so that
//! a windlass that was killed finds what its predecessor had started.
//!
//! A run carries its record's id in its environment, and every process that it starts inherits it. That reaches what a
//! process group or a parent-death signal does not: the Compose plugin is a child of the `docker` client. What has
//! cleaned its environment, as `sudo` does, is found by its process group. Only what has done both and gone into a group of
//! its own is not found.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::host::{HostError, Reporter};
use crate::model::ProjectName;

/// The variable that names the record.
const VARIABLE: &str = "WINDLASS_RUN";
/// How long a process may take to end after SIGKILL: one that waits for a disk takes its time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(20);

/// The records of all projects, in one directory. Without a directory nothing is recorded.
#[derive(Debug)]
pub(in crate::host) struct Runs(Option<PathBuf>);

/// The record of one run.
#[derive(Debug)]
pub(in crate::host) struct Record {
    id: String,
    file: PathBuf,
}

impl Runs {
    pub(in crate::host) const fn new(directory: Option<PathBuf>) -> Self {
        Self(directory)
    }

    /// Records that a run for `project` is about to begin. Nothing where nothing is recorded, or where the record could not
    /// be written and the run `must` take place all the same: the way back is better without a record than not at all.
    ///
    /// # Errors
    /// A passing one when the record cannot be written and the run can wait: a windlass that is killed would not find what
    /// it had started.
    pub(in crate::host) fn begin(&self, project: &ProjectName, must: bool) -> Result<Option<Record>, HostError> {
        let Some(directory) = self.0.as_deref() else { return Ok(None) };
        match Record::write(directory, project) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                let directory = directory.display();
                tracing::warn!(%project, %directory, %error, "failed to record a run");
                let what = format!("failed to record a run in {directory}");
                if must { Ok(None) } else { Err(HostError::passing(what, error.to_string())) }
            }
        }
    }

    /// Ends what is left of the recorded runs of `project`. To be called before anything of the project is changed, and
    /// while nothing runs for it.
    ///
    /// # Errors
    /// When a process does not end.
    pub(in crate::host) async fn end_leftovers(
        &self,
        project: &ProjectName,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        for record in self.records_of(project) {
            let begun = Instant::now();
            loop {
                let processes = record.processes();
                if processes.is_empty() {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    let what = "failed to end a program of an interrupted deployment";
                    let reason = format!("the processes {processes:?} do not end");
                    return Err(HostError::failed(what, reason));
                }
                for pid in processes {
                    tracing::info!(%project, pid = pid.as_raw(), "ending a program of an interrupted deployment");
                    // It may have ended in this moment.
                    let _ = kill(pid, Signal::SIGKILL);
                }
                reporter.say("ended a program that an interrupted deployment had left behind");
                sleep(LOOK).await;
            }
            record.erase();
        }
        Ok(())
    }

    fn records_of(&self, project: &ProjectName) -> Vec<Record> {
        let Some(entries) = self.0.as_deref().and_then(|directory| fs::read_dir(directory).ok()) else {
            return Vec::new();
        };
        let prefix = prefix(project);
        let record = |entry: fs::DirEntry| {
            let id = entry.file_name().to_str()?.strip_prefix(&prefix)?.to_owned();
            Some(Record { id, file: entry.path() })
        };
        entries.flatten().filter_map(record).collect()
    }
}

/// No project's name has an `@`.
fn prefix(project: &ProjectName) -> String {
    format!("{project}@")
}

impl Record {
    fn write(directory: &Path, project: &ProjectName) -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let id = format!("{:032x}", u128::from_le_bytes(random));
        let file = directory.join(format!("{}{id}", prefix(project)));
        fs::create_dir_all(directory)?;
        // What is not on disk yet is lost with a power cut, and so are the processes.
        fs::File::create(&file)?;
        Ok(Self { id, file })
    }

    /// Notes which process group the run is, once it has begun.
    pub(in crate::host) fn is_run_by(&self, group: u32) {
        let Some(Membership { session, .. }) = Membership::of(Path::new("/proc/self")) else { return };
        if let Err(error) = fs::write(&self.file, format!("{group} {session}\n")) {
            tracing::warn!(file = %self.file.display(), %error, "failed to record the process group of a run");
        }
    }

    /// The processes of the run, as far as this process may look at them.
    fn processes(&self) -> Vec<Pid> {
        let noted = fs::read_to_string(&self.file).unwrap_or_default();
        let group = Membership::noted(&noted);
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let wanted = format!("{VARIABLE}={}", self.id);
        let carries = |process: &Path| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        // A number may be in use again for another group, but not in the session of a windlass that is gone.
        let belongs = |process: &Path| group.is_some() && Membership::of(process) == group;
        let pid = |entry: fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            (carries(&entry.path()) || belongs(&entry.path())).then(|| Pid::from_raw(pid))
        };
        entries.flatten().filter_map(pid).collect()
    }

    /// What the run must have in its environment.
    pub(in crate::host) fn variable(&self) -> (&'static str, &str) {
        (VARIABLE, &self.id)
    }

    /// The run came to its end: what it left running on purpose is left alone.
    pub(in crate::host) fn erase(self) {
        if let Err(error) = fs::remove_file(&self.file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.file.display(), %error, "failed to remove the record of a run");
        }
    }
}

/// The process group and the session of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Membership {
    group: u32,
    session: u32,
}

impl Membership {
    /// Of the process that the directory `/proc/PID` is about; see proc(5), stat. One that has ended belongs nowhere.
    fn of(process: &Path) -> Option<Self> {
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        // The name in brackets may contain anything.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let is_alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
        let mut numbers = fields.skip(1);
        let found = Self { group: numbers.next()?.parse().ok()?, session: numbers.next()?.parse().ok()? };
        is_alive.then_some(found)
    }

    fn noted(text: &str) -> Option<Self> {
        let (group, session) = text.trim().split_once(' ')?;
        Some(Self { group: group.parse().ok()?, session: session.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::program::exec::Run;

    fn shell(script: &str) -> [String; 2] {
        ["-c".to_owned(), script.to_owned()]
    }

    fn run<'a>(arguments: &'a [String], directory: &'a Path, record: Option<Record>) -> Run<'a> {
        Run {
            program: "sh",
            arguments,
            directory: Some(directory),
            environment: &[],
            input: None,
            deadline: Duration::from_secs(60),
            keep: 1000,
            on_line: None,
            record,
        }
    }

    /// Once the program has said so by a file.
    async fn begun(directory: &Path) {
        while !directory.join("begun").exists() {
            sleep(LOOK).await;
        }
    }

    #[tokio::test]
    async fn what_an_interrupted_run_started_is_ended_wherever_it_went() {
        let directory = tempfile::tempdir().unwrap();
        let (runs, project) = (Runs::new(Some(directory.path().join("runs"))), "shop".parse().unwrap());
        let record = runs.begin(&project, false).unwrap().unwrap();
        let left = Record { id: record.id.clone(), file: record.file.clone() };
        // In a session of its own, which no signal to the run's group reaches.
        let script = shell("setsid sh -c 'touch begun; while :; do sleep 1; done' & wait");
        let interrupted = run(&script, directory.path(), Some(record)).output();
        tokio::select! {
            output = interrupted => panic!("{output:?}"),
            () = begun(directory.path()) => {}
        }
        assert!(!left.processes().is_empty());
        let (reporter, _remarks) = Reporter::new();
        runs.end_leftovers(&"other".parse().unwrap(), &reporter).await.unwrap();
        assert!(!left.processes().is_empty(), "another project's run is not touched");
        runs.end_leftovers(&project, &reporter).await.unwrap();
        assert!(left.processes().is_empty() && runs.records_of(&project).is_empty());
    }

    #[tokio::test]
    async fn what_an_interrupted_run_started_with_a_clean_environment_is_ended_as_well() {
        let directory = tempfile::tempdir().unwrap();
        let (runs, project) = (Runs::new(Some(directory.path().join("runs"))), "shop".parse().unwrap());
        let record = runs.begin(&project, false).unwrap().unwrap();
        let left = Record { id: record.id.clone(), file: record.file.clone() };
        let script = shell("env -i PATH=\"$PATH\" sh -c 'touch begun; while :; do sleep 1; done' & wait");
        // Killed, as a windlass is that has no time to end what it runs.
        let mut command = run(&script, directory.path(), None).command();
        let mut child = command.env(VARIABLE, &left.id).kill_on_drop(false).spawn().unwrap();
        record.is_run_by(child.id().unwrap());
        begun(directory.path()).await;
        assert!(left.processes().len() > 1);
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        assert!(!left.processes().is_empty(), "the worker works on");
        let (reporter, _remarks) = Reporter::new();
        runs.end_leftovers(&project, &reporter).await.unwrap();
        assert!(left.processes().is_empty());
    }

    #[test]
    fn a_run_that_can_wait_does_not_begin_without_a_record() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("runs");
        fs::write(&file, "").unwrap();
        let (runs, project) = (Runs::new(Some(file.clone())), "shop".parse().unwrap());
        let error = runs.begin(&project, false).unwrap_err();
        assert!(error.is_passing() && error.to_string().contains(&file.display().to_string()), "{error}");
        assert!(runs.begin(&project, true).unwrap().is_none());
    }

    #[tokio::test]
    async fn what_a_run_leaves_behind_on_purpose_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (runs, project) = (Runs::new(Some(directory.path().join("runs"))), "shop".parse().unwrap());
        let record = runs.begin(&project, false).unwrap().unwrap();
        let left = Record { id: record.id.clone(), file: record.file.clone() };
        let script = shell("setsid sh -c 'touch begun; sleep 60' >/dev/null 2>&1 & while [ ! -e begun ]; do :; done");
        run(&script, directory.path(), Some(record)).output().await.unwrap();
        let (reporter, _remarks) = Reporter::new();
        runs.end_leftovers(&project, &reporter).await.unwrap();
        let processes = left.processes();
        assert!(!processes.is_empty());
        for pid in processes {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}
