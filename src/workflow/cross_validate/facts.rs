//! The data common to all folds: the project's images with their imported annotations.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::domain::{self, Annotation, AnnotationSource, Class, DatasetId, ImageId, ImageRecord};
use crate::store::{Dataset, NewDataset, NewImage, NewObject};
use crate::workflow::split::folds_of;
use crate::workflow::{Project, WorkflowError};

/// The project's images with their imported annotations, without verdicts and promoted objects.
#[derive(Debug)]
pub(super) struct Facts {
    pub datasets: Vec<Dataset>,
    /// In project order.
    pub classes: Vec<Class>,
    /// By dataset, then in import order: FDDB's list order.
    pub images: Vec<ImageRecord>,
    pub truth: HashMap<ImageId, Vec<Annotation>>,
}

impl Facts {
    pub fn of(project: &Project) -> Result<Self, WorkflowError> {
        let store = project.open_store_to_read()?;
        let mut images = store.images()?;
        images.sort_by_key(|image| (image.dataset.0, image.id.0));
        Ok(Self { datasets: store.datasets()?, classes: store.classes()?, images, truth: store.own_ground_truth()? })
    }

    pub fn folds(&self) -> Vec<u8> {
        folds_of(&self.images)
    }

    /// Hashes names, contents, folds and annotations in order with blake3: equal on every machine that imported the same data.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for image in &self.images {
            let ImageRecord { name, content_hash, width, height, split, .. } = image;
            // In the format of the first version: a number, or a quoted name.
            let fold = match (image.fold(), split) {
                (Some(fold), _) => format!("Some({fold})"),
                (None, Some(name)) => format!("Some({name:?})"),
                (None, None) => "None".to_owned(),
            };
            let faces: Vec<_> = self.truth.get(&image.id).into_iter().flatten().map(|a| self.described(a)).collect();
            hasher.update(format!("{name}\0{content_hash}\0{width}x{height}\0{fold}\0{faces:?}\n").as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Whether only one class is annotated, so that FDDB's text files contain everything.
    pub fn has_one_class(&self) -> bool {
        let annotated: std::collections::BTreeSet<_> = self.truth.values().flatten().map(|a| a.class).collect();
        annotated.len() < 2
    }

    /// Uses the first version's format; only classes other than its faces are named.
    fn described(&self, of: &domain::Annotation) -> impl std::fmt::Debug + use<> {
        #[derive(Debug)]
        #[expect(dead_code, reason = "read by its Debug")]
        struct Annotation {
            shape: domain::Shape,
            source: AnnotationSource,
            ignored: bool,
        }
        let &domain::Annotation { class, shape, source, ignored } = of;
        let name = self.classes.iter().find(|c| c.id == class).map(|c| c.name.clone()).filter(|name| name != "face");
        let annotation = Annotation { shape, source, ignored };
        std::fmt::from_fn(move |f| match &name {
            None => write!(f, "{annotation:?}"),
            Some(name) => write!(f, "{annotation:?} of {name:?}"),
        })
    }

    /// Returns the same datasets for another project.
    pub fn new_datasets(&self) -> Vec<NewDataset> {
        let images_of = |dataset: DatasetId| self.images.iter().filter(move |image| image.dataset == dataset);
        let of_dataset = |dataset: &Dataset| NewDataset {
            name: dataset.name.clone(),
            kind: dataset.kind.clone(),
            root: dataset.root.clone(),
            classes: self.classes.iter().map(|class| class.name.clone()).collect(),
            images: images_of(dataset.id).map(|image| self.new_image(image)).collect(),
        };
        self.datasets.iter().map(of_dataset).collect()
    }

    fn new_image(&self, image: &ImageRecord) -> NewImage {
        NewImage {
            name: image.name.clone(),
            path: PathBuf::from(&image.path),
            content_hash: image.content_hash.clone(),
            width: image.width,
            height: image.height,
            split: image.split.clone(),
            objects: self.truth.get(&image.id).into_iter().flatten().map(|a| self.new_object(a)).collect(),
        }
    }

    fn new_object(&self, annotation: &Annotation) -> NewObject {
        let class = self.classes.iter().position(|class| class.id == annotation.class).unwrap_or(0) as u32;
        NewObject { class, shape: annotation.shape, ignored: annotation.ignored }
    }

    pub fn images_of_fold(&self, fold: u8) -> Vec<ImageRecord> {
        self.images.iter().filter(|image| image.fold() == Some(fold)).cloned().collect()
    }
}
