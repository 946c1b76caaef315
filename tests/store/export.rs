//! Ground truth as files for other programs.

use std::path::Path;

use quarry::domain::Shape;
use quarry::domain::{ClassId, Detection, HardNegativeSource, Verdict};
use quarry::evaluation::fddb_text::read_annotations;
use quarry::geometry::Ellipse;
use quarry::store::{NewDataset, Store};
use quarry::workflow::export::{
    DetectionFormat, ExportReport, ExportScope, WriteFormat, detections, ground_truth, hard_negatives, ignored_regions,
};
use quarry::workflow::verdicts::{VerdictFormat, export_as};
use serde_json::{Value, json};

use super::project::{Project, bb, dataset, face, new_image, project};

/// The small project with an ellipse, an ignored region, an image name that needs quoting in a table, and a promoted face.
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

fn written(store: &Store, format: WriteFormat, out: &Path) -> ExportReport {
    ground_truth(store, &ExportScope::default(), format, out).unwrap()
}

fn counts(report: &ExportReport) -> [usize; 6] {
    let r = report;
    [r.images, r.faces, r.imported, r.promoted, r.edited, r.left_out]
}

#[test]
fn fddbs_text_is_read_again_and_its_sources_stand_beside_it() {
    let p = annotated();
    let out = p.dir.path().join("faces.txt");
    let report = written(&p.store, WriteFormat::Fddb, &out);
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
    let report = written(&p.store, WriteFormat::Coco, &out);
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
    let refused = |store: &Store, out: &Path| {
        ground_truth(store, &ExportScope::default(), WriteFormat::Fddb, out).unwrap_err().to_string()
    };
    assert!(refused(&p.store, p.dir.path()).contains("is a folder"));
    // The same list from another folder, with other images: names alone do not identify the images.
    let mut twin = dataset();
    twin.root = "/photos/twin".into();
    twin.images.truncate(1);
    twin.images[0].content_hash = "of another image".to_owned();
    p.store.add_dataset(&twin).unwrap();
    let out = p.dir.path().join("faces.txt");
    let message = refused(&p.store, &out);
    assert!(message.contains("`a/one` is in two datasets") && message.contains("coco"), "{message}");
    assert!(!out.exists());
    written(&p.store, WriteFormat::Coco, &out);
}

#[test]
fn folders_of_yolo_and_voc_are_written_and_say_what_is_lost() {
    let p = annotated();
    let yolo = p.dir.path().join("out/yolo");
    let report = written(&p.store, WriteFormat::Yolo, &yolo);
    assert_eq!((report.objects, report.left_out, report.files.as_slice()), (5, 1, std::slice::from_ref(&yolo)));
    assert!(report.losses.iter().any(|loss| loss.starts_with("2 ellipses")), "{:?}", report.losses);
    let read = |path: &str| std::fs::read_to_string(yolo.join(path)).unwrap();
    assert!(
        read("labels/pics/a/two.txt").starts_with("0 0.078125 0.10416666666666667 0.15625 "),
        "{}",
        read("labels/pics/a/two.txt")
    );
    assert_eq!(read("labels/pics/b/FOUR_50%.txt"), "");
    assert_eq!(read("1.txt"), "./images/pics/a/one.jpg\n./images/pics/a/two.jpg\n");
    assert!(
        read("data.yaml").contains("train: train.txt\n") && read("data.yaml").contains("0: \"face\""),
        "{}",
        read("data.yaml")
    );
    let again = ground_truth(&p.store, &ExportScope::default(), WriteFormat::Yolo, &yolo).unwrap_err().to_string();
    assert!(again.contains("--force"), "{again}");
    let replaced = quarry::domain::Output::new(&yolo, true);
    ground_truth(&p.store, &ExportScope::default(), WriteFormat::Yolo, replaced).unwrap();
    let voc = p.dir.path().join("voc");
    let scope = ExportScope { dataset: Some("Small".to_owned()), split: Some("2".to_owned()) };
    let report = ground_truth(&p.store, &scope, WriteFormat::Voc, &voc).unwrap();
    assert_eq!((report.images, report.objects), (1, 1));
    assert_eq!(std::fs::read_to_string(voc.join("ImageSets/Main/2.txt")).unwrap(), "pics/b/three\n");
    let scope = ExportScope { dataset: Some("Large".to_owned()), split: None };
    let refused = ground_truth(&p.store, &scope, WriteFormat::Voc, &voc).unwrap_err().to_string();
    assert!(refused.contains("no dataset `Large`") && refused.contains("Small, More"), "{refused}");
}

