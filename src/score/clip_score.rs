//! CLIPScore: how well pictures fit their prompts.
//!
//! Hessel et al., "CLIPScore: A Reference-free Evaluation Metric for Image Captioning", 2021,
//! <https://arxiv.org/abs/2104.08718>, on the scale of torchmetrics.

mod pairs;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::Device;
use ganscope_clip_text::{Prompt, TextConfig, TextTower, Tokenizer};
use ganscope_images::ImageSet;
use ganscope_stats::files::Convention;
use ganscope_stats::{Features, Needs, Uncertainty};
use ganscope_weights::ReadOptions;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{VERSION, Warned};
use crate::error::{Context as _, Error, Hint, Kind, Result};
use crate::features::{FeatureRequest, Gatherer};
use crate::files::write_text;
use crate::models::weights;
use crate::source::Source;
use crate::watch::{Counter, Warning, Watch};
use pairs::Pair;

/// The tokenizer of all CLIP networks of OpenAI.
const TOKENIZER: &str = "hub:openai/clip-vit-base-patch32/tokenizer.json";
/// The extractor with a text tower.
const EXTRACTOR: &str = "clip";
/// Prompts between two signs of life.
const PROMPTS: usize = 64;

/// Which pictures are compared with which prompts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipScoreRequest {
    /// The file of pairs, a CSV (`.tsv`: tabs) with a header, or JSON lines (`.jsonl`). The image is in
    /// `file`, `file_name`, `filename`, `path` or `image`, the prompt in `prompt`, `text` or `caption`.
    pub pairs: PathBuf,
    /// The folder that names of images are relative to; that of the file of pairs if missing.
    pub images: Option<PathBuf>,
    /// The `tokenizer.json` of the text tower; that of OpenAI's networks if missing, downloaded once.
    pub tokenizer: Option<String>,
    /// How images become embeddings; the extractor is `clip`, the file of its weights has both towers.
    pub features: FeatureRequest,
}

/// How well pictures fit their prompts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipScore {
    /// The mean of `100 cos(image, prompt)` over the pairs, not below 0. The paper's CLIPScore is 0.025
    /// times it where no cosine is negative.
    pub score: f64,
    /// Standard error of the mean over other pairs.
    pub standard_error: Option<f64>,
    /// The 95 % confidence interval.
    pub interval: Option<[f64; 2]>,
    /// Number of pairs.
    pub pairs: usize,
    /// Number of prompts whose end was cut off.
    pub cut: usize,
    /// How images became embeddings.
    pub convention: Convention,
    /// What may mislead.
    pub warnings: Vec<Warning>,
    /// The request.
    pub request: ClipScoreRequest,
    /// Version of this library.
    pub ganscope: &'static str,
    /// All pairs.
    #[serde(skip)]
    pub rows: Vec<PairScore>,
}

/// A picture and a prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairScore {
    /// Name of the image, as given.
    pub file: String,
    /// The prompt.
    pub prompt: String,
    /// `100 cos(image, prompt)`.
    pub score: f64,
}

