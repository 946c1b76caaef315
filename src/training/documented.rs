//! The documentation of every key of `round.toml`: the doc comments of the settings structs, read through their JSON schema. The file's
//! comments, the form's tooltips, `--help` and docs/settings.md all come from here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde_json::Value;

use super::config::RoundConfig;

/// A key of `round.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentedKey {
    /// The full path, e.g. `sampler.fg_iou`.
    pub key: String,
    pub meaning: String,
    /// Whether it is a table, whose keys follow it.
    pub is_table: bool,
}

static DOCUMENTED: LazyLock<Vec<DocumentedKey>> = LazyLock::new(|| {
    let generator = SchemaSettings::default().with(|s| s.inline_subschemas = true).into_generator();
    let mut keys = Vec::new();
    collect("", generator.into_root_schema_for::<RoundConfig>().as_value(), &mut keys);
    // Top-level values come first in struct order; tables by name.
    let order: BTreeMap<&str, usize> = fields_of::<RoundConfig>().iter().enumerate().map(|(k, f)| (*f, k)).collect();
    let (mut top, tables): (Vec<_>, Vec<_>) = keys.into_iter().partition(|k| !k.is_table && !k.key.contains('.'));
    top.sort_by_key(|k| order.get(k.key.as_str()).copied());
    top.into_iter().chain(tables).collect()
});

/// Returns every key of `round.toml` in file order: top-level values, then each table with its keys.
pub fn documented() -> &'static [DocumentedKey] {
    &DOCUMENTED
}

/// Returns the description of a key of `round.toml` (`seed`, `sampler.fg_iou`).
pub fn meaning(key: &str) -> Option<&'static str> {
    DOCUMENTED.iter().find(|known| known.key == key).map(|known| known.meaning.as_str())
}

/// Collects the properties of an object's schema and of its nested objects.
fn collect(path: &str, schema: &Value, keys: &mut Vec<DocumentedKey>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let (tables, values): (Vec<_>, Vec<_>) = properties.iter().partition(|(_, of)| of.get("properties").is_some());
    for (name, schema) in values.into_iter().chain(tables) {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let meaning = text.split_whitespace().collect::<Vec<_>>().join(" ");
        keys.push(DocumentedKey { key: key.clone(), meaning, is_table: schema.get("properties").is_some() });
        collect(&key, schema, keys);
    }
}

/// Returns a struct's field names in order, as its `Deserialize` implementation requests them.
fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // No values are provided: requesting the fields is enough.
    let _ = T::deserialize(Asked(&mut fields));
    fields
}

struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("only the fields were requested"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

/// Formats the keys as the tables of docs/settings.md.
pub fn settings_page() -> String {
    let mut page = String::from(
        "# Settings of a round\n\nEvery key of `round.toml`, which `--set KEY=VALUE` takes too. [Tuning](tuning.md) says which to change for what.\n\n\
         | key | meaning |\n|---|---|\n",
    );
    for DocumentedKey { key, meaning, is_table } in documented() {
        // Writing to a String cannot fail.
        let _ = if *is_table {
            write!(page, "\n## `[{key}]`\n\n{meaning}\n\n| key | meaning |\n|---|---|\n")
        } else {
            writeln!(page, "| `{key}` | {meaning} |")
        };
    }
    page
}
