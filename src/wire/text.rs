//! Events as lines of text: what `Accept: text/plain` gives, and what the command prints where there is no terminal.

use std::fmt::Write as _;

use super::event::{Event, Evidence, Plan, Transfer};
use super::release::ImageView;
use crate::model::{DeploymentId, Timestamp};

/// Tells one deployment's events, each as no, one or several lines. It remembers the plan, so as to say "3 of 5".
#[derive(Debug)]
pub struct TextWriter {
    deployment: DeploymentId,
    plan: Plan,
    started: Option<Timestamp>,
}

impl TextWriter {
    /// A writer that has heard nothing yet.
    #[must_use]
    pub fn new(deployment: DeploymentId) -> Self {
        Self { deployment, plan: Plan::default(), started: None }
    }

    /// The plan in force, as far as it was told.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What to print for `event`. The last event's last line begins with the outcome.
    pub fn tell(&mut self, at: Timestamp, event: &Event) -> Vec<String> {
        self.started.get_or_insert(at);
        match event {
            Event::Queued { images, rollback, .. } => {
                let mut lines: Vec<String> = rollback.iter().map(|rollback| rollback.in_words(images)).collect();
                lines.push(format!("queued {}: {}", self.deployment, join(images)));
                lines
            }
            Event::Started => vec!["started".to_owned()],
            Event::Resolved { images } => {
                let digest = |image: &ImageView| image.digest.as_ref().map(ToString::to_string).unwrap_or_default();
                images.iter().map(|image| format!("resolved {} is {}", image.image, digest(image))).collect()
            }
            Event::Planned { previous, plan, .. } => {
                self.plan = plan.clone();
                if previous.is_empty() {
                    vec!["now running: nothing of this release's images".to_owned()]
                } else {
                    previous.iter().map(|image| format!("now running: {image}")).collect()
                }
            }
            Event::StepStarted { step } => {
                let what = self.plan.steps.get(*step).map_or("", |step| step.text.as_str());
                vec![format!("{} {what}", self.place(*step))]
            }
            Event::Progress { step, transfer } => {
                vec![format!("{} {}", self.place(*step), transfer_in_words(transfer))]
            }
            Event::Said { step, line } => vec![format!("{} {line}", self.place(*step))],
            Event::StepFinished { .. } => Vec::new(),
            Event::StepFailed { step, reason, evidence } => {
                let mut lines = vec![format!("{} failed: {reason}", self.place(*step))];
                lines.extend(evidence.iter().flat_map(evidence_in_lines));
                lines
            }
            Event::RollingBack { reason, plan, .. } => {
                self.plan = plan.clone();
                vec![format!("rolling back: {reason}")]
            }
            Event::Resumed => vec!["resumed: windlass was restarted in the middle of this deployment".to_owned()],
            Event::Noted { text } => vec![format!("note: {text}")],
            Event::Finished { outcome, reason } => {
                let mut line = outcome.to_string();
                let _ = match (reason, self.started) {
                    (Some(reason), _) => write!(line, " {}: {reason}", self.deployment),
                    (None, Some(started)) => {
                        write!(line, " {} in {:.1} s", self.deployment, at.since(started).as_secs_f64())
                    }
                    (None, None) => write!(line, " {}", self.deployment),
                };
                vec![line]
            }
            Event::Unknown => Vec::new(),
        }
    }

    fn place(&self, step: usize) -> String {
        format!("[{}/{}]", step + 1, self.plan.steps.len())
    }
}

fn join(images: &[ImageView]) -> String {
    images.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `3 of 7 layers, 12.3 of 40.1 MB`.
#[must_use]
pub fn transfer_in_words(transfer: &Transfer) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a tenth of a megabyte is all that is shown")]
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    format!(
        "{} of {} layers, {:.1} of {:.1} MB",
        transfer.layers_done,
        transfer.layers,
        megabytes(transfer.bytes_done),
        megabytes(transfer.bytes)
    )
}

fn evidence_in_lines(evidence: &Evidence) -> Vec<String> {
    let Evidence { name, state, log, health } = evidence;
    let mut lines = vec![format!("  {name}: {state}")];
    lines.extend(log.iter().map(|line| format!("  {name} | {line}")));
    lines.extend(health.iter().map(|line| format!("  {name} health | {line}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::TextWriter;
    use crate::deploy::event::{Event as Core, Evidence, Outcome, RequestedBy, Transfer, Wanted};
    use crate::deploy::plan::{Change, Plan, Step};
    use crate::deploy::snapshot::Snapshot;
    use crate::model::{DeploymentId, Digest, ImageReference, PinnedImage, Timestamp};

    fn image() -> PinnedImage {
        "r.io/api:v2".parse::<ImageReference>().unwrap().pinned(Digest::of(b"new"))
    }

    #[test]
    fn a_failure_is_told_with_its_place_its_evidence_and_the_outcome_first_in_the_last_line() {
        let id: DeploymentId = "01jd5zk0000000000000000000".parse().unwrap();
        let mut writer = TextWriter::new(id);
        let evidence = Evidence {
            name: "shop-api-1".to_owned(),
            state: "exited (1)".to_owned(),
            log: vec!["no database".to_owned()],
            health: vec![],
        };
        let plan = Plan {
            steps: vec![
                Step::Pull { image: image() },
                Step::Apply { services: vec!["api".to_owned()], change: Change::default() },
            ],
        };
        let events = [
            Core::Queued {
                wanted: Wanted::Images(vec![image().image]),
                requested_by: RequestedBy::default(),
                rollback: None,
            },
            Core::Started,
            Core::Resolved { images: vec![image()] },
            Core::Planned { snapshot: Snapshot::default(), plan, target: None },
            Core::StepStarted { step: 0 },
            Core::Progress {
                step: 0,
                transfer: Transfer { layers_done: 1, layers: 2, bytes_done: 1_500_000, bytes: 3_000_000 },
            },
            Core::StepFinished { step: 0 },
            Core::StepStarted { step: 1 },
            Core::StepFailed { step: 1, reason: "api exited with 1".to_owned(), evidence: vec![evidence] },
            Core::Finished { outcome: Outcome::RolledBack, reason: Some("api exited with 1".to_owned()) },
        ];
        let lines: Vec<String> =
            events.iter().flat_map(|event| writer.tell(Timestamp::from_millis(0), &event.into())).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        queued 01jd5zk0000000000000000000: r.io/api:v2
        started
        resolved r.io/api:v2 is sha256:11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437
        now running: nothing of this release's images
        [1/2] pull r.io/api:v2 (11507a0e2f5e)
        [1/2] 1 of 2 layers, 1.5 of 3.0 MB
        [2/2] apply api
        [2/2] failed: api exited with 1
          shop-api-1: exited (1)
          shop-api-1 | no database
        rolled_back 01jd5zk0000000000000000000: api exited with 1
        ");
    }
}
