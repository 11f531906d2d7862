//! Networks, opened by name or from files: extractors, classifiers, generators, distances.

pub mod classifier;
pub mod device;
pub mod distance;
pub mod extractor;
pub mod generator;
pub mod loss;
pub mod shipped;
pub mod weights;
