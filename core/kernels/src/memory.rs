//! Memory of maps: cleared by all threads, and kept by the process once it is freed.

use rayon::prelude::*;

/// Values that a thread clears at once.
const CLEARED: usize = 1 << 16;

/// Bytes at the end of the heap that stay with the process.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 1 << 30;

/// Keeps freed memory in the process, up to a gigabyte at the end of its heap: for programs that run
/// networks again and again, from their first thread.
///
/// By default the C library gives a large map back to the system as soon as it is freed, and the
/// next one has new pages, each of which the system clears on its first use. A generator spends a
/// fifth of its time there. Elsewhere than on Linux with the GNU C library it does nothing.
pub fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the calls set two numbers of the allocator, which it reads under its own lock. They
    // fail only for unknown names.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// So many zeros. The threads share the work, which takes a tenth of the time of a generator where
/// freed memory [is kept](keep_memory).
pub fn zeros(count: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    let room = &mut values.spare_capacity_mut()[..count];
    room.par_chunks_mut(CLEARED).for_each(|part| {
        part.fill(std::mem::MaybeUninit::new(0.0));
    });
    // SAFETY: the chunks are all of the first `count` values, each of which has been written.
    unsafe { values.set_len(count) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_as_many_as_asked_for() {
        for count in [0, 1, CLEARED - 1, CLEARED, 3 * CLEARED + 5] {
            let values = zeros(count);
            assert!(values.len() == count && values.iter().all(|&value| value == 0.0), "{count}");
        }
    }
}
