//! Damaged and random input: errors, never a panic, and memory in proportion to the input.
//!
//! `PROPTEST_CASES=10000` for the long run.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ganscope_images::{ImageSet, SetOptions, decode, probe};
use ganscope_weights::{Array, Dtype, npy, npz};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The files of `pillow.npz`, by name.
fn files() -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow.npz");
    let arrays: BTreeMap<String, Array> = npz::read(&path).unwrap();
    let name = |key: String| Some(key.strip_suffix("/file")?.to_owned());
    arrays.into_iter().filter_map(|(key, a)| Some((name(key)?, a.into_data()))).collect()
}

fn jpegs() -> Vec<Vec<u8>> {
    files().into_iter().filter(|(name, _)| name.contains("jpeg")).map(|(_, file)| file).collect()
}

/// What happens to a file on its way.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Flip(Vec<(Index, u8)>),
    Remove(Index, u8),
    Insert(Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        vec((any::<Index>(), any::<u8>()), 1..8).prop_map(Damage::Flip),
        (any::<Index>(), any::<u8>()).prop_map(|(at, n)| Damage::Remove(at, n)),
        (any::<Index>(), vec(any::<u8>(), 1..16)).prop_map(|(at, new)| Damage::Insert(at, new)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damage: &Damage) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    match damage {
        Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Damage::Flip(flips) => {
            for (at, mask) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
        }
        Damage::Remove(at, n) => {
            let at = at.index(bytes.len());
            bytes.drain(at..bytes.len().min(at + *n as usize));
        }
        Damage::Insert(at, new) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, new.iter().copied());
        }
    }
    bytes
}

/// Reads `bytes` as an image; whatever comes out must be whole.
fn check_image(bytes: &[u8]) {
    let probed = probe(bytes, "x");
    if let Ok(decoded) = decode(bytes, "x") {
        let image = decoded.image;
        assert_eq!(image.pixels.len(), 3 * image.width * image.height);
        assert!(!image.pixels.is_empty());
        assert!((image.width * image.height) as u64 <= (1 << 24) + 8256 * bytes.len() as u64);
        assert_eq!(probed.unwrap(), (decoded.format, image.width, image.height));
    }
}

/// Opens a file of these bytes as a set and reads what is in it.
fn check_set(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    if let Ok(set) = ImageSet::open(file.path(), &SetOptions::default()) {
        for i in 0..set.len().min(4) {
            if let Ok(decoded) = set.get(i) {
                assert!(set.facts(i).is_ok());
                assert!(!decoded.image.pixels.is_empty());
            }
        }
    }
}

/// Three encoded images.
fn members() -> Vec<(String, Vec<u8>)> {
    let files = files().into_iter().filter(|(name, _)| name.contains("png-"));
    files.take(3).enumerate().map(|(i, (_, file))| (format!("{i}.png"), file)).collect()
}

fn zip(members: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Archives of images with labels, stored and deflated.
fn zips() -> Vec<Vec<u8>> {
    let mut members = members();
    let labels = br#"{"labels": [["0.png", 3], ["1.png", 1]]}"#;
    members.push(("dataset.json".to_owned(), labels.to_vec()));
    vec![zip(&members, CompressionMethod::Stored), zip(&members, CompressionMethod::Deflated)]
}

fn tars() -> Vec<Vec<u8>> {
    let archive = |header: fn() -> tar::Header| {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in members() {
            let mut header = header();
            header.set_size(bytes.len() as u64);
            let name = format!("{}/{name}", "folder".repeat(16));
            tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
        tar.into_inner().unwrap()
    };
    vec![archive(tar::Header::new_ustar), archive(tar::Header::new_gnu)]
}

/// Images as `.npy`, and as `.npz` stored and deflated.
fn arrays() -> Vec<Vec<u8>> {
    let npy = |array: Array| {
        let mut bytes = Vec::new();
        npy::write_to(&mut bytes, &array).unwrap();
        bytes
    };
    let images = npy(Array::new([3, 4, 5, 3], Dtype::U8, (0..180).collect()).unwrap());
    let labels = npy(Array::new([3], Dtype::U8, vec![5, 6, 7]).unwrap());
    let members = [("arr_0.npy".to_owned(), images.clone()), ("arr_1.npy".to_owned(), labels)];
    let [stored, deflated] = [CompressionMethod::Stored, CompressionMethod::Deflated];
    vec![images, zip(&members, stored), zip(&members, deflated)]
}

/// First bytes by which each format is known.
fn magic() -> impl Strategy<Value = &'static [u8]> {
    select(vec![
        &b"\x89PNG\r\n\x1a\n"[..],
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xc0\0\x11\x08\0\x10\0\x10\x03\x01\x22\0\x02\x11\x01\x03\x11\x01",
        b"RIFF\x40\0\0\0WEBPVP8 ",
        b"RIFF\x40\0\0\0WEBPVP8L",
        b"RIFF\x40\0\0\0WEBPVP8X",
        b"BM",
        b"II*\0\x08\0\0\0",
        b"MM\0*\0\0\0\x08",
        b"P1 ",
        b"P3\n",
        b"P5 3 3 255 ",
        b"P6 3 3 65535 ",
        b"GIF89a\x04\0\x04\0\x80\0\0\0\0\0\xff\xff\xff",
    ])
}

proptest! {
    #[test]
    fn damaged_images_do_no_harm(file in select(files()), damage in vec(damage(), 1..3)) {
        check_image(&damage.iter().fold(file.1, damaged));
    }

    #[test]
    fn damaged_jpegs_do_no_harm(file in select(jpegs()), damage in vec(damage(), 1..3)) {
        check_image(&damage.iter().fold(file, damaged));
    }

    #[test]
    fn random_bytes_behind_a_magic_do_no_harm(magic in magic(), rest in vec(any::<u8>(), 0..300)) {
        check_image(&[magic, &rest].concat());
    }

    #[test]
    fn damaged_zips_do_no_harm(set in select(zips()), damage in vec(damage(), 1..3)) {
        check_set(&damage.iter().fold(set, damaged));
    }

    #[test]
    fn damaged_tars_do_no_harm(set in select(tars()), damage in vec(damage(), 1..3)) {
        check_set(&damage.iter().fold(set, damaged));
    }

    #[test]
    fn damaged_tars_inside_gzip_do_no_harm(set in select(tars()), damage in vec(damage(), 1..3)) {
        let gzip = |bytes: &[u8]| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(bytes).unwrap();
            gzip.finish().unwrap()
        };
        check_set(&damage.iter().fold(gzip(&set), damaged));
        check_set(&gzip(&damage.iter().fold(set, damaged)));
    }

    #[test]
    fn damaged_arrays_do_no_harm(set in select(arrays()), damage in vec(damage(), 1..3)) {
        check_set(&damage.iter().fold(set, damaged));
    }

    #[test]
    fn random_bytes_as_a_set_do_no_harm(magic in select(vec![&b"PK\x03\x04"[..], b"PK\x05\x06", b"\x93NUMPY\x01\0", b""]),
                               rest in vec(any::<u8>(), 0..600)) {
        check_set(&[magic, &rest].concat());
        let mut tar = [magic, &rest].concat();
        tar.resize(1536, 0);
        tar[257..262].copy_from_slice(b"ustar");
        check_set(&tar);
    }
}
