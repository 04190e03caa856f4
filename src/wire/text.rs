//! Events as lines of text: what `Accept: text/plain` gives, and what the command prints.
//!
//! A step is told once, when it has ended, with the time that it took. What is indented belongs to the line above.

use std::time::Duration;

use super::event::{Cause, Event, Evidence, Plan, Transfer};
use super::release::ImageView;
use super::state::Outcome;
use crate::model::{DeploymentId, ProjectName, Timestamp, Zone};

/// How many lines of a log are told where a release fails; `windlass follow` tells all.
const LAST_LINES: usize = 10;
/// How often the progress of a pull is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What a person needs who waits for the outcome.
    Brief,
    /// All of it.
    Full,
}

/// Tells one deployment's events, each as no, one or several lines.
#[derive(Debug)]
pub struct TextWriter {
    deployment: DeploymentId,
    project: ProjectName,
    zone: Zone,
    detail: Detail,
    /// Whether the caller has asked for this before.
    is_repeated: bool,
    plan: Plan,
    release: Vec<ImageView>,
    previous: Vec<ImageView>,
    /// When the first event was.
    begun: Option<Timestamp>,
    /// Whether its turn has come.
    started: bool,
    /// The step that is being carried out, and when it began.
    step: Option<(usize, Timestamp)>,
    /// What was said last of what is going on.
    said: Option<String>,
    /// When something was told last.
    told: Option<Timestamp>,
    /// Why it goes back.
    going_back: Option<(Cause, String)>,
    /// Why the last step failed.
    failed: Option<String>,
}

impl TextWriter {
    /// A writer that has heard nothing yet.
    #[must_use]
    pub fn new(deployment: DeploymentId, project: ProjectName, zone: Zone, detail: Detail) -> Self {
        Self {
            deployment,
            project,
            zone,
            detail,
            is_repeated: false,
            plan: Plan::default(),
            release: Vec::new(),
            previous: Vec::new(),
            begun: None,
            started: false,
            step: None,
            said: None,
            told: None,
            going_back: None,
            failed: None,
        }
    }

    /// Which deployment it is.
    #[must_use]
    pub const fn deployment(&self) -> &DeploymentId {
        &self.deployment
    }

    /// The same for a caller who has asked for this before.
    #[must_use]
    pub fn repeated(self) -> Self {
        Self { is_repeated: true, ..self }
    }

    /// What to print for `event`, which happened at `at`. Of the last event the first line begins with the outcome, and
    /// all others are indented.
    pub fn tell(&mut self, at: Timestamp, event: &Event) -> Vec<String> {
        let lines = self.lines(at, event);
        if !lines.is_empty() {
            self.told = Some(at);
        }
        lines
    }

    fn lines(&mut self, at: Timestamp, event: &Event) -> Vec<String> {
        let begun = *self.begun.get_or_insert(at);
        match event {
            Event::Queued { images, rollback, .. } => {
                let repeated =
                    "sent before: this is what became of it, and something else may be in service since then";
                let mut lines: Vec<String> = self.is_repeated.then(|| repeated.to_owned()).into_iter().collect();
                lines.extend(rollback.iter().map(|rollback| rollback.in_words(images)));
                lines.push(format!("queued {} at {}: {}", self.deployment, self.zone.in_full(at), short(images)));
                lines
            }
            Event::Resolved { images } => {
                self.release.clone_from(images);
                Vec::new()
            }
            Event::Planned { previous, plan, .. } => {
                self.plan = plan.clone();
                self.previous.clone_from(previous);
                vec![self.timed(at, &self.change())]
            }
            Event::StepStarted { step } => {
                self.step = Some((*step, at));
                self.said = None;
                Vec::new()
            }
            Event::Progress { step, transfer } => {
                let since = self.step.map_or(at, |(_, since)| since);
                if at.since(self.told.unwrap_or(since)) < PROGRESS_EVERY {
                    return Vec::new();
                }
                vec![self.timed(at, &format!("{}: {}", self.step_in_words(*step), in_words(transfer, at.since(since))))]
            }
            Event::Said { step, line } => {
                self.said = Some(line.clone());
                vec![self.timed(at, &format!("{} {line}", self.place(*step)))]
            }
            Event::StepFinished { step } => {
                let took = self.end_step(at);
                vec![self.timed(at, &format!("{}  {took}", self.step_in_words(*step)))]
            }
            Event::StepFailed { step, reason, evidence } => {
                self.failed = Some(reason.clone());
                let took = self.end_step(at);
                let step = self.step_in_words(*step);
                let mut lines = vec![self.timed(at, &format!("{step} failed after {took}: {reason}"))];
                lines.extend(evidence.iter().flat_map(|evidence| self.evidence(evidence)));
                lines
            }
            Event::RollingBack { cause, reason, plan } => {
                self.plan = plan.clone();
                self.failed = None;
                self.going_back = Some((*cause, reason.clone()));
                let what = match self.previous.as_slice() {
                    [] => "taking it out of service again: nothing of it ran before".to_owned(),
                    previous => format!("going back to {}", short(previous)),
                };
                let why = if *cause == Cause::Cancelled { format!(" ({reason})") } else { String::new() };
                vec![self.timed(at, &(what + &why))]
            }
            Event::Resumed => vec![self.timed(at, "windlass was restarted and goes on with this deployment")],
            Event::Noted { text } => {
                self.said = Some(text.clone());
                vec![self.timed(at, &format!("note: {text}"))]
            }
            Event::Finished { outcome, reason } => {
                let took = seconds(at.since(begun));
                let head = format!("{outcome} {} in {took}", self.deployment);
                self.last_words(head, *outcome, reason.as_deref())
            }
            Event::Started => {
                self.started = true;
                Vec::new()
            }
            Event::Unknown => Vec::new(),
        }
    }

