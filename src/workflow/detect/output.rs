//! Detections as text: FDDB's format and COCO's.

use std::path::Path;

use serde::Serialize;

use super::FoundInList;
pub use crate::dataset::formats::write::fddb_detections as fddb_text;
use crate::detector::LabelledDetection;
use crate::workflow::WorkflowError;

/// One line of COCO's result list. `ellipse` is Quarry's own: centre, half axes, angle in radians.
#[derive(Serialize)]
struct CocoResult<'a> {
    image_id: usize,
    file_name: &'a str,
    category_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    category_name: Option<&'a str>,
    bbox: [f64; 4],
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ellipse: Option<[f64; 5]>,
}

/// COCO's result list of `found`, with the names of labels from 1. `out` is only for messages.
pub(super) fn coco_text(
    found: &[FoundInList],
    classes: &[String],
    ellipses: bool,
    out: &Path,
) -> Result<String, WorkflowError> {
    let name_of = |label: i64| usize::try_from(label - 1).ok().and_then(|place| classes.get(place)).map(String::as_str);
    let name_of = &name_of;
    let results = found.iter().flat_map(|FoundInList { place, name, found }| {
        found.iter().map(move |LabelledDetection { detection: d, label }| CocoResult {
            image_id: *place,
            file_name: name,
            category_id: *label,
            category_name: name_of(*label),
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
        let labelled = vec![
            LabelledDetection { detection: plain(), label: 17 },
            LabelledDetection { detection: round(), label: 1 },
        ];
        let found = [
            FoundInList { place: 1, name: "a".to_owned(), found: vec![] },
            FoundInList { place: 2, name: "b".to_owned(), found: labelled },
        ];
        let first =
            r#"{"image_id":2,"file_name":"b","category_id":17,"bbox":[1.5,2.0,30.0,40.0],"score":0.5}"#.to_owned();
        let second = r#"{"image_id":2,"file_name":"b","category_id":1,"category_name":"face","bbox":[1.5,2.0,30.0,40.0],"score":0.5"#;
        let text = |ellipses| coco_text(&found, &["face".to_owned()], ellipses, Path::new("out.json")).unwrap();
        assert_eq!(text(false), format!("[{first},{second}}}]"));
        assert_eq!(text(true), format!("[{first},{second},\"ellipse\":[16.0,22.0,20.0,15.0,1.5]}}]"));
    }
}
