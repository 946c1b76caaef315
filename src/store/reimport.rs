//! Compares an import with the project's dataset: which images are new, changed, moved, removed or restored. Content identifies an image
//! before its name does, so that verdicts follow a renamed file.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::connection::now_ms;
use super::dataset_tools::split_plan;
use super::images::{self, StoredImage};
use super::new_dataset::{ImportCounts, NewDataset, NewImage, SameBytes};
use super::{StoreError, candidates, classes, ground_truth, objects, present_images, settle};
use crate::domain::{Annotation, AnnotationSource, ClassId, DatasetId};

/// The effect of an import on a dataset's images.
pub(super) struct Reimport<'a> {
    new: &'a NewDataset,
    /// The import's classes in order; unknown ones have placeholder ids.
    classes: Vec<ClassId>,
    stored: Vec<StoredImage>,
    /// For each imported image, the index in `stored` of the same image.
    known: Vec<Option<usize>>,
    /// Indices in `stored` of images that the dataset no longer contains.
    gone: Vec<usize>,
    /// The project split the dataset itself: known images keep their splits, new ones have none.
    keeps_splits: bool,
}

impl<'a> Reimport<'a> {
    /// `unread`: names of images or image folders that the dataset still has but that could not be read.
    pub fn plan(
        c: &Connection,
        dataset: Option<DatasetId>,
        new: &'a NewDataset,
        unread: &[String],
    ) -> Result<Self, StoreError> {
        let stored = match dataset {
            Some(dataset) => images::of_dataset(c, dataset)?,
            None => Vec::new(),
        };
        let known = matched(&stored, &new.images);
        let taken: HashSet<usize> = known.iter().flatten().copied().collect();
        let unread: HashSet<&str> = unread.iter().map(String::as_str).collect();
        let is_gone = |at: &usize| {
            let image = &stored[*at];
            !taken.contains(at) && !image.is_removed && !is_or_is_inside(&image.record.name, &unread)
        };
        let gone = (0..stored.len()).filter(is_gone).collect();
        let id = |(k, name): (usize, &String)| Ok(classes::find(c, name)?.unwrap_or(ClassId(-1 - k as i64)));
        let classes = new.classes.iter().enumerate().map(id).collect::<Result<_, StoreError>>()?;
        let keeps_splits = match dataset {
            Some(dataset) => split_plan(c, dataset)?.is_some(),
            None => false,
        };
        Ok(Self { new, classes, stored, known, gone, keeps_splits })
    }

    /// Returns the changes without writing.
    pub fn counts(&self, c: &Connection, dataset: Option<DatasetId>) -> Result<ImportCounts, StoreError> {
        let mut counts = ImportCounts { dataset, ..ImportCounts::default() };
        let corrected = objects::corrected_images(c)?;
        let has_others = images::others_exist(c, dataset)?;
        for (new, known) in self.pairs() {
            if has_others {
                counts.same_bytes.extend(same_bytes(c, dataset, new)?);
            }
            let Some(known) = known else {
                counts.added.push(new.name.clone());
                continue;
            };
            let (old, is_returned) = (&known.record, known.is_removed);
            let facts = (&old.content_hash, old.width, old.height, &old.split);
            let split = if self.keeps_splits { &old.split } else { &new.split };
            let is_changed = facts != (&new.content_hash, new.width, new.height, split)
                || ground_truth::imported_differ(c, old.id, &self.annotations(new))?;
            if corrected.contains(&old.id) {
                counts.resting_corrections += objects::resting(c, old.id, &self.annotations(new))?;
            }
            let is_moved = (&old.name, &old.path) != (&new.name, &images::stored_path(new)?);
            if is_returned {
                counts.returned.push(new.name.clone());
            }
            if is_changed {
                counts.changed.push(new.name.clone());
            }
            if is_moved {
                counts.moved.push((old.name.clone(), new.name.clone()));
            }
            if !is_returned && !is_changed && !is_moved {
                counts.unchanged += 1;
            }
            if old.content_hash != new.content_hash {
                counts.stale_candidates += candidates::count_of_image(c, old.id)?;
            }
        }
        counts.removed = self.gone.iter().map(|&at| self.stored[at].record.name.clone()).collect();
        Ok(counts)
    }

