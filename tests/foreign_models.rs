//! Third-party models: an ONNX detector on a project's images. Without ONNX Runtime it says what was not tested.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use quarry::store::{CandidateQuery, CandidateRow, Store, VerdictFilter};
use serde_json::Value;

/// tests/fixtures/models/cells.onnx scores each 8 x 8 cell of a 64 x 64 input: class `red` by its red, `green` by its green.
fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/cells.onnx")
}

fn is_skipped() -> bool {
    let own = std::env::var_os("QUARRY_ONNXRUNTIME").map(PathBuf::from);
    let library = own.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".onnxruntime/libonnxruntime.so"));
    if !library.exists() {
        println!("SKIPPED: ONNX Runtime is not installed (make setup); no ONNX model was run");
    }
    !library.exists()
}

/// Category and `x, y, width, height`.
type Object = Option<(u32, [u32; 4])>;

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    /// A COCO dataset of 64 x 64 images with coloured cells: in `a` the green one is annotated and the red one is not; `b` is empty; `c`
    /// has an annotated red one in the split `test`.
    fn new() -> Self {
        let scene = Self { dir: tempfile::tempdir().unwrap() };
        let draw = |name: &str, cells: &[(u32, u32, [u8; 3])]| {
            let mut image = image::RgbImage::new(64, 64);
            for (column, row, colour) in cells {
                for (x, y) in (0..64).map(|n| (column * 8 + n % 8, row * 8 + n / 8)) {
                    image.put_pixel(x, y, image::Rgb(*colour));
                }
            }
            image.save(scene.dir.path().join(name)).unwrap();
        };
        std::fs::create_dir_all(scene.dir.path().join("data/train")).unwrap();
        std::fs::create_dir_all(scene.dir.path().join("data/test")).unwrap();
        draw("data/train/a.png", &[(1, 2, [0, 255, 0]), (5, 5, [255, 0, 0])]);
        draw("data/train/b.png", &[(0, 0, [3, 3, 200])]);
        draw("data/test/c.png", &[(4, 4, [250, 0, 0])]);
        scene.coco("train", &[("a.png", Some((2, [8, 16, 8, 8]))), ("b.png", None)]);
        scene.coco("test", &[("c.png", Some((1, [32, 32, 8, 8])))]);
        scene.run(&["new", "p"]).success();
        scene.run(&["import", "coco", "data/train/train.json", "--project", "p"]).success();
        scene.run(&["import", "coco", "data/test/test.json", "--project", "p"]).success();
        scene
    }

    fn coco(&self, split: &str, images: &[(&str, Object)]) {
        let records: Vec<Value> = (1..)
            .zip(images)
            .map(|(id, (name, _))| serde_json::json!({"id": id, "file_name": name, "width": 64, "height": 64}))
            .collect();
        let objects = (1..).zip(images).filter_map(|(id, (_, object))| {
            let (class, bbox) = (*object)?;
            Some(serde_json::json!({"id": id, "image_id": id, "category_id": class, "bbox": bbox, "area": 64, "iscrowd": 0}))
        });
        let whole = serde_json::json!({
            "images": records,
            "annotations": objects.collect::<Vec<_>>(),
            "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}],
        });
        std::fs::write(self.dir.path().join(format!("data/{split}/{split}.json")), whole.to_string()).unwrap();
    }

    fn run(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        Command::cargo_bin("quarry").unwrap().current_dir(self.dir.path()).args(args).assert()
    }

    /// Imports more images, all different, each with an unannotated red or green cell; returns the name of the dataset `test`.
    fn many(&self, count: u32) -> String {
        let colour = |n: u32| if n.is_multiple_of(3) { [255, 0, 0] } else { [0, 255, 0] };
        std::fs::create_dir_all(self.dir.path().join("data/many")).unwrap();
        let names: Vec<String> = (0..count).map(|n| format!("{n:03}.png")).collect();
        for (n, name) in (0..).zip(&names) {
            let fill = image::Rgb([(n % 7) as u8, (n / 256) as u8, (n % 256) as u8]);
            let mut image = image::RgbImage::from_pixel(64, 64, fill);
            for (x, y) in (0..64).map(|k| (n % 8 * 8 + k % 8, n / 8 % 8 * 8 + k / 8)) {
                image.put_pixel(x, y, image::Rgb(colour(n)));
            }
            image.save(self.dir.path().join("data/many").join(name)).unwrap();
        }
        let images: Vec<(&str, Object)> = names.iter().map(|name| (name.as_str(), None)).collect();
        self.coco("many", &images);
        self.run(&["import", "coco", "data/many/many.json", "--project", "p"]).success();
        let store = Store::open_read_only(&self.dir.path().join("p/quarry.db")).unwrap();
        store.datasets().unwrap()[1].name.clone()
    }

    /// Copies the project while nobody has it open.
    fn copy(&self, name: &str) -> PathBuf {
        let (project, copy) = (self.dir.path().join("p"), self.dir.path().join(name));
        std::fs::create_dir_all(copy.join("runs")).unwrap();
        for file in ["quarry.db", "project.toml"] {
            std::fs::copy(project.join(file), copy.join(file)).unwrap();
        }
        copy
    }

    /// The command fails, and its message contains all of these.
    fn refused(&self, args: &[&str], expected: &[&str]) {
        let refused = self.run(args).code(1);
        let text = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(expected.iter().all(|part| text.contains(part)), "{args:?}: {text}");
    }

    fn json(&self, args: &[&str]) -> Value {
        let done = self.run(&[args, &["--json"]].concat()).success();
        serde_json::from_slice(&done.get_output().stdout).unwrap()
    }
}

