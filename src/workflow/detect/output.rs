//! Writes detections in FDDB's text format and COCO's.

use std::io::{self, Write};

use super::FoundInList;
use crate::dataset::formats::write::CocoResult;
pub use crate::dataset::formats::write::fddb_detections as fddb_text;
use crate::detector::LabelledDetection;

/// Writes COCO's result list image by image.
pub(super) struct CocoWriter<'a> {
    out: &'a mut dyn Write,
    is_first: bool,
}

impl<'a> CocoWriter<'a> {
    pub fn begin(out: &'a mut dyn Write) -> io::Result<Self> {
        out.write_all(b"[")?;
        Ok(Self { out, is_first: true })
    }

    /// `classes`: the names of labels from 1.
    pub fn image(&mut self, image: &FoundInList, classes: &[String], ellipses: bool) -> io::Result<()> {
        for LabelledDetection { detection: d, label } in &image.found {
            let place = usize::try_from(label - 1).ok();
            let mut result = CocoResult::new(image.place as i64, *label, d, ellipses);
            result.file_name = Some(&image.name);
            result.category_name = place.and_then(|place| classes.get(place)).map(String::as_str);
            let comma = if self.is_first { "" } else { "," };
            write!(self.out, "{comma}{}", serde_json::to_string(&result)?)?;
            self.is_first = false;
        }
        Ok(())
    }

    pub fn end(self) -> io::Result<()> {
        self.out.write_all(b"]")
    }
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
        let text = |ellipses| {
            let mut bytes = Vec::new();
            let mut writer = CocoWriter::begin(&mut bytes).unwrap();
            for image in &found {
                writer.image(image, &["face".to_owned()], ellipses).unwrap();
            }
            writer.end().unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(text(false), format!("[{first},{second}}}]"));
        assert_eq!(text(true), format!("[{first},{second},\"ellipse\":[16.0,22.0,20.0,15.0,1.5]}}]"));
    }
}
