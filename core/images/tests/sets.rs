//! Sets of images: folders, archives, arrays.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use ganscope_images::{Error, Format, Image, ImageSet, Limits, SetOptions, Survey, save_png};
use ganscope_weights::{Array, Dtype, npy, npz};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A small image that no other `k` has.
fn image(k: u8) -> Image {
    let pixels = (0..5 * 4 * 3).map(|i: u8| i.wrapping_mul(7) ^ k).collect();
    Image { width: 5, height: 4, pixels }
}

fn png(k: u8) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    save_png(&path, &image(k)).unwrap();
    fs::read(path).unwrap()
}

fn open(path: &Path) -> ganscope_images::Result<ImageSet> {
    ImageSet::open(path, &SetOptions::default())
}

/// The message of an error without the folder of the test.
fn message(path: &Path, folder: &TempDir) -> String {
    let error = anyhow(open(path).unwrap_err());
    error.replace(&format!("{}/", folder.path().display()), "")
}

fn anyhow(error: Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Files out of order, in a folder within, hidden, and no images at all.
const FILES: [(&str, u8); 5] =
    [("b.png", 1), ("a-1.PNG", 2), ("a.png", 3), ("a/z.png", 4), (".hidden.png", 5)];

/// Names and images in the order of Python's `sorted`.
const SORTED: [(&str, u8); 4] = [("a-1.PNG", 2), ("a.png", 3), ("a/z.png", 4), ("b.png", 1)];

fn names(set: &ImageSet) -> Vec<String> {
    (0..set.len()).map(|i| set.name(i)).collect()
}

fn assert_sorted(set: &ImageSet) {
    assert_eq!(names(set), SORTED.map(|(name, _)| name));
    for (i, (_, k)) in SORTED.into_iter().enumerate() {
        let decoded = set.get(i).unwrap();
        assert_eq!(decoded.image, image(k));
        assert_eq!(decoded.format, Format::Png);
    }
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn zip(path: &Path, method: CompressionMethod, files: &[(&str, Vec<u8>)]) {
    let mut zip = ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, Cursor::new(bytes)).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let mut files: Vec<_> = FILES.map(|(name, k)| (name, png(k))).to_vec();
    files.push(("notes.txt", b"no image".to_vec()));
    files
}

#[test]
fn a_folder_is_sorted_as_python_sorts() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files() {
        write(folder.path(), name, &bytes);
    }
    let flat = open(folder.path()).unwrap();
    assert_eq!(names(&flat), ["a-1.PNG", "a.png", "b.png"]);
    let recursive =
        ImageSet::open(folder.path(), &SetOptions { recursive: true, ..SetOptions::default() })
            .unwrap();
    assert_sorted(&recursive);
}

#[test]
fn archives_are_sorted_likewise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set");
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        zip(&path, method, &files());
        assert_sorted(&open(&path).unwrap());
    }
    fs::write(&path, tar(&files())).unwrap();
    assert_sorted(&open(&path).unwrap());
}

#[test]
fn a_tar_inside_gzip_is_the_same_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tgz");
    let tar = tar(&files());
    fs::write(&path, gzip(&tar)).unwrap();
    let set = open(&path).unwrap();
    assert_sorted(&set);
    // It was unpacked once, and what was unpacked has no name.
    fs::remove_file(&path).unwrap();
    assert_sorted(&set);
    // Several members after each other, as parallel compressors write them.
    let (start, end) = tar.split_at(tar.len() / 3);
    fs::write(&path, [gzip(start), gzip(end)].concat()).unwrap();
    assert_sorted(&open(&path).unwrap());
}

#[test]
fn labels_are_those_of_dataset_json() {
    let folder = tempfile::tempdir().unwrap();
    let json = br#"{"labels": [["b.png", 6], ["a.png", 0], ["a-1.PNG", [0.5, 1]]]}"#;
    let mut files = files();
    files.push(("dataset.json", json.to_vec()));
    let labels = |set: &ImageSet| (0..set.len()).map(|i| set.label(i)).collect::<Vec<_>>();
    let path = folder.path().join("set.zip");
    zip(&path, CompressionMethod::Stored, &files);
    assert_eq!(labels(&open(&path).unwrap()), [None, Some(0), None, Some(6)]);
    let unpacked = folder.path().join("unpacked");
    for (name, bytes) in &files {
        write(&unpacked, name, bytes);
    }
    assert_eq!(labels(&open(&unpacked).unwrap()), [None, Some(0), Some(6)]);
    fs::write(unpacked.join("dataset.json"), r#"{"labels": null}"#).unwrap();
    assert_eq!(labels(&open(&unpacked).unwrap()), [None; 3]);
}

#[test]
fn of_two_members_of_a_tar_with_one_name_the_last_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    fs::write(&path, tar(&[("./a.png", png(1)), ("a.png", png(2))])).unwrap();
    let set = open(&path).unwrap();
    assert_eq!(names(&set), ["a.png"]);
    assert_eq!(set.get(0).unwrap().image, image(2));
}

