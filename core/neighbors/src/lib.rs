//! Nearest neighbors among rows of features, and pairs of rows within a distance of each other.
//!
//! All results are exact: products of bytes, where the processor has them, or of float32 decide the
//! pairs that their error bound allows to decide, and the few others are computed in float64. Memory
//! beside the features is less than two copies of one set and does not grow with the number of pairs.

mod nearest;
mod pairs;
mod rows;
mod screen;

pub use nearest::{Neighbor, nearest, nearest_of, squared_radii};
pub use pairs::{Boundary, Pair, Reach, for_each_pair};
pub use rows::{Frame, Packed, Rows, check};

#[cfg(test)]
mod tests;