    /// Writes the import into `dataset`. Rematches candidates of images whose objects or content changed, and of their copies in other
    /// datasets.
    pub fn apply(&self, tx: &Transaction<'_>, dataset: DatasetId) -> Result<(), StoreError> {
        self.clear_names(tx)?;
        let now = now_ms();
        let mut touched = Vec::new();
        for &at in &self.gone {
            let id = self.stored[at].record.id;
            touched.extend(images::copies(tx, id)?);
            images::remove(tx, id, now)?;
        }
        for (new, known) in self.pairs() {
            let Some(known) = known else {
                // If the project split the dataset, an image added later may be a near-duplicate of a test image.
                let unassigned;
                let new = if self.keeps_splits {
                    unassigned = NewImage { split: None, ..new.clone() };
                    &unassigned
                } else {
                    new
                };
                let id = images::insert(tx, dataset, new)?;
                ground_truth::insert_imported(tx, id, &self.annotations(new))?;
                touched.push(id);
                continue;
            };
            let id = known.record.id;
            if known.record.content_hash != new.content_hash {
                touched.extend(images::copies(tx, id)?);
                candidates::mark_stale(tx, id)?;
            }
            if self.keeps_splits {
                images::update(tx, id, &NewImage { split: known.record.split.clone(), ..new.clone() })?;
            } else {
                images::update(tx, id, new)?;
            }
            let has_other_objects = ground_truth::replace_imported(tx, id, &self.annotations(new))?;
            if has_other_objects {
                // Corrections of objects that the dataset has again take effect again.
                settle::place_objects(tx, id)?;
            }
            if has_other_objects || known.is_removed || known.record.content_hash != new.content_hash {
                touched.push(id);
            }
        }
        let mut rematched = HashSet::new();
        for image in touched {
            for copy in images::copies(tx, image)? {
                if rematched.insert(copy) {
                    settle::rematch(tx, copy)?;
                }
            }
        }
        Ok(())
    }

