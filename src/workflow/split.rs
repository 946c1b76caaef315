//! Selects the training and test images of a round: by splits, or by dataset in the unrestricted protocol.

use std::collections::{HashMap, HashSet};

use super::WorkflowError;
use super::copies::{Copies, Truth};
use crate::domain::{DatasetId, ImageRecord, counted, sort_splits};
use crate::store::Dataset;
use crate::training::{RoundConfig, split_in_words};

/// The images of a project, divided. No image is on both sides, and no content either: an image whose copy in another dataset is tested on
/// is not trained on. Of copies in several datasets one is used ([`Copies`]), for training and for testing.
#[derive(Debug, Clone)]
pub struct Split {
    /// In import order.
    pub training: Vec<ImageRecord>,
    /// In import order, which is FDDB's list order.
    pub test: Vec<ImageRecord>,
    /// Number of images excluded from training because a copy in another dataset is tested on.
    pub repeated: usize,
    /// Number of images excluded from training and testing because their copies in another dataset are used.
    pub copied: usize,
    pub copies: Copies,
}

impl Split {
    /// Refuses a project without images, and unknown folds or datasets.
    pub fn new(
        images: &[ImageRecord],
        datasets: &[Dataset],
        truth: &Truth,
        config: &RoundConfig,
    ) -> Result<Self, WorkflowError> {
        if images.is_empty() {
            return Err(WorkflowError::Refused(
                "the project has no images yet. Import some first, e.g. `quarry import fddb DIR --project P`."
                    .to_owned(),
            ));
        }
        let in_test = is_tested_on(datasets, config)?;
        check_splits(images, "test", &config.test_splits)?;
        check_splits(images, "train", &config.train_splits)?;
        let copies = Copies::new(images, truth);
        let (test, others): (Vec<ImageRecord>, Vec<ImageRecord>) = images.iter().cloned().partition(in_test);
        let (test, copied_test) = once_each(test, &copies);
        let mut tested: HashMap<&str, HashSet<DatasetId>> = HashMap::new();
        for image in test.iter().chain(&copied_test) {
            tested.entry(image.content_hash.as_str()).or_default().insert(image.dataset);
        }
        // Images that one dataset has in two folds are part of its protocol.
        let is_repeated = |i: &ImageRecord| {
            tested.get(i.content_hash.as_str()).is_some_and(|datasets| datasets.iter().any(|d| *d != i.dataset))
        };
        let (repeated, others): (Vec<_>, Vec<_>) =
            others.into_iter().filter(|i| config.trains_on(i.split.as_deref())).partition(is_repeated);
        let (training, copied): (Vec<_>, Vec<_>) = others.into_iter().partition(|image| copies.counts(image));
        let (repeated, copied) = (repeated.len(), copied.len() + copied_test.len());
        Ok(Self { training, test, repeated, copied, copies })
    }

    /// Returns notes for the user on excluded images.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.repeated > 0 {
            notes.push(format!(
                "{} not trained on: images with the same bytes are tested on in another dataset",
                images_are(self.repeated)
            ));
        }
        if self.copied > 0 {
            notes.push(format!(
                "{} not used: images with the same bytes count in another dataset (the annotated one)",
                images_are(self.copied)
            ));
        }
        notes
    }
}

/// Returns whether a round is tested on an image. Refuses an unknown test dataset.
pub(super) fn is_tested_on(
    datasets: &[Dataset],
    config: &RoundConfig,
) -> Result<impl Fn(&ImageRecord) -> bool, WorkflowError> {
    let test_dataset = test_dataset(datasets, config)?;
    Ok(move |image: &ImageRecord| match test_dataset {
        Some(dataset) => image.dataset == dataset,
        None => config.tests_on(image.split.as_deref()),
    })
}

