//! Speaks to systemd over the system bus: starts jobs and awaits their results, and reads what a unit is.

use std::time::Duration;

use futures_util::StreamExt as _;
use zbus::connection::Builder;
use zbus::message::{Body, Type};
use zbus::{Connection, DynamicType, Error, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, Variant, fdo};

use super::facts::UnitFacts;
use crate::deploy::spec::Action;
use crate::host::HostError;
use crate::model::UnitName;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const ROOT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// As the package calls it.
pub(in crate::host) const OUR_SERVICE: &str = "windlass.service";

/// systemd answers from memory. Only reading all units anew takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to systemd. It is made when it is needed, and ends with what it was made for: so nothing wakes up when
/// nothing happens.
pub(in crate::host) struct Bus(Connection);

/// What a service may do, as its unit says; nothing is forbidden to one that is not there.
#[derive(Debug, Default)]
pub(in crate::host) struct Confinement {
    /// Empty for root.
    pub(in crate::host) user: String,
    /// `strict` where nothing can be written but `writable` and its own directories.
    pub(in crate::host) protect_system: String,
    pub(in crate::host) writable: Vec<String>,
}

impl Confinement {
    /// Whether polkit is not asked about it.
    pub(in crate::host) fn is_root(&self) -> bool {
        self.user.is_empty() || self.user == "root"
    }
}

/// A job of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) enum Verb {
    Start,
    Restart,
    Reload,
    ReloadOrRestart,
    Stop,
}

impl Verb {
    /// What has a unit take over what is new. What does not run has nothing to reload.
    pub(in crate::host) const fn of(action: Action, is_up: bool) -> Self {
        match action {
            Action::Reload if is_up => Self::Reload,
            Action::Reload => Self::Start,
            Action::ReloadOrRestart => Self::ReloadOrRestart,
            Action::Restart => Self::Restart,
        }
    }

    /// All that a deployment may ask of a unit, there and back: what its user has to be allowed.
    pub(in crate::host) const fn all_of(action: Action) -> [Self; 3] {
        [Self::of(action, true), Self::of(action, false), Self::Stop]
    }

    /// What it is called on the bus.
    const fn method(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Restart => "RestartUnit",
            Self::Reload => "ReloadUnit",
            Self::ReloadOrRestart => "ReloadOrRestartUnit",
            Self::Stop => "StopUnit",
        }
    }

    /// What people call it, and polkit.
    pub(in crate::host) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::ReloadOrRestart => "reload-or-restart",
            Self::Stop => "stop",
        }
    }
}

impl Bus {
    /// Connects to the system bus, at its usual address.
    pub(in crate::host) async fn connect() -> Result<Self, HostError> {
        let connected = async {
            let bus = Self(Builder::system().method_timeout(PATIENCE).build().await?);
            // Signals are sent only where somebody asked for them; to ask twice is an error.
            bus.manager("Subscribe", &()).await?;
            Ok(bus)
        };
        connected.await.map_err(|error: Error| {
            let reason = format!("{error}: units need a host that runs systemd and dbus");
            HostError::refused("failed to reach systemd over the system bus", reason)
        })
    }

    /// Starts a job and waits for its result. One that replaces another's job is waited for all the same.
    pub(in crate::host) async fn job(&self, verb: Verb, unit: &UnitName) -> Result<(), HostError> {
        let operation = || format!("{} {unit}", verb.as_str());
        let failed = |error: Error| refused(&operation(), &error);
        // Listened for from before it is started: a job may be over before its name is known.
        let mut removals = removals(&self.0).await.map_err(failed)?;
        let answer = self.manager(verb.method(), &(unit.as_str(), "replace")).await.map_err(failed)?;
        let job: OwnedObjectPath = answer.deserialize().map_err(failed)?;
        while let Some(message) = removals.next().await {
            let body = message.map_err(failed)?.body();
            let (_, removed, _, result): (u32, OwnedObjectPath, String, String) = body.deserialize().map_err(failed)?;
            if removed == job {
                return match result.as_str() {
                    "done" | "skipped" => Ok(()),
                    result => Err(HostError::refused(format!("failed to {}", operation()), in_words(result))),
                };
            }
        }
        Err(HostError::refused(format!("failed to {}", operation()), "the system bus was closed"))
    }

    /// Has systemd read all units anew.
    pub(in crate::host) async fn reload_units(&self) -> Result<(), HostError> {
        let reloaded = self.manager("Reload", &()).await;
        reloaded.map(drop).map_err(|error| refused("reload systemd's units", &error))
    }

    /// What the unit is now.
    pub(in crate::host) async fn facts(&self, unit: &UnitName) -> Result<UnitFacts, HostError> {
        let read = async {
            let answer = self.manager("LoadUnit", &unit.as_str()).await?;
            let path: OwnedObjectPath = answer.deserialize()?;
            let mut facts = UnitFacts {
                name: unit.clone(),
                load: self.get(&path, UNIT, "LoadState").await?,
                active: self.get(&path, UNIT, "ActiveState").await?,
                sub: self.get(&path, UNIT, "SubState").await?,
                can_reload: self.get(&path, UNIT, "CanReload").await?,
                invocation: hex(&self.get::<Vec<u8>>(&path, UNIT, "InvocationID").await?),
                ..UnitFacts::new(unit.clone())
            };
            if unit.as_str().ends_with(".service") {
                facts.kind = self.get(&path, SERVICE, "Type").await?;
                facts.result = self.get(&path, SERVICE, "Result").await?;
                facts.restarts = self.get(&path, SERVICE, "NRestarts").await?;
                facts.exit_code = self.get(&path, SERVICE, "ExecMainStatus").await?;
            }
            Ok(facts)
        };
        read.await.map_err(|error| refused(&format!("look at {unit}"), &error))
    }

