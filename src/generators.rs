//! Opening a generator by name, its classes by name, and its images as pixels.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use candle_core::{Device, Tensor};
use ganscope_biggan::{BigGan, BnStats};
use ganscope_images::{Image, quantize_biggan, quantize_stylegan};
use ganscope_latent::{Centers, MultiModal};
use ganscope_model::{Checkpoint, Generator, GeneratorInfo, Rounding, Synthesis, imagenet};
use ganscope_stylegan::Transform;
use ganscope_weights::hub;
use ganscope_weights::{ReadOptions, Weights, read_bytes};
use serde_json::{Map, Value};

use crate::hint::advised;
use crate::locate::locate;
use crate::registry::GENERATORS;
use crate::shipped::shipped;

/// A generator, ready to run.
pub struct OpenGenerator {
    /// The network.
    pub generator: Box<dyn Generator>,
    /// Name of its family in the registry.
    pub family: &'static str,
    /// Names of the classes; empty where they are not known.
    pub classes: Vec<String>,
    /// Digest of all that decides its images: the file, the options, a configuration beside the file.
    pub digest: blake3::Hash,
}

impl std::fmt::Debug for OpenGenerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { generator: _, family, classes, digest } = self;
        f.debug_struct("OpenGenerator")
            .field("family", family)
            .field("classes", classes)
            .field("digest", digest)
            .finish_non_exhaustive()
    }
}

/// How a generator is opened.
#[derive(Debug, Clone, Default)]
pub struct GeneratorOptions {
    /// Constructor arguments that take precedence over those in the file.
    pub config: Map<String, Value>,
    /// Entry to read where the file holds several networks.
    pub key: Option<String>,
    /// Interpolation of BigGAN's batch-norm statistics.
    pub bn_stats: BnStats,
    /// Where StyleGAN3 moves its images.
    pub transform: Option<Transform>,
}

/// What a family builds.
pub(crate) struct Built {
    /// The network.
    generator: Box<dyn Generator>,
    /// Names of its classes.
    classes: Vec<String>,
    /// What was read apart from the file of the weights.
    beside: String,
}

/// What a family is built from: tensors, their file unless they are shipped, options, device.
pub(crate) type Open = fn(Weights, Option<&Path>, &GeneratorOptions, &Device) -> Result<Built>;

/// Opens `model`: a shipped model, a known id, `hub:owner/repo/file`, or a file.
///
/// # Errors
/// When there is no such model, it cannot be fetched, or it is no generator.
pub fn open(
    model: &str,
    options: &GeneratorOptions,
    device: &Device,
    watch: &mut hub::Progress<'_>,
) -> Result<OpenGenerator> {
    if let Some(file) = shipped(model).filter(|_| !Path::new(model).exists()) {
        return from_bytes(file.bytes, None, options, device)
            .with_context(|| format!("open generator `{model}`"));
    }
    let path = locate(Path::new(model), watch)?;
    if !path.is_file() {
        return Err(advised(
            format!("no model `{model}`"),
            "give a file, an id of `ganscope list`, or `hub:owner/repo/file`",
        ));
    }
    let bytes = std::fs::read(&path).with_context(|| format!("read `{}`", path.display()))?;
    from_bytes(&bytes, Some(&path), options, device)
        .with_context(|| format!("open generator `{model}`"))
}

fn from_bytes(
    bytes: &[u8],
    path: Option<&Path>,
    options: &GeneratorOptions,
    device: &Device,
) -> Result<OpenGenerator> {
    let weights = read_bytes(bytes, &ReadOptions { key: options.key.clone() })?;
    let entry = GENERATORS.iter().find(|entry| (entry.recognises)(&weights));
    let entry = entry.or(GENERATORS.last()).context("no family of generators")?;
    let Built { generator, classes, beside } = (entry.open)(weights, path, options, device)?;
    let mut digest = blake3::Hasher::new();
    digest.update(bytes).update(format!("{options:?} {beside}").as_bytes());
    Ok(OpenGenerator { generator, family: entry.name, classes, digest: digest.finalize() })
}

