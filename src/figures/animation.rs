//! Moving pictures: GIF; WebP and PNG without loss.
//!
//! WebP container: <https://developers.google.com/speed/webp/docs/riff_container>.

use ganscope_images::{Image, grid};
use image::ExtendedColorType;
use image::codecs::webp::WebPEncoder;

use super::drawing::{Anchor, CAPTION, Drawing, LINE, NOTE, TEXT, Text};
use super::font::{fit, width};
use super::{Error, Result};

const PAPER: [u8; 3] = [255; 3];
/// Pixels between the pictures of a frame.
const GAP: usize = 2;

/// Makes frames of pictures side by side, enlarged, with a caption above each.
#[derive(Debug, Clone)]
pub struct Strip {
    /// How many times each pixel is repeated in both directions.
    zoom: usize,
    /// The captions, drawn once for all frames.
    captions: Option<Image>,
}

impl Strip {
    /// A strip of `captions.len()` pictures, each `picture` pixels wide before it is enlarged `zoom`
    /// times. Captions are shortened to their picture; if all are empty, they take no space.
    ///
    /// # Errors
    /// If the captions cannot be drawn.
    pub fn new(captions: &[impl AsRef<str>], picture: usize, zoom: usize) -> Result<Self> {
        let zoom = zoom.max(1);
        if captions.iter().all(|caption| caption.as_ref().is_empty()) {
            return Ok(Self { zoom, captions: None });
        }
        let cell = picture * zoom;
        let fits = |caption: &str| width(caption, CAPTION) <= cell as f64;
        let size = if captions.iter().all(|c| fits(c.as_ref())) { CAPTION } else { NOTE };
        let height = (1.5 * LINE * size).ceil();
        let mut drawing = Drawing::new((cell + GAP) * captions.len() - GAP, height as usize);
        for (i, caption) in captions.iter().enumerate() {
            let text = fit(caption.as_ref(), size, cell as f64);
            let middle = (i * (cell + GAP)) as f64 + 0.5 * cell as f64;
            let text = Text::below(&text, (middle, 0.25 * LINE * size), size, TEXT);
            drawing.text(&Text { anchor: Anchor::Middle, ..text });
        }
        Ok(Self { zoom, captions: Some(drawing.image(1)?) })
    }

    /// The frame of these pictures.
    ///
    /// # Panics
    /// If their number or width is not that of the strip.
    pub fn frame(&self, pictures: &[Image]) -> Image {
        let pictures: Vec<Image> = pictures.iter().map(|p| p.enlarged(self.zoom)).collect();
        let row = grid(&pictures, pictures.len().max(1), GAP, PAPER);
        // Without the gap around the row.
        let (width, height) = (row.width - 2 * GAP, row.height - 2 * GAP);
        let top = self.captions.as_ref().map_or(0, |captions| captions.height);
        let mut frame = Image::filled(width, top + height, PAPER);
        if let Some(captions) = &self.captions {
            frame.paste(captions, [0, 0]);
        }
        for (i, picture) in pictures.iter().enumerate() {
            let cell = (width + GAP) / pictures.len();
            frame.paste(picture, [i * cell, top]);
        }
        frame
    }
}

/// A GIF that repeats forever; each frame has its own palette of 256 colors. It has no more than 50 frames per
/// second.
///
/// # Errors
/// If a frame is an error or has another size than the first, or the frame rate is not from 0.1 to 1000.
pub fn gif<E: From<Error>>(
    frames: impl Iterator<Item = Result<Image, E>>,
    fps: f64,
) -> Result<Vec<u8>, E> {
    /// 1 is the best palette and 30 the fastest.
    const PALETTE_SPEED: i32 = 10;
    /// In hundredths of a second. Browsers show frames of less for a tenth of a second.
    const LEAST_DELAY: u32 = 2;
    let delays = delays(fps, 100.0)?;
    let mut size = None;
    let mut encoder: Option<gif::Encoder<Vec<u8>>> = None;
    for (frame, delay) in frames.zip(delays) {
        let frame = frame?;
        let (width, height) = same_size(&mut size, &frame)?;
        let (width, height) = (width as u16, height as u16);
        let encoder = match &mut encoder {
            Some(encoder) => encoder,
            none => {
                let mut begun =
                    gif::Encoder::new(Vec::new(), width, height, &[]).map_err(Error::Gif)?;
                begun.set_repeat(gif::Repeat::Infinite).map_err(Error::Gif)?;
                none.insert(begun)
            }
        };
        let mut frame = gif::Frame::from_rgb_speed(width, height, &frame.pixels, PALETTE_SPEED);
        frame.delay = delay.max(LEAST_DELAY) as u16;
        encoder.write_frame(&frame).map_err(Error::Gif)?;
    }
    let encoder = encoder.ok_or(Error::NoFrames)?;
    Ok(encoder.into_inner().map_err(Error::Gif)?)
}

