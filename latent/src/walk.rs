//! Walks between latents: straight in Z, spherical in Z, straight in W, and smooth in W; and the lengths
//! of their steps.
//!
//! Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
//! <https://arxiv.org/abs/1812.04948>, section 4: Z is bent to fit the density of the data, W is not.

use std::fmt;
use std::str::FromStr;

use candle_core::Tensor;
use ganscope_model::{Generator, Truncation};

use crate::interpolate::{lerp, slerp};
use crate::{Error, Result, Spline};

/// How a walk goes from one point to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Straight lines between the `z`.
    Z,
    /// Arcs between the `z`.
    ZSlerp,
    /// Straight lines between the `ws`.
    W,
    /// A smooth closed curve through the `ws`, see [`Spline`].
    WSpline,
}

impl Space {
    /// All spaces, in the order of a comparison.
    pub const ALL: [Self; 4] = [Self::Z, Self::ZSlerp, Self::W, Self::WSpline];

    /// Its name in requests and captions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Z => "z",
            Self::ZSlerp => "z-slerp",
            Self::W => "w",
            Self::WSpline => "w-spline",
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Space {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|s| s.name() == text).ok_or_else(|| Error::List {
            what: "space",
            text: text.into(),
            problem: "no such space".into(),
            form: "z,z-slerp,w` or, for closed walks, `w-spline",
        })
    }
}

/// A point that a walk passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Waypoint {
    /// Latent.
    pub z: Vec<f32>,
    /// Class, for a conditional generator.
    pub class: Option<u32>,
}

/// The `ws` (N, `num_ws`, `w_dim`) of a walk through `points` with `steps` images from one to the
/// next, both included: N = (points - 1) (steps - 1) + 1.
///
/// Between points of different class `c` and `d`, the conditions are interpolated with the latents:
/// `lerp(map(z_t, c), map(z_t, d), t)` in Z and `lerp(map(z_0, c), map(z_1, d), t)` in W. Two points
/// with the same `z` make a class walk, which is the same in every straight space.
///
/// # Errors
/// If there are fewer than two points or steps, a point does not fit the generator, or a spline does
/// not end where it begins.
pub fn walk(
    generator: &dyn Generator,
    points: &[Waypoint],
    steps: usize,
    space: Space,
    truncation: Truncation,
) -> Result<Tensor> {
    for (name, value) in [("number of end points", points.len()), ("steps", steps)] {
        if value < 2 {
            let expected = "at least 2".into();
            return Err(Error::OutOfRange { name, got: value as f64, expected });
        }
    }
    let map = |point: &Waypoint| -> Result<(Vec<usize>, Vec<f32>)> {
        let z = Tensor::from_slice(&point.z, (1, point.z.len()), generator.device())?;
        let class = point.class.map(|c| [c]);
        let ws = generator.map(&z, class.as_ref().map(|c| &c[..]), truncation)?;
        Ok((ws.dims().to_vec(), ws.flatten_all()?.to_vec1::<f32>()?))
    };
    if space == Space::WSpline {
        if points.first() != points.last() {
            return Err(Error::OpenSpline);
        }
        let keys = walk(generator, points, 2, Space::W, truncation)?;
        return spline(&keys, steps);
    }
    let mut rows = Vec::new();
    let mut shape = Vec::new();
    for (leg, pair) in points.windows(2).enumerate() {
        let (from, to) = (&pair[0], &pair[1]);
        if from.z.len() != to.z.len() {
            let expected = format!("{}", from.z.len());
            return Err(Error::OutOfRange {
                name: "length of z",
                got: to.z.len() as f64,
                expected,
            });
        }
        let ends = (map(from)?, map(to)?);
        shape.clone_from(&ends.0.0);
        for step in usize::from(leg > 0)..steps {
            let t = step as f64 / (steps - 1) as f64;
            let ws = match space {
                Space::W | Space::WSpline => lerp(&ends.0.1, &ends.1.1, t),
                Space::Z | Space::ZSlerp => {
                    let between = if space == Space::Z { lerp } else { slerp };
                    let at = |class| Waypoint { z: between(&from.z, &to.z, t), class };
                    let ws = map(&at(from.class))?.1;
                    if from.class == to.class { ws } else { lerp(&ws, &map(&at(to.class))?.1, t) }
                }
            };
            rows.extend(ws);
        }
    }
    shape[0] = (points.len() - 1) * (steps - 1) + 1;
    Ok(Tensor::from_vec(rows, shape, generator.device())?)
}