/// BigGAN-deep, with its configuration in the file, beside it, or known by the shapes.
pub(crate) fn biggan(
    weights: Weights,
    path: Option<&Path>,
    options: &GeneratorOptions,
    device: &Device,
) -> Result<Built> {
    use ganscope_biggan::Config;
    let checkpoint = Checkpoint::from(weights);
    let beside = path.and_then(Config::beside).filter(|_| checkpoint.config().is_empty());
    let mut read = String::new();
    let config = if !options.config.is_empty() {
        Config::from_json(&Value::Object(options.config.clone()).to_string())?
    } else if let Some(path) = beside {
        let text = std::fs::read_to_string(&path);
        read = text.with_context(|| format!("read `{}`", path.display()))?;
        Config::from_json(&read).with_context(|| format!("`{}`", path.display()))?
    } else {
        Config::of_checkpoint(&checkpoint).map_err(|e| {
            advised(e.to_string(), "put its `config.json` next to it, or give `--config FILE`")
        })?
    };
    let generator = BigGan::new(config, checkpoint, device)?.with_bn_stats(options.bn_stats);
    let mut classes = generator.classes().to_vec();
    if classes.is_empty() && generator.info().c_dim == imagenet::CLASSES as usize {
        classes = (0..imagenet::CLASSES).filter_map(imagenet::label).map(str::to_owned).collect();
    }
    Ok(Built { generator: Box::new(generator), classes, beside: read })
}

/// StyleGAN 1, 2 and 3.
pub(crate) fn stylegan(
    weights: Weights,
    _path: Option<&Path>,
    options: &GeneratorOptions,
    device: &Device,
) -> Result<Built> {
    let classes = weights.config.get("classes").cloned();
    let classes = classes.and_then(|names| serde_json::from_value(names).ok()).unwrap_or_default();
    let options =
        ganscope_stylegan::Options { config: options.config.clone(), transform: options.transform };
    let generator = ganscope_stylegan::load_with(weights, &options, device)?;
    Ok(Built { generator, classes, beside: String::new() })
}

impl OpenGenerator {
    /// The same generator, truncated towards the nearest of `centers`.
    ///
    /// # Errors
    /// When it does not truncate in W, or the centers do not fit it.
    pub fn towards(self, centers: Centers) -> Result<Self> {
        let mut digest = blake3::Hasher::new();
        digest.update(self.digest.as_bytes()).update(format!("{centers:?}").as_bytes());
        let generator = Box::new(MultiModal::new(self.generator, centers)?);
        Ok(Self { generator, digest: digest.finalize(), ..self })
    }

    /// The class that `text` names: a number, or a name where names are known.
    ///
    /// # Errors
    /// When there is no such class; the advice lists candidates.
    pub fn class(&self, text: &str) -> Result<u32> {
        let count = self.generator.info().c_dim;
        if count == 0 {
            return Err(advised("the generator has no classes", "leave `--class` out"));
        }
        let text = text.trim();
        let last = count - 1;
        if let Ok(class) = text.parse::<u32>() {
            let beyond = || format!("class {class} is beyond the generator");
            ensure_advised((class as usize) < count, beyond, || format!("there are 0 to {last}"))?;
            return Ok(class);
        }
        if count == imagenet::CLASSES as usize {
            return Ok(imagenet::parse(text)?);
        }
        let named = |name: &String| name.eq_ignore_ascii_case(text);
        let found = self.classes.iter().position(named);
        found.map(|class| class as u32).ok_or_else(|| {
            let hint = if self.classes.is_empty() {
                format!("its classes have no names; give a number from 0 to {last}")
            } else {
                format!("its classes are: {}", self.classes.join(", "))
            };
            advised(format!("the generator has no class `{text}`"), hint)
        })
    }
}

fn ensure_advised(
    holds: bool,
    message: impl FnOnce() -> String,
    hint: impl FnOnce() -> String,
) -> Result<()> {
    if holds { Ok(()) } else { Err(advised(message(), hint())) }
}

