//! Everything that reads bytes it did not write, as functions of bytes.
//!
//! The test of this crate and the fuzzer in `fuzz/` call the same [`TARGETS`]. A target returns whether
//! the bytes were read as something; it must not panic, loop, or allocate without a reason in the bytes.
#![expect(clippy::unwrap_used, reason = "a target that cannot begin fails")]

pub mod mutate;

use std::cell::RefCell;
use std::io::{Cursor, Write as _};
use std::path::Path;

use candle_core::Device;
use ganscope::biggan::{self, BigGan};
use ganscope::features::store::FeatureStore;
use ganscope::images::{ImageSet, SetOptions, decode, probe};
use ganscope::model::network::Description;
use ganscope::r3gan::{self, R3Gan};
use ganscope::stats::{FeatureBatch, Features, files};
use ganscope::weights::{Array, ReadOptions, Weights, inspect_bytes, npz, read_bytes};
use serde_json::Map;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Images that are read of a set.
const READ: usize = 4;

/// A reader, the files that its cases are made of, and what it may allocate.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Whether a file of this name and these first bytes is one of its kind.
    pub is_seed: fn(&str, &[u8]) -> bool,
    /// Reads the bytes.
    pub read: fn(&[u8]) -> bool,
}

/// All readers.
pub const TARGETS: &[Target] = &[
    Target { name: "checkpoint", is_seed: is_checkpoint, read: checkpoint },
    Target {
        name: "safetensors",
        is_seed: |name, _| ends(name, &["safetensors"]),
        read: checkpoint,
    },
    Target { name: "generator", is_seed: |name, _| ends(name, &["tensors"]), read: generator },
    Target { name: "studio", is_seed: |name, _| ends(name, &["yaml"]), read: studio },
    Target { name: "npy", is_seed: |_, start| start.starts_with(b"\x93NUMPY"), read: npy },
    Target { name: "npz", is_seed: |name, _| ends(name, &["npz"]), read: arrays },
    Target { name: "statistics", is_seed: is_statistics, read: statistics },
    Target { name: "store", is_seed: |name, _| ends(name, &["rows"]), read: store },
    Target { name: "zip", is_seed: |name, _| ends(name, &["zip"]), read: set },
    Target { name: "tar", is_seed: |name, _| ends(name, &["tar"]), read: set },
    Target { name: "labels", is_seed: |name, _| name.contains("dataset"), read: labels },
    Target { name: "description", is_seed: |name, _| name.contains("network"), read: description },
    Target { name: "png", is_seed: |_, start| start.starts_with(b"\x89PNG"), read: image },
    Target { name: "jpeg", is_seed: |_, start| start.starts_with(b"\xff\xd8\xff"), read: image },
    Target { name: "gif", is_seed: |_, start| start.starts_with(b"GIF8"), read: image },
    Target { name: "webp", is_seed: |_, start| start.starts_with(b"RIFF"), read: image },
    Target { name: "tiff", is_seed: is_tiff, read: image },
    Target { name: "bmp", is_seed: |_, start| start.starts_with(b"BM"), read: image },
    Target { name: "pnm", is_seed: is_pnm, read: image },
];

fn ends(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
}

fn is_checkpoint(name: &str, _: &[u8]) -> bool {
    ends(name, &["pkl", "pth", "pt", "bin"])
}

fn is_statistics(name: &str, _: &[u8]) -> bool {
    name.contains("stats")
}

fn is_tiff(_: &str, start: &[u8]) -> bool {
    start.starts_with(b"II") || start.starts_with(b"MM")
}

fn is_pnm(_: &str, start: &[u8]) -> bool {
    matches!(start, [b'P', b'1'..=b'6', ..])
}

fn checkpoint(bytes: &[u8]) -> bool {
    let listed = inspect_bytes(bytes).is_ok();
    let read = [None, Some("G_ema"), Some("state_dict")].map(|key| {
        let options = key.map_or_else(ReadOptions::default, ReadOptions::key);
        read_bytes(bytes, &options).is_ok()
    });
    listed || read.contains(&true)
}

/// A generator of the families whose sizes follow from their tensors, of these tensors: lines of a name and
/// sizes.
fn generator(bytes: &[u8]) -> bool {
    const MOST_NUMBERS: usize = 1 << 20;
    let Ok(text) = str::from_utf8(bytes) else { return false };
    let mut weights = Weights::default();
    let mut numbers = 0;
    for line in text.lines() {
        let mut words = line.split(' ');
        let Some(name) = words.next() else { return false };
        let Ok(shape) = words.map(str::parse).collect::<Result<Vec<usize>, _>>() else {
            return false;
        };
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let Some(count) = count.filter(|count| numbers + count <= MOST_NUMBERS) else {
            return false;
        };
        numbers += count;
        let array = Array::from_f32(shape, &vec![0.5; count]).unwrap();
        weights.arrays.insert(name.into(), array);
    }
    let cpu = &Device::Cpu;
    if biggan::is_pytorch(&weights) || biggan::is_studio(&weights) {
        return BigGan::foreign(weights.into(), &Map::new(), cpu).is_ok();
    }
    if r3gan::is_r3gan(&weights) {
        return R3Gan::new(weights.into(), cpu).is_ok();
    }
    ganscope::stylegan::load(weights, cpu).is_ok()
}

