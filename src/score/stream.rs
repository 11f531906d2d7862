//! Scores of images that come bit by bit, as in the loop of a training or on many machines.

use ganscope_images::{BatchOptions, ImageSet, batches};
use ganscope_stats::files::{Convention, Stored};
use ganscope_stats::{FeatureSet, FeatureSetBuilder, Needs, Side};
use serde::{Deserialize, Serialize};

use super::chosen::{Chosen, choose};
use super::{Row, score_set};
use crate::error::{Context as _, Error, Result};
use crate::features::FeatureRequest;
use crate::metrics::MetricOptions;
use crate::models::extractor::Extractor;
use crate::watch::{Counter, Watch};

/// Which metrics are taken of images that come bit by bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamRequest {
    /// Names of metrics.
    pub metrics: Vec<String>,
    /// Options of the metrics.
    pub options: MetricOptions,
    /// How images become features; they are not kept between runs.
    pub features: FeatureRequest,
}

impl Default for StreamRequest {
    fn default() -> Self {
        Self {
            metrics: vec!["fid".into()],
            options: MetricOptions::default(),
            features: FeatureRequest::default(),
        }
    }
}

/// Features of two sets that grow, and their scores at any time.
///
/// Moments take the same memory however many images there were; KID, precision and recall keep a row
/// for each image. Images in one order have the same scores as in one set, to the last bit;
/// [merged](Self::merge) parts have them up to rounding.
///
/// ```
/// use ganscope::images::{Image, ImageSet};
/// use ganscope::score::stream::{ScoreStream, StreamRequest};
/// use ganscope::stats::Side;
///
/// # #[cfg(feature = "models")] {
/// let mut request = StreamRequest::default();
/// request.features.extractor = Some("fashion-cnn".into());
/// let mut stream = ScoreStream::open(&request, &mut ())?;
/// for gray in [0, 80, 160, 240] {
///     let images = ImageSet::from_images(vec![Image::filled(32, 32, [gray; 3])]);
///     stream.update(&images, Side::Generated, &mut ())?;
///     stream.update(&images, Side::Reference, &mut ())?;
/// }
/// assert_eq!(stream.scores()?[0].value, 0.0);
/// # }
/// # Ok::<(), ganscope::Error>(())
/// ```
#[derive(Debug)]
pub struct ScoreStream {
    extractor: Extractor,
    chosen: Chosen,
    batches: BatchOptions,
    generated: Growing,
    reference: Growing,
}

/// A set that grows image by image, and by parts that were collected elsewhere.
#[derive(Debug)]
struct Growing {
    own: FeatureSetBuilder,
    images: u64,
    merged: Option<FeatureSet>,
}

impl Growing {
    fn new(needs: Needs) -> Self {
        Self { own: FeatureSetBuilder::new(needs), images: 0, merged: None }
    }

    /// The set so far.
    fn set(&self) -> Result<FeatureSet> {
        let own = (self.images > 0).then(|| self.own.clone().finish());
        Ok(match (own, &self.merged) {
            (Some(mut own), Some(merged)) => {
                own.merge(merged.clone())?;
                own
            }
            (own, merged) => own.or_else(|| merged.clone()).unwrap_or_default(),
        })
    }

    fn merge(&mut self, part: FeatureSet) -> Result<()> {
        match &mut self.merged {
            Some(merged) => merged.merge(part)?,
            none => *none = Some(part),
        }
        Ok(())
    }
}

impl ScoreStream {
    /// Opens the extractor, with two empty sets.
    ///
    /// # Errors
    /// If a name is unknown, an option is out of range, the extractor cannot be opened, or it does not
    /// compute what a metric needs.
    pub fn open(request: &StreamRequest, watch: &mut dyn Watch) -> Result<Self> {
        request.features.check()?;
        let chosen = choose(Some(&request.metrics), &[], &request.options, true)?;
        let needs = chosen.needs(Side::Generated) | chosen.needs(Side::Reference);
        let extractor = request.features.open_extractor(needs, None, watch)?;
        let missing = needs.difference(extractor.computes());
        if missing != Needs::NONE {
            let name = &extractor.convention.extractor;
            return Err(Error::request(format!("{name} does not compute {missing} at this layer")));
        }
        let growing = |side| Growing::new(chosen.needs(side));
        Ok(Self {
            generated: growing(Side::Generated),
            reference: growing(Side::Reference),
            batches: BatchOptions {
                batch: request.features.batch,
                skip_unreadable: request.features.skip_unreadable,
                ..BatchOptions::default()
            },
            extractor,
            chosen,
        })
    }

