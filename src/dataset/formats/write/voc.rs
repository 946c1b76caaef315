//! Writes a folder with `Annotations/`, one XML file per image, and `ImageSets/Main/`, one list per split. Corners count from 1, both
//! inclusive.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use quick_xml::escape::escape;

use super::{Export, ExportImage, Written, lost, stems};

pub(super) fn write(export: &Export) -> Result<Written, String> {
    export.refuse_repeated_paths(|image| image.path.clone())?;
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    let mut lists: BTreeMap<String, String> = BTreeMap::new();
    for (image, stem) in export.images.iter().zip(stems(export)) {
        if let Some(split) = &image.split {
            // Writing to a string cannot fail.
            let _ = writeln!(lists.entry(split.replace(['/', '\\'], "_")).or_default(), "{stem}");
        }
        files.push((PathBuf::from(format!("Annotations/{stem}.xml")), annotation(export, image).into_bytes()));
    }
    files.extend(
        lists.into_iter().map(|(split, list)| (format!("ImageSets/Main/{split}.txt").into(), list.into_bytes())),
    );
    let mut losses = Vec::new();
    lost(&mut losses, export.ellipses(), ["ellipse is", "ellipses are"], "written as boxes.");
    Ok(Written { files, objects: export.objects().count(), left_out: 0, losses })
}

fn annotation(export: &Export, image: &ExportImage) -> String {
    let (path, dataset) = (escape(&image.path), escape(&image.dataset));
    let mut text = format!(
        "<annotation>\n  <filename>{path}</filename>\n  <source><database>{dataset}</database></source>\n  \
         <size><width>{}</width><height>{}</height><depth>3</depth></size>\n",
        image.width, image.height
    );
    for object in &image.objects {
        let b = object.shape.bounding_box();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "  <object>\n    <name>{}</name>\n    <difficult>{}</difficult>\n    <bndbox><xmin>{}</xmin><ymin>{}</ymin>\
             <xmax>{}</xmax><ymax>{}</ymax></bndbox>\n    <source>{}</source>\n",
            escape(export.class(object)),
            u8::from(object.ignored),
            b.x1 + 1.0,
            b.y1 + 1.0,
            b.x2,
            b.y2,
            object.source
        );
        if let Some(score) = object.score {
            let _ = writeln!(text, "    <score>{score}</score>");
        }
        text.push_str("  </object>\n");
    }
    text.push_str("</annotation>\n");
    text
}
