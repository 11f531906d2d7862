use ganscope_images::{Axes, ImageSet};

use super::*;
use crate::features::Cache;
use crate::score::{Custom, Report, ScoreRequest, score_with};

/// Gray images of 28 x 28 pixels.
fn images(count: usize, first: usize) -> Source {
    let pixel = |i: usize| ((i / (28 * 28) + first) * 37 + i * (first + 3) % 23) as u8;
    let data = (0..count * 28 * 28).map(pixel).collect();
    let set = ImageSet::from_array(&[count, 28, 28], data, None::<Axes>).unwrap();
    Source::of_images("set", set)
}

fn score(generated: Source, reference: Source) -> Result<Report> {
    let mut request = ScoreRequest { by_class: true, ..ScoreRequest::default() };
    request.metrics = Some(vec!["fid".into()]);
    request.features.extractor = Some("fashion-cnn".into());
    request.features.cache = Cache::Off;
    let custom =
        Custom { generated: vec![generated], reference: Some(reference), ..Custom::default() };
    score_with(&request, custom, &mut ())
}

#[test]
fn classes_are_ordered_as_numbers_before_names() {
    let mut classes = ["10", "dog", "9", "cat", "0"].map(Order::of);
    classes.sort();
    assert_eq!(classes.map(|class| class.name), ["0", "9", "10", "cat", "dog"]);
}

#[test]
fn images_without_classes_are_refused() {
    let error = score(images(4, 0), images(4, 1)).unwrap_err();
    assert_eq!(error.to_string(), "`image 0` of `set` has no class");
    assert!(format!("{:?}", error.hint()).contains("sub-folders"));
}
