//! Which deployment somebody means: by its id, by a part of it, or by the name of its project.

use crate::client::{Client, Failure, Kind, Request};
use crate::model::{DeploymentId, ProjectName};
use crate::wire::state::StatusWord;
use crate::wire::view::{DeploymentView, Deployments, ProjectView};

/// A shorter part of an id is taken for a slip.
const LEAST_PART: usize = 4;
/// How many deployments are read to find one that is under way.
const RECENT: usize = 50;

/// What somebody calls a deployment.
#[derive(Debug, Clone)]
pub(super) enum Which {
    /// Its id.
    Id(DeploymentId),
    /// A project, or the first or the last characters of an id.
    Name(String),
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let name = text.trim_start_matches('…').to_ascii_lowercase();
        match name.parse::<ProjectName>() {
            Ok(_) => Ok(Self::Name(name)),
            Err(_) => Err("it is a project, an id, or the first or last characters of an id".to_owned()),
        }
    }
}

impl Which {
    /// The id of [`Which::find`], which need not be looked for where it is given.
    pub(super) async fn id(
        self,
        client: &Client,
        failing: &str,
        wanted: &str,
        is_meant: impl Fn(&DeploymentView) -> bool,
    ) -> Result<DeploymentId, Failure> {
        match self {
            Self::Id(id) => Ok(id),
            name => Ok(name.find(client, failing, wanted, is_meant).await?.id),
        }
    }

    /// The deployment that is meant: of a project the newest that `is_meant`. `failing` says what does not work when there
    /// is none, `wanted` what is looked for.
    pub(super) async fn find(
        &self,
        client: &Client,
        failing: &str,
        wanted: &str,
        is_meant: impl Fn(&DeploymentView) -> bool,
    ) -> Result<DeploymentView, Failure> {
        let name = match self {
            Self::Id(id) => return client.ask(&Request::get(failing, format!("/v1/deployments/{id}"))?).await,
            Self::Name(name) => name,
        };
        let list = async |query: String| {
            let found: Deployments = client.ask(&Request::get(failing, format!("/v1/deployments?{query}"))?).await?;
            Ok::<_, Failure>(found.deployments)
        };
        let of_project = list(format!("project={name}&limit={RECENT}")).await?;
        if let Some(meant) = of_project.iter().find(|view| is_meant(view)) {
            return Ok(meant.clone());
        }
        // A key shows its own project alone, and a name of a project means no other's deployment.
        let is_project = async || match Request::get(failing, format!("/v1/projects/{name}")) {
            Ok(request) => client.ask::<ProjectView>(&request).await.is_ok(),
            Err(_) => false,
        };
        let may_be_id = client.is_operator() && name.len() >= LEAST_PART && of_project.is_empty();
        let by_id =
            if may_be_id && !is_project().await { list(format!("id={name}&limit=2")).await? } else { Vec::new() };
        match (by_id.as_slice(), of_project.is_empty()) {
            ([one], _) => Ok(one.clone()),
            ([], false) => Err(Failure::new(Kind::Refused, failing, format!("no deployment of {name} {wanted}"))
                .fix(format!("windlass list --project {name} shows its deployments"))),
            ([], true) => {
                let reason = format!("{name} is neither a project with deployments nor a part of an id");
                Err(Failure::new(Kind::Refused, failing, reason)
                    .fix("windlass list shows the deployments of this host"))
            }
            _ => Err(Failure::new(Kind::Usage, failing, format!("more than one id begins or ends with {name}"))
                .fix("give more of its characters")),
        }
    }
}

/// Whether a deployment has no outcome yet.
pub(super) const fn is_under_way(view: &DeploymentView) -> bool {
    matches!(view.status, StatusWord::Queued | StatusWord::Running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_called_by_its_id_a_part_of_it_or_its_project() {
        let which = |text: &str| text.parse::<Which>();
        assert!(matches!(which("01jd5zk0000000000000000000"), Ok(Which::Id(_))));
        for (text, name) in [("shop", "shop"), ("01jd5z", "01jd5z"), ("…Q0R2S4", "q0r2s4")] {
            assert!(matches!(which(text), Ok(Which::Name(found)) if found == name), "{text}");
        }
        for text in ["", "a b", "a/b", "&limit=1", "é"] {
            assert!(which(text).is_err(), "{text}");
        }
    }
}
