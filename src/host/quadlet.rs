//! Pins the image of a Podman Quadlet: a drop-in beside its `.container` file, which names the image by digest.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::HostError;
use crate::deploy::plan::Source;
use crate::model::{ImageReference, LocalImage, Repository, UnitName};

/// Where an administrator's files for Quadlet are.
const FILES: &str = "/etc/containers/systemd";
/// Late, so that it comes after what others wrote.
const DROP_IN: &str = "90-windlass.conf";

/// What the drop-in of `unit` names, where there is one and it is of `repository`.
pub(crate) fn pinned(unit: &UnitName, repository: &Repository) -> Result<Option<LocalImage>, HostError> {
    read(Path::new(FILES), unit, repository)
}

/// Lets `unit` be made from `source`. systemd has to read its units anew before that counts.
pub(crate) fn pin(unit: &UnitName, reference: &ImageReference, source: &Source) -> Result<(), HostError> {
    let image = match source {
        Source::Registry(image) => image.by_digest(),
        Source::Local(id) => {
            let reason = format!("{id} has no digest of a registry, by which {unit} could name it");
            return Err(HostError::Unit { operation: format!("pin {reference}"), reason });
        }
    };
    write(Path::new(FILES), unit, &image)
}

/// Takes the drop-in away.
pub(crate) fn unpin(unit: &UnitName) -> Result<(), HostError> {
    let file = drop_in(Path::new(FILES), unit);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &file, &error)),
        _ => Ok(()),
    }
}

/// Why there is no service of a `.container` file.
pub(crate) fn not_made(unit: &UnitName) -> String {
    format!(
        "systemd has no {}: Quadlet makes it of {FILES}/{unit} where Podman 4.4 or newer is installed; \
         /usr/lib/systemd/system-generators/podman-system-generator --dryrun says what is wrong with the file",
        unit.started()
    )
}

/// What would make pinning fail.
pub(crate) fn survey(unit: &UnitName) -> Option<String> {
    let file = Path::new(FILES).join(unit.as_str());
    if !file.is_file() {
        return Some(format!("{} is not there: {unit} is pinned by a drop-in beside it", file.display()));
    }
    let directory = file.parent().unwrap_or(&file);
    let is_writable = nix::unistd::access(directory, nix::unistd::AccessFlags::W_OK).is_ok();
    (!is_writable).then(|| {
        format!("{} cannot be written by this user: it takes the drop-in that pins {unit}", directory.display())
    })
}

fn drop_in(files: &Path, unit: &UnitName) -> PathBuf {
    files.join(format!("{unit}.d")).join(DROP_IN)
}

fn read(files: &Path, unit: &UnitName, repository: &Repository) -> Result<Option<LocalImage>, HostError> {
    let file = drop_in(files, unit);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &file, &error)),
    };
    let image = text.lines().find_map(|line| line.strip_prefix("Image=")?.parse::<ImageReference>().ok());
    let digest = image.filter(|image| image.repository() == repository).and_then(|image| image.digest().cloned());
    Ok(digest.map(|digest| LocalImage { id: digest.clone(), digest: Some(digest) }))
}

/// Writes the drop-in so that a crash leaves the old one or the new one, and never half of it.
fn write(files: &Path, unit: &UnitName, image: &str) -> Result<(), HostError> {
    let file = drop_in(files, unit);
    let directory = file.parent().unwrap_or(files);
    let written = || {
        fs::create_dir_all(directory)?;
        // Quadlet reads only what ends in .conf.
        let new = directory.join(".90-windlass.new");
        let mut open = fs::File::create(&new)?;
        write!(open, "# Written by windlass: the release that is deployed.\n[Container]\nImage={image}\n")?;
        open.sync_all()?;
        fs::rename(&new, &file)?;
        fs::File::open(directory)?.sync_all()
    };
    written().map_err(|error| failed("write", &file, &error))
}

fn failed(what: &str, file: &Path, error: &std::io::Error) -> HostError {
    HostError::Unit { operation: format!("{what} {}", file.display()), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    #[test]
    fn what_was_pinned_is_read_back_and_the_newest_counts() {
        let files = tempfile::tempdir().unwrap();
        let (unit, repository): (UnitName, Repository) =
            ("site.container".parse().unwrap(), "r.io/site".parse().unwrap());
        assert_eq!(read(files.path(), &unit, &repository).unwrap(), None);
        for content in ["v1", "v2"] {
            let digest = Digest::of(content.as_bytes());
            write(files.path(), &unit, &format!("{repository}@{digest}")).unwrap();
            let pinned = read(files.path(), &unit, &repository).unwrap().unwrap();
            assert_eq!(pinned.digest, Some(digest));
        }
        assert_eq!(read(files.path(), &unit, &"r.io/other".parse().unwrap()).unwrap(), None);
        let names: Vec<_> = fs::read_dir(files.path().join("site.container.d")).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
}
