//! `windlass schema`: prints the JSON Schema of the configuration, for editors.

use super::exit::Exit;
use super::output::Output;
use crate::client::Failure;
use crate::config::schema;

/// Of which file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Editors with Taplo (\"Even Better TOML\") complete and check a file whose first line names its schema:

  #:schema ./windlass-project.schema.json

Example:
  windlass schema project > windlass-project.schema.json")]
pub(super) struct Args {
    /// The file that the schema is for
    #[arg(value_enum, default_value_t = File::Config)]
    file: File,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum File {
    /// config.toml
    Config,
    /// The files in projects.d
    Project,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    output.document(&match args.file {
        File::Config => schema::of_config(),
        File::Project => schema::of_projects(),
    });
    Ok(Exit::Succeeded)
}
