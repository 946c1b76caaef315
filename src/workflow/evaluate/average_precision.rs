//! The use case "average precision of COCO files": a dataset's ground truth and a detector's result list in, six numbers out. Writes
//! nothing. Must not know how average precision is computed, nor who shows it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::WorkflowError;
use crate::domain::{ImageNames, NameMatch, limits, read_bytes, without_bom};
use crate::evaluation::average_precision::{ApGroundTruth, ApImage, AveragePrecision, average_precision};
use crate::geometry::BoundingBox;

/// What to compare.
#[derive(Debug, Clone)]
pub struct ApEvaluation {
    /// COCO's dataset: `images` and `annotations`.
    pub ground_truth: PathBuf,
    /// COCO's result list, as `quarry detect --format coco` writes it.
    pub detections: PathBuf,
    /// The category to evaluate; `None` where the ground truth has only one.
    pub category: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApReport {
    pub images: usize,
    /// Annotations that count: without crowds.
    pub faces: usize,
    pub crowds: usize,
    pub detections: usize,
    #[serde(flatten)]
    pub precision: AveragePrecision,
    /// What was understood in a way that the user should know.
    pub notes: Vec<String>,
}

#[derive(Deserialize)]
struct CocoDataset {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: i64,
    file_name: Option<String>,
}

#[derive(Deserialize)]
struct CocoAnnotation {
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: Option<f64>,
    /// A number in COCO, a truth value in some copies of its format. A flag `ignore` has no meaning to pycocotools.
    #[serde(default)]
    iscrowd: serde_json::Value,
}

#[derive(Deserialize)]
struct CocoDetection {
    image_id: i64,
    file_name: Option<String>,
    category_id: Option<i64>,
    bbox: [f64; 4],
    score: f64,
}

/// Reads both files and computes COCO's average precision as pycocotools does for one category.
pub fn evaluate_ap(config: &ApEvaluation) -> Result<ApReport, WorkflowError> {
    let truth: CocoDataset = read_json(
        &config.ground_truth,
        "`--ground-truth` takes a COCO dataset, an object with `images` and `annotations`",
    )?;
    let detections: Vec<CocoDetection> = read_json(
        &config.detections,
        "`--detections` takes a COCO result list of `image_id`, `category_id`, `bbox` and `score`",
    )?;
    let mut notes = Vec::new();
    let category = category(&truth, config)?;
    let mut images = Images::new(&truth, &config.ground_truth)?;
    let (faces, crowds) = images.add_truth(&truth, category, &config.ground_truth)?;
    let wanted = detection_category(&detections, category, &mut notes);
    let count = images.add_detections(&detections, wanted, &config.detections)?;
    if count < detections.len() {
        notes.push(format!("{} detections of other categories are left out", detections.len() - count));
    }
    if images.told_by_id > 0 {
        notes.push(format!(
            "{} detections were told apart by image_id: several images have their file name",
            images.told_by_id
        ));
    }
    let images: Vec<ApImage> = images.all.into_values().collect();
    let precision = average_precision(&images);
    Ok(ApReport { images: images.len(), faces, crowds, detections: count, precision, notes })
}

fn read_json<T: DeserializeOwned>(path: &Path, advice: &str) -> Result<T, WorkflowError> {
    let bytes = read_bytes(path, limits::TEXT)?;
    // The message ends in the line and the column.
    serde_json::from_slice(without_bom(&bytes)).map_err(|e| bad(path, format!("{e}; {advice}")))
}

fn bad(path: &Path, reason: String) -> WorkflowError {
    WorkflowError::BadFile { path: path.to_path_buf(), reason }
}

/// The category that is evaluated: the only one, or the one that was asked for.
fn category(truth: &CocoDataset, config: &ApEvaluation) -> Result<Option<i64>, WorkflowError> {
    let known: BTreeSet<i64> = truth.annotations.iter().map(|a| a.category_id).collect();
    match config.category {
        Some(wanted) if !known.contains(&wanted) => {
            let reason = format!("no annotation has category {wanted}; the categories here are {known:?}");
            Err(bad(&config.ground_truth, reason))
        }
        Some(wanted) => Ok(Some(wanted)),
        None if 1 < known.len() => {
            let reason = format!("annotations of categories {known:?}: say which one is evaluated with `--category`");
            Err(bad(&config.ground_truth, reason))
        }
        None => Ok(known.first().copied()),
    }
}

/// Which of the detections' categories is the ground truth's `category`; `None` for all of them.
fn detection_category(detections: &[CocoDetection], category: Option<i64>, notes: &mut Vec<String>) -> Option<i64> {
    let known: BTreeSet<i64> = detections.iter().filter_map(|d| d.category_id).collect();
    match (known.len(), known.first(), category) {
        (1, Some(only), Some(category)) if *only != category => {
            notes
                .push(format!("all detections have category {only}: taken for the ground truth's category {category}"));
            None
        }
        (0 | 1, ..) => None,
        _ => category,
    }
}

/// The ground truth's images, in the order of their ids as pycocotools takes them.
struct Images<'a> {
    all: BTreeMap<i64, ApImage>,
    names: ImageNames<'a>,
    /// The ids of the images that have names, in the names' order.
    named: Vec<i64>,
    /// By image: the name under which it got detections, so that no second name goes to the same image.
    found_as: HashMap<i64, &'a str>,
    /// Detections whose name fits several images, of which their id is one.
    told_by_id: usize,
}

