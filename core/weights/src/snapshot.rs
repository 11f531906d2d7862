//! Networks that were pickled whole: NVIDIA snapshots of torch and of TensorFlow, and modules of R3GAN.
//!
//! A torch network is the `__dict__` of its module, recorded with the source code of its class
//! (<https://github.com/NVlabs/stylegan3/blob/main/torch_utils/persistence.py>). The source is
//! neither run nor read: names, tensors and the arguments of the constructor are all that is used.
//! A TensorFlow network lists its variables by name
//! (<https://github.com/NVlabs/stylegan2/blob/master/dnnlib/tflib/network.py>).

use std::collections::HashSet;

use serde_json::Value as Json;

use crate::budget::{Budget, ENTRY};
use crate::error::malformed;
use crate::pickle::{Global, Object, Value};
use crate::torch::Tensors;
use crate::tree::{Branch, MAX_NAME, Tree};
use crate::{Error, Result};

const FORMAT: &str = "network snapshot";

/// Modules in modules that are followed.
const MAX_DEPTH: usize = 64;

/// Entry of the hyper-parameters that names the class of the network.
pub(crate) const CLASS_NAME: &str = "class_name";

/// The state dict and the constructor's arguments of the network `value`, if it is one.
pub(crate) fn network<'a>(
    tensors: &Tensors<'a>,
    value: Value<'a>,
    budget: &mut Budget,
) -> Result<Option<Branch<'a>>> {
    let Some(object) = tensors.pickle().object(value) else { return Ok(None) };
    let mut branch = Branch::default();
    let mut walk = Walk { tensors, budget, branch: &mut branch };
    match object.class {
        Global::PersistentObject => {
            walk.config(object)?;
            walk.module(value, "", 0)?;
        }
        Global::Module => walk.module(value, "", 0)?,
        Global::TfNetwork => {
            walk.tf_config(object)?;
            walk.tf_network(object, "", 0)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(branch))
}

/// Whether `value` is a network of TensorFlow snapshots.
pub(crate) fn is_tf_network<'a>(tensors: &Tensors<'a>, value: Value<'a>) -> bool {
    tensors.pickle().object(value).is_some_and(|object| object.class == Global::TfNetwork)
}

struct Walk<'w, 'a> {
    tensors: &'w Tensors<'a>,
    budget: &'w mut Budget,
    branch: &'w mut Branch<'a>,
}

