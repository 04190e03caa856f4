//! Brings an image here, and tells how far it is.

use std::time::Duration;

use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use super::client::Engine;
use super::credentials::Login;
use super::progress::Progress;
use super::refusal::Refusal;
use crate::host::{HostError, Reporter};
use crate::model::{Digest, ImageReference, PinnedImage, Repository};

/// A registry that has given nothing for so long has gone away. The engine itself goes on trying for longer.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the engine may unpack without a word: some do not report that part.
const UNPACKING: Duration = Duration::from_secs(900);
/// Between two reports of how far it is.
const REPORT: Duration = Duration::from_millis(100);

impl Engine {
    /// Pulls `image` by its digest.
    pub(in crate::host) async fn pull(
        &self,
        image: &PinnedImage,
        login: &Login,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let name = image.by_digest();
        self.fetch(image.image.repository(), image.digest.as_str(), login, reporter)
            .await
            .map_err(|refusal| refusal.of_pull(&name, image.image.repository(), login))
    }

    /// Pulls `reference` as it is named: what it is then is the registry's choice.
    pub(in crate::host) async fn pull_as_named(
        &self,
        reference: &ImageReference,
        login: &Login,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let version = reference.digest().map(Digest::as_str).or(reference.tag()).unwrap_or("latest");
        self.fetch(reference.repository(), version, login, reporter)
            .await
            .map_err(|refusal| refusal.of_pull(&reference.to_string(), reference.repository(), login))
    }

    /// Pulls `repository` at `version`, a tag or a digest.
    pub(super) async fn fetch(
        &self,
        repository: &Repository,
        version: &str,
        login: &Login,
        reporter: &Reporter,
    ) -> Result<(), Refusal> {
        let link = self.link().await?;
        let options = CreateImageOptions {
            from_image: Some(repository.to_string()),
            tag: Some(version.to_owned()),
            ..CreateImageOptions::default()
        };
        // The stream has a limit of its own, and the head of the answer may come as late as its first line.
        let docker = link.docker.with_timeout(SILENCE * 2);
        let mut stream = docker.create_image(Some(options), None, login.for_registry(repository.host()));

        let mut progress = Progress::default();
        let (mut alive, mut reported) = (Instant::now(), None::<Instant>);
        let mut said = String::new();
        loop {
            let patience = if progress.is_fetched() { UNPACKING } else { SILENCE };
            let Ok(message) = timeout_at(alive + patience, stream.next()).await else {
                let said = if said.is_empty() { said } else { format!("; the engine said last: {said}") };
                return Err(Refusal::Stream(format!("no progress for {} s{said}", patience.as_secs())));
            };
            let Some(message) = message else { break };
            let message = message?;
            let advanced = progress.take(&message);
            said = message.status.unwrap_or_default();
            if advanced {
                alive = Instant::now();
                if reported.is_none_or(|reported| reported.elapsed() >= REPORT) {
                    reporter.transfer(progress.transfer());
                    reported = Some(alive);
                }
            }
        }
        if reported.is_some() {
            reporter.transfer(progress.transfer());
        }
        Ok(())
    }
}