    fn annotations(&self, image: &NewImage) -> Vec<Annotation> {
        let of_object = image.objects.iter().map(|object| Annotation {
            class: self.classes[object.class as usize],
            shape: object.shape,
            source: AnnotationSource::Imported,
            ignored: object.ignored,
        });
        of_object.collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (&NewImage, Option<&StoredImage>)> {
        let known = self.known.iter().map(|at| at.map(|at| &self.stored[at]));
        self.new.images.iter().zip(known)
    }

    /// Names are unique within a dataset: images about to be renamed, or whose name another one takes, are given placeholder names first.
    fn clear_names(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let taken: HashSet<usize> = self.known.iter().flatten().copied().collect();
        let wanted: HashSet<&str> = self.new.images.iter().map(|image| image.name.as_str()).collect();
        for (new, known) in self.pairs() {
            if let Some(known) = known.filter(|known| known.record.name != new.name) {
                images::rename(tx, known.record.id, &format!("\u{1}{}", known.record.id))?;
            }
        }
        for (_, image) in self.stored.iter().enumerate().filter(|(at, _)| !taken.contains(at)) {
            let record = &image.record;
            if wanted.contains(record.name.as_str()) {
                images::rename(tx, record.id, &format!("{} (removed, image {})", record.name, record.id))?;
            }
        }
        Ok(())
    }
}

/// Returns for each new image the same stored one: by name and content, else by content, else by name.
fn matched(stored: &[StoredImage], new: &[NewImage]) -> Vec<Option<usize>> {
    let mut known = vec![None; new.len()];
    let mut free: HashSet<usize> = (0..stored.len()).collect();
    let by_name: HashMap<&str, usize> =
        stored.iter().enumerate().map(|(at, image)| (image.record.name.as_str(), at)).collect();
    let mut claim = |known: &mut Vec<Option<usize>>, k: usize, at: Option<usize>| {
        if let Some(at) = at.filter(|at| free.remove(at)) {
            known[k] = Some(at);
        }
    };
    let named = |image: &NewImage| by_name.get(image.name.as_str()).copied();
    let has_bytes = |at: &usize, image: &NewImage| stored[*at].record.content_hash == image.content_hash;
    for (k, image) in new.iter().enumerate() {
        claim(&mut known, k, named(image).filter(|at| has_bytes(at, image)));
    }
    // Images still in the dataset take precedence over removed ones.
    let mut by_bytes: HashMap<&str, Vec<usize>> = HashMap::new();
    let taken: HashSet<usize> = known.iter().flatten().copied().collect();
    let (removed, present): (Vec<usize>, Vec<usize>) =
        (0..stored.len()).filter(|at| !taken.contains(at)).partition(|at| stored[*at].is_removed);
    for at in removed.into_iter().rev().chain(present.into_iter().rev()) {
        by_bytes.entry(stored[at].record.content_hash.as_str()).or_default().push(at);
    }
    for (k, image) in new.iter().enumerate() {
        if known[k].is_none() {
            let found = by_bytes.get_mut(image.content_hash.as_str()).and_then(Vec::pop);
            claim(&mut known, k, found);
        }
    }
    for (k, image) in new.iter().enumerate() {
        if known[k].is_none() {
            claim(&mut known, k, named(image));
        }
    }
    known
}

/// Whether `name`, or a folder that contains it, is among `names`.
fn is_or_is_inside(name: &str, names: &HashSet<&str>) -> bool {
    let folders = name.match_indices('/').map(|(at, _)| &name[..at]);
    std::iter::once(name).chain(folders).any(|part| names.contains(part))
}

/// Returns the first image of another dataset with the same content.
fn same_bytes(c: &Connection, own: Option<DatasetId>, new: &NewImage) -> Result<Option<SameBytes>, StoreError> {
    let sql = format!(
        "SELECT d.name, i.name FROM images i JOIN datasets d ON d.id = i.dataset_id
         WHERE i.content_hash = ?1 AND i.dataset_id IS NOT ?2 AND {} ORDER BY i.id LIMIT 1",
        present_images::present(c)?
    );
    let mut statement = c.prepare_cached(&sql)?;
    let read = |r: &rusqlite::Row<'_>| Ok(SameBytes { name: new.name.clone(), dataset: r.get(0)?, other: r.get(1)? });
    Ok(statement.query_row(params![new.content_hash, own.map(|id| id.0)], read).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ImageId, ImageRecord};

    fn stored(images: &[(&str, &str, bool)]) -> Vec<StoredImage> {
        let record = |(k, &(name, hash, is_removed)): (usize, &(&str, &str, bool))| StoredImage {
            record: ImageRecord {
                id: ImageId(k as i64 + 1),
                dataset: DatasetId(1),
                name: name.to_owned(),
                path: format!("{name}.jpg"),
                content_hash: hash.to_owned(),
                width: 4,
                height: 3,
                split: None,
            },
            is_removed,
        };
        images.iter().enumerate().map(record).collect()
    }

    fn new(images: &[(&str, &str)]) -> Vec<NewImage> {
        let image = |&(name, hash): &(&str, &str)| NewImage {
            name: name.to_owned(),
            path: format!("{name}.jpg").into(),
            content_hash: hash.to_owned(),
            width: 4,
            height: 3,
            split: None,
            objects: Vec::new(),
        };
        images.iter().map(image).collect()
    }

    #[test]
    fn bytes_come_before_names_and_nothing_is_taken_twice() {
        let check = |before: &[(&str, &str, bool)], after: &[(&str, &str)], expected: &[Option<usize>]| {
            assert_eq!(matched(&stored(before), &new(after)), expected, "{before:?} -> {after:?}");
        };
        let two = [("a", "A", false), ("b", "B", false)];
        check(&two, &[("a", "A"), ("b", "B")], &[Some(0), Some(1)]);
        check(&two, &[("b", "A"), ("a", "B")], &[Some(0), Some(1)]);
        check(&two, &[("a", "B")], &[Some(1)]);
        check(&two, &[("a", "C"), ("b", "B"), ("c", "A")], &[None, Some(1), Some(0)]);
        check(&two, &[("a", "C"), ("c", "D")], &[Some(0), None]);
        // The same content several times: each stored image once, those in the dataset first.
        let copies = [("x", "A", true), ("y", "A", false), ("z", "A", false)];
        check(&copies, &[("p", "A"), ("q", "A"), ("r", "A"), ("s", "A")], &[Some(1), Some(2), Some(0), None]);
        check(&copies, &[("p", "A"), ("z", "A")], &[Some(1), Some(2)]);
    }

    #[test]
    fn an_unread_name_covers_the_folder_below_it() {
        let names = HashSet::from(["b", "c/d"]);
        for (name, expected) in
            [("b", true), ("b/1.jpg", true), ("c/d/e/1.jpg", true), ("c/1.jpg", false), ("bb", false)]
        {
            assert_eq!(is_or_is_inside(name, &names), expected, "{name}");
        }
    }
}
