//! Things found by name.

use crate::error::{Error, Result};

/// Names at most this dissimilar are offered.
const SIMILAR: f64 = 0.72;

/// The entry of `table` whose name is `name`, ignoring case.
///
/// # Errors
/// If there is none; the hint contains a similar name, or all names.
pub(crate) fn find<'t, T>(
    table: &'t [T],
    key: impl Fn(&T) -> &str,
    kind: &str,
    name: &str,
) -> Result<&'t T> {
    let name = name.trim();
    table.iter().find(|entry| key(entry).eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(&key).collect();
        unknown(kind, name, &names)
    })
}

/// The error that no `kind` is called `name`, with the similar ones of `names`.
pub(crate) fn unknown(kind: &str, name: &str, names: &[&str]) -> Error {
    Error::not_found(format!("no {kind} `{name}`")).with_hint(suggestion(name, names))
}

/// Names similar to `name`, or all of a short list.
pub(crate) fn suggestion(name: &str, names: &[&str]) -> String {
    match similar(name, names.iter().copied()) {
        Some(similar) => format!("did you mean `{similar}`? There are: {}", names.join(", ")),
        None => format!("there are: {}", names.join(", ")),
    }
}

/// The name most similar to `name`, if any is.
pub(crate) fn similar<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |text: &str| text.to_lowercase().replace([' ', '-', '_'], "");
    let likeness = |other: &str| strsim::jaro_winkler(&plain(name), &plain(other));
    let best = names.map(|other| (likeness(other), other)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= SIMILAR).map(|(_, name)| name)
}

/// The class that `text` names, by its number or by one of `labels`.
///
/// # Errors
/// If there is no such class; the hint lists candidates.
pub(crate) fn class(text: &str, count: usize, labels: &[String], whose: &str) -> Result<usize> {
    let text = text.trim();
    let last = count.saturating_sub(1);
    if let Ok(class) = text.parse::<usize>() {
        if class < count {
            return Ok(class);
        }
        return Err(Error::not_found(format!("{whose} has no class {class}"))
            .with_hint(format!("its {count} classes are 0 to {last}")));
    }
    let plain = |name: &str| name.to_lowercase().replace([' ', '-', '_'], "");
    if let Some(class) = labels.iter().position(|name| plain(name) == plain(text)) {
        return Ok(class);
    }
    if labels.len() == ganscope_model::imagenet::CLASSES as usize {
        return Ok(ganscope_model::imagenet::parse(text)? as usize);
    }
    let hint = if labels.is_empty() {
        format!("its classes have no names; give a number from 0 to {last}")
    } else {
        suggestion(text, &labels.iter().map(String::as_str).collect::<Vec<_>>())
    };
    Err(Error::not_found(format!("{whose} has no class `{text}`")).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized() {
        let names = ["grad-cam", "guided-grad-cam", "gradient", "lrp"];
        assert_eq!(similar("gradcam", names.into_iter()), Some("grad-cam"));
        assert_eq!(similar("Gradients", names.into_iter()), Some("gradient"));
        assert_eq!(similar("zebra", names.into_iter()), None);
        assert_eq!(*find(&names, |n| n, "method", "LRP ").unwrap(), "lrp");
        let error = find(&names, |n| n, "method", "lpr").unwrap_err();
        assert!(error.to_string().contains("no method `lpr`"), "{error}");
    }

    #[test]
    fn classes_have_numbers_and_names() {
        let labels = ["t-shirt", "ankle boot"].map(str::to_owned);
        let find = |text| class(text, 2, &labels, "x");
        assert_eq!(find("1").unwrap(), 1);
        assert_eq!(find("Ankle-Boot").unwrap(), 1);
        assert_eq!(find("2").unwrap_err().to_string(), "x has no class 2");
        let hint = find("ankle bot").unwrap_err().hint().unwrap();
        assert!(format!("{hint:?}").contains("did you mean `ankle boot`?"), "{hint:?}");
    }
}
