//! Round trips of every format that can represent the data; what a format cannot represent is reported.

use std::fmt::Write as _;

use std::path::Path;

use proptest::prelude::*;
use quarry::dataset::formats::write::{Export, ExportClass, ExportImage, ExportObject, WriteFormat, write};
use quarry::dataset::formats::{ReadOptions, recognise};
use quarry::domain::Shape;
use quarry::geometry::{BoundingBox, Ellipse};

use crate::support::{Set, read, text};

/// Images of 100 x 80 pixels.
const PATHS: [&str; 5] = ["a.png", "sub dir/a.png", "ü #%20 'q' & <x>.png", "images/b.png", "JPEGImages/c.png"];
const CLASSES: [&str; 4] = ["face", "tooth brush", "ü & <é> \"q\" 'x'", "7"];

/// What a format can represent.
#[allow(clippy::struct_excessive_bools, reason = "each is a question of its own")]
#[derive(Debug, Clone, Copy)]
struct Holds {
    ellipses: bool,
    ignored: bool,
    /// Any name, not only train, val, test and none.
    any_split: bool,
    /// Boxes that extend beyond the image.
    outside: bool,
}

fn object(holds: Holds) -> impl Strategy<Value = ExportObject> {
    // Quarters of pixels are exact in all formats.
    let low = if holds.outside { -12 } else { 0 };
    let corners = (low..300_i32, low..220_i32, 16..90_i32, 16..90_i32);
    (corners, 0..CLASSES.len(), any::<bool>(), any::<bool>(), -3.0..3.0_f64).prop_map(
        move |(corners, class, ellipse, ignored, theta)| {
            let (x, y, w, h) = (
                f64::from(corners.0) / 4.0,
                f64::from(corners.1) / 4.0,
                f64::from(corners.2) / 4.0,
                f64::from(corners.3) / 4.0,
            );
            let bbox = BoundingBox::from_xywh(x, y, w, h);
            let (cx, cy) = bbox.center();
            let shape = if ellipse && holds.ellipses {
                Shape::Ellipse(Ellipse::new(w, h, theta, cx.max(1.0), cy.max(1.0)))
            } else {
                Shape::Rectangle(bbox)
            };
            ExportObject {
                id: 0,
                class,
                shape,
                ignored: ignored && holds.ignored,
                source: "imported",
                score: None,
                history: None,
            }
        },
    )
}

fn export(holds: Holds) -> impl Strategy<Value = Export> {
    let splits = if holds.any_split {
        vec![None, Some("train"), Some("my split"), Some("3")]
    } else {
        vec![Some("train"), Some("val"), Some("test")]
    };
    let image = (proptest::collection::vec(object(holds), 0..5), proptest::sample::select(splits));
    proptest::collection::vec(image, PATHS.len()..=PATHS.len()).prop_map(|images| {
        let with_id =
            |k: usize| move |(n, object): (usize, ExportObject)| ExportObject { id: (10 * k + n) as i64 + 1, ..object };
        let image = |(k, (objects, split)): (usize, (Vec<ExportObject>, Option<&str>))| ExportImage {
            id: k as i64 + 1,
            name: PATHS[k].to_owned(),
            path: PATHS[k].to_owned(),
            dataset: "set".to_owned(),
            width: 100,
            height: 80,
            split: split.map(str::to_owned),
            objects: objects.into_iter().enumerate().map(with_id(k)).collect(),
        };
        let classes =
            CLASSES.iter().enumerate().map(|(k, name)| ExportClass { id: k as i64 * 3 + 1, name: (*name).to_owned() });
        Export {
            description: "Test".to_owned(),
            classes: classes.collect(),
            images: images.into_iter().enumerate().map(image).collect(),
        }
    })
}

/// Formats a dataset like `text`, sorted by image.
fn sorted(text: &str) -> Vec<String> {
    let mut images: Vec<String> = Vec::new();
    for line in text.lines() {
        match images.last_mut() {
            Some(image) if line.starts_with(' ') => image.push_str(line),
            _ => images.push(line.to_owned()),
        }
    }
    images.sort();
    images
}

