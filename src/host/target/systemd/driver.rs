//! Drives units of systemd: their jobs, one after the other, and the references that they look images up by.

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;

use super::quadlet;
use super::units::{Units, misnamed};
use crate::deploy::plan::{Change, Expected, Source};
use crate::deploy::sharing::Uses;
use crate::deploy::snapshot::{Before, Instance, Present, Service, Snapshot};
use crate::deploy::spec::{Action, ProjectSpec, Systemd, Target};
use crate::host::engine::client::Engine;
use crate::host::engine::pins;
use crate::host::finding::Finding;
use crate::host::health::watch::Watch;
use crate::host::systemd::bus::{Bus, Verb};

use crate::host::systemd::journal::{self, evidence};
use crate::host::target::driver::Driver;
use crate::host::{HostError, LogSink, LogWish, Reporter};
use crate::lanes::Lease;
use crate::model::{ImageReference, LocalImage, Repository, UnitName};

/// The units of one project.
pub(in crate::host::target) struct SystemdDriver<'a> {
    pub(in crate::host::target) engine: &'a Engine,
    pub(in crate::host::target) spec: &'a ProjectSpec,
    pub(in crate::host::target) systemd: &'a Systemd,
}

impl SystemdDriver<'_> {
    /// Those of the units that are called `services`, in the project's order.
    fn units(&self, services: &[String]) -> Vec<UnitName> {
        let is_named = |unit: &&UnitName| services.iter().any(|service| service == unit.as_str());
        self.systemd.units.iter().filter(is_named).map(UnitName::started).collect()
    }

    fn files(&self) -> Vec<&UnitName> {
        self.systemd.units.iter().filter(|unit| unit.is_quadlet()).collect()
    }

    fn references(&self, repositories: &[Repository]) -> Vec<ImageReference> {
        Target::references(&self.systemd.references, repositories)
    }

    /// The image that `unit` would be started from.
    async fn pinned(&self, unit: &UnitName, reference: &ImageReference) -> Result<Option<LocalImage>, HostError> {
        if unit.is_quadlet() {
            return quadlet::pinned(unit, reference.repository());
        }
        pins::meaning(self.engine, reference).await
    }

    /// How the unit's own commands name an image that is called otherwise here, if so, and the fix.
    async fn misnamed(
        &self,
        bus: &Bus,
        unit: &UnitName,
        repositories: &[Repository],
    ) -> Result<Option<String>, HostError> {
        if unit.is_quadlet() || !unit.as_str().ends_with(".service") {
            return Ok(None);
        }
        let words = bus.words(unit).await?;
        let Some(found) = misnamed(&words, &self.references(repositories)) else { return Ok(None) };
        Ok(Some(format!(
            "{unit} names {found}, and a release is called otherwise on this host: \
             write references = [\"{found}\"] into [projects.{}.systemd], or change the unit",
            self.spec.name
        )))
    }

    /// The failure of a job, with the unit's journal.
    async fn explain(&self, bus: &Bus, unit: &UnitName, error: HostError) -> HostError {
        match bus.facts(unit).await {
            Ok(facts) => {
                let reason = format!("{error}; {unit} is {}", facts.state_words());
                HostError::unhealthy(reason, vec![evidence(&facts).await])
            }
            Err(_) => error,
        }
    }
}