impl<'a> Images<'a> {
    fn new(truth: &'a CocoDataset, path: &Path) -> Result<Self, WorkflowError> {
        let mut all = BTreeMap::new();
        for (n, image) in truth.images.iter().enumerate() {
            let empty = ApImage { ground_truth: Vec::new(), detections: Vec::new() };
            if all.insert(image.id, empty).is_some() {
                return Err(bad(path, format!("images, entry {}: id {} stands twice", n + 1, image.id)));
            }
        }
        let named = truth.images.iter().filter_map(|image| Some((image.id, image.file_name.as_deref()?)));
        let (named, names): (Vec<i64>, Vec<&str>) = named.unzip();
        Ok(Self { all, names: ImageNames::new(names), named, found_as: HashMap::new(), told_by_id: 0 })
    }

    /// How many faces and crowds of `category` there are.
    fn add_truth(
        &mut self,
        truth: &CocoDataset,
        category: Option<i64>,
        path: &Path,
    ) -> Result<(usize, usize), WorkflowError> {
        let (mut faces, mut crowds) = (0, 0);
        for (n, annotation) in truth.annotations.iter().enumerate() {
            let wrong = |reason: String| bad(path, format!("annotations, entry {}: {reason}", n + 1));
            let image = self
                .all
                .get_mut(&annotation.image_id)
                .ok_or_else(|| wrong(format!("image {} is not among the images", annotation.image_id)))?;
            let bbox = bounding_box(annotation.bbox).map_err(wrong)?;
            if Some(annotation.category_id) != category {
                continue;
            }
            let crowd = is_set(&annotation.iscrowd);
            let area = annotation.area.unwrap_or_else(|| bbox.area());
            image.ground_truth.push(ApGroundTruth { bbox, area, ignored: crowd, crowd });
            if crowd { crowds += 1 } else { faces += 1 }
        }
        Ok((faces, crowds))
    }

    /// How many detections count.
    fn add_detections(
        &mut self,
        detections: &'a [CocoDetection],
        category: Option<i64>,
        path: &Path,
    ) -> Result<usize, WorkflowError> {
        let mut count = 0;
        for (n, detection) in detections.iter().enumerate() {
            let wrong = |reason: String| bad(path, format!("entry {}: {reason}", n + 1));
            let id = self.find(detection).map_err(wrong)?;
            let bbox = bounding_box(detection.bbox).map_err(wrong)?;
            if category.is_some() && detection.category_id != category {
                continue;
            }
            let image = self.all.get_mut(&id).ok_or_else(|| wrong(format!("image {id} is not among the images")))?;
            image.detections.push((bbox, detection.score));
            count += 1;
        }
        Ok(count)
    }

    /// By file name where both files have them: `image_id` of `quarry detect` only counts its list. By id where there are no names, or
    /// where several images have the name.
    fn find(&mut self, detection: &'a CocoDetection) -> Result<i64, String> {
        let id = detection.image_id;
        let Some(name) = detection.file_name.as_deref().filter(|_| !self.named.is_empty()) else {
            return if self.all.contains_key(&id) {
                Ok(id)
            } else {
                Err(format!("the ground truth has no image with id {id}"))
            };
        };
        let found = match self.names.find(name) {
            NameMatch::One(index) => self.named[index],
            NameMatch::Several(several) if several.iter().any(|index| self.named[*index] == id) => {
                self.told_by_id += 1;
                return Ok(id);
            }
            NameMatch::Several(several) => return Err(self.ambiguous(name, id, &several)),
            NameMatch::None => {
                return Err(format!(
                    "the ground truth has no image `{name}`; names must be relative to the same folder in both files"
                ));
            }
        };
        match self.found_as.insert(found, name) {
            Some(other) if other != name => Err(format!(
                "`{other}` and `{name}` both fit image {found} of the ground truth; give the file's name in full"
            )),
            _ => Ok(found),
        }
    }

    fn ambiguous(&self, name: &str, id: i64, several: &[usize]) -> String {
        let shown = |index: &usize| format!("`{}` (id {})", self.names.name(*index), self.named[*index]);
        let shown: Vec<String> = several.iter().take(3).map(shown).collect();
        format!(
            "`{name}` fits {} of the ground truth's images, {}, and its image_id {id} is none of theirs; give the file's name in full or \
             the image's id",
            several.len(),
            shown.join(", ")
        )
    }
}

fn is_set(flag: &serde_json::Value) -> bool {
    flag.as_bool().unwrap_or_else(|| flag.as_f64().is_some_and(|v| v != 0.0))
}

fn bounding_box([x, y, width, height]: [f64; 4]) -> Result<BoundingBox, String> {
    if width < 0.0 || height < 0.0 {
        return Err(format!("a box of {width} x {height} pixels; `bbox` is `x, y, width, height`"));
    }
    Ok(BoundingBox::from_xywh(x, y, width, height))
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

    /// `image_id` counts a list here, as `quarry detect` writes it: names decide.
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
        assert!(report.notes[0].contains("1 detections of other categories"), "{:?}", report.notes);
    }

    /// Names with dots, and twins that only the extension or the id tells apart.
    #[test]
    fn names_are_told_apart_or_refused() {
        let truth = |first: &str, second: &str| {
            format!(
                r#"{{"images": [{{"id": 1, "file_name": "{first}"}}, {{"id": 2, "file_name": "{second}"}}],
                "annotations": [{{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50]}},
                                {{"image_id": 2, "category_id": 1, "bbox": [100, 0, 80, 80]}}]}}"#
            )
        };
        // The ids are of a list in another order.
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
        assert!(message.contains("entry 2") && message.contains("`a.jpg` and `a.png` both fit"), "{message}");
    }

    /// Two folders with a `1.jpg` each, as an export has them: ids count.
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
        assert!(named.notes[0].contains("2 detections were told apart by image_id"), "{:?}", named.notes);
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
