//! The named arrays of a pickle, and the choice among them.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::budget::{Budget, ENTRY};
use crate::pickle::{Global, Value};
use crate::torch::Tensors;
use crate::{Error, Result, numpy, snapshot};

/// Entries that contain the wanted network, most wanted first.
///
/// Averaged generators come before the rest of a training state, and generators before networks
/// of no stated kind.
pub const KEYS: &[&str] = &[
    "G_ema",
    "g_ema",
    "Gs",
    "generator_smooth",
    "generator_ema",
    "params_ema",
    "netG_state_dict",
    "generator",
    "state_dict",
    "model_state_dict",
    "params",
    "model",
];

/// The networks of a TensorFlow snapshot, which is a tuple.
const TF_SNAPSHOT: [&str; 3] = ["G", "D", "Gs"];

/// Name of the array in a file that contains nothing else and does not name it.
pub(crate) const LONE: &str = "array";

/// Dicts in dicts that are followed.
const MAX_DEPTH: usize = 64;
/// Bytes that a joined name may have.
pub(crate) const MAX_NAME: usize = 4096;

/// A value of a pickle as far as arrays are concerned.
#[derive(Debug)]
pub(crate) enum Tree<'a> {
    /// A tensor or a NumPy array.
    Leaf(Value<'a>),
    Branch(Branch<'a>),
    /// Anything else.
    Other,
}

/// Named values, and the hyper-parameters of the network that they are.
#[derive(Debug, Default)]
pub(crate) struct Branch<'a> {
    pub(crate) entries: BTreeMap<String, Tree<'a>>,
    pub(crate) config: Map<String, Json>,
}

/// Arrays that were chosen, by name, and their hyper-parameters.
#[derive(Debug, Default)]
pub(crate) struct Chosen<'a> {
    pub(crate) leaves: BTreeMap<String, Value<'a>>,
    pub(crate) config: Map<String, Json>,
}

/// The tree of `value`, which is `depth` dicts deep in its pickle.
pub(crate) fn build<'a>(
    tensors: &Tensors<'a>,
    value: Value<'a>,
    budget: &mut Budget,
    depth: usize,
) -> Result<Tree<'a>> {
    if depth > MAX_DEPTH {
        let (asked, limit) = (depth as u64, MAX_DEPTH as u64);
        return Err(Error::Limit { what: "nesting of dicts", asked, limit });
    }
    budget.take(ENTRY)?;
    let pickle = tensors.pickle();
    if tensors.is_tensor(value) || numpy::is_array(pickle, value) {
        return Ok(Tree::Leaf(value));
    }
    if let Some(network) = snapshot::network(tensors, value, budget)? {
        return Ok(Tree::Branch(network));
    }
    // The attributes of a module of `TorchScript` are its state dict.
    let value = match pickle.object(value) {
        Some(object) if object.class == Global::ScriptModule => object.state,
        _ => value,
    };
    let mut branch = Branch::default();
    if let Some(entries) = pickle.entries(value, budget)? {
        for &(key, value) in entries.iter() {
            let Some(name) = name(key) else { continue };
            budget.take(name.len() as u64)?;
            // Of equal keys the last one counts, as in Python.
            branch.entries.insert(name, build(tensors, value, budget, depth + 1)?);
        }
    } else if let Some(items) = pickle.items(value) {
        let is_network = |item: &_| snapshot::is_tf_network(tensors, *item);
        let is_snapshot = items.len() == TF_SNAPSHOT.len() && items.iter().all(is_network);
        budget.take(items.len() as u64)?;
        for (index, &item) in items.iter().enumerate() {
            if !matches!(item, Value::Node(_)) {
                continue; // There may be millions of numbers, such as losses.
            }
            let tree = build(tensors, item, budget, depth + 1)?;
            if tree.has_leaves() {
                let name = if is_snapshot { TF_SNAPSHOT[index].into() } else { index.to_string() };
                branch.entries.insert(name, tree);
            }
        }
    } else {
        return Ok(Tree::Other);
    }
    Ok(Tree::Branch(branch))
}

/// The name for a key of a dict; state dicts of optimizers count their entries.
fn name(key: Value<'_>) -> Option<String> {
    match key {
        Value::Text(text) => Some(text.to_owned()),
        Value::Int(index) => Some(index.to_string()),
        _ => None,
    }
}

impl<'a> Tree<'a> {
    fn has_leaves(&self) -> bool {
        match self {
            Self::Leaf(_) => true,
            Self::Branch(branch) => branch.entries.values().any(Self::has_leaves),
            Self::Other => false,
        }
    }