fn expected(export: &Export) -> String {
    let mut text = String::new();
    for image in &export.images {
        let split = image.split.as_ref().map_or(String::new(), |split| format!(" [{split}]"));
        let _ = writeln!(text, "{}{split}", image.path);
        for object in &image.objects {
            let b = object.shape.bounding_box();
            let round = |v: f64| (v * 1000.0).round() / 1000.0 + 0.0;
            let ellipse = if object.shape.ellipse().is_some() { " ellipse" } else { "" };
            let ignored = if object.ignored { " ignored" } else { "" };
            let class = &export.classes[object.class].name;
            let corners = [b.x1, b.y1, b.x2, b.y2].map(round);
            let [x1, y1, x2, y2] = corners;
            let _ = writeln!(text, "  {class} {x1} {y1} {x2} {y2}{ellipse}{ignored}");
        }
    }
    text
}

/// Writes the files into `out`; returns the path to import.
fn put(format: WriteFormat, export: &Export, out: &Path) -> std::path::PathBuf {
    let written = write(format, export).unwrap();
    assert_eq!((written.left_out, written.losses.as_slice()), (0, [].as_slice()));
    for (path, bytes) in &written.files {
        let path = if path.as_os_str().is_empty() { out.join("file") } else { out.join(path) };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    if format.is_folder() { out.to_path_buf() } else { out.join("file") }
}

fn check_round_trip(format: WriteFormat, export: &Export) {
    let (set, out) = (Set::new(&PATHS), tempfile::tempdir().unwrap());
    let path = put(format, export, out.path());
    let options = ReadOptions { images: Some(set.path("")), strict: true, ..ReadOptions::default() };
    let dataset = read(format.as_str(), &path, &options).unwrap();
    assert_eq!(sorted(&text(&dataset).replace(" -0 ", " 0 ")), sorted(&expected(export)), "{:#?}", dataset.summary);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn coco_reads_back_what_it_writes(export in export(Holds { ellipses: true, ignored: true, any_split: true, outside: true })) {
        check_round_trip(WriteFormat::Coco, &export);
    }

    #[test]
    fn cvat_reads_back_what_it_writes(export in export(Holds { ellipses: true, ignored: true, any_split: true, outside: true })) {
        check_round_trip(WriteFormat::Cvat, &export);
    }

    #[test]
    fn voc_reads_back_what_it_writes(export in export(Holds { ellipses: false, ignored: true, any_split: true, outside: true })) {
        check_round_trip(WriteFormat::Voc, &export);
    }

    #[test]
    fn yolo_reads_back_what_it_writes(export in export(Holds { ellipses: false, ignored: false, any_split: false, outside: false })) {
        check_round_trip(WriteFormat::Yolo, &export);
    }
}

fn one_image(path: &str, objects: Vec<ExportObject>) -> Export {
    let image = ExportImage {
        id: 1,
        name: path.to_owned(),
        path: path.to_owned(),
        dataset: "set".to_owned(),
        width: 100,
        height: 80,
        split: None,
        objects,
    };
    let class = ExportClass { id: 1, name: "car".to_owned() };
    Export { description: String::new(), classes: vec![class], images: vec![image] }
}

fn plain(shape: Shape) -> ExportObject {
    ExportObject { id: 1, class: 0, shape, ignored: false, source: "imported", score: None, history: None }
}

#[test]
fn what_a_format_cannot_hold_is_counted_and_said() {
    let rectangle = plain(Shape::Rectangle(BoundingBox::new(-5.0, 1.0, 20.0, 30.0)));
    let ellipse = plain(Shape::Ellipse(Ellipse::new(9.0, 8.0, 0.0, 40.0, 40.0)));
    let ignored = ExportObject { ignored: true, ..rectangle.clone() };
    let promoted = ExportObject { source: "promoted", score: Some(0.5), ..ellipse.clone() };
    let export = one_image("a.png", vec![rectangle, ellipse, ignored, promoted]);
    let check = |format: WriteFormat, left_out: usize, words: &[&str]| {
        let written = write(format, &export).unwrap();
        assert_eq!(
            (written.left_out, written.losses.len(), written.objects),
            (left_out, words.len(), 4 - left_out),
            "{written:?}"
        );
        for (loss, words) in written.losses.iter().zip(words) {
            assert!(loss.starts_with(words), "{loss}");
        }
    };
    check(WriteFormat::Coco, 0, &[]);
    check(WriteFormat::Cvat, 0, &[]);
    check(WriteFormat::Csv, 0, &[]);
    check(WriteFormat::Voc, 0, &["2 ellipses"]);
    check(
        WriteFormat::Yolo,
        1,
        &["1 ignored", "2 ellipses", "1 object is promoted", "1 box that reaches", "1 score is"],
    );
    check(WriteFormat::Fddb, 1, &["1 ignored", "1 rectangle is", "3 objects are of other classes", "1 score is"]);
}

#[test]
fn exports_of_images_in_folders_are_recognised() {
    let export =
        one_image("2002/08/11/big/img_591.jpg", vec![plain(Shape::Rectangle(BoundingBox::new(1.0, 1.0, 9.0, 9.0)))]);
    for format in [WriteFormat::Coco, WriteFormat::Yolo, WriteFormat::Voc, WriteFormat::Cvat] {
        let out = tempfile::tempdir().unwrap();
        // The file's name says nothing, but an ending is needed.
        let mut path = put(format, &export, out.path());
        if path.is_file() {
            let named = path.with_extension(if format == WriteFormat::Cvat { "xml" } else { "json" });
            std::fs::rename(&path, &named).unwrap();
            path = named;
        }
        let (found, why) = recognise(&path).unwrap();
        assert_eq!(found.name(), format.as_str(), "{why}");
    }
}

#[test]
fn voc_tells_names_apart_that_differ_in_a_space_before_them() {
    let object = |size: f64| vec![plain(Shape::Rectangle(BoundingBox::new(1.0, 1.0, size, size)))];
    let mut export = one_image("a.png", object(20.0));
    export.images[0].split = Some("train".to_owned());
    let spaced = ExportImage { path: " a.png".to_owned(), split: Some("val".to_owned()), ..export.images[0].clone() };
    export.images.push(ExportImage { objects: object(30.0), ..spaced });
    let (set, out) = (Set::new(&["a.png", " a.png"]), tempfile::tempdir().unwrap());
    let path = put(WriteFormat::Voc, &export, out.path());
    let options = ReadOptions { images: Some(set.path("")), strict: true, ..ReadOptions::default() };
    let dataset = read("voc", &path, &options).unwrap();
    let mut found: Vec<_> = dataset
        .images
        .iter()
        .map(|i| (i.path.to_str().unwrap(), i.split.as_deref(), i.objects[0].shape.bounding_box().x2))
        .collect();
    found.sort_by_key(|image| image.0);
    assert_eq!(found, [(" a.png", Some("val"), 30.0), ("a.png", Some("train"), 20.0)], "{:#?}", dataset.summary);
}

#[test]
fn fddb_lists_read_back_as_fddb() {
    let set = Set::new(&[]);
    set.image("originalPics/a/1.jpg", 100, 80, 7);
    let mut export =
        one_image("originalPics/a/1.jpg", vec![plain(Shape::Ellipse(Ellipse::new(9.5, 8.25, 0.3, 40.1, 40.0)))]);
    export.images[0].name = "a/1".to_owned();
    let written = write(WriteFormat::Fddb, &export).unwrap();
    set.write("FDDB-folds/FDDB-fold-01.txt", "a/1\n");
    set.write("FDDB-folds/FDDB-fold-01-ellipseList.txt", &written.files[0].1);
    let dataset = set.read("fddb", "").unwrap();
    assert_eq!(dataset.images[0].objects[0].shape, export.images[0].objects[0].shape);
}

#[test]
fn images_that_a_format_cannot_tell_apart_are_refused_with_advice() {
    let mut export = one_image("a.png", Vec::new());
    let second = ExportImage { path: "a.jpg".to_owned(), ..export.images[0].clone() };
    export.images.push(second);
    let error = write(WriteFormat::Yolo, &export).unwrap_err();
    assert!(error.contains("`a.png`") && error.contains("`a.jpg`") && error.contains("coco"), "{error}");
    let files = write(WriteFormat::Voc, &export).unwrap().files;
    assert!(files.iter().any(|(path, _)| path == Path::new("Annotations/a.png.xml")), "{files:?}");
    export.images[1].path = "a\n.png".to_owned();
    assert!(write(WriteFormat::Yolo, &export).unwrap_err().contains("line break"));
    export.images[1].path = "a.png".to_owned();
    for format in [WriteFormat::Voc, WriteFormat::Cvat, WriteFormat::Fddb] {
        assert!(write(format, &export).unwrap_err().contains("--dataset"), "{format:?}");
    }
}