/// Images of a generator, (N, C, H, W) in [-1, 1], as 8-bit RGB, rounded as its own tool does it.
///
/// # Errors
/// When there are neither one nor three channels.
pub fn to_images(images: &Tensor, info: &GeneratorInfo) -> Result<Vec<Image>> {
    let (n, c, height, width) = images.dims4()?;
    ensure!(c == 1 || c == 3, "images of {c} channels, expected 1 or 3");
    let quantize = match info.rounding {
        Rounding::StyleGan => quantize_stylegan,
        Rounding::BigGan => quantize_biggan,
    };
    let values: Vec<f32> = images.contiguous()?.flatten_all()?.to_vec1()?;
    let plane = height * width;
    let image = |i: usize| {
        let planes = &values[i * c * plane..][..c * plane];
        let pixel = |p: usize| (0..3).map(move |k| quantize(planes[k.min(c - 1) * plane + p]));
        Image { width, height, pixels: (0..plane).flat_map(pixel).collect() }
    };
    Ok((0..n).map(image).collect())
}

/// The images of `ws` (N, `num_ws`, `w_dim`), computed `batch` at a time.
///
/// # Errors
/// When the generator fails.
pub fn render(
    generator: &dyn Generator,
    ws: &Tensor,
    synthesis: &Synthesis,
    batch: usize,
) -> Result<Vec<Image>> {
    let (count, batch, info) = (ws.dim(0)?, batch.max(1), generator.info());
    let mut made = Vec::with_capacity(count);
    for start in (0..count).step_by(batch) {
        let part = ws.narrow(0, start, batch.min(count - start))?.contiguous()?;
        made.extend(to_images(&generator.synthesize(&part, synthesis)?, &info)?);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use ganscope_model::TruncationKind;

    use super::*;

    fn pixels(values: &[f32], shape: (usize, usize, usize, usize), rounding: Rounding) -> Vec<u8> {
        let images = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
        let info = GeneratorInfo {
            z_dim: 1,
            w_dim: 1,
            num_ws: 1,
            c_dim: 0,
            img_resolution: shape.2,
            img_channels: shape.1,
            rounding,
            truncation: TruncationKind::Psi,
        };
        to_images(&images, &info).unwrap().into_iter().flat_map(|i| i.pixels).collect()
    }

    #[test]
    fn planes_become_pixels_as_each_family_rounds_them() {
        // Two pixels: red -1 and 1, green 0 and 0.5, blue 2 and -2.
        let values = [-1.0, 1.0, 0.0, 0.5, 2.0, -2.0];
        let shape = (1, 3, 1, 2);
        // 127.5 x + 128 and 128 x + 128, cut to 0..255, fraction dropped
        assert_eq!(pixels(&values, shape, Rounding::StyleGan), [0, 128, 255, 255, 191, 0]);
        assert_eq!(pixels(&values, shape, Rounding::BigGan), [0, 128, 255, 255, 192, 0]);
    }

    #[test]
    fn grey_is_repeated() {
        let grey = pixels(&[0.0, 1.0], (2, 1, 1, 1), Rounding::StyleGan);
        assert_eq!(grey, [128, 128, 128, 255, 255, 255]);
    }

    #[test]
    fn a_class_has_a_number_or_a_name() {
        let folder = ganscope_golden::data();
        let path = folder.join("biggan-tiny.bin");
        let open = |options: &GeneratorOptions| {
            open(path.to_str().unwrap(), options, &Device::Cpu, &mut |_, _| {}).unwrap()
        };
        let mut model = open(&GeneratorOptions::default());
        assert_eq!((model.family, model.class("9").unwrap()), ("biggan-deep", 9));
        assert_eq!(model.class("10").unwrap_err().to_string(), "class 10 is beyond the generator");
        assert!(model.class("cat").is_err());
        model.classes = vec!["Dog".into(), "Cat".into()];
        assert_eq!(model.class("cat").unwrap(), 1);
    }
}
