//! The annotation files of the export, and the tables of weights.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::files::{Made, put};
use super::plan::{Item, Part, Plan};
use super::read_again::Counted;
use super::{TrainingExport, TrainingFormat};
use crate::domain::csv_text;
use crate::geometry::BoundingBox;
use crate::workflow::WorkflowError;

/// Writes everything but the images and the manifest; returns what reading it back must find.
pub(super) fn write(
    settings: &TrainingExport,
    plan: &Plan,
    items: &[Made],
    folder: &Path,
) -> Result<Counted, WorkflowError> {
    match settings.format {
        TrainingFormat::Yolo => yolo(plan, items, folder)?,
        TrainingFormat::Coco => coco(plan, items, folder)?,
    }
    let mut weights = "file,weight,hard_negatives\n".to_owned();
    let mut negatives = "file,x1,y1,x2,y2,class,kind,score,round,group,weight\n".to_owned();
    for made in items.iter().filter(|made| made.item.part == Part::Train) {
        let item = &made.item;
        // Writing to a string cannot fail.
        let _ = writeln!(weights, "{},{},{}", csv_text(&made.file), weight(item), item.negatives.len());
        for mined in &item.negatives {
            let b = relative(&mined.negative.bbox, item);
            let class = plan.class_names.get(&mined.negative.class).map_or("", String::as_str);
            let _ = writeln!(
                negatives,
                "{},{},{},{},{},{},{},{},{},{},{}",
                csv_text(&made.file),
                b.x1,
                b.y1,
                b.x2,
                b.y2,
                csv_text(class),
                mined.negative.kind.as_str(),
                mined.negative.score,
                mined.round,
                mined.group.map_or(String::new(), |group| group.to_string()),
                // A region with a higher detection score has a higher weight, from 1 to 2.
                1.0 + mined.negative.score.clamp(0.0, 1.0)
            );
        }
    }
    put(folder, "weights.csv", weights.as_bytes())?;
    put(folder, "hard_negatives.csv", negatives.as_bytes())?;
    Ok(expected(settings.format, items))
}

/// Returns how often an image should be sampled, for samplers with weights.
fn weight(item: &Item) -> u32 {
    1 + item.repeats
}

fn expected(format: TrainingFormat, items: &[Made]) -> Counted {
    let train = || items.iter().filter(|made| made.item.part == Part::Train);
    let repeats: usize = train().map(|made| made.item.repeats as usize).sum();
    let is_coco = format == TrainingFormat::Coco;
    let mut of_part = BTreeMap::new();
    for made in items {
        *of_part.entry(made.item.part.word().to_owned()).or_insert(0) += 1;
    }
    Counted {
        images: items.len(),
        of_part,
        lines: train().count() + if is_coco { 0 } else { repeats },
        objects: items.iter().map(|made| made.item.objects.len()).sum(),
        ignored: if is_coco { items.iter().map(|made| made.item.ignored.len()).sum() } else { 0 },
        empty: items
            .iter()
            .filter(|made| made.item.objects.is_empty() && (!is_coco || made.item.ignored.is_empty()))
            .count(),
    }
}

/// Returns width and height in pixels of the item's image or crop.
fn size(item: &Item) -> (f64, f64) {
    match &item.crop {
        Some(crop) => (crop.width(), crop.height()),
        None => (f64::from(item.image.width), f64::from(item.image.height)),
    }
}

/// Converts a region of the image to pixels of the item's image or crop.
fn relative(bbox: &BoundingBox, item: &Item) -> BoundingBox {
    let (x, y) = item.crop.as_ref().map_or((0.0, 0.0), |crop| (crop.x1, crop.y1));
    let (width, height) = size(item);
    BoundingBox::new(bbox.x1 - x, bbox.y1 - y, bbox.x2 - x, bbox.y2 - y).clipped(width, height)
}

fn yolo(plan: &Plan, items: &[Made], folder: &Path) -> Result<(), WorkflowError> {
    let mut lists: BTreeMap<Part, String> = BTreeMap::new();
    for made in items {
        let item = &made.item;
        let (width, height) = size(item);
        let mut label = String::new();
        for object in &item.objects {
            let b = object.shape.bounding_box().clipped(width, height);
            let (cx, cy) = b.center();
            let class = object.class;
            let _ =
                writeln!(label, "{class} {} {} {} {}", cx / width, cy / height, b.width() / width, b.height() / height);
        }
        let stem = made.file.strip_prefix("images/").unwrap_or(&made.file);
        let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
        put(folder, &format!("labels/{stem}.txt"), label.as_bytes())?;
        let list = lists.entry(item.part).or_default();
        for _ in 0..=item.repeats {
            let _ = writeln!(list, "./{}", made.file);
        }
    }
    let train = lists.entry(Part::Train).or_default().clone();
    let mut yaml = "# Written by Quarry; details are in manifest.json. Paths are relative to this file.\n".to_owned();
    for part in Part::ALL {
        let word = part.word();
        match lists.get(&part) {
            Some(list) => {
                put(folder, &format!("{word}.txt"), list.as_bytes())?;
                let _ = writeln!(yaml, "{word}: {word}.txt");
            }
            // ultralytics requires both.
            None if part == Part::Val && !train.is_empty() => yaml.push_str("val: train.txt # nothing was held out\n"),
            None => {}
        }
    }
    let _ = writeln!(yaml, "nc: {}\nnames:", plan.classes.len());
    for (k, class) in plan.classes.iter().enumerate() {
        // JSON text is also valid YAML.
        let _ = writeln!(yaml, "  {k}: {}", Value::from(class.as_str()));
    }
    put(folder, "data.yaml", yaml.as_bytes())
}

fn coco(plan: &Plan, items: &[Made], folder: &Path) -> Result<(), WorkflowError> {
    let categories: Vec<Value> =
        plan.classes.iter().enumerate().map(|(k, name)| json!({ "id": k + 1, "name": name })).collect();
    for part in Part::ALL {
        let of_part: Vec<&Made> = items.iter().filter(|made| made.item.part == part).collect();
        if of_part.is_empty() {
            continue;
        }
        let (mut images, mut annotations) = (Vec::new(), Vec::new());
        for (k, made) in of_part.into_iter().enumerate() {
            let (item, id) = (&made.item, k + 1);
            let (width, height) = size(item);
            images.push(json!({
                "id": id, "file_name": made.file, "width": width as u32, "height": height as u32,
                "name": item.image.name, "dataset": plan.datasets.get(&item.image.dataset), "weight": weight(item),
                "hard_negatives": item.negatives.len(),
            }));
            let objects = item.objects.iter().map(|o| (o.class, o.shape.bounding_box(), false, o.source));
            let ignored = item.ignored.iter().map(|(class, bbox)| (*class, *bbox, true, "ignored_region"));
            for (class, bbox, is_ignored, source) in objects.chain(ignored) {
                annotations.push(json!({
                    "id": annotations.len() + 1, "image_id": id, "category_id": class + 1,
                    "bbox": [bbox.x1, bbox.y1, bbox.width(), bbox.height()], "area": bbox.area(),
                    "iscrowd": u8::from(is_ignored), "source": source,
                }));
            }
        }
        let text = json!({
            "info": { "description": "Written by Quarry; details are in manifest.json." },
            "images": images, "annotations": annotations, "categories": categories,
        });
        put(folder, &format!("{}.json", part.word()), text.to_string().as_bytes())?;
    }
    Ok(())
}
