//! Generators: opened from files of every family, their classes by name, their images as pixels.

use std::path::{Path, PathBuf};

use candle_core::Device;
use ganscope_biggan::{BigGan, BnStats};
use ganscope_hub::KNOWN;
use ganscope_latent::{Centers, MultiModal};
use ganscope_model::{Checkpoint, Generator as Network, GeneratorInfo, imagenet};
pub use ganscope_model::{render, to_images};
use ganscope_r3gan::R3Gan;
use ganscope_stylegan::{Family, Transform};
use ganscope_weights::{ReadOptions, Weights, read_bytes};
use serde::Serialize;
use serde_json::{Map, Value};

use super::shipped::{SHIPPED, shipped};
use super::weights::locate;
use crate::error::{Context as _, Error, Hint, Kind, Result};
use crate::names;
use crate::watch::Watch;

/// A generator, ready to run.
pub struct Generator {
    /// The network.
    pub network: Box<dyn Network>,
    /// Name of its family in the catalog.
    pub family: &'static str,
    /// Names of the classes; empty where they are not known.
    pub classes: Vec<String>,
    /// Whether a class is drawn for each seed if none is asked for, as the tool of StyleGAN-XL does.
    pub draws_class: bool,
    /// Digest of all that decides its images: the file, the options, a configuration beside the file.
    pub digest: blake3::Hash,
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { network: _, family, classes, draws_class, digest } = self;
        f.debug_struct("Generator")
            .field("family", family)
            .field("classes", classes)
            .field("draws_class", draws_class)
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

/// A family of generators of the catalog.
#[derive(Debug)]
pub struct GeneratorEntry {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether the tensors are those of this family.
    pub(crate) recognizes: fn(&Weights) -> bool,
    /// Builds it.
    pub(crate) build: Build,
}

/// What a family is built from: tensors, their file unless they are shipped, options, device.
type Build = fn(Weights, Option<&Path>, &GeneratorOptions, &Device) -> Result<Built>;

/// What a family builds.
pub(crate) struct Built {
    /// The network.
    network: Box<dyn Network>,
    /// Names of its classes.
    classes: Vec<String>,
    /// As in [`Generator`].
    draws_class: bool,
    /// What was read apart from the file of the weights.
    beside: String,
}

/// Everything that decides the images of a generator.
#[derive(Serialize)]
struct Key<'a> {
    /// Version of this struct.
    version: u32,
    /// BLAKE3 digest of the file.
    file: String,
    config: &'a Map<String, Value>,
    entry: Option<&'a str>,
    bn_stats: &'static str,
    /// X, Y, degrees.
    transform: Option<[f64; 3]>,
    /// A configuration beside the file.
    beside: &'a str,
}

/// Opens `model` with the first family of `families` that recognizes its tensors: a shipped model, a
/// known id, `hub:OWNER/REPO/FILE`, or a file.
///
/// # Errors
/// If there is no such model, it cannot be downloaded, or it is no generator of these families.
pub(crate) fn open(
    families: &[GeneratorEntry],
    model: &str,
    options: &GeneratorOptions,
    device: &Device,
    watch: &mut dyn Watch,
) -> Result<Generator> {
    let opened = || format!("open generator `{model}`");
    if let Some(file) = shipped(model).filter(|_| !Path::new(model).exists()) {
        return from_bytes(families, file.bytes, None, options, device).with_context(opened);
    }
    let path = locate(Path::new(model), watch)?;
    if !path.is_file() {
        let names = SHIPPED.iter().map(|file| file.name).chain(KNOWN.iter().map(|known| known.id));
        let hint = Hint::of("give a file, an id of {list.}, or `hub:OWNER/REPO/FILE`");
        let hint = match names::similar(model, names) {
            Some(similar) => hint.then(format!("; did you mean `{similar}`?")),
            None => hint,
        };
        return Err(Error::not_found(format!("no model `{model}`")).with_hint(hint));
    }
    let bytes = std::fs::read(&path).map_err(Error::file("read", &path))?;
    from_bytes(families, &bytes, Some(&path), options, device).with_context(opened)
}

