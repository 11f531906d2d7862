//! Attention rollout: how much of each patch reaches the class token through all attentions.
//!
//! Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020,
//! <https://arxiv.org/abs/2005.00928>. Values, and what lies between attentions, have no say, nor has
//! the target: the map is the same for all classes.

use std::fmt;
use std::str::FromStr;

use ganscope_model::network::{Real, Walker};
use ganscope_model::{FeatureMap, Node, Shape};

use crate::gradient::one_image;
use crate::tokens::TokenGrid;
use crate::{Error, Result};

/// How the heads of an attention become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fusion {
    /// Their mean, as published.
    #[default]
    Mean,
    /// The largest weight.
    Max,
}

impl Fusion {
    /// Every way, in the order of lists.
    pub const ALL: [Self; 2] = [Self::Mean, Self::Max];

    /// Its name in requests and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Max => "max",
        }
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fusion {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|fusion| fusion.name() == name);
        let (name_of, expected) = ("the fusion of heads", "mean or max");
        found.ok_or_else(|| Error::Option { name: name_of, expected, got: name.to_owned() })
    }
}

/// The row of the class token in the product over the blocks, the last one on the left, of
/// `(A + I)` with rows divided by their sums, where `A` is the attention with fused heads; its patches,
/// (1, 1, rows, columns).
///
/// # Errors
/// [`Error::Unsuited`] if the network has no attention or no class token, and if the image does not suit
/// it.
pub fn attention_rollout<T: Real>(
    walker: &Walker<T>,
    image: &FeatureMap<T>,
    fusion: Fusion,
) -> Result<FeatureMap<T>> {
    one_image(image)?;
    let grid = TokenGrid::of(walker.network(), [image.shape.h, image.shape.w])?;
    let grid = grid.filter(|grid| grid.front > 0).ok_or(Error::Unsuited {
        method: "attention rollout",
        needs: "a transformer with a class token",
    })?;
    let trace = walker.run(image.clone())?;
    let tokens = grid.front + grid.rows * grid.columns;
    let mut row = vec![0.0; tokens];
    row[0] = 1.0;
    for step in (0..walker.network().steps().len()).rev() {
        let Some(heads) = trace.attention_weights(Node::of_step(step), 0) else { continue };
        let mut next = vec![0.0; tokens];
        for (from, &share) in row.iter().enumerate() {
            let weight = |to: usize| {
                let of_heads = heads.iter().map(|head| head[from * tokens + to].to_f64());
                let fused = match fusion {
                    Fusion::Mean => of_heads.sum::<f64>() / heads.len() as f64,
                    Fusion::Max => of_heads.fold(0.0, f64::max),
                };
                fused + f64::from(u8::from(from == to))
            };
            let weights: Vec<f64> = (0..tokens).map(weight).collect();
            let scale = share / weights.iter().sum::<f64>();
            next.iter_mut().zip(&weights).for_each(|(sum, weight)| *sum += scale * weight);
        }
        row = next;
    }
    let data = row[grid.front..].iter().map(|&v| T::of(v)).collect();
    Ok(FeatureMap::new(1, Shape { c: 1, h: grid.rows, w: grid.columns }, data)?)
}
