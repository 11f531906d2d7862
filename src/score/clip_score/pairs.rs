//! Files of pairs of an image and a prompt.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Names of the column of images, the first that is there.
const FILES: &[&str] = &["file", "file_name", "filename", "path", "image"];
/// Names of the column of prompts.
const PROMPTS: &[&str] = &["prompt", "text", "caption"];

/// An image and a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) file: String,
    pub(super) prompt: String,
}

/// Reads a CSV, or JSON lines, by the ending of the name.
pub(super) fn read(path: &Path) -> Result<Vec<Pair>> {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    let pairs = match ending.as_deref() {
        Some("jsonl" | "ndjson") => lines(path),
        Some("tsv") => table(path, b'\t'),
        _ => table(path, b','),
    }?;
    if pairs.is_empty() {
        return Err(Error::request(format!("`{}`: there are no pairs", path.display())));
    }
    Ok(pairs)
}

fn table(path: &Path, delimiter: u8) -> Result<Vec<Pair>> {
    let name = path.display();
    let problem = |error: csv::Error| Error::request(format!("`{name}`: {error}"));
    let file = std::fs::File::open(path).map_err(Error::file("read", path))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(file);
    let header = reader.headers().map_err(problem)?.clone();
    let column = |names: &[&str]| {
        let place = |name: &&str| header.iter().position(|column| column.trim() == *name);
        names.iter().find_map(place).ok_or_else(|| unknown(path, names, header.iter().collect()))
    };
    let (file, prompt) = (column(FILES)?, column(PROMPTS)?);
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(problem)?;
        let line = record.position().map_or(0, csv::Position::line);
        let value = |column: usize| record.get(column).unwrap_or_default();
        pairs.push(pair(path, line, value(file), value(prompt))?);
    }
    Ok(pairs)
}

fn lines(path: &Path) -> Result<Vec<Pair>> {
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    let mut pairs = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let name = path.display();
        let object: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| Error::request(format!("`{name}`, line {line}: {error}")))?;
        let value = |names: &[&str]| {
            let found = names.iter().find_map(|name| object.get(*name));
            found.ok_or_else(|| unknown(path, names, object.keys().map(String::as_str).collect()))
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        pairs.push(pair(path, line, &text(value(FILES)?), &text(value(PROMPTS)?))?);
    }
    Ok(pairs)
}

fn pair(path: &Path, line: u64, file: &str, prompt: &str) -> Result<Pair> {
    let missing =
        |what: &str| Err(Error::request(format!("`{}`, line {line}: no {what}", path.display())));
    match (file.trim().is_empty(), prompt.trim().is_empty()) {
        (true, _) => missing("image"),
        (_, true) => missing("prompt"),
        _ => Ok(Pair { file: file.trim().to_owned(), prompt: prompt.to_owned() }),
    }
}

fn unknown(path: &Path, names: &[&str], found: Vec<&str>) -> Error {
    let (expected, found) = (names.join(", "), found.join(", "));
    Error::request(format!("`{}`: expected a column {expected}, found {found}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::read as read_pairs;
    use super::*;

    #[test]
    fn tables_and_json_lines_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            read_pairs(&path)
        };
        let pair = |file: &str, prompt: &str| Pair { file: file.into(), prompt: prompt.into() };
        let expected = [pair("a.png", "a, \"quoted\" cat"), pair("b/c.png", "dog")];
        let csv = "id,caption,image\n1,\"a, \"\"quoted\"\" cat\",a.png\n2,dog,b/c.png\n";
        assert_eq!(read("p.csv", csv).unwrap(), expected);
        let tsv = "file_name\ttext\na.png\ta, \"\"quoted\"\" cat\n";
        assert_eq!(read("p.tsv", tsv).unwrap().len(), 1);
        let jsonl = "{\"file_name\": \"a.png\", \"text\": \"a, \\\"quoted\\\" cat\"}\n\n\
                     {\"text\": \"dog\", \"file_name\": \"b/c.png\", \"x\": 1}\n";
        assert_eq!(read("p.jsonl", jsonl).unwrap(), expected);
        let fails = |name: &str, text: &str| read(name, text).unwrap_err().to_string();
        assert!(fails("p.jsonl", "{\"file\": \"a\"}").contains("expected a column prompt, text"));
        assert!(fails("p.jsonl", "{\"file\": \"a\", \"prompt\": 3}").contains("line 1: no prompt"));
        assert!(fails("p.jsonl", "[").contains("line 1"));
        assert!(fails("p.csv", "file,prompt\na.png\n").contains("line: 2"));
        assert!(fails("p.csv", "").contains("expected a column file"));
    }
}
