//! Generators of BigGAN-PyTorch and of StudioGAN, whose layers follow from their tensors.
//!
//! Both implement Brock et al., <https://arxiv.org/abs/1809.11096>; ports of the published TensorFlow
//! generators have the names of the first. Shapes tell everything but terms under roots and the sizes of
//! BigGAN-deep, which are those of one of the architectures that both define.

use ganscope_model::{Checkpoint, Error, Result, Rounding, TruncationKind};
use serde_json::{Map, Value, json};

use crate::START;
use crate::names::{Names, PYTORCH, STUDIO};
use crate::plan::{BlockKind, Columns, Conditions, Plan, Planned, Stored};

/// Most blocks of a generator.
const MOST_BLOCKS: usize = 256;
/// Most doublings of the size, and thus the largest image, of 4 times 2^10 pixels.
const MOST_DOUBLINGS: usize = 10;

/// Input and output channels of the blocks of BigGAN-deep that double the size, by resolution.
type Architecture = (usize, &'static [(usize, usize)]);

const FROM_PYTORCH: [Architecture; 5] = [
    (32, &[(4, 4), (4, 4), (4, 4)]),
    (64, &[(16, 16), (16, 8), (8, 4), (4, 2)]),
    (128, &[(16, 16), (16, 8), (8, 4), (4, 2), (2, 1)]),
    (256, &[(16, 16), (16, 8), (8, 8), (8, 4), (4, 2), (2, 1)]),
    (512, &[(16, 16), (16, 8), (8, 8), (8, 4), (4, 2), (2, 1), (1, 1)]),
];

/// StudioGAN's differ from them at 64 pixels.
const FROM_STUDIO: [Architecture; 5] = {
    let mut all = FROM_PYTORCH;
    all[1] = (64, &[(16, 8), (8, 4), (4, 2), (2, 1)]);
    all
};

/// Who trained a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// BigGAN-PyTorch, or a port of the TensorFlow generators to it.
    Pytorch,
    Studio,
}

impl Origin {
    /// The origin whose names a checkpoint has.
    pub(crate) fn of<'a>(has: impl Fn(&'a str) -> bool) -> Option<Self> {
        if has("linear.weight") && has("output_layer.0.gain") {
            Some(Self::Pytorch)
        } else if has("bn4.weight") && (has("linear0.weight_orig") || has("linear0.weight")) {
            Some(Self::Studio)
        } else {
            None
        }
    }

    fn names(self) -> &'static Names {
        match self {
            Self::Pytorch => &PYTORCH,
            Self::Studio => &STUDIO,
        }
    }
}

/// The tensors of a checkpoint, before any is taken.
struct Found<'a> {
    checkpoint: &'a Checkpoint,
    origin: Origin,
    names: &'static Names,
}