#[test]
fn a_single_image_is_a_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.png");
    save_png(&path, &image(9)).unwrap();
    let set = open(&path).unwrap();
    assert_eq!(names(&set), ["one.png"]);
    assert_eq!(set.get(0).unwrap().image, image(9));
}

/// `n` images after each other, channel last, and the same channel first.
fn stacked(n: u8) -> (Vec<u8>, Vec<u8>) {
    let last: Vec<u8> = (0..n).flat_map(|k| image(k).pixels).collect();
    let first = last
        .chunks_exact(60)
        .flat_map(|image| (0..60).map(|i| image[i % 20 * 3 + i / 20]))
        .collect();
    (last, first)
}

fn assert_stacked(set: &ImageSet, n: u8) {
    assert_eq!(set.len(), n as usize);
    // Forwards, backwards, and near each other in a mixed order.
    let orders: [Vec<u8>; 3] =
        [(0..n).collect(), (0..n).rev().collect(), (0..n).map(|i| i ^ 1).collect()];
    for k in orders.into_iter().flatten() {
        assert_eq!(set.get(k as usize).unwrap().image, image(k), "image {k}");
    }
}

#[test]
fn arrays_are_read_in_both_orders_of_axes() {
    let folder = tempfile::tempdir().unwrap();
    let (last, first) = stacked(200);
    let array =
        |shape: [usize; 4], data: &[u8]| Array::new(shape, Dtype::U8, data.to_vec()).unwrap();
    let last = array([200, 4, 5, 3], &last);
    let first = array([200, 3, 4, 5], &first);
    let numbers = (0..200_i64).flat_map(i64::to_le_bytes).collect();
    let labels = Array::new([200], Dtype::I64, numbers).unwrap();

    let path = folder.path().join("a.npy");
    for array in [&last, &first] {
        npy::write(&path, array).unwrap();
        assert_stacked(&open(&path).unwrap(), 200);
    }
    let path = folder.path().join("adm.npz");
    npz::write(&path, [("arr_0", &last), ("arr_1", &labels)]).unwrap();
    let set = open(&path).unwrap();
    assert_stacked(&set, 200);
    assert_eq!((set.label(0), set.label(199)), (Some(0), Some(199)));
    let path = folder.path().join("ajbrock.npz");
    npz::write(&path, [("x", &first), ("y", &labels)]).unwrap();
    let set = open(&path).unwrap();
    assert_stacked(&set, 200);
    assert_eq!(set.label(7), Some(7));

    // The same, deflated: np.savez_compressed.
    let member = |array: &Array| {
        let mut bytes = Vec::new();
        npy::write_to(&mut bytes, array).unwrap();
        bytes
    };
    let path = folder.path().join("packed.npz");
    let members = [("arr_0.npy", member(&last)), ("arr_1.npy", member(&labels))];
    zip(&path, CompressionMethod::Deflated, &members);
    let set = open(&path).unwrap();
    assert_stacked(&set, 200);
    assert_eq!(set.label(199), Some(199));
}

#[test]
fn gray_arrays_become_rgb() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gray.npy");
    npy::write(&path, &Array::new([1, 1, 2], Dtype::U8, vec![7, 8]).unwrap()).unwrap();
    let image = open(&path).unwrap().get(0).unwrap().image;
    assert_eq!(image, Image { width: 2, height: 1, pixels: vec![7, 7, 7, 8, 8, 8] });
}

