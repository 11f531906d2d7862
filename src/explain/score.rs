//! Why a score is what it is: directions, modes, classes, images and pixels behind a Fréchet distance.

mod causes;
pub mod chance;
pub mod classes;
pub mod contributions;
pub mod copies;
pub mod directions;
pub mod looks;
pub mod modes;
mod page;
pub mod sets;

use ganscope_stats::files::Convention;
use ganscope_stats::{FeatureSet, FeatureStats, Needs, Score};
use serde::{Deserialize, Serialize};

pub use causes::{Cause, MAIN};

use crate::checks::{positive, within};
use crate::error::{Context as _, Error, Result};
use crate::explain::distance::pixel_maps;
use crate::features::{FeatureRequest, Gathered, Gatherer, SetFacts};
use crate::models::extractor::Extractor;
use crate::score::chosen::{self, Chosen};
use crate::score::{Task, VERSION, Warned, network, warnings};
use crate::source::Source;
use crate::watch::{Counter, Warning, Watch};
use chance::OfDistance;
use classes::{ClassReport, LabelDistance};
use contributions::Contributions;
use copies::CopyReport;
use directions::DirectionReport;
use looks::Look;
use modes::ModeReport;
use sets::{Labels, Member};

/// Whose distance is explained, against which reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExplainScoreRequest {
    /// The generated images, or features of single ones.
    pub generated: String,
    /// The reference set: real images, their features, or their statistics.
    pub reference: String,
    /// Real images that are not part of the reference, with which near copies are compared.
    pub held_out: Option<String>,
    /// Number of directions, 1 to 100.
    pub directions: usize,
    /// Number of modes of each kernel and side, 1 to 100.
    pub modes: usize,
    /// Factor by which a kind of images must be more frequent to be a mode, above 0.
    pub eta: f64,
    /// Number of images that are listed as the worst, at least 1.
    pub top: usize,
    /// Number of the worst images whose pixels are explained.
    pub heat: usize,
    /// Neighbors of realism and rarity in the reference, at least 1.
    pub nearest_k: usize,
    /// Seed of the random Fourier features, and of the sets that tell what chance does.
    pub seed: u32,
    /// How images become features.
    pub features: FeatureRequest,
    /// Whether sets are compared that were taken under different conventions.
    pub force: bool,
}

impl Default for ExplainScoreRequest {
    fn default() -> Self {
        Self {
            generated: String::new(),
            reference: String::new(),
            held_out: None,
            directions: 6,
            modes: 3,
            eta: 1.0,
            top: 25,
            heat: 6,
            nearest_k: 3,
            seed: 0,
            features: FeatureRequest::default(),
            force: false,
        }
    }
}

/// The reasons of a score.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedScore {
    /// The generated set.
    pub generated: SetFacts,
    /// The reference set.
    pub reference: SetFacts,
    /// The held-out set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<SetFacts>,
    /// Extractor, layer and resize.
    pub convention: Option<Convention>,
    /// Name of the distance: `FID`, or `FD (fashion-cnn)`.
    pub title: String,
    /// The distance.
    pub distance: f64,
    /// The distance by chance alone: of the pooled images, drawn anew into two sets of the same sizes.
    /// Unknown where the reference consists of moments.
    pub by_chance: Option<f64>,
    /// Causes that are larger than chance, the main ones first.
    pub causes: Vec<Cause>,
    /// The distance by directions of the features.
    pub directions: DirectionReport,
    /// Over-represented and missing kinds of images, one report per kernel.
    pub modes: Vec<ModeReport>,
    /// The frequencies of classes; none where the extractor has no classes.
    pub classes: Option<ClassReport>,
    /// The distance by label, where both sets have labels.
    pub labels: Vec<LabelDistance>,
    /// What each image adds.
    pub images: Contributions,
    /// How near generated images are to reference images.
    pub copies: Option<CopyReport>,
    /// How the pictures differ by plain measures, where both sets have pictures.
    pub looks: Vec<Look>,
    /// What may mislead.
    pub warnings: Vec<Warning>,
    /// The request.
    pub request: ExplainScoreRequest,
    /// Version of this library.
    pub ganscope: &'static str,
    /// Both sets with their pictures.
    #[serde(skip)]
    members: [Member; 2],
}

/// Parts of the work after the features.
const STEPS: usize = 7;

