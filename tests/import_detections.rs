//! Any detector's detections as rounds of a project: what is imported, what is reported with file and line, and what is asked instead of
//! guessed.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/exif.rs"]
mod exif;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use quarry::domain::HardNegativeSource;
use quarry::store::Store;
use serde_json::Value;

use exif::with_orientation;

/// A project `p` with an FDDB dataset: `one` (an object) and `two` (none) in fold 1, `three` (an object) in the test fold 10.
struct Scene {
    dir: tempfile::TempDir,
}

/// The object's box is about 12 8 16 24. The second detection contains nothing.
const ON_OBJECT: [f64; 4] = [12.0, 8.0, 16.0, 24.0];
const BESIDE: [f64; 4] = [44.0, 4.0, 12.0, 12.0];

impl Scene {
    fn new() -> Self {
        let scene = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(scene.at("fddb/FDDB-folds")).unwrap();
        std::fs::create_dir_all(scene.at("fddb/originalPics/big")).unwrap();
        for (name, shade) in [("one", 40_u8), ("two", 120), ("three", 200)] {
            let pixel = |x, y| image::Luma([shade.wrapping_add((x * y % 30) as u8)]);
            let picture = image::GrayImage::from_fn(64, 48, pixel);
            picture.save(scene.at(&format!("fddb/originalPics/big/{name}.jpg"))).unwrap();
        }
        scene.write("fddb/FDDB-folds/FDDB-fold-01.txt", "big/one\nbig/two\n");
        scene
            .write("fddb/FDDB-folds/FDDB-fold-01-ellipseList.txt", "big/one\n1\n12 8 1.5707963 20 20  1\nbig/two\n0\n");
        scene.write("fddb/FDDB-folds/FDDB-fold-10.txt", "big/three\n");
        scene.write("fddb/FDDB-folds/FDDB-fold-10-ellipseList.txt", "big/three\n1\n12 8 1.5707963 20 20  1\n");
        scene.run(&["new", "p"]).success();
        scene.run(&["import", "fddb", "fddb", "--project", "p"]).success();
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn run(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        Command::cargo_bin("quarry").unwrap().current_dir(self.dir.path()).args(args).assert()
    }

    fn import(&self, file: &str, more: &[&str]) -> Value {
        let args = ["import", "detections", file, "--project", "p", "--json"];
        let done = self.run(&[&args, more].concat()).success();
        serde_json::from_slice(&done.get_output().stdout).unwrap()
    }

    /// Fails with all of these words, and adds no round to the project.
    fn refused(&self, file: &str, more: &[&str], expected: &[&str]) {
        let before = self.rounds();
        let args = ["import", "detections", file, "--project", "p", "--name", "m"];
        let failed = self.run(&[&args, more].concat()).code(1);
        let message = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        for part in expected {
            assert!(message.contains(part), "{file}: {message:?} lacks {part:?}");
        }
        assert_eq!(self.rounds(), before, "{file}: {message}");
    }

    fn rounds(&self) -> Value {
        let done = self.run(&["status", "--project", "p", "--json"]).success();
        serde_json::from_slice::<Value>(&done.get_output().stdout).unwrap()["rounds"].clone()
    }
}

fn record(image: &str, [x, y, w, h]: [f64; 4], score: f64) -> String {
    format!(
        r#"{{"file_name": "{image}", "image_id": 1, "category_id": 1, "bbox": [{x}, {y}, {w}, {h}], "score": {score}}}"#
    )
}

/// A detection next to the object on each image, and one on the object if there is one.
fn all() -> Vec<(&'static str, [f64; 4], f64)> {
    vec![
        ("big/one", ON_OBJECT, 0.9),
        ("big/one", BESIDE, 0.8),
        ("big/two", BESIDE, 0.7),
        ("big/three", ON_OBJECT, 0.95),
        ("big/three", BESIDE, 0.6),
    ]
}

fn result_list() -> String {
    let records: Vec<String> = all().into_iter().map(|(image, bbox, score)| record(image, bbox, score)).collect();
    format!("[{}]", records.join(",\n"))
}

#[test]
fn results_of_several_models_are_rounds_side_by_side() {
    let scene = Scene::new();
    scene.write("r.json", &result_list());
    let dry = scene.import("r.json", &["--name", "yolo", "--dry-run"]);
    assert_eq!((dry["candidates"].as_u64(), dry["round"].is_null()), (Some(2), true));
    assert_eq!(scene.rounds(), Value::Array(Vec::new()));
    let check = |name: &str, round: u64, of_model: u64| {
        let report = scene.import("r.json", &["--name", name]);
        assert_eq!((report["round"].as_u64(), report["model_round"].as_u64()), (Some(round), Some(of_model)), "{name}");
        // The detection next to the test image's object is evaluated, never mined.
        assert_eq!((report["detections"].as_u64(), report["candidates"].as_u64()), (Some(5), Some(2)));
        assert_eq!((report["test_images"].as_u64(), report["recall"].as_f64()), (Some(1), Some(1.0)));
    };
    check("yolo", 1, 1);
    check("rt detr", 2, 1);
    check("yolo", 3, 2);
    let rounds = scene.rounds();
    let told: Vec<(&str, u64, &str, u64)> = rounds
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            let (model, state) = (r["model"].as_str().unwrap(), r["state"].as_str().unwrap());
            (model, r["model_round"].as_u64().unwrap(), state, r["candidates"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(told, [("yolo", 1, "mined", 2), ("rt detr", 1, "mined", 2), ("yolo", 2, "mined", 2)]);
    assert_eq!(rounds[0]["curves"][0]["at"][0][1].as_f64(), Some(1.0), "{rounds}");
    scene.run(&["group", "--project", "p"]).success();
}

#[test]
fn an_import_while_the_images_are_away_is_one_round_that_is_grouped_later() {
    let scene = Scene::new();
    scene.write("r.json", &result_list());
    let (here, away) = (scene.at("fddb/originalPics"), scene.at("away"));
    std::fs::rename(&here, &away).unwrap();
    let report = scene.import("r.json", &["--name", "yolo"]);
    assert_eq!((report["round"].as_u64(), report["candidates"].as_u64()), (Some(1), Some(2)));
    let notes = report["notes"].to_string();
    assert!(notes.contains("not grouped") && notes.contains("quarry group"), "{notes}");
    assert_eq!(scene.rounds()[0]["state"], "mined");
    scene.run(&["group", "--project", "p"]).code(1);
    std::fs::rename(&away, &here).unwrap();
    scene.run(&["group", "--project", "p"]).success();
}

/// At every point of the stored curve the test images show as many false positives and missed objects as the curve counts.
#[test]
fn a_curves_point_is_made_of_the_errors_that_the_images_show() {
    use quarry::evaluation::RocCurve;
    use quarry::workflow::inspect::{FileProblems, ImageQuery, Inspector, OpenQuery, OutputShape, Role};
    let scene = Scene::new();
    scene.write("r.json", &result_list());
    scene.import("r.json", &["--name", "yolo"]);
    let store = Store::open_read_only(&scene.at("p/quarry.db")).unwrap();
    let round = store.rounds().unwrap()[0].id;
    let row = store.curves(round).unwrap().into_iter().find(|row| row.label == "rectangle").unwrap();
    let curve: RocCurve = serde_json::from_str(&row.json).unwrap();
    let mut inspector = Inspector::default();
    assert!(curve.points.len() > 1);
    for point in &curve.points {
        let threshold = point.threshold as f32;
        let query = ImageQuery {
            round: Some(round),
            threshold,
            shape: Some(OutputShape::Rectangle),
            role: Some(Role::HeldOut),
            ..ImageQuery::default()
        };
        let listing = inspector.list(&store, &query, &FileProblems::new()).unwrap();
        let counted = (u64::from(listing.counts.false_positives), f64::from(listing.counts.true_positives));
        assert_eq!(counted, (point.false_positives, point.discrete), "from {threshold}");
        assert_eq!(u64::from(listing.counts.missed), curve.faces - point.discrete as u64);
        for row in &listing.images {
            let image = listing.table.images[row.at as usize].record.id;
            let (round, shape) = (Some(round), Some(OutputShape::Rectangle));
            let opened = inspector.open(&store, &OpenQuery { image, round, against: None, threshold, shape }).unwrap();
            assert_eq!(Some(opened.sides[0].judged.counts()), row.counts, "the open image counts as the list does");
            assert!(opened.sides[0].candidates.is_empty());
        }
    }
}

/// A list that holds a file twice: each candidate is reviewed once, and the evaluation is that of the file.
#[test]
fn exact_repetitions_are_one_candidate_and_are_told() {
    let scene = Scene::new();
    let records: Vec<String> = all().iter().map(|(image, bbox, score)| record(image, *bbox, *score)).collect();
    let nearly = record("two", BESIDE, 0.299);
    scene.write("once.json", &format!("[{},{nearly}]", records.join(",")));
    scene.write("twice.json", &format!("[{0},{nearly},{0}]", records.join(",")));
    let once = scene.import("once.json", &["--name", "once"]);
    let twice = scene.import("twice.json", &["--name", "twice"]);
    let key = |report: &Value, key: &str| report[key].clone();
    for count in ["candidates", "background", "localisation", "duplicate", "recall"] {
        assert_eq!(key(&once, count), key(&twice, count), "{count}");
    }
    let notes = twice["notes"].to_string();
    let on_test = all().iter().filter(|(image, ..)| *image == "big/three").count();
    let on_training = all().len() - on_test;
    assert!(notes.contains(&format!("{on_training} detections repeat an earlier one exactly")), "{notes}");
    assert!(notes.contains(&format!("{on_test} detections on test images repeat")), "{notes}");
    assert!(!once["notes"].to_string().contains("repeat"));
    let detections = |report: &Value| report["detections"].as_u64().unwrap();
    assert_eq!(detections(&twice) - detections(&once), on_test as u64);
}

#[test]
fn a_round_learns_from_another_model_only_where_that_is_chosen() {
    let scene = Scene::new();
    scene.write("r.json", &result_list());
    scene.import("r.json", &["--name", "yolo"]);
    let store = Store::open(&scene.at("p/quarry.db")).unwrap();
    let count = |models: &[&str]| -> usize {
        let models: Vec<String> = models.iter().map(|&model| model.to_owned()).collect();
        let found = store.hard_negatives_with(HardNegativeSource::Unreviewed, 9, &models).unwrap();
        found.values().map(Vec::len).sum()
    };
    assert_eq!((count(&[]), count(&["other"]), count(&["yolo"])), (0, 0, 2));
    assert!(store.hard_negatives(HardNegativeSource::Unreviewed, 9).unwrap().is_empty());
    // Other programs get those of all models: the model's owner trains it with them.
    let to = ["--format", "coco", "--out", "negatives.json"];
    scene.run(&[&["export", "hard-negatives", "--unreviewed", "--project", "p"], &to[..]].concat()).success();
    let written: Value = serde_json::from_slice(&std::fs::read(scene.at("negatives.json")).unwrap()).unwrap();
    assert_eq!(written["annotations"].as_array().unwrap().len(), 2, "{written}");
}

#[test]
fn every_format_gives_the_same_round() {
    let scene = Scene::new();
    scene.write("list.json", &result_list());
    let lines: Vec<String> = all().into_iter().map(|(image, bbox, score)| record(image, bbox, score)).collect();
    scene.write("lines.jsonl", &lines.join("\n"));
    let mut fddb = String::new();
    for image in ["big/one", "big/two", "big/three"] {
        let of_image: Vec<_> = all().into_iter().filter(|(name, ..)| *name == image).collect();
        writeln!(fddb, "{image}\n{}", of_image.len()).unwrap();
        for (_, [x, y, w, h], score) in of_image {
            writeln!(fddb, "{x} {y} {w} {h} {score}").unwrap();
        }
    }
    scene.write("fddb.txt", &fddb);
    let mut table = "filename;x1;y1;x2;y2;confidence;class\n".to_owned();
    for (image, [x, y, w, h], score) in all() {
        writeln!(table, "{image}.jpg;{x};{y};{};{};{score};Face", x + w, y + h).unwrap();
    }
    scene.write("table.csv", &table);
    for (image, [x, y, w, h], score) in all() {
        let (cx, cy) = ((x + w / 2.0) / 64.0, (y + h / 2.0) / 48.0);
        let (w, h) = (w / 64.0, h / 48.0);
        for (folder, line) in [
            ("last", format!("0 {cx} {cy} {w} {h} {score}\n")),
            ("first", format!("0 {score} {cx} {cy} {w} {h}\n")),
            ("corners", {
                let (x1, y1, x2, y2) = (cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0);
                format!("0 {x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2} {score}\n")
            }),
        ] {
            // Detectors write only the file name.
            let path = format!("{folder}/labels/{}.txt", Path::new(image).file_name().unwrap().to_string_lossy());
            let before = std::fs::read_to_string(scene.at(&path)).unwrap_or_default();
            scene.write(&path, &(before + &line));
        }
    }
    for file in ["list.json", "lines.jsonl", "fddb.txt", "table.csv", "last", "first", "corners"] {
        let report = scene.import(file, &["--name", file]);
        let told = ["detections", "candidates", "background", "skipped"].map(|key| report[key].as_u64().unwrap());
        assert_eq!(told, [5, 2, 2, 0], "{file}: {report}");
        assert_eq!(report["recall"].as_f64(), Some(1.0), "{file}");
    }
}

#[test]
fn an_empty_list_is_a_round_with_recall_0_and_missing_scores_stay_unknown() {
    let scene = Scene::new();
    scene.write("empty.json", "[]\n");
    let report = scene.import("empty.json", &["--name", "blind"]);
    assert_eq!((report["recall"].as_f64(), report["candidates"].as_u64()), (Some(0.0), Some(0)));
    assert_eq!(scene.rounds()[0]["state"], "mined");
    scene.write("unscored.json", &result_list().replace("\"score\": 0.7", "\"score\": null"));
    let report = scene.import("unscored.json", &["--name", "unscored"]);
    assert_eq!((report["without_score"].as_u64(), report["candidates"].as_u64()), (Some(1), Some(2)));
    assert!(report["recall"].is_null() && report["notes"].to_string().contains("has no score"), "{report}");
    assert_eq!(scene.rounds()[1]["without_score"].as_u64(), Some(1));
}

#[test]
fn what_does_not_fit_is_told_with_file_and_line() {
    let scene = Scene::new();
    let good = record("big/one", BESIDE, 0.8);
    let bad = [
        record("gone.jpg", BESIDE, 0.8),
        record("big/one", [500.0, 4.0, 12.0, 12.0], 0.8),
        record("big/one", BESIDE, 1.5),
        record("big/one", [5.0, 5.0, -3.0, 4.0], 0.5),
        r#"{"category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}"#.to_owned(),
    ];
    scene.write(
        "r.json",
        &format!("[{good},\n{},\n{},\n{good},\n{good},\n{good}]", bad[..3].join(",\n"), bad[3..].join(",\n")),
    );
    let report = scene.import("r.json", &["--name", "m"]);
    let told: Vec<(u64, &str)> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| (problem["line"].as_u64().unwrap(), problem["problem"].as_str().unwrap()))
        .collect();
    let words = ["no image 'gone.jpg'", "outside its image", "score 1.5 is outside", "-3 wide", "no `image_id`"];
    assert_eq!(told.len(), words.len(), "{told:?}");
    for (k, word) in words.iter().enumerate() {
        assert!(told[k].0 == k as u64 + 2 && told[k].1.contains(word), "{:?} lacks {word:?}", told[k]);
    }
    scene.refused("r.json", &["--strict"], &["r.json:2", "gone.jpg", "--strict"]);
}

#[test]
fn what_can_be_understood_in_two_ways_is_asked() {
    let scene = Scene::new();
    let check = |name: &str, text: &str, more: &[&str], expected: &[&str]| {
        scene.write(name, text);
        let path = Path::new(name).parent().filter(|folder| !folder.as_os_str().is_empty());
        let path = path.map_or(name.to_owned(), |folder| folder.to_string_lossy().into_owned());
        scene.refused(&path, more, expected);
    };
    let list = result_list();
    check("cut.json", &list[..list.len() - 9], &[], &["cut.json:5", "cut off"]);
    check("strangers.json", &format!("[{}]", record("x", BESIDE, 0.5)), &[], &["none of its 1 detection is", "'x'"]);
    check("fractions.json", &format!("[{}]", record("big/one", [0.2, 0.2, 0.3, 0.3], 0.5)), &[], &["--coordinates"]);
    check("percent.json", &format!("[{}]", record("big/one", BESIDE, 80.0)), &[], &["80", "--scores percent"]);
    check("dataset.json", r#"{"images": [], "annotations": []}"#, &[], &["COCO dataset", "--ground-truth"]);
    check(
        "two.json",
        &list.replacen("\"category_id\": 1", "\"category_id\": 2", 1),
        &[],
        &["1, 2", "`face`", "--names"],
    );
    check("pixels/one.txt", "0 20 20 16 24 0.9\n", &[], &["like pixels", "--coordinates pixels"]);
    check("unclear/one.txt", "0 0.5 0.5 0.5 0.25 0.25\n", &[], &["--confidence last"]);
    check("cut.csv", "image,x1,y1,x2,y2,score\nbig/one,1,2,9,9,0.5\nbig/one,1,2", &[], &["cut.csv:3", "cut off"]);
    check("cut.txt", "big/one\n2\n1 2 3 4 0.5\n", &["--format", "fddb"], &["cut.txt:1", "cut off"]);
    check("what.txt", "some words\nmore words\n", &[], &["--format coco, fddb, yolo or csv"]);
    check(
        "id.json",
        r#"[{"image_id": 5, "bbox": [1, 2, 9, 9], "score": 0.5}]"#,
        &[],
        &["image id 5", "--ground-truth"],
    );
    // Following the message's advice works.
    scene.write(
        "gt.json",
        r#"{"images": [{"id": 5, "file_name": "big/two.jpg"}], "categories": [{"id": 3, "name": "face"}]}"#,
    );
    scene.write("ids.json", r#"[{"image_id": 5, "category_id": 3, "bbox": [0.2, 0.2, 0.3, 0.3], "score": 60}]"#);
    let said = ["--ground-truth", "gt.json", "--coordinates", "fractions", "--scores", "percent"];
    let report = scene.import("ids.json", &[&["--name", "m"], &said[..]].concat());
    assert_eq!(report["candidates"].as_u64(), Some(1), "{report}");
}

#[test]
fn class_numbers_are_mapped_by_name() {
    let scene = Scene::new();
    scene.write("classes.txt", "person\nface\n");
    scene.write("r.json", &result_list().replacen("\"category_id\": 1", "\"category_id\": 0", 1));
    let report = scene.import("r.json", &["--name", "m", "--names", "classes.txt"]);
    assert_eq!((report["detections"].as_u64(), report["skipped"].as_u64()), (Some(4), Some(1)));
    let problem = report["problems"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("no class 'person'") && problem.contains("`face`"), "{problem}");
}

/// The result of each file in a dry run: `(detections, skipped, without a score)`, or the words of the refusal.
#[test]
fn odd_files_are_understood_or_refused_by_name() {
    type Expected<'a> = Result<(u64, u64, u64), &'a [&'a str]>;
    let scene = Scene::new();
    let record = |more: Value| {
        let mut all = serde_json::json!({"file_name": "big/one", "category_id": 1, "bbox": BESIDE, "score": 0.8});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all.to_string()
    };
    let one = |more: Value| format!("[{}]", record(more));
    let good = record(Value::Object(serde_json::Map::new()));
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let one_of = |text: &str| one(json(text));
    let absolute = scene.at("fddb/originalPics/big/one.jpg");
    let table = |header: &str, row: &str| format!("{header}\n{row}\n");
    let corners = "image,x1,y1,x2,y2,score";
    let check = |name: &str, text: &[u8], expected: Expected<'_>| {
        let path = scene.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let given = Path::new(name).parent().filter(|folder| !folder.as_os_str().is_empty());
        let given = given.map_or(name.to_owned(), |folder| folder.to_string_lossy().into_owned());
        match expected {
            Ok((detections, skipped, without_score)) => {
                let report = scene.import(&given, &["--name", "m", "--dry-run"]);
                let told = ["detections", "skipped", "without_score"].map(|key| report[key].as_u64().unwrap());
                assert_eq!(told, [detections, skipped, without_score], "{name}: {report}");
            }
            Err(words) => scene.refused(&given, &["--dry-run"], words),
        }
    };
    // Invalid or empty files.
    check("blank.json", b" \n", Err(&["blank.json"]));
    check("nested.json", b"[[]]", Err(&["nested.json:1", "record"]));
    check("object.json", b"{}", Err(&["none of 1 record can", "object.json:1"]));
    check("deep.json", "[".repeat(100_000).as_bytes(), Err(&["deep.json:1"]));
    check("utf16.json", b"\xff\xfe[\0]\0", Err(&["utf16.json: the text is UTF-16", "iconv"]));
    check("utf16.csv", b"i\0m\0a\0g\0e\0,\0", Err(&["utf16.csv: the text is UTF-16"]));
    check("utf16/one.txt", b"\xfe\xff\x000\0 ", Err(&["one.txt: the text is UTF-16"]));
    check("latin1.json", b"[\n{\"file_name\": \"caf\xe9\"}]", Err(&["latin1.json:2: the text is not UTF-8", "iconv"]));
    check(
        "latin1.csv",
        b"image,x1,y1,x2,y2\ncaf\xe9,1,1,9,9\n",
        Err(&["latin1.csv:2: the text is not UTF-8", "iconv"]),
    );
    // YOLOv5's `results.pandas().xyxy[0].to_csv()`.
    let pandas = ",xmin,ymin,xmax,ymax,confidence,class,name\n0,1.5,2.5,30.5,40.5,0.9,0,face\n";
    check(
        "pandas.csv",
        pandas.as_bytes(),
        Err(&["pandas.csv:1: ", "no image column", "YOLOv5", "add a column `image`"]),
    );
    let pandas = "image,xmin,ymin,xmax,ymax,confidence,class,name\nbig/one,1.5,2.5,30.5,40.5,0.9,0,face\n";
    check("pandas-image.csv", pandas.as_bytes(), Ok((1, 0, 0)));
    check("bom.json", &[b"\xef\xbb\xbf", format!("[{good}]").as_bytes()].concat(), Ok((1, 0, 0)));
    check("header.csv", format!("{corners}\n").as_bytes(), Ok((0, 0, 0)));
    check("empty/one.txt", b"", Ok((0, 0, 0)));
    check("comma.json", format!("[{good},]").as_bytes(), Err(&["comma.json:1"]));
    // Scores.
    check("missing.json", good.replace(r#","score":0.8"#, "").as_bytes(), Ok((1, 0, 1)));
    check("text.json", one_of(r#"{"score": "0.8"}"#).as_bytes(), Ok((1, 0, 0)));
    check("nan.json", one_of("{}").replace("0.8", "NaN").as_bytes(), Err(&["nan.json:1"]));
    check("endless.json", one_of("{}").replace("0.8", "1e999").as_bytes(), Err(&["endless.json:1"]));
    check("logits.json", one_of(r#"{"score": -3.5}"#).as_bytes(), Err(&["logits.json", "--scores logit"]));
    // YOLO's lines: a polygon is not a box with a confidence, and a confidence is not a side.
    check("triangle/one.txt", b"0 0.7 0.1 0.9 0.1 0.9 0.3\n", Ok((1, 0, 1)));
    check("polygon/one.txt", b"0 0.7 0.1 0.9 0.1 0.9 0.3 0.7 0.3 0.6\n", Ok((1, 0, 0)));
    check("plain/one.txt", b"0 0.75 0.2 0.2 0.2\n", Ok((1, 0, 1)));
    check("mixed/one.txt", b"0 0.75 0.2 0.2 0.2 0.9\n0 0.25 0.2 0.2 0.2\n", Ok((2, 0, 1)));
    check("short/one.txt", b"0 0.5 0.5 0.5\n", Err(&["none of 1 record can", "one.txt:1"]));
    check("negative/one.txt", b"0 -0.75 0.2 0.2 0.2 0.9\n", Err(&["--confidence"]));
    check("nan/one.txt", b"0 nan 0.2 0.2 0.2 0.9\n", Err(&["one.txt:1", "not a finite number"]));
    check("strange/nobody.txt", b"0 0.75 0.2 0.2 0.2 0.9\n", Err(&["nobody"]));
    check("two/one.txt", b"0 0.7 0.2 0.2 0.2 0.9\n1 0.7 0.2 0.2 0.2 0.9\n", Err(&["0, 1", "--names"]));
    // Classes and images.
    check("name.json", one_of(r#"{"category_id": "face"}"#).as_bytes(), Ok((1, 0, 0)));
    check(
        "car.json",
        one_of(r#"{"category_name": "car"}"#).as_bytes(),
        Err(&["car.json:1", "no class 'car'", "`face`"]),
    );
    check("windows.json", one_of(r#"{"file_name": "big\\one.jpg"}"#).as_bytes(), Ok((1, 0, 0)));
    check("whole.json", one(serde_json::json!({"file_name": absolute})).as_bytes(), Ok((1, 0, 0)));
    check("other.json", one_of(r#"{"file_name": "one.png"}"#).as_bytes(), Ok((1, 0, 0)));
    check("half.json", one_of(r#"{"file_name": null, "image_id": 1.5}"#).as_bytes(), Err(&["half.json"]));
    // Boxes.
    for bbox in ["[1, 2, 3]", "[1, 2, 3, 4, 5]", "[1, null, 3, 4]", "[1, 2, 0, 4]", "[1e300, 2, 1e300, 4]", "7"] {
        check("bbox.json", one_of(&format!(r#"{{"bbox": {bbox}}}"#)).as_bytes(), Err(&["bbox.json:1"]));
    }
    check("fractions.json", one_of(r#"{"bbox": [0.1, 0.1, 0.2, 0.2]}"#).as_bytes(), Err(&["--coordinates fractions"]));
    // Tables.
    check("windows.csv", format!("{corners}\r\nbig/one,44,4,56,16,0.8\r\n").as_bytes(), Ok((1, 0, 0)));
    check("tabs.csv", table(corners, "big/one,44,4,56,16,0.8").replace(',', "\t").as_bytes(), Ok((1, 0, 0)));
    check("size.csv", table("image,x,y,w,h,score", "big/one,44,4,12,12,0.8").as_bytes(), Ok((1, 0, 0)));
    check("negative.json", one_of(r#"{"bbox": [56, 16, -12, -12]}"#).as_bytes(), Err(&["negative.json:1", "above 0"]));
    check(
        "twice.csv",
        table("image,x1,x1,y1,x2,y2", "big/one,1,44,4,56,16").as_bytes(),
        Err(&["twice.csv", "`x1` twice"]),
    );
    check(
        "decimal.csv",
        table(&corners.replace(',', ";"), "big/one;44,0;4;56;16;0,8").as_bytes(),
        Err(&["decimal.csv:2"]),
    );
    check("ragged.csv", format!("{corners}\nbig/one,4,56,16\nbig/two,44,4,56,16,0.8\n").as_bytes(), Ok((1, 1, 0)));
    // FDDB's text.
    check("count.txt", b"big/one\n2\n44 4 12 12 0.8\n", Err(&["count.txt:1", "cut off"]));
    check("unscored.txt", b"big/one\n1\n44 4 12 12\n", Ok((1, 0, 1)));
}

/// In any column order; next to good rows it is counted.
#[test]
fn a_row_with_swapped_corners_or_a_side_below_0_is_no_box() {
    let scene = Scene::new();
    let (flat, swapped) = ("both must be above 0", "are not top left and bottom right");
    let corners = "image,x1,y1,x2,y2,score";
    for (header, row, words) in [
        (corners, "big/one,56,4,44,16,0.8", swapped),
        (corners, "big/one,44,16,56,4,0.8", swapped),
        ("image,left,top,right,bottom", "big/one,56,16,44,4", swapped),
        (corners, "big/one,44,4,44,16,0.8", flat),
        ("image,x,y,w,h", "big/one,56,16,-12,-12", flat),
        ("image,x,y,w,h", "big/one,44,4,12,0", flat),
        ("image,cx,cy,w,h", "big/one,50,10,-12,12", flat),
    ] {
        scene.write("sides.csv", &format!("{header}\n{row}\n"));
        scene.refused("sides.csv", &["--dry-run"], &["none of 1 record can", "sides.csv:2", words]);
    }
    scene.write("some.csv", &format!("{corners}\nbig/one,44,4,56,16,0.8\nbig/one,56,4,44,16,0.8\n"));
    let report = scene.import("some.csv", &["--name", "m", "--dry-run"]);
    assert_eq!((report["detections"].as_u64(), report["skipped"].as_u64()), (Some(1), Some(1)), "{report}");
}

/// A project `p` of twelve images, each with a red, a green and a blue square, as COCO's ids 1, 2 and 3 say.
fn three_colours() -> Scene {
    let scene = Scene { dir: tempfile::tempdir().unwrap() };
    std::fs::create_dir_all(scene.at("data")).unwrap();
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for k in 0..12_u8 {
        let name = format!("{k:02}.png");
        image::RgbImage::from_pixel(96, 32, image::Rgb([k, 9, 9])).save(scene.at(&format!("data/{name}"))).unwrap();
        images.push(serde_json::json!({"id": k, "file_name": name, "width": 96, "height": 32}));
        for class in 0..3 {
            let (id, bbox) = (annotations.len() + 1, square(class, true));
            annotations.push(serde_json::json!({
                "id": id, "image_id": k, "category_id": class + 1, "bbox": bbox, "area": 256, "iscrowd": 0
            }));
        }
    }
    let category = |(id, name): (usize, &str)| serde_json::json!({"id": id, "name": name});
    let categories: Vec<Value> = [(1, "red"), (2, "green"), (3, "blue")].map(category).to_vec();
    let data = serde_json::json!({"images": images, "annotations": annotations, "categories": categories});
    scene.write("data/data.json", &data.to_string());
    scene.run(&["new", "p"]).success();
    scene.run(&["import", "coco", "data/data.json", "--project", "p"]).success();
    let wide: Vec<Value> = [(1, "red"), (5, "green"), (9, "blue")].map(category).to_vec();
    scene.write("wide.json", &serde_json::json!({"images": images, "categories": wide}).to_string());
    let one: Vec<Value> = [(1, "red")].map(category).to_vec();
    scene.write("one.json", &serde_json::json!({"images": images, "categories": one}).to_string());
    scene.write("names.txt", "red\ngreen\nblue\n");
    scene
}

/// The object of a class (0, 1, 2) of every image, or what lies beside it.
fn square(class: usize, is_on_object: bool) -> [f64; 4] {
    let x = 30.0 * class as f64 + 2.0;
    if is_on_object { [x, 2.0, 16.0, 16.0] } else { [x, 20.0, 10.0, 10.0] }
}

/// COCO's result list: for each pair of a class and its number one detection on each of so many images.
fn numbered(classes: &[(usize, i64)], images: usize, is_on_object: bool) -> String {
    let of_image = |k: usize| {
        classes.iter().map(move |(class, number)| {
            let bbox = square(*class, is_on_object);
            serde_json::json!({"image_id": k, "category_id": number, "bbox": bbox, "score": 0.9})
        })
    };
    Value::Array((0..images).flat_map(of_image).collect()).to_string()
}

/// A detection on an object of another class counts as a classification error: there are none where numbers are read rightly.
#[test]
fn shifted_class_numbers_are_shown_by_the_objects_that_detections_lie_on() {
    let scene = three_colours();
    let check = |list: &[&str], classes: &[(usize, i64)], counts_from: Option<&str>| {
        scene.write("r.json", &numbered(classes, 12, true));
        let report = scene.import("r.json", &[&["--name", "m", "--dry-run"], list].concat());
        let told = ["detections", "classification", "skipped"].map(|key| report[key].as_u64().unwrap());
        assert_eq!(told, [12 * classes.len() as u64, 0, 0], "{list:?} {classes:?}: {report}");
        let notes = report["notes"].to_string();
        match counts_from {
            Some(from) => assert!(notes.contains(&format!("class numbers count from {from} here")), "{notes}"),
            None => assert!(!notes.contains("class numbers"), "{notes}"),
        }
    };
    let (coco, names, wide) =
        (["--ground-truth", "data/data.json"], ["--names", "names.txt"], ["--ground-truth", "wide.json"]);
    // Exact fits, then shifted by one either way.
    check(&coco, &[(0, 1), (1, 2), (2, 3)], None);
    check(&names, &[(0, 0), (1, 1), (2, 2)], None);
    check(&wide, &[(0, 1), (1, 5), (2, 9)], None);
    check(&coco, &[(0, 0), (1, 1), (2, 2)], Some("0"));
    check(&names, &[(0, 1), (1, 2), (2, 3)], Some("1"));
    check(&wide, &[(0, 0), (1, 1), (2, 2)], Some("0"));
    check(&coco, &[(0, 0), (1, 1)], Some("0"));
    // Every number has a name in both readings.
    check(&coco, &[(1, 1)], Some("0"));
    check(&coco, &[(0, 1)], None);
    check(&coco, &[(1, 1), (2, 2)], Some("0"));
    check(&coco, &[(1, 2), (0, 1)], None);
    check(&names, &[(0, 1), (1, 2)], Some("1"));
    // A list of one class.
    check(&["--ground-truth", "one.json"], &[(0, 0)], Some("0"));
    check(&["--ground-truth", "one.json"], &[(0, 1)], None);
    // What is said is done, whatever the objects show.
    check(&["--map", "7=red,8=green"], &[(0, 7), (1, 8)], None);
    check(&[&coco[..], &["--map", "0=red,1=green,2=blue"]].concat(), &[(0, 0), (1, 1), (2, 2)], None);
    scene.write("r.json", &numbered(&[(1, 1)], 12, true));
    let said = [&["--name", "m", "--dry-run", "--class-numbers", "listed"], &coco[..]].concat();
    assert_eq!(scene.import("r.json", &said)["classification"].as_u64(), Some(12));
}

#[test]
fn class_numbers_that_no_object_explains_are_asked_for() {
    let scene = three_colours();
    let coco = ["--ground-truth", "data/data.json"];
    let refused = |list: &[&str], text: &str, words: &[&str]| {
        scene.write("r.json", text);
        scene.refused("r.json", &[&["--dry-run"], list].concat(), words);
    };
    let taken = |file: &str, list: &[&str], expected: [u64; 2]| {
        let report = scene.import(file, &[&["--name", "m", "--dry-run"], list].concat());
        let told = ["detections", "skipped"].map(|key| report[key].as_u64().unwrap());
        assert_eq!(told, expected, "{list:?}: {report}");
    };
    let shifted = ["has 0 to 2, the list of names 1 to 3", "0 is `red` with --class-numbers from-0"];
    refused(&coco, &numbered(&[(0, 0), (1, 1), (2, 2)], 12, false), &shifted);
    taken("r.json", &[&coco[..], &["--class-numbers", "from-0"]].concat(), [36, 0]);
    taken("r.json", &[&coco[..], &["--class-numbers", "listed"]].concat(), [24, 12]);
    // Few objects, and objects that contradict each other.
    refused(&coco, &numbered(&[(0, 0), (1, 1), (2, 2)], 3, true), &shifted);
    refused(&coco, &numbered(&[(0, 0), (1, 0), (2, 1), (0, 1), (1, 2)], 12, true), &shifted);
    refused(&["--ground-truth", "one.json"], &numbered(&[(0, 0)], 3, true), &["from-0", "`red`"]);
    // Both readings name every number.
    let both = ["1 is `red` with --class-numbers listed", "1 is `green` with --class-numbers from-0"];
    refused(&coco, &numbered(&[(1, 1), (2, 2)], 12, false), &both);
    taken("r.json", &[&coco[..], &["--class-numbers", "listed"]].concat(), [24, 0]);
    // One object of the listed class is enough where all numbers have names, and an exact fit needs none.
    scene.write("r.json", &numbered(&[(0, 1), (1, 2)], 1, true));
    taken("r.json", &coco, [2, 0]);
    scene.write("r.json", &numbered(&[(0, 1), (1, 2), (2, 3)], 12, false));
    taken("r.json", &coco, [36, 0]);
    // YOLO counts as the list beside it does.
    scene.write("labels/00.txt", "1 0.1 0.8 0.1 0.2 0.9\n");
    scene.write("classes.txt", "red\ngreen\nblue\n");
    taken("labels", &["--names", "classes.txt"], [1, 0]);
    scene.write("labels/01.txt", "3 0.1 0.8 0.1 0.2 0.9\n");
    scene.refused("labels", &["--names", "classes.txt"], &["has 1 to 3, the list of names 0 to 2", "from-1"]);
    // Without any list the objects are told of.
    refused(&[], &numbered(&[(0, 0), (1, 1)], 12, true), &["--map 0=red,1=green"]);
    refused(&[], &numbered(&[(0, 0), (1, 1)], 12, false), &["--names FILE", "red"]);
}

#[test]
fn quarrys_own_exports_are_imported_where_datasets_have_images_of_one_name() {
    let scene = Scene { dir: tempfile::tempdir().unwrap() };
    scene.run(&["new", "p"]).success();
    let names = [("A", "1.jpg", 40_u8), ("B", "1.jpg", 120), ("B", "2.jpg", 200)];
    for (folder, name, shade) in names {
        let picture = image::GrayImage::from_pixel(64, 48, image::Luma([shade]));
        std::fs::create_dir_all(scene.at(folder)).unwrap();
        picture.save(scene.at(folder).join(name)).unwrap();
    }
    for folder in ["A", "B"] {
        let of_folder = names.iter().filter(|(of, ..)| *of == folder).map(|(_, name, _)| name).enumerate();
        let (mut images, mut objects) = (Vec::new(), Vec::new());
        for (id, name) in of_folder {
            images.push(serde_json::json!({ "id": id, "file_name": name, "width": 64, "height": 48 }));
            objects.push(serde_json::json!({ "id": id, "image_id": id, "category_id": 1, "bbox": [8, 8, 16, 16] }));
        }
        let categories = serde_json::json!([{ "id": 1, "name": "face" }]);
        let file = format!("{folder}/set.json");
        let set = serde_json::json!({ "images": images, "annotations": objects, "categories": categories });
        scene.write(&file, &set.to_string());
        scene.run(&["import", "coco", &file, "--project", "p"]).success();
    }
    let by_end: String = ["A/1.jpg", "B/1.jpg", "2.jpg"].map(|image| record(image, BESIDE, 0.8)).join(",");
    scene.write("ends.json", &format!("[{by_end}]"));
    let first = scene.import("ends.json", &["--name", "ends", "--class", "face"]);
    assert_eq!((&first["detections"], &first["problems"]), (&3.into(), &serde_json::json!([])), "{first}");

    let export = |what: &[&str]| {
        scene.run(&[&["export"], what, &["--project", "p", "--format", "coco"]].concat()).success();
    };
    export(&["ground-truth", "--out", "gt.json"]);
    export(&["detections", "--round", "1", "--out", "d.json"]);
    let again = scene.import("d.json", &["--name", "rt", "--ground-truth", "gt.json"]);
    assert_eq!((&again["detections"], &again["problems"]), (&3.into(), &serde_json::json!([])), "{again}");
    let store = Store::open(&scene.at("p/quarry.db")).unwrap();
    let rounds = store.rounds().unwrap();
    for image in store.images().unwrap() {
        let [one, two] = [0, 1].map(|round| store.detections(rounds[round].id, image.id).unwrap());
        assert_eq!((one.len(), one), (1, two), "{}", image.path);
    }

    scene.write("short.json", &format!("[{}]", record("1.jpg", BESIDE, 0.8)));
    let (a, b) = (Path::new("A").join("1.jpg"), Path::new("B").join("1.jpg"));
    let expected = ["fits 2 images", a.to_str().unwrap(), b.to_str().unwrap(), "Give the path in full"];
    scene.refused("short.json", &["--class", "face"], &expected);
}

/// A JPEG of 64 x 48 stored pixels that EXIF turns upright to 48 x 64.
fn turned_jpeg() -> Vec<u8> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(64, 48).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    with_orientation(&jpeg.into_inner(), 6)
}

#[test]
fn boxes_of_stored_pixels_are_turned_where_the_ground_truth_or_an_option_says_so() {
    let scene = Scene { dir: tempfile::tempdir().unwrap() };
    scene.run(&["new", "p"]).success();
    std::fs::create_dir_all(scene.at("set")).unwrap();
    std::fs::write(scene.at("set/turned.jpg"), turned_jpeg()).unwrap();
    let coco = |[width, height]: [u32; 2], bbox: [u32; 4]| {
        serde_json::json!({
            "images": [{ "id": 1, "file_name": "turned.jpg", "width": width, "height": height }],
            "annotations": [{ "id": 1, "image_id": 1, "category_id": 1, "bbox": bbox }],
            "categories": [{ "id": 1, "name": "face" }],
        })
    };
    let (upright, stored) = ([10, 20, 12, 16], [20, 26, 16, 12]);
    scene.write("set/set.json", &coco([48, 64], upright).to_string());
    scene.write("stored.json", &coco([64, 48], stored).to_string());
    scene.write("upright.json", &coco([48, 64], upright).to_string());
    scene.run(&["import", "coco", "set/set.json", "--project", "p"]).success();
    scene.write("d.json", &format!("[{}]", record("turned.jpg", stored.map(f64::from), 0.9)));
    let fractions = "image,class,score,x1,y1,x2,y2\nturned.jpg,face,0.9,0.3125,0.541666667,0.5625,0.791666667\n";
    scene.write("d.csv", fractions);
    // On the object it is no candidate.
    let candidates = |file: &str, more: &[&str], expected: u64, note: &str| {
        let report = scene.import(file, &[&["--name", "m", "--dry-run"], more].concat());
        assert_eq!(report["candidates"].as_u64(), Some(expected), "{file} {more:?}: {report}");
        assert!(report["notes"].to_string().contains(note), "{file} {more:?}: {report}");
    };
    candidates("d.json", &["--ground-truth", "stored.json"], 0, "were turned");
    candidates("d.json", &["--exif", "ignore"], 0, "were turned");
    candidates("d.csv", &["--coordinates", "fractions", "--exif", "ignore"], 0, "were turned");
    candidates("d.json", &[], 1, "add --exif ignore");
    candidates("d.json", &["--ground-truth", "upright.json"], 1, "add --exif ignore");
    candidates("d.json", &["--ground-truth", "stored.json", "--exif", "apply"], 1, "");
}

#[test]
fn names_of_a_map_that_no_detection_has_and_boxes_like_corners_are_told() {
    let scene = Scene::new();
    scene.write("r.json", &result_list());
    let report = scene.import("r.json", &["--name", "m", "--dry-run", "--map", "1=face,kat=face"]);
    let notes = report["notes"].to_string();
    assert!(notes.contains("`kat`") && !notes.contains("`1`"), "{notes}");
    // Two corners, of which the second is taken for width and height.
    let corners = [40.0, 20.0, 60.0, 40.0];
    scene.write("corners.json", &format!("[{}]", record("big/one", corners, 0.9)));
    let report = scene.import("corners.json", &["--name", "m", "--dry-run"]);
    assert!(report["notes"].to_string().contains("two corners"), "{report}");
    let report = scene.import("r.json", &["--name", "m", "--dry-run"]);
    assert!(!report["notes"].to_string().contains("two corners"), "{report}");
}

#[test]
fn options_that_a_format_does_not_have_are_refused() {
    let scene = Scene::new();
    scene.write("r.json", &result_list());
    let refused = |args: &[&str], option: &str| {
        let failed = scene.run(&[&["import"], args, &["--project", "p"]].concat()).code(1);
        let message = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert!(message.contains(option) && message.contains(args[0]), "{args:?}: {message}");
    };
    refused(&["fddb", "fddb", "--name", "faces"], "--name");
    refused(&["fddb", "fddb", "--min-score", "0.5"], "--min-score");
    refused(&["fddb", "fddb", "--origin", "0"], "--origin");
    refused(&["fddb", "fddb", "--columns", "rate-first"], "--columns");
    refused(&["detections", "r.json", "--name", "m", "--split", "1"], "--split");
    refused(&["detections", "r.json", "--name", "m", "--images", "fddb"], "--images");
    refused(&["roc", "r.json", "--strict"], "--strict");
}

#[test]
fn models_whose_hard_negatives_are_not_trained_on_are_told_and_unknown_ones_refused() {
    let scene = Scene::new();
    scene.write("r.json", &result_list());
    scene.import("r.json", &["--name", "yolo"]);
    let train = |models: &str| {
        let set = format!("hard_negative_models={models}");
        let args = ["train", "--project", "p", "--preset", "sample", "--test-splits", "10", "--iterations", "1"];
        let more = ["--device", "cpu", "--hard-negatives", "unreviewed", "--set", &set];
        let ended = scene.run(&[&args[..], &more].concat());
        String::from_utf8_lossy(&ended.get_output().stderr).into_owned()
    };
    let refused = train(r#"["yolo", "yollo"]"#);
    assert!(refused.contains("`yollo`") && refused.contains("those imported are `yolo`"), "{refused}");
    assert_eq!(scene.rounds().as_array().unwrap().len(), 1, "{refused}");
    let told = train("[]");
    assert!(told.contains("2 hard negatives of imported models (`yolo`) are not trained on"), "{told}");
    let told = train(r#"["yolo"]"#);
    assert!(!told.contains("not trained on"), "{told}");
}
