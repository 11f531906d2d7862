//! Loops that are shared among the threads of rayon, whole items first.

use std::cell::Cell;

use rayon::prelude::*;

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
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
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