/// An animated WebP that repeats forever and keeps every pixel.
///
/// # Errors
/// If a frame is an error, has another size than the first, or is too large for the format, or the
/// frame rate is not from 0.1 to 1000.
pub fn webp<E: From<Error>>(
    frames: impl Iterator<Item = Result<Image, E>>,
    fps: f64,
) -> Result<Vec<u8>, E> {
    const ANIMATED: u8 = 0b10;
    const OPAQUE_FRAME: u8 = 0b10;
    let delays = delays(fps, 1000.0)?;
    let mut size = None;
    let mut chunks = Vec::new();
    for (frame, delay) in frames.zip(delays) {
        let frame = frame?;
        let (width, height) = same_size(&mut size, &frame)?;
        if chunks.is_empty() {
            let mut canvas = vec![ANIMATED, 0, 0, 0];
            canvas.extend(three_bytes(width - 1).into_iter().chain(three_bytes(height - 1)));
            push_chunk(&mut chunks, *b"VP8X", &canvas);
            // Background color, and 0 for no end.
            push_chunk(&mut chunks, *b"ANIM", &[0, 0, 0, 0, 0, 0]);
        }
        let numbers = [0, 0, width - 1, height - 1, delay];
        let mut body: Vec<u8> = numbers.into_iter().flat_map(three_bytes).collect();
        body.push(OPAQUE_FRAME);
        body.extend(still(&frame)?);
        push_chunk(&mut chunks, *b"ANMF", &body);
    }
    if size.is_none() {
        return Err(Error::NoFrames.into());
    }
    let mut bytes = b"RIFF".to_vec();
    let Ok(length) = u32::try_from(chunks.len() + 4) else { return Err(Error::WebpLength.into()) };
    bytes.extend(length.to_le_bytes());
    bytes.extend(b"WEBP");
    bytes.extend(chunks);
    Ok(bytes)
}

/// An animated PNG of `count` frames that repeats forever and keeps every pixel.
///
/// # Errors
/// If a frame is an error or has another size than the first, there are fewer than `count`, or the frame
/// rate is not from 0.1 to 1000.
pub fn apng<E: From<Error>>(
    count: usize,
    mut frames: impl Iterator<Item = Result<Image, E>>,
    fps: f64,
) -> Result<Vec<u8>, E> {
    let (numerator, denominator) = fraction(fps)?;
    let first = frames.next().ok_or(Error::NoFrames)??;
    let mut size = None;
    let (width, height) = same_size(&mut size, &first)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let begin = |mut encoder: png::Encoder<'_, _>| {
        encoder.set_animated(count as u32, 0)?;
        encoder.set_frame_delay(numerator, denominator)?;
        encoder.write_header()
    };
    let mut writer = begin(encoder).map_err(Error::Png)?;
    let mut got = 0;
    for frame in std::iter::once(Ok(first)).chain(frames).take(count) {
        let frame = frame?;
        same_size(&mut size, &frame)?;
        writer.write_image_data(&frame.pixels).map_err(Error::Png)?;
        got += 1;
    }
    if got < count {
        return Err(Error::FrameCount { got, expected: count }.into());
    }
    writer.finish().map_err(Error::Png)?;
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
    Ok(bytes.split_off(HEADER))
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

/// How long each frame lasts, in whole units of which a second has so many; they add up to the time of the
/// frames, rounded.
fn delays(fps: f64, units: f64) -> Result<impl Iterator<Item = u32>> {
    check_rate(fps)?;
    let at = move |frame: u32| (f64::from(frame) * units / fps).round() as u32;
    Ok((0..u32::MAX).map(move |frame| at(frame + 1) - at(frame)))
}

/// The time of a frame in seconds, as numerator and denominator.
fn fraction(fps: f64) -> Result<(u16, u16)> {
    check_rate(fps)?;
    // The rate to as many digits as there is room for.
    let digits = [1000, 100, 10, 1].map(|numerator: u16| (numerator, fps * f64::from(numerator)));
    let fits = digits.into_iter().find(|(_, rate)| *rate <= f64::from(u16::MAX));
    fits.map(|(numerator, rate)| (numerator, rate.round() as u16)).ok_or(Error::FrameRate(fps))
}

fn check_rate(fps: f64) -> Result<()> {
    let allowed = (0.1..=1000.0).contains(&fps);
    if allowed { Ok(()) } else { Err(Error::FrameRate(fps)) }
}

