//! A machine that exists only in memory: it has images, tags, containers and a registry, and it keeps its state when
//! the daemon that drives it is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use windlass::deploy::event::{Evidence, Outcome, Transfer};
use windlass::deploy::plan::{Expected, Source, Step};
use windlass::deploy::sharing::Uses;
use windlass::deploy::snapshot::{Before, Condition, Instance, Present, Service, Snapshot};
use windlass::deploy::spec::{CommandLine, ProjectSpec};
use windlass::host::{End, Host, HostError, LogSink, LogWish, Reporter};
use windlass::lanes::Lease;
use windlass::model::{Digest, ImageReference, LocalImage, PinnedImage, ProjectName, Repository};

/// The machine, shared by all that look at it.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

/// Everything that is so on the machine.
#[derive(Default)]
pub(crate) struct State {
    /// What the registry answers for `repository:tag`.
    pub(crate) registry: BTreeMap<String, Digest>,
    /// How the image of a digest behaves. Absent: it works.
    pub(crate) behaviours: BTreeMap<Digest, Behaviour>,
    /// Images that are here.
    pub(crate) local: BTreeSet<Digest>,
    /// What a local reference means: what a reboot would start.
    pub(crate) pins: BTreeMap<String, Digest>,
    /// What runs, by project and service.
    pub(crate) running: BTreeMap<(ProjectName, String), Running>,
    /// What is held against pruning, by project.
    pub(crate) kept: BTreeSet<(ProjectName, Digest)>,
    /// The services of each project's compose file, and the references that it names for them.
    pub(crate) services: BTreeMap<ProjectName, Vec<(String, ImageReference)>>,
    /// The engine does not answer.
    pub(crate) engine_away: bool,
    /// Where the next one that comes by stops for ever.
    pub(crate) trap: Option<Trap>,
    /// Set when one was caught.
    pub(crate) caught: bool,
    /// Every step whose effect took place.
    pub(crate) done: Vec<String>,
    /// Projects that are parts of one thing, which has another name than they.
    pub(crate) places: BTreeMap<ProjectName, String>,
    /// What is odd about a project.
    pub(crate) warnings: BTreeMap<ProjectName, String>,
    /// How often something was changed by two at the same time.
    pub(crate) collisions: usize,
    busy: BTreeSet<String>,
    /// How often the machine was looked at, and how many looks there were at most at one project at the same time.
    pub(crate) looks: usize,
    pub(crate) most_looks_at_once: usize,
    looking: BTreeMap<ProjectName, usize>,
    /// Programs of projects that exit with 1.
    pub(crate) failing_programs: BTreeSet<String>,
    /// Every end that a project's own command was told, and of which deployment.
    pub(crate) concluded: Vec<(String, End)>,
    /// So many more times, putting a container back fails.
    pub(crate) stumbles: usize,
    /// Health checks answer only once this many are allowed.
    pub(crate) hold_health: bool,
}

/// What runs for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    /// From which image.
    pub(crate) digest: Digest,
    /// Whether it works.
    pub(crate) works: bool,
}

/// How an image behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It starts, and its health check fails.
    Unhealthy,
    /// It cannot be pulled.
    Unpullable,
    /// Compose refuses to start it.
    Unstartable,
}

/// Where a plan is stopped, as if the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trap {
    /// The index of the step, among those performed from now on.
    pub(crate) step: usize,
    /// Before or after its effect.
    pub(crate) when: When,
}

/// Before or after a step's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// It was announced, and nothing happened yet.
    Before,
    /// It happened or failed, and nobody was told yet.
    After,
}

impl World {
    /// Looks at the machine, or changes it from outside.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Puts `reference` into the registry; its content is made from `content`.
    pub(crate) fn publish(&self, reference: &str, content: &str) -> Digest {
        let digest = Digest::of(content.as_bytes());
        self.state().registry.insert(reference.to_owned(), digest.clone());
        digest
    }

    /// The compose file of `project` names `reference` for `service`.
    pub(crate) fn service(&self, project: &str, service: &str, reference: &str) {
        let entry = (service.to_owned(), reference.parse().unwrap());
        self.state().services.entry(project.parse().unwrap()).or_default().push(entry);
    }

