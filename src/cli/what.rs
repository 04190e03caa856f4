//! What a deployment, or the plan of one, is to put into service.

use crate::client::Client;
use crate::model::ProjectName;
use crate::wire::request::HookBody;

/// What to put into service.
#[derive(Debug, clap::Args)]
pub(super) struct What {
    /// The project, as `windlass status` shows it
    project: ProjectName,
    /// Images: repository:tag, repository@sha256:… or repository:tag@sha256:…
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// What the tag must resolve to; with one image only
    #[arg(long, value_name = "sha256:…")]
    digest: Option<String>,
}

impl What {
    /// The body that asks for it.
    pub(super) fn body(&self) -> HookBody {
        let mut body = HookBody { digest: self.digest.clone(), ..HookBody::default() };
        match self.images.as_slice() {
            [image] => body.image = Some(image.clone()),
            images => body.images = Some(images.to_vec()),
        }
        body
    }

    /// Where to ask for it.
    pub(super) fn path(&self, client: &Client) -> String {
        let project = &self.project;
        if client.is_operator() { format!("/v1/projects/{project}/deploy") } else { format!("/v1/hooks/{project}") }
    }

    /// For whom.
    pub(super) fn project(&self) -> &ProjectName {
        &self.project
    }
}
