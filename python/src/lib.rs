//! The native part of the Python package `ganscope`: conversion between Python and the library, and
//! nothing else. Sets arrive as `(kind, name, content)` from `ganscope._sets`, options as JSON; reports
//! leave as JSON, numbers as NumPy arrays.

mod errors;
mod explain;
mod generator;
mod network;
mod score;
mod sets;
mod statistics;
mod stream;
mod work;

use pyo3::prelude::*;

#[pymodule]
mod _ganscope {
    #[pymodule_export]
    use crate::errors::panic;
    #[pymodule_export]
    use crate::explain::explain;
    #[pymodule_export]
    use crate::generator::Generator;
    #[pymodule_export]
    use crate::network::Network;
    #[pymodule_export]
    use crate::score::{catalog, score, score_rows};
    #[pymodule_export]
    use crate::statistics::{cache_folder, features, merge_statistics, statistics};
    #[pymodule_export]
    use crate::stream::Stream;
}
