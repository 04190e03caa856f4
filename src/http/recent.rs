//! The callers that were refused of late, for those on the host who ask why. Its size is fixed, whatever callers do.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::peer::Origin;
use super::places::network_of;
use crate::model::{ProjectName, Timestamp, one_line};
use crate::wire::view::RefusedView;

/// How many are remembered of those who proved nothing, and as many of those who did: a flood of the former does not
/// drive out the latter.
const MOST: usize = 200;
/// Longer than any reason that is given.
const LONGEST_REASON: usize = 500;

/// What was refused of late.
#[derive(Debug, Default)]
pub(super) struct Recent {
    unproven: Mutex<VecDeque<RefusedView>>,
    proven: Mutex<VecDeque<RefusedView>>,
}

/// One refusal.
pub(super) struct Refusal<'a> {
    pub(super) at: Timestamp,
    pub(super) origin: Option<Origin>,
    pub(super) project: Option<&'a ProjectName>,
    pub(super) status: u16,
    pub(super) reason: String,
}

impl Recent {
    /// Takes down a caller that proved nothing.
    pub(super) fn unproven(&self, refusal: Refusal<'_>) {
        note(&mut lock(&self.unproven), refusal);
    }

    /// Takes down a caller that a key has proven.
    pub(super) fn proven(&self, refusal: Refusal<'_>) {
        note(&mut lock(&self.proven), refusal);
    }

    /// All of `project`, or all there are, the newest first.
    pub(super) fn of(&self, project: Option<&ProjectName>) -> Vec<RefusedView> {
        let mut found: Vec<RefusedView> = [&self.unproven, &self.proven]
            .into_iter()
            .flat_map(|list| lock(list).iter().cloned().collect::<Vec<_>>())
            .filter(|refused| project.is_none() || refused.project.as_ref() == project)
            .collect();
        found.sort_by_key(|refused| std::cmp::Reverse(refused.at));
        found
    }
}

/// Adds one. The same from the same network is counted, and stands where it came last.
fn note(list: &mut VecDeque<RefusedView>, refusal: Refusal<'_>) {
    let Refusal { at, origin, project, status, reason } = refusal;
    let from = match origin {
        Some(Origin::Network(peer)) => network_of(peer.ip()).to_string(),
        Some(origin) => origin.to_string(),
        None => String::new(),
    };
    let reason = one_line(&reason, LONGEST_REASON);
    let is_same = |known: &RefusedView| {
        known.from == from && known.project.as_ref() == project && known.status == status && known.reason == reason
    };
    let known = list.iter().position(is_same).and_then(|place| list.remove(place));
    let (times, since) = known.map_or((0, at), |known| (known.times, known.since));
    if list.len() == MOST {
        list.pop_front();
    }
    list.push_back(RefusedView { at, since, times: times + 1, from, project: project.cloned(), status, reason });
}

fn lock(list: &Mutex<VecDeque<RefusedView>>) -> MutexGuard<'_, VecDeque<RefusedView>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(at: i64, address: &str, project: Option<&'static ProjectName>) -> Refusal<'static> {
        let origin = Some(Origin::Network(format!("{address}:1234").parse().unwrap()));
        Refusal { at: Timestamp::from_millis(at), origin, project, status: 401, reason: "no\nkey".to_owned() }
    }

    #[test]
    fn the_same_is_counted_and_a_flood_drives_out_nobody_who_proved_something() {
        let shop: &'static ProjectName = Box::leak(Box::new("shop".parse().unwrap()));
        let recent = Recent::default();
        recent.proven(Refusal { status: 423, ..refusal(1, "192.0.2.1", Some(shop)) });
        for at in 2..=4 {
            recent.unproven(refusal(at, "192.0.2.1", Some(shop)));
        }
        let found = recent.of(Some(shop));
        let shown: Vec<_> = found.iter().map(|one| (one.status, one.times, one.at.as_millis())).collect();
        assert_eq!(shown, [(401, 3, 4), (423, 1, 1)]);
        assert_eq!((found[0].since.as_millis(), found[0].reason.as_str()), (2, "no key"));
        for at in 0..1000 {
            recent.unproven(refusal(10 + at, &format!("10.0.{}.{}", at / 250, at % 250), None));
        }
        assert_eq!(recent.of(None).len(), MOST + 1);
        assert_eq!(recent.of(Some(shop)).len(), 1, "what was proven stays");
    }
}
