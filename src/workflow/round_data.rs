//! `runs/<round>/data.json`: the snapshot of a round's training data, written when it starts. A review or an import while the round runs,
//! or before it is resumed, does not change it.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{WorkflowError, write_atomically};
use crate::domain::{ImageId, Shape, limits, make_folder, read_text};
use crate::geometry::{BoundingBox, Ellipse};
use crate::training::TrainingImage;

const FILE: &str = "data.json";
const VERSION: u32 = 1;
/// At least as many classes as a detector can have.
const LABEL_MAX: i64 = 1 << 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataFile {
    version: u32,
    /// In the round's order.
    images: Vec<Given>,
}

/// An image with its training data. Shapes are text, because JSON numbers are not read back bit-exactly by every parser.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    image: ImageId,
    /// Width and height; 0 in rounds of versions that did not group images by shape.
    #[serde(default)]
    size: (u32, u32),
    /// `ellipse ra rb theta cx cy` or `rectangle x1 y1 x2 y2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    faces: Vec<String>,
    /// The label of each; omitted if all are 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<i64>,
    /// `x1 y1 x2 y2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    misclassified: Vec<String>,
    /// `x1 y1 x2 y2 score`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hard_negatives: Vec<String>,
    /// The predicted label of each; omitted if all are 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hard_negative_labels: Vec<i64>,
    /// `x1 y1 x2 y2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<String>,
}

/// Whether the round in `run_dir` has such a file; rounds of the first version have none.
pub(super) fn exists(run_dir: &Path) -> bool {
    run_dir.join(FILE).exists()
}

/// Writes the training data of the round in `run_dir`.
pub(super) fn write(run_dir: &Path, images: &[TrainingImage]) -> Result<(), WorkflowError> {
    let path = run_dir.join(FILE);
    make_folder(run_dir).map_err(WorkflowError::io(run_dir, "Check that the project's folder is writable."))?;
    let file = DataFile { version: VERSION, images: images.iter().map(given).collect() };
    let text = serde_json::to_string(&file)
        .map_err(|e| WorkflowError::BadFile { path: path.clone(), reason: e.to_string() })?;
    write_atomically(&path, text.as_bytes())
}

