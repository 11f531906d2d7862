//! Curves: points joined by lines between two axes.

use ganscope_images::Image;

use super::Result;
use super::axis::Axis;
use super::drawing::{Anchor, CAPTION, Drawing, GRAY, NOTE, TEXT, TITLE, Text};
use super::font::{self, CAPITALS};

/// Size of the drawing.
const SIZE: [usize; 2] = [600, 420];
/// Pixels of the image per unit of the drawing.
const SCALE: usize = 2;
/// Space around the drawing.
const MARGIN: f64 = 16.0;
/// Most ticks of an axis.
const TICKS: usize = 8;
/// Color of the line and its points.
const INK: &str = "#1f4e79";
const GRID: &str = "#e4e4e4";
const LINE: f64 = 2.0;
const RADIUS: f64 = 4.0;
/// Half the width of the end of an error bar.
const CAP: f64 = 4.0;

/// A point of a curve.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Point {
    /// Horizontal place.
    pub x: f64,
    /// Vertical place.
    pub y: f64,
    /// Standard deviation of `y`, drawn as an error bar of one deviation to either side.
    pub std: Option<f64>,
    /// Text beside the point; nothing if empty.
    pub label: String,
}

/// Points joined in their order.
///
/// Points with a coordinate that is not finite are left out, and the line ends there.
///
/// ```
/// use ganscope::figures::{Curve, Point};
///
/// let point = |x, y| Point { x, y, ..Point::default() };
/// let curve = Curve {
///     title: "FID over truncation".into(),
///     x: "truncation".into(),
///     y: "FID ↓".into(),
///     points: vec![point(0.5, 9.1), point(1.0, 7.3)],
/// };
/// assert!(curve.svg()?.contains("truncation"));
/// assert_eq!(curve.image()?.width, 1200);
/// # Ok::<(), ganscope::figures::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Heading.
    pub title: String,
    /// Name of the horizontal axis; a final ↑ or ↓ tells where better values are.
    pub x: String,
    /// Name of the vertical axis.
    pub y: String,
    /// The points.
    pub points: Vec<Point>,
}

impl Curve {
    /// The curve as an SVG that needs no other file.
    ///
    /// # Errors
    /// See [`Error`](super::Error).
    pub fn svg(&self) -> Result<String> {
        self.drawing().svg()
    }

    /// The curve as an SVG element of a [`Page`](super::page::Page), which has the font.
    ///
    /// # Errors
    /// See [`Error`](super::Error).
    pub fn inline_svg(&self) -> Result<String> {
        self.drawing().inline_svg()
    }

    /// The same drawing as an image of 1200 x 840 pixels.
    ///
    /// # Errors
    /// See [`Error`](super::Error).
    pub fn image(&self) -> Result<Image> {
        self.drawing().image(SCALE)
    }

    fn drawing(&self) -> Drawing {
        let ends = |p: &Point| [p.y, p.y - p.std.unwrap_or(0.0), p.y + p.std.unwrap_or(0.0)];
        let xs = Axis::new(self.points.iter().map(|p| p.x), TICKS);
        let ys = Axis::new(self.points.iter().flat_map(ends), TICKS);
        let frame = Frame::new(xs, ys);
        let mut drawing = Drawing::new(SIZE[0], SIZE[1]);
        frame.draw(&mut drawing, self);
        let places: Vec<(f64, f64)> =
            self.points.iter().map(|p| (frame.column(p.x), frame.row(p.y))).collect();
        let finite = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
        for (point, &(x, _)) in self.points.iter().zip(&places).filter(|(_, at)| finite(at)) {
            if let Some(std) = point.std.filter(|std| std.is_finite() && *std > 0.0) {
                let [low, high] = [point.y - std, point.y + std].map(|y| frame.row(y));
                drawing.line((x, low), (x, high), INK, 1.0);
                for end in [low, high] {
                    drawing.line((x - CAP, end), (x + CAP, end), INK, 1.0);
                }
            }
        }
        for line in places.split(|at| !finite(at)).filter(|line| line.len() > 1) {
            drawing.path(line, INK, LINE);
        }
        for &place in places.iter().filter(|at| finite(at)) {
            drawing.dot(place, RADIUS, INK);
        }
        for (i, point) in self.points.iter().enumerate().filter(|&(i, _)| finite(&places[i])) {
            let (x, y) = places[i];
            let width = font::width(&point.label, NOTE) + 8.0;
            let fits = |(side, up): (f64, f64)| {
                (frame.left..=frame.right).contains(&(x + side * width))
                    && (frame.top..=frame.bottom).contains(&(y - up * 1.4 * NOTE))
            };
            let (side, up) = free_corner(&places, i, fits);
            let anchor = if side > 0.0 { Anchor::Start } else { Anchor::End };
            let baseline = if up > 0.0 { y - 5.0 } else { y + 5.0 + CAPITALS * NOTE };
            drawing.text(&Text {
                text: &point.label,
                x: x + 7.0 * side,
                y: baseline,
                size: NOTE,
                color: GRAY,
                anchor,
                upwards: false,
            });
        }
        drawing
    }
}

