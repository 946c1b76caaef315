//! `runs/<round>/held-out.jsonl`: the detections of a round's last evaluation with their classes, which FDDB's text format cannot
//! represent. One JSON object per line: first the evaluation, then the test images in order.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::WorkflowError;
use crate::domain::{ClassId, Detection, limits, read_text};
use crate::geometry::{BoundingBox, Ellipse};

/// The file name in a round's folder.
pub const HELD_OUT_FILE: &str = "held-out.jsonl";

const FORMAT: u32 = 1;

/// The detections of one evaluation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeldOutDetections {
    /// The tested step of the round; 0 for an imported model.
    pub step: u64,
    /// The project's classes at that time, by the ids in `images`' detections.
    pub classes: Vec<(ClassId, String)>,
    /// The test images in order.
    pub images: Vec<HeldOutImage>,
}

/// The detections on one test image.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOutImage {
    pub name: String,
    /// blake3 of the image's bytes.
    pub content_hash: String,
    /// The image could not be read: nothing is known about it.
    pub unreadable: bool,
    pub detections: Vec<Detection>,
}

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    format: u32,
    step: u64,
    classes: Vec<NamedClass<'a>>,
}

#[derive(Serialize, Deserialize)]
struct NamedClass<'a> {
    id: i64,
    name: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    image: Cow<'a, str>,
    hash: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unreadable: bool,
    detections: Vec<Found>,
}

/// `bbox` is `x1, y1, x2, y2`, `ellipse` is `cx, cy, ra, rb, theta`, in pixels and radians.
#[derive(Serialize, Deserialize)]
struct Found {
    class: i64,
    score: f32,
    bbox: [f64; 4],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ellipse: Option<[f64; 5]>,
}

impl From<&Detection> for Found {
    fn from(d: &Detection) -> Self {
        let BoundingBox { x1, y1, x2, y2, .. } = d.bbox;
        let ellipse = d.ellipse.map(|e| [e.cx, e.cy, e.ra, e.rb, e.theta]);
        Self { class: d.class.0, score: d.score, bbox: [x1, y1, x2, y2], ellipse }
    }
}

impl Found {
    /// `None` if a number is not finite.
    fn detection(&self) -> Option<Detection> {
        let numbers = self.bbox.iter().chain(self.ellipse.iter().flatten());
        if !self.score.is_finite() || numbers.into_iter().any(|number| !number.is_finite()) {
            return None;
        }
        let [x1, y1, x2, y2] = self.bbox;
        Some(Detection {
            class: ClassId(self.class),
            bbox: BoundingBox::new(x1, y1, x2, y2),
            ellipse: self.ellipse.map(|[cx, cy, ra, rb, theta]| Ellipse::new(ra, rb, theta, cx, cy)),
            score: self.score,
        })
    }
}

impl HeldOutDetections {
    /// Formats the file. Numbers are written so that they are read back bit-exactly.
    pub fn to_text(&self) -> Result<String, WorkflowError> {
        let classes = self.classes.iter().map(|(id, name)| NamedClass { id: id.0, name: name.into() }).collect();
        let mut text = line(&Head { format: FORMAT, step: self.step, classes })?;
        for image in &self.images {
            text += &line(&Line {
                image: (&image.name).into(),
                hash: (&image.content_hash).into(),
                unreadable: image.unreadable,
                detections: image.detections.iter().map(Found::from).collect(),
            })?;
        }
        Ok(text)
    }

