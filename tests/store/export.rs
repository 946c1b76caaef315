//! Ground truth as files for other programs.

use std::path::Path;

use quarry::domain::Shape;
use quarry::evaluation::fddb_text::read_annotations;
use quarry::geometry::Ellipse;
use quarry::store::{NewDataset, Store};
use quarry::workflow::export::{TruthFormat, TruthReport, ground_truth};
use serde_json::{Value, json};

use super::project::{Project, bb, dataset, face, new_image, project};

/// The small project with an ellipse, an ignored region, an image name that a table has to quote, and a promoted face.
fn annotated() -> Project {
    let mut p = project();
    let ellipse = Shape::Ellipse(Ellipse::new(31.5, 20.25, 1.234_567_890_123, 50.0, 60.5));
    let faces = vec![
        quarry::domain::Annotation { shape: ellipse, ..face(bb(0., 0., 1., 1.)) },
        quarry::domain::Annotation { ignored: true, ..face(bb(200., 0., 240., 40.)) },
    ];
    let images = vec![new_image("odd,name", None, faces)];
    let (name, kind, root) = ("More".to_owned(), "folder".to_owned(), "/photos/more".into());
    p.store.add_dataset(&NewDataset { name, kind, root, classes: vec!["face".to_owned()], images }).unwrap();
    let drawn = Shape::Ellipse(Ellipse::new(45.0, 30.0, 1.5, 230.0, 240.0));
    let id = p.candidates()[0];
    p.store.record_missed_object(id, "Ada", (drawn, None), None, 1).unwrap();
    p
}

fn written(store: &Store, format: TruthFormat, out: &Path) -> TruthReport {
    ground_truth(store, format, out).unwrap()
}

fn counts(report: &TruthReport) -> [usize; 6] {
    let r = report;
    [r.images, r.faces, r.imported, r.promoted, r.edited, r.left_out]
}

#[test]
fn fddbs_text_is_read_again_and_its_sources_stand_beside_it() {
    let p = annotated();
    let out = p.dir.path().join("faces.txt");
    let report = written(&p.store, TruthFormat::Fddb, &out);
    assert_eq!(counts(&report), [5, 5, 4, 1, 0, 1]);
    assert_eq!(report.files, [out.clone(), p.dir.path().join("faces.sources.csv")]);
    let read = read_annotations(&out).unwrap();
    let names: Vec<(&str, usize)> = read.iter().map(|block| (block.name.as_str(), block.regions.len())).collect();
    assert_eq!(names, [("a/one", 2), ("a/two", 1), ("b/three", 1), ("b/FOUR_50%", 0), ("odd,name", 1)]);
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("\n50 50 1.5707963267948966 50 50  1\n"), "a rectangle as the ellipse in it: {text}");
    assert!(text.ends_with("odd,name\n1\n31.5 20.25 1.234567890123 50 60.5  1\n"), "{text}");
    let sources = std::fs::read_to_string(&report.files[1]).unwrap();
    let lines: Vec<&str> = sources.lines().collect();
    assert_eq!(lines[..3], ["image,face,source,shape", "a/one,1,imported,rectangle", "a/one,2,promoted,ellipse"]);
    assert_eq!(lines.last(), Some(&"\"odd,name\",1,imported,ellipse"));
}

#[test]
fn coco_holds_boxes_ellipses_sources_and_ignored_regions() {
    let p = annotated();
    let out = p.dir.path().join("faces.json");
    let report = written(&p.store, TruthFormat::Coco, &out);
    assert_eq!(counts(&report), [5, 6, 5, 1, 0, 0]);
    let coco: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let image = &coco["images"][0];
    assert_eq!((&image["file_name"], &image["dataset"]), (&json!("pics/a/one.jpg"), &json!("Small")));
    let faces = coco["annotations"].as_array().unwrap();
    let promoted: Vec<&Value> = faces.iter().filter(|face| face["source"] == "promoted").collect();
    assert_eq!(promoted.len(), 1);
    assert_eq!(promoted[0]["ellipse"], json!([45.0, 30.0, 1.5, 230.0, 240.0]));
    assert_eq!(promoted[0]["image_id"], image["id"]);
    assert_eq!((&faces[0]["bbox"], &faces[0]["area"]), (&json!([0.0, 0.0, 100.0, 100.0]), &json!(10_000.0)));
    assert_eq!(faces.iter().filter(|face| face["iscrowd"] == 1).count(), 1);
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_nothing() {
    let mut p = annotated();
    let refused = |store: &Store, out: &Path| ground_truth(store, TruthFormat::Fddb, out).unwrap_err().to_string();
    assert!(refused(&p.store, p.dir.path()).contains("is a folder"));
    // The same list from another folder, with other photographs: names alone do not tell the images apart.
    let mut twin = dataset();
    twin.root = "/photos/twin".into();
    twin.images.truncate(1);
    twin.images[0].content_hash = "of another photograph".to_owned();
    p.store.add_dataset(&twin).unwrap();
    let out = p.dir.path().join("faces.txt");
    let message = refused(&p.store, &out);
    assert!(message.contains("`a/one` is in two datasets") && message.contains("coco"), "{message}");
    assert!(!out.exists());
    written(&p.store, TruthFormat::Coco, &out);
}
