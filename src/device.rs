//! Where networks run.

use anyhow::Result;
use candle_core::Device;

use crate::hint::advised;

/// The device of that name: `cpu`, `cuda`, `cuda:N` or `metal`.
///
/// # Errors
/// When there is no such device, or the program was built without it.
pub fn device(name: &str) -> Result<Device> {
    let number = |rest: &str| match rest.strip_prefix(':') {
        Some(number) => number.parse().ok(),
        None => rest.is_empty().then_some(0),
    };
    let opened = if name == "cpu" {
        Ok(Device::Cpu)
    } else if let Some(ordinal) = name.strip_prefix("cuda").and_then(number) {
        Device::new_cuda(ordinal)
    } else if let Some(ordinal) = name.strip_prefix("metal").and_then(number) {
        Device::new_metal(ordinal)
    } else {
        return Err(advised(
            format!("no device `{name}`"),
            "name `cpu`, `cuda`, `cuda:1` or `metal`",
        ));
    };
    opened.map_err(|error| {
        advised(
            format!("device `{name}`: {error}"),
            "build with `--features cuda` or `--features metal`, or leave `--device` out",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_said() {
        assert!(device("cpu").unwrap().is_cpu());
        assert!(device("gpu").unwrap_err().to_string().contains("no device `gpu`"));
        assert!(device("cuda:x").is_err());
        #[cfg(not(feature = "cuda"))]
        assert!(device("cuda").is_err());
    }
}