#[test]
fn hard_negatives_and_ignored_regions_follow_the_verdicts() {
    let mut p = annotated();
    let ids = p.candidates();
    p.store.record_verdicts(&ids[1..3], "Ada", Verdict::Confirmed, None, 2).unwrap();
    p.store.record_verdicts(&ids[4..5], "Ada", Verdict::Rejected, None, 3).unwrap();
    let all = ExportScope::default();
    let out = p.dir.path().join("negatives.json");
    let report = hard_negatives(&p.store, &all, HardNegativeSource::Confirmed, WriteFormat::Coco, &out).unwrap();
    assert_eq!((report.images, report.objects), (2, 2));
    let coco: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let first = &coco["annotations"][0];
    assert_eq!((&first["source"], &first["category_id"]), (&json!("hard_negative"), &json!(1)));
    assert!((first["score"].as_f64().unwrap() - 0.8).abs() < 1e-6, "{first}");
    let unreviewed = p.dir.path().join("unreviewed.csv");
    let report = hard_negatives(&p.store, &all, HardNegativeSource::Unreviewed, WriteFormat::Csv, &unreviewed).unwrap();
    assert_eq!(report.objects, 4, "neither the promoted one nor the rejected one");
    for format in WriteFormat::ALL {
        let out = p.dir.path().join(format!("ignored-{}", format.as_str()));
        let report = ignored_regions(&p.store, &all, format, &out).unwrap();
        assert_eq!((report.images, report.objects, report.left_out), (1, 1, 0), "{format:?} {report:?}");
    }
    let coco = std::fs::read_to_string(p.dir.path().join("ignored-coco")).unwrap();
    assert!(coco.contains("\"iscrowd\":1") && coco.contains("\"ignored\""), "{coco}");
}

#[test]
fn detections_and_verdicts_are_written_for_other_programs() {
    let mut p = annotated();
    let images = p.store.images().unwrap();
    let out = p.dir.path().join("found.json");
    let all = ExportScope::default();
    let refused = detections(&p.store, &all, 1, DetectionFormat::Coco, false, &out).unwrap_err().to_string();
    assert!(refused.contains("round 1 has no detections"), "{refused}");
    assert!(
        detections(&p.store, &all, 7, DetectionFormat::Coco, false, &out)
            .unwrap_err()
            .to_string()
            .contains("no round 7")
    );
    let found = Detection { class: ClassId::ONLY, bbox: bb(1.0, 2.0, 4.0, 6.5), ellipse: None, score: 0.5 };
    p.store.replace_detections(p.round, &[(images[1].id, vec![found])]).unwrap();
    let done = detections(&p.store, &all, 1, DetectionFormat::Coco, false, &out).unwrap();
    assert_eq!((done.images, done.detections, done.ellipses_left_out), (5, 1, 0));
    let coco: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let expected =
        json!([{ "image_id": images[1].id.0, "category_id": 1, "bbox": [1.0, 2.0, 3.0, 4.5], "score": 0.5 }]);
    assert_eq!(coco, expected);
    let text = p.dir.path().join("found.txt");
    detections(&p.store, &all, 1, DetectionFormat::Fddb, false, &text).unwrap();
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("a/one\n0\na/two\n1\n1 2 3 4.5 0.5\n"));

    let refused = detections(&p.store, &all, 1, DetectionFormat::Coco, true, p.dir.path().join("x.json"))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("no detection of round 1 has an ellipse"), "{refused}");
    let ellipse = Some(Ellipse::new(2.5, 1.5, 0.25, 2.5, 4.25));
    p.store.replace_detections(p.round, &[(images[1].id, vec![Detection { ellipse, ..found }])]).unwrap();
    let again = |format, ellipses, name: &str| {
        let out = p.dir.path().join(name);
        let done = detections(&p.store, &all, 1, format, ellipses, &out).unwrap();
        (done.ellipses_left_out, std::fs::read_to_string(&out).unwrap())
    };
    assert_eq!(again(DetectionFormat::Coco, false, "boxes.json").0, 1);
    let (left_out, text) = again(DetectionFormat::Coco, true, "ellipses.json");
    assert!(left_out == 0 && text.contains("\"ellipse\":[2.5,4.25,2.5,1.5,0.25]"), "{text}");
    let (left_out, text) = again(DetectionFormat::Fddb, true, "ellipses.txt");
    assert!(left_out == 0 && text.contains("a/two\n1\n2.5 1.5 0.25 2.5 4.25 0.5\n"), "{text}");

    let mut names = |settings: &str, name: &str| {
        p.store.set_round_config(p.round, settings).unwrap();
        let out = p.dir.path().join(name);
        detections(&p.store, &all, 1, DetectionFormat::Fddb, false, &out).unwrap();
        std::fs::read_to_string(&out).unwrap()
    };
    let tested = images.iter().find(|image| image.split.is_some()).unwrap();
    let listed = names("test_splits = [\"10\"]", "all.txt");
    assert!(listed.contains(&format!("{}\n", tested.name)), "{listed}");
    let listed = names(&format!("test_splits = [{:?}]", tested.split.as_ref().unwrap()), "training.txt");
    assert!(!listed.contains(&format!("{}\n", tested.name)), "the round is tested on it: {listed}");

    let (list, table) = (p.dir.path().join("verdicts.json"), p.dir.path().join("verdicts.csv"));
    let ids = p.candidates();
    p.store.record_verdicts(&ids[1..2], "Ada, B.", Verdict::Rejected, Some("=1+1"), 5).unwrap();
    assert_eq!(export_as(&p.store, VerdictFormat::Json, &list).unwrap(), 2);
    let lines: Value = serde_json::from_slice(&std::fs::read(&list).unwrap()).unwrap();
    assert_eq!((lines.as_array().unwrap().len(), &lines[1]["verdict"]), (2, &json!("rejected")));
    export_as(&p.store, VerdictFormat::Csv, &table).unwrap();
    let text = std::fs::read_to_string(&table).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    let columns = rows[0].split(',').count();
    assert!(rows[1].contains(",missed_object,face,,ellipse 45 30 1.5 230 240,promoted,"), "{}", rows[1]);
    assert!(rows[2].contains("\"Ada, B.\"") && rows[2].contains(",rejected,,'=1+1,"), "{}", rows[2]);
    assert_eq!((rows.len(), rows[1].split(',').count()), (3, columns));
}

