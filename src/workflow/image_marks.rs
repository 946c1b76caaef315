//! Marks many images as completely annotated. Training exports only use an image as background if it is marked.

use serde::Serialize;

use super::WorkflowError;
use super::export::{ExportScope, images_in};
use crate::domain::{ImageNames, NameMatch, printable};
use crate::store::Store;

/// The result of marking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MarkReport {
    /// Number of selected images.
    pub images: usize,
    /// Number of those whose mark changed.
    pub changed: usize,
}

/// An image marked as complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MarkedImage {
    pub dataset: String,
    pub name: String,
    pub by: Vec<String>,
}

/// Marks the images of the scope as complete in the name of `annotator`, or removes the annotator's marks. `names`: only these, as in the
/// dataset's lists, with or without extension; empty for the whole scope. An unknown or ambiguous name is an error, and nothing is marked
/// then.
pub fn mark(
    store: &mut Store,
    scope: &ExportScope,
    names: &[String],
    annotator: &str,
    complete: bool,
) -> Result<MarkReport, WorkflowError> {
    let images = images_in(store, scope)?;
    let mut meant = Vec::new();
    if names.is_empty() {
        meant.extend(images.iter().map(|image| image.id));
    }
    let known = ImageNames::new(images.iter().map(|image| image.name.as_str()));
    for name in names {
        match known.find(name) {
            NameMatch::One(at) => meant.push(images[at].id),
            NameMatch::None => {
                let text = format!("there is no image `{}` here; nothing was marked.", printable(name));
                return Err(WorkflowError::Refused(text));
            }
            NameMatch::Several(all) => {
                let text = format!(
                    "`{}` is the name of {} images; nothing was marked. Say which with --dataset or the whole name.",
                    printable(name),
                    all.len()
                );
                return Err(WorkflowError::Refused(text));
            }
        }
    }
    meant.sort_unstable();
    meant.dedup();
    let changed = store.mark_images(&meant, annotator, complete)?;
    Ok(MarkReport { images: meant.len(), changed })
}

/// Returns the images of the scope that are marked as complete, in import order.
pub fn marked(store: &Store, scope: &ExportScope) -> Result<Vec<MarkedImage>, WorkflowError> {
    let complete = store.complete_images()?;
    let datasets = store.datasets()?;
    let mut found = Vec::new();
    for image in images_in(store, scope)? {
        if let Some(by) = complete.get(&image.id) {
            let dataset = datasets.iter().find(|dataset| dataset.id == image.dataset).map(|d| d.name.clone());
            found.push(MarkedImage { dataset: dataset.unwrap_or_default(), name: image.name, by: by.clone() });
        }
    }
    Ok(found)
}