    /// The words of all commands of a service that start or reload it.
    pub(in crate::host) async fn words(&self, unit: &UnitName) -> Result<Vec<String>, HostError> {
        let read = async {
            let path: OwnedObjectPath = self.manager("LoadUnit", &unit.as_str()).await?.deserialize()?;
            let mut words = Vec::new();
            for property in ["ExecStartPre", "ExecStart", "ExecReload"] {
                let commands: OwnedVariant = self.get(&path, SERVICE, property).await?;
                collect_words(&commands, &mut words);
            }
            Ok(words)
        };
        read.await.map_err(|error: Error| refused(&format!("look at {unit}"), &error))
    }

    /// What systemd itself calls a unit, which may have other names as well.
    pub(in crate::host) async fn id(&self, unit: &UnitName) -> Result<String, HostError> {
        let read = async {
            let path: OwnedObjectPath = self.manager("LoadUnit", &unit.as_str()).await?.deserialize()?;
            self.get(&path, UNIT, "Id").await
        };
        read.await.map_err(|error: Error| refused(&format!("look at {unit}"), &error))
    }

    /// What the service of windlass may do, which whoever asks from outside of it cannot tell by trying.
    pub(in crate::host) async fn confinement(&self) -> Result<Confinement, HostError> {
        let read = async {
            let path: OwnedObjectPath = self.manager("LoadUnit", &OUR_SERVICE).await?.deserialize()?;
            Ok(Confinement {
                user: self.get(&path, SERVICE, "User").await?,
                protect_system: self.get(&path, SERVICE, "ProtectSystem").await?,
                writable: self.get(&path, SERVICE, "ReadWritePaths").await?,
            })
        };
        read.await.map_err(|error: Error| refused(&format!("look at {OUR_SERVICE}"), &error))
    }

    async fn get<T>(&self, path: &OwnedObjectPath, interface: &str, property: &str) -> Result<T, Error>
    where
        T: TryFrom<OwnedVariant>,
        T::Error: Into<Error>,
    {
        let asked = self.0.call_method(Some(SYSTEMD), path, Some(PROPERTIES), "Get", &(interface, property)).await?;
        let value: OwnedVariant = asked.body().deserialize()?;
        T::try_from(value).map_err(Into::into)
    }

    async fn manager(&self, method: &str, body: &(impl serde::Serialize + DynamicType + Sync)) -> Result<Body, Error> {
        Ok(self.0.call_method(Some(SYSTEMD), ROOT, Some(MANAGER), method, body).await?.body())
    }
}

/// Every job that comes to its end.
async fn removals(connection: &Connection) -> Result<MessageStream, Error> {
    let rule = MatchRule::builder().msg_type(Type::Signal).sender(SYSTEMD).interface(MANAGER).member("JobRemoved");
    let rule = rule.build()?;
    MessageStream::for_match_rule(rule, connection, None).await
}

/// The lists of texts in a list of commands: a command is its path, its words, and what became of it.
fn collect_words(value: &Variant<'_>, words: &mut Vec<String>) {
    match value {
        Variant::Array(items) => items.iter().for_each(|item| match item {
            Variant::Str(word) => words.push(word.to_string()),
            other => collect_words(other, words),
        }),
        Variant::Structure(fields) => fields.fields().iter().for_each(|field| collect_words(field, words)),
        Variant::Variant(inner) => collect_words(inner, words),
        _ => {}
    }
}

/// What systemd answered instead of doing it, and the fix where it is known.
fn refused(operation: &str, error: &Error) -> HostError {
    let is_forbidden = match error {
        Error::FDO(error) => matches!(
            **error,
            fdo::Error::AccessDenied(_) | fdo::Error::AuthFailed(_) | fdo::Error::InteractiveAuthorizationRequired(_)
        ),
        _ => false,
    };
    let said = match error {
        Error::MethodError(_, Some(said), _) => said.clone(),
        other => other.to_string(),
    };
    let reason = if is_forbidden {
        format!("{said}: this user may not do that; install the rule that `windlass polkit` prints, or run as root")
    } else {
        said
    };
    HostError::refused(format!("failed to {operation}"), reason)
}

/// A job's result, for people.
fn in_words(result: &str) -> String {
    match result {
        "failed" => "its job failed".to_owned(),
        "timeout" => "it was not ready in time (TimeoutStartSec=)".to_owned(),
        "dependency" => "a unit that it needs failed".to_owned(),
        "canceled" => "somebody cancelled its job, or another one took its place".to_owned(),
        "assert" | "invalid" | "unsupported" => format!("systemd cannot do that with it ({result})"),
        other => format!("its job ended with {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