    /// The arrays of the network that `key` names, or of the one that is most likely wanted.
    ///
    /// Arrays that lie beside the chosen entry, such as the `latent_avg` of StyleGAN2 training
    /// states, come along unless the entry has an array of that name.
    pub(crate) fn choose(self, key: Option<&str>, budget: &mut Budget) -> Result<Chosen<'a>> {
        let mut chosen = Chosen::default();
        let mut branch = match self {
            Self::Branch(branch) => branch,
            Self::Leaf(value) => {
                chosen.leaves.insert(LONE.to_owned(), value);
                return Ok(chosen);
            }
            Self::Other => return Err(Error::NoArrays { found: Vec::new() }),
        };
        let mut beside = Vec::new();
        if let Some(key) = key {
            let found = branch.names();
            branch = branch.descend(key, &mut beside)?;
            if !branch.entries.values().any(Tree::has_leaves) {
                return Err(Error::EmptyEntry { key: key.to_owned(), found });
            }
        }
        while let Some(next) = branch.wanted()? {
            let (inner, leaves) = branch.enter(&next);
            beside.extend(leaves);
            branch = inner;
        }
        chosen.config = std::mem::take(&mut branch.config);
        branch.flatten("", budget, &mut chosen.leaves)?;
        for (name, value) in beside {
            chosen.leaves.entry(name).or_insert(value);
        }
        Ok(chosen)
    }

    /// All arrays, by the names on the way to them.
    pub(crate) fn all(self, budget: &mut Budget) -> Result<Chosen<'a>> {
        let mut chosen = Chosen::default();
        match self {
            Self::Branch(branch) => {
                chosen.config = branch.configs();
                branch.flatten("", budget, &mut chosen.leaves)?;
            }
            Self::Leaf(value) => drop(chosen.leaves.insert(LONE.to_owned(), value)),
            Self::Other => {}
        }
        Ok(chosen)
    }
}

impl<'a> Branch<'a> {
    fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// The hyper-parameters of this network, or else of each network in it by name.
    fn configs(&self) -> Map<String, Json> {
        if !self.config.is_empty() {
            return self.config.clone();
        }
        let networks = self.entries.iter().filter_map(|(name, tree)| match tree {
            Tree::Branch(branch) => Some((name.clone(), branch.configs())),
            _ => None,
        });
        networks.filter(|(_, config)| !config.is_empty()).map(|(n, c)| (n, c.into())).collect()
    }

    /// The entry to enter: one of [`KEYS`], or the only one if no array is beside it.
    fn wanted(&self) -> Result<Option<String>> {
        let holds = |name: &&str| match self.entries.get(*name) {
            Some(tree @ Tree::Branch(_)) => tree.has_leaves(),
            _ => false,
        };
        if let Some(&name) = KEYS.iter().find(|name| holds(name)) {
            return Ok(Some(name.to_owned()));
        }
        if self.entries.values().any(|tree| matches!(tree, Tree::Leaf(_))) {
            return Ok(None);
        }
        let full = self.entries.iter().filter(|(_, tree)| tree.has_leaves());
        let found: Vec<String> = full.map(|(name, _)| name.clone()).collect();
        match found.as_slice() {
            [] => Err(Error::NoArrays { found: self.names() }),
            [only] => Ok(Some(only.clone())),
            _ => Err(Error::AmbiguousKey { found }),
        }
    }

    /// The entry `name`, and the arrays beside it.
    fn enter(mut self, name: &str) -> (Self, Vec<(String, Value<'a>)>) {
        let inner = self.entries.remove(name);
        let leaves = self.entries.into_iter().filter_map(|(name, tree)| match tree {
            Tree::Leaf(value) => Some((name, value)),
            _ => None,
        });
        let beside = leaves.collect();
        match inner {
            Some(Tree::Branch(branch)) => (branch, beside),
            Some(Tree::Leaf(value)) => {
                let entries = BTreeMap::from([(name.to_owned(), Tree::Leaf(value))]);
                (Self { entries, config: Map::new() }, Vec::new())
            }
            _ => (Self::default(), beside),
        }
    }

    /// The entry `key`, which may name entries of entries with dots between them.
    fn descend(self, key: &str, beside: &mut Vec<(String, Value<'a>)>) -> Result<Self> {
        let (mut branch, mut rest) = (self, key);
        loop {
            let dots = rest.match_indices('.').map(|(dot, _)| dot);
            let mut ends = std::iter::once(rest.len()).chain(dots.rev());
            let Some(end) = ends.find(|&end| branch.entries.contains_key(&rest[..end])) else {
                let found = branch.names();
                return Err(Error::MissingKey { key: key.to_owned(), found });
            };
            let is_leaf = matches!(branch.entries.get(&rest[..end]), Some(Tree::Leaf(_)));
            let (inner, leaves) = branch.enter(&rest[..end]);
            beside.extend(leaves);
            if is_leaf {
                beside.clear();
            }
            branch = inner;
            match rest.get(end + 1..) {
                Some(more) => rest = more,
                None => return Ok(branch),
            }
        }
    }

    /// Adds the arrays of this branch and those below to `leaves`.
    fn flatten(
        self,
        prefix: &str,
        budget: &mut Budget,
        leaves: &mut BTreeMap<String, Value<'a>>,
    ) -> Result<()> {
        for (name, tree) in self.entries {
            let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            if name.len() > MAX_NAME {
                let (asked, limit) = (name.len() as u64, MAX_NAME as u64);
                return Err(Error::Limit { what: "length of a name", asked, limit });
            }
            match tree {
                Tree::Leaf(value) => {
                    budget.take(name.len() as u64 + ENTRY)?;
                    leaves.insert(name, value);
                }
                Tree::Branch(branch) => branch.flatten(&name, budget, leaves)?,
                Tree::Other => {}
            }
        }
        Ok(())
    }
}
