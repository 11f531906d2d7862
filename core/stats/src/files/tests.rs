use ganscope_weights::{Dtype, npz};

use super::*;
use crate::{FeatureStats, Features, Needs, Rows as _};

fn set() -> FeatureSet {
    let rows = ganscope_golden::tensor("files", &[9, 4], (-1.0, 1.0), 0);
    let features = Features::from_vec(rows, 4).unwrap();
    FeatureSet {
        stats: Some(FeatureStats::from_features(&features)),
        spatial: Some(FeatureStats::from_features(&features.select(&[0, 1, 2]))),
        logits: Some(features.select(&[3, 4]).into()),
        features: Some(features),
    }
}

fn convention() -> Convention {
    Convention {
        extractor: "inception".into(),
        weights_sha256: "6726825d".into(),
        layer: "2048".into(),
        resize: "tf-bilinear".into(),
        scaling: "(x - 128) / 128".into(),
    }
}

#[test]
fn our_own_file_returns_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let stored = Stored { set: set(), convention: Some(convention()) };
    write(&path, &stored).unwrap();
    assert_eq!(read(&path).unwrap(), stored);
    assert_eq!(to_bytes(&stored).unwrap(), std::fs::read(&path).unwrap());
    let empty = Stored { set: FeatureSet::default(), convention: Some(convention()) };
    assert_eq!(read_bytes(&to_bytes(&empty).unwrap()).unwrap(), empty);
    let contents = open(&path).unwrap();
    assert_eq!((contents.kind, contents.stored), (Kind::Statistics, Some(stored)));
}

/// Equal up to the rounding of a few operations on values below one.
fn near(a: &FeatureStats, b: &FeatureStats) -> bool {
    let error = (a.cov().unwrap() - b.cov().unwrap()).norm() + (a.mean() - b.mean()).norm();
    a.count() == b.count() && error < 1e-14
}

#[test]
fn an_npz_contains_mean_unbiased_covariance_count_and_convention() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    write_npz(&path, &Stored { set: set(), convention: Some(convention()) }).unwrap();
    let arrays = npz::read(&path).unwrap();
    assert_eq!(arrays["mu"].shape(), [4]);
    assert_eq!(arrays["sigma"].to_f64(), set().stats.unwrap().cov().unwrap().as_slice());
    // plain arrays, which NumPy loads without pickle
    assert_eq!((arrays["n"].dtype(), arrays["n"].shape()), (Dtype::I64, &[][..]));
    assert_eq!(arrays["n"].to_i64(), [9]);
    assert_eq!(arrays["n_s"].to_i64(), [3]);
    assert_eq!(arrays["ganscope_convention"].dtype(), Dtype::U8);
    let json: serde_json::Value =
        serde_json::from_slice(arrays["ganscope_convention"].data()).unwrap();
    assert_eq!(json["resize"], "tf-bilinear");

    let Contents { kind, stored, .. } = open(&path).unwrap();
    let back = stored.unwrap();
    assert_eq!((kind, back.convention), (Kind::StatisticsNpz, Some(convention())));
    assert_eq!(back.set.stats.as_ref().unwrap().mean(), set().stats.unwrap().mean());
    assert!(near(&back.set.stats.unwrap(), &set().stats.unwrap()));
    assert!(near(&back.set.spatial.unwrap(), &set().spatial.unwrap()));
}

fn write_arrays(path: &Path, arrays: &[(&str, Array)]) {
    npz::write(path, arrays.iter().map(|(name, array)| (*name, array))).unwrap();
}

fn foreign() -> Vec<(&'static str, Array)> {
    let sigma = Array::from_f64([2, 2], &[1.0, 0.5, 0.5, 2.0]).unwrap();
    vec![("mu", Array::from_f64([2], &[0.0, 1.0]).unwrap()), ("sigma", sigma)]
}

#[test]
fn an_npz_of_another_program_tells_neither_count_nor_convention() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    write_arrays(&path, &foreign());
    let stored = read(&path).unwrap();
    assert_eq!((stored.set.count(), stored.convention), (None, None));
    // an `n` of another meaning is left alone
    let mut arrays = foreign();
    arrays.push(("n", Array::from_f64([3], &[1.0, 2.0, 3.0]).unwrap()));
    write_arrays(&path, &arrays);
    assert_eq!(read(&path).unwrap().set.count(), None);
}

