//! Batches of resized images, prepared ahead on worker threads.

use std::num::NonZeroUsize;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::chain;
use crate::{Digest, Error, ImageSet, Preprocess, Result};

/// Images of one size, ready for a network.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageBatch {
    /// Floats on 0..255 in (n, height, width, 3) order.
    pub data: Vec<f32>,
    /// Number of images.
    pub n: usize,
    /// Rows of each.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Position in the set of each image.
    pub indices: Vec<usize>,
    /// Images that belong here and could not be read, where skipping is allowed.
    pub skipped: Vec<Skipped>,
    /// Digests of the bytes of all that belong here, in order, as [`Facts`](crate::Facts) has them;
    /// `None` where there were none to read. Empty for images that were never encoded.
    pub digests: Vec<Option<Digest>>,
}

/// An image that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Position in the set.
    pub index: usize,
    /// Name within the set.
    pub name: String,
    /// The error and its causes as one line.
    pub reason: String,
}

/// How batches are prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// Images in a batch; the last one may contain fewer.
    pub batch: usize,
    /// Batches that wait ready, besides the one in preparation and the one in use.
    pub ahead: usize,
    /// Worker threads; 0 for one per core.
    pub threads: usize,
    /// Whether an unreadable image is left out of its batch and listed, instead of ending the
    /// iteration with its error.
    pub skip_unreadable: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { batch: 32, ahead: 2, threads: 0, skip_unreadable: false }
    }
}

/// Batches of the images at `indices`, in that order.
///
/// Batch `k` contains indices `k * batch..(k + 1) * batch`, without those that were skipped, so it
/// can be empty. Worker threads decode and resize ahead; at most `ahead + 2` batches exist at a time.
/// The numbers do not depend on the number of threads. Dropping the iterator stops the workers.
///
/// # Panics
/// If `options.batch` is 0.
pub fn batches(
    set: &ImageSet,
    indices: impl IntoIterator<Item = usize>,
    preprocess: Preprocess,
    options: BatchOptions,
) -> Batches {
    assert!(options.batch > 0, "a batch contains at least one image");
    let indices: Vec<usize> = indices.into_iter().collect();
    let remaining = indices.len().div_ceil(options.batch);
    let cancelled = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = sync_channel(options.ahead);
    let producer = Producer { set: set.clone(), preprocess, options, cancelled: cancelled.clone() };
    let thread = thread::spawn(move || producer.run(&indices, &sender));
    Batches { receiver: Some(receiver), thread: Some(thread), remaining, cancelled }
}

/// Iterator over [`ImageBatch`]es; see [`batches`]. After an error it ends.
#[derive(Debug)]
pub struct Batches {
    receiver: Option<Receiver<Result<ImageBatch>>>,
    thread: Option<JoinHandle<()>>,
    remaining: usize,
    cancelled: Arc<AtomicBool>,
}

impl Batches {
    /// Stops the workers and resumes any panic of theirs.
    fn finish(&mut self) {
        self.remaining = 0;
        self.cancelled.store(true, Ordering::Relaxed);
        self.receiver = None;
        if let Some(Err(payload)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            panic::resume_unwind(payload);
        }
    }
}

impl Iterator for Batches {
    type Item = Result<ImageBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        self.remaining -= 1;
        let batch = self.receiver.as_ref().and_then(|receiver| receiver.recv().ok());
        if !matches!(batch, Some(Ok(_))) {
            self.finish();
        }
        batch
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Batches {}

impl Drop for Batches {
    fn drop(&mut self) {
        self.finish();
    }
}

struct Producer {
    set: ImageSet,
    preprocess: Preprocess,
    options: BatchOptions,
    cancelled: Arc<AtomicBool>,
}

impl Producer {
    fn run(&self, indices: &[usize], sender: &SyncSender<Result<ImageBatch>>) {
        let pool = match self.pool() {
            Ok(pool) => pool,
            Err(e) => {
                let _gone = sender.send(Err(e));
                return;
            }
        };
        for indices in indices.chunks(self.options.batch) {
            let batch = pool.install(|| self.prepare(indices));
            let failed = batch.is_err();
            if self.cancelled.load(Ordering::Relaxed) || sender.send(batch).is_err() || failed {
                return;
            }
        }
    }

    fn pool(&self) -> Result<ThreadPool> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if self.options.threads == 0 { cores } else { self.options.threads };
        ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("images-{i}"))
            .build()
            .map_err(|e| Error::Threads { threads, reason: e.to_string() })
    }

    /// Decodes and resizes the images at `indices` in parallel.
    fn prepare(&self, indices: &[usize]) -> Result<ImageBatch> {
        let len = self.preprocess.values();
        let mut data = vec![0.0; indices.len() * len];
        let prepare = |out: &mut [f32], i: usize| {
            if self.cancelled.load(Ordering::Relaxed) {
                return (None, Ok(()));
            }
            match self.set.get_digested(i) {
                Ok((digest, Ok(decoded))) => {
                    self.preprocess.apply(&decoded.image, out);
                    (Some(digest), Ok(()))
                }
                Ok((digest, Err(error))) => (Some(digest), Err(error)),
                Err(error) => (None, Err(error)),
            }
        };
        let images = data.par_chunks_exact_mut(len).zip(indices);
        let (digests, outcomes): (Vec<Option<Digest>>, Vec<Result<()>>) =
            images.map(|(out, &i)| prepare(out, i)).unzip();
        let mut kept = Vec::with_capacity(indices.len());
        let mut skipped = Vec::new();
        for (k, (outcome, &index)) in outcomes.into_iter().zip(indices).enumerate() {
            match outcome {
                Ok(()) => {
                    data.copy_within(k * len..(k + 1) * len, kept.len() * len);
                    kept.push(index);
                }
                Err(e) if self.options.skip_unreadable => {
                    let name = self.set.name(index);
                    skipped.push(Skipped { index, name, reason: chain(&e) });
                }
                Err(e) => return Err(e),
            }
        }
        data.truncate(kept.len() * len);
        let side = self.preprocess.size;
        let n = kept.len();
        Ok(ImageBatch { data, n, height: side, width: side, indices: kept, skipped, digests })
    }
}
