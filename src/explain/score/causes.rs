//! The main causes of a distance, in plain sentences.

use serde::Serialize;

/// Causes that a reader sees first.
pub const MAIN: usize = 5;

/// A cause of the distance that is larger than chance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    /// The cause, a plain sentence.
    pub text: String,
    /// The section that shows it.
    pub section: &'static str,
    /// The share of the images that it concerns, as far as it can be told.
    pub share: f64,
    /// The share of the distance that would vanish with it, where that is known.
    pub part: Option<f64>,
    /// The class that it is about, if it is about one.
    #[serde(skip)]
    pub class: Option<usize>,
}

impl Cause {
    /// What causes are ordered by: the share of the distance or of the images, whichever is larger.
    fn weight(&self) -> f64 {
        self.part.map_or(self.share, |part| part.max(self.share))
    }
}

/// Causes in the order of their weight. Of several about one class the first of `causes` is kept: a mode
/// or a direction that is made of a class says no more than its frequency.
pub(super) fn ordered(causes: impl IntoIterator<Item = Cause>) -> Vec<Cause> {
    let mut kept: Vec<Cause> = Vec::new();
    for cause in causes {
        let is_new = |class| kept.iter().all(|cause| cause.class != Some(class));
        if cause.class.is_none_or(is_new) {
            kept.push(cause);
        }
    }
    kept.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    kept
}

/// A share in percent: `12 %`, `3.4 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent.abs() < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_cause_is_first_and_a_class_is_named_once() {
        let cause = |text: &str, share, class| Cause {
            text: text.into(),
            section: "x",
            share,
            part: None,
            class,
        };
        let found = ordered([
            cause("copies", 0.04, None),
            Cause { part: Some(-0.2), ..cause("tail", 0.08, None) },
            Cause { part: Some(0.7), ..cause("missing class", 0.08, Some(1)) },
            cause("class", 0.1, Some(3)),
            cause("mode of the class", 0.2, Some(3)),
            cause("contrast", 0.3, None),
            cause("other mode", 0.05, None),
        ]);
        let texts: Vec<&str> = found.iter().map(|cause| cause.text.as_str()).collect();
        assert_eq!(texts, ["missing class", "contrast", "class", "tail", "other mode", "copies"]);
        assert_eq!([percent(0.034), percent(0.5), percent(0.0996)], ["3.4 %", "50 %", "10 %"]);
    }
}
