//! The rule of polkit that lets a user who is not root do with units what a deployment does with them, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;

use super::bus::{Bus, Verb};
use crate::deploy::spec::{ProjectSpec, Target};
use crate::host::finding::Finding;
use crate::model::UnitName;

/// Where the rule belongs.
const FILE: &str = "/etc/polkit-1/rules.d/50-windlass.rules";

/// JavaScript in which `$user`, `$units` and `$mayReload` are still to be filled in.
const TEMPLATE: &str = include_str!("../../../systemd/polkit.rules");

/// The rule for `user` and the units of all `projects`; nothing when they have none.
pub fn rule<'a>(user: &str, projects: impl IntoIterator<Item = &'a ProjectSpec>) -> Option<String> {
    let mut units = BTreeMap::<UnitName, BTreeSet<&str>>::new();
    let mut may_reload = false;
    for project in projects {
        let Target::Systemd(systemd) = &project.target else { continue };
        may_reload |= systemd.units.iter().any(UnitName::is_quadlet);
        for unit in &systemd.units {
            units.entry(unit.started()).or_default().extend(Verb::all_of(systemd.action).map(Verb::as_str));
        }
    }
    if units.is_empty() {
        return None;
    }
    let entry = |(unit, verbs): (&UnitName, &BTreeSet<&str>)| {
        let verbs: Vec<String> = verbs.iter().copied().map(quoted).collect();
        format!("\n        {}: [{}]", quoted(unit.as_str()), verbs.join(", "))
    };
    let units = units.iter().map(entry).collect::<Vec<_>>().join(",");
    // The names of units have no `$`: nothing is filled into what was filled in, since the user comes last.
    let rule = TEMPLATE.replace("$units", &format!("{{{units}\n    }}")).replace("$mayReload", &may_reload.to_string());
    Some(rule.replace("$user", &quoted(user)))
}

/// Whether the service runs as a user whom no rule, or an old one, lets manage the units of `projects`. Nothing is found
/// where the rule cannot be read: only root can.
pub(crate) async fn survey(projects: &[&ProjectSpec]) -> Option<Finding> {
    rule("", projects.iter().copied())?;
    let service = Bus::connect().await.ok()?.confinement().await.ok()?;
    if service.is_root() {
        return None;
    }
    let user = &service.user;
    let wanted = rule(user, projects.iter().copied())?;
    let what = match fs::read_to_string(FILE) {
        Ok(installed) if installed.trim_end() == wanted.trim_end() => return None,
        Ok(_) => format!("{FILE} is out of date"),
        Err(error) if error.kind() == ErrorKind::NotFound => format!("no rule lets the user {user} manage units"),
        Err(_) => return None,
    };
    Some(Finding::warning(format!("{what}: `sudo windlass polkit --user {user} | sudo tee {FILE}` writes it")))
}

/// A text as a literal of JSON, which is one of JavaScript as well.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::spec::tests::shop;
    use crate::deploy::spec::{Action, Systemd};

    fn project(units: &[&str], action: Action) -> ProjectSpec {
        let units = units.iter().map(|unit| unit.parse().unwrap()).collect();
        ProjectSpec { target: Target::Systemd(Systemd { units, action, references: Vec::new() }), ..shop() }
    }

    /// The lines that differ from one configuration to the other.
    fn filled(user: &str, projects: &[ProjectSpec]) -> Vec<String> {
        let rule = rule(user, projects).unwrap();
        let template: Vec<&str> = TEMPLATE.lines().collect();
        rule.lines().filter(|line| !template.contains(line)).map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn it_names_the_units_and_the_jobs_that_a_deployment_and_its_way_back_ask_for() {
        let projects = [
            project(&["site.service", "app@blue.service"], Action::Restart),
            project(&["shop.service", "site.service"], Action::Reload),
            project(&["both.service"], Action::ReloadOrRestart),
            shop(),
        ];
        let expected = [
            r#"var user = "windlass";"#,
            r"var units = {",
            r#""app@blue.service": ["restart", "stop"],"#,
            r#""both.service": ["reload-or-restart", "stop"],"#,
            r#""shop.service": ["reload", "start", "stop"],"#,
            r#""site.service": ["reload", "restart", "start", "stop"]"#,
            r"};",
            r"var mayReload = false;",
        ];
        assert_eq!(filled("windlass", &projects), expected);
    }

    #[test]
    fn of_a_quadlet_it_names_the_service_and_lets_units_be_read_anew() {
        let lines = filled("windlass", &[project(&["site.container"], Action::Restart)]);
        assert_eq!(lines[2], r#""site.service": ["restart", "stop"]"#);
        assert_eq!(lines.last().unwrap(), "var mayReload = true;");
    }

    #[test]
    fn without_units_there_is_no_rule() {
        assert_eq!(rule("windlass", &[shop()]), None);
    }

    #[test]
    fn no_name_ends_the_text_that_it_stands_in() {
        let lines = filled("$units\";x", &[project(&[r"a\x2db.service", "constructor.service"], Action::Restart)]);
        assert_eq!(lines[0], r#"var user = "$units\";x";"#);
        assert_eq!(lines[2], r#""a\\x2db.service": ["restart", "stop"],"#);
    }
}
