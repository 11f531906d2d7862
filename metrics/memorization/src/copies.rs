//! Generated images that are nearly copies of training images.

use ganscope_neighbors::{Frame, Packed, Rows, nearest};
use ganscope_stats::{Features, LeastImages, Result, Side};

use crate::{Nearest, nearest_training_images};

/// An image is nearly a copy if it is this share of the usual spacing away from a training image.
const NEAR: f64 = 0.25;

/// Copies of which fewer are chance: real images have doubles, too.
const FEWEST: usize = 3;

/// Copies are more than chance if they are this many times as frequent as among real images.
const TIMES: f64 = 3.0;

impl Nearest {
    /// The distance as a share of the spacing of the training images there; zero for a copy, and about
    /// one for an image that is like the others.
    pub fn closeness(&self) -> f64 {
        if self.distance == 0.0 { 0.0 } else { self.distance / self.spacing }
    }

    /// Whether the image is nearly a copy: its [`closeness`](Self::closeness) is below a quarter.
    pub fn is_near_copy(&self) -> bool {
        self.closeness() < NEAR
    }
}

/// Generated images beside their nearest training images, and how near real images lie to these.
#[derive(Debug, Clone, PartialEq)]
pub struct Copies {
    /// The nearest training image of each generated image.
    pub images: Vec<Nearest>,
    /// The same of real images, which cannot be copies: held-out images, or each training image beside
    /// the others.
    pub real: Vec<Nearest>,
}

/// Looks for copies of training images.
///
/// Held-out images tell how near real images lie to each other; without them, each training image is
/// compared with the rest.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) for fewer than three training images, and those
/// of [`nearest_training_images`].
pub fn copies(
    generated: &Features,
    training: &Features,
    held_out: Option<&Features>,
) -> Result<Copies> {
    LeastImages::always(3).check("the search for copies", Side::Reference, training.len())?;
    let images = nearest_training_images(generated, training)?;
    let real = match held_out {
        Some(held_out) => nearest_training_images(held_out, training)?,
        None => beside_the_rest(training),
    };
    Ok(Copies { images, real })
}

/// The nearest other training image of each, and the spacing of that one without the first.
fn beside_the_rest(training: &Features) -> Vec<Nearest> {
    let frame = Frame::around(&[training]);
    let rows = Rows::new(training, &frame);
    let two = nearest(&Packed::new(&rows), 2);
    let describe = |(i, list): (usize, &Vec<ganscope_neighbors::Neighbor>)| {
        let other = list[0].row;
        let spacing = two[other].iter().find(|neighbor| neighbor.row != i);
        let spacing = spacing.map_or(0.0, |neighbor| neighbor.squared);
        Nearest {
            training: other,
            distance: rows.distance(list[0].squared),
            spacing: rows.distance(spacing),
        }
    };
    two.iter().enumerate().map(describe).collect()
}

impl Copies {
    /// Indices of the near copies, the nearest first.
    pub fn near(&self) -> Vec<usize> {
        let mut near: Vec<usize> =
            (0..self.images.len()).filter(|&i| self.images[i].is_near_copy()).collect();
        let closeness = |i: usize| self.images[i].closeness();
        near.sort_by(|&a, &b| closeness(a).total_cmp(&closeness(b)).then(a.cmp(&b)));
        near
    }

    /// Number of near copies among the real images.
    pub fn among_real(&self) -> usize {
        self.real.iter().filter(|nearest| nearest.is_near_copy()).count()
    }

    /// Whether near copies are more frequent than among real images by more than chance: at least three,
    /// and three times as frequent even with one more real one.
    pub fn are_suspicious(&self) -> bool {
        let near = self.images.iter().filter(|nearest| nearest.is_near_copy()).count();
        let share = near as f64 / self.images.len().max(1) as f64;
        let usual = (self.among_real() + 1) as f64 / self.real.len().max(1) as f64;
        near >= FEWEST && share > TIMES * usual
    }
}

#[cfg(test)]
mod tests {
    use ganscope_golden::sets;
    use ganscope_stats::Error;
    use ganscope_stats::random::RandomState;

    use super::*;

    fn normal(n: usize, seed: u32) -> Features {
        let values = RandomState::new(seed).standard_normals(6 * n);
        Features::from_vec(values.into_iter().map(|x| x as f32).collect(), 6).unwrap()
    }

    #[test]
    fn every_copy_is_found_and_no_other_image() {
        let training = normal(300, 1);
        let mut rows = normal(200, 2).into_vec();
        // Every 20th image is a copy, half of them with a little noise.
        for i in (0..200).step_by(20) {
            for k in 0..6 {
                let noise = if i % 40 == 0 { 0.01 } else { 0.0 };
                rows[6 * i + k] = training.row(i)[k] + noise;
            }
        }
        let generated = Features::from_vec(rows, 6).unwrap();
        for held_out in [None, Some(normal(200, 3))] {
            let found = copies(&generated, &training, held_out.as_ref()).unwrap();
            let mut near = found.near();
            assert!(near[..5].iter().all(|i| i % 40 == 20), "copies come first: {near:?}");
            near.sort_unstable();
            assert_eq!(near, (0..200).step_by(20).collect::<Vec<_>>());
            assert!(near.iter().all(|&i| found.images[i].training == i));
            assert!(found.are_suspicious());
        }
    }

    #[test]
    fn real_images_raise_no_suspicion_even_where_some_are_double() {
        let training = normal(300, 1);
        assert!(!copies(&normal(300, 2), &training, None).unwrap().are_suspicious());
        // A tenth of all images has a double, in both sets alike.
        let doubled = |set: Features, from: &Features| {
            let mut rows = set.into_vec();
            rows[..6 * 30].copy_from_slice(&from.as_slice()[..6 * 30]);
            Features::from_vec(rows, 6).unwrap()
        };
        let held_out = doubled(normal(300, 4), &training);
        let generated = doubled(normal(300, 5), &training);
        let found = copies(&generated, &training, Some(&held_out)).unwrap();
        assert_eq!((found.near().len(), found.among_real()), (30, 30));
        assert!(!found.are_suspicious());
    }

    #[test]
    fn the_rest_is_what_a_set_without_the_image_would_be() {
        let sets::Rows { data, dim } = sets::rows("clusters", "test");
        let training = Features::from_vec(data, dim).unwrap();
        let found = beside_the_rest(&training);
        for i in [0, 7, 199] {
            let one = training.select(&[i]);
            let rest: Vec<usize> = (0..training.len()).filter(|&k| k != i).collect();
            let expected = nearest_training_images(&one, &training.select(&rest)).unwrap()[0];
            assert_eq!(found[i].training, rest[expected.training]);
            assert!((found[i].distance / expected.distance - 1.0).abs() < 1e-9);
            assert!((found[i].spacing / expected.spacing - 1.0).abs() < 1e-9);
        }
        let two = training.select(&[0, 1]);
        assert!(matches!(copies(&two, &two, None), Err(Error::TooFewImages { got: 2, .. })));
    }
}
