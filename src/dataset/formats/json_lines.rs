//! Finds the line numbers of records in a JSON file. Only called to report bad records, so that it costs nothing for a good file.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json_values::Key;
use crate::domain::{begin_text, open_regular};

/// A list of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum List {
    Images,
    Annotations,
    Categories,
    Shapes,
    /// The file itself, as in Label Studio.
    Tasks,
}

impl List {
    const KEYS: [Self; 4] = [Self::Images, Self::Annotations, Self::Categories, Self::Shapes];

    /// Returns its key in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Annotations => "annotations",
            Self::Categories => "categories",
            Self::Shapes => "shapes",
            Self::Tasks => "tasks",
        }
    }
}

/// A list and an index into it from 0.
pub(super) type Record = (List, u32);

/// Returns the line numbers, from 1, of the records `wanted` that the file contains, as far as it can be parsed.
pub(super) fn lines_of(path: &Path, wanted: &HashSet<Record>) -> HashMap<Record, u32> {
    let mut found = HashMap::new();
    let Ok((file, _)) = open_regular(path) else { return found };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    if begin_text(path, &mut reader).is_ok() {
        let line = Cell::new(1);
        let mut json = serde_json::Deserializer::from_reader(Counted { inner: reader, line: &line });
        let search = Search { wanted, line: &line, found: &mut found, list: None };
        // Parse errors were reported when the file was read.
        let _ = search.deserialize(&mut json);
    }
    found
}

/// Counts the lines read. The parser reads one character ahead, which is a record's first character when the record begins.
struct Counted<'a, R> {
    inner: R,
    line: &'a Cell<u32>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let breaks = buffer.iter().take(count).filter(|&&byte| byte == b'\n').count();
        self.line.set(self.line.get() + breaks as u32);
        Ok(count)
    }
}

/// Visits a value: at the top level the object with the lists, or a list of tasks; below it the list with this name.
struct Search<'a> {
    wanted: &'a HashSet<Record>,
    line: &'a Cell<u32>,
    found: &'a mut HashMap<Record, u32>,
    list: Option<List>,
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lists of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key>()? {
            match List::KEYS.into_iter().find(|list| self.list.is_none() && list.as_str() == key.as_str()) {
                Some(list) => {
                    let Self { wanted, line, .. } = self;
                    map.next_value_seed(Search { wanted, line, found: &mut *self.found, list: Some(list) })?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let name = self.list.unwrap_or(List::Tasks);
        let mut index = 0;
        while let Some(line) = list.next_element_seed(OneRecord(self.line))? {
            if self.wanted.contains(&(name, index)) {
                self.found.entry((name, index)).or_insert(line);
            }
            index += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Skips a record and returns its first line.
struct OneRecord<'a>(&'a Cell<u32>);

impl<'de> DeserializeSeed<'de> for OneRecord<'_> {
    type Value = u32;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u32, D::Error> {
        let line = self.0.get();
        deserializer.deserialize_ignored_any(IgnoredAny).map(|_| line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_on_their_lines() {
        use List::{Annotations, Images, Shapes, Tasks};
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        let check = |text: &str, wanted: &[Record], expected: &[Option<u32>]| {
            std::fs::write(&file, text).unwrap();
            let found = lines_of(&file, &wanted.iter().copied().collect());
            let lines: Vec<Option<u32>> = wanted.iter().map(|record| found.get(record).copied()).collect();
            assert_eq!(lines, expected, "{text}");
        };
        let text = "\u{FEFF}{\"images\": [\n {\"id\": 1,\n  \"annotations\": [1, 2]},\n\n {}\n], \"info\": {}, \"annotations\":\n[3,\n4]}";
        let of_text = [(Images, 0), (Images, 1), (Annotations, 0), (Annotations, 1), (Annotations, 2)];
        check(text, &of_text, &[Some(2), Some(5), Some(7), Some(8), None]);
        let of_list = [(Tasks, 0), (Tasks, 1), (Tasks, 2), (Shapes, 0)];
        check("[{\"shapes\": [1]},\n\"x\",\n[]]", &of_list, &[Some(1), Some(2), Some(3), None]);
        // As far as it can be parsed.
        check("{\"images\": 5, \"shapes\": [\n1,", &[(Images, 0), (Shapes, 0), (Shapes, 1)], &[None, Some(2), None]);
        check("", &[(Tasks, 0)], &[None]);
    }
}
