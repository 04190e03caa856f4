//! Which image of this host a registry's digest is, as the engine said it.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::column::Name;
use super::{Store, StoreError};
use crate::model::{Digest, Repository};

/// So many are remembered. An older one can still be asked of the engine or pulled again.
const MOST: i64 = 10_000;

impl Store {
    /// Writes down that `digest` of `repository` is the image `id` of this host. It then is the newest.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn note_image(&self, repository: &Repository, digest: &Digest, id: &Digest) -> Result<(), StoreError> {
        const NOTE: &str = "INSERT OR REPLACE INTO images (repository, digest, id) VALUES (?, ?, ?)";
        const FORGET: &str = "DELETE FROM images WHERE number <= (SELECT max(number) FROM images) - ?";
        let (repository, digest, id) = (repository.to_string(), digest.to_string(), id.to_string());
        let write = move |connection: &Connection| {
            connection.prepare_cached(NOTE)?.execute(params![repository, digest, id])?;
            connection.prepare_cached(FORGET)?.execute([MOST])?;
            Ok(())
        };
        self.0.writer.write(write).await
    }

    /// The image of this host that `digest` of `repository` was noted as.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn noted_image(&self, repository: &Repository, digest: &Digest) -> Result<Option<Digest>, StoreError> {
        const SQL: &str = "SELECT id FROM images WHERE repository = ? AND digest = ?";
        let (repository, digest) = (repository.to_string(), digest.to_string());
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            let found = statement.query_row([repository, digest], |row| row.get::<_, Name<Digest>>(0)).optional()?;
            Ok(found.map(|Name(id)| id))
        };
        self.0.reader.read(read).await
    }

    /// What the image `id` of this host was noted as, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn noted_names(&self, id: &Digest) -> Result<Vec<(Repository, Digest)>, StoreError> {
        const SQL: &str = "SELECT repository, digest FROM images WHERE id = ? ORDER BY number DESC";
        let id = id.to_string();
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            let names = statement.query_map([id], |row| {
                let (Name(repository), Name(digest)) = (row.get(0)?, row.get(1)?);
                Ok((repository, digest))
            })?;
            Ok(names.collect::<Result<_, _>>()?)
        };
        self.0.reader.read(read).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::TestStore;
    use super::*;

    #[tokio::test]
    async fn what_was_noted_is_known_after_a_restart_and_the_newest_name_comes_first() {
        let fixture = TestStore::new();
        let (app, copy): (Repository, Repository) = ("r.io/app".parse().unwrap(), "r.io/copy".parse().unwrap());
        let [v1, v2, image, other] = [b"v1", b"v2", b"im", b"ot"].map(|bytes| Digest::of(bytes));
        for (repository, digest, id) in
            [(&app, &v1, &other), (&app, &v1, &image), (&app, &v2, &image), (&copy, &v1, &image)]
        {
            fixture.store.note_image(repository, digest, id).await.unwrap();
        }
        fixture.store.note_image(&app, &v1, &image).await.unwrap();
        let fixture = fixture.reopen();
        assert_eq!(fixture.store.noted_image(&app, &v1).await.unwrap(), Some(image.clone()));
        assert_eq!(fixture.store.noted_image(&copy, &v2).await.unwrap(), None);
        let names = [(app.clone(), v1.clone()), (copy, v1), (app, v2)];
        assert_eq!(fixture.store.noted_names(&image).await.unwrap(), names);
        assert_eq!(fixture.store.noted_names(&other).await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_record_of_images_is_bounded() {
        let fixture = TestStore::new();
        let repository: Repository = "r.io/app".parse().unwrap();
        let [old, new, image] = [b"old", b"new", b"img"].map(|bytes| Digest::of(bytes));
        fixture.store.note_image(&repository, &old, &image).await.unwrap();
        fixture.store.note_image(&repository, &new, &image).await.unwrap();
        let many_later = format!("UPDATE images SET number = number + {MOST} - 2 WHERE digest = '{new}'");
        fixture.store.0.writer.write(move |connection| Ok(connection.execute_batch(&many_later)?)).await.unwrap();
        assert_eq!(fixture.store.noted_names(&image).await.unwrap().len(), 2);
        fixture.store.note_image(&repository, &Digest::of(b"newer"), &image).await.unwrap();
        assert_eq!(fixture.store.noted_image(&repository, &old).await.unwrap(), None);
    }
}
