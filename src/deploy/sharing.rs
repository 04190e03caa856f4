//! What the projects of a host share: the names by which it finds images. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ImageReference, ProjectName};

/// The names of images that a project pins, each with all that the project starts from it: services of a Compose
/// project, units, a program. Every entry says whose it is, so that it is the same for two projects only where both
/// move the same thing.
pub type Uses = BTreeMap<ImageReference, BTreeSet<String>>;

/// Why a release of `project` would move what another project starts, if so, and how to put it right.
///
/// A name means one image on a host. Where two projects start different things from it, each deployment of one changes
/// what the other starts at its next `docker compose up`, past the tags and keys that are allowed there.
#[must_use]
pub fn conflict<'a>(
    project: &ProjectName,
    uses: &Uses,
    others: impl IntoIterator<Item = (&'a ProjectName, &'a Uses)>,
) -> Option<String> {
    others.into_iter().find_map(|(other, its)| {
        let (reference, theirs) = uses.iter().find_map(|(reference, ours)| {
            let theirs = its.get(reference)?;
            (theirs != ours).then_some((reference, theirs))
        })?;
        let (repository, theirs) = (reference.repository(), join(theirs));
        Some(format!(
            "the project {other} starts {theirs} from {reference} too, and a name can mean one release only on a host: \
             let each project's compose file, or its `references`, name a tag of its own, such as \
             {repository}:{project} and {repository}:{other}"
        ))
    })
}

fn join(users: &BTreeSet<String>) -> String {
    users.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(entries: &[(&str, &[&str])]) -> Uses {
        let entry = |(reference, users): &(&str, &[&str])| {
            (reference.parse().unwrap(), users.iter().map(|user| (*user).to_owned()).collect())
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn a_name_that_two_projects_start_different_things_from_is_a_conflict() {
        let (prod, staging): (ProjectName, ProjectName) = ("prod".parse().unwrap(), "staging".parse().unwrap());
        let found = |ours: &Uses, theirs: &Uses| conflict(&prod, ours, [(&staging, theirs)]);
        let web = uses(&[("r.io/app:live", &["web of prod"]), ("r.io/db:1", &["db of prod"])]);
        let said = found(&web, &uses(&[("r.io/app:live", &["web of staging"])])).unwrap();
        assert!(said.contains("the project staging starts web of staging from r.io/app:live too"), "{said}");
        assert!(said.ends_with("such as r.io/app:prod and r.io/app:staging"), "{said}");
        // One of two services of one Compose project is another thing than both.
        assert!(found(&web, &uses(&[("r.io/app:live", &["web of prod", "worker of prod"])])).is_some());

        assert_eq!(found(&web, &uses(&[("r.io/app:staging", &["web of staging"])])), None);
        assert_eq!(found(&web, &web), None, "the same thing under another name");
        assert_eq!(conflict(&prod, &web, []), None);
    }
}
