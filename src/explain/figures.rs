//! Drawings of what was found in images, and the files that they are written to.

use std::path::Path;

use ganscope_explain::heat::{self, Palette};
use ganscope_explain::randomization::Forgotten;
use ganscope_explain::{Evidence, Method, Superpixels};
use ganscope_images::{Image, save_png};
use ganscope_model::{FeatureMap, Shape};
use ganscope_weights::{Array, npy};

use super::report::MapFacts;
use super::{Explained, Map};
use crate::error::{Error, Result};
use crate::figures::{Cell, Curve, Point, Row, Sheet};
use crate::files::{make_folder, write_text};

/// Smaller pictures are enlarged by repeating pixels to about so many a side.
const PICTURE: usize = 224;
/// Weight of the colors over the gray image.
const WEIGHT: f64 = 0.7;
/// Share of pixels within the scale of the colors.
const SHARE: f64 = 0.995;
/// Color of the outlines of superpixels.
const OUTLINE: [u8; 3] = [40; 3];
/// Pictures are this many times as wide as an outline.
const LINES: usize = 450;

/// The value at the end of the colors of a map: 99.5 % of its pixels are within, all if these are 0.
pub(crate) fn end(map: &FeatureMap) -> f64 {
    match heat::scale(map, SHARE) {
        0.0 => heat::scale(map, 1.0),
        end => end,
    }
}

/// A map in colors over a gray copy of a picture, both enlarged if they are small.
///
/// # Errors
/// If the map does not fit the picture.
pub(crate) fn over(picture: &Image, map: &FeatureMap, palette: Palette, end: f64) -> Result<Image> {
    let times = (PICTURE / picture.width.max(1)).max(1);
    let size = [picture.width, picture.height];
    let heat = if [map.shape.w, map.shape.h] == size {
        heat::draw(map, palette, end, size).enlarged(times)
    } else {
        heat::draw(map, palette, end, size.map(|s| s * times))
    };
    Ok(heat::overlay(&picture.enlarged(times), &heat, WEIGHT)?)
}

/// Draws the outlines of the parts of a picture, which may be larger than the one that was cut.
fn outline(picture: &mut Image, parts: &Superpixels) {
    let (width, height) = (picture.width, picture.height);
    let line = (width / LINES).max(1);
    let label = |x: usize, y: usize| {
        parts.labels[y * parts.height / height * parts.width + x * parts.width / width]
    };
    for (i, pixel) in picture.pixels.chunks_exact_mut(3).enumerate() {
        let (x, y) = (i % width, i / width);
        let (right, below) = ((x + line).min(width - 1), (y + line).min(height - 1));
        if label(x, y) != label(right, y) || label(x, y) != label(x, below) {
            pixel.copy_from_slice(&OUTLINE);
        }
    }
}

impl Map {
    /// Its colors, those of the method whatever the values of this map.
    pub fn palette(&self) -> Palette {
        Palette::of(self.evidence)
    }

    /// The magnitude that has the strongest color.
    pub fn scale(&self) -> f64 {
        end(&self.values)
    }
}

impl Explained {
    /// A map in colors over the picture that the network sees, in gray.
    ///
    /// # Errors
    /// If the map does not fit the picture.
    pub fn heat(&self, map: &Map) -> Result<Image> {
        let mut heat = over(&self.picture, &map.values, map.palette(), end(&map.values))?;
        if let Some(parts) = &map.superpixels {
            outline(&mut heat, parts);
        }
        Ok(heat)
    }

    /// A map in colors over the whole image in gray, in the size of the image. The network sees the
    /// square in the middle; the rest has no colors.
    ///
    /// # Errors
    /// If the map does not fit the image.
    pub fn overlay(&self, map: &Map) -> Result<Image> {
        let mut whole = heat::overlay(&self.image, &self.image, 0.0)?;
        let [rows, columns] = self.image.middle_square();
        let corner = [columns.start, rows.start];
        let square = self.image.cropped(rows, columns);
        let size = [square.width, square.height];
        let heat = heat::draw(&map.values, map.palette(), end(&map.values), size);
        let mut square = heat::overlay(&square, &heat, WEIGHT)?;
        if let Some(parts) = &map.superpixels {
            outline(&mut square, parts);
        }
        whole.paste(&square, corner);
        Ok(whole)
    }