fn from_bytes(
    families: &[GeneratorEntry],
    bytes: &[u8],
    path: Option<&Path>,
    options: &GeneratorOptions,
    device: &Device,
) -> Result<Generator> {
    let weights = read_bytes(bytes, &ReadOptions { key: options.key.clone() })?;
    let Some(entry) = families.iter().find(|entry| (entry.recognizes)(&weights)) else {
        let known: Vec<&str> = families.iter().map(|family| family.name).collect();
        let found = ganscope_stylegan::describe(&weights);
        return Err(Error::problem(
            Kind::UnfitCheckpoint,
            format!("the file holds no generator of {}, but {found}", known.join(" or ")),
        )
        .with_hint(Hint::of(
            "give BigGAN, R3GAN, or StyleGAN 1, 2, 3 or XL, as official file, state dict or safetensors; \
             {inspect.} shows what a file contains",
        )));
    };
    let Built { network, classes, draws_class, beside } =
        (entry.build)(weights, path, options, device)?;
    let GeneratorOptions { config, key, bn_stats, transform } = options;
    let key = Key {
        version: 1,
        file: blake3::hash(bytes).to_hex().to_string(),
        config,
        entry: key.as_deref(),
        bn_stats: bn_stats.name(),
        transform: transform.map(|t| [t.translate.0, t.translate.1, t.rotate]),
        beside: &beside,
    };
    let digest = blake3::hash(&serde_json::to_vec(&key)?);
    Ok(Generator { network, family: entry.name, classes, draws_class, digest })
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
        read = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        Config::from_json(&read).with_context(|| format!("`{}`", path.display()))?
    } else {
        Config::of_checkpoint(&checkpoint).map_err(|e| {
            Error::problem(Kind::UnfitCheckpoint, e.to_string())
                .with_hint(Hint::of("put its `config.json` next to it, or give it with {config}"))
        })?
    };
    let generator = BigGan::new(config, checkpoint, device)?.with_bn_stats(options.bn_stats);
    let classes = class_names(&generator, generator.classes());
    Ok(Built { network: Box::new(generator), classes, draws_class: false, beside: read })
}

/// BigGAN of BigGAN-PyTorch and of StudioGAN, whose sizes follow from their tensors. A configuration of
/// StudioGAN may lie beside the file.
pub(crate) fn biggan_foreign(
    weights: Weights,
    path: Option<&Path>,
    options: &GeneratorOptions,
    device: &Device,
) -> Result<Built> {
    let beside = path.filter(|_| ganscope_biggan::is_studio(&weights)).and_then(studio_beside);
    let checkpoint = Checkpoint::from(weights);
    let (mut config, mut read) = (checkpoint.config().clone(), String::new());
    // Entries that describe the file and not the network.
    for key in ["family", "class", "classes"] {
        config.shift_remove(key);
    }
    if let Some(path) = beside.filter(|_| options.config.is_empty()) {
        read = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        let found = ganscope_biggan::studio_config(&read);
        config.extend(found.with_context(|| format!("`{}`", path.display()))?);
    }
    config.extend(options.config.clone());
    let generator = BigGan::foreign(checkpoint, &config, device)?;
    let classes = class_names(&generator, generator.classes());
    Ok(Built { network: Box::new(generator), classes, draws_class: false, beside: read })
}

/// The configuration of StudioGAN next to a file of weights, where there is one.
fn studio_beside(path: &Path) -> Option<PathBuf> {
    let candidates = [path.with_extension("yaml"), path.with_file_name("config.yaml")];
    candidates.into_iter().find(|path| path.is_file())
}

/// Names of the classes: those that the file has, or those of ImageNet for a thousand.
fn class_names(generator: &dyn Network, known: &[String]) -> Vec<String> {
    if known.is_empty() && generator.info().c_dim == imagenet::CLASSES as usize {
        return (0..imagenet::CLASSES).filter_map(imagenet::label).map(str::to_owned).collect();
    }
    known.to_vec()
}