/// The axes, and where they lie in the drawing.
struct Frame {
    xs: Axis,
    ys: Axis,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame {
    fn new(xs: Axis, ys: Axis) -> Self {
        let widest = ys.ticks.iter().map(|(_, label)| font::width(label, NOTE));
        let left = MARGIN + 1.8 * CAPTION + widest.fold(0.0, f64::max) + 8.0;
        let [width, height] = SIZE.map(|length| length as f64);
        let bottom = height - MARGIN - 3.1 * CAPTION;
        // Whole numbers, so that straight lines have sharp edges.
        Self { xs, ys, left: left.ceil(), right: width - MARGIN, top: 52.0, bottom: bottom.floor() }
    }

    fn column(&self, x: f64) -> f64 {
        self.left + self.xs.share(x) * (self.right - self.left)
    }

    fn row(&self, y: f64) -> f64 {
        self.bottom - self.ys.share(y) * (self.bottom - self.top)
    }

    fn draw(&self, drawing: &mut Drawing, curve: &Curve) {
        let Self { left, right, top, bottom, .. } = *self;
        let text = |text, (x, y), size, anchor| Text {
            text,
            x,
            y,
            size,
            color: TEXT,
            anchor,
            upwards: false,
        };
        for (value, label) in &self.xs.ticks {
            let x = self.column(*value).round();
            drawing.line((x, top), (x, bottom), GRID, 1.0);
            let place = (x, bottom + 8.0 + CAPITALS * NOTE);
            drawing.text(&Text { color: GRAY, ..text(label, place, NOTE, Anchor::Middle) });
        }
        for (value, label) in &self.ys.ticks {
            let y = self.row(*value).round();
            drawing.line((left, y), (right, y), GRID, 1.0);
            let place = (left - 8.0, y + 0.5 * CAPITALS * NOTE);
            drawing.text(&Text { color: GRAY, ..text(label, place, NOTE, Anchor::End) });
        }
        drawing.path(&[(left, top), (left, bottom), (right, bottom)], GRAY, 1.0);
        let [width, height] = SIZE.map(|length| length as f64);
        let (middle, center) = (0.5 * (left + right), 0.5 * (top + bottom));
        let title = font::fit(&curve.title, TITLE, width - 2.0 * MARGIN);
        let title_middle = 0.5 * font::width(&title, TITLE) + MARGIN;
        let title_place = (middle.min(width - title_middle), MARGIN + CAPITALS * TITLE);
        drawing.text(&text(&title, title_place, TITLE, Anchor::Middle));
        drawing.text(&text(&curve.x, (middle, height - MARGIN), CAPTION, Anchor::Middle));
        let place = (MARGIN + CAPITALS * CAPTION, center);
        drawing.text(&Text { upwards: true, ..text(&curve.y, place, CAPTION, Anchor::Middle) });
    }
}

/// The corner, right or left and above or below, in which a label at `points[index]` is farthest from
/// the lines to its neighbors, among the corners that `fits` accepts if there are any. `points` are places
/// in the drawing, y downwards.
fn free_corner(
    points: &[(f64, f64)],
    index: usize,
    fits: impl Fn((f64, f64)) -> bool,
) -> (f64, f64) {
    let (x, y) = points[index];
    let before = index.checked_sub(1).and_then(|before| points.get(before));
    let lines = before.into_iter().chain(points.get(index + 1)).map(|&(to_x, to_y)| {
        let (dx, dy) = (to_x - x, y - to_y);
        let length = dx.hypot(dy).max(f64::MIN_POSITIVE);
        (dx / length, dy / length)
    });
    let lines: Vec<_> = lines.filter(|(dx, dy)| dx.is_finite() && dy.is_finite()).collect();
    let nearness = |(right, up): (f64, f64)| {
        lines.iter().map(|(dx, dy)| right * dx + up * dy).fold(f64::NEG_INFINITY, f64::max)
    };
    let corners = [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)];
    let order = |&a: &(f64, f64), &b: &(f64, f64)| {
        fits(b).cmp(&fits(a)).then(nearness(a).total_cmp(&nearness(b)))
    };
    let best = corners.into_iter().min_by(order);
    best.expect("there are four corners")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> Curve {
        let point = |x, y, label: &str| Point { x, y, std: None, label: label.into() };
        Curve {
            title: "FID & \"IS\"".into(),
            x: "precision".into(),
            y: "recall ↑".into(),
            points: vec![point(1.0, 2.0, "0.5"), point(2.0, 1.0, "1.0"), point(3.0, 1.4, "1.5")],
        }
    }