/// The size of the first frame, which `frame` must have.
fn same_size(size: &mut Option<(u32, u32)>, frame: &Image) -> Result<(u32, u32)> {
    /// Of WebP; GIF allows more.
    const LARGEST: u32 = 16383;
    let this = (frame.width as u32, frame.height as u32);
    let first = *size.get_or_insert(this);
    let failed = |expected| Error::FrameSize { width: frame.width, height: frame.height, expected };
    if this != first {
        return Err(failed(format!("{}x{} as the first one", first.0, first.1)));
    }
    let fits = |pixels| (1..=LARGEST).contains(&pixels);
    if fits(this.0) && fits(this.1) { Ok(this) } else { Err(failed(format!("1 to {LARGEST}"))) }
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
        let bytes = webp::<Error>(frames.iter().cloned().map(Ok), 24.0).unwrap();
        let decoder = WebPDecoder::new(std::io::Cursor::new(bytes)).unwrap();
        assert!(decoder.has_animation());
        let decoded = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(decoded.len(), 3);
        // An eighth of a second in all.
        for ((decoded, frame), delay) in decoded.iter().zip(&frames).zip([42, 41, 42]) {
            assert_eq!(rgb(decoded), frame.pixels);
            assert_eq!(decoded.delay().numer_denom_ms(), (delay, 1));
        }
    }

    #[test]
    fn a_png_gives_back_every_pixel_of_every_frame() {
        let frames = frames(3);
        let bytes = apng::<Error>(3, frames.iter().cloned().map(Ok), 50.0).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let control = *reader.info().animation_control().unwrap();
        assert_eq!((control.num_frames, control.num_plays), (3, 0));
        for frame in &frames {
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels, frame.pixels);
            let control = reader.info().frame_control().unwrap();
            assert_eq!((control.delay_num, control.delay_den), (1000, 50000));
        }
        let few = apng::<Error>(4, frames.into_iter().map(Ok), 50.0);
        assert!(matches!(few, Err(Error::FrameCount { got: 3, expected: 4 })));
    }

    #[test]
    fn a_gif_gives_back_frames_of_few_colors() {
        let frames = frames(2);
        let bytes = gif::<Error>(frames.iter().cloned().map(Ok), 10.0).unwrap();
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
    fn frames_add_up_to_their_time() {
        for fps in [60.0, 24.0, 29.97, 0.7, 1000.0] {
            for units in [100.0, 1000.0] {
                let all: u32 = delays(fps, units).unwrap().take(600).sum();
                assert_eq!(f64::from(all), (600.0 * units / fps).round(), "{fps}");
            }
            let (numerator, denominator) = fraction(fps).unwrap();
            let exact = f64::from(numerator) / f64::from(denominator);
            assert!((exact * fps - 1.0).abs() < 1e-9, "{fps}: {numerator} / {denominator}");
        }
        // Browsers play a GIF of shorter delays at ten frames per second.
        let bytes = gif::<Error>(frames(2).into_iter().map(Ok), 100.0).unwrap();
        let mut decoder = gif::DecodeOptions::new().read_info(&bytes[..]).unwrap();
        assert_eq!(decoder.read_next_frame().unwrap().unwrap().delay, 2);
    }

    #[test]
    fn what_makes_no_animation_is_an_error() {
        let none = std::iter::empty::<Result<Image>>;
        assert!(matches!(webp(none(), 24.0), Err(Error::NoFrames)));
        assert!(matches!(gif(none(), 24.0), Err(Error::NoFrames)));
        let sizes = || {
            let images = [Image::filled(2, 2, [0; 3]), Image::filled(2, 3, [0; 3])];
            images.map(Ok::<_, Error>).into_iter()
        };
        for error in [webp(sizes(), 24.0), gif(sizes(), 24.0)].map(Result::unwrap_err) {
            assert!(error.to_string().contains("2x3"), "{error}");
        }
        assert!(matches!(webp(sizes(), 0.0), Err(Error::FrameRate(_))));
        assert!(matches!(gif(sizes(), f64::NAN), Err(Error::FrameRate(_))));
    }

    #[test]
    fn captions_stand_above_enlarged_pictures() {
        let picture = Image::filled(32, 32, [9, 9, 9]);
        let strip = Strip::new(&["z", "z-slerp", "w"], 32, 3).unwrap();
        let frame = strip.frame(&vec![picture.clone(); 3]);
        assert_eq!((frame.width, frame.height), (3 * 96 + 2 * GAP, 32 + 96));
        let row = |y: usize| frame.pixels.chunks_exact(3).skip(y * frame.width).take(frame.width);
        assert!((0..32).flat_map(row).any(|p| p[0] < 100 && p != [9, 9, 9]), "no captions");
        assert_eq!((32..128).flat_map(row).filter(|p| *p == [9, 9, 9]).count(), 3 * 96 * 96);
        let plain = Strip::new(&["", ""], 32, 1).unwrap();
        assert_eq!(plain.frame(&vec![picture; 2]).height, 32);
    }
}
