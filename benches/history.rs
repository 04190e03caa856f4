//! Fills a store with finished deployments, as if windlass had been at work there for years.
//!
//! `history STATE_DIR PROJECT COUNT`, called by `scripts/bench`. `history STATE_DIR PROJECT COUNT A_DAY` lets so many pass a
//! day, with journals as long as they are when something is pulled and said, and prints how large the state is every 30 days.
#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use windlass::deploy::event::{Event, Outcome, RequestedBy, Wanted};
use windlass::deploy::plan;
use windlass::deploy::request::{DeployRequest, Repetition};
use windlass::deploy::rollout::{Images, Names, Rollout};
use windlass::deploy::snapshot::{Before, Present, Service, Snapshot};
use windlass::model::{Clock, Digest, ImageReference, LocalImage, Timestamp};
use windlass::store::{Acceptance, Extent, Store};

/// What is said during each step of a deployment, in lines.
const WORDS: usize = 6;
const DAY: i64 = 24 * 60 * 60 * 1000;

/// At once: the store commits together what comes together.
const TOGETHER: usize = 128;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (state_dir, project, count, a_day) = match arguments.as_slice() {
        [state_dir, project, count] => (state_dir, project, count, None),
        [state_dir, project, count, a_day] => (state_dir, project, count, Some(a_day.parse::<usize>()?)),
        _ => {
            println!("this is a part of `make bench`; see benches/history.rs");
            return Ok(());
        }
    };
    let passed = Arc::new(AtomicI64::new(0));
    let (begin, moving) = (Clock::system().now().as_millis(), Arc::clone(&passed));
    let clock = Clock::new(move || Timestamp::from_millis(begin + moving.load(Ordering::Relaxed)));
    let store = Store::open(Path::new(state_dir), clock)?;
    let numbers: Vec<usize> = (0..count.parse()?).collect();
    let Some(a_day) = a_day else {
        for some in numbers.chunks(TOGETHER) {
            try_join_all(some.iter().map(|number| live_through(&store, project, *number, 0))).await?;
        }
        return Ok(());
    };
    for (day, some) in numbers.chunks(a_day).enumerate() {
        try_join_all(some.iter().map(|number| live_through(&store, project, *number, WORDS))).await?;
        passed.fetch_add(DAY, Ordering::Relaxed);
        if day % 30 == 29 || (day + 1) * a_day >= numbers.len() {
            let Extent { bytes, deployments, .. } = store.extent().await?;
            println!("day {}: {deployments} deployments, {} kB", day + 1, bytes / 1000);
        }
    }
    Ok(())
}

/// One deployment from its acceptance to its outcome.
async fn live_through(store: &Store, project: &str, number: usize, words: usize) -> anyhow::Result<()> {
    let image: ImageReference = format!("registry.example.com/{project}:v{number}").parse()?;
    let release = vec![image.clone().pinned(Digest::of(&number.to_le_bytes()))];
    let before = LocalImage { id: Digest::of(b"id"), digest: Some(Digest::of(b"before")) };
    let service = Service {
        name: "web".to_owned(),
        reference: image.clone(),
        pinned: Some(before.clone()),
        before: Before::Present(Present { image: Some(before), works: true, ended: false, ids: Vec::new() }),
    };
    let snapshot = Snapshot::of(vec![service]);
    let plan = plan::forward(&release, &snapshot, Rollout { images: Images::OnHost, names: Names::Tag, before: false });
    let steps = plan.steps.len();

    let wanted = Wanted::Images(vec![image]);
    let requested_by = RequestedBy { run_url: Some(format!("https://ci.example/runs/{number}")), ..Default::default() };
    let repetition =
        Repetition::Body { key: "ci".parse()?, body: Digest::of(format!("{project} {number}").as_bytes()) };
    let project = project.parse()?;
    let request = DeployRequest { project, wanted, requested_by, sequence: None, repetition, rollback: None };
    let Acceptance::New(mut deployment) = store.accept(request).await? else { bail!("the store was not empty") };

    let mut events = vec![Event::Started, Event::Resolved { images: release }];
    events.push(Event::Planned { snapshot, plan, target: None });
    for step in 0..steps {
        events.push(Event::StepStarted { step });
        let line = "Container shop-web-1  Recreated, as the program that was run says it while it works";
        events.extend((0..words).map(|_| Event::Said { step, line: line.to_owned() }));
        events.push(Event::StepFinished { step });
    }
    events.push(Event::Finished { outcome: Outcome::Succeeded, reason: None });
    for event in events {
        store.append(&mut deployment, event).await.context("the store refused an event")?;
    }
    Ok(())
}
