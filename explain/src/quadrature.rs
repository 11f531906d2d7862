//! Integrals from 0 to 1 as weighted sums.

use crate::error::require;
use crate::{Error, Result};

/// How an integral from 0 to 1 becomes a weighted sum; the weights sum to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quadrature {
    /// The middles of equal parts.
    #[default]
    Middle,
    /// Equal distances from 0 to 1, the ends half as heavy.
    Trapezoid,
    /// The roots of a Legendre polynomial: exact for polynomials of twice as many terms.
    GaussLegendre,
}

impl Quadrature {
    /// Every kind, in the order of lists.
    pub const ALL: [Self; 3] = [Self::Middle, Self::Trapezoid, Self::GaussLegendre];

    /// Its name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Middle => "middle",
            Self::Trapezoid => "trapezoid",
            Self::GaussLegendre => "gauss-legendre",
        }
    }

    /// Places in 0..1 and their weights.
    ///
    /// # Errors
    /// If there are too few: none, or one for the trapezoid.
    pub fn places(self, count: usize) -> Result<Vec<(f64, f64)>> {
        let least = if self == Self::Trapezoid { 2 } else { 1 };
        let expected = if least == 2 { "at least 2 for the trapezoid" } else { "at least 1" };
        require(count >= least, "the number of steps", expected, count)?;
        let n = count as f64;
        let place = |i: usize| match self {
            Self::Middle => ((i as f64 + 0.5) / n, 1.0 / n),
            Self::Trapezoid => {
                let is_end = i == 0 || i + 1 == count;
                (i as f64 / (n - 1.0), if is_end { 0.5 } else { 1.0 } / (n - 1.0))
            }
            Self::GaussLegendre => {
                let (root, weight) = legendre(count, i);
                (0.5 + root / 2.0, weight / 2.0)
            }
        };
        Ok((0..count).map(place).collect())
    }
}

impl std::fmt::Display for Quadrature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Quadrature {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|quadrature| quadrature.name() == name);
        let (name_of, expected) = ("the quadrature", "middle, trapezoid or gauss-legendre");
        found.ok_or_else(|| Error::Option { name: name_of, expected, got: name.to_owned() })
    }
}

/// Root `i` of the Legendre polynomial of degree `n`, in rising order, and its weight on -1..1.
fn legendre(n: usize, i: usize) -> (f64, f64) {
    let degree = n as f64;
    // Newton's method from Tricomi's approximation, which tells the roots apart.
    let mut x = -(std::f64::consts::PI * (i as f64 + 0.75) / (degree + 0.5)).cos();
    let mut slope = 0.0;
    for _ in 0..100 {
        let (mut last, mut value) = (0.0, 1.0);
        for k in 1..=n {
            let k = k as f64;
            (last, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * last) / k);
        }
        slope = degree * (x * value - last) / (x * x - 1.0);
        let step = value / slope;
        x -= step;
        if step.abs() < 1e-15 {
            break;
        }
    }
    (x, 2.0 / ((1.0 - x * x) * slope * slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounding of a sum of some terms of size one.
    const ROUNDING: f64 = 1e-13;

    #[test]
    fn gauss_legendre_is_exact_for_polynomials_of_twice_as_many_terms() {
        for count in [1, 2, 3, 7, 50] {
            let places = Quadrature::GaussLegendre.places(count).unwrap();
            for power in 0..2 * count {
                let sum: f64 = places.iter().map(|(x, w)| w * x.powi(power as i32)).sum();
                let error = (sum - 1.0 / (power as f64 + 1.0)).abs();
                assert!(error < ROUNDING, "{count} places, power {power}: {error:e}");
            }
        }
    }

    #[test]
    fn every_quadrature_is_exact_for_lines() {
        for quadrature in Quadrature::ALL {
            assert_eq!(quadrature.name().parse::<Quadrature>().unwrap(), quadrature);
            for count in [2, 5, 32] {
                let places = quadrature.places(count).unwrap();
                let sum: f64 = places.iter().map(|(x, w)| w * (3.0 * x + 1.0)).sum();
                assert!((sum - 2.5).abs() < ROUNDING, "{quadrature} {count}");
            }
            assert!(quadrature.places(0).is_err());
        }
        assert!(
            Quadrature::Trapezoid.places(1).is_err() && "simpson".parse::<Quadrature>().is_err()
        );
    }
}
