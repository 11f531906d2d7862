//! The threads of rayon, and loops that they share, whole items first.

use std::cell::Cell;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

/// A pool of so many threads; for 0 as many as `RAYON_NUM_THREADS` says, or as the process may run
/// at the same time.
///
/// On Linux, where they are as many as the cores that the process may use, each stays on one. The
/// system else often wakes two of them on one core after a pause, and takes 20 ms to part them: as
/// long as half an image.
pub fn pool(threads: usize) -> ThreadPoolBuilder {
    ThreadPoolBuilder::new().num_threads(threads).start_handler(stay_on_core)
}

/// Keeps the thread with this number in its pool on the core in that place.
#[cfg(target_os = "linux")]
fn stay_on_core(index: usize) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if cores.len() == rayon::current_num_threads() {
        // Where the system refuses, the thread runs anywhere, as it would without.
        core_affinity::set_for_current(cores[index]);
    }
}

#[cfg(not(target_os = "linux"))]
fn stay_on_core(_: usize) {}

thread_local! {
    /// Whether the thread is within an item of [`for_each`].
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// Marks the thread as within an item until it is dropped.
struct Within;

impl Within {
    fn new() -> Self {
        WITHIN.set(true);
        Self
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        WITHIN.set(false);
    }
}

/// Threads that the next loop may use.
pub(crate) fn threads() -> usize {
    if WITHIN.get() { 1 } else { rayon::current_num_threads() }
}

/// Calls `task` with the numbers below `count`, in parallel and in no order; within an item of
/// [`for_each`], one after the other. A thread that has done its share takes any task that is left.
pub(crate) fn tasks(count: usize, task: impl Fn(usize) + Sync + Send) {
    if WITHIN.get() {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Calls `task` with each of `items`, in parallel and in no order. The kernels that it runs stay on
/// its thread, in whose cache the item lies.
pub fn for_each<T: Send>(items: Vec<T>, task: impl Fn(T) + Sync + Send) {
    if WITHIN.get() {
        items.into_iter().for_each(task);
        return;
    }
    items.into_par_iter().with_max_len(1).for_each(|item| {
        let _within = Within::new();
        task(item);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        super::pool(threads).build().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_stay_on_cores_if_they_are_as_many() {
        let allowed = || core_affinity::get_core_ids().unwrap();
        let all = allowed();
        let own: Vec<_> = pool(all.len()).broadcast(|_| allowed());
        assert!(own.iter().all(|own| own.len() == 1));
        let mut own = own.concat();
        own.sort();
        assert_eq!(own, all);
        assert!(pool(all.len() + 1).broadcast(|_| allowed()).iter().all(|own| *own == all));
        assert_eq!(allowed(), all, "the thread that started them");
    }

    #[test]
    fn every_task_of_every_loop_runs_once() {
        for threads in 1..=4 {
            for count in 0..20 {
                let ran: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
                pool(threads).install(|| tasks(count, |index| _ = ran[index].fetch_add(1, SeqCst)));
                assert!(ran.iter().all(|ran| ran.load(SeqCst) == 1), "{count} on {threads}");
            }
        }
    }

    #[test]
    fn loops_within_items_run_on_their_thread() {
        let sum = AtomicU32::new(0);
        pool(3).install(|| {
            for_each((0..10).collect(), |i: u32| {
                assert_eq!(threads(), 1);
                let own = std::thread::current().id();
                for_each((0..5).collect(), |j: u32| {
                    assert_eq!(std::thread::current().id(), own);
                    tasks(3, |k| _ = sum.fetch_add(i * j * k as u32, SeqCst));
                });
            });
            assert_eq!(threads(), 3);
        });
        assert_eq!(sum.load(SeqCst), 45 * 10 * 3);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_ends_the_item() {
        for bad in 0..8 {
            let run =
                || for_each((0..8).collect(), |index: u32| assert_ne!(index, bad, "as wanted"));
            assert!(std::panic::catch_unwind(|| pool(3).install(run)).is_err(), "item {bad}");
        }
        assert!(!WITHIN.get());
    }
}
