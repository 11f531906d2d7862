//! GIF: the first frame.

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, Decoder};

use super::{Failure, reason};
use crate::{Image, Limits};

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

/// A decoder that stands at the first frame, and the size of the picture: the screen, enlarged
/// where the frame reaches beyond it.
fn open(bytes: &[u8], limits: Limits) -> Result<(Reader<'_>, usize, usize), Failure> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let mut decoder = options.read_info(Cursor::new(bytes))?;
    let frame = decoder.next_frame_info()?.ok_or_else(|| reason("no frame"))?;
    let right = u64::from(frame.left) + u64::from(frame.width);
    let bottom = u64::from(frame.top) + u64::from(frame.height);
    limits.checked_size(frame.width, frame.height, bytes.len())?;
    let (width, height) = (right.max(decoder.width().into()), bottom.max(decoder.height().into()));
    let (width, height) = limits.checked_size(width, height, bytes.len())?;
    Ok((decoder, width, height))
}

pub(super) fn size(bytes: &[u8], limits: Limits) -> Result<(usize, usize), Failure> {
    open(bytes, limits).map(|(_, width, height)| (width, height))
}

pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Image, Failure> {
    let (mut decoder, width, height) = open(bytes, limits)?;
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices)?;
    let frame = decoder.current_frame_info().ok_or_else(|| reason("no frame"))?;
    let colors = decoder.palette()?.as_chunks::<3>().0;
    let color = |index: u8| colors.get(index as usize).copied().unwrap_or([0; 3]);
    let mut canvas = Image::filled(width, height, color(frame.transparent.unwrap_or(0)));
    let (left, top) = (frame.left as usize, frame.top as usize);
    for (y, row) in indices.chunks_exact(frame.width as usize).enumerate() {
        let start = 3 * ((top + y) * width + left);
        let target = &mut canvas.pixels[start..start + 3 * row.len()];
        for (rgb, &index) in target.as_chunks_mut::<3>().0.iter_mut().zip(row) {
            *rgb = color(index);
        }
    }
    Ok(canvas)
}
