//! Reads COCO's dataset and result files leniently: ids as integers, integral floats or numeric strings; missing fields; masks are skipped.
//! Errors name the record.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{self, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de::IgnoredAny};

use super::super::WorkflowError;
use crate::domain::{InputError, is_not_utf8, limits, read_text_bytes, text_bytes};

/// A dataset: the file for `--ground-truth`.
#[derive(Debug, Deserialize)]
pub(super) struct CocoDataset {
    #[serde(deserialize_with = "images")]
    pub images: Vec<CocoImage>,
    #[serde(deserialize_with = "annotations")]
    pub annotations: Vec<CocoAnnotation>,
    #[serde(default, deserialize_with = "categories")]
    pub categories: Vec<CocoCategory>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CocoImage {
    pub id: Id,
    pub file_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CocoAnnotation {
    pub image_id: Id,
    pub category_id: Id,
    pub bbox: BoxNumbers,
    pub area: Option<f64>,
    #[serde(default)]
    pub iscrowd: Flag,
    /// VOC's flag in converted files.
    #[serde(default)]
    pub difficult: Flag,
    /// The flag of pedestrian datasets. pycocotools ignores it.
    #[serde(default)]
    pub ignore: Flag,
}

#[derive(Debug, Deserialize)]
pub(super) struct CocoCategory {
    pub id: Id,
    pub name: Option<String>,
}

/// A record of a result list: the file for `--detections`.
#[derive(Debug, Deserialize)]
pub(super) struct CocoDetection {
    pub image_id: Id,
    pub file_name: Option<String>,
    pub category_id: Option<Id>,
    /// As `quarry detect` writes it, whose numbers are those of its model.
    pub category_name: Option<String>,
    pub bbox: BoxNumbers,
    pub score: f64,
}

/// An integer; some programs write `7.0` or `"7"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(pub i64);

/// `x, y, width, height`.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoxNumbers(pub [f64; 4]);

/// A number in COCO, a boolean in some variants; `null` and a missing value are 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flag(pub bool);

/// Reads a dataset.
pub(super) fn read_dataset(path: &Path) -> Result<CocoDataset, WorkflowError> {
    read_json(path, "`--ground-truth` takes a COCO dataset, an object with `images` and `annotations`")
}

/// Reads a result list.
pub(super) fn read_detections(path: &Path) -> Result<Vec<CocoDetection>, WorkflowError> {
    let list: ResultList =
        read_json(path, "`--detections` takes a COCO result list of `image_id`, `category_id`, `bbox` and `score`")?;
    Ok(list.0)
}

fn read_json<T: DeserializeOwned>(path: &Path, advice: &str) -> Result<T, WorkflowError> {
    let bytes = read_text_bytes(path, limits::TEXT)?;
    // The message ends with line and column.
    let read = serde_json::from_slice(text_bytes(path, &bytes)?);
    read.map_err(|e| {
        if is_not_utf8(&e) {
            return InputError::NotUtf8 { path: path.to_path_buf(), line: e.line().max(1) }.into();
        }
        WorkflowError::BadFile { path: path.to_path_buf(), reason: format!("{e}; {advice}") }
    })
}

#[derive(Debug)]
struct ResultList(Vec<CocoDetection>);

impl<'de> Deserialize<'de> for ResultList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        entries(deserializer, "").map(Self)
    }
}

fn images<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CocoImage>, D::Error> {
    entries(deserializer, "images, ")
}

fn annotations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CocoAnnotation>, D::Error> {
    entries(deserializer, "annotations, ")
}

fn categories<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CocoCategory>, D::Error> {
    entries(deserializer, "categories, ")
}

/// Parses a list whose errors name the entry, counted from 1.
fn entries<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    of: &'static str,
) -> Result<Vec<T>, D::Error> {
    struct Entries<T>(&'static str, PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            loop {
                match list.next_element() {
                    Ok(Some(entry)) => all.push(entry),
                    Ok(None) => return Ok(all),
                    Err(e) => return Err(de::Error::custom(format!("{}entry {}: {e}", self.0, all.len() + 1))),
                }
            }
        }
    }
    deserializer.deserialize_seq(Entries(of, PhantomData))
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;

        impl Visitor<'_> for IdVisitor {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a whole number for an id")
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Id, E> {
                Ok(Id(v))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Id, E> {
                i64::try_from(v).map(Id).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(v), &self))
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Id, E> {
                whole(v).map(Id).ok_or_else(|| E::invalid_value(de::Unexpected::Float(v), &self))
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Id, E> {
                let text = v.trim();
                let id = text.parse().ok().or_else(|| text.parse().ok().and_then(whole));
                id.map(Id).ok_or_else(|| E::invalid_value(de::Unexpected::Str(v), &self))
            }
        }
        deserializer.deserialize_any(IdVisitor)
    }
}

/// Above 2^53, neighbouring integers are equal as floats.
fn whole(v: f64) -> Option<i64> {
    (v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0).then_some(v as i64)
}

impl<'de> Deserialize<'de> for BoxNumbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoxVisitor;

        impl<'de> Visitor<'de> for BoxVisitor {
            type Value = BoxNumbers;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("4 numbers for a box: `x, y, width, height`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<BoxNumbers, A::Error> {
                let mut numbers = [0.0; 4];
                for (k, number) in numbers.iter_mut().enumerate() {
                    *number = list.next_element()?.ok_or_else(|| de::Error::invalid_length(k, &self))?;
                }
                let mut count = 4;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                if count > 4 { Err(de::Error::invalid_length(count, &self)) } else { Ok(BoxNumbers(numbers)) }
            }
        }
        deserializer.deserialize_seq(BoxVisitor)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagVisitor;

        impl Visitor<'_> for FlagVisitor {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("0 or 1")
            }

            fn visit_bool<E: de::Error>(self, v: bool) -> Result<Flag, E> {
                Ok(Flag(v))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Flag, E> {
                Ok(Flag(v != 0))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Flag, E> {
                Ok(Flag(v != 0))
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Flag, E> {
                Ok(Flag(v != 0.0))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Flag, E> {
                Ok(Flag(false))
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Flag, E> {
                match v.trim() {
                    "" | "0" | "false" => Ok(Flag(false)),
                    "1" | "true" => Ok(Flag(true)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(v), &self)),
                }
            }
        }
        deserializer.deserialize_any(FlagVisitor)
    }
}