#[test]
fn every_mistake_has_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let error = |name: &str| message(&at(name), &folder);
    assert_eq!(error("nowhere"), "read `nowhere`: No such file or directory (os error 2)");

    let expected = "expected names ending in png, jpg, jpeg, jpe, jfif, webp, bmp, gif, tif, \
                    tiff, ppm, pgm, pbm, pnm";
    fs::create_dir(at("empty")).unwrap();
    assert_eq!(error("empty"), format!("find images in `empty`: {expected}, found nothing"));
    write(&at("mixed"), "a.txt", b"text");
    write(&at("mixed"), "below/b.png", &png(0));
    assert_eq!(
        error("mixed"),
        format!("find images in `mixed`: {expected}, found only `a.txt` and 1 more")
    );
    fs::write(at("readme"), "Some words.").unwrap();
    assert_eq!(
        error("readme"),
        "find images in `readme`: expected a folder, a zip, tar, npz or npy file, or an image, \
         found text beginning with `Some words.`"
    );
    fs::write(at("text.gz"), gzip(b"Some words.")).unwrap();
    assert!(error("text.gz").ends_with("or an image, found gzip data, but not of a tar archive"));
    let packed = gzip(&tar(&files()));
    fs::write(at("cut.tgz"), &packed[..packed.len() / 2]).unwrap();
    assert!(error("cut.tgz").starts_with("unpack `cut.tgz`: "), "{}", error("cut.tgz"));
    fs::write(at("text.tgz"), gzip(&tar(&[("a.txt", b"text".to_vec())]))).unwrap();
    assert!(error("text.tgz").ends_with("found only `a.txt`"), "{}", error("text.tgz"));
    fs::write(at("cut.zip"), b"PK\x03\x04 and no directory").unwrap();
    assert!(error("cut.zip").starts_with("unpack `cut.zip`: "), "{}", error("cut.zip"));
    write(&at("labeled"), "a.png", &png(0));
    write(&at("labeled"), "dataset.json", b"{");
    assert!(error("labeled").starts_with("read labels of `labeled/dataset.json`: EOF"));

    let statistics = Array::new([2], Dtype::F64, vec![0; 16]).unwrap();
    npz::write(&at("stats.npz"), [("mu", &statistics)]).unwrap();
    assert_eq!(
        error("stats.npz"),
        "find images in `stats.npz`: expected `arr_0` or `x`, bytes of shape (n, h, w, 3) or \
         (n, 3, h, w), found arrays mu"
    );
    npy::write(&at("floats.npy"), &statistics).unwrap();
    assert!(error("floats.npy").ends_with("found F64 of shape [2]"), "{}", error("floats.npy"));
}

#[test]
fn damaged_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut corrupt = png(0);
    let middle = corrupt.len() / 2;
    corrupt.truncate(middle);
    write(folder.path(), "1-corrupt.png", &corrupt);
    write(folder.path(), "2-empty.jpg", b"");
    write(folder.path(), "3-text.png", b"I am no image");
    let set = open(folder.path()).unwrap();
    let error = |i| anyhow(set.get(i).unwrap_err());
    assert_eq!(error(0), "decode `1-corrupt.png`: unreadable PNG: unexpected end of file");
    assert!(error(1).starts_with("decode `2-empty.jpg`: expected an image"), "{}", error(1));
    assert!(error(1).ends_with("found an empty file"), "{}", error(1));
    assert!(error(2).ends_with("found text beginning with `I am no image`"), "{}", error(2));
}

#[test]
fn damaged_members_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.zip");
    zip(&path, CompressionMethod::Stored, &[("a.png", png(0))]);
    let mut bytes = fs::read(&path).unwrap();
    bytes[60] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = anyhow(open(&path).unwrap().get(0).unwrap_err());
    let expected = format!("unpack `{}`: ", PathBuf::from(&path).join("a.png").display());
    assert!(error.starts_with(&expected), "{error}");

    // An array that claims more images than there are bytes.
    let path = folder.path().join("short.npy");
    npy::write(&path, &Array::new([2, 4, 5, 3], Dtype::U8, stacked(2).0).unwrap()).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = message(&path, &folder);
    assert_eq!(
        error,
        "unpack `short.npy`: cut short: 247 bytes cannot hold 2 images of 5 x 4 pixels"
    );
}

#[test]
fn a_survey_counts_formats_sizes_and_duplicates() {
    let folder = tempfile::tempdir().unwrap();
    for (name, k) in [("a.png", 1), ("b.png", 2), ("c.png", 1)] {
        write(folder.path(), name, &png(k));
    }
    write(folder.path(), "d.ppm", b"P6 1 2 255\nabcdef");
    let set = open(folder.path()).unwrap();
    let facts: Vec<_> = (0..set.len()).map(|i| set.facts(i).unwrap()).collect();
    let survey = Survey::of(&facts);
    assert_eq!(survey.formats, [(Format::Png, 3), (Format::Pnm, 1)].into());
    assert_eq!((survey.smallest, survey.largest, survey.sizes), ((1, 2), (5, 4), 2));
    assert_eq!(survey.duplicates, 1);
    assert_eq!(Survey::of(&[]).smallest, (0, 0));
}