    /// What runs for `service`.
    pub(crate) fn runs(&self, project: &str, service: &str) -> Option<Running> {
        self.state().running.get(&(project.parse().unwrap(), service.to_owned())).cloned()
    }

    /// What `reference` means on the machine.
    pub(crate) fn pin(&self, reference: &str) -> Option<Digest> {
        self.state().pins.get(reference).cloned()
    }

    /// Waits until `condition` holds of the machine.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let wait = async {
            loop {
                let changed = self.0.changed.notified();
                if condition(&self.state()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), wait)
            .await
            .unwrap_or_else(|_| panic!("waited for {what} in vain"));
    }

    /// Tells those who wait that something has changed.
    pub(crate) fn ring(&self) {
        self.0.changed.notify_waiters();
    }

    fn begin_look(&self, project: &ProjectName) {
        let mut state = self.state();
        state.looks += 1;
        let count = state.looking.entry(project.clone()).or_default();
        *count += 1;
        let count = *count;
        state.most_looks_at_once = state.most_looks_at_once.max(count);
    }

    /// Stops for ever if the trap is here.
    async fn pass(&self, when: When) {
        let caught = {
            let mut state = self.state();
            match &mut state.trap {
                Some(trap) if trap.when == when && trap.step == 0 => true,
                Some(trap) if when == When::After => {
                    trap.step = trap.step.saturating_sub(1);
                    false
                }
                _ => false,
            }
        };
        if caught {
            {
                let mut state = self.state();
                state.trap = None;
                state.caught = true;
            }
            self.ring();
            std::future::pending::<()>().await;
        }
    }

    fn effect(&self, spec: &ProjectSpec, step: &Step) -> Result<(), HostError> {
        let mut state = self.state();
        if state.engine_away {
            return Err(HostError::engine_away("connection refused"));
        }
        state.carry_out(spec, step)?;
        state.done.push(step.to_string());
        Ok(())
    }
}

impl State {
    fn carry_out(&mut self, spec: &ProjectSpec, step: &Step) -> Result<(), HostError> {
        match step {
            Step::Pull { image } => {
                if self.behaviours.get(&image.digest) == Some(&Behaviour::Unpullable) {
                    let reason = "no matching manifest for linux/amd64".to_owned();
                    return Err(HostError::failed(format!("pulling {image} failed"), reason));
                }
                self.local.insert(image.digest.clone());
            }
            Step::Keep { images } => {
                for image in images {
                    self.kept.insert((spec.name.clone(), digest_of(image)));
                }
            }
            Step::Pin { reference, image } => {
                let digest = digest_of(image);
                assert!(self.local.contains(&digest), "{reference} was pinned to an image that is not here");
                self.pins.insert(reference.to_string(), digest);
            }
            Step::Before { .. } => {
                let command = spec.lifecycle.before.as_ref().expect("planned without a command");
                if self.failing_programs.contains(command.program()) {
                    return Err(failing(command));
                }
            }
            Step::Apply { services, change } => {
                if change.back && self.stumbles > 0 {
                    self.stumbles -= 1;
                    let reason = "Conflict. The container name \"/shop-web-1\" is already in use".to_owned();
                    return Err(HostError::failed("docker compose up failed", reason));
                }
                for service in services {
                    let reference = self.reference(&spec.name, service);
                    let digest = self.pins.get(&reference).cloned().expect("applied without a pin");
                    let behaviour = self.behaviours.get(&digest).copied();
                    if behaviour == Some(Behaviour::Unstartable) {
                        let reason = "driver failed programming external connectivity".to_owned();
                        return Err(HostError::failed("docker compose up failed", reason));
                    }
                    let running = Running { digest, works: behaviour != Some(Behaviour::Unhealthy) };
                    self.running.insert((spec.name.clone(), service.clone()), running);
                }
            }
            Step::AwaitHealthy { images, .. } => {
                for Expected { service, image, .. } in images {
                    let running = self.running.get(&(spec.name.clone(), service.clone()));
                    if running.is_none_or(|running| running.digest != digest_of(image) || !running.works) {
                        let evidence = Evidence {
                            name: format!("{}-{service}-1", spec.name),
                            state: "unhealthy".to_owned(),
                            log: vec!["cannot reach the database".to_owned()],
                            health: vec!["exit 1: no answer".to_owned()],
                        };
                        let reason = format!("{service} is unhealthy");
                        return Err(HostError::unhealthy(reason, vec![evidence]));
                    }
                }
            }
            Step::Remove { services, unpin } => {
                for service in services {
                    self.running.remove(&(spec.name.clone(), service.clone()));
                }
                for reference in unpin {
                    self.pins.remove(&reference.to_string());
                }
            }
        }
        Ok(())
    }

