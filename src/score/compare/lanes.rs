//! The features that tools take, each kind once.

use std::sync::Arc;

use ganscope_hub::{Hub, known};
use ganscope_images::{Preprocess, Resize};
use ganscope_model::Normalization;
use ganscope_stats::files::Convention;
use ganscope_stats::{FeatureSet, Needs};

use super::LeftOut;
use crate::catalog;
use crate::error::{Error, Hint, Kind, Result};
use crate::features::extraction;
use crate::features::store::FeatureStore;
use crate::features::{FeatureRequest, Gathered, together};
use crate::models::extractor::{Extractor, ExtractorEntry};
use crate::models::weights::WeightSource;
use crate::preset::{Preset, PresetWeights, Tool};
use crate::source::Source;
use crate::watch::Watch;

/// Networks, and the features that tools take of them.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) networks: Vec<Extractor>,
    pub(super) all: Vec<Lane>,
    pub(super) left_out: Vec<LeftOut>,
    /// What each network is.
    kinds: Vec<NetworkKind>,
    /// Networks that cannot be opened, with the reason.
    failed: Vec<(NetworkKind, String)>,
    /// The advice of the first error.
    hint: Option<Hint>,
}

/// Features of one convention.
#[derive(Debug)]
pub(super) struct Lane {
    /// Place of its network.
    pub(super) network: usize,
    preprocess: Preprocess,
    pub(super) convention: Convention,
    /// The tools that take them, with their presets.
    pub(super) members: Vec<(&'static Preset, Tool)>,
    /// Place of its rows in the stores of a set.
    place: usize,
}

/// The features of a set in all lanes.
pub(super) struct Set {
    stores: Vec<Arc<FeatureStore>>,
    stored: Option<FeatureSet>,
    pub(super) gathered: Gathered,
    pub(super) passes: usize,
}

/// Everything about a network but the resize before it.
#[derive(Debug, PartialEq)]
struct NetworkKind {
    extractor: &'static str,
    weights: Option<PresetWeights>,
    scaling: Option<Normalization>,
    layer: Option<&'static str>,
}

impl Lanes {
    /// Opens the networks of all presets of the extractor of a request, or of all published ones
    /// whose weights are at hand.
    pub(super) fn open(
        request: &FeatureRequest,
        needs: Needs,
        watch: &mut dyn Watch,
    ) -> Result<Self> {
        let mut lanes = Self::default();
        let is_published =
            |entry: &&ExtractorEntry| matches!(entry.weights, WeightSource::Known(_));
        let entries: Vec<&'static ExtractorEntry> = match &request.extractor {
            Some(name) => vec![catalog::extractor(name)?],
            None => catalog::EXTRACTORS.iter().filter(is_published).collect(),
        };
        for (i, entry) in entries.iter().enumerate() {
            // Weights and layer that are given are those of the first network.
            let mut own = FeatureRequest { extractor: Some(entry.name.into()), ..request.clone() };
            if i > 0 {
                own = FeatureRequest { weights: None, extractor_config: None, layer: None, ..own };
            }
            for preset in entry.presets {
                own.preset = Some(preset.name.into());
                let reason = if i > 0 { lacks_weights(entry, preset)? } else { None };
                let network = match reason {
                    None => lanes.network(&own, entry, preset, needs, watch)?,
                    Some(reason) => Err(reason),
                };
                match network {
                    Ok(network) => lanes.add(network, preset),
                    Err(reason) => lanes.leave_out(entry.name, preset, reason),
                }
            }
        }
        Ok(lanes)
    }

    /// The place of the network of a preset, which is opened once; or the reason why known weights
    /// cannot be opened, which are tried once.
    ///
    /// # Errors
    /// If weights that were given cannot be opened, or the task is stopped.
    fn network(
        &mut self,
        request: &FeatureRequest,
        entry: &ExtractorEntry,
        preset: &Preset,
        needs: Needs,
        watch: &mut dyn Watch,
    ) -> Result<Result<usize, String>> {
        let kind = NetworkKind {
            extractor: entry.name,
            weights: request.weights.is_none().then_some(preset.weights),
            scaling: preset.scaling.clone(),
            layer: preset.layer,
        };
        if let Some(network) = self.kinds.iter().position(|opened| *opened == kind) {
            return Ok(Ok(network));
        }
        let is_same = |(other, _): &&(NetworkKind, String)| {
            (other.extractor, other.weights) == (kind.extractor, kind.weights)
        };
        if let Some((_, reason)) = self.failed.iter().find(is_same) {
            return Ok(Err(reason.clone()));
        }
        match request.open_extractor(needs, None, watch) {
            Ok(extractor) => {
                self.networks.push(extractor);
                self.kinds.push(kind);
                Ok(Ok(self.networks.len() - 1))
            }
            Err(error) if request.weights.is_some() || error.kind() == Kind::Cancelled => {
                Err(error)
            }
            Err(error) => {
                let reason = error.report();
                self.hint = self.hint.take().or(error.hint());
                self.failed.push((kind, reason.clone()));
                Ok(Err(reason))
            }
        }
    }

