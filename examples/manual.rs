//! Writes the manual pages and the shell completions into a directory: what a package of windlass has besides the binary.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap_complete::Shell;

fn main() -> anyhow::Result<()> {
    let directory = PathBuf::from(std::env::args_os().nth(1).context("usage: manual DIRECTORY")?);
    let pages = directory.join("man");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(windlass::cli::command(), &pages)?;
    for (shell, name) in [(Shell::Bash, "windlass.bash"), (Shell::Zsh, "_windlass"), (Shell::Fish, "windlass.fish")] {
        fs::write(directory.join(name), windlass::cli::completions(shell)?)?;
    }
    Ok(())
}