impl<'a> Walk<'_, 'a> {
    fn get(&mut self, dict: Value<'a>, key: &str) -> Result<Value<'a>> {
        let found = self.tensors.pickle().get(dict, key, self.budget)?;
        Ok(found.unwrap_or(Value::None))
    }

    /// Names and values of a dict; nothing where there is none.
    fn named(&mut self, dict: Value<'a>) -> Result<Vec<(&'a str, Value<'a>)>> {
        let entries = self.tensors.pickle().entries(dict, self.budget)?;
        let named = entries.iter().flat_map(|entries| entries.iter());
        Ok(named.filter_map(|&(key, value)| Some((key.as_text()?, value))).collect())
    }

    fn leaf(&mut self, name: String, value: Value<'a>) -> Result<()> {
        self.budget.take(name.len() as u64 + ENTRY)?;
        self.branch.entries.insert(name, Tree::Leaf(value));
        Ok(())
    }

    /// The record of a persistent object: `{type, version, module_src, class_name, state}`.
    fn record(&mut self, object: Object<'a>) -> Result<Value<'a>> {
        match self.tensors.pickle().items(object.args) {
            Some(&[record]) => Ok(record),
            _ => malformed!(FORMAT, "a persistent object without its record"),
        }
    }

    fn config(&mut self, object: Object<'a>) -> Result<()> {
        let record = self.record(object)?;
        let class_name = self.get(record, "class_name")?;
        let state = self.get(record, "state")?;
        let args = self.get(state, "_init_args")?;
        let kwargs = self.get(state, "_init_kwargs")?;
        let pickle = self.tensors.pickle();
        let config = &mut self.branch.config;
        config.insert(CLASS_NAME.to_owned(), pickle.json(class_name, self.budget)?);
        if let Json::Object(kwargs) = pickle.json(kwargs, self.budget)? {
            config.extend(kwargs);
        }
        // Positional arguments have no names in the record.
        if let Json::Array(args) = pickle.json(args, self.budget)?
            && !args.is_empty()
        {
            config.insert("_init_args".to_owned(), Json::Array(args));
        }
        Ok(())
    }

    /// The `state_dict()` of the module, with `prefix` before the names.
    fn module(&mut self, value: Value<'a>, prefix: &str, depth: usize) -> Result<()> {
        check_depth(depth)?;
        self.budget.take(prefix.len() as u64 + ENTRY)?;
        let object = self.tensors.pickle().object(value);
        let state = match object {
            Some(object @ Object { class: Global::PersistentObject, .. }) => {
                let record = self.record(object)?;
                self.get(record, "state")?
            }
            Some(Object { class: Global::Module, state, .. }) => state,
            _ => return malformed!(FORMAT, "the module `{prefix}` is {}", value.kind()),
        };
        let transient = self.get(state, "_non_persistent_buffers_set")?;
        let transient = self.tensors.pickle().members(transient).unwrap_or_default();
        self.budget.take(transient.len() as u64)?;
        let transient: HashSet<_> = transient.iter().filter_map(|name| name.as_text()).collect();
        for dict in ["_parameters", "_buffers"] {
            let dict = self.get(state, dict)?;
            for (name, value) in self.named(dict)? {
                // A parameter that the configuration leaves out is None.
                if value != Value::None && !transient.contains(name) {
                    self.leaf(format!("{prefix}{name}"), value)?;
                }
            }
        }
        let modules = self.get(state, "_modules")?;
        for (name, value) in self.named(modules)? {
            if value != Value::None {
                self.module(value, &join(prefix, name, '.')?, depth + 1)?;
            }
        }
        Ok(())
    }

    fn tf_config(&mut self, object: Object<'a>) -> Result<()> {
        let name = self.get(object.state, "name")?;
        let kwargs = self.get(object.state, "static_kwargs")?;
        let function = self.get(object.state, "build_func_name")?;
        let pickle = self.tensors.pickle();
        let config = &mut self.branch.config;
        config.insert("name".to_owned(), pickle.json(name, self.budget)?);
        config.insert("build_func_name".to_owned(), pickle.json(function, self.budget)?);
        if let Json::Object(kwargs) = pickle.json(kwargs, self.budget)? {
            config.extend(kwargs);
        }
        Ok(())
    }

    /// The variables of the network and of its components, with the component's name and a slash
    /// before theirs.
    fn tf_network(&mut self, object: Object<'a>, prefix: &str, depth: usize) -> Result<()> {
        check_depth(depth)?;
        self.budget.take(prefix.len() as u64 + ENTRY)?;
        let pickle = self.tensors.pickle();
        let variables = self.get(object.state, "variables")?;
        let variables = pickle.items(variables).unwrap_or_default();
        self.budget.take(variables.len() as u64)?;
        for &variable in variables {
            let Some(&[Value::Text(name), value]) = pickle.items(variable) else {
                return malformed!(FORMAT, "a variable without name and value");
            };
            self.leaf(format!("{prefix}{name}"), value)?;
        }
        let components = self.get(object.state, "components")?;
        for (name, value) in self.named(components)? {
            let Some(object @ Object { class: Global::TfNetwork, .. }) = pickle.object(value)
            else {
                return malformed!(FORMAT, "the component `{name}` is {}", value.kind());
            };
            self.tf_network(object, &join(prefix, name, '/')?, depth + 1)?;
        }
        Ok(())
    }
}

fn check_depth(depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        let (asked, limit) = (depth as u64, MAX_DEPTH as u64);
        return Err(Error::Limit { what: "nesting of modules", asked, limit });
    }
    Ok(())
}

/// `prefix`, `name` and `separator`.
fn join(prefix: &str, name: &str, separator: char) -> Result<String> {
    let length = prefix.len() + name.len();
    if length > MAX_NAME {
        let (asked, limit) = (length as u64, MAX_NAME as u64);
        return Err(Error::Limit { what: "length of a name", asked, limit });
    }
    Ok(format!("{prefix}{name}{separator}"))
}
