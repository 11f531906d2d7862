//! L-BFGS: steps by the curvature that the last gradients tell.
//!
//! Nocedal and Wright, "Numerical Optimization", 2006, algorithm 7.4, with the line search of Lewis and
//! Overton, "Nonsmooth optimization via quasi-Newton methods", 2013, which a kink of a rectifier does not
//! stop: it doubles and halves until a step falls enough and the slope at its end is less steep.

use std::collections::{BTreeMap, VecDeque};

use candle_core::{DType, Device, Tensor};

use super::restored;
use crate::{Error, Result};

/// Pairs of moves and changes of the gradient that tell the curvature.
const MEMORY: usize = 100;
/// Part of the fall which the slope promises that a step must keep.
const SUFFICIENT: f64 = 1e-4;
/// Part of the slope that may be left at its end.
const CURVATURE: f64 = 0.9;
/// Points that are tried on a line.
const TRIES: usize = 16;
/// Least curvature of a pair in that of its change of the gradient: less is rounding.
const LEAST: f64 = 1e-12;

/// A tensor that L-BFGS moves.
#[derive(Debug, Clone)]
pub(super) struct Lbfgs {
    /// The lowest point that a line search ended at.
    pub(super) value: Tensor,
    /// Length of a step along a gradient whose curvature is not known.
    length: f64,
    /// What is made small at that point, and its gradient.
    height: f64,
    gradient: Vec<f64>,
    line: Line,
    /// Moves and changes of the gradient, the oldest first.
    pairs: VecDeque<[Vec<f64>; 2]>,
}

/// The line that is searched.
#[derive(Debug, Clone)]
struct Line {
    direction: Vec<f64>,
    /// Change of the height along the direction at its start, below 0.
    slope: f64,
    /// The step that is tried, in lengths of the direction; those that were too short and too long.
    step: f64,
    bounds: [f64; 2],
    tries: usize,
}