impl Found<'_> {
    /// Sizes of the weight of a layer.
    fn weight<const N: usize>(&self, layer: &str) -> Result<[usize; N]> {
        let [plain, normalized] = [format!("{layer}.weight"), format!("{layer}.weight_orig")];
        let found = self.checkpoint.shape(&plain).or(self.checkpoint.shape(&normalized));
        let shape = found.unwrap_or_default();
        let sizes: Option<[usize; N]> = shape.try_into().ok();
        sizes.filter(|sizes| !sizes.contains(&0)).ok_or_else(|| {
            Error::Config(format!("`{plain}` has shape {shape:?}, expected {N} axes"))
        })
    }

    /// Names of the blocks and of the attentions behind them, and the channels of their first norms and
    /// last convolutions.
    fn layers(&self, kind: BlockKind) -> Result<Vec<Planned>> {
        let mut layers = Vec::new();
        for index in 0..=MOST_BLOCKS {
            let name = format!("blocks.{index}.0");
            let [after, same] = [format!("blocks.{index}.1"), name.clone()];
            let is_attention =
                |name: &str| self.checkpoint.contains(&format!("{name}.{}", self.names.gamma));
            if is_attention(&same) {
                layers.push(self.attention(same)?);
                continue;
            }
            let begins = format!("{name}.");
            if !self.checkpoint.names().any(|name| name.starts_with(&begins)) {
                return Ok(layers);
            }
            let conv = |number: usize| format!("{name}.{}{number}", self.names.conv.0);
            let [_, input, ..] = self.weight::<4>(&conv(1))?;
            let [output, ..] = self.weight::<4>(&conv(kind.depth()))?;
            layers.push(Planned::Block { name, up: true, input, output });
            if is_attention(&after) {
                layers.push(self.attention(after)?);
            }
        }
        Err(Error::Config(format!("more than {MOST_BLOCKS} blocks")))
    }

    fn attention(&self, name: String) -> Result<Planned> {
        let [_, channels, ..] = self.weight::<4>(&format!("{name}.{}", self.names.attention[0]))?;
        Ok(Planned::Attention { name, channels })
    }

    fn kind(&self) -> BlockKind {
        let conv = |number: usize| {
            let layer = format!("blocks.0.0.{}{number}", self.names.conv.0);
            self.weight::<4>(&layer).is_ok()
        };
        match (conv(4), self.origin == Origin::Studio && conv(0)) {
            (false, _) => BlockKind::Wide,
            (true, false) => BlockKind::Deep,
            (true, true) => BlockKind::DeepProjected,
        }
    }

    /// Where statistics are, and how many terms under the root they need.
    fn statistics(&self, config: &Map<String, Value>) -> Result<[Stored; 2]> {
        let inner = format!("{}.bn.accumulation_counter", self.names.last_norm[0]);
        let names = |inside: bool| match (self.origin, inside) {
            (Origin::Studio, true) => ["bn.running_mean", "bn.running_var"],
            (Origin::Studio, false) => ["running_mean", "running_var"],
            _ if self.synchronized() => ["bn.running_mean", "bn.running_var"],
            _ if self.checkpoint.contains(&inner) => ["bn.stored_mean", "bn.stored_var"],
            _ => ["stored_mean", "stored_var"],
        };
        let standing = flag(config, "accumulate_standing")?;
        if standing && !self.checkpoint.contains(&inner) {
            let problem = "`accumulate_standing` is true, but no number of batches is stored";
            return Err(Error::Config(problem.into()));
        }
        let counter = standing.then_some("bn.accumulation_counter");
        let (eps, last) = match self.origin {
            Origin::Studio => (1e-4, 1e-4),
            Origin::Pytorch => (self.eps(config)?, 1e-5),
        };
        let stored = |inside, eps| Stored { names: names(inside), rows: None, eps, counter };
        Ok([stored(true, eps), stored(false, last)])
    }

    /// The term under the root of conditional norms: of ports, which lack `sv0`, that of TensorFlow.
    fn eps(&self, config: &Map<String, Value>) -> Result<f64> {
        let has = |ending: &str| self.checkpoint.names().any(|name| name.ends_with(ending));
        let usual = if has("u0") && !has("sv0") { 1e-4 } else { 1e-5 };
        match config.get("BN_eps") {
            None => Ok(usual),
            Some(eps) => eps.as_f64().filter(|eps| *eps > 0.0 && *eps < 1.0).ok_or_else(|| {
                Error::Config(format!("`BN_eps` is {eps}, expected between 0 and 1"))
            }),
        }
    }

    fn synchronized(&self) -> bool {
        let mean = format!("{}.bn.running_mean", self.names.last_norm[0]);
        self.origin == Origin::Pytorch && self.checkpoint.contains(&mean)
    }
}