    /// Reads the file in `run_dir`; `None` if there is none, as in rounds of earlier versions.
    pub fn read(run_dir: &Path) -> Result<Option<Self>, WorkflowError> {
        let path = run_dir.join(HELD_OUT_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        Self::from_text(&read_text(&path, limits::TEXT)?, &path).map(Some)
    }

    fn from_text(text: &str, path: &Path) -> Result<Self, WorkflowError> {
        let bad = |line: usize, reason: &str| WorkflowError::BadFile {
            path: PathBuf::from(format!("{}:{}", path.display(), line + 1)),
            reason: format!("{reason}. Evaluate the round again to rewrite the file"),
        };
        let mut lines = text.lines().enumerate();
        let head = lines.next().map(|(_, text)| serde_json::from_str::<Head>(text));
        let Some(Ok(head)) = head else {
            return Err(bad(0, "the first line does not name the evaluation"));
        };
        if head.format != FORMAT {
            let reason = format!("this is format {}; this Quarry reads format {FORMAT}", head.format);
            return Err(bad(0, &reason));
        }
        let mut images = Vec::new();
        for (at, text) in lines {
            let line: Line = serde_json::from_str(text).map_err(|e| bad(at, &e.to_string()))?;
            let detections = line.detections.iter().map(Found::detection).collect::<Option<_>>();
            images.push(HeldOutImage {
                name: line.image.into_owned(),
                content_hash: line.hash.into_owned(),
                unreadable: line.unreadable,
                detections: detections.ok_or_else(|| bad(at, "a number is not finite"))?,
            });
        }
        let classes = head.classes.into_iter().map(|class| (ClassId(class.id), class.name.into_owned())).collect();
        Ok(Self { step: head.step, classes, images })
    }
}

fn line(value: &impl Serialize) -> Result<String, WorkflowError> {
    let text = serde_json::to_string(value)
        .map_err(|e| WorkflowError::Refused(format!("the detections cannot be written as JSON: {e}")))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detections_and_their_classes_are_read_again_to_the_last_bit() {
        let ellipse = Ellipse::new(22.0 / 7.0, 1.0 / 3.0, 0.1 + 0.2, 5.5, 1e-7);
        let found = |class, ellipse: Option<Ellipse>| Detection {
            class: ClassId(class),
            bbox: BoundingBox::new(0.1, -0.7, 1.0 / 3.0, 1e9 + 0.1),
            ellipse,
            score: 0.1 + 0.7,
        };
        let image = |name: &str, unreadable, detections| HeldOutImage {
            name: name.to_owned(),
            content_hash: "ab".to_owned(),
            unreadable,
            detections,
        };
        let held_out = HeldOutDetections {
            step: 7,
            classes: vec![(ClassId(1), "cat".to_owned()), (ClassId(9), "a \"dog\"\n".to_owned())],
            images: vec![
                image("2002/1 ü", false, vec![found(9, Some(ellipse)), found(1, None)]),
                image("line\nbreak", true, vec![]),
            ],
        };
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(HeldOutDetections::read(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join(HELD_OUT_FILE), held_out.to_text().unwrap()).unwrap();
        assert_eq!(HeldOutDetections::read(dir.path()).unwrap(), Some(held_out));
    }

    #[test]
    fn what_is_no_such_file_is_refused_with_its_line() {
        let head = r#"{"format":1,"step":0,"classes":[]}"#;
        for (text, line, part) in [
            (String::new(), 1, "first line"),
            ("[]".to_owned(), 1, "first line"),
            (r#"{"format":2,"step":0,"classes":[]}"#.to_owned(), 1, "format 2"),
            (format!("{head}\n{{"), 2, "EOF"),
            (format!("{head}\n{{\"image\":\"a\",\"hash\":\"\",\"detections\":[{{\"class\":1}}]}}"), 2, "score"),
            (
                format!(
                    "{head}\n{{\"image\":\"a\",\"hash\":\"\",\"detections\":[{{\"class\":1,\"score\":1e300,\"bbox\":[0,0,1,1]}}]}}"
                ),
                2,
                "out of range",
            ),
        ] {
            let error =
                HeldOutDetections::from_text(&text, Path::new("runs/1/held-out.jsonl")).unwrap_err().to_string();
            assert!(error.contains(&format!("held-out.jsonl:{line}")) && error.contains(part), "{text}: {error}");
        }
    }
}
