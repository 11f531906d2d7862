//! Small files that PyTorch and NumPy wrote (`tests/data/make.py`), read back exactly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ganscope_weights::{
    Array, Dtype, Error, Format, ReadOptions, Weights, inspect, npy, npz, read, write_safetensors,
};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn open(name: &str) -> Result<Weights, Error> {
    read(&file(name), &ReadOptions::default())
}

/// Names, shapes and values of a file as `make.py` noted them.
fn noted(name: &str) -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let json = std::fs::read(file("values.json")).expect("the note is there");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("the note is JSON");
    let arrays = json[name].as_object().expect("the file is noted").clone();
    let numbers = |value: &serde_json::Value| serde_json::from_value(value.clone());
    let array = |(name, array): (String, serde_json::Value)| {
        let shape: Vec<usize> = serde_json::from_value(array["shape"].clone()).expect("a shape");
        (name, (shape, numbers(&array["values"]).expect("numbers")))
    };
    arrays.into_iter().map(array).collect()
}

fn assert_noted(arrays: &BTreeMap<String, Array>, name: &str) {
    let found: BTreeMap<_, _> = arrays
        .iter()
        .map(|(name, array)| (name.clone(), (array.shape().to_vec(), array.to_f64())))
        .collect();
    assert_eq!(found, noted(name), "{name}");
}

#[test]
fn every_dtype_and_every_stride_of_torch_is_read() {
    for name in ["dtypes-zip.pth", "dtypes-legacy.pth", "dtypes-protocol4.pth"] {
        let arrays = open(name).unwrap().arrays;
        assert_noted(&arrays, name);
        for (name, array) in &arrays {
            if array.dtype() != Dtype::F32 {
                assert_eq!(array.dtype().name(), name);
            }
        }
    }
}

#[test]
fn every_dtype_survives_the_canonical_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.safetensors");
    let mut weights = open("dtypes-zip.pth").unwrap();
    let unsigned = npz::read(&file("stored.npz")).unwrap().remove("u2").unwrap();
    weights.arrays.insert("u16".to_owned(), unsigned);
    weights.config.insert("img_resolution".to_owned(), 32.into());
    write_safetensors(&path, &weights).unwrap();
    let copy = read(&path, &ReadOptions::default()).unwrap();
    assert_eq!((copy.arrays, copy.config), (weights.arrays.clone(), weights.config.clone()));

    let first = std::fs::read(&path).unwrap();
    write_safetensors(&path, &weights).unwrap();
    assert_eq!(first, std::fs::read(&path).unwrap());
}

#[test]
fn the_averaged_generator_of_a_training_state_is_read_with_what_lies_beside_it() {
    let state = open("training-state.pth").unwrap();
    assert_noted(&state.arrays, "training-state.pth");
    let live = read(&file("training-state.pth"), &ReadOptions::key("g")).unwrap();
    assert_eq!(live.arrays["weight"].to_f32(), [1.0; 4]);
    let part = read(&file("training-state.pth"), &ReadOptions::key("g.weight")).unwrap();
    assert_eq!(part.arrays.keys().collect::<Vec<_>>(), ["weight"]);
    let names: Vec<_> = inspect(&file("training-state.pth")).unwrap().entries;
    let names: Vec<_> = names.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["g.bias", "g.weight", "g_ema.bias", "g_ema.weight", "latent_avg"]);
}

/// The error inside of the error about the file.
fn inner(result: Result<Weights, Error>) -> Error {
    match result.expect_err("the file is refused") {
        Error::File { source, .. } => *source,
        other => other,
    }
}

#[test]
fn files_without_a_clear_choice_are_refused_with_their_keys() {
    let Error::AmbiguousKey { found } = inner(open("ambiguous.pth")) else { panic!() };
    assert_eq!(found, ["first", "second"]);
    assert_eq!(inspect(&file("ambiguous.pth")).unwrap().entries.len(), 4);
    let Error::NoArrays { found } = inner(open("no-arrays.pth")) else { panic!() };
    assert_eq!(found, ["epoch", "losses", "optimizer"]);
    assert_eq!(inspect(&file("no-arrays.pth")).unwrap().entries, []);
}

#[test]
fn a_pickled_module_of_a_known_class_is_its_parameters() {
    // `torch.nn.Linear(1, 1)`; classes that are not known are refused by name in `pickles`.
    let module = open("module.pth").unwrap();
    let shapes: Vec<_> =
        module.arrays.iter().map(|(name, array)| (name.as_str(), array.shape())).collect();
    assert_eq!(shapes, [("bias", &[1][..]), ("weight", &[1, 1])]);
}

