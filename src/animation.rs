//! Moving pictures: GIF, and WebP without loss.
//!
//! WebP container: <https://developers.google.com/speed/webp/docs/riff_container>.

use anyhow::{Context as _, Result, bail, ensure};
use ganscope_images::Image;
use image::ExtendedColorType;
use image::codecs::webp::WebPEncoder;

/// A GIF that repeats for ever; each frame has a palette of 256 colours of its own.
///
/// # Errors
/// When a frame cannot be computed or has another size than the first.
pub fn gif(frames: impl Iterator<Item = Result<Image>>, fps: f64) -> Result<Vec<u8>> {
    /// 1 is the best palette and 30 the fastest.
    const PALETTE_SPEED: i32 = 10;
    let delay = (milliseconds(fps)? as f64 / 10.0).round() as u16;
    let mut size = None;
    let mut encoder: Option<gif::Encoder<Vec<u8>>> = None;
    for frame in frames {
        let frame = frame?;
        let (width, height) = same_size(&mut size, &frame)?;
        let (width, height) = (width as u16, height as u16);
        let encoder = match &mut encoder {
            Some(encoder) => encoder,
            none => {
                let mut begun = gif::Encoder::new(Vec::new(), width, height, &[])?;
                begun.set_repeat(gif::Repeat::Infinite)?;
                none.insert(begun)
            }
        };
        let mut frame = gif::Frame::from_rgb_speed(width, height, &frame.pixels, PALETTE_SPEED);
        // No less than a hundredth of a second.
        frame.delay = delay.max(1);
        encoder.write_frame(&frame)?;
    }
    let encoder = encoder.context("an animation of no frames")?;
    Ok(encoder.into_inner()?)
}

/// An animated WebP that repeats for ever and keeps every pixel.
///
/// # Errors
/// When a frame cannot be computed, has another size than the first, or is too large for the format.
pub fn webp(frames: impl Iterator<Item = Result<Image>>, fps: f64) -> Result<Vec<u8>> {
    const ANIMATED: u8 = 0b10;
    const OPAQUE_FRAME: u8 = 0b10;
    let delay = milliseconds(fps)?;
    let mut size = None;
    let mut chunks = Vec::new();
    for frame in frames {
        let frame = frame?;
        let (width, height) = same_size(&mut size, &frame)?;
        if chunks.is_empty() {
            let mut canvas = vec![ANIMATED, 0, 0, 0];
            canvas.extend(three_bytes(width - 1).into_iter().chain(three_bytes(height - 1)));
            push_chunk(&mut chunks, *b"VP8X", &canvas);
            // Background colour, and 0 for no end.
            push_chunk(&mut chunks, *b"ANIM", &[0, 0, 0, 0, 0, 0]);
        }
        let numbers = [0, 0, width - 1, height - 1, delay];
        let mut body: Vec<u8> = numbers.into_iter().flat_map(three_bytes).collect();
        body.push(OPAQUE_FRAME);
        body.extend(still(&frame)?);
        push_chunk(&mut chunks, *b"ANMF", &body);
    }
    ensure!(size.is_some(), "an animation of no frames");
    let mut bytes = b"RIFF".to_vec();
    let length = u32::try_from(chunks.len() + 4).context("an animation beyond 4 GiB")?;
    bytes.extend(length.to_le_bytes());
    bytes.extend(b"WEBP");
    bytes.extend(chunks);
    Ok(bytes)
}