/// The `ws` (N, `num_ws`, `w_dim`) of a walk in W through `keys` (K, `num_ws`, `w_dim`), with `steps`
/// images from one to the next, both included.
///
/// # Errors
/// If there are fewer than two keys or steps, the space is not one of W, or a spline does not end where it
/// begins.
pub fn walk_through(keys: &Tensor, steps: usize, space: Space) -> Result<Tensor> {
    let (count, num_ws, w_dim) = keys.dims3()?;
    for (name, value) in [("number of end points", count), ("steps", steps)] {
        if value < 2 {
            let expected = "at least 2".into();
            return Err(Error::OutOfRange { name, got: value as f64, expected });
        }
    }
    let flat: Vec<Vec<f32>> = keys.reshape((count, num_ws * w_dim))?.to_vec2()?;
    match space {
        Space::Z | Space::ZSlerp => Err(Error::NoLatents),
        Space::WSpline if flat.first() != flat.last() => Err(Error::OpenSpline),
        Space::WSpline => spline(keys, steps),
        Space::W => {
            let mut rows = flat[0].clone();
            for pair in flat.windows(2) {
                for step in 1..steps {
                    rows.extend(lerp(&pair[0], &pair[1], step as f64 / (steps - 1) as f64));
                }
            }
            let shape = ((count - 1) * (steps - 1) + 1, num_ws, w_dim);
            Ok(Tensor::from_vec(rows, shape, keys.device())?)
        }
    }
}

/// A smooth closed walk through all keys but the last, which is the first again.
fn spline(keys: &Tensor, steps: usize) -> Result<Tensor> {
    let keys = keys.narrow(0, 0, keys.dim(0)? - 1)?.contiguous()?;
    let mut frames = Spline::new(keys, steps - 1)?.frames().collect::<Result<Vec<_>>>()?;
    frames.push(frames[0].clone());
    Ok(Tensor::cat(&frames, 0)?)
}

/// Whether two walks are the same, up to the rounding of float32: no value differs by more than 1e-5 of
/// the largest.
///
/// # Errors
/// If a tensor cannot be read.
pub fn is_same_walk(a: &Tensor, b: &Tensor) -> Result<bool> {
    /// Sums of a few products.
    const F32_ROUNDING: f32 = 1e-5;
    if a.dims() != b.dims() {
        return Ok(false);
    }
    let [a, b]: [Vec<f32>; 2] = [a.flatten_all()?.to_vec1()?, b.flatten_all()?.to_vec1()?];
    let largest = a.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
    Ok(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= F32_ROUNDING * largest))
}

/// Lengths of the steps of walks that advance together, one picture of type `P` each.
#[derive(Debug, Clone)]
pub struct Lengths<P> {
    before: Vec<P>,
    walks: Vec<Vec<f64>>,
}

impl<P> Lengths<P> {
    /// No steps yet of a number of walks.
    pub fn new(walks: usize) -> Self {
        Self { before: Vec::new(), walks: vec![Vec::new(); walks] }
    }

    /// Goes on to the next picture of each walk. `meter` measures the steps from the pictures before to
    /// these, one length per walk.
    ///
    /// # Errors
    /// Those of the meter.
    pub fn push<E>(
        &mut self,
        pictures: Vec<P>,
        meter: impl FnOnce(&[P], &[P]) -> Result<Vec<f64>, E>,
    ) -> Result<(), E> {
        if !self.before.is_empty() {
            let steps = meter(&self.before, &pictures)?;
            self.walks.iter_mut().zip(steps).for_each(|(lengths, step)| lengths.push(step));
        }
        self.before = pictures;
        Ok(())
    }

