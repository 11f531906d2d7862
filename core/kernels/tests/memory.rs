//! Memory that is kept is not cleared by the system again.

use std::hint::black_box;

use ganscope_kernels::keep_memory;

/// Floats of a map that the C library gives back to the system by default: more than 32 MB.
const MAP: usize = 12 << 20;

/// How often the system has provided the process with a page.
fn pages() -> u64 {
    let status =
        std::fs::read_to_string("/proc/self/stat").expect("the system tells of the process");
    let after_name = status.rsplit(')').next().expect("a name in brackets");
    after_name.split_whitespace().nth(7).and_then(|field| field.parse().ok()).expect("a number")
}

/// The pages that the system provides while maps come and go.
fn pages_of_maps() -> u64 {
    let before = pages();
    for _ in 0..4 {
        black_box(vec![black_box(1.0_f32); MAP]);
    }
    pages() - before
}

fn main() {
    if cfg!(any(miri, not(all(target_os = "linux", target_env = "gnu")))) {
        return;
    }
    let given_back = pages_of_maps();
    keep_memory();
    pages_of_maps();
    let kept = pages_of_maps();
    assert!(kept * 10 < given_back, "{kept} pages, {given_back} without keeping memory");
}
