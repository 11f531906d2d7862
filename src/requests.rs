//! Requests from flat names: for front ends with keyword arguments or fields of a form.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::names;

/// The request that named values make, the rest being the defaults.
///
/// A name stands for the outermost field of that name, `batch` of a request for `features.batch`; a
/// field within one of the same name has its path, `drawing.batch`. Null leaves a default.
///
/// ```
/// use ganscope::requests::request;
/// use ganscope::score::ScoreRequest;
///
/// let named = serde_json::json!({ "is_splits": 5, "extractor": "fashion-cnn", "force": true });
/// let request: ScoreRequest = request(named.as_object().cloned().unwrap_or_default())?;
/// assert_eq!((request.options.is_splits, request.force), (5, true));
/// assert_eq!(request.features.extractor.as_deref(), Some("fashion-cnn"));
/// # Ok::<(), ganscope::Error>(())
/// ```
///
/// # Errors
/// If no field has a name, or a value is none of its field.
pub fn request<R: Default + Serialize + DeserializeOwned>(named: Map<String, Value>) -> Result<R> {
    let mut filled = serde_json::to_value(R::default())?;
    let fields = fields(&filled);
    for (name, value) in named {
        let path = find(&fields, &name)?;
        if value.is_null() {
            continue;
        }
        let default = filled.pointer_mut(path).map(|field| std::mem::replace(field, value.clone()));
        if let Err(error) = serde_json::from_value::<R>(filled.clone()) {
            let default = default.unwrap_or_default();
            return Err(Error::request(format!("`{name}` is {value}: {error}"))
                .with_hint(format!("its default is {default}")));
        }
    }
    Ok(serde_json::from_value(filled)?)
}

/// Fails if no field of a request has one of these names.
///
/// # Errors
/// The message has the first such name; the hint, a similar one.
pub fn check_names<R: Default + Serialize>(named: &Map<String, Value>) -> Result<()> {
    let fields = fields(&serde_json::to_value(R::default())?);
    named.keys().try_for_each(|name| find(&fields, name).map(|_| ()))
}

/// The path of the field that a name stands for.
fn find<'f>(fields: &'f [(String, bool)], name: &str) -> Result<&'f str> {
    let is_meant = |(path, is_named): &&(String, bool)| {
        let end = path.rsplit('/').next();
        *is_named && end == Some(name) || path[1..].replace('/', ".") == name
    };
    let found = fields.iter().find(is_meant);
    found.map(|(path, _)| path.as_str()).ok_or_else(|| unknown(name, fields))
}

/// Paths of the fields of a request that hold no others, and whether their names alone stand for them.
fn fields(request: &Value) -> Vec<(String, bool)> {
    let mut found: Vec<(String, bool)> = Vec::new();
    let mut level = vec![(String::new(), request)];
    while !level.is_empty() {
        let mut below = Vec::new();
        let mut here = Vec::new();
        for (path, value) in level {
            let Value::Object(fields) = value else { continue };
            for (name, field) in fields {
                let path = format!("{path}/{name}");
                if field.is_object() {
                    below.push((path, field));
                } else {
                    let end = format!("/{name}");
                    let is_named = !found.iter().any(|(outer, _)| outer.ends_with(&end));
                    here.push((path, is_named));
                }
            }
        }
        found.extend(here);
        level = below;
    }
    found
}

fn unknown(name: &str, fields: &[(String, bool)]) -> Error {
    let named = fields.iter().filter(|(_, is_named)| *is_named);
    let names: Vec<&str> = named.filter_map(|(path, _)| Some(path.rsplit_once('/')?.1)).collect();
    Error::request(format!("no option `{name}`")).with_hint(names::suggestion(name, &names))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::latents::pictures::PicturesRequest;
    use crate::score::ScoreRequest;
    use crate::score::sweep::SweepRequest;

    fn named<R: Default + Serialize + DeserializeOwned>(value: Value) -> Result<R> {
        let Value::Object(named) = value else { panic!("an object") };
        request(named)
    }

    #[test]
    fn no_names_are_the_defaults() {
        assert_eq!(named::<ScoreRequest>(json!({})).unwrap(), ScoreRequest::default());
        let null: ScoreRequest = named(json!({ "reference": null, "num": null })).unwrap();
        assert_eq!(null, ScoreRequest::default());
    }

    #[test]
    fn an_inner_field_with_the_name_of_an_outer_one_has_its_path() {
        let found: SweepRequest = named(json!({ "drawing.batch": 7, "device": "cpu" })).unwrap();
        assert_eq!(found.drawing.batch, 7);
    }

    #[test]
    fn unknown_names_and_unfit_values_are_named() {
        let error = named::<ScoreRequest>(json!({ "extracter": "x" })).unwrap_err();
        assert!(format!("{:?}", error.hint()).contains("did you mean `extractor`?"), "{error:?}");
        let error = named::<ScoreRequest>(json!({ "is_splits": -1 })).unwrap_err();
        assert!(error.to_string().starts_with("`is_splits` is -1: "), "{error}");
        let error = named::<PicturesRequest>(json!({ "truncation": "wide" })).unwrap_err();
        assert!(error.to_string().contains("`truncation`"), "{error}");
        assert!(named::<ScoreRequest>(json!({ "features": {} })).is_err());
    }
}
