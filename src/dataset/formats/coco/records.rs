//! Streams the records of a COCO file: images, annotations and categories, in any order and of any size.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::extent::Extent;
use crate::dataset::DatasetError;
use crate::dataset::formats::json_values::{EachRecord, Key, Numbers, Record, Scalar, json_error};
use crate::domain::{Cancel, begin_text, open_regular};

#[derive(Debug, Default)]
pub(super) struct ImageRecord {
    pub id: Scalar,
    pub file_name: Scalar,
    pub width: Scalar,
    pub height: Scalar,
    /// A Quarry extension.
    pub split: Scalar,
}

#[derive(Debug, Default)]
pub(super) struct AnnotationRecord {
    pub id: Scalar,
    pub image_id: Scalar,
    pub category_id: Scalar,
    pub bbox: Option<Numbers>,
    /// The box of the segmentation.
    pub extent: Extent,
    pub is_crowd: bool,
    pub ignore: bool,
    /// A Quarry extension: `ra rb theta cx cy`.
    pub ellipse: Option<Numbers>,
    /// Another COCO format indicated by a key that only it has.
    pub other_form: Option<&'static str>,
}

#[derive(Debug, Default)]
pub(super) struct CategoryRecord {
    pub id: Scalar,
    pub name: Scalar,
}

impl Record for ImageRecord {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "id" => self.id = map.next_value()?,
            "file_name" => self.file_name = map.next_value()?,
            "width" => self.width = map.next_value()?,
            "height" => self.height = map.next_value()?,
            "split" => self.split = map.next_value()?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Record for AnnotationRecord {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "id" => self.id = map.next_value()?,
            "image_id" => self.image_id = map.next_value()?,
            "category_id" => self.category_id = map.next_value()?,
            "bbox" => self.bbox = map.next_value()?,
            "segmentation" => self.extent = map.next_value()?,
            "iscrowd" => self.is_crowd = map.next_value::<Scalar>()?.flag(),
            "ignore" => self.ignore = map.next_value::<Scalar>()?.flag(),
            "ellipse" => self.ellipse = map.next_value()?,
            "segments_info" | "caption" => {
                self.other_form = Some(if key == "caption" { "captions" } else { "panoptic segments" });
                map.next_value::<IgnoredAny>()?;
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Record for CategoryRecord {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "id" => self.id = map.next_value()?,
            "name" => self.name = map.next_value()?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// Receives the records; `None` for a value that is not an object.
pub(super) trait Taker {
    fn image(&mut self, index: u32, record: Option<ImageRecord>);
    fn annotation(&mut self, index: u32, record: Option<AnnotationRecord>);
    fn category(&mut self, index: u32, record: Option<CategoryRecord>);
}

/// Which lists the file contains.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lists {
    pub images: bool,
    pub annotations: bool,
    pub categories: bool,
}

/// Streams the file's records to `taker`.
pub(super) fn read(path: &Path, taker: &mut impl Taker, cancel: &Cancel) -> Result<Lists, DatasetError> {
    let (file, _) = open_regular(path)?;
    let mut reader = BufReader::with_capacity(1 << 18, Watched { file, cancel });
    let begun = begin_text(path, &mut reader);
    if cancel.is_cancelled() {
        return Err(DatasetError::Cancelled);
    }
    begun?;
    let mut json = serde_json::Deserializer::from_reader(reader);
    let read = TopLevel { taker }.deserialize(&mut json).and_then(|lists| json.end().map(|()| lists));
    read.map_err(|error| if cancel.is_cancelled() { DatasetError::Cancelled } else { json_error(path, &error) })
}

/// A file reader that fails when the import is cancelled.
struct Watched<'a> {
    file: File,
    cancel: &'a Cancel,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // `Interrupted` would be retried.
        if self.cancel.is_cancelled() { Err(std::io::ErrorKind::Other.into()) } else { self.file.read(buffer) }
    }
}

struct TopLevel<'a, T> {
    taker: &'a mut T,
}

impl<'de, T: Taker> DeserializeSeed<'de> for TopLevel<'_, T> {
    type Value = Lists;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Lists, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Taker> Visitor<'de> for TopLevel<'_, T> {
    type Value = Lists;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with images, annotations and categories")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lists, A::Error> {
        let mut lists = Lists::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key.as_str() {
                "images" => {
                    lists.images = true;
                    map.next_value_seed(EachRecord::new(|k, record| self.taker.image(k, record)))?;
                }
                "annotations" => {
                    lists.annotations = true;
                    map.next_value_seed(EachRecord::new(|k, record| self.taker.annotation(k, record)))?;
                }
                "categories" => {
                    lists.categories = true;
                    map.next_value_seed(EachRecord::new(|k, record| self.taker.category(k, record)))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(lists)
    }
}
