//! Matches detections of a COCO result list to the ground truth's images.

#![expect(clippy::indexing_slicing, reason = "indices come from the names and ids of these images")]

use std::collections::HashMap;

use super::coco_json::{CocoDataset, CocoDetection};
use crate::domain::{ImageNames, NameMatch, counted_as};

/// The ground truth's images, by index in the file.
pub(super) struct ImageIndex<'a> {
    ids: Vec<i64>,
    pub by_id: HashMap<i64, usize>,
    names: ImageNames<'a>,
    /// The index for each name.
    named: Vec<usize>,
    /// By index: the name under which it received detections, so that no second name maps to the same image.
    found_as: HashMap<usize, &'a str>,
    /// Number of detections whose name several images share, resolved by id.
    told_by_id: usize,
}

impl<'a> ImageIndex<'a> {
    pub fn new(truth: &'a CocoDataset) -> Result<Self, String> {
        let ids: Vec<i64> = truth.images.iter().map(|image| image.id.0).collect();
        let mut by_id = HashMap::new();
        for (at, &id) in ids.iter().enumerate() {
            if by_id.insert(id, at).is_some() {
                return Err(format!("images, entry {}: id {id} appears twice", at + 1));
            }
        }
        let named = truth.images.iter().enumerate().filter_map(|(at, image)| Some((at, image.file_name.as_deref()?)));
        let (named, names): (Vec<usize>, Vec<&str>) = named.unzip();
        Ok(Self { ids, by_id, names: ImageNames::new(names), named, found_as: HashMap::new(), told_by_id: 0 })
    }

    /// Matches by file name if both files have them, because `image_id` of `quarry detect` only counts its list. Matches by id if there are
    /// no names, or if several images share the name.
    pub fn find(&mut self, detection: &'a CocoDetection) -> Result<usize, String> {
        let id = detection.image_id.0;
        let Some(name) = detection.file_name.as_deref().filter(|_| !self.named.is_empty()) else {
            return self.by_id.get(&id).copied().ok_or_else(|| format!("the ground truth has no image with id {id}"));
        };
        let at = match self.names.find(name) {
            NameMatch::One(index) => self.named[index],
            NameMatch::Several(several) => {
                let meant = several.iter().map(|&index| self.named[index]).find(|&at| self.ids[at] == id);
                let at = meant.ok_or_else(|| self.ambiguous(name, id, &several))?;
                self.told_by_id += 1;
                return Ok(at);
            }
            NameMatch::None => {
                return Err(format!(
                    "the ground truth has no image `{name}`; names must be relative to the same folder in both files"
                ));
            }
        };
        match self.found_as.insert(at, name) {
            Some(other) if other != name => Err(format!(
                "`{other}` and `{name}` both match image {} of the ground truth; give the file's name in full",
                self.ids[at]
            )),
            _ => Ok(at),
        }
    }

    /// Returns a note for the user on how images were matched.
    pub fn note(&self) -> Option<String> {
        let count = self.told_by_id;
        (count > 0).then(|| {
            format!(
                "{} by image_id: several images share a file name",
                counted_as(count, "detection was matched", "detections were matched")
            )
        })
    }

    fn ambiguous(&self, name: &str, id: i64, several: &[usize]) -> String {
        let shown = |&index: &usize| format!("`{}` (id {})", self.names.name(index), self.ids[self.named[index]]);
        let shown: Vec<String> = several.iter().take(3).map(shown).collect();
        format!(
            "`{name}` fits {} of the ground truth's images, {}, and its image_id {id} is not one of them; give the file's name in full or \
             the image's id",
            several.len(),
            shown.join(", ")
        )
    }
}
