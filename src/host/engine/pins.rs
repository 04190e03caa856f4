//! What references mean on this host: a local tag that compose files, units and programs look images up by.

use super::client::Engine;
use crate::deploy::plan::{Expected, Source};
use crate::host::HostError;
use crate::model::{ImageReference, LocalImage};

/// What `reference` means now.
pub(in crate::host) async fn meaning(
    engine: &Engine,
    reference: &ImageReference,
) -> Result<Option<LocalImage>, HostError> {
    match engine.image(&reference.to_string()).await? {
        Some(image) => Ok(Some(engine.local(&image, reference.repository()).await?)),
        None => Ok(None),
    }
}

/// Whether `reference` means the image that the engine knows by `id`.
pub(in crate::host) async fn starts(engine: &Engine, reference: &ImageReference, id: &str) -> Result<bool, HostError> {
    let Some(found) = engine.image(&reference.to_string()).await? else { return Ok(false) };
    // An image may have several ids where the engine keeps one for each platform.
    Ok(found.id.as_str() == id || engine.image(id).await?.is_some_and(|image| image.id == found.id))
}

/// Whether `reference` means `source`.
pub(in crate::host) async fn holds(
    engine: &Engine,
    reference: &ImageReference,
    source: &Source,
) -> Result<bool, HostError> {
    let (wanted, found) = (engine.image_of(source).await?, engine.image(&reference.to_string()).await?);
    Ok(wanted.is_some_and(|wanted| found.is_some_and(|found| found.id == wanted.id)))
}

/// Lets `reference` mean `source`.
pub(in crate::host) async fn pin(
    engine: &Engine,
    reference: &ImageReference,
    source: &Source,
) -> Result<(), HostError> {
    let failed = |reason: String| HostError::failed(format!("failed to pin {reference} to {source}"), reason);
    let Some(image) = engine.image_of(source).await? else {
        return Err(failed("the image is not on this host".to_owned()));
    };
    let (repository, tag) = (reference.repository().to_string(), reference.tag().unwrap_or("latest"));
    engine.tag(&image.id, &repository, tag).await?;
    match engine.image(&reference.to_string()).await? {
        Some(found) if found.id == image.id => Ok(()),
        found => {
            let found = found.map_or_else(|| "nothing".to_owned(), |image| image.id.to_string());
            Err(failed(format!("it means {found} all the same")))
        }
    }
}

/// Whether what was released is what those references still mean: a unit or a program that pulls by itself, or tags,
/// starts something else with the same name. The error says which one and what to do.
pub(in crate::host) async fn hold(
    engine: &Engine,
    references: &[ImageReference],
    expected: &[Expected],
) -> Result<(), HostError> {
    for Expected { service, image, .. } in expected {
        let Some(wanted) = engine.image_of(image).await? else { continue };
        for reference in references.iter().filter(|reference| image.is_of(reference.repository())) {
            let found = engine.image(&reference.to_string()).await?;
            if found.as_ref().is_none_or(|found| found.id != wanted.id) {
                let found = found.map_or_else(|| "nothing".to_owned(), |image| image.id.to_string());
                let reason = format!(
                    "{reference} means {found} now, and not {image}: something moved the name; \
                     {service} must not pull or tag it by itself"
                );
                return Err(HostError::unhealthy(reason, Vec::new()));
            }
        }
    }
    Ok(())
}