#[test]
fn an_onnx_model_is_mined_evaluated_and_detected_with() {
    if is_skipped() {
        return;
    }
    let scene = Scene::new();
    let model = model();
    let model = model.to_str().unwrap();
    let report = scene.json(&["mine", "--project", "p", "--model", model, "--name", "cells"]);
    assert_eq!((&report["format"], &report["detections"]), (&Value::from("onnx"), &Value::from(2)), "{report}");
    // The red cell of `a` is not annotated.
    assert_eq!((&report["candidates"], &report["background"]), (&Value::from(1), &Value::from(1)), "{report}");
    assert_eq!(report["round"], 1, "{report}");
    // With a dataset held out, it is evaluated on and not mined.
    let store = Store::open_read_only(&scene.dir.path().join("p/quarry.db")).unwrap();
    let test = store.datasets().unwrap().pop().unwrap().name;
    drop(store);
    let again = scene.json(&["mine", "--project", "p", "--model", model, "--name", "cells", "--test-dataset", &test]);
    assert_eq!((&again["round"], &again["model_round"]), (&Value::from(2), &Value::from(2)), "{again}");
    assert_eq!((&again["detections"], &again["test_images"]), (&Value::from(3), &Value::from(1)), "{again}");
    assert_eq!((&again["recall"], &again["average_precision"]), (&Value::from(1.0), &Value::from(1.0)), "{again}");

    scene
        .run(&["detect", "--checkpoint", model, "--images", "data/train", "--out", "found.json", "--format", "coco"])
        .success();
    let found: Value =
        serde_json::from_str(&std::fs::read_to_string(scene.dir.path().join("found.json")).unwrap()).unwrap();
    let mut told: Vec<String> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|record| format!("{} {} {}", record["file_name"], record["category_name"], record["bbox"]))
        .collect();
    told.sort();
    assert_eq!(told, ["\"a\" \"green\" [8.0,16.0,8.0,8.0]", "\"a\" \"red\" [40.0,40.0,8.0,8.0]"]);
    // What was written is imported again by name.
    let imported = scene.json(&["import", "detections", "found.json", "--project", "p", "--name", "file"]);
    assert_eq!((&imported["detections"], &imported["candidates"]), (&Value::from(2), &Value::from(1)), "{imported}");
}

/// Formats every candidate and the detections of a round.
fn kept(project: &Path) -> Vec<String> {
    let store = Store::open_read_only(&project.join("quarry.db")).unwrap();
    let round = store.rounds().unwrap()[0].id;
    let all = CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..CandidateQuery::default() };
    let rows = store.candidate_rows(&store.candidate_ids(&all).unwrap()).unwrap();
    let words = |row: &CandidateRow| {
        let c = &row.candidate;
        format!("candidate {} {:?} {} {} {:?}", row.image_name, c.bbox, c.score, c.max_iou, c.kind)
    };
    let mut told: Vec<String> = rows.iter().map(words).collect();
    let mut each = |image, found| told.push(format!("detection {image} {found:?}"));
    store.each_detection(round, &mut each).unwrap();
    told.extend(store.curves(round).unwrap().into_iter().map(|row| format!("curve {} {}", row.label, row.json)));
    told.sort();
    told
}

