//! The network of both families, from one description of a block.
//!
//! Steps have the names of DINOv2's modules in both: `patch_embed.proj`, `tokens`, `norm_pre` (CLIP),
//! `blocks.N.norm1`, `.attn.qkv`, `.attn`, `.attn.proj`, `.add`, `.norm2`, `.mlp.fc1`, `.mlp.act`,
//! `.mlp.fc2`, and `blocks.N` for the output of a block. The factors of `LayerScale` are folded into the
//! linear layer before them.

use ganscope_model::network::{Builder, ConvSpec, Convolution, LayerNorm, Positions, Tokens};
use ganscope_model::{Checkpoint, Error, Network, Node, Op, Result};

use crate::config::{Activation, Config};
use crate::names::{Names, Projection, Qkv};

/// Largest number of blocks; the largest published network has 48.
const MOST_BLOCKS: usize = 256;

/// What a network looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Channels of a token.
    pub(crate) width: usize,
    pub(crate) heads: usize,
    /// Side of a patch, pixels.
    pub(crate) patch: usize,
    /// Side of the square of patches that the position embedding is for.
    pub(crate) grid: usize,
    /// Tokens between the class token and the patches.
    pub(crate) registers: usize,
}

/// Properties of a family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    /// Added to variances.
    pub(crate) eps: f32,
    pub(crate) activation: Activation,
    /// How the position embedding is resized, without and with registers.
    pub(crate) positions: [Positions; 2],
    /// Whether all tokens are normalized after the blocks, or the class token alone.
    pub(crate) norm_all: bool,
}

/// The network of a checkpoint that has `names`, to its last embedding (N, D, 1, 1).
pub(crate) fn network(
    mut checkpoint: Checkpoint,
    names: &Names,
    family: Family,
    config: &Config,
) -> Result<(Network, Sizes)> {
    checkpoint.discard(names.unused);
    let weight = format!("{}.weight", names.patch);
    let shape = checkpoint.shape(&weight).unwrap_or_default();
    let (width, patch) = match *shape {
        [width, 3, patch, other] if patch == other && width * patch > 0 => (width, patch),
        _ => {
            let problem = format!("tensor `{weight}` has shape {shape:?}");
            return Err(Error::Input(format!("{problem}, expected (width, 3, patch, patch)")));
        }
    };
    let heads = config.heads(width)?;
    let sizes = Sizes { width, heads, patch, grid: 0, registers: 0 };
    let mut g = Graph { checkpoint, names, family, sizes, builder: Builder::new(3) };

    let x = g.patches()?;
    let mut x = g.tokens(x)?;
    if let Some(name) = names.before {
        x = g.norm("norm_pre", name, x)?;
    }
    let mut block = 0;
    while block < MOST_BLOCKS && g.has_block(block) {
        x = g.block(block, x)?;
        block += 1;
    }
    if block == 0 {
        let name = format!("{}.0.{}.weight", names.blocks, names.norms[0]);
        return Err(Error::MissingTensor { name, shape: vec![width], similar: None });
    }
    g.embeddings(x)?;
    g.checkpoint.finish()?;
    Ok((g.builder.build(), g.sizes))
}

struct Graph<'a> {
    checkpoint: Checkpoint,
    names: &'a Names,
    family: Family,
    sizes: Sizes,
    builder: Builder,
}