/// Finds the reasons of the Fréchet distance between two sets.
///
/// ```
/// # #[cfg(feature = "models")] {
/// use ganscope::explain::score::{ExplainScoreRequest, explain_score};
///
/// let mut request = ExplainScoreRequest {
///     generated: "models/samples".into(),
///     reference: "fashion-test".into(),
///     heat: 0,
///     ..ExplainScoreRequest::default()
/// };
/// # request.features.cache = ganscope::features::Cache::Off;
/// let found = explain_score(&request, &mut ())?;
/// let parts = &found.directions;
/// let sum = parts.shift + parts.too_little + parts.too_much + parts.outside;
/// assert!((sum / found.distance - 1.0).abs() < 1e-9);
/// # }
/// # Ok::<(), ganscope::Error>(())
/// ```
///
/// # Errors
/// If the generated set contains no features of single images, a set or the extractor cannot be read,
/// or the task is stopped.
pub fn explain_score(
    request: &ExplainScoreRequest,
    watch: &mut dyn Watch,
) -> Result<ExplainedScore> {
    request.check()?;
    let mut warned = Warned::new(watch);
    let read = read(request, &mut warned)?;
    let (generated, reference) = (&read.generated, &read.reference);
    let rows = generated.need_rows()?;
    let mut counter = Counter::new(warned.watch, "reasons", 0, STEPS);
    let comparing = || format!("`{}` against `{}`", request.generated, request.reference);
    let (by_chance, part) = OfDistance::new(generated, reference, request.seed)
        .with_context(comparing)?
        .map_or((None, None), |chance| (Some(chance.distance), Some(chance.largest_part)));
    counter.add()?;
    let directions =
        DirectionReport::new(generated, reference, part, request.directions, &read.labels)
            .with_context(comparing)?;
    counter.add()?;
    let mut modes = Vec::new();
    if let Some(rows) = &reference.rows {
        for kernel in modes::kernels(rows, request.seed)? {
            modes.push(ModeReport::new(generated, reference, kernel, request, &read.labels)?);
        }
    }
    counter.add()?;
    let asked = (request.top, request.nearest_k);
    let (mut images, decomposed) =
        Contributions::new(generated, reference, asked).with_context(comparing)?;
    images.title = title("fid", "FID", read.convention.as_ref());
    images.inception_score_title = title("is", "Inception Score", read.convention.as_ref());
    counter.add()?;
    let distance = images.distance;
    let classes = ClassReport::new(generated, reference, distance, &read.labels)?;
    let labels = classes::distances_by_label(generated, reference)?;
    counter.add()?;
    let held_out = read.held_out.as_ref().map(Member::need_rows).transpose()?;
    let copies = CopyReport::new(generated, reference, held_out)?;
    counter.add()?;
    let looks = looks::looks(generated, reference, distance, request.seed)?;
    counter.add()?;
    drop(counter);

    let heat = if generated.album.has_pictures() { request.heat } else { 0 };
    if let Some(extractor) = read.extractor.as_ref().filter(|_| heat > 0) {
        let worst: Vec<usize> = images.worst().into_iter().take(heat).collect();
        let mut counter = Counter::new(warned.watch, "heat maps", 0, worst.len());
        for i in worst {
            let gradient = decomposed.gradient(rows.row(i))?;
            if let Some(image) = images.image(i)? {
                images.maps.push((i, pixel_maps(extractor, &image, &gradient)?));
            }
            counter.add()?;
        }
    }
    warned.extend(images.about_sums());
    let title = images.title.clone();
    let mut causes = classes.as_ref().map_or(Vec::new(), |classes| classes.causes(&title));
    causes.extend(modes.iter().flat_map(ModeReport::causes));
    causes.extend(directions.causes(&title));
    causes.extend(copies.as_ref().and_then(|copies| copies.cause(rows.len())));
    causes.extend(looks.iter().flat_map(|look| look.causes(&title)));
    let warnings = warned.warnings;
    let Read { generated, reference, held_out, convention, .. } = read;
    let members = [generated, reference];
    Ok(ExplainedScore {
        generated: members[0].facts.clone(),
        reference: members[1].facts.clone(),
        held_out: held_out.map(|member| member.facts),
        convention,
        title,
        distance,
        by_chance,
        causes: causes::ordered(causes),
        directions,
        modes,
        classes,
        labels,
        images,
        copies,
        looks,
        warnings,
        request: request.clone(),
        ganscope: VERSION,
        members,
    })
}

