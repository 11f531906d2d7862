//! Sheets of ascents, filters and patches.

use ganscope_explain::heat::Filters;
use ganscope_images::Image;

use super::latent::LatentMaximized;
use super::maximize::Maximized;
use super::units::{ClassifierFilters, Patch, UnitPatches};
use crate::figures::{Cell, Sheet, number};

/// Least side of the pictures of ascents.
const LARGE: usize = 224;
/// Least side of whole images and their patches.
const MIDDLE: usize = 128;
/// Least side of filters.
const SMALL: usize = 96;
/// Color of the frame around a patch.
const FRAME: [u8; 3] = [230, 60, 30];

impl Maximized {
    /// A sheet of the pictures that a classifier answers to most.
    pub fn sheet(found: &[Self]) -> Sheet {
        let model = found.first().map_or("a network", |one| &one.model);
        let cell = |one: &Self| {
            Cell::new(one.picture.clone()).caption(&one.title).note(one.answer.to_string())
        };
        Sheet {
            title: format!("What {model} answers to most"),
            legend: "Found by gradient ascent on the pixels, from faint noise. These images need \
                     not look like anything: the network answers to them nevertheless."
                .into(),
            least: LARGE,
            ..Sheet::of(found.iter().map(cell).collect())
        }
    }
}

impl LatentMaximized {
    /// A sheet of pairs: the picture of the seed, and that after the ascent.
    pub fn sheet(found: &[Self]) -> Sheet {
        let networks = found.first().map(|one| (one.model.as_str(), one.generator.as_str()));
        let (model, generator) = networks.unwrap_or(("a network", "a generator"));
        let pair = |one: &Self| {
            let cell = |picture: &Image| Cell::new(picture.clone());
            let (start, end) = (&one.start, &one.end);
            [
                cell(&start.picture)
                    .caption(format!("{}: seed {}", one.title, one.seed))
                    .note(start.answer.to_string()),
                cell(&end.picture).caption("after the ascent").note(end.answer.to_string()),
            ]
        };
        Sheet {
            title: format!("What {model} answers to most among the pictures of {generator}"),
            legend: "Pairs: the picture of a seed, and the picture after the ascent in its latent."
                .into(),
            least: LARGE,
            together: 2,
            columns: 6,
            ..Sheet::of(found.iter().flat_map(pair).collect())
        }
    }
}

impl ClassifierFilters {
    /// A sheet of filters with their numbers and the ranges of their weights.
    pub fn sheet(&self) -> Sheet {
        let Filters { layer, pictures, ranges } = &self.filters;
        let cell = |(i, (picture, [low, high])): (usize, (&Image, &[f32; 2]))| {
            let range = format!("{low:.2} to {high:.2}");
            Cell::new(picture.clone()).caption(i.to_string()).note(range)
        };
        let [height, width] = pictures.first().map_or([0, 0], |p| [p.height, p.width]);
        Sheet {
            title: format!("Filters of {layer} of {}, {height} x {width}", self.model),
            legend: "Each filter with its number, from its lowest weight, dark, to its highest, \
                     bright. Both are given below it."
                .into(),
            least: SMALL,
            ..Sheet::of(pictures.iter().zip(ranges).enumerate().map(cell).collect())
        }
    }
}

impl UnitPatches {
    /// A sheet of pairs: the whole image with a frame around the patch, and the patch.
    pub fn sheet(&self) -> Sheet {
        let pair = |patch: &Patch| {
            let activation = number(f64::from(patch.activation));
            [
                Cell::new(patch.framed()).caption(&patch.name).note(activation),
                Cell::new(patch.cut()).caption("patch"),
            ]
        };
        Sheet {
            title: format!("What {} of {} answers to most", self.title, self.model),
            legend: "Pairs: an image as the network sees it, with the largest activation of the \
                     unit, and the part of it that the unit sees there."
                .into(),
            least: MIDDLE,
            together: 2,
            columns: 10,
            ..Sheet::of(self.patches.iter().flat_map(pair).collect())
        }
    }
}

impl Patch {
    /// The part of the picture that the unit sees.
    pub fn cut(&self) -> Image {
        self.picture.cropped(self.rows.clone(), self.columns.clone())
    }

    /// The picture, enlarged if it is small, with a frame around the patch.
    pub fn framed(&self) -> Image {
        let times = MIDDLE.div_ceil(self.picture.width.max(1)).max(1);
        let mut picture = self.picture.enlarged(times);
        let (top, bottom) = (self.rows.start * times, self.rows.end * times);
        let (left, right) = (self.columns.start * times, self.columns.end * times);
        let width = picture.width;
        for (i, pixel) in picture.pixels.chunks_exact_mut(3).enumerate() {
            let (x, y) = (i % width, i / width);
            let inside = (top..bottom).contains(&y) && (left..right).contains(&x);
            let edge = |place: usize, from: usize, to: usize| place < from + 2 || place + 2 >= to;
            if inside && (edge(y, top, bottom) || edge(x, left, right)) {
                pixel.copy_from_slice(&FRAME);
            }
        }
        picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_surrounds_the_patch() {
        let patch = Patch {
            name: String::new(),
            activation: 1.0,
            picture: Image::filled(128, 128, [0; 3]),
            rows: 10..20,
            columns: 30..50,
        };
        let framed = patch.framed();
        let is_framed = |x: usize, y: usize| framed.pixels[3 * (y * 128 + x)..][..3] == FRAME;
        for (x, y) in [(30, 10), (49, 19), (31, 15), (48, 11)] {
            assert!(is_framed(x, y), "{x} {y}");
        }
        for (x, y) in [(29, 10), (50, 19), (40, 15), (30, 20), (30, 9)] {
            assert!(!is_framed(x, y), "{x} {y}");
        }
        let cut = patch.cut();
        assert_eq!((cut.width, cut.height), (20, 10));
    }
}