    fn ink(image: &Image) -> Vec<(usize, usize)> {
        let pixels = image.pixels.chunks_exact(3).enumerate();
        let ink = pixels.filter(|(_, p)| *p == [0x1f, 0x4e, 0x79]);
        ink.map(|(i, _)| (i % image.width, i / image.width)).collect()
    }

    #[test]
    fn an_svg_names_the_axes_and_the_points() {
        let svg = curve().svg().unwrap();
        for text in ["FID &amp; &quot;IS&quot;", "precision", "recall", ">0.5<"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg.matches("<circle").count(), 3);
        assert_eq!(svg.matches("@font-face").count(), 1);
        assert_eq!(curve().inline_svg().unwrap().matches("@font-face").count(), 0);
    }

    #[test]
    fn a_line_is_equally_wide_in_all_directions() {
        // Along a line at any angle, pixels of pure ink and mixed ones sum to its width.
        let at = |angle: f64| {
            let mut drawing = Drawing::new(200, 200);
            let (dx, dy) = (80.0 * angle.cos(), 80.0 * angle.sin());
            drawing.line((100.0 - dx, 100.0 - dy), (100.0 + dx, 100.0 + dy), "#000", LINE);
            let image = drawing.image(SCALE).unwrap();
            let darkness = image.pixels.chunks_exact(3).map(|p| 1.0 - f64::from(p[0]) / 255.0);
            darkness.sum::<f64>() / (2.0 * 80.0 * 2.0)
        };
        for degrees in [0.0, 10.0, 30.0, 45.0, 63.0, 90.0_f64] {
            let width = at(degrees.to_radians());
            assert!((width - 2.0 * LINE).abs() < 0.05 * LINE, "{degrees}: {width}");
        }
    }

    #[test]
    fn error_bars_reach_one_deviation_to_either_side() {
        let point = |x, std| Point { x, y: 5.0, std, label: String::new() };
        let points = vec![point(0.0, None), point(1.0, Some(2.0)), point(2.0, None)];
        let curve = Curve { points, ..Curve::default() };
        let rows: Vec<usize> = ink(&curve.image().unwrap()).into_iter().map(|(_, y)| y).collect();
        let (top, bottom) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
        let frame = Frame::new(
            Axis::new([0.0, 2.0].into_iter(), TICKS),
            Axis::new([3.0, 7.0].into_iter(), TICKS),
        );
        for (row, y) in [(*top, 7.0), (*bottom, 3.0)] {
            assert!((row as f64 - 2.0 * frame.row(y)).abs() <= 2.0, "{row} {y}");
        }
    }

    #[test]
    fn points_that_are_not_finite_end_the_line() {
        let mut curve = curve();
        curve.points[1].y = f64::NAN;
        let svg = curve.svg().unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(!svg.contains("NaN"), "{svg}");
        assert!(Curve::default().image().is_ok());
    }

    #[test]
    fn the_same_curve_is_the_same_bytes() {
        assert_eq!(curve().image().unwrap(), curve().image().unwrap());
        assert_eq!(curve().svg().unwrap(), curve().svg().unwrap());
    }

    #[test]
    fn nothing_is_drawn_at_the_edge() {
        let mut curve = curve();
        curve.title = "a title that is far too long to stand above the curve in one line".repeat(2);
        curve.points[2].label = "a long label".into();
        let image = curve.image().unwrap();
        let inside = |p: usize, length: usize| (8..length - 8).contains(&p);
        for (i, pixel) in image.pixels.chunks_exact(3).enumerate() {
            let (x, y) = (i % image.width, i / image.width);
            assert!(
                pixel == [255; 3] || inside(x, image.width) && inside(y, image.height),
                "{x} {y}"
            );
        }
    }

    #[test]
    fn a_label_keeps_away_from_the_line() {
        // y downwards.
        let rising = [(0.0, 2.0), (1.0, 1.0), (2.0, 0.0)];
        assert_eq!(free_corner(&rising, 1, |_| true), (-1.0, 1.0));
        let falling = [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)];
        assert_eq!(free_corner(&falling, 1, |_| true), (1.0, 1.0));
        let valley = [(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)];
        assert_eq!(free_corner(&valley, 1, |_| true).1, -1.0);
        assert_eq!(free_corner(&[(0.0, 0.0)], 0, |_| true), (1.0, 1.0));
        // Below is no room.
        assert_eq!(free_corner(&valley, 1, |(_, up)| up > 0.0), (1.0, 1.0));
    }
}
