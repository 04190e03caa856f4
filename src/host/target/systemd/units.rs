//! Looks at units: whether they work, and which images their own commands name.

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::deploy::event::Evidence;
use crate::host::HostError;
use crate::host::health::verdict::Verdict;
use crate::host::health::watch::{Look, Subject};
use crate::host::systemd::bus::Bus;
use crate::host::systemd::facts::UnitFacts;
use crate::host::systemd::journal::evidence;
use crate::model::{ImageReference, UnitName};

/// The first of `words` that names the repository of one of `references` by another tag or digest, where nothing names
/// it as it is called here.
pub(super) fn misnamed(words: &[String], references: &[ImageReference]) -> Option<ImageReference> {
    let named: Vec<ImageReference> =
        words.iter().filter_map(|word| ImageReference::parse_familiar(word).ok()).collect();
    let is_of = |named: &&ImageReference, reference: &ImageReference| named.repository() == reference.repository();
    let of_ours = named.iter().filter(|named| references.iter().any(|reference| is_of(named, reference)));
    let is_known = |named: &ImageReference| {
        let own = references.iter().filter(|reference| reference.repository() == named.repository());
        own.into_iter().any(|reference| words.iter().any(|word| is_called(word, reference)))
    };
    of_ours.into_iter().find(|named| !is_known(named)).cloned()
}

fn is_called(word: &str, reference: &ImageReference) -> bool {
    ImageReference::parse_familiar(word).is_ok_and(|named| named == *reference)
}

/// Units that are watched.
pub(super) struct Units<'a> {
    pub(super) bus: &'a Bus,
    pub(super) units: Vec<UnitName>,
    /// Whether they were started anew, which lets systemd count from 0; else what it counts at the first look is old.
    pub(super) started: bool,
    /// As they were at the first look, and at the last.
    pub(super) first: Vec<UnitFacts>,
    pub(super) last: Vec<UnitFacts>,
}

impl Units<'_> {
    fn judge(&self, unit: &UnitFacts) -> Verdict {
        let first = self.first.iter().find(|first| first.name == unit.name);
        let before = if self.started { 0 } else { first.map_or(0, |first| first.restarts) };
        unit.judge(before)
    }
}

#[async_trait]
impl Subject for Units<'_> {
    async fn look(&mut self) -> Result<Look, HostError> {
        let mut seen = Vec::with_capacity(self.units.len());
        for unit in &self.units {
            seen.push(self.bus.facts(unit).await?);
        }
        if self.first.is_empty() {
            self.first.clone_from(&seen);
        }
        self.last = seen;
        let mut waiting = None;
        for unit in &self.last {
            match self.judge(unit) {
                Verdict::Good => {}
                Verdict::Wait(why) => waiting = waiting.or(Some(format!("{} is {why}", unit.name))),
                Verdict::Bad(why) => return Ok(Look::Bad(format!("{} does not work: {why}", unit.name))),
            }
        }
        Ok(waiting.map_or_else(|| Look::Good(self.last.iter().map(UnitFacts::mark).collect()), Look::Wait))
    }

    async fn evidence(&self) -> Vec<Evidence> {
        let is_bad = |unit: &&UnitFacts| !matches!(self.judge(unit), Verdict::Good);
        let mut shown: Vec<&UnitFacts> = self.last.iter().filter(is_bad).collect();
        if shown.is_empty() {
            shown = self.last.iter().collect();
        }
        join_all(shown.into_iter().map(evidence)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_names_the_image_by_another_tag_is_found() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let references = ["r.io/app:latest".parse().unwrap(), "r.io/db:live".parse().unwrap()];
        let found = |text: &str| misnamed(&words(text), &references).map(|found| found.to_string());
        assert_eq!(found("/usr/bin/docker run --rm -p 80:80 r.io/app"), None);
        assert_eq!(found("/usr/bin/docker run r.io/app:stable"), Some("r.io/app:stable".to_owned()));
        assert_eq!(found("/usr/bin/docker tag r.io/app:latest r.io/app:old"), None);
        assert_eq!(found("/usr/bin/docker compose up --detach"), None);
        assert_eq!(found("/usr/bin/docker run r.io/app --db r.io/db:1"), Some("r.io/db:1".to_owned()));
    }
}
