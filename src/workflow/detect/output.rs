//! Detections as text: FDDB's format and COCO's.

use std::path::Path;

use serde::Serialize;

pub use crate::dataset::formats::write::fddb_detections as fddb_text;
use crate::detector::LabelledDetection;
use crate::workflow::WorkflowError;

/// One line of COCO's result list. `ellipse` is Quarry's own: centre, half axes, angle in radians.
#[derive(Serialize)]
struct CocoResult<'a> {
    image_id: usize,
    file_name: &'a str,
    category_id: i64,
    bbox: [f64; 4],
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ellipse: Option<[f64; 5]>,
}

/// COCO's result list of `found`, one list for each of `names`, which come with their place in the list of images, from 1. `out` is only
/// for messages.
pub(super) fn coco_text(
    names: &[(usize, &str)],
    found: &[Vec<LabelledDetection>],
    ellipses: bool,
    out: &Path,
) -> Result<String, WorkflowError> {
    let results = names.iter().zip(found).flat_map(|(&(image_id, file_name), detections)| {
        detections.iter().map(move |LabelledDetection { detection: d, label }| CocoResult {
            image_id,
            file_name,
            category_id: *label,
            bbox: [d.bbox.x1, d.bbox.y1, d.bbox.width(), d.bbox.height()],
            score: d.score,
            ellipse: d.ellipse.filter(|_| ellipses).map(|e| [e.cx, e.cy, e.ra, e.rb, e.theta]),
        })
    });
    let results: Vec<CocoResult> = results.collect();
    serde_json::to_string(&results)
        .map_err(|e| WorkflowError::BadFile { path: out.to_path_buf(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClassId, Detection};
    use crate::geometry::{BoundingBox, Ellipse};

    fn plain() -> Detection {
        Detection {
            class: ClassId::ONLY,
            bbox: BoundingBox::from_xywh(1.5, 2.0, 30.0, 40.0),
            ellipse: None,
            score: 0.5,
        }
    }

    fn round() -> Detection {
        Detection { ellipse: Some(Ellipse::new(20.0, 15.0, 1.5, 16.0, 22.0)), ..plain() }
    }

    #[test]
    fn fddb_text_writes_both_shapes_and_empty_images() {
        let found = vec![vec![plain(), round()], Vec::new()];
        assert_eq!(fddb_text(&["a", "b"], &found, false), "a\n2\n1.5 2 30 40 0.5\n1.5 2 30 40 0.5\nb\n0\n");
        assert_eq!(fddb_text(&["a", "b"], &found, true), "a\n2\n1.5 2 30 40 0.5\n20 15 1.5 16 22 0.5\nb\n0\n");
    }

    #[test]
    fn coco_text_writes_classes_and_ellipses_where_they_are_wanted() {
        let found = vec![
            vec![],
            vec![
                LabelledDetection { detection: plain(), label: 17 },
                LabelledDetection { detection: round(), label: 1 },
            ],
        ];
        let first =
            r#"{"image_id":2,"file_name":"b","category_id":17,"bbox":[1.5,2.0,30.0,40.0],"score":0.5}"#.to_owned();
        let second = r#"{"image_id":2,"file_name":"b","category_id":1,"bbox":[1.5,2.0,30.0,40.0],"score":0.5"#;
        let text = |ellipses| coco_text(&[(1, "a"), (2, "b")], &found, ellipses, Path::new("out.json")).unwrap();
        assert_eq!(text(false), format!("[{first},{second}}}]"));
        assert_eq!(text(true), format!("[{first},{second},\"ellipse\":[16.0,22.0,20.0,15.0,1.5]}}]"));
    }
}