    /// The lengths of the steps of each walk.
    pub fn into_walks(self) -> Vec<Vec<f64>> {
        self.walks
    }
}

/// Summary of the lengths of the steps of a walk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Length of the whole path.
    pub sum: f64,
    /// Mean length of a step; 0 without steps.
    pub mean: f64,
    /// Longest step; 0 without steps.
    pub longest: f64,
}

impl Summary {
    /// Of these lengths.
    pub fn of(lengths: &[f64]) -> Self {
        let sum: f64 = lengths.iter().sum();
        let mean = sum / lengths.len().max(1) as f64;
        Self { sum, mean, longest: lengths.iter().copied().fold(0.0, f64::max) }
    }
}

#[cfg(test)]
mod tests {
    use ganscope_model::TruncationKind;

    use super::*;
    use crate::toy::{DIM, NUM_WS, Toy};
    use crate::z_from_seed;

    const TOY: Toy = Toy(TruncationKind::Psi);
    /// The spaces of walks with ends.
    const STRAIGHT: [Space; 3] = [Space::Z, Space::ZSlerp, Space::W];

    fn point(seed: u32, class: u32) -> Waypoint {
        Waypoint { z: z_from_seed(seed, DIM), class: Some(class) }
    }

    fn rows(points: &[Waypoint], steps: usize, space: Space) -> Vec<Vec<f32>> {
        let ws = walk(&TOY, points, steps, space, Truncation::NONE).unwrap();
        ws.reshape(((), NUM_WS * DIM)).unwrap().to_vec2().unwrap()
    }

    fn norm(v: &[f32]) -> f64 {
        v.iter().map(|&v| v as f64 * v as f64).sum::<f64>().sqrt()
    }

    #[test]
    fn every_space_has_the_same_end_points() {
        let ends = [point(85, 0), point(265, 0), point(3, 0)];
        for space in STRAIGHT {
            let rows = rows(&ends, 5, space);
            assert_eq!(rows.len(), 9);
            for (at, end) in [0, 4, 8].into_iter().zip(&ends) {
                assert_eq!(rows[at][..DIM], end.z);
            }
        }
    }

    #[test]
    fn straight_and_spherical_walks_part_in_the_middle() {
        let axis = |i: usize| {
            let z = (0..DIM).map(|j| if i == j { 2.0 } else { 0.0 }).collect();
            Waypoint { z, class: None }
        };
        let ends = [axis(0), axis(1)];
        let middle = |space| norm(&rows(&ends, 3, space)[1][..DIM]);
        assert!((middle(Space::Z) - 2f64.sqrt()).abs() < 1e-6, "the chord cuts through the sphere");
        assert!((middle(Space::ZSlerp) - 2.0).abs() < 1e-6, "the arc stays on it");
        // The mapping is the identity, so W is Z.
        assert_eq!(rows(&ends, 3, Space::W), rows(&ends, 3, Space::Z));
    }

    #[test]
    fn a_class_walk_is_the_same_in_every_space() {
        let ends = [point(1, 2), point(1, 6)];
        let expected: Vec<f32> = ends[0].z.iter().map(|z| z + 3.0).collect();
        for space in STRAIGHT {
            let rows = rows(&ends, 5, space);
            for (value, expected) in rows[1][..DIM].iter().zip(&expected) {
                assert!((value - expected).abs() < 1e-5, "{}", space.name());
            }
        }
    }

    #[test]
    fn a_walk_needs_two_points_and_two_steps() {
        let ends = [point(1, 0), point(2, 0)];
        let fail = |points: &[Waypoint], steps| {
            walk(&TOY, points, steps, Space::W, Truncation::NONE).unwrap_err().to_string()
        };
        assert_eq!(fail(&ends[..1], 3), "number of end points is 1, expected at least 2");
        assert_eq!(fail(&ends, 1), "steps is 1, expected at least 2");
        assert_eq!(fail(&[point(1, 0), point(1, 10)], 2), "class beyond the generator");
        let short = Waypoint { z: vec![0.0; 3], class: None };
        assert_eq!(fail(&[point(1, 0), short], 2), "length of z is 3, expected 12");
    }

