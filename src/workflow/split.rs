//! Which images a round trains on and which it is tested on: by folds, or by dataset in the unrestricted protocol. Must not know what is
//! done with them.

use std::collections::HashSet;

use super::WorkflowError;
use crate::domain::{DatasetId, ImageRecord};
use crate::store::Dataset;
use crate::training::RoundConfig;

/// The images of a project, parted. No image is on both sides, and no photograph either: one that lies in a second dataset too (the
/// same bytes) is not trained on while it is tested on.
#[derive(Debug, Clone)]
pub struct Split {
    /// In the order of import.
    pub training: Vec<ImageRecord>,
    /// In the order of import, which is FDDB's list order.
    pub test: Vec<ImageRecord>,
    /// Images that are not trained on for being tested on under another name.
    pub repeated: usize,
}

impl Split {
    /// Refuses a project without images, and folds or a dataset that it does not have.
    pub fn new(images: &[ImageRecord], datasets: &[Dataset], config: &RoundConfig) -> Result<Self, WorkflowError> {
        if images.is_empty() {
            return Err(WorkflowError::Refused(
                "the project has no images yet. Import some first, e.g. `quarry import fddb DIR --project P`."
                    .to_owned(),
            ));
        }
        let test_dataset = test_dataset(datasets, config)?;
        check_folds(images, "test", &config.test_folds)?;
        check_folds(images, "train", &config.train_folds)?;
        let in_test = |image: &ImageRecord| match test_dataset {
            Some(dataset) => image.dataset == dataset,
            None => config.tests_on(image.fold),
        };
        let (test, others): (Vec<ImageRecord>, Vec<ImageRecord>) = images.iter().cloned().partition(in_test);
        let tested: HashSet<(&str, DatasetId)> = test.iter().map(|i| (i.content_hash.as_str(), i.dataset)).collect();
        let hashes: HashSet<&str> = tested.iter().map(|(hash, _)| *hash).collect();
        // Pictures that a dataset itself has in two folds are its own protocol.
        let is_repeated = |i: &ImageRecord| {
            hashes.contains(i.content_hash.as_str()) && !tested.contains(&(i.content_hash.as_str(), i.dataset))
        };
        let (repeated, training): (Vec<_>, Vec<_>) =
            others.into_iter().filter(|i| config.trains_on(i.fold)).partition(is_repeated);
        let repeated = repeated.len();
        Ok(Self { training, test, repeated })
    }
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
            "two datasets of this project are called `{}`; the test dataset has to be one. They are {}.",
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
fn check_folds(images: &[ImageRecord], kind: &str, folds: &[u8]) -> Result<(), WorkflowError> {
    let known = folds_of(images);
    match folds.iter().find(|fold| !known.contains(fold)) {
        None => Ok(()),
        Some(fold) => Err(WorkflowError::Refused(format!(
            "{kind} fold {fold} has no images in this project; the folds with images are {known:?}. Choose among them with \
             `{kind}_folds` in round.toml{}.",
            if kind == "test" { " or --test-folds" } else { "" }
        ))),
    }
}

/// The folds that have images, ascending.
pub fn folds_of(images: &[ImageRecord]) -> Vec<u8> {
    let mut folds: Vec<u8> = images.iter().filter_map(|i| i.fold).collect();
    folds.sort_unstable();
    folds.dedup();
    folds
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
            fold,
        }
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
        let split = Split::new(&images(), &[dataset(1, "faces"), dataset(2, "scenes")], config).unwrap();
        let ids = |images: Vec<ImageRecord>| images.into_iter().map(|i| i.id.0).collect();
        (ids(split.training), ids(split.test), split.repeated)
    }

    #[test]
    fn a_fold_is_held_out_with_copies_of_its_pictures_in_other_datasets() {
        let config = RoundConfig { test_folds: vec![1], ..RoundConfig::default() };
        assert_eq!(parts(&config), (vec![2, 3, 5], vec![1], 1), "the dataset's own copy in fold 2 stays");
        let none = RoundConfig { test_folds: vec![], ..RoundConfig::default() };
        assert_eq!(parts(&none), (vec![1, 2, 3, 4, 5], vec![], 0));
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
            let message = Split::new(&images(), datasets, &config).unwrap_err().to_string();
            for part in expected {
                assert!(message.contains(part), "{message:?} lacks {part:?}");
            }
        };
        let on =
            |name: &str| RoundConfig { test_folds: vec![], test_dataset: name.to_owned(), ..RoundConfig::default() };
        check(on("face"), &[dataset(1, "faces")], &["no dataset `face`", "`faces`"]);
        check(on("faces"), &[dataset(1, "faces"), dataset(2, "faces")], &["two datasets"]);
        check(
            RoundConfig { test_folds: vec![7], ..RoundConfig::default() },
            &[],
            &["test fold 7", "[1, 2]", "--test-folds"],
        );
        let train = RoundConfig { test_folds: vec![1], train_folds: vec![2, 5], ..RoundConfig::default() };
        check(train, &[], &["train fold 5", "[1, 2]", "`train_folds`"]);
        let empty = Split::new(&[], &[], &RoundConfig::default()).unwrap_err().to_string();
        assert!(empty.contains("quarry import"), "{empty}");
    }
}
