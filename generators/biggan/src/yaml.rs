//! Configurations of StudioGAN, which are YAML.

use ganscope_model::{Error, Result};
use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

/// The sections that decide a generator.
const SECTIONS: [&str; 2] = ["DATA", "MODEL"];
/// Most bytes of a configuration, and most values in it.
const MOST_BYTES: usize = 1 << 20;
const MOST_VALUES: usize = 1 << 16;

/// The entries of the sections `DATA` and `MODEL` of a configuration of StudioGAN: numbers, flags, texts and
/// lists of them.
///
/// # Errors
/// If the text is not YAML, has references, is longer than a megabyte, or has neither section.
pub fn studio_config(text: &str) -> Result<Map<String, Value>> {
    let problem = |text: String| Error::Config(format!("configuration of StudioGAN: {text}"));
    if text.len() > MOST_BYTES {
        return Err(problem(format!("{} bytes, at most {MOST_BYTES} are read", text.len())));
    }
    let mut found = Map::new();
    let mut sections = 0;
    // Keys of the mappings around, the list that is open, and how deep lists and mappings are nested.
    let (mut section, mut key, mut list) = (None::<String>, None::<String>, None::<Vec<Value>>);
    let mut depth = 0usize;
    for (count, event) in Parser::new_from_str(text).enumerate() {
        let (event, _) = event.map_err(|error| problem(error.to_string()))?;
        if count > MOST_VALUES {
            return Err(problem(format!("more than {MOST_VALUES} values")));
        }
        match event {
            Event::Alias(_) => return Err(problem("references are not read".into())),
            Event::MappingStart(..) => depth += 1,
            Event::MappingEnd => {
                depth = depth.saturating_sub(1);
                (section, key) = if depth == 1 { (None, None) } else { (section, None) };
            }
            Event::SequenceStart(..) => {
                list = (depth == 2).then(Vec::new);
                depth += 1;
            }
            Event::SequenceEnd => {
                depth = depth.saturating_sub(1);
                if let (Some(list), Some(key)) = (list.take(), key.take()) {
                    found.insert(key, Value::Array(list));
                }
            }
            Event::Scalar(text, style, ..) => {
                let wanted = section.as_deref().is_some_and(|name| SECTIONS.contains(&name));
                let value = || {
                    let plain = style == saphyr_parser::ScalarStyle::Plain;
                    if plain { plain_value(&text) } else { Value::from(text.as_ref()) }
                };
                match depth {
                    1 if section.is_none() => {
                        sections += usize::from(SECTIONS.contains(&text.as_ref()));
                        section = Some(text.into_owned());
                    }
                    1 => section = None,
                    2 if wanted => match key.take() {
                        None => key = Some(text.into_owned()),
                        Some(key) => drop(found.insert(key, value())),
                    },
                    3 if wanted => {
                        if let Some(list) = &mut list {
                            list.push(value());
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    if sections == 0 {
        return Err(problem("it has no section `MODEL`".into()));
    }
    Ok(found)
}

/// A value without quotes: a number, a flag, or a text.
fn plain_value(text: &str) -> Value {
    match text {
        "True" | "true" => Value::Bool(true),
        "False" | "false" => Value::Bool(false),
        _ => match serde_json::from_str(text) {
            Ok(Value::Number(number)) => Value::Number(number),
            _ => Value::from(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sections_of_the_generator_are_read() {
        let config = studio_config(
            "# comment\nDATA:\n  name: \"CIFAR10\"\n  img_size: 32\nMODEL:\n  attn_g_loc: [2, 3]\n  \
             apply_g_sn: True\n  g_depth: N/A\n  z: {a: [1], b: 2}\n  g_conv_dim: 96\nRUN:\n  img_size: 1\n",
        )
        .unwrap();
        let expected = json!({
            "name": "CIFAR10", "img_size": 32, "attn_g_loc": [2, 3], "apply_g_sn": true,
            "g_depth": "N/A", "g_conv_dim": 96,
        });
        assert_eq!(Value::Object(config), expected);
    }

    #[test]
    fn other_texts_are_errors() {
        for (text, part) in [
            ("", "no section"),
            ("a: [", "configuration of StudioGAN"),
            ("MODEL:\n  a: &x 1\n  b: *x\n", "references"),
            ("{\"z_dim\": 1}", "no section"),
            (&"a".repeat(MOST_BYTES + 1), "bytes"),
        ] {
            let error = studio_config(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let nested = "[".repeat(100_000);
        assert!(studio_config(&nested).is_err());
    }
}
