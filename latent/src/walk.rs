//! Walks between latents: straight in Z, spherical in Z, and straight in W.
//!
//! Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
//! <https://arxiv.org/abs/1812.04948>, section 4: Z is bent to fit the density of the data, W is not.

use std::str::FromStr;

use candle_core::Tensor;
use ganscope_model::{Generator, Truncation};

use crate::interpolate::{lerp, slerp};
use crate::{Error, Result};

/// Where a walk is straight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Straight lines between the `z`.
    Z,
    /// Arcs between the `z`.
    ZSlerp,
    /// Straight lines between the `ws`.
    W,
}

impl Space {
    /// All spaces, in the order of a comparison.
    pub const ALL: [Self; 3] = [Self::Z, Self::ZSlerp, Self::W];

    /// Name on the command line and in captions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Z => "z",
            Self::ZSlerp => "z-slerp",
            Self::W => "w",
        }
    }
}

impl FromStr for Space {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|s| s.name() == text).ok_or_else(|| Error::List {
            what: "space",
            text: text.into(),
            problem: "no such space".into(),
            form: "z,z-slerp,w",
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
/// with the same `z` make a class walk, which is the same in every space.
///
/// # Errors
/// When there are fewer than two points or steps, or a point does not fit the generator.
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
                Space::W => lerp(&ends.0.1, &ends.1.1, t),
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

#[cfg(test)]
mod tests {
    use ganscope_model::TruncationKind;

    use super::*;
    use crate::toy::{DIM, NUM_WS, Toy};
    use crate::z_from_seed;

    const TOY: Toy = Toy(TruncationKind::Psi);

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
        for space in Space::ALL {
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
        for space in Space::ALL {
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
        assert_eq!(error, "space `x`: no such space; write them as `z,z-slerp,w`");
    }
}
