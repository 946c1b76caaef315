//! Applies a TOML text on top of default values. An unknown key is an error that names its line and the table that has this key, or the
//! nearest known key.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::HashMap;

use thiserror::Error;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// What is wrong with settings; every message names their source and, if it is a file and sets the key, the line. Lines are from 1; 0 if there
/// is none.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ConfigError {
    #[error("{}: not valid TOML: {message}", place(file, *line))]
    Syntax { file: String, line: usize, message: String },
    #[error("{}: unknown key `{key}`{}", place(file, *line), nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey { file: String, line: usize, key: String, nearest: Option<String> },
    #[error("{}: `{key}`: {message}", place(file, *line))]
    Value { file: String, line: usize, key: String, message: String },
    /// A value of another type than the setting's, both as TOML calls them.
    #[error("{}: `{key}`: expected {}, found {}", place(file, *line), article(wanted), article(found))]
    Type { file: String, line: usize, key: String, wanted: &'static str, found: &'static str },
    #[error("there is no preset `{name}`{}; the presets are {}", nearest.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default(), known.join(", "))]
    Preset { name: String, nearest: Option<String>, known: Vec<String> },
}

impl ConfigError {
    /// The same about settings that are not lines of a file.
    #[must_use]
    pub fn without_line(mut self) -> Self {
        if let Self::Syntax { line, .. }
        | Self::UnknownKey { line, .. }
        | Self::Value { line, .. }
        | Self::Type { line, .. } = &mut self
        {
            *line = 0;
        }
        self
    }
}

fn place(source: &str, line: usize) -> String {
    if line == 0 { source.to_owned() } else { format!("{source}:{line}") }
}

/// The line of each key in a text, by full path (`sampler.fg_iou`).
#[derive(Debug, Clone, Default)]
pub(super) struct KeyLines {
    file: String,
    lines: HashMap<String, usize>,
}

impl KeyLines {
    pub(super) fn named(file: &str) -> Self {
        Self { file: file.to_owned(), lines: HashMap::new() }
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// Removes `key`, as if the text did not set it.
    pub(super) fn forget(&mut self, key: &str) {
        self.lines.remove(key);
    }

    /// Renames `old`, as if the text used its current name.
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        if let Some(line) = self.lines.remove(old) {
            self.lines.insert(new.to_owned(), line);
        }
    }

    fn line(&self, key: &str) -> usize {
        self.lines.get(key).copied().unwrap_or(1)
    }

    /// Creates an error about `key` at the line that sets it, or at line 1 if it has its default value.
    pub(super) fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let line = self.line(key);
        ConfigError::Value { file: self.file.clone(), line, key: key.to_owned(), message: message.into() }
    }
}

/// Parses `text` and records the line of each key.
pub(super) fn parse(text: &str, file: &str) -> Result<(Table, KeyLines), ConfigError> {
    let syntax = |error: &toml::de::Error| ConfigError::Syntax {
        file: file.to_owned(),
        line: error.span().map_or(1, |span| line_at(text, span.start)),
        message: error.message().to_owned(),
    };
    let spanned = DeTable::parse(text).map_err(|e| syntax(&e))?;
    let table: Table = toml::from_str(text).map_err(|e| syntax(&e))?;
    let mut lines = KeyLines::named(file);
    collect_lines(text, spanned.get_ref(), "", &mut lines.lines);
    Ok((table, lines))
}

/// Writes every value of `over` into `base`. Keys must exist in `base` and have its type; integers are accepted for floats.
pub(super) fn lay_over(base: &mut Table, over: Table, lines: &KeyLines) -> Result<(), ConfigError> {
    let mut paths = Vec::new();
    collect_paths(base, "", &mut paths);
    lay_table(base, over, "", &Known { paths, lines })
}

/// Jaro-Winkler similarity of words with a typo or two; words that only share a few letters are below.
const NEAR: f64 = 0.75;

/// Returns the entry of `known` most similar to `word`, if any is similar enough.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = known.map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    let (likeness, candidate) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness > NEAR).then(|| candidate.to_owned())
}

/// All paths of the defaults, and the line numbers of the text applied to them.
struct Known<'a> {
    paths: Vec<String>,
    lines: &'a KeyLines,
}

impl Known<'_> {
    /// Returns where the defaults have a key with exactly this name.
    fn places_of(&self, key: &str) -> Option<String> {
        let is_key = |path: &&str| path.rsplit('.').next() == Some(key);
        let places: Vec<&str> = self.paths.iter().map(String::as_str).filter(is_key).collect();
        (!places.is_empty()).then(|| places.join("` or `"))
    }
}

fn lay_table(base: &mut Table, over: Table, path: &str, known: &Known<'_>) -> Result<(), ConfigError> {
    let lines = known.lines;
    for (key, value) in over {
        let full = joined(path, &key);
        let Some(slot) = base.get_mut(&key) else {
            let similar = || nearest(&key, base.keys().map(String::as_str)).map(|n| joined(path, &n));
            return Err(ConfigError::UnknownKey {
                file: lines.file.clone(),
                line: lines.line(&full),
                nearest: known.places_of(&key).or_else(similar),
                key: full,
            });
        };
        match (slot, value) {
            (Value::Table(inner), Value::Table(value)) => lay_table(inner, value, &full, known)?,
            (slot, value) => {
                let found = value.type_str();
                let wanted = slot.type_str();
                *slot = fitted(slot, value).ok_or_else(|| ConfigError::Type {
                    file: lines.file.clone(),
                    line: lines.line(&full),
                    key: full.clone(),
                    wanted,
                    found,
                })?;
            }
        }
    }
    Ok(())
}

/// Converts `value` to the type of `slot`, or returns `None`.
fn fitted(slot: &Value, value: Value) -> Option<Value> {
    match (slot, value) {
        (Value::Float(_), Value::Integer(whole)) => Some(Value::Float(whole as f64)),
        (Value::Array(old), Value::Array(new)) => {
            let like_old = |item: Value| match old.first() {
                Some(first) => fitted(first, item),
                None => Some(item),
            };
            new.into_iter().map(like_old).collect::<Option<Vec<_>>>().map(Value::Array)
        }
        (slot, value) if slot.same_type(&value) => Some(value),
        _ => None,
    }
}

fn collect_lines(text: &str, table: &DeTable<'_>, path: &str, lines: &mut HashMap<String, usize>) {
    for (key, value) in table {
        let full = joined(path, key.get_ref());
        lines.insert(full.clone(), line_at(text, key.span().start));
        if let DeValue::Table(inner) = Spanned::get_ref(value) {
            collect_lines(text, inner, &full, lines);
        }
    }
}

fn collect_paths(table: &Table, path: &str, paths: &mut Vec<String>) {
    for (key, value) in table {
        let full = joined(path, key);
        if let Value::Table(inner) = value {
            collect_paths(inner, &full, paths);
        }
        paths.push(full);
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if an { "an" } else { "a" })
}