/// Reads the training data of the round in `run_dir`; `None` if it was started without such a file. Only the paths are looked up again, by
/// `image_file`.
pub(super) fn read<E: Into<WorkflowError>>(
    run_dir: &Path,
    image_file: impl Fn(ImageId) -> Result<PathBuf, E>,
) -> Result<Option<Vec<TrainingImage>>, WorkflowError> {
    let path = run_dir.join(FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let bad = |reason: String| WorkflowError::BadFile {
        path: path.clone(),
        reason: format!("the file is damaged: {reason}"),
    };
    let text = read_text(&path, limits::TEXT)?;
    let file: DataFile = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    if file.version != VERSION {
        return Err(bad(format!("it has version {}; this Quarry reads {VERSION}", file.version)));
    }
    let image = |given: &Given| -> Result<TrainingImage, WorkflowError> {
        let (faces, hard_negatives, misclassified, ignored) =
            shapes(given).ok_or_else(|| bad(format!("a shape of image {} cannot be read", given.image)))?;
        let path = image_file(given.image).map_err(Into::into)?;
        let labels = if given.labels.is_empty() { vec![1; faces.len()] } else { given.labels.clone() };
        if labels.len() != faces.len() || labels.iter().any(|label| is_no_label(*label)) {
            return Err(bad(format!("the labels of image {} do not belong to its objects", given.image)));
        }
        let of_negatives = &given.hard_negative_labels;
        let hard_negative_labels =
            if of_negatives.is_empty() { vec![1; hard_negatives.len()] } else { of_negatives.clone() };
        if hard_negative_labels.len() != hard_negatives.len()
            || hard_negative_labels.iter().any(|label| is_no_label(*label))
        {
            return Err(bad(format!("the labels of image {} do not belong to its hard negatives", given.image)));
        }
        Ok(TrainingImage {
            id: given.image,
            path,
            size: given.size,
            faces,
            labels,
            hard_negatives,
            hard_negative_labels,
            misclassified,
            ignored,
        })
    };
    file.images.iter().map(image).collect::<Result<Vec<_>, _>>().map(Some)
}

fn given(image: &TrainingImage) -> Given {
    Given {
        image: image.id,
        size: image.size,
        faces: image.faces.iter().map(face_text).collect(),
        labels: unless_all_first(&image.labels),
        hard_negative_labels: unless_all_first(&image.hard_negative_labels),
        misclassified: image.misclassified.iter().map(box_text).collect(),
        hard_negatives: image.hard_negatives.iter().map(|(b, score)| format!("{} {score}", box_text(b))).collect(),
        ignored: image.ignored.iter().map(box_text).collect(),
    }
}

/// Counts are stored by label: an impossible label must not allocate memory for them.
fn is_no_label(label: i64) -> bool {
    !(1..=LABEL_MAX).contains(&label)
}

fn unless_all_first(labels: &[i64]) -> Vec<i64> {
    if labels.iter().all(|label| *label == 1) { Vec::new() } else { labels.to_vec() }
}

fn face_text(face: &Shape) -> String {
    match face {
        Shape::Rectangle(b) => format!("rectangle {}", box_text(b)),
        Shape::Ellipse(e) => format!("ellipse {} {} {} {} {}", e.ra, e.rb, e.theta, e.cx, e.cy),
    }
}

fn box_text(b: &BoundingBox) -> String {
    format!("{} {} {} {}", b.x1, b.y1, b.x2, b.y2)
}

type Shapes = (Vec<Shape>, Vec<(BoundingBox, f32)>, Vec<BoundingBox>, Vec<BoundingBox>);

fn shapes(given: &Given) -> Option<Shapes> {
    Some((
        given.faces.iter().map(|text| face_of(text)).collect::<Option<_>>()?,
        given.hard_negatives.iter().map(|text| hard_negative_of(text)).collect::<Option<_>>()?,
        given.misclassified.iter().map(|text| box_of(text)).collect::<Option<_>>()?,
        given.ignored.iter().map(|text| box_of(text)).collect::<Option<_>>()?,
    ))
}

fn face_of(text: &str) -> Option<Shape> {
    match text.split_once(' ')? {
        ("rectangle", numbers) => box_of(numbers).map(Shape::Rectangle),
        ("ellipse", text) => {
            let [ra, rb, theta, cx, cy] = numbers(text)?;
            Some(Shape::Ellipse(Ellipse::new(ra, rb, theta, cx, cy)))
        }
        _ => None,
    }
}

fn hard_negative_of(text: &str) -> Option<(BoundingBox, f32)> {
    let (bbox, score) = text.rsplit_once(' ')?;
    Some((box_of(bbox)?, score.parse().ok()?))
}

fn box_of(text: &str) -> Option<BoundingBox> {
    let [x1, y1, x2, y2] = numbers(text)?;
    Some(BoundingBox::new(x1, y1, x2, y2))
}

fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let all: Vec<f64> = text.split(' ').map(f64::from_str).collect::<Result<_, _>>().ok()?;
    all.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_written_comes_back_to_the_last_bit_with_paths_of_today() {
        let dir = tempfile::tempdir().unwrap();
        let run_dir = dir.path().join("runs/1");
        let file = |id: ImageId| -> Result<PathBuf, WorkflowError> { Ok(format!("/moved/{id}.jpg").into()) };
        assert_eq!(read(&run_dir, file).unwrap(), None);
        let image = |id: i64, third: f64| TrainingImage {
            id: ImageId(id),
            path: format!("/moved/{id}.jpg").into(),
            size: (640, 480),
            faces: vec![
                Shape::Ellipse(Ellipse::new(1.0 / third, 0.1 + 0.2, std::f64::consts::PI, -0.0, 1e-300)),
                Shape::Rectangle(BoundingBox::new(0.1, 0.7, 1e17, 2.0_f64.sqrt())),
            ],
            labels: vec![1, 3],
            misclassified: vec![BoundingBox::new(0.7, 1.0 / 3.0, 8.0, 8.5)],
            hard_negatives: vec![(BoundingBox::new(0.3, 1.0 / 7.0, 9.0, 9.5), 0.1 + 0.7)],
            hard_negative_labels: vec![2],
            ignored: vec![BoundingBox::new(1.1, 2.2, 3.3, 4.4)],
        };
        let empty = TrainingImage {
            faces: vec![],
            labels: vec![],
            misclassified: vec![],
            hard_negatives: vec![],
            hard_negative_labels: vec![],
            ignored: vec![],
            ..image(2, 3.0)
        };
        let images = vec![image(9, 3.0), empty, image(4, 49.0)];
        fs::create_dir_all(&run_dir).unwrap();
        write(&run_dir, &images).unwrap();
        assert_eq!(format!("{:?}", read(&run_dir, file).unwrap().unwrap()), format!("{images:?}"));

        let text = fs::read_to_string(run_dir.join(FILE)).unwrap();
        // As earlier versions wrote it.
        let old = text.replace(",\"size\":[640,480]", "");
        assert!(old.len() < text.len());
        fs::write(run_dir.join(FILE), old).unwrap();
        assert!(read(&run_dir, file).unwrap().unwrap().iter().all(|image| image.size == (0, 0)));
        fs::write(run_dir.join(FILE), text.replace("1.1 2.2", "1.1 two")).unwrap();
        let message = read(&run_dir, file).unwrap_err().to_string();
        assert!(message.contains("data.json") && message.contains("image 9"), "{message}");
        // A label that no class can have.
        for (from, to, part) in [("[2]", "[2000000000]", "hard negatives"), ("[1,3]", "[1,0]", "objects")] {
            let broken = text.replace(from, to);
            assert_ne!(broken, text);
            fs::write(run_dir.join(FILE), broken).unwrap();
            let message = read(&run_dir, file).unwrap_err().to_string();
            assert!(message.contains("labels of image 9") && message.contains(part), "{message}");
        }
    }
}