#[test]
fn a_file_is_known_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let images = || Array::from_u8([1, 1, 1, 3], vec![0; 3]).unwrap();
    let mut both = foreign();
    both.push(("arr_0", images()));
    for (arrays, kind, statistics, may_be_images) in [
        (foreign(), Kind::StatisticsNpz, true, false),
        (both, Kind::StatisticsAndImagesNpz, true, true),
        (vec![("arr_0", images())], Kind::ImagesNpz, false, true),
        (vec![("x", images())], Kind::ImagesNpz, false, true),
        (vec![("y", images())], Kind::Other, false, true),
    ] {
        write_arrays(&path, &arrays);
        let found = open(&path).unwrap();
        assert_eq!((found.kind, found.stored.is_some()), (kind, statistics));
        assert_eq!(found.may_be_images(), may_be_images);
    }
    let weights = ganscope_weights::Weights::default();
    ganscope_weights::write_safetensors(&path, &weights).unwrap();
    assert_eq!(open(&path).unwrap().kind, Kind::Other);
    for content in [&b""[..], b"PK\x03\x04", b"some text"] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(open(&path).unwrap().kind, Kind::Other);
        let error = read(&path).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.starts_with("not a file of statistics: "), "{cause}");
    }
    assert_eq!(open(folder.path()).unwrap().kind, Kind::Other);
    assert!(open(&folder.path().join("none")).is_err());
}

#[test]
fn damaged_statistics_are_an_error_and_no_other_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    write(&path, &Stored { set: set(), convention: None }).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
    assert!(open(&path).is_err());
    let path = folder.path().join("x.npz");
    let mut arrays = foreign();
    arrays.push(("ganscope_convention", Array::from_u8([2], b"{}".to_vec()).unwrap()));
    write_arrays(&path, &arrays);
    let error = open(&path).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("ganscope_convention"), "{cause}");
}

/// Files of the rows `parts` of a set, under `folder`.
fn parts(
    folder: &Path,
    parts: &[&[usize]],
    convention: Option<&Convention>,
) -> Vec<std::path::PathBuf> {
    let features = set().features.unwrap();
    let write_part = |(i, rows): (usize, &&[usize])| {
        let path = folder.join(format!("{i}.safetensors"));
        let features = features.select(rows);
        let stats = Some(FeatureStats::from_features(&features));
        let set = FeatureSet { stats, features: Some(features), ..FeatureSet::default() };
        write(&path, &Stored { set, convention: convention.cloned() }).unwrap();
        path
    };
    parts.iter().enumerate().map(write_part).collect()
}

#[test]
fn merged_parts_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let files = parts(folder.path(), &[&[0, 1, 2, 3], &[4], &[5, 6, 7, 8]], Some(&convention()));
    let merged = merge(&files).unwrap();
    assert_eq!(merged.convention, Some(convention()));
    assert_eq!(merged.set.features, set().features);
    assert!(near(&merged.set.stats.unwrap(), &set().stats.unwrap()));
    assert!(matches!(merge::<&Path>(&[]), Err(Error::Parameter { .. })));
}

#[test]
fn our_npz_files_can_be_merged() {
    let folder = tempfile::tempdir().unwrap();
    let features = set().features.unwrap();
    let files = [&[0, 1, 2][..], &[3, 4, 5, 6, 7, 8]].map(|rows| {
        let path = folder.path().join(format!("{}.npz", rows.len()));
        let stats = Some(FeatureStats::from_features(&features.select(rows)));
        let set = FeatureSet { stats, ..FeatureSet::default() };
        write_npz(&path, &Stored { set, convention: Some(convention()) }).unwrap();
        path
    });
    let merged = merge(&files).unwrap();
    assert_eq!(merged.convention, Some(convention()));
    assert!(near(&merged.set.stats.unwrap(), &set().stats.unwrap()));
}

#[test]
fn a_merge_names_the_file_that_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = parts(folder.path(), &[&[0, 1, 2], &[3, 4]], Some(&convention()));
    let uncounted = folder.path().join("foreign.npz");
    write_arrays(&uncounted, &foreign());
    files.push(uncounted);
    let error = merge(&files).unwrap_err();
    assert!(matches!(error, Error::Uncounted { .. }));
    let message = error.to_string();
    assert!(message.contains("foreign.npz") && message.contains("number of"), "{message}");
    files.pop();

    let other = Convention { resize: "pillow-bicubic".into(), ..convention() };
    let far = tempfile::tempdir().unwrap();
    files.extend(parts(far.path(), &[&[5, 6]], Some(&other)));
    let error = merge(&files).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("resize pillow-bicubic instead of tf-bilinear"), "{cause}");
    assert!(error.to_string().contains("0.safetensors"), "{error}");
}

#[test]
fn a_whole_of_which_a_part_has_no_convention_has_none() {
    let [a, b] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let known = parts(a.path(), &[&[0, 1, 2], &[3, 4]], Some(&convention()));
    let unknown = parts(b.path(), &[&[5, 6]], None);
    for files in [[&known[..], &unknown].concat(), [&unknown[..], &known].concat()] {
        assert_eq!(merge(&files).unwrap().convention, None);
    }
}

