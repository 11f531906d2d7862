//! Threads that stay awake together while one of them runs many short loops.
//!
//! A network on one small image is a hundred loops of a fraction of a millisecond. The threads of
//! rayon fall asleep between two of them, and waking one up takes as long as the loop. In
//! [`together`] they wait awake for the next loop, and each of them begins with the same share of
//! every loop: the part of a map that it wrote lies in its own cache.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

/// Turns of waiting before a thread offers its core to others.
const TURNS: usize = 1 << 10;
/// The next task where there is no loop; more than any loop has.
const CLOSED: usize = 1 << (usize::BITS - 2);

/// What the current thread is to the loops of its [`together`].
#[derive(Clone, Copy)]
enum Role {
    /// Its loops are rayon's.
    Alone,
    /// The team runs its loops.
    Leads(*const Team),
    /// It is within a task of such a loop and runs loops by itself.
    Works,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Alone) };
}

/// Sets the role of the thread until it is dropped.
struct Acting(Role);

impl Acting {
    fn new(role: Role) -> Self {
        Self(ROLE.replace(role))
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        ROLE.set(self.0);
    }
}

/// Runs `work`, whose loops are shared among the threads of the current rayon pool.
///
/// Meanwhile these threads do nothing else: `work` should consist of kernels and of
/// [`for_each`].
pub fn together<R>(work: impl FnOnce() -> R) -> R {
    let threads = rayon::current_num_threads();
    if threads == 1 || !matches!(ROLE.get(), Role::Alone) {
        return work();
    }
    let team = Team {
        job: AtomicPtr::new(ptr::null_mut()),
        shares: (0..threads).map(|_| Share(AtomicUsize::new(CLOSED))).collect(),
        helping: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    rayon::in_place_scope(|scope| {
        let team = &team;
        for own in 1..threads {
            scope.spawn(move |_| team.help(own));
        }
        let _end = OnDrop(|| team.over.store(true, SeqCst));
        let _acting = Acting::new(Role::Leads(team));
        work()
    })
}

/// Threads that the next loop may use.
pub(crate) fn threads() -> usize {
    match ROLE.get() {
        Role::Works => 1,
        Role::Alone | Role::Leads(_) => rayon::current_num_threads(),
    }
}

/// Calls `task` with the numbers below `count`, in parallel and in no order.
pub(crate) fn tasks(count: usize, task: impl Fn(usize) + Sync) {
    match ROLE.get() {
        Role::Alone => (0..count).into_par_iter().with_max_len(1).for_each(&task),
        Role::Works => (0..count).for_each(task),
        // SAFETY: the team outlives the scope in which its thread has this role.
        Role::Leads(team) => unsafe { &*team }.run(count, &task),
    }
}

/// Calls `task` with each of `items`, in parallel and in no order.
pub fn for_each<T: Send>(items: Vec<T>, task: impl Fn(T) + Sync) {
    let items: Vec<_> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    tasks(items.len(), |index| {
        let item = items[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        item.into_iter().for_each(&task);
    });
}

/// A loop.
struct Job<'a> {
    count: usize,
    task: &'a (dyn Fn(usize) + Sync),
}

/// The next task of a thread's share of the present loop, alone in its cache lines.
#[repr(align(128))]
struct Share(AtomicUsize);

/// The threads that share the loops of one of them.
struct Team {
    /// The present loop; valid while it is not closed, or `helping` is not zero since it was.
    job: AtomicPtr<Job<'static>>,
    /// Of each thread, that of the leader first.
    shares: Vec<Share>,
    /// Threads that may look at the present loop.
    helping: AtomicUsize,
    /// Whether there are no more loops.
    over: AtomicBool,
}

impl Team {
    /// Runs a loop of the leader.
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        assert!(count < CLOSED, "{count} tasks");
        let job = Job { count, task };
        self.job.store((&raw const job).cast_mut().cast(), SeqCst);
        let _finish = OnDrop(|| {
            // Whoever helps from now on finds the loop closed; the others are waited for.
            self.shares.iter().for_each(|share| share.0.store(CLOSED, SeqCst));
            wait(|| self.helping.load(SeqCst) == 0);
        });
        for (index, share) in self.shares.iter().enumerate() {
            share.0.store(self.start(index, count), SeqCst);
        }
        self.work(0);
    }

    /// The first task of a share of `count` tasks.
    fn start(&self, share: usize, count: usize) -> usize {
        share * count / self.shares.len()
    }

    /// Takes part in the loops of the leader until it ends.
    fn help(&self, own: usize) {
        while !self.over.load(SeqCst) {
            let open = || self.shares[own].0.load(SeqCst) < CLOSED;
            wait(|| open() || self.over.load(SeqCst));
            self.helping.fetch_add(1, SeqCst);
            let _done = OnDrop(|| _ = self.helping.fetch_sub(1, SeqCst));
            self.work(own);
        }
    }

    /// Runs tasks of the present loop until none is left, from the thread's own share on.
    fn work(&self, own: usize) {
        let _acting = Acting::new(Role::Works);
        let count = self.shares.len();
        for share in (own..count).chain(0..own) {
            loop {
                let index = self.shares[share].0.fetch_add(1, SeqCst);
                if index >= CLOSED {
                    return;
                }
                // SAFETY: the leader leaves `run`, where the job lives, after it has closed the
                // loop and seen no helper. The loop was open just now, and this thread is the
                // leader or one that helps.
                let job = unsafe { &*self.job.load(SeqCst) };
                if index >= self.start(share + 1, job.count) {
                    break;
                }
                (job.task)(index);
            }
        }
    }
}

/// Waits awake for a condition that another thread brings about.
fn wait(done: impl Fn() -> bool) {
    let mut turns = 0;
    while !done() {
        if turns < TURNS {
            turns += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

/// Calls a function when it is dropped, also by a panic.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn every_task_of_every_loop_runs_once() {
        let loops = if cfg!(miri) { 10 } else { 2000 };
        for threads in 1..=4 {
            let ran: Vec<AtomicU32> = (0..20).map(|_| AtomicU32::new(0)).collect();
            let run = || {
                for count in (0..20).cycle().take(loops) {
                    let before: u32 = ran.iter().map(|ran| ran.load(SeqCst)).sum();
                    tasks(count, |index| _ = ran[index].fetch_add(1, SeqCst));
                    let after: u32 = ran.iter().map(|ran| ran.load(SeqCst)).sum();
                    // The loop has ended when `tasks` returns.
                    assert_eq!(after - before, count as u32);
                }
            };
            pool(threads).install(|| together(run));
            for (index, ran) in ran.iter().enumerate() {
                assert_eq!(ran.load(SeqCst) as usize, loops / 20 * (19 - index), "{threads}");
            }
        }
    }

    #[test]
    fn loops_within_tasks_run_too() {
        let sum = AtomicU32::new(0);
        pool(3).install(|| {
            together(|| {
                for_each((0..10).collect(), |i: u32| {
                    assert_eq!(threads(), 1);
                    together(|| tasks(5, |j| _ = sum.fetch_add(i * j as u32, SeqCst)));
                });
            });
        });
        assert_eq!(sum.load(SeqCst), 45 * 10);
    }

    #[test]
    fn a_panic_of_any_task_reaches_the_caller() {
        for bad in 0..8 {
            let run = || tasks(8, |index| assert_ne!(index, bad, "as wanted"));
            let caught = std::panic::catch_unwind(|| pool(3).install(|| together(run)));
            assert!(caught.is_err(), "task {bad}");
        }
        assert_eq!(threads(), rayon::current_num_threads(), "the role ends with the panic");
    }
}
