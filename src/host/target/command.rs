//! Drives a target that is a program of the project's own: it is told the images, and its exit code decides.

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;

use super::driver::Driver;
use crate::deploy::plan::{Change, Expected, Source};
use crate::deploy::sharing::Uses;
use crate::deploy::snapshot::{Before, Condition, Instance, Present, Service, Snapshot};
use crate::deploy::spec::{Commands, ProjectSpec, Target};
use crate::host::engine::client::Engine;
use crate::host::engine::pins;
use crate::host::finding::Finding;
use crate::host::health::watch::{Look, Subject, Watch};
use crate::host::program::own::{Context, check, run, told};
use crate::host::program::runs::Runs;
use crate::host::{HostError, LogSink, LogWish, Reporter};
use crate::lanes::Lease;
use crate::model::{ImageReference, Repository};

/// One project that has a program.
pub(super) struct CommandDriver<'a> {
    pub(super) engine: &'a Engine,
    pub(super) runs: &'a Runs,
    pub(super) spec: &'a ProjectSpec,
    pub(super) commands: &'a Commands,
}

impl CommandDriver<'_> {
    /// What the target is called: its program, without the path.
    fn service(&self) -> String {
        let program = self.commands.run.program();
        program.rsplit('/').next().unwrap_or(program).to_owned()
    }

    fn context<'a>(&'a self, lease: &'a Lease, back: bool, reporter: &'a Reporter) -> Context<'a> {
        Context { lease, directory: self.directory(), runs: self.runs, must: back, reporter }
    }

    fn references(&self, repositories: &[Repository]) -> Vec<ImageReference> {
        Target::references(&self.commands.references, repositories)
    }
}

#[async_trait]
impl Driver for CommandDriver<'_> {
    fn directory(&self) -> &Path {
        Path::new("/")
    }

    /// What a program changes is its own affair.
    async fn places(&self) -> Result<BTreeSet<String>, HostError> {
        Ok(BTreeSet::new())
    }

    async fn uses(&self, repositories: &[Repository]) -> Result<Uses, HostError> {
        // The same for every program: each is told its images by digest, and which names it looks up nobody knows.
        let user: BTreeSet<String> = ["what its program runs".to_owned()].into();
        Ok(self.references(repositories).into_iter().map(|reference| (reference, user.clone())).collect())
    }

    /// What the references mean is all that can be known of what a program did.
    async fn snapshot(&self, repositories: &[Repository]) -> Result<Snapshot, HostError> {
        let mut services = Vec::new();
        for reference in self.references(repositories) {
            let pinned = pins::meaning(self.engine, &reference).await?;
            let before = match pinned {
                Some(_) => Before::Present(Present { image: None, works: true, ended: false, ids: Vec::new() }),
                None => Before::Absent,
            };
            services.push(Service { name: self.service(), reference, pinned, before });
        }
        Ok(Snapshot::of(services))
    }

    async fn pin(&self, reference: &ImageReference, source: &Source) -> Result<(), HostError> {
        pins::pin(self.engine, reference, source).await
    }

    async fn apply(
        &self,
        lease: &Lease,
        _services: &[String],
        change: &Change,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let back = self.commands.rollback.as_ref().filter(|_| change.back);
        run(back.unwrap_or(&self.commands.run), &told(lease, change), &self.context(lease, change.back, reporter)).await
    }

    async fn await_healthy(
        &self,
        _services: &[String],
        expected: &[Expected],
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        // Without a probe its exit code was the proof, and there is nothing to look at besides.
        if self.spec.health.probe.is_some() {
            let watch = Watch { subject: Nothing, health: &self.spec.health, directory: self.directory(), reporter };
            watch.until_healthy().await?;
        }
        pins::hold(self.engine, &self.references(&self.spec.images), expected).await
    }

    async fn remove(
        &self,
        lease: &Lease,
        _services: &[String],
        unpin: &[ImageReference],
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        for reference in unpin {
            self.engine.unpin(lease.project(), reference).await?;
        }
        match &self.commands.rollback {
            Some(rollback) => {
                let nothing = Change { back: true, ..Change::default() };
                run(rollback, &told(lease, &nothing), &self.context(lease, true, reporter)).await
            }
            None => {
                let reason = "nothing is known that was in service before, and the project has no `rollback` program that \
                              takes out what `run` has put into service";
                Err(HostError::refused("", reason))
            }
        }
    }

    async fn observe(&self) -> Result<Vec<Instance>, HostError> {
        let mut instances = Vec::new();
        for reference in self.references(&self.spec.images) {
            if let Some(image) = pins::meaning(self.engine, &reference).await? {
                instances.push(Instance {
                    name: self.service(),
                    service: self.service(),
                    image: reference.to_string(),
                    digest: image.digest.unwrap_or(image.id).to_string(),
                    state: "pinned".to_owned(),
                    condition: Condition::Unknown,
                    pinned: None,
                });
            }
        }
        Ok(instances)
    }

    async fn log(&self, _name: &str, _wish: LogWish, _sink: &LogSink) -> Result<(), HostError> {
        let reason = "a program puts this project into service, and only that knows where its logs are".to_owned();
        Err(HostError::refused("", reason))
    }

    async fn survey(&self) -> Vec<Finding> {
        let run = check("run", &self.commands.run);
        run.into_iter()
            .chain(self.commands.rollback.as_ref().and_then(|rollback| check("rollback", rollback)))
            .collect()
    }

    /// Which services a program moves it alone knows.
    async fn moved(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What there is to look at of a program that has ended well: only the project's own probe.
struct Nothing;

#[async_trait]
impl Subject for Nothing {
    async fn look(&mut self) -> Result<Look, HostError> {
        Ok(Look::Good(Vec::new()))
    }

    async fn evidence(&self) -> Vec<crate::deploy::event::Evidence> {
        Vec::new()
    }
}
