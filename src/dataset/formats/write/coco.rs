//! Writes COCO's instances: boxes, with ellipse, source, split and score as extra keys that other readers skip.

use serde_json::{Value, json};

use super::{Export, ExportImage, Written};

pub(super) fn write(export: &Export) -> Written {
    let images: Vec<Value> = export.images.iter().map(image).collect();
    let annotations: Vec<Value> = export.images.iter().flat_map(|image| annotations(export, image)).collect();
    let categories: Vec<Value> = export
        .classes
        .iter()
        .map(|class| match class.name.as_str() {
            "face" => json!({ "id": class.id, "name": "face", "supercategory": "person" }),
            name => json!({ "id": class.id, "name": name }),
        })
        .collect();
    let text = json!({
        "info": { "description": export.description },
        "images": images,
        "annotations": annotations,
        "categories": categories,
    });
    let mut losses = Vec::new();
    let mut paths: Vec<&str> = export.images.iter().map(|image| image.path.as_str()).collect();
    paths.sort_unstable();
    let repeated = paths.array_windows().filter(|[a, b]| a == b).count();
    super::lost(
        &mut losses,
        repeated,
        ["image has", "images have"],
        "the same file_name as one of another dataset; the key `dataset` tells these apart.",
    );
    Written {
        files: vec![("".into(), text.to_string().into_bytes())],
        objects: export.objects().count(),
        left_out: 0,
        losses,
    }
}

fn image(image: &ExportImage) -> Value {
    json!({
        "id": image.id, "file_name": image.path, "width": image.width, "height": image.height,
        "name": image.name, "dataset": image.dataset, "split": image.split,
    })
}

fn annotations(export: &Export, image: &ExportImage) -> impl Iterator<Item = Value> {
    image.objects.iter().map(move |object| {
        let b = object.shape.bounding_box();
        let ellipse = object.shape.ellipse().map(|e| [e.ra, e.rb, e.theta, e.cx, e.cy]);
        let mut value = json!({
            "id": object.id, "image_id": image.id, "category_id": export.classes.get(object.class).map(|class| class.id),
            "bbox": [b.x1, b.y1, b.width(), b.height()],
            "area": ellipse.map_or(b.area(), |[ra, rb, ..]| std::f64::consts::PI * ra * rb),
            "iscrowd": u8::from(object.ignored), "source": object.source, "ellipse": ellipse,
        });
        if let Some(score) = object.score {
            value.as_object_mut().map(|value| value.insert("score".to_owned(), json!(score)));
        }
        if let (Some(history), Some(value)) = (object.history, value.as_object_mut()) {
            value.insert("round".to_owned(), json!(history.round));
            value.insert("origin".to_owned(), json!(history.origin));
            value.insert("fate".to_owned(), json!(history.fate));
        }
        value
    })
}
