//! The labels that Compose writes on its containers. Each container inherits those of its image, so that they are hints.

/// What the labels begin with that Compose writes on its containers.
pub(in crate::host) const COMPOSE: &str = "com.docker.compose.";
pub(in crate::host) const PROJECT: &str = "com.docker.compose.project";
pub(in crate::host) const SERVICE: &str = "com.docker.compose.service";
pub(in crate::host) const NUMBER: &str = "com.docker.compose.container-number";
pub(in crate::host) const WORKING_DIRECTORY: &str = "com.docker.compose.project.working_dir";
pub(in crate::host) const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// The id of the image that it made the container from.
pub(in crate::host) const IMAGE: &str = "com.docker.compose.image";
/// Set by Compose on every container; `True` on those of `docker compose run`.
pub(in crate::host) const NO_ONE_OFF: &str = "com.docker.compose.oneoff=False";