    /// The target with its probability: `t-shirt (0), 99.5 %`.
    pub fn heading(&self) -> String {
        format!("{}, {:.1} %", self.title, 100.0 * self.report.target.probability)
    }

    /// The image and its maps, with captions and scales.
    fn cells(&self) -> Result<Vec<Cell>> {
        let mut cells = vec![Cell::new(self.large()).caption(&self.report.image)];
        for (map, facts) in self.maps.iter().zip(&self.report.maps) {
            let cell = Cell::new(self.heat(map)?).caption(map.method.name()).note(note(facts));
            cells.push(cell.scale(map.palette(), end(&map.values)));
        }
        Ok(cells)
    }

    /// The picture, enlarged if it is small.
    fn large(&self) -> Image {
        self.picture.enlarged((PICTURE / self.picture.width.max(1)).max(1))
    }

    /// Writes `METHOD.png` and `METHOD.npy` for each method, `METHOD-standard-error.npy` where values have
    /// one, `METHOD-randomization.png` where layers forgot, `sheet.png` and `report.json` into `folder`;
    /// `overlays` adds `METHOD-overlay.png` in the size of the image.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path, overlays: bool) -> Result<()> {
        make_folder(folder)?;
        for map in &self.maps {
            let name = map.method.name();
            save_png(&folder.join(format!("{name}.png")), &self.heat(map)?)?;
            if overlays {
                save_png(&folder.join(format!("{name}-overlay.png")), &self.overlay(map)?)?;
            }
            write_map(&folder.join(format!("{name}.npy")), &map.values)?;
            if let Some(errors) = &map.standard_error {
                write_map(&folder.join(format!("{name}-standard-error.npy")), errors)?;
            }
        }
        for facts in &self.report.maps {
            if let Some(curve) = facts.forgetting() {
                let name = format!("{}-randomization.png", facts.method);
                save_png(&folder.join(name), &curve.image()?)?;
            }
        }
        save_png(&folder.join("sheet.png"), &sheet(std::slice::from_ref(self))?.image()?)?;
        let json = serde_json::to_string_pretty(&self.report)? + "\n";
        write_text(&folder.join("report.json"), &json)
    }
}

fn write_map(path: &Path, map: &FeatureMap) -> Result<()> {
    let Shape { c, h, w } = map.shape;
    Ok(npy::write(path, &Array::from_f32([c, h, w], &map.to_nchw())?)?)
}

impl MapFacts {
    /// How alike the map stays while layers forget; none if this was not asked for.
    pub fn forgetting(&self) -> Option<Curve> {
        let forgotten = self.randomization.as_ref()?;
        let last = forgotten.len() - 1;
        let point = |(i, f): (usize, &Forgotten)| {
            let label = if i == 1 || i == last { f.down_to.clone() } else { String::new() };
            Point { x: f.layers as f64, y: f.likeness, label, ..Point::default() }
        };
        // A point that is not drawn: the axis starts at zero, whatever the values.
        let zero = Point { x: f64::NAN, y: 0.0, ..Point::default() };
        Some(Curve {
            title: format!("{}, layers random from the top", self.method),
            x: "layers with random weights".into(),
            y: "rank correlation with the map".into(),
            points: forgotten.iter().enumerate().map(point).chain([zero]).collect(),
        })
    }
}

/// The number below a map.
fn note(facts: &MapFacts) -> String {
    let mut parts = Vec::new();
    parts.extend(facts.r_squared.map(|r| format!("R² {r:.2}")));
    parts.extend(facts.noise.map(|noise| format!("noise {:.0} %", 100.0 * noise)));
    if let Some(m) = &facts.measures {
        parts.push(format!("deletion {:.2}, ROAD {:.2}", m.deletion, m.road));
    }
    parts.join(", ")
}

/// A sheet of one image, or of several with a row for each.
///
/// # Errors
/// If there is no image, or a map does not fit its image.
pub fn sheet(found: &[Explained]) -> Result<Sheet> {
    let [first, rest @ ..] = found else {
        return Err(Error::request("a sheet needs an image"));
    };
    let (title, target) = match rest {
        [] => (first.heading(), first.title.as_str()),
        _ => (String::new(), "the class"),
    };
    let heading = |one: &Explained| if rest.is_empty() { String::new() } else { one.heading() };
    let row = |one| Ok(Row { heading: heading(one), cells: one.cells()?, ..Row::default() });
    let rows = found.iter().map(row).collect::<Result<Vec<Row>>>()?;
    let legend = legend(first, target);
    Ok(Sheet { title, legend, rows, ..Sheet::default() })
}