impl ExplainScoreRequest {
    /// Fails if a number is out of range.
    ///
    /// # Errors
    /// The message names the number and its range.
    pub fn check(&self) -> Result<()> {
        self.features.check()?;
        within("directions", self.directions, 1..=100)?;
        within("modes", self.modes, 1..=100)?;
        within("top", self.top, 1..=1000)?;
        within("heat", self.heat, 0..=1000)?;
        if !(self.eta.is_finite() && self.eta > 0.0) {
            let message = format!("`eta` is {}, expected a number above 0", self.eta);
            return Err(Error::request(message));
        }
        positive("nearest_k", self.nearest_k)
    }
}

/// Everything that is read before the work.
struct Read {
    generated: Member,
    reference: Member,
    held_out: Option<Member>,
    labels: Labels,
    convention: Option<Convention>,
    extractor: Option<Extractor>,
}

fn read(request: &ExplainScoreRequest, warned: &mut Warned<'_>) -> Result<Read> {
    let features = &request.features;
    let open = |name: &String| Source::open(name, &features.set_options());
    let generated = open(&request.generated)?;
    let reference = open(&request.reference)?;
    let held_out = request.held_out.as_ref().map(open).transpose()?;
    let needs = Needs::STATS | Needs::FEATURES;
    let is_stored = |source: &Source| {
        source.images().is_none() || source.holds().is_some_and(|holds| holds.contains(needs))
    };
    let stored = [&reference, &generated].into_iter().find_map(Source::convention).cloned();
    let all_stored = [Some(&generated), Some(&reference), held_out.as_ref()];
    let extractor = if all_stored.into_iter().flatten().all(is_stored) {
        None
    } else {
        Some(features.open_extractor(needs, stored.as_ref(), warned.watch)?)
    };
    let convention = extractor.as_ref().map(|extractor| extractor.convention.clone()).or(stored);
    let chosen = Chosen { metrics: Vec::new(), by_name: true };
    let task = Task { chosen: &chosen, features, force: request.force };
    for source in [&generated, &reference].into_iter().chain(&held_out) {
        task.check_convention(source, convention.as_ref(), warned)?;
    }
    let logits = extractor.as_ref().map_or(Needs::NONE, Extractor::computes) & Needs::LOGITS;
    let mut gatherer = extractor.as_ref().map(|extractor| Gatherer::new(features, extractor));
    let mut gather = |source: &Source, needs: Needs, watch: &mut dyn Watch| match &mut gatherer {
        Some(gatherer) => gatherer.gather(source, needs, watch),
        None => Gathered::of_stored(source, needs, watch),
    };
    let mut of_generated = gather(&generated, needs | logits, warned.watch)?;
    let of_reference = gather(&reference, needs | logits, warned.watch)?;
    let of_held_out =
        held_out.as_ref().map(|source| gather(source, needs, warned.watch)).transpose()?;
    let network = extractor.as_ref().map(network);
    warned.extend(warnings::about_sets(&[&of_generated, &of_reference], Needs::STATS, network));
    warned.extend(warnings::about_pair(&of_generated, &of_reference));
    let FeatureSet { stats, features: rows, .. } = &mut of_generated.set;
    let counts = rows.as_ref().zip(stats.as_ref().and_then(FeatureStats::count));
    if let Some((rows, images)) = counts.filter(|(rows, images)| rows.len() as u64 != *images) {
        let (name, rows) = (generated.name(), rows.len());
        let text = format!(
            "`{name}` holds the features of {rows} of its {images} images: these are explained"
        );
        warned.extend([text.into()]);
        *stats = None;
    }
    if of_reference.set.features.is_none() {
        let name = reference.name();
        let note = "no modes, realism, copies, nor what chance does";
        warned.watch.note(&format!("`{name}` contains no features of single images: {note}"));
    }
    let of_held_out = held_out.as_ref().zip(of_held_out);
    let held_out =
        of_held_out.map(|(source, gathered)| Member::new(source, gathered)).transpose()?;
    let labels = extractor.as_ref().and_then(|extractor| extractor.parts.as_ref());
    Ok(Read {
        generated: Member::new(&generated, of_generated)?,
        reference: Member::new(&reference, of_reference)?,
        held_out,
        labels: Labels(labels.map(|parts| parts.labels.clone()).unwrap_or_default()),
        convention,
        extractor,
    })
}

/// Name of a score for people.
fn title(name: &'static str, title: &str, convention: Option<&Convention>) -> String {
    chosen::title(&Score::new(name, title, 0.0, false), convention)
}
