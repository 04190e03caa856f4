//! The composition root: makes the parts, joins them, starts and stops them.
//!
//! Recovery comes before the first hook: what was under way when windlass stopped is taken up before anything new.

mod attendance;
mod descriptors;
mod needs;
mod record;
mod services;
mod signals;
mod socket;
mod survey;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{LoadError, Problem, Settings};
use crate::deploy::catalog::Catalog;
use crate::deploy::incident::HostEvent;
use crate::host::SharedHost;
use crate::http::{self, App, Door, Places, Readiness};
use crate::lanes::Lanes;
use crate::model::{Clock, Timestamp};
use crate::runner::{Parts, Runner};
use crate::senders::docker_puller::DockerPuller;
use crate::service_manager::ServiceManager;
use crate::store::Store;
use descriptors::{METRICS, OPERATORS};
use record::Record;
use services::{Services, Stage};

pub use signals::serve;
pub use survey::{Severity, Survey, compose_images, polkit_rule, survey};

/// How long a step is tried again while the engine or the registry does not answer: as long as an engine takes to be
/// upgraded and come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the daemon takes from outside, so that a test can give it another.
pub struct Outside {
    /// What windlass remembers.
    pub store: Store,
    /// The machine that is driven.
    pub host: SharedHost,
    /// The time.
    pub clock: Clock,
    /// How long an engine or registry that does not answer is waited for.
    pub patience: Duration,
    /// Sockets for hooks that somebody else holds and hands over; without any, the configured address is listened on.
    pub sockets: Vec<std::net::TcpListener>,
}

/// A daemon that listens.
pub struct Daemon {
    hooks: Vec<SocketAddr>,
    metrics: Option<SocketAddr>,
    socket: PathBuf,
    runner: Runner,
    store: Store,
    catalog: watch::Sender<Arc<Catalog>>,
    docker_puller: watch::Sender<Option<Arc<DockerPuller>>>,
    readiness: watch::Sender<Readiness>,
    services: Services,
    drain_timeout: Duration,
    state_dir: PathBuf,
    record: Mutex<Record>,
    /// When the configuration was read that is in force.
    read_at: Mutex<Timestamp>,
}

impl Outside {
    /// The real machine's clock and patience, with `host`.
    #[must_use]
    pub fn real(store: Store, host: SharedHost) -> Self {
        Self { store, host, clock: Clock::system(), patience: PATIENCE, sockets: Vec::new() }
    }
}

impl Daemon {
    /// Takes up what was not finished, and listens.
    ///
    /// # Errors
    /// When the state cannot be read, an address cannot be listened on, or the system does not allow as many connections as
    /// are configured.
    pub async fn start(settings: Settings, outside: Outside) -> anyhow::Result<Self> {
        descriptors::provide(&settings)?;
        let store = outside.store;
        let record = Record::of_this_process(&settings, Vec::new());
        let mut services = Services::default();
        let [closing, aborting, hanging_up] =
            [Stage::Closing, Stage::Aborting, Stage::HangingUp].map(|stage| services.begun(stage));
        // Callers wait in such a socket for the next windlass, so this one leaves it at once, and those who are here
        // already are written down for the next. Without one, they are refused until the end.
        let are_handed_over = !outside.sockets.is_empty();
        let (refusing, leaving) = if are_handed_over {
            (CancellationToken::new(), closing.clone())
        } else {
            (closing.clone(), hanging_up.clone())
        };
        let (catalog, configured) = watch::channel(Arc::new(settings.projects));
        let (docker_puller, answered) = watch::channel(settings.docker_puller);
        let (readiness, ready) = watch::channel(Readiness::Starting);
        let runner = Runner::new(Parts {
            store: store.clone(),
            host: outside.host,
            lanes: Lanes::new(settings.host.concurrency, settings.host.limits.queue),
            catalog: configured,
            tasks: services.add("deployments", Stage::Closing),
            refusing,
            closing,
            aborting,
            patience: outside.patience,
        });
        let limits = settings.host.limits.http;
        let app = App::new(runner.clone(), store.clone(), outside.clock, limits, answered, ready);

        // Bound before recovery, so that a wrong address is known at once; served after it.
        let hook_listeners = if are_handed_over {
            outside.sockets.into_iter().map(TcpListener::from_std).collect::<Result<_, _>>()?
        } else {
            vec![listen(settings.host.listen).await?]
        };
        let metrics_listener = match settings.host.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let socket_listener = socket::bind(&settings.host.socket)?;
        let hooks = hook_listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let metrics = metrics_listener.as_ref().map(TcpListener::local_addr).transpose()?;

        let resumed = runner.recover().await.context("failed to read what was not finished")?;
        if resumed > 0 {
            tracing::info!(deployments = resumed, "resumed unfinished deployments");
        }
        let started = HostEvent::Started { version: env!("CARGO_PKG_VERSION").to_owned() };
        if let Err(error) = store.tell_of_host(&started).await {
            tracing::warn!(%error, "failed to write down that windlass has started");
        }
        let record = Record { addresses: hooks.iter().copied().chain(metrics).collect(), ..record };
        write_down(&record, &settings.host.state_dir);
        let mut open = |name, door, stop: &CancellationToken| {
            let (connections, stop) = (services.add(name, Stage::HangingUp), stop.clone());
            let of_door = connections.clone();
            connections.spawn(async move { http::serve(door, limits, &of_door, stop).await });
        };
        let places = Places::new(settings.host.limits.connections);
        for listener in hook_listeners {
            let door = Door { listener: listener.into(), router: http::hooks(app.clone()), places: places.clone() };
            open("hooks", door, &leaving);
        }
        let (router, places) = (http::operators(app.clone()), Places::new(OPERATORS));
        open("operators", Door { listener: socket_listener.into(), router, places }, &hanging_up);
        if let Some(listener) = metrics_listener {
            let (router, places) = (http::metrics(app), Places::new(METRICS));
            open("metrics", Door { listener: listener.into(), router, places }, &hanging_up);
        }
        readiness.send_replace(Readiness::Ready);
        Ok(Self {
            state_dir: settings.host.state_dir,
            record: Mutex::new(record.without_files()),
            read_at: Mutex::new(settings.read_at),
            hooks,
            metrics,
            socket: settings.host.socket,
            runner,
            store,
            catalog,
            docker_puller,
            readiness,
            services,
            drain_timeout: settings.host.drain_timeout,
        })
    }