    #[test]
    fn spaces_are_named() {
        for space in Space::ALL {
            assert_eq!(space.name().parse::<Space>().unwrap(), space);
        }
        let error = "x".parse::<Space>().unwrap_err().to_string();
        assert_eq!(
            error,
            "space `x`: no such space; write them as `z,z-slerp,w` or, for closed walks, `w-spline`"
        );
    }

    #[test]
    fn a_closed_spline_passes_its_points_and_comes_back() {
        let points = [point(1, 0), point(2, 0), point(3, 0), point(1, 0)];
        let rows = rows(&points, 4, Space::WSpline);
        assert_eq!(rows.len(), 10);
        for (at, point) in [0, 3, 6, 9].into_iter().zip(&points) {
            for (value, expected) in rows[at][..DIM].iter().zip(&point.z) {
                assert!((value - expected).abs() < 1e-5);
            }
        }
        let open = walk(&TOY, &points[..3], 4, Space::WSpline, Truncation::NONE).unwrap_err();
        assert!(open.to_string().contains("closed"), "{open}");
    }

    #[test]
    fn a_walk_through_style_inputs_is_that_of_their_seeds() {
        let closed = [point(1, 0), point(2, 0), point(3, 0), point(1, 0)];
        let keys = walk(&TOY, &closed, 2, Space::W, Truncation::NONE).unwrap();
        for space in [Space::W, Space::WSpline] {
            let found = walk_through(&keys, 5, space).unwrap().flatten_all().unwrap();
            assert_eq!(found.to_vec1::<f32>().unwrap(), rows(&closed, 5, space).concat());
        }
        let open = keys.narrow(0, 0, 3).unwrap();
        assert!(matches!(walk_through(&open, 5, Space::WSpline), Err(Error::OpenSpline)));
        assert!(matches!(walk_through(&open, 5, Space::Z), Err(Error::NoLatents)));
        assert!(walk_through(&open, 1, Space::W).is_err());
    }

    #[test]
    fn walks_that_differ_by_rounding_are_the_same() {
        let ends = [point(1, 2), point(1, 6)];
        let [z, slerp, w] =
            STRAIGHT.map(|space| walk(&TOY, &ends, 7, space, Truncation::psi(0.3)).unwrap());
        assert!(is_same_walk(&z, &w).unwrap() && is_same_walk(&z, &slerp).unwrap());
        let ends = [point(1, 2), point(3, 2)];
        let [z, slerp, _] =
            STRAIGHT.map(|space| walk(&TOY, &ends, 7, space, Truncation::psi(0.3)).unwrap());
        assert!(!is_same_walk(&z, &slerp).unwrap());
        assert!(!is_same_walk(&z, &z.narrow(0, 0, 3).unwrap()).unwrap());
    }

    #[test]
    fn lengths_are_those_between_neighbors() {
        let mut lengths = Lengths::new(2);
        let meter = |from: &[f64], to: &[f64]| -> Result<Vec<f64>, ()> {
            Ok(from.iter().zip(to).map(|(a, b)| (b - a).abs()).collect())
        };
        for pictures in [[0.0, 5.0], [1.0, 5.0], [4.0, 3.0]] {
            lengths.push(pictures.to_vec(), meter).unwrap();
        }
        let walks = lengths.into_walks();
        assert_eq!(walks, [[1.0, 3.0], [0.0, 2.0]]);
        let expected = Summary { sum: 4.0, mean: 2.0, longest: 3.0 };
        assert_eq!(Summary::of(&walks[0]), expected);
        assert_eq!(Summary::of(&[]), Summary { sum: 0.0, mean: 0.0, longest: 0.0 });
    }
}
