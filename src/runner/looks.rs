//! Reads the machine for dry runs and readings: one read at a time of a project, a few in all, and requests for the same share
//! a read.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::ProjectName;

/// How many reads there are at a time: each may start a process.
const AT_A_TIME: usize = 4;

/// The order of the reads.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    of_projects: Mutex<HashMap<ProjectName, Arc<Semaphore>>>,
}

/// Reads of one kind, whose answer `T` depends on the project and on `W`.
#[derive(Debug)]
pub(super) struct Looks<W, T: Clone> {
    turns: Arc<Turns>,
    /// Reads that have not begun yet.
    coming: Mutex<Coming<W, T>>,
}

type Coming<W, T> = HashMap<(ProjectName, W), WeakShared<BoxFuture<'static, T>>>;

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_A_TIME)), of_projects: Mutex::default() }
    }
}

impl Turns {
    /// Waits for a turn, which ends when the permits are dropped.
    async fn take(&self, project: &ProjectName) -> [Option<OwnedSemaphorePermit>; 2] {
        let of_project = {
            let mut of_projects = self.of_projects.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(of_projects.entry(project.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        // The semaphores are never closed. A read that waits for its project takes no turn from other projects.
        let of_project = of_project.acquire_owned().await.ok();
        [of_project, Arc::clone(&self.all).acquire_owned().await.ok()]
    }
}

impl<W, T> Looks<W, T>
where
    W: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(super) fn new(turns: Arc<Turns>) -> Self {
        Self { turns, coming: Mutex::default() }
    }

    /// Reads with `ask`, or joins a read of the same that has not begun, so that no answer is older than its request. A read
    /// is given up when the last of its callers is gone.
    pub(super) fn look(
        self: &Arc<Self>,
        project: &ProjectName,
        what: W,
        ask: impl Future<Output = T> + Send + 'static,
    ) -> Shared<BoxFuture<'static, T>> {
        let key = (project.clone(), what);
        let mut coming = self.coming();
        if let Some(look) = coming.get(&key).and_then(WeakShared::upgrade) {
            return look;
        }
        coming.retain(|_, look| look.upgrade().is_some());
        let (looks, own) = (Arc::clone(self), key.clone());
        let look = async move {
            let _turn = looks.turns.take(&own.0).await;
            looks.coming().remove(&own);
            ask.await
        };
        let look = look.boxed().shared();
        coming.extend(look.downgrade().map(|weak| (key, weak)));
        look
    }

    fn coming(&self) -> MutexGuard<'_, Coming<W, T>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use futures_util::poll;
    use tokio::sync::watch;

    use super::*;

    /// Counts looks, which end when they are allowed to.
    struct Watched {
        looks: Arc<Looks<u8, usize>>,
        begun: Arc<AtomicUsize>,
        may_end: watch::Sender<bool>,
    }

    impl Watched {
        fn new() -> Self {
            let looks = Arc::new(Looks::new(Arc::default()));
            Self { looks, begun: Arc::default(), may_end: watch::channel(false).0 }
        }

        fn look(&self, project: &str, what: u8) -> Shared<BoxFuture<'static, usize>> {
            let (begun, mut may_end) = (Arc::clone(&self.begun), self.may_end.subscribe());
            self.looks.look(&project.parse().unwrap(), what, async move {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                may_end.wait_for(|may| *may).await.unwrap();
                number
            })
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn requests_join_a_read_that_has_not_begun_and_share_the_next_one_otherwise() {
        let watched = Watched::new();
        let mut first = watched.look("shop", 1);
        assert!(poll!(&mut first).is_pending());
        let mut later: Vec<_> = (0..149).map(|_| watched.look("shop", 1)).collect();
        let mut other = watched.look("shop", 2);
        assert!(poll!(&mut later[7]).is_pending() && poll!(&mut other).is_pending());
        assert_eq!(watched.begun(), 1, "one look at a time at a project");
        watched.may_end.send_replace(true);
        let (first, later, other) = tokio::join!(first, join_all(later), other);
        assert_eq!((first, later, other), (0, vec![1; 149], 2));
    }

    #[tokio::test]
    async fn a_few_reads_run_at_a_time_and_a_project_that_waits_for_itself_delays_no_other() {
        let watched = Watched::new();
        let mut all: Vec<_> = (0..9).map(|what| watched.look("shop", what)).collect();
        all.extend(["a", "b", "c", "d", "e"].map(|project| watched.look(project, 0)));
        for look in &mut all {
            assert!(poll!(look).is_pending());
        }
        assert_eq!(watched.begun(), AT_A_TIME);
        watched.may_end.send_replace(true);
        assert_eq!(join_all(all).await.len(), 14);
    }

    #[tokio::test]
    async fn a_caller_that_leaves_ends_no_read_of_another_and_gives_its_turn_back() {
        let watched = Watched::new();
        let (mut first, mut second) = (watched.look("shop", 1), watched.look("shop", 1));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        drop(first);
        let mut waiting = watched.look("shop", 1);
        assert!(poll!(&mut second).is_pending() && poll!(&mut waiting).is_pending());
        assert_eq!(watched.begun(), 1);
        drop((second, waiting));
        watched.may_end.send_replace(true);
        assert_eq!(watched.look("shop", 1).await, 1, "the turns were given back");
        assert!(watched.looks.coming().is_empty());
    }
}