impl Graph<'_> {
    fn has_block(&self, block: usize) -> bool {
        let start = format!("{}.{block}.", self.names.blocks);
        self.checkpoint.names().any(|name| name.starts_with(&start))
    }

    /// (N, 3, H, W) to (N, D, H / patch, W / patch).
    fn patches(&mut self) -> Result<Node> {
        let Sizes { width, patch, .. } = self.sizes;
        let name = self.names.patch;
        let spec = ConvSpec::new(3, width, [patch; 2]).stride(patch);
        let weight = self.checkpoint.take(&format!("{name}.weight"), &[width, 3, patch, patch])?;
        // CLIP has none.
        let bias = match self.names.projection {
            Some(_) => vec![0.0; width],
            None => self.checkpoint.take(&format!("{name}.bias"), &[width])?,
        };
        let convolution = Op::Conv(Convolution { spec, weight, bias });
        Ok(self.builder.step("patch_embed.proj", &[Node::INPUT], convolution))
    }

    /// (N, D, H, W) to (N, D, T, 1).
    fn tokens(&mut self, x: Node) -> Result<Node> {
        let (names, width) = (self.names, self.sizes.width);
        let mut class = self.vector(names.class)?;
        let (shape, mut positions) = self.checkpoint.take_any(names.positions)?;
        let named = names.registers.iter().position(|name| self.checkpoint.contains(name));
        // Under the second name the class token contains its position.
        let own_position = usize::from(named != Some(1));
        let rows = positions.len() / width;
        let patches = rows.saturating_sub(own_position);
        let grid = patches.isqrt();
        if shape.last() != Some(&width) || grid == 0 || grid * grid != patches {
            let expected = format!("one row of {width} numbers for each patch of a square");
            let and = if own_position == 1 { " and one for the class token" } else { "" };
            let problem = format!("tensor `{}` has shape {shape:?}", names.positions);
            return Err(Error::Input(format!("{problem}, expected {expected}{and}")));
        }
        if own_position == 1 {
            let patches = positions.split_off(width);
            class.iter_mut().zip(&positions).for_each(|(token, position)| *token += position);
            positions = patches;
        }
        let mut registers = 0;
        if let Some(index) = named {
            let name = names.registers[index];
            registers = self.checkpoint.shape(name).map_or(0, |s| s.iter().product()) / width;
            class.extend(self.checkpoint.take(name, &[1, registers, width])?);
        }
        self.sizes = Sizes { grid, registers, ..self.sizes };
        let resize = self.family.positions[usize::from(registers > 0)];
        let tokens = Tokens { front: class, positions, grid: [grid; 2], resize };
        Ok(self.builder.step("tokens", &[x], Op::Tokens(tokens)))
    }

    /// `width` numbers with any number of axes of one before them.
    fn vector(&mut self, name: &str) -> Result<Vec<f32>> {
        let width = self.sizes.width;
        let axes = self.checkpoint.shape(name).map_or(1, <[usize]>::len).clamp(1, 3);
        let mut shape = vec![1; axes];
        shape[axes - 1] = width;
        self.checkpoint.take(name, &shape)
    }

    fn norm(&mut self, step: &str, name: &str, x: Node) -> Result<Node> {
        let width = self.sizes.width;
        let gain = self.checkpoint.take(&format!("{name}.weight"), &[width])?;
        let shift = self.checkpoint.take(&format!("{name}.bias"), &[width])?;
        let norm = LayerNorm { gain, shift, eps: self.family.eps };
        Ok(self.builder.step(step, &[x], Op::LayerNorm(norm)))
    }

    fn linear(
        &mut self,
        step: &str,
        x: Node,
        [inputs, outputs]: [usize; 2],
        [weight, bias]: [Vec<f32>; 2],
    ) -> Node {
        let spec = ConvSpec::new(inputs, outputs, [1, 1]);
        self.builder.step(step, &[x], Op::Linear(Convolution { spec, weight, bias }))
    }

    /// Weight (out, in) and bias (out) of the layer `name`.
    fn layer(&mut self, name: &str, [inputs, outputs]: [usize; 2]) -> Result<[Vec<f32>; 2]> {
        let weight = self.checkpoint.take(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok([weight, self.checkpoint.take(&format!("{name}.bias"), &[outputs])?])
    }

    /// The same layer times the factors `name` of a block, where there are any.
    fn scaled(
        &mut self,
        block: &str,
        branch: usize,
        layer: [Vec<f32>; 2],
    ) -> Result<[Vec<f32>; 2]> {
        let Some(names) = self.names.scales else { return Ok(layer) };
        let [mut weight, mut bias] = layer;
        let width = self.sizes.width;
        let factors = self.checkpoint.take(&format!("{block}.{}", names[branch]), &[width])?;
        let rows = weight.len() / width;
        for ((row, bias), factor) in weight.chunks_exact_mut(rows).zip(&mut bias).zip(&factors) {
            for w in row.iter_mut() {
                *w *= factor;
            }
            *bias *= factor;
        }
        Ok([weight, bias])
    }

    /// Queries, keys and values as one layer.
    fn qkv(&mut self, block: &str) -> Result<[Vec<f32>; 2]> {
        let width = self.sizes.width;
        match &self.names.qkv {
            Qkv::Fused([weight, bias]) => Ok([
                self.checkpoint.take(&format!("{block}.{weight}"), &[3 * width, width])?,
                self.checkpoint.take(&format!("{block}.{bias}"), &[3 * width])?,
            ]),
            Qkv::Split(names) => {
                let mut joined = [Vec::new(), Vec::new()];
                for name in names {
                    let part = self.layer(&format!("{block}.{name}"), [width; 2])?;
                    joined.iter_mut().zip(part).for_each(|(all, part)| all.extend(part));
                }
                Ok(joined)
            }
        }
    }

    /// `x + scale1 attention(norm1 x)`, then `x + scale2 mlp(norm2 x)`.
    fn block(&mut self, index: usize, x: Node) -> Result<Node> {
        let (names, width) = (self.names, self.sizes.width);
        let (source, block) = (format!("{}.{index}", names.blocks), format!("blocks.{index}"));
        let step = |name: &str| format!("{block}.{name}");
        let of = |name: &str| format!("{source}.{name}");

        let y = self.norm(&step("norm1"), &of(names.norms[0]), x)?;
        let qkv = self.qkv(&source)?;
        let y = self.linear(&step("attn.qkv"), y, [width, 3 * width], qkv);
        let y = self.builder.step(&step("attn"), &[y], Op::Attention(self.sizes.heads));
        let out = self.layer(&of(names.out), [width; 2])?;
        let out = self.scaled(&source, 0, out)?;
        let y = self.linear(&step("attn.proj"), y, [width; 2], out);
        let x = self.builder.step(&step("add"), &[x, y], Op::Add);

        let y = self.norm(&step("norm2"), &of(names.norms[1]), x)?;
        let weight = |name: &str| format!("{}.weight", of(name));
        let is_there = |[first, _]: &&[&str; 2]| self.checkpoint.contains(&weight(first));
        let [first, second] = names.mlp.iter().find(is_there).unwrap_or(&names.mlp[0]);
        let size = |name: &str, axis: usize| {
            let shape = self.checkpoint.shape(&weight(name));
            shape.and_then(|shape| shape.get(axis)).copied().unwrap_or(0)
        };
        let (wide, hidden) = (size(first, 0), size(second, 1));
        let is_gated = wide == 2 * hidden;
        let wide = if is_gated { wide } else { hidden };
        let layer = self.layer(&of(first), [width, wide])?;
        let y = self.linear(&step("mlp.fc1"), y, [width, wide], layer);
        let curve = match self.family.activation {
            _ if is_gated => Op::SwiGlu,
            Activation::Gelu => Op::Gelu,
            Activation::QuickGelu => Op::QuickGelu,
        };
        let y = self.builder.step(&step("mlp.act"), &[y], curve);
        let layer = self.layer(&of(second), [hidden, width])?;
        let layer = self.scaled(&source, 1, layer)?;
        let y = self.linear(&step("mlp.fc2"), y, [hidden, width], layer);
        Ok(self.builder.step(&block, &[x, y], Op::Add))
    }

    /// What describes an image. The last step is the one that a published distance is taken on.
    fn embeddings(&mut self, x: Node) -> Result<()> {
        let (names, Sizes { width, registers, .. }) = (self.names, self.sizes);
        if self.family.norm_all {
            let x = self.norm("norm", names.norm, x)?;
            let mut mean = |name: &str, tokens: &str, first, count| {
                let tokens = self.builder.step(tokens, &[x], Op::Rows(first, count));
                self.builder.step(name, &[tokens], Op::GlobalAvgPool);
            };
            if registers > 0 {
                mean("reg_mean", "registers", 1, Some(registers));
            }
            mean("patch_mean", "patches", 1 + registers, None);
            self.builder.step("cls", &[x], Op::Rows(0, Some(1)));
            return Ok(());
        }
        let x = self.builder.step("cls", &[x], Op::Rows(0, Some(1)));
        let x = self.norm("pooled", names.norm, x)?;
        let Some(projection) = &names.projection else { return Ok(()) };
        let (Projection::Plain(name) | Projection::Turned(name)) = projection;
        let shape = self.checkpoint.shape(name).unwrap_or_default().to_vec();
        let at = |axis: usize| shape.get(axis).copied().unwrap_or(0);
        let (outputs, weight) = match projection {
            Projection::Plain(_) => (at(0), self.checkpoint.take(name, &[at(0), width])?),
            Projection::Turned(_) => {
                let turned = self.checkpoint.take(name, &[width, at(1)])?;
                let row = |o: usize| turned.iter().skip(o).step_by(at(1));
                (at(1), (0..at(1)).flat_map(row).copied().collect())
            }
        };
        let layer = [weight, vec![0.0; outputs]];
        let x = self.linear("image_embeds", x, [width, outputs], layer);
        self.builder.step("normalized", &[x], Op::UnitLength);
        Ok(())
    }
}
