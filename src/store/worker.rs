//! A thread with a queue. It sleeps while the queue is empty, and ends, with its work done, when the worker is dropped.

use std::sync::mpsc;
use std::thread::JoinHandle;

use super::error::StoreError;

/// The end of the queue at which work is put in. Never blocks.
pub(super) struct Worker<J> {
    queue: Option<mpsc::Sender<J>>,
    thread: Option<JoinHandle<()>>,
}

impl<J: Send + 'static> Worker<J> {
    /// Starts the thread, which works until the queue is closed.
    pub(super) fn start(name: &str, work: impl FnOnce(mpsc::Receiver<J>) + Send + 'static) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(jobs));
        Ok(Self { queue: Some(queue), thread: Some(thread.map_err(StoreError::system("start a thread"))?) })
    }

    /// Puts a job into the queue. Without a thread it is dropped, and with it the sender of its answer.
    pub(super) fn send(&self, job: J) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(job);
        }
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}
