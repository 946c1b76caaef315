//! The use case "average precision of COCO files": reads a dataset's ground truth and a detector's result list, returns six metrics of one
//! category. Writes nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::super::WorkflowError;
use super::coco_json::{CocoDataset, CocoDetection};
use super::coco_set::{CocoFiles, bad, taken_for};
use crate::domain::counted_as;
use crate::evaluation::average_precision::AveragePrecision;
use crate::evaluation::coco::Coco;
use crate::evaluation::{Evaluator as _, SetClass};

/// What to compare.
#[derive(Debug, Clone)]
pub struct ApEvaluation {
    /// COCO's dataset: `images` and `annotations`.
    pub ground_truth: PathBuf,
    /// COCO's result list, as `quarry detect --format coco` writes it.
    pub detections: PathBuf,
    /// The category to evaluate; `None` if the ground truth has only one.
    pub category: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApReport {
    pub images: usize,
    /// Number of counted annotations, without crowds.
    pub faces: usize,
    pub crowds: usize,
    pub detections: usize,
    #[serde(flatten)]
    pub precision: AveragePrecision,
    /// Notes for the user on how the files were interpreted.
    pub notes: Vec<String>,
}

/// Reads both files and computes COCO's average precision like pycocotools does for one category.
pub fn evaluate_ap(config: &ApEvaluation) -> Result<ApReport, WorkflowError> {
    let files = CocoFiles { ground_truth: config.ground_truth.clone(), detections: config.detections.clone() };
    let (truth, detections, mut notes) = files.read_files()?;
    let category = category(&truth, config)?;
    let wanted = detection_category(&detections, category, &mut notes);
    let class = SetClass { id: category.unwrap_or(0), name: String::new(), listed: true };
    let of_detection = |d: &CocoDetection| {
        let counts = wanted.is_none() || d.category_id.map(|id| id.0) == wanted;
        Ok(counts.then_some(0))
    };
    let set = files.set(
        vec![class],
        &truth,
        &detections,
        |id| (Some(id) == category).then_some(0),
        of_detection,
        &mut notes,
    )?;
    let count = set.images.iter().map(|image| image.detections.len()).sum();
    if count < detections.len() {
        notes.push(format!(
            "{} left out",
            counted_as(
                detections.len() - count,
                "detection of other categories is",
                "detections of other categories are"
            )
        ));
    }
    let objects = || set.images.iter().flat_map(|image| &image.objects);
    let crowds = objects().filter(|o| o.crowd).count();
    Ok(ApReport {
        images: set.images.len(),
        faces: objects().count() - crowds,
        crowds,
        detections: count,
        precision: Coco.evaluate(&set).overall.into(),
        notes,
    })
}

/// Returns the category to evaluate: the only one, or the requested one.
fn category(truth: &CocoDataset, config: &ApEvaluation) -> Result<Option<i64>, WorkflowError> {
    let known: BTreeSet<i64> = truth.annotations.iter().map(|a| a.category_id.0).collect();
    match config.category {
        Some(wanted) if !known.contains(&wanted) => {
            let reason = format!("no annotation has category {wanted}; the categories here are {known:?}");
            Err(bad(&config.ground_truth, reason))
        }
        Some(wanted) => Ok(Some(wanted)),
        None if known.len() > 1 => {
            let reason = format!(
                "annotations of categories {known:?}: say which one is evaluated with `--category`, or evaluate all of them with \
                 `quarry evaluate coco`"
            );
            Err(bad(&config.ground_truth, reason))
        }
        None => Ok(known.first().copied()),
    }
}

/// Returns the detections' category that matches the ground truth's `category`; `None` for all of them.
fn detection_category(detections: &[CocoDetection], category: Option<i64>, notes: &mut Vec<String>) -> Option<i64> {
    let known: BTreeSet<i64> = detections.iter().filter_map(|d| d.category_id.map(|id| id.0)).collect();
    match (known.len(), known.first(), category) {
        (1, Some(only), Some(category)) if *only != category => {
            notes.push(taken_for(*only, category));
            None
        }
        (0 | 1, ..) => None,
        _ => category,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: &str = r#"{"images": [{"id": 7, "file_name": "a/one.jpg"}, {"id": 3, "file_name": "a/two.jpg"}],
        "annotations": [{"image_id": 7, "category_id": 5, "bbox": [0, 0, 50, 50], "area": 2500, "iscrowd": 0},
                        {"image_id": 3, "category_id": 5, "bbox": [10, 10, 50, 50]},
                        {"image_id": 3, "category_id": 5, "bbox": [300, 0, 200, 200], "iscrowd": 1}]}"#;

    fn run(truth: &str, detections: &str, category: Option<i64>) -> Result<ApReport, String> {
        let dir = tempfile::tempdir().unwrap();
        let (ground_truth, found) = (dir.path().join("truth.json"), dir.path().join("found.json"));
        std::fs::write(&ground_truth, truth).unwrap();
        std::fs::write(&found, detections).unwrap();
        evaluate_ap(&ApEvaluation { ground_truth, detections: found, category }).map_err(|e| e.to_string())
    }

    /// `image_id` counts the list here, as in `quarry detect`: names take precedence.
    #[test]
    fn images_are_found_by_name_then_by_id() {
        let by_name = r#"[{"image_id": 1, "file_name": "a/one", "category_id": 1, "bbox": [0, 0, 50, 50], "score": 0.9},
                          {"image_id": 2, "file_name": "a/two.jpg", "category_id": 1, "bbox": [310, 9, 9, 9], "score": 0.8}]"#;
        let report = run(TRUTH, by_name, None).unwrap();
        assert_eq!((report.images, report.faces, report.crowds, report.detections), (2, 2, 1, 2));
        // One of two faces found, the other detection in the crowd: 51 of 101 recalls.
        assert!((report.precision.ap.unwrap() - 51.0 / 101.0).abs() < 1e-12, "{report:?}");
        assert!(report.notes[0].contains("category 1: taken for the ground truth's category 5"), "{:?}", report.notes);
        let by_id = r#"[{"image_id": 7, "category_id": 5, "bbox": [0, 0, 50, 50], "score": 0.9},
                        {"image_id": 3, "category_id": 5, "bbox": [10, 10, 50, 50], "score": 0.8},
                        {"image_id": 3, "category_id": 2, "bbox": [90, 90, 50, 50], "score": 0.99}]"#;
        let report = run(TRUTH, by_id, None).unwrap();
        assert_eq!((report.precision.ap, report.detections), (Some(1.0), 2));
        assert!(report.notes[0].contains("1 detection of other categories is"), "{:?}", report.notes);
    }

    /// `quarry detect` numbers classes in its model's order.
    #[test]
    fn categories_are_matched_by_name_where_their_numbers_differ() {
        let truth = TRUTH.replace(
            "\"annotations\"",
            "\"categories\": [{\"id\": 5, \"name\": \"Dog\"}, {\"id\": 2, \"name\": \"cat\"}], \"annotations\"",
        );
        let found = |dog: (i64, &str), cat: (i64, &str)| {
            format!(
                r#"[{{"image_id": 7, "category_id": {}, "category_name": "{}", "bbox": [0, 0, 50, 50], "score": 0.9}},
                    {{"image_id": 3, "category_id": {}, "category_name": "{}", "bbox": [10, 10, 50, 50], "score": 0.8}},
                    {{"image_id": 3, "category_id": {}, "category_name": "{}", "bbox": [90, 90, 50, 50], "score": 0.99}}]"#,
                dog.0, dog.1, dog.0, dog.1, cat.0, cat.1
            )
        };
        let check = |dog, cat, is_renumbered: bool| {
            let report = run(&truth, &found(dog, cat), Some(5)).unwrap();
            assert_eq!((report.precision.ap, report.detections), (Some(1.0), 2), "{dog:?} {cat:?}");
            let said = report.notes.iter().any(|note| note.contains("category_name"));
            assert_eq!(said, is_renumbered, "{:?}", report.notes);
        };
        check((5, "dog"), (2, "cat"), false);
        check((1, "dog"), (2, "cat"), true);
        check((2, "dog"), (5, "cat"), true);
        // A class that the ground truth lacks does not count for the one with its number.
        check((1, "dog"), (5, "horse"), true);
        // None of the names is known: the numbers count.
        check((5, "hound"), (2, "tom"), false);
    }

    /// Names with dots, and names that differ only in extension or id.
    #[test]
    fn names_are_told_apart_or_refused() {
        let truth = |first: &str, second: &str| {
            format!(
                r#"{{"images": [{{"id": 1, "file_name": "{first}"}}, {{"id": 2, "file_name": "{second}"}}],
                "annotations": [{{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50]}},
                                {{"image_id": 2, "category_id": 1, "bbox": [100, 0, 80, 80]}}]}}"#
            )
        };
        // The ids belong to a list in another order.
        let found = |first: &str, second: &str, ids: [i64; 2]| {
            format!(
                r#"[{{"image_id": {}, "file_name": "{first}", "bbox": [0, 0, 50, 50], "score": 0.9}},
                {{"image_id": {}, "file_name": "{second}", "bbox": [100, 0, 80, 80], "score": 0.8}}]"#,
                ids[0], ids[1]
            )
        };
        let ap = |truth: &str, found: &str| run(truth, found, None).unwrap().precision.ap;
        let dotted = truth("scan.1.jpg", "scan.jpg");
        assert_eq!(ap(&dotted, &found("scan.1", "scan", [2, 1])), Some(1.0));
        assert_eq!(ap(&dotted, &found("scan.1.jpg", "scan", [2, 1])), Some(1.0));
        let twins = truth("a.jpg", "a.png");
        assert_eq!(ap(&twins, &found("a.jpg", "a.png", [2, 1])), Some(1.0));
        let message = run(&twins, &found("a", "a.png", [7, 8]), None).unwrap_err();
        for part in ["entry 1", "`a` fits 2", "`a.jpg` (id 1)", "`a.png` (id 2)"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let message = run(&truth("a.jpg", "b.jpg"), &found("a.jpg", "a.png", [1, 2]), None).unwrap_err();
        assert!(message.contains("entry 2") && message.contains("`a.jpg` and `a.png` both match"), "{message}");
    }

    /// Two folders with a `1.jpg` each, as in exports: ids decide.
    #[test]
    fn images_of_the_same_name_are_told_apart_by_id() {
        let truth = r#"{"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "1.jpg"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50]},
                            {"image_id": 2, "category_id": 1, "bbox": [100, 0, 80, 80]}]}"#;
        let found = |name: &str, second: i64| {
            format!(
                r#"[{{"image_id": 1, {name} "bbox": [0, 0, 50, 50], "score": 0.9}},
                {{"image_id": {second}, {name} "bbox": [100, 0, 80, 80], "score": 0.8}}]"#
            )
        };
        let by_id = run(truth, &found("", 2), None).unwrap();
        assert_eq!((by_id.precision.ap, by_id.notes.len()), (Some(1.0), 0));
        let named = run(truth, &found(r#""file_name": "1.jpg","#, 2), None).unwrap();
        assert_eq!(named.precision.ap, Some(1.0));
        assert!(named.notes[0].contains("2 detections were matched by image_id"), "{:?}", named.notes);
        let message = run(truth, &found(r#""file_name": "1.jpg","#, 9), None).unwrap_err();
        assert!(
            message.contains("(id 1)") && message.contains("(id 2)") && message.contains("image_id 9"),
            "{message}"
        );
    }

    #[test]
    fn what_cannot_be_compared_is_refused_with_file_and_place() {
        let one = |entry: &str| format!("[{entry}]");
        for (truth, detections, category, parts) in [
            (TRUTH, "{}".to_owned(), None, vec!["found.json", "line 1", "--detections"]),
            ("[]", "[]".to_owned(), None, vec!["truth.json", "line 1", "--ground-truth"]),
            (TRUTH, one(r#"{"image_id": 7, "bbox": [0, 0, 5, 5]}"#), None, vec!["found.json", "`score`", "line 1"]),
            (TRUTH, one(r#"{"image_id": 9, "bbox": [0, 0, 5, 5], "score": 1}"#), None, vec!["entry 1", "id 9"]),
            (
                TRUTH,
                one(r#"{"image_id": 7, "file_name": "one.jpg", "bbox": [0, 0, 5, 5], "score": 1}"#),
                None,
                vec!["entry 1", "no image `one.jpg`"],
            ),
            (TRUTH, one(r#"{"image_id": 7, "bbox": [0, 0, -5, 5], "score": 1}"#), None, vec!["entry 1", "-5 x 5"]),
            (TRUTH, "[]".to_owned(), Some(6), vec!["truth.json", "no annotation has category 6"]),
            (
                r#"{"images": [{"id": 1}, {"id": 1}], "annotations": []}"#,
                "[]".to_owned(),
                None,
                vec!["truth.json", "images, entry 2", "twice"],
            ),
            (
                r#"{"images": [], "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}]}"#,
                "[]".to_owned(),
                None,
                vec!["truth.json", "annotations, entry 1"],
            ),
            (
                r#"{"images": [{"id": 1}], "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]},
                    {"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]}]}"#,
                "[]".to_owned(),
                None,
                vec!["truth.json", "--category"],
            ),
        ] {
            let message = run(truth, &detections, category).unwrap_err();
            for part in parts {
                assert!(message.contains(part), "`{part}` is not in: {message}");
            }
        }
    }
}
