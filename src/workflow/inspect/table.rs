//! The project's images in memory, for lists of any length.

use std::path::PathBuf;

use crate::domain::{Annotation, ClassId, DatasetId, ImageId, ImageRecord};
use crate::store::Store;
use crate::workflow::WorkflowError;
use crate::workflow::copies::Truth;

/// An image with the values that lists show and filter.
#[derive(Debug, Clone, PartialEq)]
pub struct TableImage {
    pub record: ImageRecord,
    /// `None`: its path leaves its dataset's folder, and is not opened.
    pub file: Option<PathBuf>,
    /// Number of current objects, without ignored ones.
    pub objects: u32,
    /// The distinct classes of the objects.
    pub classes: Box<[ClassId]>,
}

/// All images of the datasets, sorted by id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageTable {
    pub images: Vec<TableImage>,
    /// Id and name.
    pub datasets: Vec<(DatasetId, String)>,
}

impl ImageTable {
    pub fn read(store: &Store, truth: &Truth) -> Result<Self, WorkflowError> {
        let mut files = store.image_files()?;
        let images = store.images()?.into_iter().map(|record| {
            let file = files.remove(&record.id);
            let mut image = TableImage { record, file, objects: 0, classes: Box::default() };
            image.count(truth);
            image
        });
        let images = images.collect();
        let datasets = store.datasets()?.into_iter().map(|dataset| (dataset.id, dataset.name)).collect();
        Ok(Self { images, datasets })
    }

    /// Returns the index of an image.
    pub fn place(&self, image: ImageId) -> Option<usize> {
        self.images.binary_search_by_key(&image, |row| row.record.id).ok()
    }

    pub fn get(&self, image: ImageId) -> Option<&TableImage> {
        self.images.get(self.place(image)?)
    }
}

impl TableImage {
    /// Counts the current objects.
    pub fn count(&mut self, truth: &Truth) {
        let objects = truth.get(&self.record.id).map_or(&[][..], Vec::as_slice);
        let counted: Vec<&Annotation> = objects.iter().filter(|object| !object.ignored).collect();
        self.objects = counted.len() as u32;
        let mut classes: Vec<ClassId> = counted.iter().map(|object| object.class).collect();
        classes.sort_unstable();
        classes.dedup();
        self.classes = classes.into();
    }
}
