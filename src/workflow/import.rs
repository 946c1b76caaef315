//! Photographs and annotations -> the project's store. The files themselves are only read.

use std::path::Path;

use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::dataset::{self, ImportSummary, ImportedDataset, ImportedObject};
use crate::domain::{Annotation, AnnotationSource, Cancel, Progress};
use crate::store::{NewDataset, NewImage};

/// The formats that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportFormat {
    /// FDDB as it ships: `FDDB-folds/*.txt` and `originalPics/`.
    Fddb,
    /// A folder of photographs without faces, to mine from.
    Folder,
}

impl ImportFormat {
    pub const ALL: [Self; 2] = [Self::Fddb, Self::Folder];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fddb => "fddb",
            Self::Folder => "folder",
        }
    }
}

/// Reads the dataset at `path` and, unless `dry_run`, adds it to the project in one transaction. Importing the same folder again
/// adds only what is new.
pub fn import(
    project: &Project,
    format: ImportFormat,
    path: &Path,
    dry_run: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ImportSummary, WorkflowError> {
    let mut progress = |p: Progress| observer(WorkEvent::Progress(p));
    let imported = match format {
        ImportFormat::Fddb => dataset::read_fddb(path, &mut progress, cancel)?,
        ImportFormat::Folder => dataset::read_folder(path, &mut progress, cancel)?,
    };
    if !dry_run {
        add(project, &imported)?;
    }
    Ok(imported.summary)
}

fn add(project: &Project, imported: &ImportedDataset) -> Result<(), WorkflowError> {
    let images = imported.images.iter().map(|image| NewImage {
        name: image.name.clone(),
        path: image.path.clone(),
        content_hash: image.content_hash.clone(),
        width: image.width,
        height: image.height,
        fold: image.split.as_deref().and_then(|split| split.parse().ok()),
        faces: image.objects.iter().map(annotation).collect(),
    });
    let rows = NewDataset {
        name: imported.name.clone(),
        kind: imported.kind.to_owned(),
        root: imported.root.clone(),
        images: images.collect(),
    };
    project.open_store()?.add_dataset(&rows)?;
    Ok(())
}

fn annotation(object: &ImportedObject) -> Annotation {
    Annotation { shape: object.shape, source: AnnotationSource::Imported, ignored: object.ignored }
}
