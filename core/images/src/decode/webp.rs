//! WebP: frames that claim another size than the picture, for which a decoder would allocate.

use super::{Failure, reason};

/// Bytes of the header of a frame of an animation, before its chunks.
const FRAME_HEADER: usize = 16;

/// Fails if a frame of the file is larger than the picture.
pub(super) fn check_frames(bytes: &[u8], width: usize, height: usize) -> Result<(), Failure> {
    check(bytes.get(12..).unwrap_or_default(), width, height)
}

fn check(mut chunks: &[u8], width: usize, height: usize) -> Result<(), Failure> {
    while let Some((&[k0, k1, k2, k3, l0, l1, l2, l3], rest)) = chunks.split_first_chunk() {
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let content = &rest[..len.min(rest.len())];
        let size = match &[k0, k1, k2, k3] {
            b"VP8 " => content.get(6..10).map(|size| {
                let side =
                    |at: usize| usize::from(u16::from_le_bytes([size[at], size[at + 1]]) & 0x3FFF);
                (side(0), side(2))
            }),
            b"VP8L" => content.get(1..5).map(|size| {
                let bits = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
                ((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1)
            }),
            b"ANMF" => {
                check(content.get(FRAME_HEADER..).unwrap_or_default(), width, height)?;
                None
            }
            _ => None,
        };
        if size.is_some_and(|(w, h)| w > width || h > height) {
            return Err(reason("a frame that is larger than the picture"));
        }
        chunks = rest.get(len.next_multiple_of(2)..).unwrap_or_default();
    }
    Ok(())
}
