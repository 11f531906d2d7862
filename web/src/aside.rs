//! Short work beside the queue: a few pieces at once, the others wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ganscope::{Error, Kind, Result, Watch};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::reply::{Failure, Reply};
use crate::server::PATIENCE;

/// Pieces that are done at once.
const AT_ONCE: usize = 8;

/// Room for short work.
#[derive(Debug)]
pub(crate) struct Aside {
    free: Arc<Semaphore>,
}

impl Default for Aside {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// Whether a visitor has gone away.
#[derive(Debug, Default, Clone)]
struct Gone(Arc<AtomicBool>);

impl Watch for Gone {
    fn stop(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A visitor who waits: his connection drops it when he goes away.
struct Waits(Gone);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Aside {
    /// Does something away from the threads that serve, which does not ask whether it is still wanted.
    ///
    /// # Errors
    /// As [`run_watched`](Self::run_watched).
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.run_watched(what, |_| work()).await
    }

    /// Does something away from the threads that serve. The work of a visitor who goes
    /// away is stopped, or not begun; it keeps its room to its end.
    ///
    /// # Errors
    /// [`Failure::Busy`] if there is no room in time; the error of the work, or that of a panic.
    pub(crate) async fn run_watched<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(&mut dyn Watch) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let turn = timeout(PATIENCE, self.free.clone().acquire_owned());
        let Ok(Ok(permit)) = turn.await else { return Err(Failure::Busy) };
        let mut gone = Gone::default();
        let _waits = Waits(gone.clone());
        let done = tokio::task::spawn_blocking(move || {
            let done = if gone.stop() { Err(Error::Cancelled) } else { work(&mut gone) };
            drop(permit);
            done
        });
        let panicked = |_| Error::problem(Kind::Internal, format!("{what} ended in a panic"));
        Ok(done.await.map_err(panicked)??)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[test]
    fn nothing_is_done_for_a_visitor_who_is_gone() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(thirty_visitors());
    }

    /// All go away: those who wait for the others are forgotten, and what has begun ends.
    async fn thirty_visitors() {
        let aside = Arc::new(Aside::default());
        let [begun, finished] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let visitors: Vec<_> = (0..30)
            .map(|_| {
                let (aside, begun, finished) = (aside.clone(), begun.clone(), finished.clone());
                tokio::spawn(async move {
                    let work = move |watch: &mut dyn Watch| {
                        begun.fetch_add(1, Ordering::SeqCst);
                        while !watch.stop() {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        finished.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    };
                    aside.run_watched("waiting", work).await.is_ok()
                })
            })
            .collect();
        while begun.load(Ordering::SeqCst) < AT_ONCE {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(finished.load(Ordering::SeqCst), 0, "nobody is gone yet");
        // Those who wait go first, so that none of them gets room.
        visitors.iter().rev().for_each(tokio::task::JoinHandle::abort);
        for visitor in visitors {
            assert!(visitor.await.is_err_and(|error| error.is_cancelled()));
        }
        assert_eq!(aside.run("work", || Ok(7)).await.ok(), Some(7), "there is room again");
        while finished.load(Ordering::SeqCst) < AT_ONCE {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(begun.load(Ordering::SeqCst), AT_ONCE);
    }
}
