//! Where networks run.

use candle_core::Device;

use crate::error::{Error, Hint, Result};

/// The device of that name: `cpu`, `cuda`, `cuda:N` or `metal`.
///
/// # Errors
/// If there is no such device, or the library was built without it.
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
        return Err(Error::request(format!("no device `{name}`"))
            .with_hint("devices are `cpu`, `cuda`, `cuda:1` and `metal`"));
    };
    opened.map_err(|error| {
        Error::request(format!("device `{name}`: {error}")).with_hint(Hint::of(
            "it needs a build with the feature `cuda` or `metal`; without {device} the processor \
             is used",
        ))
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