/// Returns the test images without copies in several datasets, and those copies.
fn once_each(test: Vec<ImageRecord>, copies: &Copies) -> (Vec<ImageRecord>, Vec<ImageRecord>) {
    let mut chosen: HashMap<String, (bool, DatasetId)> = HashMap::new();
    for image in &test {
        let rank = (!copies.counts(image), image.dataset);
        let best = chosen.entry(image.content_hash.clone()).or_insert(rank);
        *best = rank.min(*best);
    }
    test.into_iter().partition(|image| chosen.get(&image.content_hash).is_none_or(|(_, d)| *d == image.dataset))
}

fn test_dataset(datasets: &[Dataset], config: &RoundConfig) -> Result<Option<DatasetId>, WorkflowError> {
    if config.test_dataset.is_empty() {
        return Ok(None);
    }
    let mut named = datasets.iter().filter(|d| d.name == config.test_dataset);
    let known = || datasets.iter().map(|d| format!("`{}`", d.name)).collect::<Vec<_>>().join(", ");
    match (named.next(), named.next()) {
        (Some(dataset), None) => Ok(Some(dataset.id)),
        (Some(_), Some(_)) => Err(WorkflowError::Refused(format!(
            "two datasets of this project are called `{}`, so the test dataset is ambiguous. They are {}.",
            config.test_dataset,
            known()
        ))),
        (None, _) => Err(WorkflowError::Refused(format!(
            "there is no dataset `{}` to test on; this project has {}. Choose one with --test-dataset.",
            config.test_dataset,
            known()
        ))),
    }
}

/// `kind` is `test` or `train`.
fn check_splits(images: &[ImageRecord], kind: &str, splits: &[String]) -> Result<(), WorkflowError> {
    let mut known: Vec<String> = images.iter().filter_map(|image| image.split.clone()).collect();
    sort_splits(&mut known);
    match splits.iter().find(|split| !known.contains(split)) {
        None => Ok(()),
        Some(split) => Err(WorkflowError::Refused(format!(
            "{kind} {} has no images in this project; the splits with images are [{}]. Choose among them with --{kind}-splits or \
             `{kind}_splits` in round.toml.",
            split_in_words(split),
            known.join(", ")
        ))),
    }
}

/// Returns the splits that are folds and have images, ascending.
#[cfg(feature = "torch")]
pub fn folds_of(images: &[ImageRecord]) -> Vec<u8> {
    let mut folds: Vec<u8> = images.iter().filter_map(ImageRecord::fold).collect();
    folds.sort_unstable();
    folds.dedup();
    folds
}

