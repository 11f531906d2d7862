//! Several ways from images to features over one decode.

use std::sync::Arc;

use ganscope_images::{Facts, Image, ImageBatch, ImageSet, Preprocess, Skipped, Survey};
use ganscope_stats::files::Convention;
use ganscope_stats::{FeatureBatch, FeatureSet, Features};
use rayon::prelude::*;

use super::extraction::{changed, prepare};
use super::key::Key;
use super::store::FeatureStore;
use super::{FeatureRequest, Gathered, SetFacts, Shard, look, not_kept, open_store};
use crate::error::{Context as _, Error, Result};
use crate::models::extractor::Extractor;
use crate::watch::{Counter, Watch};

/// A way from images to features: a network, a resize before it, and how both are called.
#[derive(Debug)]
pub(crate) struct Lane<'a> {
    pub(crate) extractor: &'a Extractor,
    pub(crate) preprocess: Preprocess,
    pub(crate) convention: &'a Convention,
}

/// The rows of a set in every lane.
#[derive(Debug)]
pub(crate) struct Together {
    /// One for each lane.
    pub(crate) stores: Vec<Arc<FeatureStore>>,
    /// Facts about the set, without its features and their convention.
    pub(crate) set: Gathered,
    /// Passes of an image through a network that were computed, most often fewer than lanes: equal
    /// inputs of one network are computed once.
    pub(crate) passes: usize,
}

/// Fills the stores of all lanes with the rows of `images`. Each image is decoded once, unless an
/// earlier run left some lanes further than others.
///
/// # Errors
/// If an image cannot be read, or the task is stopped.
pub(crate) fn fill(
    request: &FeatureRequest,
    name: &str,
    images: &ImageSet,
    lanes: &[Lane<'_>],
    watch: &mut dyn Watch,
) -> Result<Together> {
    let (indices, facts) = look(request, name, images, Shard::WHOLE, watch)?;
    let total = indices.len();
    let mut stores = Vec::new();
    for lane in lanes {
        let key = Key::read(lane.convention, lane.extractor.network.gives(), &facts).digest()?;
        stores.push(open_store(request, &key, name, total, watch)?);
    }
    let passes = extract(request, images, (&indices, &facts), lanes, &mut stores, name, watch);
    let passes = passes.with_context(|| format!("read `{name}`"))?;
    if let Some(reason) = stores.iter().find_map(FeatureStore::lost_cache) {
        not_kept(reason, watch);
    }
    let first = stores.first().into_iter().flat_map(FeatureStore::skipped);
    let skipped: Vec<&Skipped> = first.collect();
    let took_part = |i: &usize| skipped.iter().all(|skipped| skipped.index != *i);
    let readable = indices.iter().zip(&facts).filter(|(i, _)| took_part(i));
    let readable: Vec<Facts> = readable.filter_map(|(_, facts)| *facts).collect();
    let set = Gathered {
        set: FeatureSet::default(),
        facts: SetFacts {
            path: name.into(),
            images: Some((total - skipped.len()) as u64),
            convention: None,
            skipped: skipped.iter().map(|s| format!("{}: {}", s.name, s.reason)).collect(),
        },
        survey: Some(Survey::of(&readable)),
        places: indices.iter().copied().filter(took_part).collect(),
        rows: None,
    };
    Ok(Together { stores: stores.into_iter().map(Arc::new).collect(), set, passes })
}

/// Brings all stores to the end, and counts the passes of an image through a network.
fn extract(
    request: &FeatureRequest,
    images: &ImageSet,
    (indices, facts): (&[usize], &[Option<Facts>]),
    lanes: &[Lane<'_>],
    stores: &mut [FeatureStore],
    name: &str,
    watch: &mut dyn Watch,
) -> Result<usize> {
    let total = indices.len();
    let behind = |stores: &[FeatureStore]| {
        let done = stores.iter().map(FeatureStore::done);
        done.min().filter(|&done| done < total)
    };
    let Some(before) = behind(stores) else { return Ok(0) };
    let mut counter = Counter::new(watch, name, before, total);
    let mut passes = 0;
    while let Some(from) = behind(stores) {
        // Up to where an earlier run left another lane, which takes part from there.
        let next = stores.iter().map(FeatureStore::done).filter(|&done| done > from).min();
        let to = next.unwrap_or(total).min(from + request.batch);
        let skip = request.skip_unreadable;
        let Decoded { read, skipped } = decode(images, &indices[from..to], &facts[from..to], skip)?;
        let mut done: Vec<Done<'_>> = Vec::new();
        for (lane, store) in lanes.iter().zip(&mut *stores) {
            if store.done() != from {
                continue;
            }
            if read.is_empty() {
                store.append(None, &skipped, to)?;
                continue;
            }
            let batch = prepare(&read, lane.preprocess);
            let same = done.iter().filter(|(of, ..)| same_network(of, lane.convention));
            let (rows, computed) = rows(lane, &batch, &same.collect::<Vec<_>>())?;
            passes += computed;
            store.append(Some(&rows), &skipped, to)?;
            done.push((lane.convention, batch, rows));
        }
        counter.at(to)?;
    }
    Ok(passes)
}

/// A batch that went through a network.
type Done<'a> = (&'a Convention, ImageBatch, FeatureBatch);

/// The rows of a batch in a lane, and how many of its images had to go through the network: not those
/// with an equal input in an earlier batch of that network.
fn rows(lane: &Lane<'_>, batch: &ImageBatch, done: &[&Done<'_>]) -> Result<(FeatureBatch, usize)> {
    let values = lane.preprocess.values();
    let input = |k: usize| k * values..(k + 1) * values;
    let equal = |k: usize| {
        done.iter().position(|(_, other, _)| other.data[input(k)] == batch.data[input(k)])
    };
    let known: Vec<Option<usize>> = (0..batch.n).map(equal).collect();
    let fresh: Vec<usize> = (0..batch.n).filter(|&k| known[k].is_none()).collect();
    if fresh.len() == batch.n {
        return Ok((lane.extractor.network.extract(batch)?, batch.n));
    }
    let part = ImageBatch {
        data: fresh.iter().flat_map(|&k| &batch.data[input(k)]).copied().collect(),
        n: fresh.len(),
        indices: fresh.iter().map(|&k| batch.indices[k]).collect(),
        ..batch.clone()
    };
    let computed = (part.n > 0).then(|| lane.extractor.network.extract(&part)).transpose()?;
    // Each row from where it was computed.
    let from = |k: usize| match known[k] {
        Some(earlier) => Some((&done[earlier].2, k)),
        None => Some((computed.as_ref()?, fresh.iter().position(|&of| of == k)?)),
    };
    let joined = |pick: &dyn Fn(&FeatureBatch) -> Option<&Features>| -> Result<Option<Features>> {
        let mut all: Option<Features> = None;
        for (rows, k) in (0..batch.n).filter_map(from) {
            let Some(row) = pick(rows).map(|rows| rows.select(&[k])) else { return Ok(None) };
            match &mut all {
                Some(all) => all.append(&row)?,
                none => *none = Some(row),
            }
        }
        Ok(all)
    };
    let features = joined(&|rows| Some(&rows.features))?;
    let features = features.ok_or_else(|| Error::request("a batch has no image"))?;
    let logits = joined(&|rows| rows.logits.as_ref())?;
    let spatial = joined(&|rows| rows.spatial.as_ref())?;
    Ok((FeatureBatch { features, logits, spatial }, part.n))
}

