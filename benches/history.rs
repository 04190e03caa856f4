//! Fills a store with finished deployments, as if windlass had been at work there for years.
//!
//! `history STATE_DIR PROJECT COUNT`, called by `scripts/bench`.
#![expect(clippy::print_stdout, reason = "it says what it is when it is called without arguments")]

use std::path::Path;

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use windlass::deploy::event::{Event, Outcome, RequestedBy, Wanted};
use windlass::deploy::plan;
use windlass::deploy::request::{DeployRequest, Repetition};
use windlass::deploy::snapshot::{Container, Service, Snapshot};
use windlass::model::{Clock, Digest, ImageReference, LocalImage};
use windlass::store::{Acceptance, Store};

/// At once: the store commits together what comes together.
const TOGETHER: usize = 128;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [state_dir, project, count] = arguments.as_slice() else {
        println!("this is a part of `make bench`; see benches/history.rs");
        return Ok(());
    };
    let store = Store::open(Path::new(state_dir), Clock::system())?;
    let numbers: Vec<usize> = (0..count.parse()?).collect();
    for some in numbers.chunks(TOGETHER) {
        try_join_all(some.iter().map(|number| live_through(&store, project, *number))).await?;
    }
    Ok(())
}

/// One deployment from its acceptance to its outcome.
async fn live_through(store: &Store, project: &str, number: usize) -> anyhow::Result<()> {
    let image: ImageReference = format!("registry.example.com/{project}:v{number}").parse()?;
    let release = vec![image.clone().pinned(Digest::of(&number.to_le_bytes()))];
    let before = LocalImage { id: Digest::of(b"id"), digest: Some(Digest::of(b"before")) };
    let service = Service {
        name: "web".to_owned(),
        reference: image.clone(),
        pinned: Some(before.clone()),
        container: Some(Container { image: before, working: true }),
        active: false,
    };
    let snapshot = Snapshot { services: vec![service] };
    let plan = plan::forward(&release, &snapshot, false);
    let steps = plan.steps.len();

    let wanted = Wanted::Images(vec![image]);
    let requested_by = RequestedBy { run_url: Some(format!("https://ci.example/runs/{number}")), ..Default::default() };
    let repetition =
        Repetition::Body { key: "ci".parse()?, body: Digest::of(format!("{project} {number}").as_bytes()) };
    let project = project.parse()?;
    let request = DeployRequest { project, wanted, requested_by, sequence: None, repetition, rollback: None };
    let Acceptance::New(mut deployment) = store.accept(request).await? else { bail!("the store was not empty") };

    let mut events = vec![Event::Started, Event::Resolved { images: release }];
    events.push(Event::Planned { snapshot, plan });
    for step in 0..steps {
        events.extend([Event::StepStarted { step }, Event::StepFinished { step }]);
    }
    events.push(Event::Finished { outcome: Outcome::Succeeded, reason: None });
    for event in events {
        store.append(&mut deployment, event).await.context("the store refused an event")?;
    }
    Ok(())
}
