//! How events and statuses are written on disk.
//!
//! Each type of the core that is written has a form here of the same name: which fields it has in a database, and by
//! which words. A change of the core does not change these words, and a word that was written once is read for ever.

mod form;

mod event;
mod incident;
mod plan;
mod snapshot;
mod status;
mod target;

use form::{Form, Read, Written};

use crate::deploy;

/// An event as it is written.
///
/// # Errors
/// When JSON has no form for it.
pub fn event(event: &deploy::event::Event) -> Result<String, serde_json::Error> {
    written::<event::Event, _>(event)
}

/// What happened to a project, as it is written.
///
/// # Errors
/// When JSON has no form for it.
pub fn project_event(event: &deploy::incident::ProjectEvent) -> Result<String, serde_json::Error> {
    written::<incident::ProjectEvent, _>(event)
}

/// What happened to the host, as it is written.
///
/// # Errors
/// When JSON has no form for it.
pub fn host_event(event: &deploy::incident::HostEvent) -> Result<String, serde_json::Error> {
    written::<incident::HostEvent, _>(event)
}

/// A status as it is written.
///
/// # Errors
/// When JSON has no form for it.
pub fn status(status: &deploy::status::Status) -> Result<String, serde_json::Error> {
    written::<status::Status, _>(status)
}

/// The event that was written as `text`.
///
/// # Errors
/// When it is none, or one of a newer windlass.
pub fn read_event(text: &str) -> Result<deploy::event::Event, serde_json::Error> {
    read::<event::Event, _>(text)
}

/// What happened to a project, from what was written.
///
/// # Errors
/// When it is nothing of the kind, or of a newer windlass.
pub fn read_project_event(text: &str) -> Result<deploy::incident::ProjectEvent, serde_json::Error> {
    read::<incident::ProjectEvent, _>(text)
}

/// What happened to the host, from what was written.
///
/// # Errors
/// When it is nothing of the kind, or of a newer windlass.
pub fn read_host_event(text: &str) -> Result<deploy::incident::HostEvent, serde_json::Error> {
    read::<incident::HostEvent, _>(text)
}

/// The status that was written as `text`.
///
/// # Errors
/// When it is none, or one of a newer windlass.
pub fn read_status(text: &str) -> Result<deploy::status::Status, serde_json::Error> {
    read::<status::Status, _>(text)
}

fn written<F: Form<T>, T>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Written::<F, T>::of(value))
}

fn read<F: Form<T>, T>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str::<Read<F, T>>(text).map(Read::value)
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