#[test]
fn links_in_a_tar_are_followed_inside_it_as_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("links.tar");
    let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
    let bytes = png(1);
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, "a/one.png", bytes.as_slice()).unwrap();
    for (kind, name, target) in [
        (tar::EntryType::Link, "hard.png", "a/one.png"),
        (tar::EntryType::Symlink, "a/soft.png", "one.png"),
        (tar::EntryType::Symlink, "b/up.png", "../a/soft.png"),
        (tar::EntryType::Symlink, "out.png", "/etc/passwd"),
        (tar::EntryType::Symlink, "self.png", "self.png"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        tar.append_link(&mut header, name, target).unwrap();
    }
    tar.finish().unwrap();
    let set = open(&path).unwrap();
    assert_eq!(names(&set), ["a/one.png", "a/soft.png", "b/up.png", "hard.png"]);
    assert!((0..4).all(|i| set.get(i).unwrap().image == image(1)));
    let lost = ["out.png (a link to `/etc/passwd`)", "self.png (a link to `self.png`)"];
    assert_eq!(set.ignored(), lost);
}

#[test]
fn a_changed_byte_of_a_stored_array_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.npz");
    let images = Array::new([3, 4, 5, 3], Dtype::U8, (0..180).collect()).unwrap();
    npz::write(&path, [("arr_0", &images)]).unwrap();
    let set = open(&path).unwrap();
    assert!((0..3).all(|i| set.facts(i).is_ok()));
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|w| w == [100, 101, 102, 103]).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let set = open(&path).unwrap();
    let failed = (0..3).filter(|&i| set.facts(i).is_err()).count();
    assert_eq!(failed, 1, "when the last row was seen");
    let error = anyhow(set.get(0).unwrap_err());
    assert!(error.contains("checksum"), "{error}");
}

#[test]
fn a_file_is_read_once_for_its_digest_and_its_pixels() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.png", &png(1));
    write(folder.path(), "b.png", b"no image");
    let set = open(folder.path()).unwrap();
    let (digest, decoded) = set.get_digested(0).unwrap();
    assert_eq!((digest, decoded.unwrap().image), (set.facts(0).unwrap().digest, image(1)));
    let (other, undecoded) = set.get_digested(1).unwrap();
    assert!(other != digest && undecoded.is_err());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("a.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(anyhow(open(&pipe).unwrap_err()).contains("not a regular file"));
    let set = open(folder.path()).unwrap();
    assert!(anyhow(set.get(0).unwrap_err()).contains("not a regular file"));
}

/// A flat picture of 48 MB, and what it is packed in.
fn flat() -> Vec<u8> {
    let mut ppm = b"P6 4000 4000 255\n".to_vec();
    ppm.resize(ppm.len() + 3 * 4000 * 4000, 128);
    ppm
}

#[test]
fn what_unpacks_to_far_more_than_its_size_is_refused_unless_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flat.zip");
    zip(&path, CompressionMethod::Deflated, &[("flat.ppm", flat())]);
    let many = vec!["x".repeat(40); 100_000];
    let json = serde_json::to_vec(&many).unwrap();
    let labels = folder.path().join("labels.zip");
    let files = [("a.png", png(1)), ("dataset.json", [b"{\"other\":", &json[..], b"}"].concat())];
    zip(&labels, CompressionMethod::Deflated, &files);
    let read = |path: &Path, limits: Limits| {
        let set = ImageSet::open(path, &SetOptions { limits, ..SetOptions::default() })?;
        set.get(0).map(|decoded| decoded.image.width)
    };
    for (path, width) in [(&path, 4000), (&labels, image(1).width)] {
        let error = read(path, Limits::default()).unwrap_err();
        assert!(matches!(error, Error::OverLimit { .. }), "{error}");
        assert!(error.to_string().contains("more than"), "{error}");
        let large = Limits { allow_large: true, ..Limits::default() };
        assert_eq!(read(path, large).unwrap(), width);
    }
}
