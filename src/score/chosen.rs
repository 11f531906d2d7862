//! The metrics of a task, and how their scores are called.

use std::collections::BTreeMap;

use ganscope_stats::files::Convention;
use ganscope_stats::{Metric, Needs, Score, Side};

use crate::catalog;
use crate::error::{Error, Hint, Result};
use crate::features::Gathered;
use crate::metrics::MetricOptions;

/// The metrics of a task.
pub(crate) struct Chosen {
    /// The metrics, in the order asked for.
    pub(crate) metrics: Vec<Box<dyn Metric>>,
    /// Whether they were asked for by name: those that were not are left out where the sets do not
    /// suffice.
    pub(crate) by_name: bool,
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.metrics.iter().map(|metric| metric.name())).finish()
    }
}

impl Chosen {
    /// The parts of a set that the metrics read.
    pub(crate) fn needs(&self, side: Side) -> Needs {
        self.metrics.iter().fold(Needs::NONE, |needs, metric| needs | metric.needs(side))
    }

    /// Fails if no metric is left.
    ///
    /// # Errors
    /// If so.
    pub(crate) fn refuse_none(&self) -> Result<()> {
        if self.metrics.is_empty() {
            let message = "the sets suffice for none of the metrics";
            return Err(Error::request(message).with_hint(Hint::of("give more images")));
        }
        Ok(())
    }

    /// The held-out set `given`, if a metric compares with it.
    ///
    /// # Errors
    /// If it is missing.
    pub(crate) fn held_out<'a>(&self, given: Option<&'a String>) -> Result<Option<&'a String>> {
        let Some(metric) = self.metrics.iter().find(|metric| metric.needs_held_out()) else {
            return Ok(None);
        };
        given.map(Some).ok_or_else(|| {
            let problem = format!("{} needs held-out images", metric.title());
            Error::request(problem).with_hint(Hint::of(
                "give real images that the generator was not trained on with {held_out}; {reference} \
                 is the training set",
            ))
        })
    }

    /// Passes the features of held-out images to the metrics that compare with them.
    ///
    /// # Errors
    /// If the set does not contain its features.
    pub(crate) fn take_held_out(&mut self, held_out: &Gathered) -> Result<()> {
        for metric in self.metrics.iter_mut().filter(|metric| metric.needs_held_out()) {
            let features = held_out.set.features_for(metric.title(), Side::Reference);
            let features = features
                .map_err(|error| super::named(error.into(), &**metric, &held_out.facts.path))?;
            if let Some(informed) = metric.with_held_out(features.clone()) {
                *metric = informed;
            }
        }
        Ok(())
    }

    /// The number of neighbors that each metric of neighbors takes.
    pub(crate) fn nearest_k(&self, options: &MetricOptions) -> BTreeMap<&'static str, usize> {
        let chosen = |name| self.metrics.iter().any(|metric| metric.name() == name);
        let entries = catalog::METRICS.iter().filter(|entry| chosen(entry.name));
        entries.filter_map(|e| Some((e.name, options.nearest_k.unwrap_or(e.nearest_k?)))).collect()
    }
}

/// The requested metrics, or the default ones; without a reference, those that need none.
///
/// # Errors
/// If a name is unknown, an option is out of range, or a metric that is asked for needs a reference
/// and there is none.
pub(crate) fn choose(
    asked: Option<&[String]>,
    default: &[&str],
    options: &MetricOptions,
    reference: bool,
) -> Result<Chosen> {
    options.check()?;
    let names: Vec<&str> = match asked {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => default.to_vec(),
    };
    let mut metrics: Vec<Box<dyn Metric>> =
        names.iter().map(|name| catalog::metric(name, options)).collect::<Result<_>>()?;
    if !reference {
        if asked.is_none() {
            metrics.retain(|m| !m.needs_reference());
        }
        let lacking = metrics.iter().find(|m| m.needs_reference()).map(|m| m.name());
        if let Some(name) = lacking.or(names.first().copied().filter(|_| metrics.is_empty())) {
            return Err(Error::request(format!("{name} needs a reference set"))
                .with_hint(Hint::of("give real images, or their statistics, with {reference}")));
        }
    }
    Ok(Chosen { metrics, by_name: asked.is_some() })
}

/// Name of a score for people. Only on the features of FID's own network is a Fréchet distance
/// called FID; so it is if the features are unknown.
pub(crate) fn title(score: &Score, convention: Option<&Convention>) -> String {
    let published = convention.is_none_or(|c| c.extractor == catalog::EXTRACTORS[0].name);
    let of = |name: &str| match convention {
        Some(c) if published && c.layer != "2048" => format!("{name} (layer {})", c.layer),
        Some(c) if !published => format!("{} ({})", name.replace("ID", "D"), c.extractor),
        _ => name.to_owned(),
    };
    match score.name {
        "is" if published => "Inception Score".into(),
        "is" => of("IS"),
        "fid" => of("FID"),
        "sfid" => of("sFID"),
        "kid" => of("KID"),
        "fd_infinity" => of("FID infinity"),
        "mifid" => of("MIFID"),
        // The published distance is one of embeddings of CLIP.
        "cmmd" => match convention {
            Some(c) if !c.extractor.starts_with("clip") => format!("CMMD ({})", c.extractor),
            _ => score.title.clone(),
        },
        _ => score.title.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(asked: Option<&[&str]>, reference: bool) -> Result<Vec<&'static str>> {
        let asked: Option<Vec<String>> =
            asked.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        let options = MetricOptions::default();
        let chosen = choose(asked.as_deref(), &["is", "fid", "kid"], &options, reference)?;
        Ok(chosen.metrics.iter().map(|metric| metric.name()).collect())
    }

    #[test]
    fn without_a_reference_only_what_stands_alone_is_chosen() {
        assert_eq!(names(None, true).unwrap(), ["is", "fid", "kid"]);
        assert_eq!(names(None, false).unwrap(), ["is"]);
        assert_eq!(names(Some(&["FID"]), true).unwrap(), ["fid"]);
        let error = names(Some(&["is", "fid"]), false).unwrap_err();
        assert_eq!(error.to_string(), "fid needs a reference set");
    }

    #[test]
    fn only_the_features_of_inception_make_a_fid() {
        let convention = |extractor: &str, layer: &str| Convention {
            extractor: extractor.into(),
            weights_sha256: String::new(),
            layer: layer.into(),
            resize: String::new(),
            scaling: String::new(),
        };
        let title_of = |name: &'static str, convention: Option<&Convention>| {
            title(&Score::new(name, "title", 0.0, false), convention)
        };
        assert_eq!(title_of("fid", Some(&convention("inception", "2048"))), "FID");
        assert_eq!(title_of("fid", Some(&convention("inception", "64"))), "FID (layer 64)");
        assert_eq!(title_of("fid", Some(&convention("fashion-cnn", "x"))), "FD (fashion-cnn)");
        assert_eq!(title_of("is", Some(&convention("fashion-cnn", "x"))), "IS (fashion-cnn)");
        assert_eq!(title_of("fid", None), "FID");
        assert_eq!(title_of("fd_infinity", Some(&convention("x", "x"))), "FD infinity (x)");
        assert_eq!(title_of("cmmd", Some(&convention("inception", "2048"))), "CMMD (inception)");
        assert_eq!(title_of("cmmd", Some(&convention("clip-vit-b32", "x"))), "title");
    }
}
