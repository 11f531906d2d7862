//! What a hostile file can make this process allocate.
#![cfg(target_os = "linux")]

use ganscope_weights::{ReadOptions, inspect_bytes, read_bytes};

/// Growth of the address space that is allowed: the 400 MB that the longest pickle may take, twice
/// for growing vectors, and some room for the allocator.
const ALLOWED: u64 = 1 << 30;

/// Peak size of the address space in bytes: it counts what is reserved, used or not.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmPeak:")).expect("the peak is there");
    let kilobytes: u64 =
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kilobytes * 1024
}

#[test]
fn claims_are_not_allocated() {
    let before = peak();
    let huge = "1099511627776"; // 2^40
    let npy = |shape: &str| {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let length = (text.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
    };
    let safetensors =
        |header: &str| [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let files = [
        npy(&format!("{huge},")),
        npy(&format!("1, {huge}")),
        safetensors(&format!(
            "{{\"a\":{{\"dtype\":\"F64\",\"shape\":[{huge}],\"data_offsets\":[0,8796093022208]}}}}"
        )),
        [0x00FF_FFFFu64.to_le_bytes().as_slice(), b"{"].concat(),
        // One instruction a byte: marks, lists, memo entries, values
        [b"\x80\x04".as_slice(), &b"(".repeat(4_000_000)].concat(),
        [b"\x80\x04".as_slice(), &b"]".repeat(4_000_000)].concat(),
        [b"\x80\x04".as_slice(), &b"]\x94".repeat(2_000_000)].concat(),
        [b"\x80\x04".as_slice(), &b"N".repeat(4_000_000), b"."].concat(),
        // Claims of length
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(),
        b"\x80\x04\x8e\0\0\0\0\x80\0\0\0".to_vec(),
        b"\x80\x04\x95\0\0\0\0\x80\0\0\0.".to_vec(),
    ];
    for file in files {
        assert!(read_bytes(&file, &ReadOptions::default()).is_err());
        drop(inspect_bytes(&file));
    }
    let grown = peak() - before;
    assert!(grown < ALLOWED, "{} MiB", grown >> 20);
}
