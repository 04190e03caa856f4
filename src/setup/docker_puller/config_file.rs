//! config.toml, to which one table is added. What stands there already stays as it is.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use super::super::key;
use super::super::new_files::NewFiles;
use crate::client::{Failure, Kind};

/// config.toml as it is, and what shall be added.
pub(super) struct Addition<'a> {
    file: &'a Path,
    before: Option<String>,
}

impl<'a> Addition<'a> {
    /// Looks whether `[compat.docker_puller]` can be added to `file`, which need not be there.
    pub(super) fn to(file: &'a Path) -> Result<Self, Failure> {
        let refused = |reason: &str| Failure::new(Kind::Refused, "nothing was imported", reason);
        let before = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { file, before: None }),
            Err(error) => return Err(refused(&format!("{}: {error}", file.display()))),
        };
        let table: toml::Table = before.parse().map_err(|_| {
            refused(&format!("{} is not TOML", file.display())).fix("windlass check says where and why")
        })?;
        if table.contains_key("compat") {
            let reason = format!("{} has a table `compat` already, and nothing is overwritten", file.display());
            return Err(refused(&reason).fix("change it by hand, or remove it to import again"));
        }
        Ok(Self { file, before: Some(before) })
    }

    /// Adds `table`, all of it or nothing.
    pub(super) fn write(self, table: &str, files: &mut NewFiles) -> Result<(), Failure> {
        let Some(before) = self.before else { return files.plain(self.file, table) };
        let gap = if before.is_empty() {
            ""
        } else if before.ends_with('\n') {
            "\n"
        } else {
            "\n\n"
        };
        let append = || -> io::Result<()> {
            let mut file = OpenOptions::new().append(true).open(self.file)?;
            let length = file.metadata()?.len();
            let written = file.write_all(format!("{gap}{table}").as_bytes()).and_then(|()| file.sync_all());
            // Half a table would keep windlass from starting.
            written.inspect_err(|_| drop(file.set_len(length)))
        };
        append().map_err(|error| key::not_written(self.file, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(before: Option<&str>) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        if let Some(before) = before {
            fs::write(&file, before).unwrap();
        }
        let mut files = NewFiles::default();
        let added = Addition::to(&file).and_then(|addition| addition.write("[compat.x]\n", &mut files));
        files.keep();
        added.map(|()| fs::read_to_string(&file).unwrap()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_table_is_added_below_what_stands_there() {
        for (before, expected) in [
            (None, "[compat.x]\n"),
            (Some(""), "[compat.x]\n"),
            (Some("# mine\nlisten = 'x'\n"), "# mine\nlisten = 'x'\n\n[compat.x]\n"),
            (Some("[limits]"), "[limits]\n\n[compat.x]\n"),
        ] {
            assert_eq!(after(before).as_deref(), Ok(expected));
        }
        assert!(after(Some("compat = {}")).unwrap_err().contains("nothing is overwritten"));
        assert!(after(Some("[compat.docker_puller]")).unwrap_err().contains("nothing is overwritten"));
        assert!(after(Some("listen =")).unwrap_err().contains("windlass check"));
    }
}
