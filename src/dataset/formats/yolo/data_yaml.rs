//! ultralytics' `data.yaml`: class names, and the image paths of each split.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::dataset::DatasetError;
use crate::dataset::formats::json_values::{OneRecord, Record, Scalar};
use crate::domain::{limits, read_text};

/// The keys with images, in reading order.
pub(super) const SPLITS: [&str; 4] = ["train", "val", "test", "minival"];

#[derive(Debug, Default)]
pub(super) struct DataYaml {
    /// The folder that splits are relative to.
    pub path: Option<String>,
    /// A folder or a text list, or several of them.
    pub splits: BTreeMap<String, Vec<String>>,
    /// Index -> name. Empty if the file has no names.
    pub names: BTreeMap<u32, String>,
    /// Number of classes; the names take precedence.
    pub count: Option<u32>,
    /// Whether labels have key points after the box.
    pub has_keypoints: bool,
}

impl Record for DataYaml {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "path" => self.path = map.next_value::<Texts>()?.0.into_iter().next(),
            "names" => self.names = map.next_value::<Names>()?.0,
            "nc" => self.count = map.next_value::<Scalar>()?.size(),
            "kpt_shape" => {
                map.next_value::<IgnoredAny>()?;
                self.has_keypoints = true;
            }
            _ if SPLITS.contains(&key) => {
                self.splits.insert(key.to_owned(), map.next_value::<Texts>()?.0);
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// Reads and validates the file; does not check whether the folders exist.
pub(super) fn read(path: &Path) -> Result<DataYaml, DatasetError> {
    let text = read_text(path, limits::SETTINGS)?;
    let failed = |error: &serde_saphyr::Error| {
        let line = error.location().map_or(1, |location| location.line() as usize).max(1);
        if let serde_saphyr::Error::AliasReplayLimitExceeded { max_total_replayed_events: most, .. } = cause(error) {
            return DatasetError::line(
                path,
                line,
                format!("aliases (`*name`) stand for more than {most} values; remove them"),
            );
        }
        // The first line says what is wrong; the rest shows the position.
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        // The position was already given.
        let what = what.strip_prefix("line ").and_then(|rest| rest.split_once(": ")).map_or(what, |(_, what)| what);
        DatasetError::line(path, line, format!("{what}; correct the YAML there"))
    };
    let alias_limits = serde_saphyr::alias_limits! { max_total_replayed_events: limits::YAML_ALIASED };
    let options = serde_saphyr::options! { alias_limits: alias_limits };
    let read: TopLevel = serde_saphyr::from_str_with_options(&text, options).map_err(|error| failed(&error))?;
    let no_map = || DatasetError::layout(path, "expected keys such as `names:` and `train:` in it");
    read.0.ok_or_else(no_map)
}

/// The error without the text and the alias around it.
fn cause(mut error: &serde_saphyr::Error) -> &serde_saphyr::Error {
    while let serde_saphyr::Error::WithSnippet { error: inner, .. }
    | serde_saphyr::Error::AliasError { error: inner, .. } = error
    {
        error = inner;
    }
    error
}

struct TopLevel(Option<DataYaml>);

impl<'de> serde::Deserialize<'de> for TopLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        OneRecord::default().deserialize(deserializer).map(Self)
    }
}

/// One string or a list of strings; empty for `~`.
struct Texts(Vec<String>);

impl<'de> serde::Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a list of paths")
            }
            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(if text.trim().is_empty() { Vec::new() } else { vec![text.trim().to_owned()] }))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }
            fn visit_unit<E>(self) -> Result<Texts, E> {
                Ok(Texts(Vec::new()))
            }
            fn visit_none<E>(self) -> Result<Texts, E> {
                Ok(Texts(Vec::new()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element::<Texts>()? {
                    texts.extend(text.0);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(TextsVisitor)
    }
}

/// A list, or a map from index to name.
struct Names(BTreeMap<u32, String>);

/// More classes than any dataset has; a larger index is an error.
pub(super) const MOST_CLASSES: u32 = 100_000;

impl<'de> serde::Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamesVisitor;
        impl<'de> Visitor<'de> for NamesVisitor {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("class names as a list, or as a map from index to name")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
                let mut names = BTreeMap::new();
                while let Some(name) = list.next_element::<String>()? {
                    names.insert(names.len() as u32, name);
                }
                Ok(Names(names))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = BTreeMap::new();
                while let Some(index) = map.next_key::<Scalar>()? {
                    let name = map.next_value::<String>()?;
                    let found = index.id().and_then(|id| u32::try_from(id).ok()).filter(|&id| id < MOST_CLASSES);
                    let wrong = || serde::de::Error::custom(format!("class index {index} in names is not 0, 1, 2 ..."));
                    names.insert(found.ok_or_else(wrong)?, name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_any(NamesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DataYaml, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.yaml");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn names_and_splits_are_read_in_all_their_forms() {
        let check = |text: &str, names: &[(u32, &str)], train: &[&str]| {
            let yaml = parse(text).unwrap();
            let found: Vec<(u32, &str)> = yaml.names.iter().map(|(k, name)| (*k, name.as_str())).collect();
            assert_eq!(found, names, "{text}");
            assert_eq!(yaml.splits.get("train").cloned().unwrap_or_default(), train, "{text}");
        };
        check(
            "train: images/train # 5 images\nnames: ['a', b c, 7]\n",
            &[(0, "a"), (1, "b c"), (2, "7")],
            &["images/train"],
        );
        check(
            "names:\n  0: person\n  2: yes\ntrain:\n  - a.txt\n  - b\n",
            &[(0, "person"), (2, "yes")],
            &["a.txt", "b"],
        );
        check("\"names\": {\"0\": x}\ntest:\nnc: 1\ndownload: |\n  print('x')\n", &[(0, "x")], &[]);
        let yaml = parse("path: ../datasets/coco8\ntrain: ''\nkpt_shape: [17, 3]").unwrap();
        assert_eq!((yaml.path.as_deref(), yaml.has_keypoints), (Some("../datasets/coco8"), true));
    }

    #[test]
    fn aliases_stand_for_a_bounded_number_of_values() {
        let with = |times: usize| {
            let (names, aliases) = (vec!["x"; 200].join(", "), vec!["*a"; times].join(", "));
            parse(&format!("a: &a [{names}]\ndownload: [{aliases}]\nnames: [car]\ntrain: images\n"))
        };
        assert_eq!(with(10).unwrap().names.len(), 1);
        let error = with(200).unwrap_err();
        assert!(error.contains("data.yaml:2: ") && error.contains("stand for more than 20000 values"), "{error}");
    }

    #[test]
    fn wrong_yaml_is_told_with_its_line() {
        let check = |text: &str, words: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "no {words:?} in {error}");
        };
        check("names: [a\ntrain: x", "data.yaml:");
        check("train: x\nnames:\n  first: a\n", "data.yaml:");
        check("- a\n- b\n", "data.yaml: expected keys");
        check("just text", "data.yaml: expected keys");
        check("names: 7", "class names as a list");
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                    g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nnames: *g\n";
        check(bomb, "data.yaml:");
    }
}
