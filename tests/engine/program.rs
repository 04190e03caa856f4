//! Runs programs: the only place of these tests that may.
#![expect(
    clippy::disallowed_types,
    reason = "the real programs are what is tested here, and windlass' own runner with them"
)]

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long anything may take before it counts as hanging: longer than anything takes here, on a machine that has a lot
/// else to do as well. Whatever shows how far it is, is waited for as long as it goes on.
pub const PATIENCE: Duration = Duration::from_secs(900);

/// A program that is about to be run.
pub struct Program {
    command: Command,
    input: Option<Vec<u8>>,
    /// A complaint that has nothing to do with what is asked of it.
    passing: Option<&'static str>,
}

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Program {
    /// A program that is ended when it takes too long.
    pub fn new(name: &str) -> Self {
        let mut command = Command::new("timeout");
        command.args(["--kill-after", "5", &PATIENCE.as_secs().to_string(), name]);
        Self { command, input: None, passing: None }
    }

    /// A program that may run for as long as the test does.
    pub fn lasting(path: &str) -> Self {
        Self { command: Command::new(path), input: None, passing: None }
    }

    /// One of the project's own scripts.
    pub fn script(name: &str) -> Self {
        Self::new(&format!("{}/{name}", env!("CARGO_MANIFEST_DIR")))
    }

    pub fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn args<S: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// It is run again as long as it complains of this, which passes.
    pub fn again_when(self, complaint: &'static str) -> Self {
        Self { passing: Some(complaint), ..self }
    }

    /// Runs it to its end.
    pub fn output(mut self) -> Output {
        let Some(complaint) = self.passing else { return self.output_once() };
        let what = format!("{:?} to say no more: {complaint}", self.command);
        eventually(PATIENCE, &what, || {
            let output = self.output_once();
            (!output.stderr.contains(complaint)).then_some(output)
        })
    }

    fn output_once(&mut self) -> Output {
        let input = self.input.as_ref();
        self.command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command));
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What it prints, without blanks at the ends. It must succeed.
    pub fn text(self) -> String {
        let shown = format!("{:?}", self.command);
        let output = self.output();
        assert!(output.code == 0, "{shown}: exit code {}: {}{}", output.code, output.stdout, output.stderr);
        output.stdout.trim().to_owned()
    }

    /// Starts it; whatever it says goes to the end of `log`.
    pub fn start(mut self, log: &Path) -> Running {
        let file = OpenOptions::new().create(true).append(true).open(log).unwrap();
        self.command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = self.command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command));
        Running { child, log: log.to_owned() }
    }

    /// Starts it and reads its lines as they come.
    pub fn lines(mut self, errors: &Path) -> Lines {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(errors).unwrap());
        let mut child = self.command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        Lines { child, lines, read: Vec::new() }
    }

    /// Starts it with an input that ends when this process does, however that comes about.
    pub fn start_leashed(mut self, log: &Path) -> Child {
        let log = File::create(log).unwrap();
        self.command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        self.command.spawn().unwrap()
    }
}

/// A program in the background, ended for good when it is dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Its exit code, if it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        Program::new("kill").args([&format!("-{name}"), &self.id().to_string()]).text();
    }

    /// Waits for its end and gives its exit code.
    pub fn wait(&mut self, within: Duration) -> i32 {
        eventually(within, "its end", || self.ended())
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program whose lines are read while it runs.
pub struct Lines {
    child: Child,
    lines: Receiver<(Instant, String)>,
    /// What was read so far, and when it came.
    pub read: Vec<(Instant, String)>,
}

impl Lines {
    /// Reads until a line contains `text`.
    pub fn until(&mut self, text: &str) -> Instant {
        loop {
            let next = self.lines.recv_timeout(PATIENCE);
            let (at, line) = next.unwrap_or_else(|_| panic!("no line with {text:?} in {:#?}", self.read));
            self.read.push((at, line.clone()));
            if line.contains(text) {
                return at;
            }
        }
    }

    /// Reads one more line.
    pub fn next_line(&mut self) -> Instant {
        self.until("")
    }

    /// Reads to the end and gives the exit code.
    pub fn finish(&mut self) -> i32 {
        self.read.extend(self.lines.iter());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// All lines that were read.
    pub fn text(&self) -> String {
        self.read.iter().map(|(_, line)| format!("{line}\n")).collect()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
pub fn eventually<T>(within: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {within:?} for {what} in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}
