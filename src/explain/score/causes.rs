//! The main causes of a distance, in plain sentences.

use serde::Serialize;

/// A cause of the distance that is larger than chance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    /// The cause, a plain sentence.
    pub text: String,
    /// The section that shows it.
    pub section: &'static str,
    /// The share of the images that it concerns, as far as it can be told: causes are ordered by it.
    pub share: f64,
    /// The class that it is about, if it is about one.
    #[serde(skip)]
    pub class: Option<usize>,
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
    kept.sort_by(|a, b| b.share.total_cmp(&a.share));
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
        let cause =
            |text: &str, share, class| Cause { text: text.into(), section: "x", share, class };
        let found = ordered([
            cause("class", 0.1, Some(3)),
            cause("mode of the class", 0.2, Some(3)),
            cause("contrast", 0.3, None),
            cause("other mode", 0.05, None),
        ]);
        let texts: Vec<&str> = found.iter().map(|cause| cause.text.as_str()).collect();
        assert_eq!(texts, ["contrast", "class", "other mode"]);
        assert_eq!([percent(0.034), percent(0.5), percent(0.0996)], ["3.4 %", "50 %", "10 %"]);
    }
}
