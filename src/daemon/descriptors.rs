//! Makes sure that this process may open as many files as the settings need.

use anyhow::{Context as _, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Settings;

/// Connections at a time on the operators' socket and on the metrics' own port.
pub(super) const OPERATORS: usize = 128;
pub(super) const METRICS: usize = 16;

/// Beside connections and deployments: the database, the engine, dry runs and readings.
const OTHERS: usize = 128;
/// Of one deployment: the pipes of its programs, the engine, health checks.
const OF_A_DEPLOYMENT: usize = 32;

/// Raises the limit of this process as far as `settings` need, and no further, because programs inherit it.
///
/// # Errors
/// When the system does not allow as many as are needed.
pub(super) fn provide(settings: &Settings) -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("failed to read the limit of open files")?;
    let fixed = needed(settings) - settings.host.limits.connections;
    let needed = u64::try_from(needed(settings))?;
    if needed > hard {
        let connections = settings.host.limits.connections;
        let room = usize::try_from(hard)?.saturating_sub(fixed);
        let instead =
            if room == 0 { String::new() } else { format!(", or set `limits.connections` to at most {room}") };
        bail!(
            "`limits.connections = {connections}` needs {needed} open files, and this process may have {hard}; raise its \
             limit (`LimitNOFILE=` of the unit, `ulimit -n` in a shell){instead}"
        );
    }
    if needed > soft {
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard).context("failed to raise the limit of open files")?;
    }
    Ok(())
}

/// How many may be open at once.
fn needed(settings: &Settings) -> usize {
    let metrics = settings.host.metrics_listen.map_or(0, |_| METRICS);
    settings.host.limits.connections + OPERATORS + metrics + OTHERS + settings.host.concurrency * OF_A_DEPLOYMENT
}