    /// What is going on while nothing happens.
    #[must_use]
    pub fn waiting(&self, now: Timestamp) -> String {
        let since = self.step.map(|(_, since)| since).or(self.begun).unwrap_or(now);
        let what = match self.step {
            Some((step, _)) => self.step_in_words(step),
            None if !self.started => "queued".to_owned(),
            None if self.going_back.is_some() => "going back".to_owned(),
            None if self.plan.steps.is_empty() => "asking what the images are and what runs".to_owned(),
            None => "working".to_owned(),
        };
        let said = self.said.as_ref().map_or_else(String::new, |said| format!(": {said}"));
        self.timed(now, &format!("... {what}, {} s so far{said}", now.since(since).as_secs()))
    }

    /// How long the step took that has ended.
    fn end_step(&mut self, at: Timestamp) -> String {
        self.said = None;
        seconds(at.since(self.step.take().map_or(at, |(_, since)| since)))
    }

    /// What a step is called: `[3/5] pin shop:live`.
    #[must_use]
    pub fn step_in_words(&self, step: usize) -> String {
        let what = self.plan.steps.get(step).map_or("", |step| step.text.as_str());
        format!("{} {what}", self.place(step))
    }

    fn place(&self, step: usize) -> String {
        format!("[{}/{}]", step + 1, self.plan.steps.len())
    }

    fn timed(&self, at: Timestamp, line: &str) -> String {
        format!("{} {line}", self.zone.time(at))
    }

    /// What comes in the place of what.
    fn change(&self) -> String {
        let (release, previous) = (short(&self.release), short(&self.previous));
        if self.previous.is_empty() {
            format!("{release} comes into service; nothing of it runs now")
        } else if release == previous {
            format!("{release} runs already")
        } else {
            format!("{release} replaces {previous}")
        }
    }

    /// How it ended: what runs now, and what to type next.
    fn last_words(&self, head: String, outcome: Outcome, reason: Option<&str>) -> Vec<String> {
        let reason = reason.unwrap_or_default();
        let (id, project) = (&self.deployment, &self.project);
        let before = match self.previous.as_slice() {
            [] => None,
            previous => Some(short(previous)),
        };
        let all = format!("  all lines: windlass follow {id}");
        match outcome {
            Outcome::Succeeded => vec![format!("{head}: {} is in service", short(&self.release))],
            Outcome::Abandoned | Outcome::Cancelled if self.going_back.is_none() => {
                let runs = before.map_or_else(String::new, |before| format!("; {before} is in service as before"));
                vec![format!("{head}: {reason}"), format!("  nothing was touched{runs}")]
            }
            Outcome::RolledBack | Outcome::Cancelled => {
                let now = match before {
                    Some(before) => format!("  {before} is in service again"),
                    None => "  nothing of it is in service, as before".to_owned(),
                };
                vec![format!("{head}: {reason}"), now, all]
            }
            Outcome::RollbackFailed => {
                let (_, why) = self.going_back.clone().unwrap_or((Cause::Failed, reason.to_owned()));
                let back = before.unwrap_or_else(|| "what was there before".to_owned());
                let why_not = match &self.failed {
                    Some(failed) if *failed == why => format!("  {back} could not be put back for the same reason"),
                    Some(failed) => format!("  {back} could not be put back: {failed}"),
                    None => format!("  {back} could not be put back: {reason}"),
                };
                let next =
                    format!("  next: windlass status {project}; when the cause is gone: windlass rollback {project}");
                vec![format!("{head}: {why}"), why_not, next, all]
            }
            Outcome::Superseded | Outcome::Abandoned => vec![format!("{head}: {reason}")],
        }
    }