    fn resolve(&self, image: &ImageReference) -> Result<PinnedImage, HostError> {
        if self.engine_away {
            return Err(HostError::engine_away("connection refused"));
        }
        let name = format!("{}:{}", image.repository(), image.tag().unwrap_or("latest"));
        match (self.registry.get(&name), image.digest()) {
            (Some(found), Some(named)) if found != named => {
                Err(HostError::refused("", format!("{image} is {found}, not the digest that was named with it")))
            }
            (Some(found), _) => Ok(image.clone().pinned(found.clone())),
            (None, Some(named)) if image.tag().is_none() => Ok(image.clone().pinned(named.clone())),
            (None, _) => Err(HostError::refused(format!("cannot resolve {image}"), "manifest unknown")),
        }
    }

    fn snapshot(&self, spec: &ProjectSpec, repositories: &[Repository]) -> Result<Snapshot, HostError> {
        let services = self.services.get(&spec.name).cloned().unwrap_or_default();
        let released = services.into_iter().filter(|(_, reference)| repositories.contains(reference.repository()));
        let services = released.map(|(name, reference)| Service {
            pinned: self.pins.get(&reference.to_string()).map(local),
            before: match self.running.get(&(spec.name.clone(), name.clone())) {
                Some(running) => Before::Present(Present {
                    image: Some(local(&running.digest)),
                    works: running.works,
                    ended: false,
                    ids: Vec::new(),
                }),
                None => Before::Absent,
            },
            name,
            reference,
        });
        let services: Vec<Service> = services.collect();
        if services.is_empty() {
            return Err(HostError::refused("", "no service uses this image"));
        }
        Ok(Snapshot::of(services))
    }

    fn place(&self, project: &ProjectName) -> String {
        self.places.get(project).cloned().unwrap_or_else(|| project.to_string())
    }

    fn reference(&self, project: &ProjectName, service: &str) -> String {
        let services = &self.services[project];
        services.iter().find(|(name, _)| name == service).expect("no such service").1.to_string()
    }
}

fn failing(command: &CommandLine) -> HostError {
    HostError::refused(format!("{} failed", command.program()), "exit code 1: not today")
}

fn digest_of(source: &Source) -> Digest {
    match source {
        Source::Registry(image) => image.digest.clone(),
        Source::Local(id) => id.clone(),
    }
}

fn local(digest: &Digest) -> LocalImage {
    LocalImage { id: digest.clone(), digest: Some(digest.clone()) }
}

#[async_trait]
impl Host for World {
    async fn resolve(&self, image: &ImageReference) -> Result<PinnedImage, HostError> {
        let resolved = self.state().resolve(image);
        // Several images are resolved at once; the first stands for all.
        if image.repository().path() == "api" {
            self.pass(When::Before).await;
            self.pass(When::After).await;
        }
        resolved
    }

    async fn places(&self, spec: &ProjectSpec) -> Result<BTreeSet<String>, HostError> {
        Ok([self.state().place(&spec.name)].into())
    }

    async fn uses(&self, spec: &ProjectSpec, repositories: &[Repository]) -> Result<Uses, HostError> {
        let state = self.state();
        let mut uses = Uses::new();
        for (service, reference) in state.services.get(&spec.name).into_iter().flatten() {
            if repositories.contains(reference.repository()) {
                let user = format!("{service} of {}", state.place(&spec.name));
                uses.entry(reference.clone()).or_default().insert(user);
            }
        }
        Ok(uses)
    }

    async fn warnings(&self, spec: &ProjectSpec) -> Result<Vec<String>, HostError> {
        Ok(self.state().warnings.get(&spec.name).cloned().into_iter().collect())
    }

