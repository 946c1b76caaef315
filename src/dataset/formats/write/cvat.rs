//! Writes CVAT for images 1.1, one XML file. A split is the image's `subset`; other properties without a CVAT flag become attributes of the
//! shape.

use std::fmt::Write as _;

use quick_xml::escape::escape;

use super::{Export, ExportObject, Written};
use crate::domain::Shape;

pub(super) fn write(export: &Export) -> Result<Written, String> {
    export.refuse_repeated_paths(|image| image.path.clone())?;
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n  <version>1.1</version>\n  <meta><task><labels>\n",
    );
    for class in &export.classes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    <label><name>{}</name><attributes></attributes></label>", escape(&class.name));
    }
    text.push_str("  </labels></task></meta>\n");
    for (k, image) in export.images.iter().enumerate() {
        let subset = image.split.as_ref().map_or(String::new(), |split| format!(" subset=\"{}\"", escape(split)));
        let path = escape(&image.path);
        let (width, height) = (image.width, image.height);
        let _ = writeln!(text, "  <image id=\"{k}\" name=\"{path}\"{subset} width=\"{width}\" height=\"{height}\">");
        for object in &image.objects {
            shape(&mut text, export.class(object), object);
        }
        text.push_str("  </image>\n");
    }
    text.push_str("</annotations>\n");
    Ok(Written {
        files: vec![("".into(), text.into_bytes())],
        objects: export.objects().count(),
        left_out: 0,
        losses: Vec::new(),
    })
}

fn shape(text: &mut String, class: &str, object: &ExportObject) {
    let label = escape(class);
    let element = match object.shape {
        Shape::Rectangle(b) => {
            let _ = write!(
                text,
                "    <box label=\"{label}\" occluded=\"0\" xtl=\"{}\" ytl=\"{}\" xbr=\"{}\" ybr=\"{}\" z_order=\"0\">",
                b.x1, b.y1, b.x2, b.y2
            );
            "box"
        }
        Shape::Ellipse(e) => {
            let _ = write!(
                text,
                "    <ellipse label=\"{label}\" occluded=\"0\" cx=\"{}\" cy=\"{}\" rx=\"{}\" ry=\"{}\" rotation=\"{}\" z_order=\"0\">",
                e.cx,
                e.cy,
                e.ra,
                e.rb,
                e.theta.to_degrees()
            );
            "ellipse"
        }
    };
    let mut attribute = |name: &str, value: String| {
        let _ = write!(text, "<attribute name=\"{name}\">{value}</attribute>");
    };
    if object.ignored {
        attribute("ignored", "true".to_owned());
    }
    if object.source != "imported" {
        attribute("source", object.source.to_owned());
    }
    if let Some(score) = object.score {
        attribute("score", score.to_string());
    }
    let _ = writeln!(text, "</{element}>");
}
