//! Curves as SVG and PNG, and text in pictures.

use anyhow::{Context as _, Result, anyhow};
use ganscope_images::Image;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

/// Roboto, reduced to Latin letters (Apache-2.0), so that a picture needs no font of the system.
const FONT: &[u8] = include_bytes!("plot/roboto-latin.ttf");
const FAMILY: &str = "sans-serif";
const SIZE: (u32, u32) = (600, 420);
const INK: RGBColor = RGBColor(0x1f, 0x4e, 0x79);
const GREY: RGBColor = RGBColor(0x55, 0x55, 0x55);
const TEXT: RGBColor = RGBColor(0x22, 0x22, 0x22);

/// Points joined in their order, each with a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Heading.
    pub title: String,
    /// Name of the horizontal axis.
    pub x_name: String,
    /// Name of the vertical axis.
    pub y_name: String,
    /// Place and label of each point.
    pub points: Vec<(f64, f64, String)>,
}

impl Curve {
    /// The curve as SVG.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn svg(&self) -> Result<String> {
        let mut text = String::new();
        self.draw(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area())?;
        Ok(text)
    }

    /// The curve as pixels.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn image(&self) -> Result<Image> {
        let (width, height) = (SIZE.0 as usize, SIZE.1 as usize);
        let mut pixels = vec![255; 3 * width * height];
        self.draw(&BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area())?;
        Ok(Image { width, height, pixels })
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<()> {
        register()?;
        let failed = |e: DrawingAreaErrorKind<B::ErrorType>| anyhow!("draw `{}`: {e}", self.title);
        area.fill(&WHITE).map_err(failed)?;
        let xs = range(self.points.iter().map(|p| p.0));
        let ys = range(self.points.iter().map(|p| p.1));
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, (FAMILY, 22))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(68)
            .build_cartesian_2d(xs, ys)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc(&self.x_name)
            .y_desc(&self.y_name)
            .label_style((FAMILY, 15))
            .axis_desc_style((FAMILY, 17))
            .light_line_style(TRANSPARENT)
            .bold_line_style(GREY.mix(0.15))
            .draw()
            .map_err(failed)?;
        let line = self.points.iter().map(|p| (p.0, p.1));
        chart.draw_series(LineSeries::new(line, INK.stroke_width(2))).map_err(failed)?;
        let dots = self.points.iter().map(|p| Circle::new((p.0, p.1), 4, INK.filled()));
        chart.draw_series(dots).map_err(failed)?;
        let style = (FAMILY, 14).into_font().color(&GREY);
        let label = |p: &(f64, f64, String)| {
            EmptyElement::at((p.0, p.1)) + Text::new(p.2.clone(), (7, -15), style.clone())
        };
        chart.draw_series(self.points.iter().map(label)).map_err(failed)?;
        area.present().map_err(failed)
    }
}

/// Registering again is harmless.
fn register() -> Result<()> {
    register_font(FAMILY, FontStyle::Normal, FONT).ok().context("read the font")
}

/// Which end of a line of text lies at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// The text begins there.
    Left,
    /// The text ends there.
    Right,
}

/// A line of text in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The text.
    pub text: String,
    /// Distance from the left and the upper edge of the picture, in pixels.
    pub place: (usize, usize),
    /// Size of the font, in pixels.
    pub size: usize,
    /// Which end of the text lies at its place.
    pub align: Align,
}

/// Writes lines of text into a picture, in dark grey.
///
/// # Errors
/// When the font cannot draw.
pub fn write_lines(image: &mut Image, lines: &[Line]) -> Result<()> {
    register()?;
    let size = (image.width as u32, image.height as u32);
    let area = BitMapBackend::with_buffer(&mut image.pixels, size).into_drawing_area();
    for line in lines {
        let failed = |e| anyhow!("write `{}`: {e}", line.text);
        let end = if line.align == Align::Left { HPos::Left } else { HPos::Right };
        let style = TextStyle::from((FAMILY, line.size as f64).into_font())
            .color(&TEXT)
            .pos(Pos::new(end, VPos::Top));
        let place = (line.place.0 as i32, line.place.1 as i32);
        area.draw(&Text::new(line.text.as_str(), place, style)).map_err(failed)?;
    }
    area.present().map_err(|e| anyhow!("write text: {e}"))
}

/// Width of a text, in pixels.
///
/// # Errors
/// When the font cannot be read.
pub fn text_width(text: &str, size: usize) -> Result<usize> {
    register()?;
    let font = (FAMILY, size as f64).into_font();
    let (width, _) = font.box_size(text).map_err(|e| anyhow!("measure `{text}`: {e}"))?;
    Ok(width as usize)
}

/// From the smallest to the largest value, with some air; one value gets a unit around it.
fn range(values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let finite = values.filter(|v| v.is_finite());
    let low = finite.clone().fold(f64::INFINITY, f64::min);
    let high = finite.fold(f64::NEG_INFINITY, f64::max);
    match high - low {
        spread if spread > 0.0 => low - 0.06 * spread..high + 0.1 * spread,
        _ if low.is_finite() => low - 0.5..low + 0.5,
        _ => 0.0..1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> Curve {
        let points = vec![(1.0, 2.0, "0.5".into()), (2.0, 1.0, "1".into())];
        let name = |s: &str| s.to_owned();
        Curve { title: name("FID"), x_name: name("precision"), y_name: name("recall"), points }
    }

    #[test]
    fn an_svg_names_the_axes_and_the_points() {
        let svg = curve().svg().unwrap();
        for text in ["FID", "precision", "recall", "0.5"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg.matches("<circle").count(), 2);
    }

    #[test]
    fn a_picture_has_a_line_in_the_colour_of_ink() {
        let image = curve().image().unwrap();
        let ink = [INK.0, INK.1, INK.2];
        let count = image.pixels.chunks_exact(3).filter(|p| *p == ink).count();
        assert!(count > 100, "{count}");
    }

    #[test]
    fn text_lies_where_it_is_put_and_nowhere_else() {
        let mut image = Image::filled(120, 40, [255; 3]);
        let line = |align, place| Line { text: "LRP".into(), place, size: 16, align };
        write_lines(&mut image, &[line(Align::Left, (70, 10))]).unwrap();
        let dark = |image: &Image| -> Vec<usize> {
            let pixels = image.pixels.chunks_exact(3).enumerate();
            pixels.filter(|(_, p)| p[0] < 128).map(|(i, _)| i % 120).collect()
        };
        let width = text_width("LRP", 16).unwrap();
        let columns = dark(&image);
        assert!(columns.len() > 20 && (15..45).contains(&width), "{} {width}", columns.len());
        assert!(columns.iter().all(|&x| (70..72 + width).contains(&x)), "{columns:?}");
        let mut image = Image::filled(120, 40, [255; 3]);
        write_lines(&mut image, &[line(Align::Right, (70, 10))]).unwrap();
        assert!(dark(&image).iter().all(|&x| x <= 71), "{:?}", dark(&image));
    }

    #[test]
    fn a_single_point_has_a_range_around_it() {
        assert_eq!(range([3.0].into_iter()), 2.5..3.5);
        assert_eq!(range([f64::NAN].into_iter()), 0.0..1.0);
    }
}