    async fn snapshot(&self, spec: &ProjectSpec, repositories: &[Repository]) -> Result<Snapshot, HostError> {
        self.begin_look(&spec.name);
        self.pass(When::Before).await;
        // Others have the time to come.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let snapshot = self.state().snapshot(spec, repositories);
        self.pass(When::After).await;
        self.state().looking.entry(spec.name.clone()).and_modify(|count| *count -= 1);
        snapshot
    }

    async fn is_untouched(&self, spec: &ProjectSpec, snapshot: &Snapshot) -> Result<bool, HostError> {
        let state = self.state();
        let is_same = |service: &Service| {
            let running = state.running.get(&(spec.name.clone(), service.name.clone())).map(|running| &running.digest);
            service.before.present().is_some_and(|present| present.image.as_ref().map(|image| &image.id) == running)
        };
        Ok(snapshot.services.iter().all(is_same))
    }

    async fn perform(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        step: &Step,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        assert_eq!(lease.project(), &spec.name);
        let _busy = Busy::enter(self, spec);
        self.pass(When::Before).await;
        reporter.say(&format!("performing: {step}"));
        reporter.transfer(Transfer { layers_done: 1, layers: 1, bytes_done: 10, bytes: 10 });
        if matches!(step, Step::AwaitHealthy { .. }) {
            self.until("health", |state| !state.hold_health).await;
        }
        let result = self.effect(spec, step);
        self.ring();
        self.pass(When::After).await;
        result
    }

    async fn conclude(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        end: &End,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let command = match end.outcome {
            Outcome::Succeeded => &spec.lifecycle.after,
            Outcome::Cancelled => &None,
            _ => &spec.lifecycle.on_failure,
        };
        let Some(command) = command else { return Ok(()) };
        self.pass(When::Before).await;
        reporter.say(&format!("concluding: {}", end.outcome));
        let fails = {
            let mut state = self.state();
            state.concluded.push((lease.deployment().to_string(), end.clone()));
            state.failing_programs.contains(command.program())
        };
        self.ring();
        self.pass(When::After).await;
        if fails { Err(failing(command)) } else { Ok(()) }
    }

    async fn retain(
        &self,
        _lease: &Lease,
        spec: &ProjectSpec,
        keep: &[PinnedImage],
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let mut state = self.state();
        let spared: BTreeSet<Digest> = keep.iter().map(|image| image.digest.clone()).collect();
        let gone: Vec<_> = state
            .kept
            .iter()
            .filter(|(name, digest)| *name == spec.name && !spared.contains(digest))
            .cloned()
            .collect();
        for (name, digest) in gone {
            reporter.say(&format!("released {digest}"));
            state.local.remove(&digest);
            state.kept.remove(&(name, digest));
        }
        drop(state);
        self.ring();
        Ok(())
    }

    async fn logs(&self, spec: &ProjectSpec, wish: LogWish, sink: &LogSink) -> Result<(), HostError> {
        for instance in self.observe(spec).await? {
            for line in 1..=3.min(wish.lines) {
                sink.hand_on(&instance.name, &format!("line {line}\u{1b}[2K")).await;
            }
        }
        if wish.follow { std::future::pending().await } else { Ok(()) }
    }

    async fn observe(&self, spec: &ProjectSpec) -> Result<Vec<Instance>, HostError> {
        let state = self.state();
        if state.engine_away {
            return Err(HostError::engine_away("connection refused"));
        }
        let mine = state.running.iter().filter(|((name, _), _)| *name == spec.name);
        Ok(mine
            .map(|((name, service), running)| Instance {
                name: format!("{name}-{service}-1"),
                service: service.clone(),
                image: state.reference(name, service),
                digest: running.digest.to_string(),
                state: if running.works { "healthy" } else { "unhealthy" }.to_owned(),
                condition: if running.works { Condition::Working } else { Condition::Broken },
                pinned: None,
            })
            .collect())
    }
}

/// Notices when two change one thing at the same time.
struct Busy {
    world: World,
    place: String,
}

impl Busy {
    fn enter(world: &World, spec: &ProjectSpec) -> Self {
        let mut state = world.state();
        let place = state.place(&spec.name);
        if !state.busy.insert(place.clone()) {
            state.collisions += 1;
        }
        drop(state);
        Self { world: world.clone(), place }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.world.state().busy.remove(&self.place);
    }
}