/// R3GAN, whose sizes all follow from its tensors.
pub(crate) fn r3gan(
    weights: Weights,
    _path: Option<&Path>,
    _options: &GeneratorOptions,
    device: &Device,
) -> Result<Built> {
    let network = R3Gan::new(Checkpoint::from(weights), device)?;
    let (network, classes) = (Box::new(network), Vec::new());
    Ok(Built { network, classes, draws_class: false, beside: String::new() })
}

/// StyleGAN 1, 2 and 3, and StyleGAN-XL.
pub(crate) fn stylegan(
    weights: Weights,
    _path: Option<&Path>,
    options: &GeneratorOptions,
    device: &Device,
) -> Result<Built> {
    let classes = weights.config.get("classes").cloned();
    let classes: Vec<String> =
        classes.and_then(|names| serde_json::from_value(names).ok()).unwrap_or_default();
    let draws_class = Family::of(&weights) == Some(Family::StyleGanXl);
    let options =
        ganscope_stylegan::Options { config: options.config.clone(), transform: options.transform };
    let network = ganscope_stylegan::load_with(weights, &options, device)?;
    let classes = if draws_class { class_names(&*network, &classes) } else { classes };
    Ok(Built { network, classes, draws_class, beside: String::new() })
}

impl Generator {
    /// The same generator, truncated towards the nearest of `centers`.
    ///
    /// # Errors
    /// If it does not truncate in W, or the centers do not fit it.
    pub fn towards(self, centers: Centers) -> Result<Self> {
        let mut digest = blake3::Hasher::new();
        digest.update(self.digest.as_bytes());
        match &centers {
            Centers::Clusters(count) => digest.update(&count.to_le_bytes()),
            Centers::Given(rows) => {
                digest.update(&rows.dim().to_le_bytes());
                for value in rows.as_slice() {
                    digest.update(&value.to_le_bytes());
                }
                &mut digest
            }
        };
        let network = Box::new(MultiModal::new(self.network, centers)?);
        Ok(Self { network, digest: digest.finalize(), ..self })
    }

    /// Facts of the network.
    pub fn info(&self) -> GeneratorInfo {
        self.network.info()
    }

    /// The resolution at which each style input acts, as far as the noise maps of the network tell it; none
    /// of a family without noise inputs.
    pub fn style_resolutions(&self) -> Vec<usize> {
        let GeneratorInfo { num_ws, img_resolution, .. } = self.info();
        let maps = self.network.noise_maps();
        if maps.is_empty() {
            return Vec::new();
        }
        let of_layers = maps.iter().filter_map(|map| map.dims().last().copied());
        // The last style input of StyleGAN2 is that of the colors.
        of_layers.chain(std::iter::repeat(img_resolution)).take(num_ws).collect()
    }

    /// The class that `text` names: a number, or a name where names are known.
    ///
    /// # Errors
    /// If there is no such class; the hint lists candidates.
    pub fn class(&self, text: &str) -> Result<u32> {
        let count = self.info().c_dim;
        if count == 0 {
            return Err(Error::request("the generator has no classes")
                .with_hint(Hint::of("leave {class} out")));
        }
        Ok(names::class(text, count, &self.classes, "the generator")? as u32)
    }
}

#[cfg(test)]
#[cfg(feature = "models")]
mod tests {
    use crate::latents::DrawingRequest;

    /// As in the paper: a style at 4 x 4, two at each doubling, and one for the colors.
    #[test]
    fn styles_have_the_resolutions_of_their_layers() {
        let of = |model: &str| {
            let generator = DrawingRequest::of(model).open_generator(&mut ()).unwrap();
            generator.style_resolutions()
        };
        assert_eq!(of("fashion-stylegan2"), [4, 8, 8, 16, 16, 32, 32, 32]);
        assert_eq!(of("fashion-biggan"), [0; 0]);
    }
}
