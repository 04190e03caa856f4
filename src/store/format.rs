//! How events and statuses are written on disk.
//!
//! Each type of the core that is written has a form here of the same name: which fields it has in a database, and by
//! which words. A change of the core does not change these words, and a word that was written once is read for ever.

mod event;
mod incident;
mod plan;
mod snapshot;
mod status;
mod target;

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::deploy;

/// What writes and reads the core's `T`.
trait Form<T> {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>;
}

/// Makes the remote definitions of serde usable in lists and options.
macro_rules! forms {
    ($($form:ident of $core:ty),* $(,)?) => {$(
        impl $crate::store::format::Form<$core> for $form {
            fn write<S: ::serde::Serializer>(value: &$core, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(value, serializer)
            }

            fn read<'de, D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<$core, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )*};
}
use forms;

struct Written<'t, F, T>(&'t T, PhantomData<F>);

impl<F: Form<T>, T> Serialize for Written<'_, F, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}

struct Read<F, T>(T, PhantomData<F>);

impl<'de, F: Form<T>, T> Deserialize<'de> for Read<F, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::read(deserializer).map(|value| Self(value, PhantomData))
    }
}

/// For `#[serde(with)]`: a list of what `F` writes.
struct List<F>(PhantomData<F>);

impl<F> List<F> {
    fn serialize<T, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error>
    where
        F: Form<T>,
    {
        serializer.collect_seq(values.iter().map(|value| Written::<F, T>(value, PhantomData)))
    }

    fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        F: Form<T>,
    {
        let values = Vec::<Read<F, T>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|Read(value, _)| value).collect())
    }
}

/// For `#[serde(with)]`: what `F` writes, or nothing.
struct Maybe<F>(PhantomData<F>);

impl<F> Maybe<F> {
    #[expect(clippy::ref_option, reason = "serde calls it so")]
    fn serialize<T, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        F: Form<T>,
    {
        value.as_ref().map(|value| Written::<F, T>(value, PhantomData)).serialize(serializer)
    }

    fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        F: Form<T>,
    {
        Ok(Option::<Read<F, T>>::deserialize(deserializer)?.map(|Read(value, _)| value))
    }
}

/// An event as it is written.
///
/// # Errors
/// When JSON has no form for it.
pub fn event(event: &deploy::event::Event) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Written::<event::Event, _>(event, PhantomData))
}

/// What happened to a project, as it is written.
///
/// # Errors
/// When JSON has no form for it.
pub fn project_event(event: &deploy::incident::ProjectEvent) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Written::<incident::ProjectEvent, _>(event, PhantomData))
}

/// What happened to the host, as it is written.
///
/// # Errors
/// When JSON has no form for it.
pub fn host_event(event: &deploy::incident::HostEvent) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Written::<incident::HostEvent, _>(event, PhantomData))
}

/// A status as it is written.
///
/// # Errors
/// When JSON has no form for it.
pub fn status(status: &deploy::status::Status) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Written::<status::Status, _>(status, PhantomData))
}

/// The event that was written as `text`.
///
/// # Errors
/// When it is none, or one of a newer windlass.
pub fn read_event(text: &str) -> Result<deploy::event::Event, serde_json::Error> {
    serde_json::from_str(text).map(|Read::<event::Event, _>(event, _)| event)
}

/// What happened to a project, from what was written.
///
/// # Errors
/// When it is nothing of the kind, or of a newer windlass.
pub fn read_project_event(text: &str) -> Result<deploy::incident::ProjectEvent, serde_json::Error> {
    serde_json::from_str(text).map(|Read::<incident::ProjectEvent, _>(event, _)| event)
}

/// What happened to the host, from what was written.
///
/// # Errors
/// When it is nothing of the kind, or of a newer windlass.
pub fn read_host_event(text: &str) -> Result<deploy::incident::HostEvent, serde_json::Error> {
    serde_json::from_str(text).map(|Read::<incident::HostEvent, _>(event, _)| event)
}

/// The status that was written as `text`.
///
/// # Errors
/// When it is none, or one of a newer windlass.
pub fn read_status(text: &str) -> Result<deploy::status::Status, serde_json::Error> {
    serde_json::from_str(text).map(|Read::<status::Status, _>(status, _)| status)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deploy::event::Event;
    use crate::deploy::plan::Plan;
    use crate::deploy::snapshot::Snapshot;
    use crate::deploy::spec::tests::compose_of_shop;
    use crate::deploy::spec::{Action, CommandLine, Commands, Compose, Systemd, Target};
    use crate::deploy::status::tests::{good_history, replay};

    fn planned_for(target: Target) -> Event {
        Event::Planned { snapshot: Snapshot::default(), plan: Plan::default(), target: Some(target) }
    }

    fn line(word: &str) -> CommandLine {
        CommandLine { words: vec![word.to_owned(), "--now".to_owned()], deadline: Duration::from_millis(90_500) }
    }

    #[test]
    fn every_kind_of_target_is_read_as_it_was_written() {
        let references = vec!["r.io/api:live".parse().unwrap()];
        let compose = Compose { files: vec!["/srv/shop/a.yaml".into()], ..compose_of_shop() };
        let units = vec!["api.container".parse().unwrap(), "web@blue.service".parse().unwrap()];
        let systemd = Systemd { units, action: Action::ReloadOrRestart, references: references.clone() };
        let commands = Commands { run: line("/opt/run"), rollback: Some(line("/opt/back")), references };
        for target in [Target::Compose(compose), Target::Systemd(systemd), Target::Command(commands)] {
            let planned = planned_for(target);
            assert_eq!(read_event(&event(&planned).unwrap()).unwrap(), planned);
        }
    }

    #[test]
    fn a_whole_history_and_what_follows_from_it_are_read_as_they_were_written() {
        let history = good_history();
        let again: Vec<Event> = history.iter().map(|one| read_event(&event(one).unwrap()).unwrap()).collect();
        assert_eq!(again, history);
        let reached = replay(&history).unwrap();
        assert_eq!(read_status(&status(&reached).unwrap()).unwrap(), reached);
    }

    #[test]
    fn the_first_journals_say_less_and_are_read() {
        let first = r#"{"event":"queued","wanted":{"images":["r.io/web:v1"]},"requested_by":{"key":null,
            "delivery":null,"commit":null,"ref":null,"actor":null,"run_url":null}}"#;
        assert!(matches!(read_event(first).unwrap(), Event::Queued { rollback: None, .. }));
        let plan = r#"{"event":"rolling_back","cause":{"failed":"x"},"plan":{"steps":[
            {"do":"apply","services":["web"]},{"do":"withdraw","services":["api"],"unpin":[]}]}}"#;
        assert!(read_event(plan).is_ok(), "{:?}", read_event(plan));
    }
}
