//! The thousand classes of ImageNet, by number, WordNet identifier and name.
//!
//! Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015,
//! <https://arxiv.org/abs/1409.0575>. Class `i` is the `i`-th WordNet identifier in order, as in
//! every published classifier and class-conditional generator.

use std::sync::LazyLock;

use crate::{Error, Result};

/// Number of classes.
pub const CLASSES: u32 = 1000;

/// Candidates that an error lists.
const SHOWN: usize = 5;

static TABLE: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let lines = include_str!("imagenet.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});

/// All names of a class, as `tench, Tinca tinca`.
pub fn label(class: u32) -> Option<&'static str> {
    Some(TABLE.get(class as usize)?.1)
}

/// The first name of a class.
pub fn name(class: u32) -> Option<&'static str> {
    label(class)?.split(", ").next()
}

/// The class with this number, WordNet identifier, or name in any case.
///
/// # Errors
/// If there is none, or a name belongs to several classes; the error lists candidates.
pub fn parse(text: &str) -> Result<u32> {
    let wanted = text.trim().to_lowercase();
    if let Ok(class) = wanted.parse::<u32>() {
        return if class < CLASSES { Ok(class) } else { Err(beyond(class)) };
    }
    let found =
        find(|id, names| id == wanted || names == wanted || names.split(", ").any(|n| n == wanted));
    match found[..] {
        [class] => return Ok(class),
        [] => {}
        _ => {
            let problem = format!("`{text}` names {} ImageNet classes", found.len());
            return Err(Error::Input(format!("{problem}: {}", list(&found))));
        }
    }
    let similar = find(|_, names| !wanted.is_empty() && names.contains(&wanted));
    let hint =
        if similar.is_empty() { String::new() } else { format!("; hint: {}", list(&similar)) };
    Err(Error::Input(format!("no ImageNet class is called `{text}`{hint}")))
}

fn beyond(class: u32) -> Error {
    Error::Input(format!("class {class} is beyond the ImageNet classes 0 to {}", CLASSES - 1))
}

fn find(matches: impl Fn(&str, &str) -> bool) -> Vec<u32> {
    let table = TABLE.iter().zip(0..);
    table.filter(|((id, names), _)| matches(id, &names.to_lowercase())).map(|(_, i)| i).collect()
}

/// `207 golden retriever, 208 Labrador retriever, ...`
fn list(classes: &[u32]) -> String {
    let shown = classes.iter().take(SHOWN).map(|&c| format!("{c} `{}`", label(c).unwrap_or("")));
    let rest = classes.len().saturating_sub(SHOWN);
    let rest = (rest > 0).then(|| format!("and {rest} more"));
    shown.chain(rest).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_table_is_ordered_by_identifier_and_complete() {
        assert_eq!(TABLE.len(), CLASSES as usize);
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(TABLE.iter().all(|(id, names)| id.len() == 9 && !names.is_empty()));
    }

    #[test]
    fn well_known_classes_have_their_numbers() {
        // The class names of torchvision's models.
        for (class, expected) in [
            (0, "tench"),
            (207, "golden retriever"),
            (281, "tabby"),
            (967, "espresso"),
            (999, "toilet tissue"),
        ] {
            assert_eq!(name(class), Some(expected));
            assert_eq!(parse(expected).unwrap(), class);
        }
        assert_eq!(label(1000), None);
    }

    #[test]
    fn a_class_is_found_by_number_identifier_and_any_name() {
        assert_eq!(parse("207").unwrap(), 207);
        assert_eq!(parse("n02099601").unwrap(), 207);
        assert_eq!(parse(" Tinca TINCA ").unwrap(), 0);
        assert_eq!(parse("tench, Tinca tinca").unwrap(), 0);
    }

    #[test]
    fn an_unknown_class_is_an_error_with_candidates() {
        assert_eq!(refusal("1000"), "class 1000 is beyond the ImageNet classes 0 to 999");
        let crane = refusal("crane");
        assert!(
            crane.contains("2 ImageNet classes") && crane.contains("134") && crane.contains("517")
        );
        let retriever = refusal("retriever");
        assert!(retriever.contains("hint: 205") && retriever.contains("207 `golden retriever`"));
        assert_eq!(refusal("zxq"), "no ImageNet class is called `zxq`");
        assert_eq!(refusal(""), "no ImageNet class is called ``");
        assert!(refusal("dog").contains("more"));
    }
}
