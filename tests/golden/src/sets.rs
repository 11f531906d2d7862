//! The sets of features of `metrics2.json`.

use serde_json::Value;

use crate::{json, tensor};

/// Rows of `dim` float32 values, end to end.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The values.
    pub data: Vec<f32>,
    /// Width of a row.
    pub dim: usize,
}

/// The set `name` of `case`: `real` and `fake` of `full-rank`, `rank-deficient` and `equal`; `train`,
/// `test`, `generated` and `outliers` of `clusters` and `wide`.
///
/// # Panics
/// If there is no such case.
pub fn rows(case: &str, name: &str) -> Rows {
    let cases = &json("metrics2.json")["cases"];
    let plain = &cases["plain: [n, d, lo, hi] of tensor(\"features/CASE/SET\")"][case][name];
    if plain.is_array() {
        let number = |i: usize| plain[i].as_f64().expect("a number");
        let (n, dim) = (number(0) as usize, number(1) as usize);
        let data = tensor(&format!("features/{case}/{name}"), &[n, dim], (number(2), number(3)), 0);
        return Rows { data, dim };
    }
    clusters(case, name, &cases[case])
}

/// Noise about centers in turn; every fourth generated row is nearly a training row, and every third
/// outlier is far off.
fn clusters(case: &str, name: &str, settings: &Value) -> Rows {
    let number = |key: &str| settings[key].as_f64().unwrap_or_else(|| panic!("{case}: no {key}"));
    let (dim, count) = (number("d") as usize, number("centres") as usize);
    let drawn = |part: &str, rows: usize, span: f64| {
        tensor(&format!("features/{case}/{part}"), &[rows, dim], (-span, span), 0)
    };
    let centers = drawn("centres", count, settings["centre_span"][1].as_f64().expect("a span"));
    let around = |part: &str| -> Vec<f32> {
        let noise = drawn(part, number(part) as usize, number("noise"));
        noise
            .iter()
            .enumerate()
            .map(|(i, x)| centers[i / dim % count * dim + i % dim] + x)
            .collect()
    };
    let data = match name {
        "train" | "test" => around(name),
        _ => {
            let (mut data, train) = (around("generated"), around("train"));
            let copy = drawn("copy", number("generated") as usize, number("copy"));
            for (i, x) in data.iter_mut().enumerate() {
                if (i / dim).is_multiple_of(4) {
                    *x = train[i] + copy[i];
                }
                if name == "outliers" && (i / dim).is_multiple_of(3) {
                    *x += 0.625;
                }
            }
            data
        }
    };
    Rows { data, dim }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_file() {
        let metrics = json("metrics2.json");
        let checksums = metrics["cases"]["checksum_f64"].as_object().expect("cases");
        for (case, sets) in checksums {
            for (name, sums) in sets.as_object().expect("sets") {
                let data = rows(case, name).data;
                let sum: f64 = data.iter().map(|&x| f64::from(x)).sum();
                let squares: f64 = data.iter().map(|&x| f64::from(x).powi(2)).sum();
                for (found, expected) in [(sum, &sums[0]), (squares, &sums[1])] {
                    let expected = expected.as_f64().expect("a number");
                    assert!((found - expected).abs() < 1e-8, "{case} {name}: {found} {expected}");
                }
            }
        }
    }
}