impl Line {
    fn new(direction: Vec<f64>, slope: f64) -> Self {
        Self { direction, slope, step: 1.0, bounds: [0.0, f64::INFINITY], tries: 0 }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// The numbers of a tensor, on the processor: not every device knows float64.
fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

impl Lbfgs {
    /// From `start`, whose first step has the length `length`.
    pub(super) fn new(start: &Tensor, length: f64) -> Self {
        let none = vec![0.0; start.elem_count()];
        Self {
            value: start.detach(),
            length,
            // Any height is lower: the first point that is told is the start itself.
            height: f64::INFINITY,
            gradient: none.clone(),
            line: Line::new(none, 0.0),
            pairs: VecDeque::new(),
        }
    }

    /// If no line leads down from here: the height and the gradient that stay.
    pub(super) fn stalled(&self) -> Result<Option<(f64, Tensor)>> {
        if self.line.tries < TRIES {
            return Ok(None);
        }
        Ok(Some((self.height, self.tensor(self.gradient.clone())?)))
    }

    /// Numbers as a tensor like the value.
    fn tensor(&self, numbers: Vec<f64>) -> Result<Tensor> {
        let tensor = Tensor::from_vec(numbers, self.value.dims(), &Device::Cpu)?;
        Ok(tensor.to_dtype(self.value.dtype())?.to_device(self.value.device())?)
    }

    /// The point whose height and gradient are wanted next.
    pub(super) fn trial(&self) -> Result<Tensor> {
        let Line { direction, step, .. } = &self.line;
        let here = numbers(&self.value)?;
        let there = here.iter().zip(direction).map(|(here, by)| here + step * by).collect();
        self.tensor(there)
    }

    /// Takes the height and the gradient at the trial.
    pub(super) fn tell(&mut self, height: f64, gradient: &Tensor) -> Result<()> {
        let gradient = numbers(gradient)?;
        let line = &mut self.line;
        line.tries += 1;
        let promised = self.height + SUFFICIENT * line.step * line.slope;
        // What is not a number is not low enough.
        if height.is_nan() || height > promised {
            line.bounds[1] = line.step;
        } else if dot(&gradient, &line.direction) < CURVATURE * line.slope {
            line.bounds[0] = line.step;
        } else {
            return self.accept(height, gradient);
        }
        if line.tries < TRIES {
            let [short, long] = line.bounds;
            line.step = if long.is_finite() { 0.5 * (short + long) } else { 2.0 * short };
        } else if height < self.height {
            return self.accept(height, gradient);
        } else if !self.pairs.is_empty() {
            self.pairs.clear();
            self.aim();
        }
        Ok(())
    }

    /// Goes to the trial.
    fn accept(&mut self, height: f64, gradient: Vec<f64>) -> Result<()> {
        let there = self.trial()?;
        let moved = differences(&numbers(&there)?, &numbers(&self.value)?);
        let change = differences(&gradient, &self.gradient);
        if dot(&moved, &change) > LEAST * dot(&change, &change) {
            self.pairs.push_back([moved, change]);
            if self.pairs.len() > MEMORY {
                self.pairs.pop_front();
            }
        }
        (self.value, self.height, self.gradient) = (there, height, gradient);
        self.aim();
        Ok(())
    }

    /// A new line: against the gradient, bent by the curvature.
    fn aim(&mut self) {
        let mut direction = self.bent();
        if dot(&direction, &self.gradient) >= 0.0 {
            self.pairs.clear();
            direction = self.bent();
        }
        let slope = dot(&direction, &self.gradient);
        self.line = Line::new(direction, slope);
        // Not a number where the gradient is 0.
        if slope.is_nan() || slope >= 0.0 {
            self.line.tries = TRIES;
        }
    }

    /// The gradient times the negative inverse of the curvature.
    fn bent(&self) -> Vec<f64> {
        let scaled = |values: &[f64], scale: f64| values.iter().map(|v| scale * v).collect();
        let Some([moved, change]) = self.pairs.back() else {
            let scale = self.length / dot(&self.gradient, &self.gradient).sqrt();
            return scaled(&self.gradient, -scale);
        };
        let mut bent: Vec<f64> = scaled(&self.gradient, -1.0);
        let add = |to: &mut Vec<f64>, scale: f64, by: &[f64]| {
            to.iter_mut().zip(by).for_each(|(to, by)| *to += scale * by);
        };
        let scale = dot(moved, change) / dot(change, change);
        let mut parts = Vec::with_capacity(self.pairs.len());
        for [moved, change] in self.pairs.iter().rev() {
            let part = dot(moved, &bent) / dot(moved, change);
            add(&mut bent, -part, change);
            parts.push(part);
        }
        let mut bent = scaled(&bent, scale);
        for ([moved, change], part) in self.pairs.iter().zip(parts.into_iter().rev()) {
            let back = dot(change, &bent) / dot(moved, change);
            add(&mut bent, part - back, moved);
        }
        bent
    }

    /// Everything, under the name of the tensor.
    pub(super) fn save(&self, name: &str, state: &mut BTreeMap<String, Tensor>) -> Result<()> {
        let Line { direction, slope, step, bounds: [short, long], tries } = &self.line;
        let scalars = [self.height, *slope, *step, *short, *long, *tries as f64];
        let pairs = self.pairs.iter().flatten().flatten().copied();
        let numbers: Vec<f64> =
            scalars.iter().chain(&self.gradient).chain(direction).copied().chain(pairs).collect();
        let numbers = Tensor::new(numbers, &Device::Cpu)?;
        state.insert(format!("{name}.curvature"), numbers);
        state.insert(name.to_owned(), self.value.clone());
        Ok(())
    }

    /// Takes what a state holds.
    pub(super) fn restore(&mut self, name: &str, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.value = restored(state, name, &self.value)?;
        let name = format!("{name}.curvature");
        let unknown = || Error::State(name.clone());
        let found = numbers(state.get(&name).ok_or_else(unknown)?)?;
        let width = self.gradient.len();
        let (&[height, slope, step, short, long, tries], vectors) =
            found.split_first_chunk().ok_or_else(unknown)?;
        let mut vectors = vectors.chunks(width).map(<[f64]>::to_vec);
        let (Some(gradient), Some(direction)) = (vectors.next(), vectors.next()) else {
            return Err(unknown());
        };
        let vectors: Vec<_> = vectors.collect();
        let (pairs, rest) = vectors.as_chunks::<2>();
        let whole = [&gradient, &direction].into_iter().chain(vectors.iter());
        if !rest.is_empty() || pairs.len() > MEMORY || !whole.into_iter().all(|v| v.len() == width)
        {
            return Err(unknown());
        }
        self.pairs = pairs.iter().cloned().collect();
        (self.height, self.gradient) = (height, gradient);
        self.line = Line { direction, slope, step, bounds: [short, long], tries: tries as usize };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ganscope_stats::random::RandomState;
    use nalgebra::{DMatrix, DVector};

    use super::*;

    /// float64 through a few hundred products.
    const F64_ROUNDING: f64 = 1e-10;

    fn start(values: &[f64]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    /// Follows a function, and returns the point and the evaluations that it took to come below `goal`.
    fn descend(
        mut at: Lbfgs,
        function: impl Fn(&[f64]) -> (f64, Vec<f64>),
        goal: f64,
    ) -> (Vec<f64>, usize) {
        let mut lowest = f64::INFINITY;
        for evaluations in 1..2000 {
            let (height, gradient) = function(&numbers(&at.trial().unwrap()).unwrap());
            at.tell(height, &start(&gradient)).unwrap();
            assert!(at.height <= lowest, "it never rises");
            lowest = at.height;
            if lowest < goal || at.stalled().unwrap().is_some() {
                return (numbers(&at.value).unwrap(), evaluations);
            }
        }
        panic!("{lowest} after 2000 evaluations")
    }

    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let (u, v) = (1.0 - x[0], x[1] - x[0] * x[0]);
        (u * u + 100.0 * v * v, vec![-2.0 * u - 400.0 * x[0] * v, 200.0 * v])
    }

    #[test]
    fn a_curved_valley_is_followed_to_its_lowest_point() {
        let (found, evaluations) =
            descend(Lbfgs::new(&start(&[-1.2, 1.0]), 0.1), rosenbrock, 1e-20);
        assert!(found.iter().all(|v| (v - 1.0).abs() < 1e-9), "{found:?}");
        // Nocedal and Wright's BFGS takes 34 steps from here.
        assert!(evaluations < 60, "{evaluations}");
    }

    #[test]
    fn a_kink_does_not_stop_it() {
        // Lewis and Overton's example: a valley along a kink.
        let kinked = |x: &[f64]| {
            let off = x[0] * x[0] - x[1];
            let sign = 8.0 * off.signum();
            let height = 8.0 * off.abs() + (1.0 - x[0]).powi(2);
            (height, vec![sign * 2.0 * x[0] - 2.0 * (1.0 - x[0]), -sign])
        };
        let (found, evaluations) = descend(Lbfgs::new(&start(&[-1.0, 1.5]), 0.1), kinked, 1e-6);
        assert!(found.iter().all(|v| (v - 1.0).abs() < 1e-2), "{found:?}, {evaluations}");
    }

    #[test]
    fn nothing_moves_at_the_lowest_point_and_where_nothing_is_a_number() {
        let flat = |x: &[f64]| (0.0, vec![0.0; x.len()]);
        let (found, evaluations) = descend(Lbfgs::new(&start(&[1.0, 2.0]), 0.1), flat, -1.0);
        assert_eq!((found, evaluations), (vec![1.0, 2.0], 1));
        let (found, _) = descend(
            Lbfgs::new(&start(&[3.0]), 0.1),
            |x| if x[0] == 3.0 { (9.0, vec![6.0]) } else { (f64::NAN, vec![f64::NAN]) },
            -1.0,
        );
        assert_eq!(found, [3.0]);
    }

    /// The two loops are the product with the matrix that BFGS updates, pair by pair.
    #[test]
    fn directions_are_those_of_the_matrix() {
        let (width, pairs) = (7, 5);
        let mut random = RandomState::new(4);
        let curvature = DMatrix::from_vec(width, width, random.standard_normals(width * width));
        let curvature = &curvature * curvature.transpose();
        let mut at = Lbfgs::new(&start(&vec![0.0; width]), 1.0);
        at.gradient = random.standard_normals(width);
        for _ in 0..pairs {
            let moved = DVector::from_vec(random.standard_normals(width));
            let change = &curvature * &moved;
            at.pairs.push_back([moved.data.into(), change.data.into()]);
        }
        let vectors = at.pairs.iter().map(|pair| pair.clone().map(DVector::from_vec));
        let vectors: Vec<[DVector<f64>; 2]> = vectors.collect();
        let [s, y] = &vectors[pairs - 1];
        let one = DMatrix::identity(width, width);
        let mut inverse = &one * (s.dot(y) / y.dot(y));
        for [s, y] in &vectors {
            let rho = 1.0 / s.dot(y);
            let project = &one - y * s.transpose() * rho;
            inverse = project.transpose() * inverse * project + s * s.transpose() * rho;
        }
        let expected = -inverse * DVector::from_vec(at.gradient.clone());
        for (found, expected) in at.bent().iter().zip(&expected) {
            assert!((found - expected).abs() < F64_ROUNDING * expected.abs().max(1.0));
        }
    }

    #[test]
    fn a_state_goes_on_in_the_middle_of_a_line() {
        let run = |at: &mut Lbfgs, evaluations: usize| {
            for _ in 0..evaluations {
                let (height, gradient) = rosenbrock(&numbers(&at.trial().unwrap()).unwrap());
                at.tell(height, &start(&gradient)).unwrap();
            }
        };
        for stop in 0..25 {
            let mut whole = Lbfgs::new(&start(&[-1.2, 1.0]), 0.1);
            let mut half = whole.clone();
            run(&mut whole, 30);
            run(&mut half, stop);
            let mut state = BTreeMap::new();
            half.save("w", &mut state).unwrap();
            let mut resumed = Lbfgs::new(&start(&[-1.2, 1.0]), 0.1);
            resumed.restore("w", &state).unwrap();
            run(&mut resumed, 30 - stop);
            assert_eq!(numbers(&resumed.value).unwrap(), numbers(&whole.value).unwrap(), "{stop}");
        }
        let mut state = BTreeMap::new();
        Lbfgs::new(&start(&[0.0; 3]), 0.1).save("w", &mut state).unwrap();
        state.insert("w".into(), start(&[0.0; 2]));
        let wrong = Lbfgs::new(&start(&[0.0; 2]), 0.1).restore("w", &state);
        assert!(wrong.unwrap_err().to_string().contains("w.curvature"));
    }
}
