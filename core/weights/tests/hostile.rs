//! Random, cut and damaged files: an error or some arrays, never a panic, and bounded memory.
//!
//! `PROPTEST_CASES=10000` runs as many cases of each property as the nightly profile does.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ganscope_weights::{ReadOptions, inspect_bytes, npz, read_bytes};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One checkpoint of each format and writer, with its name.
static FILES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let own = std::fs::read_dir(here).expect("the test data are there");
    let own = own.map(|entry| entry.expect("the folder is read").path());
    let golden = [
        "biggan-tiny-legacy.bin",
        "stylegan-s1-64.pth",
        "stylegan-s2-skip.pkl",
        "stylegan-s3-r-cond.safetensors",
        "stylegan-s3-t.pkl",
    ];
    let golden = golden.iter().map(|name| ganscope_golden::data().join(name));
    let is_checkpoint = |path: &PathBuf| {
        let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        ["pth", "pkl", "npz", "npy", "bin", "safetensors"].contains(&kind)
    };
    let mut files: Vec<_> = own
        .chain(golden)
        .filter(is_checkpoint)
        .map(|path| (path.display().to_string(), std::fs::read(&path).expect("the file is read")))
        .collect();
    assert!(files.len() > 10);
    files.sort();
    files
});

/// Reads `bytes` in every way there is; the outcome does not matter.
fn survive(bytes: &[u8]) {
    for key in [None, Some("G_ema"), Some("x.y")] {
        let options = ReadOptions { key: key.map(str::to_owned) };
        if let Ok(weights) = read_bytes(bytes, &options) {
            let size: usize = weights.arrays.values().map(|array| array.data().len()).sum();
            assert!(size <= (16 * bytes.len()).max(1 << 26), "{size} of {}", bytes.len());
        }
    }
    if let Err(error) = inspect_bytes(bytes) {
        assert!(!error.to_string().is_empty());
    }
    if let Ok(mut archive) = npz::Archive::from_bytes(bytes) {
        for name in archive.names().to_owned() {
            drop(archive.array(&name));
        }
    }
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    select(FILES.as_slice()).prop_map(|(_, bytes)| bytes)
}

/// What the formats start with, and a valid safetensors header.
const STARTS: &[&[u8]] = &[
    b"",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x80\x02",
    b"\x80\x04\x95",
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': True, 'shape': (",
    b"\x93NUMPY\x03\x00",
    b"\x20\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[",
];

/// Instructions that mean something, so that random programs get somewhere.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&'static [u8]> = vec![
        b"(",
        b")",
        b"]",
        b"}",
        b"\x8f",
        b"t",
        b"l",
        b"d",
        b"\x85",
        b"\x86",
        b"\x87",
        b"R",
        b"b",
        b"\x81",
        b"s",
        b"u",
        b"a",
        b"e",
        b"\x90",
        b"\x91",
        b"Q",
        b"N",
        b"\x88",
        b"0",
        b"1",
        b"2",
        b"\x94",
        b"h\x00",
        b"h\x01",
        b"h\x02",
        b"q\x00",
        b"q\x01",
        b"K\x00",
        b"K\x01",
        b"K\x04",
        b"M\xff\xff",
        b"J\xff\xff\xff\xff",
        b"\x8c\x01x",
        b"\x8c\x05G_ema",
        b"\x8c\x07storage",
        b"\x8c\x0b_parameters",
        b"\x8c\x05state",
        b"\x8c\x08_modules",
        b"\x8c\x01C",
        b"C\x04abcd",
        b"\x8c\x02f4",
        b"\x8c\x01<",
        b"\x8a\x00",
        b"G@\x00\x00\x00\x00\x00\x00\x00",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch._utils\n_rebuild_parameter\n",
        b"ctorch._tensor\n_rebuild_from_type_v2\n",
        b"ctorch.storage\n_load_from_bytes\n",
        b"ctorch\nFloatStorage\n",
        b"ccollections\nOrderedDict\n",
        b"cnumpy\ndtype\n",
        b"cnumpy.core.multiarray\n_reconstruct\n",
        b"cnumpy.core.multiarray\nscalar\n",
        b"cnumpy.core.numeric\n_frombuffer\n",
        b"cdnnlib.tflib.network\nNetwork\n",
        b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n",
        b"cR3GAN.Networks\nGenerator\n",
        b"cdill._dill\n_get_attr\n",
        b"cdill._dill\n_import_module\n",
        b"X\x05\x00\x00\x00numpyX\x05\x00\x00\x00dtype",
        b"c_codecs\nencode\n",
        b"cbuiltins\nset\n",
        b"ctorch\nSize\n",
        b"cos\nsystem\n",
    ];
    select(fixed).prop_map(<[u8]>::to_vec)
}

proptest! {
    #[test]
    fn random_bytes(start in select(STARTS), rest in vec(any::<u8>(), 0..400)) {
        survive(&[start, &rest].concat());
    }

    #[test]
    fn random_programs(program in vec(instruction(), 0..60)) {
        survive(&[b"\x80\x04", program.concat().as_slice(), b"."].concat());
    }

    #[test]
    fn random_programs_in_the_middle_of_a_legacy_file(program in vec(instruction(), 0..60)) {
        let start = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02";
        let end = b".\x80\x02]\x8c\x01xa.\x01\0\0\0\0\0\0\0\0\0\x80\x3f";
        survive(&[start, program.concat().as_slice(), end].concat());
    }

    #[test]
    fn cut_files(file in file(), at in any::<Index>()) {
        survive(&file[..at.index(file.len())]);
    }

    #[test]
    fn files_with_flipped_bits(
        mut file in file(),
        flips in vec((any::<Index>(), 0..8u8), 1..6),
        place in 0..3u8,
    ) {
        // Headers and pickles are at the start, the directory of an archive is at the end.
        let reach = file.len().min(4000);
        let (first, reach) = match place {
            0 => (0, reach),
            1 => (file.len() - reach, reach),
            _ => (0, file.len()),
        };
        for (at, bit) in flips {
            file[first + at.index(reach)] ^= 1 << bit;
        }
        survive(&file);
    }

    #[test]
    fn files_with_a_part_replaced(
        mut file in file(),
        to in any::<Index>(),
        from in any::<Index>(),
        len in 1..64usize,
    ) {
        let (to, from) = (to.index(file.len()), from.index(file.len()));
        let part = file[from..file.len().min(from + len)].to_vec();
        let end = file.len().min(to + part.len());
        file.splice(to..end, part);
        survive(&file);
    }
}