/// A configuration of StudioGAN.
fn studio(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| biggan::studio_config(text).is_ok())
}

fn npy(bytes: &[u8]) -> bool {
    read_bytes(bytes, &ReadOptions::default()).is_ok() | set(bytes)
}

fn arrays(bytes: &[u8]) -> bool {
    let Ok(mut archive) = npz::Archive::from_bytes(bytes) else { return false };
    let names = archive.names().to_vec();
    let read =
        names.iter().filter(|name| archive.header(name).is_ok() && archive.array(name).is_ok());
    read.count() > 0 || set(bytes)
}

fn statistics(bytes: &[u8]) -> bool {
    files::read_bytes(bytes).is_ok()
}

/// Features kept by an earlier run, and that a run goes on from there.
fn store(bytes: &[u8]) -> bool {
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
    }
    FOLDER.with(|folder| {
        std::fs::write(folder.path().join("key.rows"), bytes).unwrap();
        let mut store = FeatureStore::open(folder.path(), "key").unwrap();
        let rows: usize = store.read().map(|batch| batch.unwrap().features.len()).sum();
        assert_eq!(rows, store.rows());
        let done = store.done().saturating_add(1);
        let features = Features::from_vec(vec![0.5; 3], 3).unwrap();
        let logits = Features::from_vec(vec![0.5; 2], 2).unwrap();
        let batch = FeatureBatch { features, logits: Some(logits), spatial: None };
        // Rows of another width are refused.
        let _other = store.append(Some(&batch), &[], done);
        rows > 0
    })
}

/// A store of so many batches, a seed of [`store`].
pub(crate) fn stored(batches: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for i in 1..=batches {
        let mut store = FeatureStore::open(folder.path(), "key").unwrap();
        let part = |width: usize| Features::from_vec(vec![0.25; 2 * width], width).unwrap();
        let batch = FeatureBatch { features: part(3), logits: Some(part(2)), spatial: None };
        store.append(Some(&batch), &[], 2 * i).unwrap();
    }
    std::fs::read(folder.path().join("key.rows")).unwrap()
}

fn image(bytes: &[u8]) -> bool {
    let probed = probe(bytes, "x");
    match decode(bytes, "x") {
        Ok(decoded) => {
            let image = &decoded.image;
            assert_eq!(image.pixels.len(), 3 * image.width * image.height);
            assert_eq!(probed.unwrap(), (decoded.format, image.width, image.height));
            true
        }
        Err(_) => false,
    }
}

/// Bytes that a set of images may honestly take: those of its largest image.
pub fn honest(bytes: &[u8]) -> usize {
    let pixels = probe(bytes, "x").map_or(0, |(_, width, height)| 3 * width * height);
    bytes.len().max(pixels)
}

fn set(bytes: &[u8]) -> bool {
    thread_local! {
        static FILE: RefCell<tempfile::NamedTempFile> =
            RefCell::new(tempfile::NamedTempFile::new().unwrap());
    }
    FILE.with_borrow(|file| {
        std::fs::write(file.path(), bytes).unwrap();
        read_set(file.path())
    })
}

fn read_set(path: &Path) -> bool {
    let Ok(set) = ImageSet::open(path, &SetOptions::default()) else { return false };
    let mut read = 0;
    for i in 0..set.len().min(READ) {
        // A checksum is known to be wrong once all rows were read.
        let (image, facts) = (set.get(i), set.facts(i));
        read += usize::from(image.is_ok() && facts.is_ok());
    }
    read > 0
}

/// Labels of an archive with one image.
fn labels(bytes: &[u8]) -> bool {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file("a.png", stored).unwrap();
    archive.start_file("dataset.json", stored).unwrap();
    archive.write_all(bytes).unwrap();
    let archive = archive.finish().unwrap().into_inner();
    thread_local! {
        static FILE: RefCell<tempfile::NamedTempFile> =
            RefCell::new(tempfile::NamedTempFile::new().unwrap());
    }
    FILE.with_borrow(|file| {
        std::fs::write(file.path(), archive).unwrap();
        ImageSet::open(file.path(), &SetOptions::default()).is_ok()
    })
}

fn description(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(description) = Description::from_json(text) else { return false };
    description.network(Weights::default().into()).is_ok()
}
