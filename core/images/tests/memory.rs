//! What a small hostile file can make this process allocate.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write as _;

use ganscope_images::{ImageSet, SetOptions, decode, probe};

/// Growth of the address space that is allowed: 2^24 pixels, which any file may claim, at the 32
/// bytes of the widest TIFF, and their 3 bytes of RGB.
const ALLOWED: u64 = 35 << 24;

/// Peak size of the address space in bytes: it counts what is reserved, used or not.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmPeak:")).expect("the peak is there");
    let kilobytes: u64 =
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kilobytes * 1024
}

/// A PNG of `side` x `side` pixels that ends after its header.
fn png(side: u32) -> Vec<u8> {
    let side = side.to_be_bytes();
    let header = [b"IHDR", &side[..], &side, &[16, 6, 0, 0, 0]].concat();
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0d", &header[..], &crc.sum().to_be_bytes(), b"\0\0\0\x04IDAT"]
        .concat()
}

/// A TIFF whose tag `tag` claims `count` values of 2 bytes.
fn tiff(tag: u16, count: u32) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        let (tag, kind) = (tag.to_le_bytes(), kind.to_le_bytes());
        [&tag[..], &kind, &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let entries =
        [entry(256, 4, 1, 4096), entry(257, 4, 1, 4096), entry(tag, 3, count, 8)].concat();
    [b"II*\0\x08\0\0\0\x03\0", &entries[..], &[0; 4]].concat()
}

#[test]
fn claims_are_not_allocated() {
    let before = peak();
    let jpeg = |kind: u8, side: u16| {
        let side = side.to_be_bytes();
        let frame = [&[0xFF, 0xD8, 0xFF, kind, 0, 20, 8], &side[..], &side, &[4]].concat();
        [&frame[..], &[1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0], &[0xFF, 0xD9]].concat()
    };
    let gif = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\0;";
    let bmp = |side: u32| {
        let side = side.to_le_bytes();
        [b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", &side[..], &side, b"\x01\0\x18\0", &[0; 24]]
            .concat()
    };
    let webp = b"RIFF\x14\0\0\0WEBPVP8L\x08\0\0\0\x2f\xff\xff\xff\x0f\0\0\0";
    let files = [
        png(4096),
        png(u32::MAX),
        jpeg(0xC0, 4096),
        jpeg(0xC2, 4096),
        jpeg(0xC2, u16::MAX),
        gif.to_vec(),
        bmp(4096),
        bmp(1 << 30),
        webp.to_vec(),
        b"P6 4096 4096 65535\n".to_vec(),
        b"P6 99999999 99999999 255\n".to_vec(),
        tiff(273, 1 << 27),
        tiff(320, u32::MAX),
        tiff(258, 1),
    ];
    for file in &files {
        assert!(decode(file, "x").is_err());
        drop(probe(file, "x"));
    }

    // Sets that claim more than they hold.
    let npy = |shape: &str| {
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let length = (text.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
    };
    let mut packed = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    packed.start_file("arr_0.npy", zip::write::SimpleFileOptions::default()).unwrap();
    packed.write_all(&npy("1099511627776, 10000, 10000, 3")).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path("a.png").unwrap();
    header.set_size(1 << 29);
    header.set_cksum();
    let sets = [
        npy("1099511627776, 8, 8, 3"),
        npy("1, 10000, 10000, 3"),
        packed.finish().unwrap().into_inner(),
        [header.as_bytes(), &[0; 1024][..]].concat(),
    ];
    for bytes in sets {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        if let Ok(set) = ImageSet::open(file.path(), &SetOptions::default()) {
            assert!(set.get(0).is_err());
        }
    }
    let grown = peak() - before;
    assert!(grown < ALLOWED, "{} MiB", grown >> 20);
}