/// The layers of a checkpoint with the names of `origin`. `config` has options by the names of its tool;
/// whatever it says about sizes must be what the tensors say.
pub(crate) fn plan(
    checkpoint: &Checkpoint,
    origin: Origin,
    config: &Map<String, Value>,
) -> Result<Plan> {
    let names = origin.names();
    let found = Found { checkpoint, origin, names };
    let kind = found.kind();
    let mut steps = found.layers(kind)?;
    let blocks = steps.iter().filter(|step| matches!(step, Planned::Block { .. })).count();
    let [outputs, width] = found.weight::<2>(names.first)?;
    let start = outputs / (START * START);
    connected(&steps, start)?;
    let (resolution, depth) = size(&mut steps, kind, origin)?;
    let [last, ..] = found.weight::<4>(names.colors)?;
    if last != 1 && last != 3 {
        return Err(Error::Config(format!("images of {last} channels, expected 1 or 3")));
    }

    let shared = checkpoint.contains(names.embedding);
    let gain = format!("blocks.0.0.{}1.{}", names.norm.0, names.style[0]);
    let gain = found.weight::<2>(&gain)?;
    let (classes, embedding, condition) = if shared {
        let [classes, embedding] =
            found.weight::<2>(names.embedding.trim_end_matches(".weight"))?;
        (classes, embedding, gain[1])
    } else {
        (gain[0], gain[0], gain[0])
    };
    let chunk = condition.checked_sub(embedding).ok_or_else(|| {
        Error::Config(format!(
            "norms of a condition of {condition}, with an embedding of {embedding}"
        ))
    })?;
    // Where norms see the class alone, all of z makes the first map.
    let hierarchical = chunk > 0;
    let blocks_see = if hierarchical { Columns::ClassZ } else { Columns::Class };
    let (z_dim, chunk, first) = match (hierarchical, kind) {
        (false, _) => (width, width, Columns::Z),
        (true, BlockKind::Wide) => (chunk * (blocks + 1), chunk, Columns::Z),
        (true, _) => (chunk, chunk, Columns::ClassZ),
    };
    let [statistics, last_statistics] = found.statistics(config)?;
    let plan = Plan {
        names,
        z_dim,
        chunk,
        classes,
        embedding,
        conditions: Conditions { first, blocks: blocks_see, embedded: !shared },
        start,
        steps,
        kind,
        statistics,
        last_statistics,
        added_gain: found.synchronized(),
        last,
        resolution,
        channels_first: true,
        rounding: match origin {
            Origin::Pytorch => Rounding::Floor,
            Origin::Studio => Rounding::StyleGan,
        },
        truncation: TruncationKind::Psi,
    };
    let facts = match origin {
        Origin::Pytorch => pytorch_facts(&plan, depth, &found),
        Origin::Studio => studio_facts(&plan, depth, &found),
    };
    agree(config, &facts, origin)?;
    Ok(plan)
}

/// Fails if a layer takes another number of channels than the one before makes.
fn connected(steps: &[Planned], start: usize) -> Result<()> {
    let mut width = start;
    for step in steps {
        let (name, takes, makes) = match step {
            Planned::Block { name, input, output, .. } => (name, *input, *output),
            Planned::Attention { name, channels } => (name, *channels, *channels),
        };
        if takes != width {
            return Err(Error::Config(format!(
                "`{name}` takes {takes} channels, but gets {width}"
            )));
        }
        width = makes;
    }
    Ok(())
}

/// Marks the blocks that double the size; the resolution, and the blocks for each size.
fn size(steps: &mut [Planned], kind: BlockKind, origin: Origin) -> Result<(usize, usize)> {
    let mut blocks: Vec<(&mut bool, usize, usize)> = Vec::new();
    for step in steps {
        if let Planned::Block { up, input, output, .. } = step {
            blocks.push((up, *input, *output));
        }
    }
    if blocks.is_empty() {
        return Err(Error::Config("there are no blocks".into()));
    }
    if kind == BlockKind::Wide {
        if blocks.len() > MOST_DOUBLINGS {
            return Err(Error::Config(format!("{} blocks double the size", blocks.len())));
        }
        return Ok((START << blocks.len(), 1));
    }
    let all = if origin == Origin::Studio { FROM_STUDIO } else { FROM_PYTORCH };
    let widths: Vec<(usize, usize)> = blocks.iter().map(|&(_, i, o)| (i, o)).collect();
    for (resolution, architecture) in all {
        let depth = blocks.len() / architecture.len();
        let unit = widths[0].0 / architecture[0].0;
        let expected = architecture.iter().flat_map(|&(input, output)| {
            let output = move |i| if i + 1 == depth { output } else { input };
            (0..depth).map(move |i| (input * unit, output(i) * unit))
        });
        if expected.eq(widths.iter().copied()) {
            for (i, (up, ..)) in blocks.iter_mut().enumerate() {
                **up = (i + 1) % depth == 0;
            }
            return Ok((resolution, depth));
        }
    }
    Err(Error::Config(format!(
        "blocks of {widths:?} channels are not those of BigGAN-deep of 32 to 512 pixels"
    )))
}

