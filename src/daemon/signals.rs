//! `windlass serve`: runs the daemon until it is told to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{Daemon, Outside};
use crate::config::{Retention as Remembered, Settings};
use crate::host::machine::Machine;
use crate::model::Clock;
use crate::service_manager::{ServiceManager, handed_over};
use crate::store::{Retention, Store};

/// Runs the daemon: SIGTERM and SIGINT stop it, SIGHUP makes it read its configuration again.
///
/// # Errors
/// When the configuration is broken or the daemon cannot start.
pub fn serve(config: Option<&Path>) -> anyhow::Result<()> {
    // Before there are threads: see there.
    let sockets = handed_over().context("failed to take over the sockets that systemd listens on; they must be TCP")?;
    // One thread: what takes long waits for the engine, and what is written waits for the disk in the store's threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(config.map(Path::to_owned), sockets))
}

async fn run(config: Option<PathBuf>, sockets: Vec<std::net::TcpListener>) -> anyhow::Result<()> {
    let load = move || Settings::load(config.as_deref(), std::env::vars_os(), Clock::system().now());
    let (settings, warnings) = load()?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    // Before anything else is started: a signal that comes early must not kill what has just begun.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;

    let Remembered { deployments, age } = settings.host.retention;
    let store = Store::open_with(&settings.host.state_dir, Clock::system(), Retention { deployments, age })?;
    let fixed = settings.fixed();
    let machine = Arc::new(Machine::new(settings.machine.clone(), Arc::new(store.clone())));
    let outside = Outside { sockets, ..Outside::real(store, machine.clone()) };
    let mut daemon = Daemon::start(settings, outside).await?;
    let manager = Arc::new(ServiceManager::from_env());
    daemon.attend_to(&manager);
    manager.ready();
    tracing::info!(hooks = ?daemon.hooks(), socket = %daemon.socket().display(), "ready");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                manager.reloading();
                let loaded = tokio::task::spawn_blocking(load.clone()).await?;
                if let Ok((anew, _)) = &loaded {
                    machine.reconfigure(anew.machine.clone());
                    for key in fixed.changed(anew) {
                        tracing::warn!("`{key}` has changed; it takes effect when windlass is started again");
                    }
                }
                daemon.reload(loaded);
                manager.ready();
            }
        }
    }
    manager.stopping(daemon.stop_timeout());
    daemon.stop().await;
    Ok(())
}
