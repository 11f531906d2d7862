//! StyleGAN2 of the size of FFHQ at 256 x 256, filled by recipe.

use ganscope_golden as golden;
use ganscope_weights::{Array, Weights};

/// The weights of the FFHQ-sized network, by the ranges in the golden README.
pub(crate) fn ffhq256() -> Weights {
    let mut weights = Weights::default();
    let mut add = |name: &str, shape: &[usize]| {
        let leaf = name.rsplit('.').next().unwrap_or(name);
        let values = if leaf == "resample_filter" {
            let taps = [1.0, 3.0, 3.0, 1.0];
            taps.iter().flat_map(|a| taps.map(|b| a * b / 64.0)).collect()
        } else {
            let span = match leaf {
                "weight" if name.starts_with("mapping") => (-173.2, 173.2),
                "bias" if name.starts_with("mapping") => (-10.0, 10.0),
                "w_avg" => (-0.5, 0.5),
                "bias" if name.ends_with("affine.bias") => (0.8, 1.2),
                "noise_strength" => (0.05, 0.15),
                "noise_const" | "const" => (-1.7, 1.7),
                "bias" => (-0.1, 0.1),
                _ => (-1.732_050_8, 1.732_050_8),
            };
            golden::tensor(name, shape, span, 0)
        };
        weights
            .arrays
            .insert(name.to_owned(), Array::from_f32(shape, &values).expect("a fitting shape"));
    };
    for i in 0..8 {
        add(&format!("mapping.fc{i}.weight"), &[512, 512]);
        add(&format!("mapping.fc{i}.bias"), &[512]);
    }
    add("mapping.w_avg", &[512]);
    add("synthesis.b4.const", &[512, 4, 4]);
    for log2 in 2..=8 {
        let r = 1usize << log2;
        let channels = |r: usize| (16384 / r).min(512);
        let c = channels(r);
        let mut layer = |name: &str, shape: &[usize]| {
            add(&format!("{name}.weight"), shape);
            add(&format!("{name}.bias"), &shape[..1]);
            add(&format!("{name}.affine.weight"), &[shape[1], 512]);
            add(&format!("{name}.affine.bias"), &[shape[1]]);
            if shape[2] == 3 {
                add(&format!("{name}.noise_const"), &[r, r]);
                add(&format!("{name}.noise_strength"), &[]);
                add(&format!("{name}.resample_filter"), &[4, 4]);
            }
        };
        if r > 4 {
            layer(&format!("synthesis.b{r}.conv0"), &[c, channels(r / 2), 3, 3]);
        }
        layer(&format!("synthesis.b{r}.conv1"), &[c, c, 3, 3]);
        layer(&format!("synthesis.b{r}.torgb"), &[3, c, 1, 1]);
        add(&format!("synthesis.b{r}.resample_filter"), &[4, 4]);
    }
    let config = &golden::json("stylegan-ffhq256-config.json")["s2-ffhq256"];
    weights.config.clone_from(config.as_object().expect("an object"));
    weights
}