/// What the tensors say, by the names of the tool's options.
type Facts = Vec<(&'static str, Value)>;

/// Options of BigGAN-PyTorch that decide the generator.
fn pytorch_facts(plan: &Plan, depth: usize, found: &Found<'_>) -> Facts {
    let counter = format!("{}.bn.accumulation_counter", plan.names.last_norm[0]);
    let mut facts = vec![
        ("resolution", json!(plan.resolution)),
        ("n_classes", json!(plan.classes)),
        ("G_ch", json!(unit(plan))),
        ("hier", json!(plan.conditions.blocks == Columns::ClassZ)),
        ("G_shared", json!(!plan.conditions.embedded)),
        ("cross_replica", json!(plan.added_gain)),
        ("mybn", json!(found.checkpoint.contains(&counter))),
        ("norm_style", json!("bn")),
        ("model", json!(if plan.kind == BlockKind::Wide { "BigGAN" } else { "BigGANdeep" })),
    ];
    if !plan.conditions.embedded {
        facts.push(("shared_dim", json!(plan.embedding)));
    }
    if plan.kind != BlockKind::Wide {
        facts.push(("G_depth", json!(depth)));
    }
    facts
}

/// Options of StudioGAN that decide the generator.
fn studio_facts(plan: &Plan, depth: usize, found: &Found<'_>) -> Facts {
    let backbone = match plan.kind {
        BlockKind::Wide => "big_resnet",
        BlockKind::Deep => "big_resnet_deep_legacy",
        BlockKind::DeepProjected => "big_resnet_deep_studiogan",
    };
    let (mut places, mut blocks) = (Vec::new(), 0);
    for step in &plan.steps {
        match step {
            Planned::Block { .. } => blocks += 1,
            Planned::Attention { .. } => places.push(blocks / depth),
        }
    }
    let normalized = found.checkpoint.contains("linear0.weight_orig");
    let mut facts = vec![
        ("img_size", json!(plan.resolution)),
        ("num_classes", json!(plan.classes)),
        ("g_conv_dim", json!(unit(plan))),
        ("backbone", json!(backbone)),
        ("g_shared_dim", json!(plan.embedding)),
        ("apply_g_sn", json!(normalized)),
        ("apply_attn", json!(!places.is_empty())),
        ("g_cond_mtd", json!("cBN")),
        ("g_act_fn", json!("ReLU")),
    ];
    if !places.is_empty() {
        facts.push(("attn_g_loc", json!(places)));
    }
    if plan.kind != BlockKind::Wide {
        facts.push(("g_depth", json!(depth)));
    }
    facts
}

/// The width that both tools multiply: the first map has 16 times as many channels, or 4 times at 32 pixels.
fn unit(plan: &Plan) -> usize {
    plan.start / if plan.resolution == 32 { 4 } else { 16 }
}

/// Fails if a configuration says something else than the tensors.
fn agree(config: &Map<String, Value>, facts: &Facts, origin: Origin) -> Result<()> {
    for (name, found) in facts {
        if let Some(stated) = config.get(*name).filter(|stated| *stated != found) {
            let problem = format!("`{name}` is {stated}, but the tensors are those of {found}");
            return Err(Error::Config(problem));
        }
    }
    // Training options of StudioGAN stand beside them; those of BigGAN-PyTorch are given one by one.
    let others = ["BN_eps", "accumulate_standing"];
    let known = |name: &str| others.contains(&name) || facts.iter().any(|(fact, _)| *fact == name);
    match config.keys().find(|name| origin == Origin::Pytorch && !known(name)) {
        None => Ok(()),
        Some(name) => {
            let names = facts.iter().map(|(name, _)| *name).chain(others);
            let names = names.collect::<Vec<_>>().join(", ");
            Err(Error::Config(format!("`{name}` is no option of the generator; those are {names}")))
        }
    }
}

fn flag(config: &Map<String, Value>, name: &str) -> Result<bool> {
    match config.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(Error::Config(format!("`{name}` is {other}, expected true or false"))),
    }
}