    /// Where hooks are taken.
    #[must_use]
    pub fn hooks(&self) -> &[SocketAddr] {
        &self.hooks
    }

    /// Keeps the service manager informed, to the end.
    pub fn attend_to(&mut self, manager: &Arc<ServiceManager>) {
        let (activity, readiness) = (self.runner.activity(), self.readiness.subscribe());
        let news = attendance::News { activity, readiness, catalog: self.catalog.subscribe() };
        let (store, stop) = (self.store.clone(), self.services.begun(Stage::HangingUp));
        let tasks = self.services.add("service manager", Stage::HangingUp);
        tasks.spawn(news.tell(Arc::clone(manager), stop.clone()));
        tasks.spawn(attendance::prove_life(store, Arc::clone(manager), stop));
    }

    /// How long [`Daemon::stop`] takes at most.
    #[must_use]
    pub const fn stop_timeout(&self) -> Duration {
        Services::stop_timeout(self.drain_timeout)
    }

    /// Where metrics are read, when they have a port of their own.
    #[must_use]
    pub const fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Where operators speak to it.
    #[must_use]
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// Takes over the projects of a configuration that was read again; one that is broken changes nothing, and
    /// readiness says so.
    pub fn reload(&self, loaded: Result<(Settings, Vec<Problem>), LoadError>) {
        match loaded {
            Ok((settings, warnings)) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(projects = settings.projects.len(), "configuration read again");
                let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
                let anew = record.clone().reloaded(&settings);
                write_down(&anew, &self.state_dir);
                *record = anew.without_files();
                *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = settings.read_at;
                self.catalog.send_replace(Arc::new(settings.projects));
                self.docker_puller.send_replace(settings.docker_puller);
                self.readiness.send_replace(Readiness::Ready);
            }
            Err(error) => {
                tracing::error!("the configuration is broken, the one before stays in force:\n{error}");
                let problem = error.problems.first().map(ToString::to_string).unwrap_or_default().into();
                let in_force_since = *self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
                self.readiness.send_replace(Readiness::StaleConfiguration { problem, in_force_since });
            }
        }
    }

    /// Takes no more hooks, lets what is under way come to the end of its step, and stops. What is not finished is
    /// taken up again at the next start.
    pub async fn stop(self) {
        self.readiness.send_replace(Readiness::Draining);
        self.services.stop(self.drain_timeout).await;
        // A socket that nobody listens on would make clients wait for an answer that never comes.
        let _ = std::fs::remove_file(&self.socket);
        drop((self.runner, self.store));
        tracing::info!("stopped");
    }
}

/// Nothing but `windlass check` reads it.
fn write_down(record: &Record, state_dir: &Path) {
    if let Err(error) = record.write(state_dir) {
        tracing::warn!(%error, "failed to write down what was read, which `windlass check` compares");
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("failed to listen on {address}; is another program there? Set `listen` to another address")
    })
}
