//! Writes a folder that ultralytics can train from once its `images/` exists: `data.yaml`, a list for each split, and `labels/` with one
//! file per image. Images without a split are listed in `train.txt`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::{Export, ExportImage, Written, lost};
use crate::domain::{list_problem, printable};

/// The folder name in an image's path from which ultralytics derives its label's path.
const IMAGES: &str = "images";

/// The split names that `data.yaml` supports; others have separate lists.
const KEYS: [&str; 3] = ["train", "val", "test"];

pub(super) fn write(export: &Export) -> Result<Written, String> {
    export.refuse_repeated_paths(|image| label_path(&listed_path(&image.path)))?;
    for image in &export.images {
        if let Some(problem) = list_problem(&image.path) {
            let path = printable(&image.path);
            return Err(format!(
                "the path of image {path} cannot be in a text list: {problem}. Rename it, or export as coco."
            ));
        }
    }
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    let mut lists: BTreeMap<String, String> = BTreeMap::new();
    let (mut objects, mut left_out, mut clipped) = (0, 0, 0);
    for image in &export.images {
        let split = image.split.as_deref().unwrap_or("train");
        let list = lists.entry(file_name(split)).or_default();
        // Writing to a string cannot fail.
        let listed = listed_path(&image.path);
        let _ = writeln!(list, "./{listed}");
        let mut label = String::new();
        for object in &image.objects {
            if object.ignored {
                left_out += 1;
                continue;
            }
            let line = line(image, object.class, &object.shape.bounding_box(), &mut clipped);
            label.push_str(&line);
            objects += 1;
        }
        files.push((PathBuf::from(label_path(&listed)), label.into_bytes()));
    }
    files.push(("data.yaml".into(), data_yaml(export, &lists).into_bytes()));
    files.extend(lists.into_iter().map(|(split, list)| (PathBuf::from(format!("{split}.txt")), list.into_bytes())));
    let mut losses = Vec::new();
    lost(
        &mut losses,
        left_out,
        ["ignored region is", "ignored regions are"],
        "left out: YOLO's labels have no flag for them.",
    );
    lost(
        &mut losses,
        export.count(|o| !o.ignored && o.shape.ellipse().is_some()),
        ["ellipse is", "ellipses are"],
        "written as boxes.",
    );
    lost(
        &mut losses,
        export.flagged(),
        ["object is", "objects are"],
        "promoted, edited, added or mined, which YOLO's labels do not say.",
    );
    lost(
        &mut losses,
        clipped,
        ["box that reaches beyond its image is", "boxes that reach beyond their image are"],
        "cut at its edge.",
    );
    lost(&mut losses, export.scores(), ["score is", "scores are"], "left out.");
    Ok(Written { files, objects, left_out, losses })
}

/// Returns an image's path in the lists: below `images/`, or unchanged if it already has a folder of that name.
pub fn listed_path(path: &str) -> String {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    if folders.split('/').any(|folder| folder == IMAGES) { path.to_owned() } else { format!("{IMAGES}/{path}") }
}

/// Returns the label of a listed image by ultralytics' rule: the last folder `images` becomes `labels`, and the extension `txt`.
fn label_path(listed: &str) -> String {
    let mut parts: Vec<&str> = listed.split('/').collect();
    let folders = parts.len() - 1;
    if let Some(folder) = parts.iter_mut().take(folders).rev().find(|part| **part == IMAGES) {
        *folder = "labels";
    }
    PathBuf::from(parts.join("/")).with_extension("txt").to_string_lossy().into_owned()
}

fn line(image: &ExportImage, class: usize, bbox: &crate::geometry::BoundingBox, clipped: &mut usize) -> String {
    let (w, h) = (f64::from(image.width), f64::from(image.height));
    let inside = bbox.clipped(w, h);
    *clipped += usize::from(inside != *bbox);
    let (cx, cy) = inside.center();
    format!("{class} {} {} {} {}\n", cx / w, cy / h, inside.width() / w, inside.height() / h)
}

/// Converts a split to a file name.
fn file_name(split: &str) -> String {
    split.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

fn data_yaml(export: &Export, lists: &BTreeMap<String, String>) -> String {
    let mut text = format!(
        "# {}\n# The lists next to this file hold the images' paths, relative to it. Link or copy them there, or export with \
         --images.\n",
        export.description.replace(['\n', '\r'], " ")
    );
    for key in KEYS {
        if lists.contains_key(key) {
            let _ = writeln!(text, "{key}: {key}.txt");
        }
    }
    let others: Vec<&String> = lists.keys().filter(|split| !KEYS.contains(&split.as_str())).collect();
    if !others.is_empty() {
        // Lists without a key are not read. Without any of the keys, all are for training.
        let names: Vec<String> = others.iter().map(|split| quoted(&format!("{split}.txt"))).collect();
        let key = if KEYS.iter().any(|key| lists.contains_key(*key)) { "# further splits" } else { "train" };
        let _ = writeln!(text, "{key}: [{}]", names.join(", "));
    }
    text.push_str("names:\n");
    for (k, class) in export.classes.iter().enumerate() {
        let _ = writeln!(text, "  {k}: {}", quoted(&class.name));
    }
    text
}

/// JSON text is also valid YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lie_where_ultralytics_looks_for_them() {
        let check = |path: &str, listed: &str, label: &str| {
            assert_eq!(
                (listed_path(path).as_str(), label_path(&listed_path(path)).as_str()),
                (listed, label),
                "{path}"
            );
        };
        check("a.jpg", "images/a.jpg", "labels/a.txt");
        check("2002/big/a.b.jpg", "images/2002/big/a.b.jpg", "labels/2002/big/a.b.txt");
        check("images/train/a.jpg", "images/train/a.jpg", "labels/train/a.txt");
        check("train/images/a.jpg", "train/images/a.jpg", "train/labels/a.txt");
        check("images/x/images/a.jpg", "images/x/images/a.jpg", "images/x/labels/a.txt");
        check("images", "images/images", "labels/images.txt");
    }
}
