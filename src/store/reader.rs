//! The thread that reads, on a connection of its own: readers neither wait for writers nor hold them up.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::StoreError;
use super::worker::Worker;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// Asks the database without changing it.
pub(super) struct Reader(Worker<Question>);

impl Reader {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let serve = move |questions: std::sync::mpsc::Receiver<Question>| {
            for question in questions {
                question(&connection);
            }
        };
        Ok(Self(Worker::start("store-reader", serve)?))
    }

    /// What `ask` finds. Everything that was answered by a writer before is there to be found.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Box::new(move |connection| {
            // Whoever does not want to know any more is not asked for.
            if !reply.is_closed() {
                let _ = reply.send(ask(connection));
            }
        }));
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}