    fn evidence(&self, evidence: &Evidence) -> Vec<String> {
        let Evidence { name, state, log, health } = evidence;
        let is_brief = self.detail == Detail::Brief;
        let from = if is_brief { log.len().saturating_sub(LAST_LINES) } else { 0 };
        // Checks that passed explain nothing.
        let mut failing = health.iter().filter(|check| !check.starts_with("exit code 0"));
        let failing: Vec<&String> = if is_brief { Vec::from_iter(failing.next_back()) } else { failing.collect() };
        let mut lines = vec![format!("  {name}: {state}")];
        lines.extend(failing.into_iter().map(|check| format!("    health check: {check}")));
        lines.extend(log.iter().skip(from).map(|line| format!("    | {line}")));
        lines
    }
}

/// `api:v2 (11507a0e2f5e), web:v2 (0df0c9057f10)`.
#[must_use]
pub fn short(images: &[ImageView]) -> String {
    images.iter().map(ImageView::short).collect::<Vec<_>>().join(", ")
}

/// How long something took: `1.2 s`, `2 min 5 s`.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// How far a pull is that has gone on for so long: `144 of 210 MB, 69 %, 72.0 MB/s, 1 s left`.
#[must_use]
pub fn in_words(transfer: &Transfer, elapsed: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "nothing finer than a tenth of a megabyte is shown")]
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let Transfer { layers_done, layers, bytes_done, bytes } = *transfer;
    let (done, all) = (megabytes(bytes_done), megabytes(bytes));
    if bytes_done >= bytes {
        return match layers_done {
            done if done >= layers => format!("{done} of {layers} layers"),
            done => format!("unpacking, {done} of {layers} layers"),
        };
    }
    let rate = done / elapsed.as_secs_f64().max(0.1);
    let left = if rate > 0.0 { format!(", {:.0} s left", (all - done) / rate) } else { String::new() };
    format!("{done:.1} of {all:.1} MB, {:.0} %, {rate:.1} MB/s{left}", 100.0 * done / all)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::event::Step;
    use super::*;
    use crate::model::{Digest, ImageReference};

    fn image(tag: &str) -> ImageView {
        let image: ImageReference = format!("r.io/acme/shop:{tag}").parse().unwrap();
        ImageView { image, digest: Some(Digest::of(tag.as_bytes())) }
    }

    fn plan(texts: &[&str]) -> Plan {
        let step = |text: &&str| Step { action: "x".to_owned(), text: (*text).to_owned(), services: Vec::new() };
        Plan { steps: texts.iter().map(step).collect() }
    }

    fn queued() -> Event {
        let requested_by = super::super::release::RequestedBy::default();
        Event::Queued { images: vec![image("v2")], requested_by, rollback: None }
    }

    fn planned(previous: &[&str]) -> Event {
        let previous = previous.iter().map(|tag| image(tag)).collect();
        Event::Planned {
            previous,
            services: Vec::new(),
            plan: plan(&["pull shop:v2", "apply web", "await healthy web"]),
        }
    }

    fn resolved() -> Event {
        Event::Resolved { images: vec![image("v2")] }
    }

    fn finished(outcome: Outcome, reason: &str) -> Event {
        Event::Finished { outcome, reason: (!reason.is_empty()).then(|| reason.to_owned()) }
    }

    fn failed(step: usize, reason: &str) -> Event {
        let evidence = Evidence {
            name: "shop-web-1".to_owned(),
            state: "exited (7)".to_owned(),
            log: (1..=12).map(|line| format!("line {line}")).collect(),
            health: vec!["exit code 0: ok".to_owned(), "exit code 1: no".to_owned(), "exit code 1: never".to_owned()],
        };
        Event::StepFailed { step, reason: reason.to_owned(), evidence: vec![evidence] }
    }

    fn going_back(cause: Cause, reason: &str) -> Event {
        Event::RollingBack { cause, reason: reason.to_owned(), plan: plan(&["pin shop:live", "apply web"]) }
    }

    /// What is told of `events`, 1.5 s after each other.
    fn told(detail: Detail, events: &[Event]) -> String {
        let id = "01jd5zk0000000000000000000".parse().unwrap();
        let mut writer = TextWriter::new(id, "shop".parse().unwrap(), Zone::utc(), detail);
        let at = |place: usize| Timestamp::from_millis(1_763_680_200_000 + 1500 * i64::try_from(place).unwrap());
        let lines = events.iter().enumerate().flat_map(|(place, event)| writer.tell(at(place), event));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A deployment that failed when it was watched, up to there.
    fn sick(previous: &[&str]) -> Vec<Event> {
        vec![
            queued(),
            Event::Started,
            resolved(),
            planned(previous),
            Event::StepStarted { step: 2 },
            failed(2, "shop-web-1 exited (7)"),
        ]
    }

    #[test]
    fn a_success_is_a_line_a_step() {
        let steps = (0..3).flat_map(|step| [Event::StepStarted { step }, Event::StepFinished { step }]);
        let begin = [queued(), Event::Started, resolved(), planned(&["v1"])];
        let events: Vec<Event> = begin.into_iter().chain(steps).chain([finished(Outcome::Succeeded, "")]).collect();
        assert_snapshot!(told(Detail::Brief, &events), @r"
        queued 01jd5zk0000000000000000000 at 2025-11-20 23:10:00 UTC: shop:v2 (fb04dcb6970e)
        23:10:04 shop:v2 (fb04dcb6970e) replaces shop:v1 (3bfc269594ef)
        23:10:07 [1/3] pull shop:v2  1.5 s
        23:10:10 [2/3] apply web  1.5 s
        23:10:13 [3/3] await healthy web  1.5 s
        succeeded 01jd5zk0000000000000000000 in 15.0 s: shop:v2 (fb04dcb6970e) is in service
        ");
    }

    #[test]
    fn a_failure_says_why_what_runs_now_and_where_to_read_more() {
        let mut events = sick(&["v1"]);
        events.push(going_back(Cause::Failed, "shop-web-1 exited (7)"));
        events.extend((0..2).flat_map(|step| [Event::StepStarted { step }, Event::StepFinished { step }]));
        events.push(finished(Outcome::RolledBack, "shop-web-1 exited (7)"));
        assert_snapshot!(told(Detail::Brief, &events), @r"
        queued 01jd5zk0000000000000000000 at 2025-11-20 23:10:00 UTC: shop:v2 (fb04dcb6970e)
        23:10:04 shop:v2 (fb04dcb6970e) replaces shop:v1 (3bfc269594ef)
        23:10:07 [3/3] await healthy web failed after 1.5 s: shop-web-1 exited (7)
          shop-web-1: exited (7)
            health check: exit code 1: never
            | line 3
            | line 4
            | line 5
            | line 6
            | line 7
            | line 8
            | line 9
            | line 10
            | line 11
            | line 12
        23:10:09 going back to shop:v1 (3bfc269594ef)
        23:10:12 [1/2] pin shop:live  1.5 s
        23:10:15 [2/2] apply web  1.5 s
        rolled_back 01jd5zk0000000000000000000 in 16.5 s: shop-web-1 exited (7)
          shop:v1 (3bfc269594ef) is in service again
          all lines: windlass follow 01jd5zk0000000000000000000
        ");
        let full = told(Detail::Full, &events);
        assert!(full.contains("    | line 1\n") && full.contains("check: exit code 1: no\n"), "{full}");
    }

    #[test]
    fn a_first_release_that_fails_leaves_nothing_and_says_so() {
        let mut events = sick(&[]);
        events.push(going_back(Cause::Failed, "shop-web-1 exited (7)"));
        events.push(finished(Outcome::RolledBack, "shop-web-1 exited (7)"));
        let told = told(Detail::Brief, &events);
        let last: Vec<&str> = told.lines().rev().take(4).collect();
        assert_snapshot!(last.into_iter().rev().collect::<Vec<_>>().join("\n"), @r"
        23:10:09 taking it out of service again: nothing of it ran before
        rolled_back 01jd5zk0000000000000000000 in 10.5 s: shop-web-1 exited (7)
          nothing of it is in service, as before
          all lines: windlass follow 01jd5zk0000000000000000000
        ");
    }

    #[test]
    fn a_rollback_that_failed_says_what_did_not_work_what_was_not_put_back_and_what_to_type() {
        for reason in ["port 80 is taken", "no space left"] {
            let mut events = sick(&["v1"]);
            events.push(going_back(Cause::Failed, "port 80 is taken"));
            events.extend([Event::StepStarted { step: 1 }, failed(1, reason)]);
            events.push(finished(Outcome::RollbackFailed, "port 80 is taken; and so on"));
            let told = told(Detail::Brief, &events);
            let last: Vec<&str> = told.lines().rev().take(4).collect();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
            if reason == "port 80 is taken" {
                assert_snapshot!(last, @r"
                rollback_failed 01jd5zk0000000000000000000 in 13.5 s: port 80 is taken
                  shop:v1 (3bfc269594ef) could not be put back for the same reason
                  next: windlass status shop; when the cause is gone: windlass rollback shop
                  all lines: windlass follow 01jd5zk0000000000000000000
                ");
            } else {
                assert!(last.contains("\n  shop:v1 (3bfc269594ef) could not be put back: no space left\n"), "{last}");
            }
        }
    }

    #[test]
    fn what_touched_nothing_says_that_nothing_was_touched() {
        let last = |events: &[Event]| told(Detail::Brief, events).lines().rev().take(2).collect::<Vec<_>>().join(" < ");
        let begun = [queued(), Event::Started, resolved(), planned(&["v1"])];
        let with = |event: Event| begun.iter().cloned().chain([event]).collect::<Vec<_>>();
        assert_snapshot!(last(&with(finished(Outcome::Abandoned, "no such tag"))), @"  nothing was touched; shop:v1 (3bfc269594ef) is in service as before < abandoned 01jd5zk0000000000000000000 in 6.0 s: no such tag");
        assert_snapshot!(last(&[queued(), finished(Outcome::Cancelled, "cancelled by ann")]), @"  nothing was touched < cancelled 01jd5zk0000000000000000000 in 1.5 s: cancelled by ann");
        let mut back = sick(&["v1"]);
        back.extend([
            going_back(Cause::Cancelled, "cancelled by ann"),
            finished(Outcome::Cancelled, "cancelled by ann"),
        ]);
        assert_snapshot!(last(&back), @"  all lines: windlass follow 01jd5zk0000000000000000000 <   shop:v1 (3bfc269594ef) is in service again");
        let superseded = told(Detail::Brief, &[queued(), finished(Outcome::Superseded, "superseded by 01jd")]);
        assert!(
            superseded.ends_with("superseded 01jd5zk0000000000000000000 in 1.5 s: superseded by 01jd"),
            "{superseded}"
        );
    }

    #[test]
    fn a_pull_is_told_by_what_is_left_of_it_and_not_all_the_time() {
        let words = |layers_done, bytes_done, seconds| {
            let transfer = Transfer { layers_done, layers: 7, bytes_done, bytes: 209_800_000 };
            in_words(&transfer, Duration::from_secs(seconds))
        };
        assert_eq!(words(2, 144_000_000, 2), "144.0 of 209.8 MB, 69 %, 72.0 MB/s, 1 s left");
        assert_eq!(words(0, 0, 0), "0.0 of 209.8 MB, 0 %, 0.0 MB/s");
        assert_eq!(words(3, 209_800_000, 3), "unpacking, 3 of 7 layers");
        assert_eq!(words(7, 209_800_000, 3), "7 of 7 layers");
        let progress =
            Event::Progress { step: 0, transfer: Transfer { layers: 7, bytes: 1 << 30, ..Transfer::default() } };
        let mut events = vec![queued(), Event::Started, resolved(), planned(&[]), Event::StepStarted { step: 0 }];
        events.extend(std::iter::repeat_n(progress, 20));
        let told = told(Detail::Brief, &events);
        assert_eq!(told.matches("[1/3] pull shop:v2: 0.0 of").count(), 3, "{told}");
    }
}
