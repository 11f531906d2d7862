//! Seeds, and cases made of them.

use std::path::{Path, PathBuf};

use crate::Target;

/// Largest seed: small files are read fast, and a change hits their structure.
const LARGEST: u64 = 16 << 10;

/// The seeds of a target: files of the repository, each with its name.
pub fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut open: Vec<PathBuf> = ["cli/tests/attacks", "tests/golden/data", "tests/hostile/seeds"]
        .map(|f| root.join(f))
        .into();
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let Ok(kind) = entry.metadata() else { continue };
            if kind.is_dir() {
                open.push(path);
            } else if kind.len() <= LARGEST
                && let Ok(bytes) = std::fs::read(path)
                && (target.is_seed)(&name, &bytes)
            {
                found.push((name, bytes));
            }
        }
    }
    found.extend((1..=3).map(|n| (format!("{n}.rows"), crate::stored(n))));
    found.retain(|(name, bytes)| (target.is_seed)(name, bytes));
    found.extend(images().into_iter().filter(|(name, bytes)| (target.is_seed)(name, bytes)));
    found.sort();
    found
}

/// The images that decoders are compared with Pillow on.
fn images() -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/images/tests/pillow.npz");
    let arrays = ganscope::weights::npz::read(&path).unwrap_or_default();
    let files = arrays.into_iter().filter_map(|(key, array)| {
        Some((key.strip_suffix("/file")?.to_owned(), array.into_data()))
    });
    files.filter(|(_, bytes)| bytes.len() as u64 <= LARGEST).collect()
}

/// Numbers that are far from random: xorshift64*, Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators, scrambled", 2016.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.number() >> 11) as usize % n
    }
}

/// Numbers at which readers go wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    1 << 40,
    u64::MAX / 2,
    u64::MAX - 1,
    u64::MAX,
];

/// A case: a seed with a few changes.
pub fn case(seeds: &[(String, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].1.clone();
    for _ in 0..=random.below(4) {
        change(&mut bytes, seeds, random);
    }
    bytes.truncate(4 * LARGEST as usize);
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[(String, Vec<u8>)], random: &mut Random) {
    if bytes.is_empty() {
        bytes.push(random.number() as u8);
        return;
    }
    let at = random.below(bytes.len());
    let most = (bytes.len() - at).min(64);
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.number() as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + random.below(most + 1))),
        4 => {
            let copy = bytes[at..at + random.below(most + 1)].to_vec();
            bytes.splice(at..at, copy);
        }
        5 => {
            // A number of 1, 2, 4 or 8 bytes in either order.
            let size = 1 << random.below(4);
            let edge = EDGES[random.below(EDGES.len())];
            let (little, big) = (edge.to_le_bytes(), edge.to_be_bytes());
            let number = if random.below(2) == 0 { &little[..size] } else { &big[8 - size..] };
            let end = bytes.len().min(at + size);
            bytes[at..end].copy_from_slice(&number[..end - at]);
        }
        6 => {
            let other = &seeds[random.below(seeds.len())].1;
            if !other.is_empty() {
                let from = random.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
        7 => {
            // Another digit, for texts.
            let digits: Vec<usize> =
                (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).take(512).collect();
            if !digits.is_empty() {
                bytes[digits[random.below(digits.len())]] = b'0' + random.below(10) as u8;
            }
        }
        _ => {
            let with = random.number() as u8;
            let end = at + random.below(most + 1);
            bytes[at..end].fill(with);
        }
    }
}