/// The `VP8L` chunk of one image.
fn still(frame: &Image) -> Result<Vec<u8>> {
    /// `RIFF`, length, `WEBP`.
    const HEADER: usize = 12;
    let mut bytes = Vec::new();
    let (width, height) = (frame.width as u32, frame.height as u32);
    WebPEncoder::new_lossless(&mut bytes).encode(
        &frame.pixels,
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    let chunk = bytes.split_off(HEADER);
    ensure!(chunk.starts_with(b"VP8L"), "the encoder wrote no plain lossless image");
    Ok(chunk)
}

/// Appends a chunk: name, length, content, and a zero where the length is odd.
fn push_chunk(bytes: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    bytes.extend(name);
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend(content);
    bytes.extend(std::iter::repeat_n(0, content.len() % 2));
}

/// The lower 24 bits, little endian.
fn three_bytes(value: u32) -> [u8; 3] {
    let [a, b, c, _] = value.to_le_bytes();
    [a, b, c]
}

fn milliseconds(fps: f64) -> Result<u32> {
    ensure!((0.1..=1000.0).contains(&fps), "{fps} frames a second, expected 0.1 to 1000");
    Ok((1000.0 / fps).round() as u32)
}

/// The size of the first frame, which `frame` must have.
fn same_size(size: &mut Option<(u32, u32)>, frame: &Image) -> Result<(u32, u32)> {
    /// Of WebP; GIF takes more.
    const LARGEST: u32 = 16383;
    let this = (frame.width as u32, frame.height as u32);
    if this != *size.get_or_insert(this) {
        bail!("a frame of {}x{} pixels among others", this.0, this.1);
    }
    let fits = |pixels| (1..=LARGEST).contains(&pixels);
    ensure!(fits(this.0) && fits(this.1), "a frame of {}x{} pixels", this.0, this.1);
    Ok(this)
}

#[cfg(test)]
mod tests {
    use image::codecs::webp::WebPDecoder;
    use image::{AnimationDecoder as _, Frame};

    use super::*;

    /// A gradient that moves, with an odd width so that rows and chunks are not aligned.
    fn frames(count: usize) -> Vec<Image> {
        let frame = |k: usize| {
            let pixels = (0..7 * 5).flat_map(|p| [p * 7, p % 7 * 30, k * 50].map(|v| v as u8));
            Image::new(7, 5, pixels.collect()).unwrap()
        };
        (0..count).map(frame).collect()
    }

    fn rgb(frame: &Frame) -> Vec<u8> {
        frame.buffer().pixels().flat_map(|p| [p[0], p[1], p[2]]).collect()
    }

    #[test]
    fn a_webp_gives_back_every_pixel_of_every_frame() {
        let frames = frames(3);
        let bytes = webp(frames.iter().cloned().map(Ok), 24.0).unwrap();
        let decoder = WebPDecoder::new(std::io::Cursor::new(bytes)).unwrap();
        assert!(decoder.has_animation());
        let decoded = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(decoded.len(), 3);
        for (decoded, frame) in decoded.iter().zip(&frames) {
            assert_eq!(rgb(decoded), frame.pixels);
            assert_eq!(decoded.delay().numer_denom_ms(), (42, 1));
        }
    }

    #[test]
    fn a_gif_gives_back_frames_of_few_colours() {
        let frames = frames(2);
        let bytes = gif(frames.iter().cloned().map(Ok), 10.0).unwrap();
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(&bytes[..]).unwrap();
        for frame in &frames {
            let decoded = decoder.read_next_frame().unwrap().unwrap();
            let rgb: Vec<u8> =
                decoded.buffer.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect();
            assert_eq!((rgb, decoded.delay), (frame.pixels.clone(), 10));
        }
        assert!(decoder.read_next_frame().unwrap().is_none());
        assert_eq!(decoder.repeat(), gif::Repeat::Infinite);
    }

    #[test]
    fn what_makes_no_animation_is_an_error() {
        let none = || std::iter::empty();
        assert!(webp(none(), 24.0).is_err() && gif(none(), 24.0).is_err());
        let sizes =
            || [Image::filled(2, 2, [0; 3]), Image::filled(2, 3, [0; 3])].map(Ok).into_iter();
        for error in [webp(sizes(), 24.0), gif(sizes(), 24.0)].map(Result::unwrap_err) {
            assert!(error.to_string().contains("2x3"), "{error}");
        }
        assert!(webp(sizes(), 0.0).is_err());
        assert!(gif(sizes(), f64::NAN).is_err());
    }
}