/// Scores how well pictures fit their prompts: `100 cos` of the embeddings that both towers of a CLIP
/// give, averaged.
///
/// # Errors
/// If the file of pairs cannot be read, lacks a prompt or names an image that is not there, the network
/// or the tokenizer cannot be opened or do not fit, or the task is stopped.
pub fn clip_score(request: &ClipScoreRequest, watch: &mut dyn Watch) -> Result<ClipScore> {
    request.check()?;
    let mut features = request.features.clone();
    features.extractor = Some(EXTRACTOR.into());
    let mut warned = Warned::new(watch);
    let mut pairs = pairs::read(&request.pairs)?;
    pairs.truncate(features.num.take().unwrap_or(usize::MAX));
    let (texts, cut) = texts(request, &features, &pairs, warned.watch)?;
    if cut > 0 {
        let count =
            format!("{cut} of {} prompts are too long: their ends are cut off", pairs.len());
        warned.extend([count.into()]);
    }
    let (places, files) = request.files(&pairs);
    let set = ImageSet::from_files(files).with_context(|| format!("read {}", request.name()))?;
    let source = Source::of_images(request.name(), set.within(features.limits));
    let extractor = features.open_extractor(Needs::FEATURES, None, warned.watch)?;
    let convention = extractor.convention.clone();
    let mut gatherer = Gatherer::new(&features, &extractor);
    let gathered = gatherer.gather(&source, Needs::FEATURES, warned.watch)?;
    let rows = gathered.set.features.as_ref();
    let rows = rows.ok_or_else(|| Error::request("there are no images"))?;
    let width = texts.first().map_or(0, Vec::len);
    if rows.dim() != width {
        let widths = format!("images have {} numbers, prompts {width}", rows.dim());
        let message = format!("CLIPScore compares embeddings, but {} were taken", convention.layer);
        return Err(Error::request(format!("{message}: {widths}"))
            .with_hint(Hint::of("leave {layer} out, and choose another {preset}")));
    }
    let row_of: HashMap<usize, usize> =
        gathered.places.iter().enumerate().map(|(row, &place)| (place, row)).collect();
    let scored = scored(pairs, (&texts, rows), |i| row_of.get(&places[i]).copied());
    let skipped = gathered.facts.skipped.iter();
    warned.extend(skipped.map(|name| format!("left out: {name}").into()));
    let values: Vec<f64> = scored.iter().map(|row| row.score).collect();
    if values.is_empty() {
        return Err(Error::request("no image of the pairs can be read"));
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let spread = (values.len() > 1).then(|| Uncertainty::of_mean(&values)).transpose()?;
    Ok(ClipScore {
        score: mean.max(0.0),
        standard_error: spread.map(|spread| spread.standard_error),
        interval: spread.map(|spread| spread.interval),
        pairs: values.len(),
        cut,
        convention,
        warnings: warned.warnings,
        request: request.clone(),
        ganscope: VERSION,
        rows: scored,
    })
}

/// The scores of the pairs whose images have a row.
fn scored(
    pairs: Vec<Pair>,
    (texts, rows): (&[Vec<f32>], &Features),
    row: impl Fn(usize) -> Option<usize>,
) -> Vec<PairScore> {
    let score = |(i, pair): (usize, Pair)| {
        let score = 100.0 * cosine(rows.row(row(i)?), &texts[i]);
        Some(PairScore { file: pair.file, prompt: pair.prompt, score })
    };
    pairs.into_iter().enumerate().filter_map(score).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

/// The embedding of each prompt, and how many prompts were too long.
fn texts(
    request: &ClipScoreRequest,
    features: &FeatureRequest,
    pairs: &[Pair],
    watch: &mut dyn Watch,
) -> Result<(Vec<Vec<f32>>, usize)> {
    let tower = open_tower(features, watch)?;
    let name = request.tokenizer.as_deref().unwrap_or(TOKENIZER);
    let json = weights::read(Path::new(name), watch)
        .map_err(|error| error.with_hint(Hint::of("give a `tokenizer.json` with {tokenizer}")))?;
    let of_tokenizer = || format!("tokenizer `{name}`");
    let tokenizer = Tokenizer::from_json(&json, tower.context()).with_context(of_tokenizer)?;
    let prompts: Vec<Prompt> = pairs
        .iter()
        .map(|pair| tokenizer.prompt(&pair.prompt))
        .collect::<Result<_, _>>()
        .with_context(of_tokenizer)?;
    let mut counter = Counter::new(watch, "prompts", 0, prompts.len());
    let mut texts = Vec::with_capacity(prompts.len());
    for some in prompts.chunks(PROMPTS) {
        let embedded = some.par_iter().map(|prompt| tower.embed(prompt));
        let embedded: Result<Vec<_>, _> = embedded.collect();
        texts.extend(embedded.with_context(of_tokenizer)?);
        counter.at(texts.len())?;
    }
    Ok((texts, prompts.iter().filter(|prompt| prompt.is_cut).count()))
}

impl ClipScoreRequest {
    /// Fails if the request contradicts itself.
    ///
    /// # Errors
    /// The message names the contradiction.
    pub fn check(&self) -> Result<()> {
        match self.features.extractor.as_deref() {
            None | Some(EXTRACTOR) => self.features.check(),
            Some(other) => Err(Error::request(format!("{other} has no text tower"))
                .with_hint(Hint::of("leave {extractor} out: it is `clip`"))),
        }
    }

    fn name(&self) -> String {
        format!("images of `{}`", self.pairs.display())
    }

    /// The file of each image once, and for each pair which of them is its.
    fn files(&self, pairs: &[Pair]) -> (Vec<usize>, Vec<PathBuf>) {
        let beside = || self.pairs.parent().unwrap_or(Path::new("")).to_owned();
        let folder = self.images.clone().unwrap_or_else(beside);
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut files = Vec::new();
        let mut places = Vec::with_capacity(pairs.len());
        for pair in pairs {
            places.push(*known.entry(&pair.file).or_insert_with(|| {
                files.push(folder.join(&pair.file));
                files.len() - 1
            }));
        }
        (places, files)
    }
}

/// The text tower of the file that the images' tower is in.
fn open_tower(features: &FeatureRequest, watch: &mut dyn Watch) -> Result<TextTower> {
    let options = features.extractor_options(Needs::FEATURES, None)?;
    let config = match &options.config {
        None => TextConfig::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
            let what = || format!("configuration `{}`", path.display());
            TextConfig::from_json(&text).with_context(what)?
        }
    };
    let bytes = features.entry(None)?.bytes(&options, watch)?;
    let what = || match &options.weights {
        Some(name) => format!("open the text tower of `{name}`"),
        None => "open the text tower of CLIP".to_owned(),
    };
    let read = ganscope_weights::read_bytes(&bytes, &ReadOptions::default());
    let checkpoint = read.with_context(what)?;
    TextTower::new(checkpoint.into(), config, &Device::Cpu).map_err(|error| {
        let message = format!("{}: {error}", what());
        Error::problem(Kind::UnfitCheckpoint, message).with_hint(Hint::of(
            "give weights of CLIP with both towers with {weights}, their `config.json` with {extractor_config}",
        ))
    })
}

impl ClipScore {
    /// One line for people: `CLIPScore 31.42 ± 0.06, 5000 pairs`.
    pub fn sentence(&self) -> String {
        let error = self.standard_error.map_or(String::new(), |error| format!(" ± {error:.4}"));
        format!("CLIPScore {:.6}{error}, {} pairs", self.score, self.pairs)
    }

    /// Writes all pairs as a CSV: `file`, `prompt`, `score`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_rows(&self, path: &Path) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let problem = |error: &dyn std::fmt::Display| Error::request(error.to_string());
        for row in &self.rows {
            writer.serialize(row).map_err(|error| problem(&error))?;
        }
        let bytes = writer.into_inner().map_err(|error| problem(&error))?;
        write_text(path, &String::from_utf8_lossy(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use ganscope_golden::{data, json};
    use ganscope_images::save_png;

    use super::*;
    use crate::features::Cache;

    /// Embeddings are float32, on the scale of 100.
    const F32: f64 = 1e-3;

    fn request(folder: &Path, pairs: &str) -> ClipScoreRequest {
        std::fs::write(folder.join("pairs.csv"), pairs).unwrap();
        ClipScoreRequest {
            pairs: folder.join("pairs.csv"),
            tokenizer: Some(data().join("clip-text-tokenizer.json").display().to_string()),
            features: FeatureRequest {
                weights: Some(data().join("clip-tiny.safetensors").display().to_string()),
                extractor_config: Some(data().join("clip-tiny-config.json")),
                cache: Cache::Off,
                ..FeatureRequest::default()
            },
            ..ClipScoreRequest::default()
        }
    }

    /// The golden images in a folder, and the golden pairs.
    fn golden(folder: &Path) -> String {
        for (image, h, w) in [(60, 224, 224), (61, 300, 200), (62, 33, 100), (63, 48, 64)] {
            let pixels = ganscope_golden::image(image, h, w);
            let picture = ganscope_images::Image { width: w, height: h, pixels };
            save_png(&folder.join(format!("{image}.png")), &picture).unwrap();
        }
        let golden = json("clip-text.json");
        let pairs: Vec<(u32, usize)> = serde_json::from_value(golden["pairs"].clone()).unwrap();
        let line = |&(image, prompt): &(u32, usize)| {
            format!("{image}.png,\"{}\"\n", golden["prompts"][prompt].as_str().unwrap())
        };
        format!("file,prompt\n{}", pairs.iter().map(line).collect::<String>())
    }

    #[test]
    fn scores_are_those_of_torchmetrics_on_golden_embeddings() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = golden(folder.path());
        let found = clip_score(&request(folder.path(), &pairs), &mut ()).unwrap();
        let golden = json("clip-text.json");
        let expected = golden["clip_score"].as_f64().unwrap();
        assert!((found.score - expected).abs() < F32, "{} {expected}", found.score);
        let cosines: Vec<f64> = serde_json::from_value(golden["cosines"].clone()).unwrap();
        for (row, cosine) in found.rows.iter().zip(cosines) {
            assert!((row.score - 100.0 * cosine).abs() < F32, "{row:?} {cosine}");
        }
        assert_eq!((found.pairs, found.cut), (5, 2));
        assert!(found.warnings[0].text.contains("2 of 5 prompts are too long"));
        let error = Uncertainty::of_mean(&found.rows.iter().map(|r| r.score).collect::<Vec<_>>());
        assert_eq!(found.standard_error, Some(error.unwrap().standard_error));
        found.write_rows(&folder.path().join("scores.csv")).unwrap();
        let rows = std::fs::read_to_string(folder.path().join("scores.csv")).unwrap();
        assert!(rows.starts_with("file,prompt,score\n60.png,the cat,14.8"), "{rows}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        golden(at);
        let fails = |pairs: &str| clip_score(&request(at, pairs), &mut ()).unwrap_err().report();
        assert!(fails("file,prompt\n60.png,\n").contains("line 2: no prompt"));
        assert!(fails("file,prompt\n,a\n").contains("line 2: no image"));
        assert!(fails("a,b\n60.png,x\n").contains("found a, b"));
        assert!(fails("file,prompt\n").contains("no pairs"));
        assert!(fails("file,prompt\n99.png,a\n").contains("99.png"));
        let given = request(at, "file,prompt\n60.png,a\n");
        let with = |change: &dyn Fn(&mut ClipScoreRequest)| {
            let mut request = given.clone();
            change(&mut request);
            clip_score(&request, &mut ()).unwrap_err().report()
        };
        assert!(with(&|r| r.features.extractor = Some("dinov2".into())).contains("no text tower"));
        assert!(with(&|r| r.features.extractor_config = None).contains("heads"));
        let file = |name: &str| Some(data().join(name).display().to_string());
        assert!(with(&|r| r.tokenizer = file("metrics.json")).contains("tokenizer"));
        assert!(with(&|r| r.features.weights = file("dinov2-tiny.pth")).contains("no text tower"));
        assert!(with(&|r| r.features.layer = Some("pooled".into())).contains("embeddings"));
        let one = clip_score(&given, &mut ()).unwrap();
        assert_eq!((one.pairs, one.standard_error), (1, None));
    }
}