#[test]
fn arrays_that_are_no_statistics_are_named_with_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.npz");
    let mu = Array::from_f64([3], &[0.0; 3]).unwrap();
    let sigma = Array::from_f64([2, 2], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    npz::write(&path, [("mu", &mu), ("sigma", &sigma)]).unwrap();
    let error = read(&path).unwrap_err();
    assert!(error.to_string().contains("bad.npz"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains('2') && cause.contains('3'), "{cause}");
}

#[test]
fn another_convention_is_refused_with_the_difference() {
    let other = Convention { resize: "pillow-bicubic".into(), ..convention() };
    assert!(convention().check(&convention()).is_ok());
    let error = convention().check(&other).unwrap_err().to_string();
    assert!(error.contains("resize pillow-bicubic instead of tf-bilinear"), "{error}");
}

#[test]
fn rows_of_other_programs_become_features_with_their_moments() {
    let folder = tempfile::tempdir().unwrap();
    let rows = set().features.unwrap();
    let array = Array::from_f32([9, 4], rows.as_slice()).unwrap();
    let doubles: Vec<f64> = rows.as_slice().iter().map(|&v| v.into()).collect();
    let npy = folder.path().join("rows.npy");
    ganscope_weights::npy::write(&npy, &Array::from_f64([9, 4], &doubles).unwrap()).unwrap();
    let npz = |name: &str| {
        let path = folder.path().join(format!("{name}.npz"));
        write_arrays(&path, &[(name, array.clone())]);
        path
    };
    for path in [npy, npz("feats"), npz("reps")] {
        let Contents { kind, stored, rows: found } = open(&path).unwrap();
        assert_eq!((kind, stored), (Kind::Rows, None), "{}", path.display());
        let found = found.unwrap();
        assert_eq!((found.len(), found.dim()), (9, 4));
        let expected = FeatureSet::of_rows(rows.clone()).unwrap();
        for needs in [Needs::all(), Needs::STATS, Needs::FEATURES] {
            assert_eq!(
                found.read(needs, |_| Ok::<(), Error>(())).unwrap(),
                expected.clone().only(needs)
            );
        }
        assert_eq!(read(&path).unwrap().set, expected);
    }
}

#[test]
fn rows_with_nan_are_refused_and_images_are_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let write = |array: Array| ganscope_weights::npy::write(&path, &array).unwrap();
    write(Array::from_f32([2, 1], &[0.0, f32::NAN]).unwrap());
    let error = read(&path).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
    write(Array::from_u8([1, 2, 2, 3], vec![7; 12]).unwrap());
    let other = Contents { kind: Kind::Other, stored: None, rows: None };
    assert_eq!(open(&path).unwrap(), other);
}

#[test]
fn a_file_of_rows_is_read_block_by_block() {
    // Blocks of 16 MiB: 4096 rows of 1024 float32, so that this file has three.
    let (rows, dim) = (9000, 1024);
    let value = |i: usize| ((i * 37) % 101) as f32;
    let data: Vec<f32> = (0..rows * dim).map(value).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.npy");
    ganscope_weights::npy::write(&path, &Array::from_f32([rows, dim], &data).unwrap()).unwrap();
    let found = open(&path).unwrap().rows.unwrap();
    let mut told = Vec::new();
    let set = found.read(Needs::FEATURES, |done| {
        told.push(done);
        Ok::<(), Error>(())
    });
    assert_eq!(told, [4096, 8192, 9000]);
    assert_eq!(set.unwrap().features.unwrap().as_slice(), data);
    let stopped = found.read(Needs::FEATURES, |_| Err(Error::UnknownCount));
    assert!(matches!(stopped, Err(Error::UnknownCount)));

    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let error = std::error::Error::source(&read(&path).unwrap_err()).unwrap().to_string();
    assert!(error.contains("8999"), "{error}");
    std::fs::write(&path, &bytes[..at]).unwrap();
    assert!(read(&path).is_err());
}

#[test]
fn rows_in_fortran_order_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.npy");
    ganscope_weights::npy::write(
        &path,
        &Array::from_f32([2, 3], &[1., 4., 2., 5., 3., 6.]).unwrap(),
    )
    .unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let text = b"'fortran_order': False";
    let at = bytes.windows(text.len()).position(|part| part == text).unwrap();
    let changed = [&bytes[..at], b"'fortran_order': True ", &bytes[at + text.len()..]].concat();
    std::fs::write(&path, changed).unwrap();
    let set = read(&path).unwrap().set;
    assert_eq!(set.features.unwrap().as_slice(), [1., 2., 3., 4., 5., 6.]);
}