#[async_trait]
impl Driver for SystemdDriver<'_> {
    fn directory(&self) -> &Path {
        Path::new("/")
    }

    async fn places(&self) -> Result<BTreeSet<String>, HostError> {
        Ok(self.systemd.units.iter().map(|unit| unit.started().to_string()).collect())
    }

    async fn uses(&self, repositories: &[Repository]) -> Result<Uses, HostError> {
        // A Quadlet is pinned by a file of its own, and by no name that others have as well.
        let by_name = |unit: &&UnitName| !unit.is_quadlet();
        let units: BTreeSet<String> = self.systemd.units.iter().filter(by_name).map(ToString::to_string).collect();
        let references = if units.is_empty() { Vec::new() } else { self.references(repositories) };
        Ok(references.into_iter().map(|reference| (reference, units.clone())).collect())
    }

    async fn snapshot(&self, repositories: &[Repository]) -> Result<Snapshot, HostError> {
        let bus = Bus::connect().await?;
        let mut services = Vec::new();
        for unit in &self.systemd.units {
            let facts = bus.facts(&unit.started()).await?;
            if let Some(reason) = facts.unusable() {
                let reason = if unit.is_quadlet() { quadlet::not_made(unit) } else { reason };
                return Err(HostError::refused("", reason));
            }
            if let Some(reason) = self.misnamed(&bus, unit, repositories).await? {
                return Err(HostError::refused("", reason));
            }
            for reference in self.references(repositories) {
                let pinned = self.pinned(unit, &reference).await?;
                let is_present = if pinned.is_some() { !facts.is_out_of_service() } else { facts.is_up() };
                let works = facts.works();
                let before = match is_present {
                    true => Before::Present(Present { image: None, works, ended: false, ids: Vec::new() }),
                    false => Before::Absent,
                };
                services.push(Service { name: unit.to_string(), reference, pinned, before });
            }
        }
        Ok(Snapshot::of(services))
    }

    async fn pin(&self, reference: &ImageReference, source: &Source) -> Result<(), HostError> {
        pins::pin(self.engine, reference, source).await?;
        let mut made = Vec::new();
        for unit in self.files() {
            made.push((unit, quadlet::pin(unit, reference, source)?));
        }
        if made.is_empty() {
            return Ok(());
        }
        let bus = Bus::connect().await?;
        bus.reload_units().await?;
        for (unit, image) in made {
            quadlet::obeys(unit, &image, &bus.words(&unit.started()).await?)?;
        }
        Ok(())
    }

    async fn apply(
        &self,
        _lease: &Lease,
        services: &[String],
        change: &Change,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let bus = Bus::connect().await?;
        for unit in self.units(services) {
            let verb = Verb::of(self.systemd.action, bus.facts(&unit).await?.is_up());
            reporter.say(&format!("{} {unit}", verb.as_str()));
            match bus.job(verb, &unit).await {
                Ok(()) => {}
                // Whether it must come up is asked by the next step: what had failed before fails again.
                Err(error) if change.back && verb != Verb::Reload => reporter.say(&error.to_string()),
                Err(error) => return Err(self.explain(&bus, &unit, error).await),
            }
        }
        Ok(())
    }

    async fn await_healthy(
        &self,
        services: &[String],
        expected: &[Expected],
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let bus = Bus::connect().await?;
        let units = Units {
            bus: &bus,
            units: self.units(services),
            started: self.systemd.action == Action::Restart,
            first: Vec::new(),
            last: Vec::new(),
        };
        Watch { subject: units, health: &self.spec.health, directory: self.directory(), reporter }
            .until_healthy()
            .await?;
        pins::hold(self.engine, &self.references(&self.spec.images), expected).await
    }

    async fn remove(
        &self,
        lease: &Lease,
        services: &[String],
        unpin: &[ImageReference],
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let bus = Bus::connect().await?;
        for unit in self.units(services).iter().rev() {
            // Where nothing was started, nobody has to be allowed to stop it.
            if bus.facts(unit).await?.active == "inactive" {
                continue;
            }
            reporter.say(&format!("stop {unit}"));
            bus.job(Verb::Stop, unit).await?;
        }
        for reference in unpin {
            self.engine.unpin(lease.project(), reference).await?;
        }
        let files = self.files();
        if !unpin.is_empty() && !files.is_empty() {
            files.into_iter().try_for_each(quadlet::unpin)?;
            bus.reload_units().await?;
        }
        Ok(())
    }

    async fn observe(&self) -> Result<Vec<Instance>, HostError> {
        let bus = Bus::connect().await?;
        let mut instances = Vec::new();
        for unit in &self.systemd.units {
            let facts = bus.facts(&unit.started()).await?;
            for reference in self.references(&self.spec.images) {
                let Some(image) = self.pinned(unit, &reference).await? else { continue };
                instances.push(Instance {
                    name: facts.name.to_string(),
                    service: unit.to_string(),
                    image: reference.to_string(),
                    digest: image.digest.unwrap_or(image.id).to_string(),
                    state: facts.state_words(),
                    condition: facts.condition(),
                    pinned: None,
                });
            }
        }
        Ok(instances)
    }

    async fn log(&self, name: &str, wish: LogWish, sink: &LogSink) -> Result<(), HostError> {
        journal::log(name, wish, sink).await
    }

    async fn survey(&self) -> Vec<Finding> {
        let bus = match Bus::connect().await {
            Ok(bus) => bus,
            Err(error) => return vec![Finding::error(error.to_string())],
        };
        let mut findings = Vec::new();
        let service = bus.confinement().await.unwrap_or_default();
        for unit in &self.systemd.units {
            let facts = match bus.facts(&unit.started()).await {
                Ok(facts) => facts,
                Err(error) => {
                    findings.push(Finding::error(error.to_string()));
                    continue;
                }
            };
            if unit.is_quadlet() {
                findings.extend(quadlet::survey(unit, &service).into_iter().map(Finding::error));
            }
            match facts.unusable() {
                Some(_) if unit.is_quadlet() => findings.push(Finding::error(quadlet::not_made(unit))),
                Some(why) => findings.push(Finding::error(why)),
                None => {
                    let id = bus.id(&unit.started()).await.ok().filter(|id| id != unit.started().as_str());
                    if let Some(id) = id.filter(|_| !service.is_root()) {
                        let what =
                            format!("{unit} is another name of {id}, and polkit knows that one alone: write {id:?}");
                        findings.push(Finding::warning(what));
                    }
                    let misnamed = self.misnamed(&bus, unit, &self.spec.images).await;
                    findings.extend(misnamed.unwrap_or_default().map(Finding::error));
                }
            }
            match facts.load.as_str() {
                "loaded" if self.systemd.action == Action::Reload && !facts.can_reload => {
                    let what =
                        format!("{unit} cannot be reloaded: give it an ExecReload=, or let `action` be \"restart\"");
                    findings.push(Finding::error(what));
                }
                _ => {}
            }
        }
        findings
    }

    async fn moved(&self) -> Vec<String> {
        self.systemd.units.iter().map(|unit| format!("the unit {unit}")).collect()
    }
}