fn images_are(count: usize) -> String {
    format!("{} {}", counted(count, "image"), if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ImageId;

    fn image(id: i64, dataset: i64, hash: &str, fold: Option<u8>) -> ImageRecord {
        ImageRecord {
            id: ImageId(id),
            dataset: DatasetId(dataset),
            name: format!("image {id}"),
            path: format!("{id}.jpg"),
            content_hash: hash.to_owned(),
            width: 4,
            height: 3,
            split: fold.map(|fold| fold.to_string()),
        }
    }

    fn names(folds: &[u8]) -> Vec<String> {
        folds.iter().map(u8::to_string).collect()
    }

    fn dataset(id: i64, name: &str) -> Dataset {
        let (name, kind) = (name.to_owned(), "fddb".to_owned());
        Dataset { id: DatasetId(id), name, kind, root: "/".into(), imported_ms: 0 }
    }

    fn images() -> Vec<ImageRecord> {
        vec![
            image(1, 1, "a", Some(1)),
            image(2, 1, "b", Some(2)),
            image(3, 1, "a", Some(2)),
            image(4, 2, "a", None),
            image(5, 2, "c", None),
        ]
    }

    fn parts(config: &RoundConfig) -> (Vec<i64>, Vec<i64>, usize) {
        let split = Split::new(&images(), &[dataset(1, "faces"), dataset(2, "scenes")], &Truth::new(), config).unwrap();
        let ids = |images: Vec<ImageRecord>| images.into_iter().map(|i| i.id.0).collect();
        (ids(split.training), ids(split.test), split.repeated)
    }

    #[test]
    fn a_fold_is_held_out_with_copies_of_its_images_in_other_datasets() {
        let config = RoundConfig { test_splits: names(&[1]), ..RoundConfig::default() };
        assert_eq!(parts(&config), (vec![2, 3, 5], vec![1], 1), "the dataset's own copy in fold 2 stays");
        let none = RoundConfig { test_splits: vec![], ..RoundConfig::default() };
        assert_eq!(parts(&none), (vec![1, 2, 3, 5], vec![], 0), "of copies in two datasets one is trained on");
    }

    #[test]
    fn nothing_that_is_annotated_somewhere_is_trained_on_as_background_whatever_the_folds() {
        let face = {
            use crate::domain::{AnnotationSource, Shape};
            use crate::geometry::BoundingBox;
            let shape = Shape::Rectangle(BoundingBox::new(0.0, 0.0, 2.0, 2.0));
            {
                let class = crate::domain::ClassId::ONLY;
                vec![crate::domain::Annotation { class, shape, source: AnnotationSource::Imported, ignored: false }]
            }
        };
        // The plain folder comes first; its copies are in folds 1, 2 and 3 of the annotated dataset.
        let images = [
            image(1, 1, "a", None),
            image(2, 1, "b", None),
            image(3, 1, "c", None),
            image(4, 1, "x", None),
            image(5, 2, "a", Some(1)),
            image(6, 2, "b", Some(2)),
            image(7, 2, "c", Some(3)),
            image(8, 3, "a", Some(1)),
        ];
        let truth: Truth = (5..=8).map(|id| (ImageId(id), face.clone())).collect();
        let config = RoundConfig { test_splits: names(&[1]), train_splits: names(&[2]), ..RoundConfig::default() };
        let datasets = [dataset(1, "scenes"), dataset(2, "faces"), dataset(3, "more faces")];
        let split = Split::new(&images, &datasets, &truth, &config).unwrap();
        let ids = |images: &[ImageRecord]| images.iter().map(|i| i.id.0).collect::<Vec<_>>();
        assert_eq!((ids(&split.training), ids(&split.test)), (vec![4, 6], vec![5]), "and nothing is tested twice");
        assert_eq!((split.repeated, split.copied), (1, 3));
    }

    #[test]
    fn a_whole_dataset_is_held_out_whatever_its_folds() {
        let faces = RoundConfig::from_toml("test_dataset = \"faces\"", "round.toml").unwrap();
        assert_eq!(parts(&faces), (vec![5], vec![1, 2, 3], 1));
        let scenes = RoundConfig::from_toml("test_dataset = \"scenes\"", "round.toml").unwrap();
        assert_eq!(parts(&scenes), (vec![2], vec![4, 5], 2));
    }

    #[test]
    fn what_the_project_lacks_is_named() {
        let check = |config: RoundConfig, datasets: &[Dataset], expected: &[&str]| {
            let message = Split::new(&images(), datasets, &Truth::new(), &config).unwrap_err().to_string();
            for part in expected {
                assert!(message.contains(part), "{message:?} lacks {part:?}");
            }
        };
        let on =
            |name: &str| RoundConfig { test_splits: vec![], test_dataset: name.to_owned(), ..RoundConfig::default() };
        check(on("face"), &[dataset(1, "faces")], &["no dataset `face`", "`faces`"]);
        check(on("faces"), &[dataset(1, "faces"), dataset(2, "faces")], &["two datasets"]);
        check(
            RoundConfig { test_splits: names(&[7]), ..RoundConfig::default() },
            &[],
            &["test fold 7", "[1, 2]", "--test-splits"],
        );
        let train = RoundConfig { test_splits: names(&[1]), train_splits: names(&[2, 5]), ..RoundConfig::default() };
        check(train, &[], &["train fold 5", "[1, 2]", "`train_splits`"]);
        let empty = Split::new(&[], &[], &Truth::new(), &RoundConfig::default()).unwrap_err().to_string();
        assert!(empty.contains("quarry import"), "{empty}");
    }
}
