//! Advice as data, which each front end words in its own terms.

use serde::{Deserialize, Serialize};

/// Advice as data: text, and references to fields of requests, which a front end words in its own
/// terms (a flag, a keyword argument, a field of a form).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    parts: Vec<Part>,
    /// Advice for a front end that cannot word the parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    otherwise: Option<Box<Self>>,
}

/// How a front end words a reference of a [`Hint`] to a task, if it is another one, and its field.
pub type Wording<'a> = dyn FnMut(Option<&str>, Option<&str>) -> Option<String> + 'a;

/// A part of a [`Hint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// A field of the request that failed, as `weights`.
    Field(String),
    /// A field of another task, as `rows` of `stats`; without a field, the task itself.
    Task {
        /// Name of the task.
        task: String,
        /// Name of its field, or nothing.
        field: Option<String>,
    },
}

impl Hint {
    /// Reads a template: `{weights}` is a field of the request, `{stats.rows}` one of another task,
    /// `{list.}` another task.
    pub fn of(template: &'static str) -> Self {
        let mut parts = Vec::new();
        for (i, piece) in template.split(['{', '}']).enumerate() {
            match piece.split_once('.') {
                _ if piece.is_empty() => {}
                _ if i % 2 == 0 => parts.push(Part::Text(piece.to_owned())),
                Some((task, field)) => parts.push(Part::Task {
                    task: task.to_owned(),
                    field: (!field.is_empty()).then(|| field.to_owned()),
                }),
                None => parts.push(Part::Field(piece.to_owned())),
            }
        }
        Self { parts, otherwise: None }
    }

    /// The same advice, followed by text as it stands.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Text(text.into()));
        self
    }

    /// The same advice, with other advice for a front end that lacks a field of it.
    #[must_use]
    pub(crate) fn or(mut self, otherwise: impl Into<Self>) -> Self {
        self.otherwise = Some(Box::new(otherwise.into()));
        self
    }

    /// The same advice, followed by a field of the request.
    #[must_use]
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.parts.push(Part::Field(field.into()));
        self
    }

    /// Its parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The advice in words, where `word` has one for each reference: a front end that lacks a field
    /// keeps the advice to itself.
    pub fn words(&self, word: &mut Wording<'_>) -> Option<String> {
        let mut part = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Field(field) => word(None, Some(field)),
            Part::Task { task, field } => word(Some(task), field.as_deref()),
        };
        let words: Option<String> = self.parts.iter().map(&mut part).collect();
        words.or_else(|| self.otherwise.as_ref()?.words(word))
    }
}

impl<T: Into<String>> From<T> for Hint {
    fn from(text: T) -> Self {
        Self { parts: vec![Part::Text(text.into())], otherwise: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_worded_by_the_front_end_or_not_at_all() {
        let hint = Hint::of("give {weights}, or see {stats.rows} and {list.}").then(" {x}");
        let worded = hint.words(&mut |task, field| {
            Some(format!("<{}|{}>", task.unwrap_or(""), field.unwrap_or("")))
        });
        assert_eq!(worded.unwrap(), "give <|weights>, or see <stats|rows> and <list|> {x}");
        let tasks = &mut |task: Option<&str>, _: Option<&str>| task.map(str::to_owned);
        assert_eq!(hint.words(tasks), None);
        assert_eq!(hint.or("see the manual").words(tasks).unwrap(), "see the manual");
    }
}
