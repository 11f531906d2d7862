//! The small golden networks.

use ganscope_golden as golden;
use ganscope_weights::{ReadOptions, Weights, read};

/// The weights of a network with its configuration.
pub(crate) fn weights(name: &str) -> Weights {
    let (file, configs) = match name {
        "s1-64" | "s1-128-fused" => (format!("stylegan-{name}.pth"), "stylegan1-configs.json"),
        _ => (format!("stylegan-{name}.safetensors"), "stylegan-configs.json"),
    };
    let mut weights = read(&golden::data().join(file), &ReadOptions::default()).unwrap();
    weights.config.clone_from(golden::json(configs)[name].as_object().unwrap());
    weights
}