#[test]
fn crops_are_cut_out_and_listed() {
    let mut p = project();
    let root = p.dir.path().join("set");
    std::fs::create_dir_all(root.join("pics")).unwrap();
    let file = root.join("pics/real.jpg");
    image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8, y as u8, 7]))
        .save_with_format(&file, image::ImageFormat::Png)
        .unwrap();
    let mut real = new_image("real", None, Vec::new());
    real.content_hash = blake3::hash(&std::fs::read(&file).unwrap()).to_hex().to_string();
    (real.width, real.height) = (64, 48);
    let new = NewDataset {
        name: "Real".to_owned(),
        kind: "folder".to_owned(),
        root,
        classes: Vec::new(),
        images: vec![real, new_image("gone", None, Vec::new())],
    };
    p.store.add_dataset(&new).unwrap();
    let images = p.store.images().unwrap();
    let [image, gone] = ["real", "gone"].map(|name| images.iter().find(|image| image.name == name).unwrap().id);
    let round = p.store.start_round("").unwrap().id;
    let boxes = [image, gone].map(|image| super::project::candidate(image, bb(10.5, 20.0, 30.0, 40.25), 0.5));
    p.store.replace_candidates(round, &[image, gone], &boxes).unwrap();
    let out = p.dir.path().join("crops");
    let (mut seen, cancel) = (0, quarry::domain::Cancel::new());
    let mut crops = |dataset: Option<&str>| {
        let scope = ExportScope { dataset: dataset.map(str::to_owned), ..ExportScope::default() };
        let source = HardNegativeSource::Unreviewed;
        quarry::workflow::crops::crops(&p.store, &scope, source, &out, &mut |_| seen += 1, &cancel)
    };
    // The folder of the small project's images does not exist.
    let error = crops(None).unwrap_err().to_string();
    assert!(error.contains("/photos/small") && !out.exists(), "{error}");
    let report = crops(Some("Real")).unwrap();
    assert_eq!((report.crops, report.left_out.len(), seen), (1, 1, 1));
    let manifest = std::fs::read_to_string(out.join("manifest.csv")).unwrap();
    let row = manifest.lines().nth(1).unwrap();
    assert!(row.ends_with("Real,real,pics/real.jpg,10.5,20,30,40.25,face,background,0.5"), "{row}");
    let crop = image::open(out.join(row.split(',').next().unwrap())).unwrap().into_rgb8();
    assert_eq!((crop.dimensions(), crop.get_pixel(0, 0).0), ((20, 21), [10, 20, 7]));
    assert_eq!(manifest.lines().count(), 2);
}