    /// The convention of its features.
    pub fn convention(&self) -> &Convention {
        &self.extractor.convention
    }

    /// Number of images of a set so far.
    pub fn count(&self, side: Side) -> u64 {
        let Growing { images, merged, .. } = self.side(side);
        images + merged.as_ref().and_then(FeatureSet::count).unwrap_or(0)
    }

    /// Adds images to a set. Where no metric reads it, they are left alone.
    ///
    /// # Errors
    /// If an image cannot be read, or the task is stopped: images of the batches before then are part
    /// of the set.
    pub fn update(&mut self, images: &ImageSet, side: Side, watch: &mut dyn Watch) -> Result<()> {
        if self.chosen.needs(side) == Needs::NONE {
            return Ok(());
        }
        let (count, mut done) = (images.len(), 0);
        let mut counter = Counter::new(watch, "images", done, count);
        for batch in batches(images, 0..count, self.extractor.preprocess, self.batches) {
            let batch = batch?;
            if batch.n > 0 {
                let features = self.extractor.network.extract(&batch)?;
                let growing = self.side_mut(side);
                growing.own.push(&features)?;
                growing.images += batch.n as u64;
            }
            done += batch.n + batch.skipped.len();
            counter.at(done)?;
        }
        Ok(())
    }

    /// The scores of the sets so far.
    ///
    /// # Errors
    /// If they do not suffice for a metric.
    pub fn scores(&self) -> Result<Vec<Row>> {
        let (generated, reference) = (self.generated.set()?, self.reference.set()?);
        let scores = score_set("generated", &generated, Some(&reference), &self.chosen.metrics)?;
        let row = |score| Row::new(score, Some(self.convention()), "generated", Some("reference"));
        Ok(scores.into_iter().map(row).collect())
    }

    /// Forgets the images of a set.
    pub fn reset(&mut self, side: Side) {
        *self.side_mut(side) = Growing::new(self.chosen.needs(side));
    }

    /// A set so far, for [`merge`](Self::merge) elsewhere or for a file of statistics.
    ///
    /// # Errors
    /// If merged parts and own images are of different width.
    pub fn stored(&self, side: Side) -> Result<Stored> {
        let set = self.side(side).set()?;
        Ok(Stored { set, convention: Some(self.convention().clone()) })
    }

    /// Adds a part of a set that was collected elsewhere; one of no images changes nothing.
    ///
    /// # Errors
    /// If it was taken under another convention, or has other parts or another width.
    pub fn merge(&mut self, part: Stored, side: Side) -> Result<()> {
        let merging = || format!("merge a part of the {side} set");
        if let Some(convention) = &part.convention {
            self.convention().check(convention).with_context(merging)?;
        }
        if part.set.holds() == Needs::NONE {
            return Ok(());
        }
        let needs = self.chosen.needs(side);
        let lacks = needs.difference(part.set.holds());
        if lacks != Needs::NONE {
            return Err(Error::request(format!("the part lacks {lacks}"))).with_context(merging);
        }
        let part = part.set.only(needs);
        let growing = self.side_mut(side);
        if growing.images > 0 {
            // An unfit part must fail now, not at the next score.
            growing.own.clone().finish().merge(part.clone()).with_context(merging)?;
        }
        growing.merge(part).with_context(merging)
    }

