//! Writes one row per object, for spreadsheets and data frames. Images without objects have one row without a class.

use std::fmt::Write as _;

use super::{Export, ExportObject, Written};
use crate::domain::{Shape, csv_text};

const HEADER: &str = "dataset,image,path,width,height,split,class,x1,y1,x2,y2,ra,rb,theta,cx,cy,ignored,source,score";
/// Additional columns of hard negatives.
const OF_ROUNDS: &str = ",round,origin,fate";

pub(super) fn write(export: &Export) -> Written {
    let (header, none) = if export.has_history() { (OF_ROUNDS, ",,,") } else { ("", "") };
    let mut text = format!("{HEADER}{header}\n");
    for image in &export.images {
        let split = csv_text(image.split.as_deref().unwrap_or(""));
        let (dataset, name, path) = (csv_text(&image.dataset), csv_text(&image.name), csv_text(&image.path));
        let start = format!("{dataset},{name},{path},{},{},{split}", image.width, image.height);
        for object in &image.objects {
            let history =
                object.history.map_or_else(|| none.to_owned(), |h| format!(",{},{},{}", h.round, h.origin, h.fate));
            let _ = writeln!(text, "{start},{}{history}", row(export, object));
        }
        if image.objects.is_empty() {
            let _ = writeln!(text, "{start},,,,,,,,,,,,,{none}");
        }
    }
    Written { files: vec![("".into(), text.into_bytes())], objects: export.objects().count(), ..Written::default() }
}

fn row(export: &Export, object: &ExportObject) -> String {
    let b = object.shape.bounding_box();
    let ellipse = match object.shape {
        Shape::Ellipse(e) => format!("{},{},{},{},{}", e.ra, e.rb, e.theta, e.cx, e.cy),
        Shape::Rectangle(_) => ",,,,".to_owned(),
    };
    let score = object.score.map_or(String::new(), |score| score.to_string());
    format!(
        "{},{},{},{},{},{ellipse},{},{},{score}",
        csv_text(export.class(object)),
        b.x1,
        b.y1,
        b.x2,
        b.y2,
        object.ignored,
        object.source
    )
}
