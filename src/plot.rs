//! Curves as SVG and PNG, and text in pictures.

use anyhow::{Context as _, Result, anyhow};
use ganscope_images::Image;
use plotters::coord::Shift;
use plotters::coord::ranged1d::BoldPoints;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

/// Roboto, reduced to Latin letters (Apache-2.0), so that a picture needs no font of the system.
const FONT: &[u8] = include_bytes!("plot/roboto-latin.ttf");
const FAMILY: &str = "sans-serif";
const SIZE: (u32, u32) = (600, 420);
/// Most labels of an axis.
const LABELS: usize = 10;
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
        let (x_digits, y_digits) = (digits(&xs), digits(&ys));
        let (left, right, bottom, top) = (xs.start, xs.end, ys.start, ys.end);
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
            .x_labels(LABELS)
            .y_labels(LABELS)
            .x_label_formatter(&|x| format!("{x:.x_digits$}"))
            .y_label_formatter(&|y| format!("{y:.y_digits$}"))
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
        let places: Vec<_> = self.points.iter().map(|p| (p.0, p.1)).collect();
        let scale = (f64::from(SIZE.0) / (right - left), f64::from(SIZE.1) / (top - bottom));
        let label = |(index, p): (usize, &(f64, f64, String))| {
            let (side, up) = free_corner(&places, index, scale);
            let horizontal = if side > 0.0 { HPos::Left } else { HPos::Right };
            let vertical = if up > 0.0 { VPos::Bottom } else { VPos::Top };
            let style = TextStyle::from((FAMILY, 14).into_font())
                .color(&GREY)
                .pos(Pos::new(horizontal, vertical));
            let offset = ((7.0 * side) as i32, (-3.0 * up) as i32);
            EmptyElement::at((p.0, p.1)) + Text::new(p.2.clone(), offset, style)
        };
        chart.draw_series(self.points.iter().enumerate().map(label)).map_err(failed)?;
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

/// Digits after the point with which the labels of an axis are exact, four at most.
fn digits(range: &std::ops::Range<f64>) -> usize {
    let labels = RangedCoordf64::from(range.clone()).key_points(BoldPoints(LABELS));
    let exact = |digits: &usize| {
        let scale = 10_f64.powi(*digits as i32);
        labels.iter().all(|label| (label * scale - (label * scale).round()).abs() < 1e-6 * scale)
    };
    (0..4).find(exact).unwrap_or(4)
}

/// The corner, right or left and above or below, in which a label at `points[index]` is farthest from
/// the lines to its neighbours; `scale` makes pixels of differences.
fn free_corner(points: &[(f64, f64)], index: usize, scale: (f64, f64)) -> (f64, f64) {
    let (x, y) = points[index];
    let before = index.checked_sub(1).and_then(|before| points.get(before));
    let lines = before.into_iter().chain(points.get(index + 1)).map(|&(to_x, to_y)| {
        let (dx, dy) = ((to_x - x) * scale.0, (to_y - y) * scale.1);
        let length = dx.hypot(dy).max(f64::MIN_POSITIVE);
        (dx / length, dy / length)
    });
    let lines: Vec<_> = lines.collect();
    let nearness = |(right, up): (f64, f64)| {
        lines.iter().map(|(dx, dy)| right * dx + up * dy).fold(f64::NEG_INFINITY, f64::max)
    };
    let corners = [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)];
    let best = corners.into_iter().min_by(|&a, &b| nearness(a).total_cmp(&nearness(b)));
    best.expect("there are four corners")
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
    fn labels_of_an_axis_are_exact() {
        let cases =
            [(0.896..0.917, 3), (0.0..1.0, 1), (0.364..0.899, 2), (0.0..12.0, 0), (5.5..7.6, 1)];
        for (range, expected) in cases {
            assert_eq!(digits(&range), expected, "{range:?}");
        }
    }

    #[test]
    fn a_label_keeps_away_from_the_line() {
        let rising = [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)];
        assert_eq!(free_corner(&rising, 1, (1.0, 1.0)), (-1.0, 1.0));
        let falling = [(0.0, 2.0), (1.0, 1.0), (2.0, 0.0)];
        assert_eq!(free_corner(&falling, 1, (1.0, 1.0)), (1.0, 1.0));
        let valley = [(0.0, 1.0), (1.0, 0.0), (2.0, 1.0)];
        assert_eq!(free_corner(&valley, 1, (1.0, 1.0)).1, -1.0);
        assert_eq!(free_corner(&[(0.0, 0.0)], 0, (1.0, 1.0)), (1.0, 1.0));
    }

    #[test]
    fn a_single_point_has_a_range_around_it() {
        assert_eq!(range([3.0].into_iter()), 2.5..3.5);
        assert_eq!(range([f64::NAN].into_iter()), 0.0..1.0);
    }
}
