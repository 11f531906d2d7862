//! Checkpoints that the reference implementations wrote, read back.

use std::collections::BTreeMap;

use ganscope_golden::{Array as Golden, arrays, bytes, json, weights, weights_vit};
use ganscope_weights::{
    Dtype, Error, Format, ReadOptions, Weights, inspect, inspect_bytes, read, read_bytes,
    write_safetensors,
};

fn open(file: &str) -> Weights {
    read(&ganscope_golden::data().join(file), &ReadOptions::default())
        .expect("a golden file is read")
}

fn open_key(file: &str, key: &str) -> Weights {
    read_bytes(&bytes(file), &ReadOptions::key(key)).expect("a golden file is read")
}

/// Names, shapes and values, exactly.
fn assert_same(weights: &Weights, expected: &BTreeMap<String, Golden>) {
    let names: Vec<_> = weights.arrays.keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>());
    for (name, array) in &weights.arrays {
        // The twins hold the scalars of the snapshots as arrays of one axis.
        let shape: &[usize] = if array.shape().is_empty() { &[1] } else { array.shape() };
        assert_eq!(shape, expected[name].shape, "{name}");
        assert_eq!(array.to_f64(), expected[name].data, "{name}");
    }
}

#[test]
fn zip_and_legacy_files_of_one_model_hold_the_same_arrays() {
    let (zip, legacy) = (open("biggan-tiny.bin"), open("biggan-tiny-legacy.bin"));
    assert_eq!((zip.format, legacy.format), (Format::TorchZip, Format::TorchLegacy));
    assert_eq!(zip.arrays, legacy.arrays);
}

#[test]
fn torch_files_hold_the_numbers_of_the_recipe() {
    let found = open("biggan-tiny.bin").arrays;
    let recipe = weights("biggan-tiny-weights.json");
    let mut compared = 0;
    for (name, (shape, values)) in &recipe {
        let array = &found[name];
        assert_eq!(array.shape(), shape, "{name}");
        // Other rules than the common one fill these three.
        let last = name.rsplit('.').next().unwrap();
        if !["weight_u", "weight_v", "gamma"].contains(&last) {
            assert_eq!(&array.to_f32(), values, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 100);
    let counters = |name: &&String| name.ends_with("num_batches_tracked");
    assert_eq!(found.len(), recipe.len() + found.keys().filter(counters).count());
}

#[test]
fn snapshots_hold_the_arrays_of_their_safetensors_twins() {
    for (name, config) in [("stylegan-s2-skip", "s2-skip"), ("stylegan-s3-t", "s3-t")] {
        let snapshot = open(&format!("{name}.pkl"));
        assert_eq!(snapshot.format, Format::Pickle);
        assert_same(&snapshot, &arrays(&format!("{name}.safetensors")));

        let expected = &json("stylegan-configs.json")[config];
        let mut expected = expected.as_object().unwrap().clone();
        // Not arguments of the constructor: what the network computed, and a note of the writer.
        expected.retain(|name, _| name != "num_ws" && name != "class");
        expected.insert("class_name".to_owned(), "Generator".into());
        let mut sorted = snapshot.config.clone();
        sorted.sort_keys();
        expected.sort_keys();
        assert_eq!(sorted, expected);
    }
}

#[test]
fn another_network_of_a_snapshot_is_read_by_its_key() {
    let file = "stylegan-s2-skip.pkl";
    let (ema, live) = (open(file), open_key(file, "G"));
    assert_eq!(ema, open_key(file, "G_ema"));
    let names = |weights: &Weights| weights.arrays.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ema), names(&live));
    assert_ne!(ema.arrays["mapping.fc0.weight"], live.arrays["mapping.fc0.weight"]);
}

#[test]
fn a_wrong_key_is_answered_with_the_keys_that_are_there() {
    let error =
        read_bytes(&bytes("stylegan-s2-skip.pkl"), &ReadOptions::key("G_emma")).unwrap_err();
    let Error::MissingKey { found, .. } = &error else { panic!("{error}") };
    assert!(found.iter().any(|name| name == "G_ema") && found.iter().any(|name| name == "G"));
}

#[test]
fn the_state_dict_under_generator_smooth_is_found() {
    for file in ["stylegan-s1-64.pth", "stylegan-s1-128-fused.pth"] {
        let auto = open(file);
        assert_eq!(auto, open_key(file, "generator_smooth"));
        assert_eq!(auto.arrays["mapping.dense0.weight"].shape(), [48, 32]);
        assert_eq!(auto.arrays["mapping.dense0.weight"].dtype(), Dtype::F32);
        assert!(auto.arrays.keys().all(|name| !name.starts_with("generator_smooth")));
    }
}

#[test]
fn converted_files_hold_the_same_numbers_and_hyper_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let files = std::fs::read_dir(ganscope_golden::data()).unwrap();
    let mut converted = 0;
    for file in files.map(|entry| entry.unwrap().path()) {
        let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if !["bin", "pth", "pkl", "safetensors"].contains(&extension) {
            continue;
        }
        let weights = read(&file, &ReadOptions::default()).unwrap();
        let path = folder.path().join(format!("{converted}.safetensors"));
        write_safetensors(&path, &weights).unwrap();
        let copy = read(&path, &ReadOptions::default()).unwrap();
        assert_eq!(copy.format, Format::Safetensors);
        assert_eq!((&copy.arrays, &copy.config), (&weights.arrays, &weights.config));

        let listing = inspect(&file).unwrap();
        assert!(listing.entries.len() >= weights.arrays.len(), "{}", file.display());
        assert_eq!(listing, inspect_bytes(&std::fs::read(&file).unwrap()).unwrap());
        converted += 1;
    }
    assert!(converted >= 15);
}

#[test]
fn a_listing_names_all_networks_of_a_snapshot() {
    let listing = inspect_bytes(&bytes("stylegan-s3-t.pkl")).unwrap();
    let of = |network: &str| listing.entries.iter().filter(|e| e.name.starts_with(network)).count();
    assert_eq!(of("G_ema."), arrays("stylegan-s3-t.safetensors").len());
    assert_eq!(of("G."), of("G_ema."));
    assert_eq!(listing.config["G_ema"]["class_name"], "Generator");
}

#[test]
fn an_archive_of_torchscript_holds_the_numbers_of_the_recipe() {
    let found = open("clip-openai-tiny.pt");
    assert_eq!(found.format, Format::TorchZip);
    let recipe = weights_vit("clip-openai-tiny-weights.json");
    let mut halves = 0;
    for (name, (shape, values)) in &recipe {
        let array = &found.arrays[name];
        assert_eq!((array.shape(), &array.to_f32()), (shape.as_slice(), values), "{name}");
        halves += usize::from(array.dtype() == Dtype::F16);
    }
    assert!(halves > 10 && halves < recipe.len(), "{halves} tensors of half precision");
    // Buffers that are no weights.
    let extra: Vec<&str> =
        found.arrays.keys().filter(|n| !recipe.contains_key(*n)).map(String::as_str).collect();
    assert_eq!(extra, ["context_length", "input_resolution", "vocab_size"]);
}

#[test]
fn tensors_with_attributes_are_read() {
    let found = open("dinov2-tiny-swiglu.pth");
    let expected = ganscope_golden::tensor("cls_token", &[1, 1, 48], (-1.0, 1.0), 0);
    assert_eq!(found.arrays["cls_token"].to_f32(), expected);
}