/// Whether two conventions differ in their resize at most, so that equal inputs have equal rows.
fn same_network(a: &Convention, b: &Convention) -> bool {
    Convention { resize: b.resize.clone(), ..a.clone() } == *b
}

/// The images of a batch.
struct Decoded {
    read: Vec<Image>,
    skipped: Vec<Skipped>,
}

/// Decodes images in parallel.
fn decode(
    set: &ImageSet,
    indices: &[usize],
    facts: &[Option<Facts>],
    skip_unreadable: bool,
) -> Result<Decoded> {
    let look = |(&i, facts): (&usize, &Option<Facts>)| -> Result<Image> {
        let (digest, decoded) = set.get_digested(i)?;
        // Rows of other bytes than the store is named after would be wrong for ever.
        if facts.is_some_and(|facts| facts.digest != digest) {
            return Err(changed(&set.name(i)));
        }
        Ok(decoded?.image)
    };
    let outcomes: Vec<Result<Image>> = indices.par_iter().zip(facts).map(look).collect();
    let (mut read, mut skipped) = (Vec::new(), Vec::new());
    for (outcome, &index) in outcomes.into_iter().zip(indices) {
        match outcome {
            Ok(image) => read.push(image),
            Err(Error::Images(error)) if skip_unreadable => {
                let reason = Error::Images(error).report();
                skipped.push(Skipped { index, name: set.name(index), reason });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Decoded { read, skipped })
}
