//! Decoders against Pillow, on files that `pillow.py` made.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::path::Path;

use ganscope_images::{Error, Format, Limits, MAX_PIXELS, decode, probe};
use ganscope_weights::{Array, npz};

fn arrays() -> BTreeMap<String, Array> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow.npz");
    npz::read(&path).unwrap()
}

/// Files that decoders read differently, made by `pillow_odd.py`.
fn odd() -> BTreeMap<String, Array> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow-odd.npz");
    npz::read(&path).unwrap()
}

/// Files that Pillow reads and we refuse, since their pixels would be others.
const REFUSED: &[&str] = &[
    "jpeg-progressive-cut-30-ended",
    "jpeg-progressive-cut-60-ended",
    "tiff-jpeg-grey",
    "tiff-jpeg-rgb",
    "tiff-jpeg-ycbcr",
    "tiff-planar-tiles",
    "tiff-uint32",
];

#[test]
fn odd_files_have_the_pixels_that_pillow_reads_or_are_refused() {
    let arrays = odd();
    assert!(names(&arrays, "decode").len() > 90);
    let mut wrong = differences(&arrays, REFUSED);
    for name in names(&arrays, "refuse") {
        let file = arrays[&format!("refuse/{name}/file")].data();
        if decode(file, name).is_ok() {
            wrong.push(format!("{name}: read, and Pillow refuses it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What differs from Pillow in the files that it reads, of which we refuse `refused`.
fn differences(arrays: &BTreeMap<String, Array>, refused: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in names(arrays, "decode") {
        let file = arrays[&format!("decode/{name}/file")].data();
        let expected = &arrays[&format!("decode/{name}/rgb")];
        match decode(file, name) {
            Ok(_) if refused.contains(&name) => wrong.push(format!("{name}: read")),
            Ok(decoded) => {
                let image = decoded.image;
                if [image.height, image.width, 3] != expected.shape() {
                    wrong.push(format!("{name}: {} x {}", image.width, image.height));
                } else if image.pixels != expected.data() {
                    let pairs = image.pixels.iter().zip(expected.data());
                    let most = pairs.map(|(&a, &b)| a.abs_diff(b)).max();
                    wrong.push(format!("{name}: off by {}", most.unwrap()));
                }
                let probed = probe(file, name).unwrap();
                assert_eq!(probed, (decoded.format, image.width, image.height), "{name}");
            }
            Err(e) if !refused.contains(&name) => wrong.push(e.to_string()),
            Err(_) => {}
        }
    }
    wrong
}

fn names<'a>(arrays: &'a BTreeMap<String, Array>, kind: &str) -> Vec<&'a str> {
    let prefix = format!("{kind}/");
    let name = |key: &'a String| key.strip_prefix(&prefix)?.strip_suffix("/file");
    arrays.keys().filter_map(name).collect()
}

#[test]
fn every_file_has_the_pixels_that_pillow_reads() {
    let arrays = arrays();
    assert!(names(&arrays, "decode").len() > 90);
    let wrong = differences(&arrays, &[]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_pillow_refuses_is_refused() {
    let arrays = arrays();
    for name in names(&arrays, "refuse") {
        let file = arrays[&format!("refuse/{name}/file")].data();
        let error = decode(file, name).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{name}: {error}");
        assert!(error.to_string().starts_with(&format!("decode `{name}`: ")), "{error}");
    }
}

#[test]
fn a_jpeg_without_its_end_is_refused() {
    let arrays = arrays();
    for kind in ["baseline", "progressive"] {
        let file = arrays[&format!("decode/jpeg-{kind}-420-95/file")].data();
        let error = decode(&file[..file.len() - 2], "a.jpg").unwrap_err();
        assert_eq!(error.to_string(), "decode `a.jpg`: unreadable JPEG: the end is missing");
    }
}

#[test]
fn errors_tell_what_was_found_instead_of_an_image() {
    let text = |bytes: &[u8]| decode(bytes, "a.png").unwrap_err().to_string();
    let expected =
        "decode `a.png`: expected an image (PNG, JPEG, WebP, BMP, TIFF, PPM, GIF), found ";
    assert_eq!(text(b""), format!("{expected}an empty file"));
    assert_eq!(text(b"hello\nworld"), format!("{expected}text beginning with `hello`"));
    assert_eq!(text(b"PK\x03\x04...."), format!("{expected}a zip archive"));
    assert_eq!(text(b"\0\0\0\x1cftypavif"), format!("{expected}an ISO media file of kind `avif`"));
    assert_eq!(text(b"\0\x01\x02\xff"), format!("{expected}bytes 00 01 02 ff"));
}

/// A PNG header that claims `side` x `side` pixels, and nothing else.
fn bomb(side: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(header);
    png.extend(crc.sum().to_be_bytes());
    png
}

#[test]
fn claimed_sizes_beyond_the_file_are_refused() {
    let error = decode(&bomb(60_000), "bomb.png").unwrap_err();
    assert!(matches!(error, Error::TooLarge { width: 60_000, height: 60_000, .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "decode `bomb.png`: claims 60000 x 60000 pixels, the limit for a file of its size is 17049664"
    );
    // 16-bit sizes of the other formats.
    let gif = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\0;";
    let jpeg = b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0\xff\xd9";
    let ppm = b"P6 65535 65535 255\n";
    for (bytes, format) in [(&gif[..], Format::Gif), (jpeg, Format::Jpeg), (ppm, Format::Pnm)] {
        let error = decode(bytes, "bomb").unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{format}: {error}");
    }
}

#[test]
fn limits_are_raised_one_by_one() {
    let wide = Limits { max_pixels: 60_000 * 60_000, ..Limits::default() };
    let large = Limits { allow_large: true, ..Limits::default() };
    let both = Limits { allow_large: true, ..wide };
    let limit = |limits: Limits| match limits.probe(&bomb(60_000), "bomb.png") {
        Err(Error::TooLarge { limit, is_packed, .. }) => Some((limit, is_packed)),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    };
    assert_eq!(limit(wide), Some((17_049_664, true)));
    assert_eq!(limit(large), Some((MAX_PIXELS, false)));
    assert_eq!(limit(both), None);
    let small = Limits { max_pixels: 99, ..Limits::default() };
    let png = |side| small.probe(&bomb(side), "a.png").is_ok();
    assert_eq!((png(9), png(10)), (true, false));
}
