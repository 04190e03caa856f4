//! Pins the image of a Podman Quadlet: a drop-in beside its `.container` file, which names the image by digest.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::deploy::plan::Source;
use crate::host::HostError;
use crate::host::systemd::bus::{Confinement, OUR_SERVICE};
use crate::model::{ImageReference, LocalImage, Repository, UnitName};

/// Where an administrator's files for Quadlet are.
const FILES: &str = "/etc/containers/systemd";
/// Late, so that it comes after what others wrote.
const DROP_IN: &str = "90-windlass.conf";

/// What the drop-in of `unit` names, where there is one and it is of `repository`.
pub(super) fn pinned(unit: &UnitName, repository: &Repository) -> Result<Option<LocalImage>, HostError> {
    read(Path::new(FILES), unit, repository)
}

/// Lets `unit` be made from `source`, and says what it is called there. systemd has to read its units anew before that
/// counts.
pub(super) fn pin(unit: &UnitName, reference: &ImageReference, source: &Source) -> Result<String, HostError> {
    let image = match source {
        Source::Registry(image) => image.by_digest(),
        Source::Local(id) => {
            let reason = format!("{id} has no digest of a registry, by which {unit} could name it");
            return Err(HostError::refused(format!("failed to pin {reference}"), reason));
        }
    };
    write(Path::new(FILES), unit, &image)?;
    Ok(image)
}

/// Takes the drop-in away.
pub(super) fn unpin(unit: &UnitName) -> Result<(), HostError> {
    let file = drop_in(Path::new(FILES), unit);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &file, &error)),
        _ => Ok(()),
    }
}

/// Why there is no service of a `.container` file.
pub(super) fn not_made(unit: &UnitName) -> String {
    format!(
        "systemd has no {}: Quadlet makes it of {FILES}/{unit} where Podman 5.0 or newer is installed; \
         /usr/lib/systemd/system-generators/podman-system-generator --dryrun says what is wrong with the file",
        unit.started()
    )
}

/// What would make pinning fail, for whoever asks or for the service of windlass.
pub(super) fn survey(unit: &UnitName, service: &Confinement) -> Option<String> {
    survey_in(Path::new(FILES), unit, service)
}

fn survey_in(files: &Path, unit: &UnitName, service: &Confinement) -> Option<String> {
    let file = files.join(unit.as_str());
    if !file.is_file() {
        return Some(format!("{} is not there: {unit} is pinned by a drop-in beside it", file.display()));
    }
    let drop_in = drop_in(files, unit);
    let directory = drop_in.parent().unwrap_or(files);
    let existing = if directory.is_dir() { directory } else { files };
    if nix::unistd::access(existing, nix::unistd::AccessFlags::W_OK).is_err() {
        return Some(format!(
            "{} cannot be written by this user: it takes the drop-in that pins {unit}",
            existing.display()
        ));
    }
    // Outside of the service all may look well.
    let may_write = service.writable.iter().any(|path| directory.starts_with(path.trim_start_matches(['-', '+'])));
    (service.protect_system == "strict" && !may_write).then(|| {
        let (directory, user) = (directory.display(), if service.is_root() { "root" } else { &service.user });
        format!(
            "{OUR_SERVICE} may not write in {directory}, which takes the drop-in that pins {unit}: \
             sudo install -d -o {user} {directory}, and `sudo systemctl edit {OUR_SERVICE}`: \
             [Service] ReadWritePaths={directory}"
        )
    })
}

/// Whether the service that Quadlet has made of `unit` runs what `image` names, by what its commands say.
pub(super) fn obeys(unit: &UnitName, image: &str, words: &[String]) -> Result<(), HostError> {
    if words.iter().any(|word| word == image) {
        return Ok(());
    }
    let reason = format!(
        "the service that was made of it does not name {image}: Quadlet heeds drop-ins from Podman 5.0 on, and another \
         drop-in or unit may come before ours; see `systemctl cat {}`",
        unit.started()
    );
    Err(HostError::refused(format!("failed to pin {unit}"), reason))
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
    let reason = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            format!("{error}: `sudo windlass check` says what the user or the service of windlass lacks")
        }
        _ => error.to_string(),
    };
    HostError::refused(format!("failed to {what} {}", file.display()), reason)
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

    #[test]
    fn a_service_that_is_shut_in_needs_a_way_to_the_drop_in() {
        let files = tempfile::tempdir().unwrap();
        let unit: UnitName = "site.container".parse().unwrap();
        let directory = files.path().join("site.container.d").display().to_string();
        let service = |writable: &[&str]| Confinement {
            user: "windlass".to_owned(),
            protect_system: "strict".to_owned(),
            writable: writable.iter().map(|&path| path.to_owned()).collect(),
        };
        let said = |service| survey_in(files.path(), &unit, &service).unwrap_or_default();
        assert!(said(Confinement::default()).contains("is not there"));
        fs::write(files.path().join("site.container"), "").unwrap();
        assert_eq!(said(Confinement::default()), "");
        assert!(said(service(&["/srv"])).contains(&format!("ReadWritePaths={directory}")));
        assert!(said(service(&[&format!("{directory}x")])).contains("may not write"));
        for enough in [files.path().to_str().unwrap(), &directory, &format!("-{directory}")] {
            assert_eq!(said(service(&[enough])), "");
        }
    }

    #[test]
    fn a_service_that_does_not_name_the_release_is_not_believed() {
        let unit: UnitName = "site.container".parse().unwrap();
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(obeys(&unit, "r.io/site@sha256:a", &words("/usr/bin/podman run -d r.io/site@sha256:a")).is_ok());
        let error = obeys(&unit, "r.io/site@sha256:a", &words("/usr/bin/podman run -d r.io/site")).unwrap_err();
        assert!(error.to_string().contains("Podman 5.0"), "{error}");
    }
}