    fn side(&self, side: Side) -> &Growing {
        match side {
            Side::Generated => &self.generated,
            Side::Reference => &self.reference,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Growing {
        match side {
            Side::Generated => &mut self.generated,
            Side::Reference => &mut self.reference,
        }
    }
}

#[cfg(test)]
#[cfg(feature = "models")]
mod tests {
    use ganscope_images::Image;

    use super::*;
    use crate::error::Kind;
    use crate::score::{Custom, ScoreRequest, score_with};
    use crate::source::Source;

    /// Moments of the same rows in another order of sums.
    const ROUNDING: f64 = 1e-9;

    fn request(metrics: &[&str]) -> StreamRequest {
        let mut request = StreamRequest {
            metrics: metrics.iter().map(|&name| name.to_owned()).collect(),
            ..StreamRequest::default()
        };
        request.features.extractor = Some("fashion-cnn".into());
        request.features.cache = crate::features::Cache::Off;
        request.options.kid_subset_size = 10;
        request.options.is_splits = 2;
        request
    }

    /// Gradients of different direction and brightness.
    fn images(from: usize, to: usize) -> ImageSet {
        let pixel = |i: usize, p: usize| ((p % 32) * (i % 7) + (p / 32) * (i % 5) + i) as u8;
        let image = |i| {
            let pixels = (0..32 * 32).flat_map(|p| [pixel(i, p); 3]).collect();
            Image::new(32, 32, pixels).unwrap()
        };
        ImageSet::from_images((from..to).map(image).collect())
    }

    fn values(rows: &[Row]) -> Vec<f64> {
        rows.iter().map(|row| row.value).collect()
    }

    #[test]
    fn a_stream_has_the_scores_of_the_whole_sets_to_the_last_bit() {
        let request = request(&["is", "fid", "kid", "prdc"]);
        let mut stream = ScoreStream::open(&request, &mut ()).unwrap();
        for (from, to) in [(0, 1), (1, 34), (34, 50)] {
            stream.update(&images(from, to), Side::Generated, &mut ()).unwrap();
            stream.update(&images(from + 50, to + 50), Side::Reference, &mut ()).unwrap();
        }
        let whole = ScoreRequest {
            metrics: Some(request.metrics.clone()),
            options: request.options,
            features: request.features.clone(),
            ..ScoreRequest::default()
        };
        let custom = Custom {
            generated: vec![Source::of_images("a", images(0, 50))],
            reference: Some(Source::of_images("b", images(50, 100))),
            ..Custom::default()
        };
        let report = score_with(&whole, custom, &mut ()).unwrap();
        assert_eq!(values(&stream.scores().unwrap()), values(&report.scores));
        assert_eq!((stream.count(Side::Generated), stream.count(Side::Reference)), (50, 50));
    }

    #[test]
    fn merged_parts_have_the_scores_of_the_whole() {
        let request = request(&["fid", "prc"]);
        let open = || ScoreStream::open(&request, &mut ()).unwrap();
        let (mut whole, mut first, mut second) = (open(), open(), open());
        for (stream, from, to) in [(&mut first, 0, 20), (&mut second, 20, 45)] {
            for (side, shift) in [(Side::Generated, 0), (Side::Reference, 60)] {
                stream.update(&images(from + shift, to + shift), side, &mut ()).unwrap();
                whole.update(&images(from + shift, to + shift), side, &mut ()).unwrap();
            }
        }
        let mut empty = open();
        for side in [Side::Generated, Side::Reference] {
            first.merge(second.stored(side).unwrap(), side).unwrap();
            first.merge(empty.stored(side).unwrap(), side).unwrap();
            empty.merge(first.stored(side).unwrap(), side).unwrap();
        }
        let expected = values(&whole.scores().unwrap());
        for merged in [&first, &empty] {
            let found = values(&merged.scores().unwrap());
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= ROUNDING * b.abs();
            assert!(found.iter().zip(&expected).all(near), "{found:?} {expected:?}");
        }
        assert_eq!(empty.count(Side::Reference), 45);
    }

    #[test]
    fn parts_of_another_convention_are_refused_and_change_nothing() {
        let mut stream = ScoreStream::open(&request(&["fid"]), &mut ()).unwrap();
        stream.update(&images(0, 5), Side::Generated, &mut ()).unwrap();
        let mut part = stream.stored(Side::Generated).unwrap();
        part.convention.as_mut().unwrap().resize = "another".into();
        let error = stream.merge(part, Side::Generated).unwrap_err();
        assert_eq!(error.kind(), Kind::BadRequest);
        assert_eq!(stream.count(Side::Generated), 5);
        let kid = ScoreStream::open(&request(&["kid"]), &mut ()).unwrap();
        let mut kid = kid;
        let part = stream.stored(Side::Generated).unwrap();
        assert!(kid.merge(part, Side::Generated).unwrap_err().report().contains("lacks"));
    }

    #[test]
    fn a_set_that_was_reset_is_empty() {
        let mut stream = ScoreStream::open(&request(&["fid"]), &mut ()).unwrap();
        for side in [Side::Generated, Side::Reference] {
            stream.update(&images(0, 4), side, &mut ()).unwrap();
        }
        stream.reset(Side::Generated);
        assert_eq!((stream.count(Side::Generated), stream.count(Side::Reference)), (0, 4));
        assert!(stream.scores().unwrap_err().report().contains('0'));
    }

    #[test]
    fn a_stopped_update_keeps_whole_batches() {
        struct Stop;
        impl Watch for Stop {
            fn stop(&self) -> bool {
                true
            }
        }
        let mut stream = ScoreStream::open(&request(&["fid"]), &mut ()).unwrap();
        let error = stream.update(&images(0, 40), Side::Generated, &mut Stop).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
        assert_eq!(stream.count(Side::Generated), 32);
    }
}
