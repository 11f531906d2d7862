//! Batches: order, bounds, errors and cancelling.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ganscope_golden as golden;
use ganscope_images::{BatchOptions, Error, Image, ImageSet, Preprocess, Resize, Result, batches};

const SIZE: usize = 8;
const PREPROCESS: Preprocess = Preprocess { resize: Resize::TfBilinear, size: SIZE };

fn image(k: usize) -> Image {
    let (height, width) = (3 + k % 5, 2 + k % 7);
    Image { width, height, pixels: golden::image(k, height, width) }
}

fn failing(i: usize) -> Error {
    Error::UnknownFormat { name: format!("image {i}"), expected: "x".into(), found: "y".into() }
}

/// `len` images of which those in `bad` cannot be read.
fn set(len: usize, bad: &'static [usize]) -> ImageSet {
    ImageSet::from_fn(len, move |i| if bad.contains(&i) { Err(failing(i)) } else { Ok(image(i)) })
}

fn alone(k: usize) -> Vec<f32> {
    let mut out = vec![0.0; PREPROCESS.values()];
    PREPROCESS.apply(&image(k), &mut out);
    out
}

#[test]
fn any_batch_size_and_number_of_threads_gives_the_same_images_in_order() {
    let expected: Vec<f32> = (0..23).flat_map(alone).collect();
    for batch in [1, 2, 7, 23, 100] {
        for threads in [1, 2, 5] {
            for ahead in [0, 1, 3] {
                let options = BatchOptions { batch, threads, ahead, ..Default::default() };
                let iterator = batches(&set(23, &[]), 0..23, PREPROCESS, options);
                assert_eq!(iterator.len(), 23_usize.div_ceil(batch));
                let all: Vec<_> = iterator.collect::<Result<_>>().unwrap();
                let indices: Vec<usize> = all.iter().flat_map(|b| b.indices.clone()).collect();
                assert!(indices.into_iter().eq(0..23));
                for batch in &all {
                    assert_eq!((batch.height, batch.width), (SIZE, SIZE));
                    assert_eq!(batch.n, batch.indices.len());
                    assert!(batch.skipped.is_empty());
                }
                let data: Vec<f32> = all.into_iter().flat_map(|batch| batch.data).collect();
                assert_eq!(data, expected);
            }
        }
    }
}

#[test]
fn indices_may_be_chosen_and_repeated() {
    let options = BatchOptions { batch: 2, ..Default::default() };
    let all: Vec<_> =
        batches(&set(9, &[]), [5, 0, 5], PREPROCESS, options).map(Result::unwrap).collect();
    assert_eq!(all[0].indices, [5, 0]);
    assert_eq!(all[1].indices, [5]);
    assert_eq!(all[1].data, alone(5));
    assert_eq!(batches(&set(9, &[]), [], PREPROCESS, options).count(), 0);
}

#[test]
fn the_first_error_ends_the_batches() {
    let options = BatchOptions { batch: 2, ..Default::default() };
    let mut iterator = batches(&set(9, &[3, 5]), 0..9, PREPROCESS, options);
    assert_eq!(iterator.next().unwrap().unwrap().n, 2);
    assert_eq!(iterator.next().unwrap().unwrap_err().to_string(), failing(3).to_string());
    assert!(iterator.next().is_none());
    assert_eq!(iterator.len(), 0);
}

#[test]
fn unreadable_images_are_skipped_and_listed() {
    let options = BatchOptions { batch: 3, skip_unreadable: true, ..Default::default() };
    let all: Vec<_> =
        batches(&set(8, &[1, 3, 4, 5]), 0..8, PREPROCESS, options).map(Result::unwrap).collect();
    let indices: Vec<&[usize]> = all.iter().map(|batch| batch.indices.as_slice()).collect();
    assert_eq!(indices, [&[0, 2][..], &[], &[6, 7]]);
    let skipped: Vec<usize> = all.iter().flat_map(|b| &b.skipped).map(|s| s.index).collect();
    assert_eq!(skipped, [1, 3, 4, 5]);
    assert_eq!(all[0].skipped[0].name, "image 1");
    assert_eq!(all[0].skipped[0].reason, failing(1).to_string());
    let data: Vec<f32> = [0, 2, 6, 7].into_iter().flat_map(alone).collect();
    assert_eq!(all.into_iter().flat_map(|batch| batch.data).collect::<Vec<_>>(), data);
}

#[test]
fn no_more_is_read_ahead_than_asked_for() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let set = ImageSet::from_fn(1000, move |i| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(image(i))
    });
    let options = BatchOptions { batch: 4, ahead: 2, ..Default::default() };
    let mut iterator = batches(&set, 0..1000, PREPROCESS, options);
    iterator.next().unwrap().unwrap();
    // One batch taken, two in the queue, one that waits for a place in it.
    let bound = 4 * (1 + 2 + 1);
    let start = Instant::now();
    while read.load(Ordering::SeqCst) < bound && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(read.load(Ordering::SeqCst), bound);
    drop(iterator);
    assert_eq!(read.load(Ordering::SeqCst), bound);
}

#[test]
fn dropping_does_not_wait_for_the_rest_of_a_batch() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let set = ImageSet::from_fn(1000, move |i| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        Ok(image(i))
    });
    let options = BatchOptions { batch: 1000, threads: 2, ..Default::default() };
    let iterator = batches(&set, 0..1000, PREPROCESS, options);
    while read.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(iterator);
    assert!(read.load(Ordering::SeqCst) < 500, "{read:?} images were read");
}

#[test]
#[should_panic(expected = "a generator of the caller's")]
fn a_panic_of_a_worker_goes_on_in_the_caller() {
    let set = ImageSet::from_fn(4, |_| panic!("a generator of the caller's"));
    let _count = batches(&set, 0..4, PREPROCESS, BatchOptions::default()).count();
}
