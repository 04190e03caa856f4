//! Runs programs: arguments as they are, never a shell; with a deadline, bounded output, and their whole process group
//! ended when the run is given up.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::runs::Record;

/// What is taken over from windlass's own environment: what the Docker client and credential helpers need to find
/// their way, and nothing of what a service manager or a caller put there.
const INHERITED: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "GNUPGHOME",
    "PASSWORD_STORE_DIR",
];
const INHERITED_PREFIXES: [&str; 6] = ["DOCKER_", "XDG_", "AWS_", "AZURE_", "GOOGLE_", "CLOUDSDK_"];
/// Where programs are when nobody says so.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long output is read after the program itself has ended: something it left behind may hold the pipes open.
const AFTERMATH: Duration = Duration::from_millis(500);

/// One run of a program.
pub(in crate::host) struct Run<'a> {
    pub(in crate::host) program: &'a str,
    pub(in crate::host) arguments: &'a [String],
    pub(in crate::host) directory: Option<&'a Path>,
    /// Added to what is inherited.
    pub(in crate::host) environment: &'a [(&'static str, String)],
    pub(in crate::host) input: Option<&'a [u8]>,
    pub(in crate::host) deadline: Duration,
    /// How many bytes of each stream are kept: the last ones.
    pub(in crate::host) keep: usize,
    /// Is told each line of both streams as it comes.
    pub(in crate::host) on_line: Option<&'a (dyn Fn(&str) + Send + Sync)>,
    /// Kept when the run is given up: only then may something of it be left.
    pub(in crate::host) record: Option<Record>,
}

/// What a program did.
#[derive(Debug)]
pub(in crate::host) struct Output {
    pub(in crate::host) status: ExitStatus,
    pub(in crate::host) stdout: Tail,
    pub(in crate::host) stderr: Tail,
}

/// The end of a stream.
#[derive(Debug, Default)]
pub(in crate::host) struct Tail {
    bytes: Vec<u8>,
    limit: usize,
    /// Whether something before the end was dropped.
    pub(in crate::host) cut: bool,
}

/// Why there is no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::host) enum ExecError {
    #[error("{program} is not installed, or not in PATH")]
    NotFound { program: String },
    #[error("the directory {directory} does not exist")]
    NoDirectory { directory: String },
    #[error("{program} could not be run: {reason}")]
    Failed { program: String, reason: String },
    /// The system has no file descriptors, processes or memory left; that passes.
    #[error("{program} could not be run: {reason}")]
    Short { program: String, reason: String },
    #[error("{program} did not end within {} s{}", after.as_secs(), said(tail))]
    Deadline { program: String, after: Duration, tail: String },
}

fn said(tail: &str) -> String {
    if tail.is_empty() { String::new() } else { format!("; it said last: {tail}") }
}

impl Run<'_> {
    /// Runs it to its end. Ends it, and all that it started, when the deadline passes or the future is dropped.
    pub(in crate::host) async fn output(mut self) -> Result<Output, ExecError> {
        let record = self.record.take();
        let failed =
            |error: io::Error| ExecError::Failed { program: self.program.to_owned(), reason: error.to_string() };
        let mut command = self.command();
        command.envs(record.as_ref().map(Record::variable));
        let spawned = command.spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                if let Some(record) = record {
                    record.erase();
                }
                return Err(self.not_started(&error));
            }
        };
        let mut group = Group(child.id());
        if let (Some(record), Some(pid)) = (&record, child.id()) {
            record.is_run_by(pid);
        }

        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut out, mut err) = (Tail::new(self.keep), Tail::new(self.keep));
        let ended = {
            let streams = async {
                tokio::join!(
                    write_all(stdin, self.input),
                    read_all(stdout, &mut out, self.on_line),
                    read_all(stderr, &mut err, self.on_line)
                );
            };
            tokio::pin!(streams);
            let run = async {
                let mut open = true;
                loop {
                    tokio::select! {
                        status = child.wait() => break (status, open),
                        () = &mut streams, if open => open = false,
                    }
                }
            };
            let ended = timeout(self.deadline, run).await;
            if let Ok((_, true)) = ended {
                // Nothing is lost when this runs out but what others write.
                let _ = timeout(AFTERMATH, streams).await;
            }
            ended
        };
        let Ok((status, _)) = ended else {
            drop(group);
            return Err(ExecError::Deadline {
                program: self.program.to_owned(),
                after: self.deadline,
                tail: err.last_lines(3),
            });
        };
        group.0 = None;
        if let Some(record) = record {
            record.erase();
        }
        Ok(Output { status: status.map_err(failed)?, stdout: out, stderr: err })
    }

    #[expect(clippy::disallowed_types, reason = "this is the one place where programs are started")]
    pub(super) fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(self.program);
        command.args(self.arguments).env_clear().env("PATH", DEFAULT_PATH).envs(inherited());
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        if let Some(directory) = self.directory {
            // Compose calls the project directory by this name where both mean the same, as it does in a shell.
            command.current_dir(directory).env("PWD", directory);
        }
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }

    /// An absent program and an absent directory come back as the same error.
    fn not_started(&self, error: &io::Error) -> ExecError {
        if matches!(
            error.raw_os_error().map(Errno::from_raw),
            Some(Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN | Errno::ENOMEM)
        ) {
            return ExecError::Short { program: self.program.to_owned(), reason: error.to_string() };
        }
        match self.directory {
            _ if error.kind() != io::ErrorKind::NotFound => {}
            Some(directory) if !directory.is_dir() => {
                return ExecError::NoDirectory { directory: directory.display().to_string() };
            }
            _ => return ExecError::NotFound { program: self.program.to_owned() },
        }
        ExecError::Failed { program: self.program.to_owned(), reason: error.to_string() }
    }
}

fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        let Some(name) = name.to_str() else { return false };
        INHERITED.contains(&name) || INHERITED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Ends a process group when dropped, unless it was taken out.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself in the meantime.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

async fn write_all(stdin: Option<tokio::process::ChildStdin>, input: Option<&[u8]>) {
    if let (Some(mut stdin), Some(input)) = (stdin, input) {
        // A program that does not read to the end says by its exit code whether that was wrong.
        let _ = stdin.write_all(input).await;
    }
}

async fn read_all(
    stream: Option<impl AsyncRead + Unpin>,
    tail: &mut Tail,
    on_line: Option<&(dyn Fn(&str) + Send + Sync)>,
) {
    let Some(mut stream) = stream else { return };
    let mut lines = Lines::default();
    let mut buffer = vec![0_u8; 16 * 1024];
    while let Ok(count) = stream.read(&mut buffer).await {
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { break };
        tail.push(read);
        if let Some(on_line) = on_line {
            lines.push(read, on_line);
        }
    }
    if let Some(on_line) = on_line {
        lines.finish(on_line);
    }
}

/// Cuts a stream into lines; one that never ends is cut at 4,000 bytes.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8], on_line: &(dyn Fn(&str) + Send + Sync)) {
        for byte in bytes {
            if *byte == b'\n' || self.0.len() >= 4000 {
                self.finish(on_line);
            }
            if *byte != b'\n' {
                self.0.push(*byte);
            }
        }
    }

    fn finish(&mut self, on_line: &(dyn Fn(&str) + Send + Sync)) {
        let line = String::from_utf8_lossy(&self.0);
        if !line.trim().is_empty() {
            on_line(line.trim());
        }
        self.0.clear();
    }
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, cut: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Cutting only now and then keeps this linear.
        if self.bytes.len() > self.limit.saturating_mul(2) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.limit);
        if surplus > 0 {
            self.bytes.drain(..surplus);
            self.cut = true;
        }
    }

    /// The bytes that were kept.
    pub(in crate::host) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.bytes.len().saturating_sub(self.limit)..).unwrap_or(&self.bytes)
    }

    /// Whether something is missing at the beginning.
    pub(in crate::host) fn is_cut(&self) -> bool {
        self.cut || self.bytes.len() > self.limit
    }

    /// The last lines that say something, joined.
    pub(in crate::host) fn last_lines(&self, count: usize) -> String {
        let text = String::from_utf8_lossy(self.bytes());
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;

    fn run<'a>(program: &'a str, arguments: &'a [String]) -> Run<'a> {
        Run {
            program,
            arguments,
            directory: None,
            environment: &[],
            input: None,
            deadline: Duration::from_secs(20),
            keep: 1000,
            on_line: None,
            record: None,
        }
    }

    fn shell(script: &str) -> [String; 2] {
        ["-c".to_owned(), script.to_owned()]
    }

    #[tokio::test]
    async fn arguments_and_input_arrive_as_they_are() {
        let arguments = ["$(id) `id` ; *".to_owned()];
        let output = run("echo", &arguments).output().await.unwrap();
        assert_eq!(output.stdout.bytes(), b"$(id) `id` ; *\n");
        let output = Run { input: Some(b"a secret"), ..run("cat", &[]) }.output().await.unwrap();
        assert_eq!(output.stdout.bytes(), b"a secret");
    }

    #[tokio::test]
    async fn the_end_of_both_streams_and_the_exit_code_are_kept() {
        let script = shell("seq 1 2000; echo first >&2; echo last >&2; exit 3");
        let output = run("sh", &script).output().await.unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(output.stdout.bytes().len() <= 1000 && output.stdout.is_cut());
        assert!(output.stdout.bytes().ends_with(b"1999\n2000\n"));
        assert_eq!(output.stderr.last_lines(5), "first; last");
    }

    #[tokio::test]
    async fn the_lines_of_both_streams_are_told_as_they_come() {
        let script = shell("echo one; echo two >&2; printf 'three\n\nfour'");
        let lines = Mutex::new(Vec::new());
        let on_line = |line: &str| lines.lock().unwrap().push(line.to_owned());
        Run { on_line: Some(&on_line), ..run("sh", &script) }.output().await.unwrap();
        let mut lines = lines.into_inner().unwrap();
        lines.sort();
        assert_eq!(lines, ["four", "one", "three", "two"]);
    }

    #[tokio::test]
    async fn a_missing_program_and_a_missing_directory_are_told_apart() {
        let error = run("windlass-no-such-program", &[]).output().await.unwrap_err();
        assert_eq!(error.to_string(), "windlass-no-such-program is not installed, or not in PATH");
        let directory = Some(Path::new("/no/such/directory"));
        let error = Run { directory, ..run("true", &[]) }.output().await.unwrap_err();
        assert_eq!(error.to_string(), "the directory /no/such/directory does not exist");
    }

    #[test]
    fn what_the_system_is_short_of_is_told_from_what_is_wrong() {
        for (errno, is_short) in [
            (Errno::EMFILE, true),
            (Errno::ENFILE, true),
            (Errno::EAGAIN, true),
            (Errno::ENOMEM, true),
            (Errno::EACCES, false),
            (Errno::ENOEXEC, false),
            (Errno::ENOENT, false),
        ] {
            let error = run("true", &[]).not_started(&io::Error::from(errno));
            assert_eq!(matches!(error, ExecError::Short { .. }), is_short, "{error}");
        }
    }

    #[tokio::test]
    async fn the_deadline_ends_the_program_and_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let script = shell("echo on my way >&2; (sleep 1; touch survived) & sleep 30");
        let (begun, deadline) = (Instant::now(), Duration::from_millis(300));
        let run = Run { directory: Some(directory.path()), deadline, ..run("sh", &script) };
        let error = run.output().await.unwrap_err();
        assert_eq!(error.to_string(), "sh did not end within 0 s; it said last: on my way");
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert!(!directory.path().join("survived").exists());
    }

    #[tokio::test]
    async fn dropping_the_run_ends_the_program_and_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let script = shell("(sleep 1; touch survived) & sleep 30");
        let run = Run { directory: Some(directory.path()), ..run("sh", &script) };
        assert!(timeout(Duration::from_millis(200), run.output()).await.is_err());
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert!(!directory.path().join("survived").exists());
    }

    #[tokio::test]
    async fn what_a_program_leaves_behind_does_not_hold_it_up() {
        let script = shell("echo done; sleep 20 &");
        let begun = Instant::now();
        let output = run("sh", &script).output().await.unwrap();
        assert_eq!(output.stdout.bytes(), b"done\n");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn the_environment_is_the_listed_one() {
        let environment = [("DOCKER_HOST", "unix:///x".to_owned())];
        let output = Run { environment: &environment, keep: 100_000, ..run("env", &[]) }.output().await.unwrap();
        let text = String::from_utf8_lossy(output.stdout.bytes()).into_owned();
        assert!(text.contains("DOCKER_HOST=unix:///x\n") && text.contains("PATH="));
        assert!(!text.contains("CARGO"), "{text}");
    }
}
