//! The command as people and scripts use it: the real binary against a daemon over a machine in memory.

#![expect(clippy::disallowed_types, reason = "the command is a program, and is run as one")]

mod acting;
mod breaking;
mod import;
mod init;
mod keys;
mod looking;
mod screens;
mod serving;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::daemon::Home;

/// The command, on a host.
pub(crate) struct Windlass {
    home: std::path::PathBuf,
    more: Vec<String>,
}

/// What the command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Windlass {
    /// As an operator on the host uses it.
    pub(crate) fn on(home: &Home) -> Self {
        Self { home: home.path().to_owned(), more: Vec::new() }
    }

    /// As somebody elsewhere uses it, with the project's key of `scheme`.
    pub(crate) fn elsewhere(home: &Home, url: &str, project: &str, scheme: &str) -> Self {
        let key = home.path().join(format!("{project}-{scheme}.key"));
        let more = ["--url", url, "--key-file", key.to_str().unwrap(), "--scheme", scheme].map(str::to_owned);
        Self { home: home.path().to_owned(), more: more.to_vec() }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(&self.home);
        command.arg("--config").arg(self.home.join("config.toml")).args(&self.more).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(arguments).output().unwrap())
    }

    /// Starts it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs it with `--json`; what it prints must be that.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let done = self.run(&[&["--json"], arguments].concat());
        assert_eq!(done.code, 0, "{done:?}");
        serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"))
    }
}

impl Done {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let done = Self {
            code: output.status.code().expect("the command was killed"),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!done.err.contains("panicked"), "{}", done.err);
        assert!(!done.out.contains('\u{1b}') && !done.err.contains('\u{1b}'), "colours without a terminal: {done:?}");
        done
    }

    /// The last line of standard output that is not indented.
    pub(crate) fn last(&self) -> &str {
        self.out.lines().rfind(|line| !line.starts_with(' ')).unwrap_or_default()
    }

    /// Each line of standard output as JSON.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The shells of CI's images: Debian's, Red Hat's and Alpine's.
pub(crate) const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "ash"]];

/// Runs a shell script; `windlass` in it is the command.
pub(crate) fn shell(script: &str, variables: &[(&str, &str)], programs: &Path) -> Done {
    run_in(&["sh"], script, variables, programs)
}

/// The same in a shell that is named.
pub(crate) fn run_in(shell: &[&str], script: &str, variables: &[(&str, &str)], programs: &Path) -> Done {
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_windlass"), programs.join("windlass")).ok();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).env_clear().env("PATH", path).envs(variables.iter().copied()).current_dir(programs);
    Done::of(command.arg("-c").arg(script).stdin(Stdio::null()).output().unwrap())
}