/// What the colors of the maps mean.
fn legend(found: &Explained, target: &str) -> String {
    let names = |positive: bool| -> Vec<&str> {
        let of = |map: &&Map| (map.palette() == Palette::Positive) == positive;
        found.maps.iter().filter(of).map(|map| map.method.name()).collect()
    };
    let mut parts = Vec::new();
    if !names(false).is_empty() {
        parts.push(format!("Red speaks for {target}, blue against it, white does neither."));
    }
    let positive = names(true);
    if !positive.is_empty() {
        let absolute = found.maps.iter().any(|map| map.evidence == Evidence::Absolute);
        let what = if absolute { "what matters most" } else { "what speaks for it most" };
        let list = positive.join(", ");
        parts.push(format!("{list}: from violet, nothing, to yellow, {what}."));
    }
    if found.maps.iter().any(|map| map.method == Method::Lime) {
        parts.push("lime: R² is the share of the answer's variance that its parts explain.".into());
    }
    if found.report.maps.iter().any(|map| map.noise.is_some()) {
        parts.push("Noise: standard errors as a share of the map.".into());
    }
    parts.push("Each map has its own scale.".into());
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of 4 x 2 pixels with a map of the square in its middle.
    fn found(method: Method, values: [f32; 4]) -> Explained {
        let class =
            |class| super::super::report::ClassFacts { class, name: None, probability: 0.5 };
        let image = Image::filled(4, 2, [100; 3]);
        let shape = Shape { c: 1, h: 2, w: 2 };
        let values = FeatureMap::new(1, shape, values.to_vec()).unwrap();
        Explained {
            report: super::super::report::Report {
                image: "x.png".into(),
                model: "m".into(),
                weights_sha256: String::new(),
                target: class(0),
                against: None,
                score: 1.0,
                than: None,
                top: vec![class(0)],
                maps: Vec::new(),
                random_order: None,
                left_out: Vec::new(),
                options: crate::explain::options::MethodOptions::default(),
                warnings: Vec::new(),
                ganscope: "0",
            },
            maps: vec![Map {
                method,
                values,
                evidence: method.evidence(),
                superpixels: None,
                standard_error: None,
            }],
            picture: image.cropped(0..2, 1..3),
            image,
            title: "class 0".into(),
            folder: "x".into(),
        }
    }

    #[test]
    fn the_colors_of_a_method_do_not_depend_on_the_values() {
        for values in [[1.0; 4], [-1.0; 4], [0.0; 4]] {
            assert_eq!(found(Method::Lrp, values).maps[0].palette(), Palette::Signed);
            assert_eq!(found(Method::GradCam, values).maps[0].palette(), Palette::Positive);
        }
    }

    #[test]
    fn an_overlay_has_the_size_of_the_image_and_colors_what_the_network_sees() {
        let found = found(Method::Lrp, [1.0; 4]);
        let overlay = found.overlay(&found.maps[0]).unwrap();
        assert_eq!((overlay.width, overlay.height), (4, 2));
        let is_gray = |x: usize| {
            let pixel = &overlay.pixels[3 * x..][..3];
            pixel[0] == pixel[1] && pixel[1] == pixel[2]
        };
        assert_eq!([0, 1, 2, 3].map(is_gray), [true, false, false, true]);
    }

    #[test]
    fn few_values_that_are_not_zero_still_have_a_scale() {
        let shape = Shape { c: 1, h: 100, w: 100 };
        let mut map = FeatureMap::filled(1, shape, 0.0);
        assert_eq!(end(&map), 0.0);
        map.data[7] = -3.0;
        assert_eq!(end(&map), 3.0);
    }

    #[test]
    fn outlines_separate_parts() {
        let parts = Superpixels::new(2, 1, &[0, 1]);
        let mut picture = Image::filled(8, 4, [200; 3]);
        outline(&mut picture, &parts);
        for (i, pixel) in picture.pixels.chunks_exact(3).enumerate() {
            assert_eq!(pixel == OUTLINE, i % 8 == 3, "{i}");
        }
    }
}
