//! Filters of the first layer, and what a unit answers to.

use std::ops::Range;

use ganscope_explain::heat::{self, Filters};
use ganscope_explain::receptive_field;
use ganscope_images::{Image, Limits};
use ganscope_model::{Engine, FeatureMap};
use serde::{Deserialize, Serialize};

use super::images::Images;
use super::target::find_unit;
use crate::catalog;
use crate::checks::{limits, within};
use crate::error::Result;
use crate::models::classifier::ClassifierRequest;
use crate::watch::{Counter, Watch};

/// The filters of a classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifierFilters {
    /// The classifier.
    pub model: String,
    /// The filters of its first convolution.
    pub filters: Filters,
}

/// The filters of the first convolution of a classifier.
///
/// # Errors
/// If the classifier cannot be opened, or does not start with a convolution of one or three channels.
pub fn filters(request: &ClassifierRequest, watch: &mut dyn Watch) -> Result<ClassifierFilters> {
    let classifier = catalog::open_classifier(request, watch)?;
    let filters = heat::filters(&classifier.classifier().network)?;
    Ok(ClassifierFilters { model: classifier.name, filters })
}

/// In which images a unit is looked for. A unit is a channel of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnitRequest {
    /// Images, or folders or archives of images.
    pub images: Vec<String>,
    /// What images and archives may cost.
    pub limits: Limits,
    /// The classifier.
    pub classifier: ClassifierRequest,
    /// Layer of the unit.
    pub layer: String,
    /// Channel of the layer.
    pub unit: usize,
    /// Number of patches that are kept, at least 1.
    pub top: usize,
}

impl Default for UnitRequest {
    fn default() -> Self {
        Self {
            images: Vec::new(),
            limits: Limits::default(),
            classifier: ClassifierRequest::default(),
            layer: String::new(),
            unit: 0,
            top: 10,
        }
    }
}

/// The part of an image that a unit answers to most.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// Name of the image.
    pub name: String,
    /// The largest activation of the unit.
    pub activation: f32,
    /// The image as the network sees it.
    pub picture: Image,
    /// Rows of the picture that the unit sees there.
    pub rows: Range<usize>,
    /// Columns of the picture that the unit sees there.
    pub columns: Range<usize>,
}

/// What a unit answers to.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitPatches {
    /// The classifier.
    pub model: String,
    /// The unit, for people.
    pub title: String,
    /// One patch for each of the best images, the largest activation first.
    pub patches: Vec<Patch>,
}

/// The patches of images that a unit answers to most, at most one per image.
///
/// # Errors
/// If something cannot be opened, the classifier has no such unit, or the task is stopped.
pub fn unit_patches(request: &UnitRequest, watch: &mut dyn Watch) -> Result<UnitPatches> {
    within("top", request.top, 1..=1000)?;
    limits(request.limits)?;
    let images = Images::open(&request.images, request.limits)?;
    images.need_some()?;
    let classifier = catalog::open_classifier(&request.classifier, watch)?;
    let layer = find_unit(&classifier, &request.layer, request.unit)?;
    let (network, size) = (&classifier.classifier().network, classifier.classifier().input_size);
    let engine = Engine::new(network.clone(), &[layer]);
    let mut counter = Counter::new(watch, "images", 0, images.len());
    let mut patches: Vec<Patch> = Vec::new();
    for i in 0..images.len() {
        let prepared = classifier.explainer.prepare(&images.get(i)?)?;
        let map = engine.run(&prepared.input.data, (1, size, size))?.swap_remove(0);
        let (place, activation) = largest(&map, request.unit);
        let [rows, columns] = receptive_field(network, layer, [size; 2], place)?;
        let (name, picture) = (images.name(i), prepared.picture);
        patches.push(Patch { name, activation, picture, rows, columns });
        // Of equal ones the first stays in front.
        patches.sort_by(|a, b| b.activation.total_cmp(&a.activation));
        patches.truncate(request.top);
        counter.add()?;
    }
    let title = format!("unit {} of {}", request.unit, request.layer);
    Ok(UnitPatches { model: classifier.name, title, patches })
}

/// Place and value of the largest activation of a channel.
fn largest(map: &FeatureMap, unit: usize) -> ([usize; 2], f32) {
    let values = map.data.iter().skip(unit).step_by(map.shape.c).copied().enumerate();
    let first = (0, f32::NEG_INFINITY);
    let (pixel, value) = values.fold(first, |best, one| if one.1 > best.1 { one } else { best });
    ([pixel / map.shape.w, pixel % map.shape.w], value)
}
