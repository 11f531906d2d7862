//! Explanations of what a network sees, and of what makes a score what it is.
//!
//! Each method is a function of a network, an image and a [`Target`], the number to be explained:
//!
//! | question | method |
//! |---|---|
//! | which pixels would change it | [`gradient`](gradient()), [`SmoothGrad`] |
//! | which pixels make it up | [`input_x_gradient`], [`IntegratedGradients`], [`lrp`], [`lrp::AttentionLrp`] |
//! | which pixels it cannot do without | [`Occlusion`], [`Lime`], [`Rise`] |
//! | how parts share the difference to an image without them | [`Shapley`], [`GradientShap`] |
//! | where in a layer it arises | [`cam`](cam()), [`grad_cam`], [`layer_cam`], [`score_cam`], [`guided_grad_cam`] |
//! | what a transformer attends to | [`attention_rollout`] |
//! | what a unit looks for | [`gradient`](gradient()) with other rectifiers, [`Maximization`], [`latent`] |
//! | which picture would change its mind | [`Counterfactual`] |
//!
//! An [`Explainer`] runs any of them by name on a classifier. [`measure`] and [`road`] tell how good
//! an explanation is, [`randomization`] whether it depends on what the network has learned, [`distance`] which pixels of an image raise the distance of its set, [`looks`] how
//! the pictures of two sets differ by plain measures, and [`heat`] draws maps.

mod additivity;
pub mod cam;
mod counterfactual;
pub mod distance;
mod error;
mod explainer;
mod field;
mod gradient;
mod gradient_shap;
pub mod heat;
pub mod latent;
mod lime;
pub mod looks;
pub mod lrp;
mod maximize;
pub mod measure;
mod method;
mod occlusion;
mod quadrature;
pub mod randomization;
mod rise;
pub mod road;
mod rollout;
mod shapley;
mod superpixels;
mod target;
mod tokens;

pub use additivity::Additivity;
pub use cam::{Evidence, cam, grad_cam, guided_grad_cam, layer_cam, score_cam};
pub use counterfactual::{Changed, Counterfactual};
pub use error::{Error, Result};
pub use explainer::{Explainer, Explanation, Prepared, Settings};
pub use field::receptive_field;
pub use gradient::{IntegratedGradients, SmoothGrad, gradient, input_x_gradient};
pub use gradient_shap::GradientShap;
pub use lime::{Fill, Lime, LimeExplanation};
pub use lrp::{AttentionLrp, Biases, Composite, Relevance, Rule, Selector, relevance};
pub use maximize::{Maximization, faint_noise, input_range};
pub use measure::{Measures, RandomOrder, Subject};
pub use method::Method;
pub use occlusion::Occlusion;
pub use quadrature::Quadrature;
pub use rise::{Rise, RiseExplanation};
pub use rollout::{Fusion, attention_rollout};
pub use shapley::{Shapley, ShapleyEstimate, ShapleyValues};
pub use superpixels::{Quickshift, Segmentation, Slic, Superpixels};
pub use target::Target;