    fn leave_out(&mut self, extractor: &'static str, preset: &Preset, reason: String) {
        self.left_out.push(LeftOut { extractor, preset: preset.name, reason });
    }

    fn add(&mut self, network: usize, preset: &'static Preset) {
        let extractor = &self.networks[network];
        let resize: Resize = preset.resize;
        let convention = Convention { resize: resize.to_string(), ..extractor.convention.clone() };
        let preprocess = Preprocess { resize, ..extractor.preprocess };
        let members = preset.tools().into_iter().map(|tool| (preset, tool));
        if let Some(lane) = self.all.iter_mut().find(|lane| lane.convention == convention) {
            lane.members.extend(members);
        } else {
            let (members, place) = (members.collect(), self.all.len());
            self.all.push(Lane { network, preprocess, convention, members, place });
        }
    }

    /// Leaves out the conventions that stored statistics were not taken under.
    pub(super) fn keep_comparable(&mut self, sources: &[Source]) {
        for source in sources.iter().filter(|source| source.images().is_none()) {
            let reason = |convention: &Convention| match source.convention() {
                None => Some(format!("`{}` does not tell its convention", source.name())),
                Some(_) => source.check(convention).err().map(|error| error.report()),
            };
            for lane in std::mem::take(&mut self.all) {
                match reason(&lane.convention) {
                    None => self.all.push(lane),
                    Some(reason) => {
                        let mut presets: Vec<&Preset> = Vec::new();
                        for (preset, _) in &lane.members {
                            if presets.iter().all(|other| other.name != preset.name) {
                                presets.push(preset);
                            }
                        }
                        let entries = &catalog::EXTRACTORS;
                        let name = &lane.convention.extractor;
                        let entry = entries.iter().find(|entry| entry.name == name.as_str());
                        let extractor = entry.map_or("", |entry| entry.name);
                        for preset in presets {
                            self.leave_out(extractor, preset, reason.clone());
                        }
                    }
                }
            }
        }
        for (place, lane) in self.all.iter_mut().enumerate() {
            lane.place = place;
        }
    }

    /// Fails if no convention is left.
    pub(super) fn check(&self) -> Result<()> {
        if !self.all.is_empty() {
            return Ok(());
        }
        let reasons = LeftOut::lines(&self.left_out).join("; ");
        let problem = format!("no convention can be computed: {reasons}");
        let error = Error::problem(Kind::NotFound, problem);
        Err(match &self.hint {
            Some(hint) => error.with_hint(hint.clone()),
            None => error,
        })
    }

    /// The features of both sets in all lanes.
    pub(super) fn gather(
        &self,
        request: &FeatureRequest,
        sources: &[Source; 2],
        watch: &mut dyn Watch,
    ) -> Result<[Set; 2]> {
        let lanes = self.all.iter().map(|lane| together::Lane {
            extractor: &self.networks[lane.network],
            preprocess: lane.preprocess,
            convention: &lane.convention,
        });
        let lanes: Vec<together::Lane<'_>> = lanes.collect();
        let mut gather = |source: &Source| -> Result<Set> {
            let Some(images) = source.images() else {
                let held = source.holds().unwrap_or(Needs::NONE);
                let gathered = Gathered::of_stored(source, held, watch)?;
                let stored = Some(gathered.set.clone());
                return Ok(Set { stores: Vec::new(), stored, gathered, passes: 0 });
            };
            let filled = together::fill(request, source.name(), images, &lanes, watch)?;
            let together::Together { stores, set: gathered, passes } = filled;
            Ok(Set { stores, stored: None, gathered, passes })
        };
        Ok([gather(&sources[0])?, gather(&sources[1])?])
    }
}

impl Set {
    /// The parts of the features in a lane that `needs` names.
    pub(super) fn of_lane(&self, lane: &Lane, needs: Needs) -> Result<FeatureSet> {
        match (&self.stored, self.stores.get(lane.place)) {
            (Some(stored), _) => Ok(stored.clone().only(needs)),
            (None, Some(store)) => extraction::collect(store.clone(), needs),
            (None, None) => Ok(FeatureSet::default()),
        }
    }
}

/// Why the weights of a preset are not at hand, if they are not.
fn lacks_weights(entry: &ExtractorEntry, preset: &Preset) -> Result<Option<String>> {
    let id = match (preset.weights, entry.weights) {
        (PresetWeights::Known(id), _) | (PresetWeights::Usual, WeightSource::Known(id)) => id,
        (PresetWeights::Usual, WeightSource::Shipped(_)) => return Ok(None),
        (PresetWeights::Given, _) => {
            return Ok(Some("its weights have to be given".into()));
        }
    };
    if Hub::from_env()?.is_cached(id) {
        return Ok(None);
    }
    let size = known(id).and_then(|known| known.bytes);
    let size = size.map_or_else(String::new, |bytes| format!(" ({:.0} MB)", bytes as f64 / 1e6));
    Ok(Some(format!("the weights {id}{size} are not on this machine")))
}
