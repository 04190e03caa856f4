//! The operators' socket: whoever may open it may deploy.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail};
use tokio::net::UnixListener;

/// The group whose members may use the operators' socket.
const GROUP: &str = "windlass";

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
    let listener = UnixListener::bind(path).with_context(|| format!("failed to listen on {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("failed to set the permissions of {}", path.display()))?;
    // Without the group, only root and the user that runs windlass can open it: safe, if less convenient.
    if let Ok(Some(group)) = nix::unistd::Group::from_name(GROUP)
        && fs::metadata(path).is_ok_and(|socket| socket.gid() != group.gid.as_raw())
        && let Err(error) = nix::unistd::chown(path, None, Some(group.gid))
    {
        tracing::warn!(%error, "failed to give the socket to the group {GROUP}");
    }
    Ok(listener)
}
