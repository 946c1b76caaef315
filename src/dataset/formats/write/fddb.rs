//! Writes FDDB's ellipse list, all images in one file, and a table with the source of each face, which the list cannot represent.

use std::fmt::Write as _;

use super::{Export, Written, lost};
use crate::domain::{Shape, csv_text, distinct_names, list_problem, printable};
use crate::geometry::Ellipse;

pub(super) fn write(export: &Export) -> Result<Written, String> {
    let mut names: Vec<&str> = export.images.iter().map(|image| image.name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
        return Err(format!(
            "image `{name}` is in two datasets of the project, and FDDB's format knows images by name alone. Export one dataset at a time \
             with --dataset NAME, or export as coco."
        ));
    }
    // Names have no extension, like FDDB's: readers of the list add one.
    let names = distinct_names(export.images.iter().map(|image| image.name.as_str()));
    for name in &names {
        if let Some(problem) = list_problem(name) {
            let name = printable(name);
            let advice = "Take `--format coco`, or rename the file.";
            return Err(format!(
                "image `{name}` cannot be named in FDDB's format, one name per line: {problem}. {advice}"
            ));
        }
    }
    let (mut list, mut sources, mut objects) = (String::new(), String::from("image,face,source,shape\n"), 0);
    let mut rectangles = 0;
    for (image, name) in export.images.iter().zip(&names) {
        let kept: Vec<_> = image.objects.iter().filter(|object| !object.ignored).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(list, "{name}\n{}", kept.len());
        for (k, object) in kept.into_iter().enumerate() {
            let (e, shape) = match object.shape {
                Shape::Ellipse(e) => (e, "ellipse"),
                Shape::Rectangle(b) => (Ellipse::inscribed(&b), "rectangle"),
            };
            rectangles += usize::from(shape == "rectangle");
            let _ = writeln!(list, "{} {} {} {} {}  1", e.ra, e.rb, e.theta, e.cx, e.cy);
            let _ = writeln!(sources, "{},{},{},{shape}", csv_text(name), k + 1, object.source);
            objects += 1;
        }
    }
    let left_out = export.count(|object| object.ignored);
    let mut losses = Vec::new();
    lost(
        &mut losses,
        left_out,
        ["ignored region is", "ignored regions are"],
        "left out: FDDB's format cannot hold them.",
    );
    lost(
        &mut losses,
        rectangles,
        ["rectangle is", "rectangles are"],
        "written as the ellipses inside; the table of sources says which.",
    );
    let classes = export.count(|object| !object.ignored && export.class(object) != "face");
    lost(
        &mut losses,
        classes,
        ["object is", "objects are"],
        "of other classes than face, which FDDB's format does not know.",
    );
    lost(&mut losses, export.scores(), ["score is", "scores are"], "left out.");
    let files = vec![("".into(), list.into_bytes()), ("sources.csv".into(), sources.into_bytes())];
    Ok(Written { files, objects, left_out, losses })
}
