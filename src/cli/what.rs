//! What a deployment, or the plan of one, is to put into service.

use crate::client::{Client, Failure, Kind, Request};
use crate::model::ProjectName;
use crate::wire::request::HookBody;
use crate::wire::view::ProjectView;

/// What to put into service.
#[derive(Debug, clap::Args)]
pub(super) struct What {
    /// The project, as `windlass status` shows it
    project: ProjectName,
    /// Images: repository:tag, repository@sha256:… or repository:tag@sha256:…; the tag alone where the project has one
    /// repository, name:tag where it has several
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// What the tag must resolve to; with one image only
    #[arg(long, value_name = "sha256:…")]
    digest: Option<String>,
}

impl What {
    /// These images of a project.
    pub(super) const fn new(project: ProjectName, images: Vec<String>) -> Self {
        Self { project, images, digest: None }
    }

    /// The body that asks for it.
    pub(super) async fn body(&self, client: &Client) -> Result<HookBody, Failure> {
        let mut body = HookBody { digest: self.digest.clone(), ..HookBody::default() };
        match self.in_full(client).await?.as_slice() {
            [image] => body.image = Some(image.clone()),
            images => body.images = Some(images.to_vec()),
        }
        Ok(body)
    }

    /// The images with their repositories, which windlass is asked for where one is left out.
    async fn in_full(&self, client: &Client) -> Result<Vec<String>, Failure> {
        if self.images.iter().all(|image| image.contains('/')) {
            return Ok(self.images.clone());
        }
        let failing = format!("the images of {} cannot be read", self.project);
        let asked = client.ask(&Request::get(failing, format!("/v1/projects/{}", self.project))?).await;
        let project: ProjectView =
            asked.map_err(|failure: Failure| failure.fix("write the image in full: REGISTRY/REPOSITORY:TAG"))?;
        let in_full = |image: &String| in_full(image, &project.images).map_err(|why| self.unknown(image, &why));
        self.images.iter().map(in_full).collect()
    }

    fn unknown(&self, image: &str, why: &str) -> Failure {
        Failure::new(Kind::Usage, format!("{} was not deployed", self.project), format!("{image:?} {why}"))
            .fix(format!("windlass status {} shows its images", self.project))
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

/// `image` with one of `repositories`: `v2` and `:v2` where there is one, `api:v2` where one ends with that name.
fn in_full(image: &str, repositories: &[String]) -> Result<String, String> {
    if image.contains('/') {
        return Ok(image.to_owned());
    }
    let last = |repository: &String| repository.rsplit('/').next().unwrap_or_default().to_owned();
    let end = image.find([':', '@']).unwrap_or(image.len());
    let (name, rest) = image.split_at(end);
    if let Some(named) = repositories.iter().find(|repository| !rest.is_empty() && last(repository) == name) {
        return Ok(format!("{named}{rest}"));
    }
    match repositories {
        [only] if name.is_empty() => Ok(format!("{only}{rest}")),
        [only] if image.starts_with("sha256:") => Ok(format!("{only}@{image}")),
        [only] if rest.is_empty() || rest.starts_with('@') => Ok(format!("{only}:{image}")),
        several => {
            let meant: Vec<String> = several.iter().map(|repository| format!("{}:TAG", last(repository))).collect();
            Err(format!("may be of any image of the project, or of none: name one, {}", meant.join(" or ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_alone_is_of_the_only_repository_and_a_name_picks_one_of_several() {
        let [api, web] = ["ghcr.io/acme/api".to_owned(), "ghcr.io/acme/web".to_owned()];
        let one = std::slice::from_ref(&api);
        let both = [api.clone(), web];
        for (image, repositories, expected) in [
            ("v2", one, Some("ghcr.io/acme/api:v2")),
            (":v2", one, Some("ghcr.io/acme/api:v2")),
            ("api:v2", one, Some("ghcr.io/acme/api:v2")),
            ("sha256:ab", one, Some("ghcr.io/acme/api@sha256:ab")),
            ("@sha256:ab", one, Some("ghcr.io/acme/api@sha256:ab")),
            ("v2@sha256:ab", one, Some("ghcr.io/acme/api:v2@sha256:ab")),
            ("other:v2", one, None),
            ("web:v2", &both, Some("ghcr.io/acme/web:v2")),
            ("v2", &both, None),
            ("docker.io/library/nginx:1", one, Some("docker.io/library/nginx:1")),
        ] {
            assert_eq!(in_full(image, repositories).ok().as_deref(), expected, "{image}");
        }
    }
}
