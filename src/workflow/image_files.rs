//! The files of images, with a check that their datasets are there.

use std::path::PathBuf;

use super::WorkflowError;
use crate::domain::{ImageId, Sources};
use crate::store::Store;

/// Returns the paths of images, and their datasets.
pub(super) fn files_of(
    store: &Store,
    images: impl IntoIterator<Item = ImageId>,
) -> Result<(Vec<PathBuf>, Sources), WorkflowError> {
    let files = images.into_iter().map(|image| store.image_file(image)).collect::<Result<Vec<_>, _>>()?;
    let roots = store.datasets()?.into_iter().map(|dataset| dataset.root);
    let sources = Sources::new(roots, files.iter().map(PathBuf::as_path));
    Ok((files, sources))
}
