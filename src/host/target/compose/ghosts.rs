//! Containers that the engine lists although it does not have them. It may get so when several programs replace one
//! container at the same time; Compose fails over them until the engine is restarted.

use std::time::Duration;

use tokio::time::sleep;

use crate::host::HostError;
use crate::host::engine::client::Engine;

/// What is being removed is listed for a moment longer.
const MOMENT: Duration = Duration::from_secs(1);

/// What is wrong with each of them, and the fix.
pub(super) async fn find(engine: &Engine, project: &str) -> Result<Vec<String>, HostError> {
    let mut ghosts = engine.ghosts(project).await?;
    if !ghosts.is_empty() {
        sleep(MOMENT).await;
        let still = engine.ghosts(project).await?;
        ghosts.retain(|ghost| still.contains(ghost));
    }
    Ok(ghosts.iter().map(|id| complaint(id, project)).collect())
}

fn complaint(id: &str, project: &str) -> String {
    let id = id.get(..12).unwrap_or(id);
    format!(
        "the engine lists the container {id} of the Compose project {project} and does not have it, and Compose fails over \
         it: restart the engine (systemctl restart docker)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::engine::client::tests::Replaceable;

    #[tokio::test]
    async fn a_container_that_is_listed_and_does_not_exist_is_named_with_the_fix() {
        let (replaceable, engine) = Replaceable::begin().await;
        let work = async {
            assert!(find(&engine, "shop").await.unwrap().is_empty());
            replaceable.is_haunted.set(true);
            let found = find(&engine, "shop").await.unwrap();
            assert!(found[0].contains("e78ad49f4fcc of") && found[0].contains("restart the engine"), "{found:?}");
        };
        tokio::select! {
            () = replaceable.serve() => {}
            () = work => {}
        }
    }
}
