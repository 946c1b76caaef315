//! Merges two datasets of a project: images, objects, verdicts and candidates are kept, files are not moved.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::WorkflowError;
use super::dataset_named;
use crate::domain::{ImageId, ImageRecord, counted, counted_as, printable, shown_path};
use crate::store::{DatasetMerge, Store};

/// The result of the merge, or of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergedDatasets {
    pub name: String,
    /// The folder that contains both, to which image paths are relative from now on.
    #[serde(serialize_with = "shown_path")]
    pub root: PathBuf,
    /// Number of images in use.
    pub images: usize,
    /// Images of one dataset with the same content as one of the other: the annotated one is used, the other is kept with its verdicts.
    pub repeated: usize,
    /// Names that both have: those of the second dataset are prefixed with its name.
    pub renamed: usize,
}

/// Merges the dataset `from` into `into`, which is then called `name`; `dry_run` only returns the result. An import matches neither of the
/// two any more: it creates a new dataset.
pub fn merge(
    store: &mut Store,
    into: &str,
    from: &str,
    name: Option<&str>,
    dry_run: bool,
) -> Result<MergedDatasets, WorkflowError> {
    let (into, from) = (dataset_named(store, into)?, dataset_named(store, from)?);
    if into.id == from.id {
        return Err(WorkflowError::Refused("a dataset cannot be merged with itself.".to_owned()));
    }
    let name = name.unwrap_or(&into.name).to_owned();
    if store.datasets()?.iter().any(|d| d.name == name && d.id != into.id && d.id != from.id) {
        let text =
            format!("there is another dataset `{}` in this project. Choose a name with --name.", printable(&name));
        return Err(WorkflowError::Refused(text));
    }
    let root = common_folder(&into.root, &from.root).ok_or_else(|| {
        WorkflowError::Refused(format!(
            "{} and {} have no common folder. Move them to one disk first, and set their new folders with `quarry dataset move`.",
            into.root.display(),
            from.root.display()
        ))
    })?;
    // Nothing is ever written below a dataset's folder.
    if store.path().canonicalize().is_ok_and(|database| database.starts_with(&root)) {
        let text = format!(
            "{} is the folder that contains both, and this project is in it too. Move one of them closer to the other.",
            root.display()
        );
        return Err(WorkflowError::Refused(text));
    }
    let prefix = |of: &Path| -> Result<String, WorkflowError> {
        let inside = of.strip_prefix(&root).unwrap_or(Path::new(""));
        let parts: Option<Vec<&str>> = inside.iter().map(|part| part.to_str()).collect();
        let parts = parts.ok_or_else(|| WorkflowError::Refused(format!("{} is not a UTF-8 path.", of.display())))?;
        Ok(parts.iter().flat_map(|part| [*part, "/"]).collect())
    };
    let (prefix_into, prefix_from) = (prefix(&into.root)?, prefix(&from.root)?);
    let root_text = root.to_str().map(str::to_owned);
    let root_text =
        root_text.ok_or_else(|| WorkflowError::Refused(format!("{} is not a UTF-8 path.", root.display())))?;
    let images = store.images()?;
    let of = |id| images.iter().filter(move |image| image.dataset == id);
    let repeated = repeated(store, &of(into.id).collect::<Vec<_>>(), &of(from.id).collect::<Vec<_>>())?;
    let taken: HashSet<&str> = of(into.id).map(|image| image.name.as_str()).collect();
    let renamed = of(from.id).filter(|image| taken.contains(image.name.as_str())).count();
    let report = MergedDatasets {
        name: name.clone(),
        root,
        images: of(into.id).count() + of(from.id).count() - repeated.len(),
        repeated: repeated.len(),
        renamed,
    };
    if !dry_run {
        let merge =
            DatasetMerge { from: from.id, into: into.id, name, root: root_text, prefix_from, prefix_into, repeated };
        store.merge_datasets(&merge)?;
    }
    Ok(report)
}

/// Returns the unused image of each pair with the same content: the annotated one is used, or if both are, the one in `into`.
fn repeated(store: &Store, into: &[&ImageRecord], from: &[&ImageRecord]) -> Result<Vec<ImageId>, WorkflowError> {
    let truth = store.all_ground_truth()?;
    let is_annotated = |image: &ImageRecord| truth.get(&image.id).is_some_and(|objects| !objects.is_empty());
    let mut by_hash: HashMap<&str, Vec<&ImageRecord>> = HashMap::new();
    for image in into {
        by_hash.entry(image.content_hash.as_str()).or_default().push(image);
    }
    let mut repeated = Vec::new();
    for image in from {
        let Some(twins) = by_hash.get(image.content_hash.as_str()) else { continue };
        if is_annotated(image) && !twins.iter().any(|twin| is_annotated(twin)) {
            repeated.extend(twins.iter().map(|twin| twin.id));
        } else {
            repeated.push(image.id);
        }
    }
    repeated.sort_unstable();
    repeated.dedup();
    Ok(repeated)
}

/// Returns the deepest folder that contains both; `None` if that is the root of the file system or does not exist.
fn common_folder(a: &Path, b: &Path) -> Option<PathBuf> {
    let common: PathBuf = a.components().zip(b.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    common.parent().is_some().then_some(common)
}

impl std::fmt::Display for MergedDatasets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {} below {}", printable(&self.name), counted(self.images, "image"), self.root.display())?;
        if self.repeated > 0 {
            write!(
                f,
                "\n{} in both; of each the annotated one is used, the other is kept with its verdicts and not used.",
                counted_as(self.repeated, "image was", "images were")
            )?;
        }
        if self.renamed > 0 {
            write!(
                f,
                "\n{} now prefixed with its name.",
                counted_as(
                    self.renamed,
                    "name was in both; that of the second dataset is",
                    "names were in both; those of the second dataset are"
                )
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_folder_is_not_the_root_of_everything() {
        let check = |a: &str, b: &str, expected: Option<&str>| {
            assert_eq!(common_folder(Path::new(a), Path::new(b)), expected.map(PathBuf::from), "{a} {b}");
        };
        check("/data/a", "/data/b", Some("/data"));
        check("/data/a", "/data/a/more", Some("/data/a"));
        check("/data/a", "/data/ab", Some("/data"));
        check("/data/a", "/photos/b", None);
        check("/data", "/data", Some("/data"));
    }
}