/// Killed three times, each time with more images stored than before, a run ends like an uninterrupted one.
#[test]
fn a_models_run_that_is_killed_goes_on_and_ends_as_one_that_was_not() {
    const IMAGES: u32 = 320;
    if is_skipped() {
        return;
    }
    let scene = Scene::new();
    let test = scene.many(IMAGES);
    // Embeddings would only take time here.
    scene.run(&["group", "--project", "p", "--cosine", "off"]).success();
    let (whole, project) = (scene.copy("whole"), scene.dir.path().join("p"));
    let args = |project: &str| {
        let words = ["mine", "--json", "--project", project, "--model"].map(str::to_owned);
        let more = ["--name", "cells", "--test-dataset", &test].map(str::to_owned);
        [&words[..], &[model().to_str().unwrap().to_owned()], &more].concat()
    };
    let run = |project: &str| {
        let args = args(project);
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let done = scene.run(&words).success();
        serde_json::from_slice::<Value>(&done.get_output().stdout).unwrap()
    };
    let expected = run("whole");
    assert_eq!(expected["detections"], IMAGES + 3, "{expected}");
    let images = IMAGES as usize + 3;

    let mut done = 0;
    for _ in 0..3 {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_quarry"));
        command.current_dir(scene.dir.path()).args(args("p"));
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        let store = Store::open_read_only(&project.join("quarry.db")).unwrap();
        let kept = loop {
            let round = store.rounds().unwrap().first().map(|round| round.id);
            let now = round.and_then(|round| store.unfinished_mining(round).unwrap()).unwrap_or(0);
            if now > done {
                break now;
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself at {now}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(kept < images, "killed too late");
        done = kept;
    }
    let report = run("p");
    assert_eq!(report, expected);
    assert_eq!(kept(&project), kept(&whole));
    let rounds = scene.json(&["status", "--project", "p"])["rounds"].clone();
    assert_eq!(rounds.as_array().unwrap().len(), 1, "it went on with its round: {rounds}");
    // A run after a finished one is the model's next round.
    assert_eq!(run("p")["model_round"], 2);
}

#[test]
fn classes_that_the_project_lacks_are_told_or_mapped() {
    if is_skipped() {
        return;
    }
    let scene = Scene::new();
    let copy = scene.dir.path().join("named.onnx");
    std::fs::copy(model(), &copy).unwrap();
    let with = |classes: &str| std::fs::write(copy.with_extension("toml"), classes).unwrap();
    let mine = ["mine", "--project", "p", "--model", "named.onnx", "--name", "named"];
    with("classes = [\"apple\", \"leaf\"]");
    let refused = scene.run(&mine).code(1);
    let text = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(text.contains("no class 'apple'") && text.contains("--map"), "{text}");
    assert_eq!(scene.json(&["status", "--project", "p"])["rounds"].as_array().unwrap().len(), 0);
    let report = scene.json(&[&mine[..], &["--map", "leaf=green"]].concat());
    assert_eq!((&report["detections"], &report["candidates"]), (&Value::from(1), &Value::from(0)), "{report}");
    assert!(report["notes"].to_string().contains("1 detection was left out"), "{report}");
    // Settings that do not match the file are reported with the file's name.
    with("[input]\nsize = [32, 32]");
    let refused = scene.run(&[&mine[..], &["--map", "leaf=green"]].concat()).code(1);
    let text = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(text.contains("named.onnx") && text.contains("model.toml"), "{text}");
    for (more, part) in [(&["--scale", "2"][..], "--scale"), (&["--shape", "ellipse"][..], "--shape")] {
        let args =
            [&["detect", "--checkpoint", "named.onnx", "--images", "data/train", "--out", "x.json"], more].concat();
        let refused = scene.run(&args).code(1);
        assert!(String::from_utf8_lossy(&refused.get_output().stderr).contains(part));
    }
}

#[test]
fn a_models_shards_merged_in_any_order_and_twice_are_what_one_run_finds() {
    if is_skipped() {
        return;
    }
    let scene = Scene::new();
    let test = scene.many(40);
    scene.run(&["group", "--project", "p", "--cosine", "off"]).success();
    let (whole, project) = (scene.copy("whole"), scene.dir.path().join("p"));
    let (model, database) = (model(), project.join("quarry.db"));
    let mine = ["mine", "--model", model.to_str().unwrap(), "--name", "cells/1", "--test-dataset", &test, "--project"];
    let report = scene.json(&[&mine[..], &["whole"]].concat());
    assert!(report["candidates"].as_u64() > Some(5) && report["recall"] == 1.0, "{report}");
    let expected = kept(&whole);

    let before = std::fs::read(&database).unwrap();
    let shard = |number: u32, of: u32, out: &str, more: &[&str]| {
        let shard = format!("{number}/{of}");
        scene.json(&[&mine[..], &["p", "--shard", &shard, "--out", out], more].concat())
    };
    let files: Vec<PathBuf> =
        (1..=5).map(|number| scene.dir.path().join(shard(number, 5, "shards", &[])["out"].as_str().unwrap())).collect();
    assert!(std::fs::read(&database).unwrap() == before, "a shard only reads the project");
    assert_eq!(files[3].file_name().unwrap(), "model-cells_1-shard-4-of-5.jsonl");
    assert_eq!(shard(4, 5, "shards", &[])["was_done"], true);
    // A truncated file is named, and nothing of the others is merged.
    let bytes = std::fs::read(&files[3]).unwrap();
    for cut in [bytes.len() / 2, bytes.len() - 2, 20, 0] {
        std::fs::write(&files[3], &bytes[..cut]).unwrap();
        scene.refused(&["merge", "shards", "--project", "p"], &["model-cells_1-shard-4-of-5.jsonl"]);
        assert_eq!(scene.json(&["status", "--project", "p"])["rounds"].as_array().unwrap().len(), 0);
    }
    std::fs::write(&files[3], &bytes[..bytes.len() / 2]).unwrap();
    scene.refused(&["merge", "shards", "--project", "p"], &["Run the shard 4/5 again"]);
    assert_eq!(shard(4, 5, "shards", &[])["was_done"], false, "half a file is written again");
    assert_eq!(std::fs::read(&files[3]).unwrap(), bytes, "with the same bytes");
    // A shard of the same images with other settings.
    shard(2, 5, "others", &["--min-score", "0.9"]);
    let other = "others/model-cells_1-shard-2-of-5.jsonl";
    let refused = ["other settings of it"];
    scene.refused(&["merge", files[0].to_str().unwrap(), other, "--project", "p"], &refused);
    let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    scene.refused(&["merge", names[3], names[0], "--project", "p"], &["shards 2, 3, 5 of 5 are missing"]);
    scene.refused(&["merge", names[1], "--project", "p"], &["shards 3, 5 of 5 are missing"]);
    let some = kept(&project);
    assert!(!some.is_empty() && some.len() < expected.len() && some.iter().all(|line| expected.contains(line)));
    for given in [&[names[4], names[3], names[2]][..], &["shards"], &[names[2], "shards", names[0]]] {
        let merged = scene.json(&[&["merge"], given, &["--project", "p"]].concat());
        assert_eq!(kept(&project), expected);
        assert_eq!((&merged["candidates"], &merged["recall"]), (&report["candidates"], &report["recall"]), "{merged}");
        let rounds = scene.json(&["status", "--project", "p"])["rounds"].clone();
        assert_eq!(rounds.as_array().unwrap().len(), 1, "{rounds}");
    }
    // A later run is the model's next round.
    assert_eq!(scene.json(&[&mine[..], &["p"]].concat())["model_round"], 2);
    scene.refused(&["merge", "shards"], &["--project"]);
}

/// SIGKILL while the real program detects: each run resumes, and the final file equals that of an uninterrupted run.
#[test]
fn detect_that_is_killed_goes_on_and_writes_what_one_run_writes() {
    const IMAGES: usize = 2000;
    if is_skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("images")).unwrap();
    let mut image = image::RgbImage::new(64, 64);
    for (x, y) in (0..64).map(|k| (8 + k % 8, 16 + k / 8)) {
        image.put_pixel(x, y, image::Rgb([255, 0, 0]));
    }
    let first = dir.path().join("images/0.png");
    image.save(&first).unwrap();
    for n in 1..IMAGES {
        std::fs::hard_link(&first, dir.path().join(format!("images/{n}.png"))).unwrap();
    }
    let detect = |out: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_quarry"));
        command.current_dir(dir.path()).args(["detect", "--images", "images", "--format", "coco", "--device", "cpu"]);
        command.args(["--out", out, "--checkpoint"]).arg(model());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    };
    assert!(detect("whole.json").status().unwrap().success());
    let growing = dir.path().join("found.json.unfinished");
    let length = || std::fs::metadata(&growing).map_or(0, |found| found.len());
    let mut kept = 0;
    for _ in 0..3 {
        let mut child = detect("found.json").spawn().unwrap();
        while length() <= kept {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself at {kept}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kept = length();
        assert!(!dir.path().join("found.json").exists(), "killed too late");
    }
    let done = detect("found.json").stderr(std::process::Stdio::piped()).output().unwrap();
    assert!(done.status.success());
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(told.contains("Resuming"), "{told}");
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(read("found.json") == read("whole.json"), "the bytes of one run");
    let found: Value = serde_json::from_slice(&read("found.json")).unwrap();
    assert_eq!(found.as_array().unwrap().len(), IMAGES);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}
