//! Formats detections as text: FDDB's lists and COCO's results.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

use crate::domain::Detection;

/// Formats `found` as FDDB's text, one list for each of `names`. Every number is written so that it is read back as the same `f64`: the
/// file's curves equal those of the detections.
pub fn fddb_detections(names: &[&str], found: &[Vec<Detection>], ellipses: bool) -> String {
    let mut text = String::new();
    for (name, detections) in names.iter().zip(found) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\n{}", on_one_line(name), detections.len());
        for d in detections {
            let score = f64::from(d.score);
            let _ = if let Some(e) = d.ellipse.filter(|_| ellipses) {
                writeln!(text, "{} {} {} {} {} {}", e.ra, e.rb, e.theta, e.cx, e.cy, score)
            } else {
                let b = &d.bbox;
                writeln!(text, "{} {} {} {} {}", b.x1, b.y1, b.width(), b.height(), score)
            };
        }
    }
    text
}

/// A line break in a name would break the blocks; exporters refuse such names earlier.
fn on_one_line(name: &str) -> Cow<'_, str> {
    if name.contains(['\n', '\r']) { name.replace('\n', "\\n").replace('\r', "\\r").into() } else { name.into() }
}

/// An entry of COCO's result list.
#[derive(Debug, Serialize)]
pub struct CocoResult<'a> {
    image_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<&'a str>,
    category_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category_name: Option<&'a str>,
    bbox: [f64; 4],
    score: f32,
    /// Quarry's own key: centre, semi-axes, angle in radians.
    #[serde(skip_serializing_if = "Option::is_none")]
    ellipse: Option<[f64; 5]>,
}

impl CocoResult<'_> {
    /// An entry without names. `ellipses`: with the detection's ellipse, if it has one.
    pub fn new(image_id: i64, category_id: i64, detection: &Detection, ellipses: bool) -> Self {
        let b = &detection.bbox;
        Self {
            image_id,
            file_name: None,
            category_id,
            category_name: None,
            bbox: [b.x1, b.y1, b.width(), b.height()],
            score: detection.score,
            ellipse: detection.ellipse.filter(|_| ellipses).map(|e| [e.cx, e.cy, e.ra, e.rb, e.theta]),
        }
    }
}

/// Formats COCO's result list of detections on images with these ids. The category is the detection's class id.
pub fn coco_results<'a>(found: impl Iterator<Item = (i64, &'a [Detection])>, ellipses: bool) -> String {
    let results = found.flat_map(|(image_id, detections)| {
        detections.iter().map(move |d| CocoResult::new(image_id, d.class.0, d, ellipses))
    });
    let results: Vec<CocoResult> = results.collect();
    // Plain numbers: this cannot fail.
    serde_json::to_string(&results).unwrap_or_default()
}