#[test]
fn networks_of_the_tensorflow_stylegans_are_read_by_variable() {
    for name in ["tensorflow-protocol2.pkl", "tensorflow-protocol4.pkl"] {
        let averaged = open(name).unwrap();
        assert_noted(&averaged.arrays, name);
        assert_eq!(averaged.config["resolution"], 8);
        assert_eq!(averaged.config["fmap_max"], 4);
        assert_eq!(averaged.config["build_func_name"], "Gs_style");
        let live = read(&file(name), &ReadOptions::key("G")).unwrap();
        assert_eq!(live.arrays["dlatent_avg"].to_f32(), [1.0, -1.0]);
    }
}

#[test]
fn npz_files_are_read_in_every_order_and_dtype() {
    for name in ["stored.npz", "compressed.npz"] {
        let weights = open(name).unwrap();
        assert_eq!(weights.format, Format::Npz);
        assert_noted(&weights.arrays, name);
        assert_eq!(npz::read(&file(name)).unwrap(), weights.arrays);
        let entries = inspect(&file(name)).unwrap().entries;
        let shape = |name| &entries.iter().find(|entry| entry.name == name).unwrap().shape;
        assert_eq!((entries.len(), shape("u8")), (weights.arrays.len(), &vec![5, 2, 2, 3]));
        let mut archive = npz::Archive::open(&file(name)).unwrap();
        assert!(archive.header("fortran").unwrap().fortran_order);
        assert_eq!(archive.array("f8").unwrap().to_f64(), [0.1]);
        assert!(matches!(archive.array("f9"), Err(Error::MissingKey { .. })));
    }
    assert_noted(&open("fortran.npy").unwrap().arrays, "fortran.npy");
    assert_eq!(npy::read(&file("fortran.npy")).unwrap().shape(), [2, 3, 4]);
    assert_eq!(inspect(&file("fortran.npy")).unwrap().entries[0].shape, [2, 3, 4]);
}

#[test]
fn rows_come_one_batch_at_a_time() {
    for name in ["stored.npz", "compressed.npz"] {
        let mut rows = npz::rows(&file(name), "u8").unwrap();
        assert_eq!((rows.shape(), rows.dtype()), (&[5, 2, 2, 3][..], Dtype::U8));
        let mut data = Vec::new();
        let mut sizes = Vec::new();
        while let Some(batch) = rows.next(2).unwrap() {
            sizes.push(batch.shape()[0]);
            data.extend(batch.into_data());
        }
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(data, (0..60).collect::<Vec<u8>>());
        let mut reversed = npz::rows(&file(name), "big_endian").unwrap();
        assert_eq!(reversed.next(9).unwrap().unwrap().to_i64(), [1, -2, 3]);
        assert!(npz::rows(&file(name), "fortran").is_err());
        assert!(npz::rows(&file(name), "f8").is_err());
    }
}

#[test]
fn a_damaged_member_of_an_npz_file_is_noticed() {
    let mut bytes = std::fs::read(file("stored.npz")).unwrap();
    let array: Vec<u8> = (0..60).collect();
    let at = bytes.windows(60).position(|window| window == array).unwrap();
    bytes[at + 30] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.npz");
    std::fs::write(&path, bytes).unwrap();
    assert!(npz::read(&path).is_err());
    assert!(npz::rows(&path, "u8").unwrap().next(5).is_err());
}

#[test]
fn npz_and_npy_files_are_written_as_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (zip, one) = (folder.path().join("a.npz"), folder.path().join("a.npy"));
    let arrays = npz::read(&file("stored.npz")).unwrap();
    npz::write(&zip, arrays.iter().map(|(name, array)| (name.as_str(), array))).unwrap();
    assert_eq!(npz::read(&zip).unwrap(), arrays);
    let bytes = npz::to_bytes(arrays.iter().map(|(name, array)| (name.as_str(), array))).unwrap();
    assert_eq!(std::fs::read(&zip).unwrap(), bytes);
    for array in arrays.values() {
        npy::write(&one, array).unwrap();
        assert_eq!(npy::read(&one).unwrap(), *array);
    }
    let bf16 = Array::new([1], Dtype::Bf16, vec![0, 0]).unwrap();
    assert!(npy::write(&one, &bf16).is_err());
}
