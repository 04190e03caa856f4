//! The operators' socket: whoever may open it may deploy.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail};
use nix::sys::stat::{Mode, umask};
use tokio::net::UnixListener;

/// The group whose members may use the operators' socket.
const GROUP: &str = "windlass";
/// The groups of this host: see group(5).
const GROUPS: &str = "/etc/group";

/// Binds it. A socket that an earlier windlass left behind is replaced.
pub(super) fn bind(path: &Path) -> anyhow::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| {
            format!(
                "failed to make {}; set `socket` to a path in a directory that windlass may write",
                directory.display()
            )
        })?;
    }
    if path.exists() {
        if UnixStream::connect(path).is_ok() {
            bail!("another windlass is listening on {}; stop it first", path.display());
        }
        fs::remove_file(path).with_context(|| format!("failed to remove the old socket {}", path.display()))?;
    }
    let listener = bind_for_its_owner(path).with_context(|| format!("failed to listen on {}", path.display()))?;
    // Without the group, only root and the user that runs windlass can open it: safe, if less convenient.
    if let Some(group) = group_of_this_host(&fs::read_to_string(GROUPS).unwrap_or_default())
        && fs::metadata(path).is_ok_and(|socket| socket.gid() != group)
        && let Err(error) = std::os::unix::fs::chown(path, None, Some(group))
    {
        tracing::warn!(%error, "failed to give the socket to the group {GROUP}");
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("failed to set the permissions of {}", path.display()))?;
    Ok(listener)
}

/// Binds it so that only its owner can connect until its group and mode are set.
fn bind_for_its_owner(path: &Path) -> io::Result<UnixListener> {
    let before = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    umask(before);
    listener
}

/// The id of our group. No directory service is asked: it has no say in who may deploy here, and the start does not wait
/// for it.
fn group_of_this_host(groups: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(GROUP)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn at_no_moment_can_others_connect_whatever_the_umask_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("windlass.sock");
        let before = umask(Mode::empty());
        let bound = bind_for_its_owner(&path);
        let left = umask(before);
        assert!(bound.is_ok() && left.is_empty(), "the umask is as it was");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(bound);
        let _listener = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
    }

    #[test]
    fn the_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nwindlassers:x:7:\nwindlass:x:998:alice,bob\n";
        assert_eq!(group_of_this_host(groups), Some(998));
        assert_eq!(group_of_this_host("root:x:0:windlass\n"), None);
        assert_eq!(group_of_this_host("windlass:x:\n"), None);
    }
}
