//! The command line: exit codes, JSON on stdout, errors on stderr.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn quarry(args: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("quarry").unwrap().args(args).assert()
}

fn json(args: &[&str]) -> Value {
    let output = quarry(args).success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

/// Two images, three faces, two folds, in FDDB's layout.
fn write_fddb(dir: &Path, second_list: &str) {
    let folds = dir.join("FDDB-folds");
    std::fs::create_dir_all(&folds).unwrap();
    let pictures = dir.join("originalPics/2002/08/11/big");
    std::fs::create_dir_all(&pictures).unwrap();
    for (name, shade) in [("img_1", 40), ("img_2", 200)] {
        image::GrayImage::from_pixel(64, 48, image::Luma([shade])).save(pictures.join(format!("{name}.jpg"))).unwrap();
    }
    let list = |fold: &str, text: &str| std::fs::write(folds.join(format!("FDDB-fold-{fold}.txt")), text).unwrap();
    list("01", "2002/08/11/big/img_1\n");
    list("01-ellipseList", "2002/08/11/big/img_1\n2\n12 8 1.4 20 20  1\n6 5 -1.5 50 30  1\n");
    list("02", "2002/08/11/big/img_2\n");
    list("02-ellipseList", second_list);
}

const GOOD: &str = "2002/08/11/big/img_2\n1\n12 8 1.4 20 20  1\n";

#[test]
fn a_project_is_made_filled_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("p");
    let p = project.to_str().unwrap();
    let data = dir.path().join("fddb");
    write_fddb(&data, GOOD);
    let d = data.to_str().unwrap();

    quarry(&["new", p]).success();
    let dry = json(&["import", "fddb", d, "--project", p, "--dry-run", "--json"]);
    assert_eq!((dry["images"].as_u64(), dry["faces"].as_u64()), (Some(2), Some(3)));
    assert_eq!(json(&["status", "--project", p, "--json"])["datasets"], serde_json::json!([]));
    json(&["import", "fddb", d, "--project", p, "--json"]);
    json(&["import", "fddb", d, "--project", p, "--json"]);
    let status = json(&["status", "--project", p, "--json"]);
    assert_eq!(status["datasets"].as_array().unwrap().len(), 1, "a second import of the same folder adds nothing");
    assert_eq!(status["datasets"][0]["images"], 2);
    assert_eq!(status["datasets"][0]["faces"], 3);
}

#[test]
fn an_import_with_a_mistake_changes_nothing() {
    let check = |list: &str, expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("p");
        let p = project.to_str().unwrap();
        let data = dir.path().join("fddb");
        write_fddb(&data, list);
        quarry(&["new", p]).success();
        let d = data.to_str().unwrap();
        let told = json(&["import", "fddb", d, "--project", p, "--dry-run", "--json"]);
        assert!(!told["bad_records"].as_array().unwrap().is_empty(), "{list:?}: {told}");
        let failed = quarry(&["import", "fddb", d, "--project", p, "--strict"]).code(1);
        let message = stderr(&failed);
        assert!(message.contains("FDDB-fold-02-ellipseList.txt:") && message.contains(expected), "{list:?}: {message}");
        assert_eq!(json(&["status", "--project", p, "--json"])["datasets"], serde_json::json!([]));
    };
    check("2002/08/11/big/img_2\n2\n12 8 1.4 20 20  1\n", "");
    check("2002/08/11/big/img_2\n1\n12 8 abc 20 20  1\n", "abc");
    check("2002/08/11/big/img_2\nmany\n12 8 1.4 20 20  1\n", "many");
}

#[test]
fn wrong_usage_ends_with_2_and_failure_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let n = nowhere.to_str().unwrap();
    quarry(&["status"]).code(2);
    quarry(&["import", "nonsense", n, "--project", n]).code(2);
    let missing = quarry(&["status", "--project", n]).code(1);
    assert!(stderr(&missing).contains("quarry new"), "{}", stderr(&missing));
    quarry(&["new", n]).success();
    let twice = quarry(&["new", n]).code(1);
    assert!(stderr(&twice).contains("already"), "{}", stderr(&twice));
    let folder = quarry(&["import", "folder", dir.path().join("gone").to_str().unwrap(), "--project", n]).code(1);
    assert!(stderr(&folder).contains("gone"), "{}", stderr(&folder));
}

#[test]
fn a_project_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let p = dir.path().to_str().unwrap();
    quarry(&["new", p]).success();
    let database = dir.path().join("quarry.db");
    // The user version is a big-endian number at byte 60 of an SQLite file's header.
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&9999_u32.to_be_bytes());
    std::fs::write(&database, &bytes).unwrap();
    let refused = quarry(&["status", "--project", p]).code(1);
    assert!(stderr(&refused).contains("newer"), "{}", stderr(&refused));
    assert_eq!(std::fs::read(&database).unwrap(), bytes);
}

#[cfg(feature = "torch")]
#[test]
fn training_without_images_or_with_a_fold_that_is_not_there_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("p");
    let p = project.to_str().unwrap();
    quarry(&["new", p]).success();
    let empty = quarry(&["train", "--project", p, "--preset", "sample"]).code(1);
    assert!(stderr(&empty).contains("quarry import"), "{}", stderr(&empty));
    let data = dir.path().join("fddb");
    write_fddb(&data, GOOD);
    quarry(&["import", "fddb", data.to_str().unwrap(), "--project", p]).success();
    let fold = quarry(&["train", "--project", p, "--preset", "sample", "--test-folds", "7"]).code(1);
    let dataset = quarry(&["train", "--project", p, "--preset", "sample", "--test-dataset", "WIDER"]).code(1);
    assert!(stderr(&dataset).contains("`WIDER`") && stderr(&dataset).contains("`fddb`"), "{}", stderr(&dataset));
    quarry(&["train", "--project", p, "--test-dataset", "a", "--test-folds", "1"]).code(2);
    assert!(stderr(&fold).contains("fold 7") && stderr(&fold).contains("[1, 2]"), "{}", stderr(&fold));
    let train_fold = ["--preset", "sample", "--test-folds", "1", "--set", "train_folds=[2, 5]"];
    let train_fold = quarry(&[&["train", "--project", p], &train_fold[..]].concat()).code(1);
    assert!(stderr(&train_fold).contains("train fold 5"), "{}", stderr(&train_fold));
    let status = json(&["status", "--project", p, "--json"]);
    assert_eq!(status["rounds"], serde_json::json!([]), "a round that could not start leaves no trace");
}

#[cfg(feature = "torch")]
#[test]
fn the_papers_run_does_not_start_on_random_frozen_weights() {
    if Path::new(env!("CARGO_MANIFEST_DIR")).join("models/resnet50.safetensors").exists() {
        println!("SKIPPED: this checkout has the paper's backbone in models/");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("p");
    let p = project.to_str().unwrap();
    quarry(&["new", p]).success();
    let data = dir.path().join("fddb");
    write_fddb(&data, GOOD);
    quarry(&["import", "fddb", data.to_str().unwrap(), "--project", p]).success();
    let paper = ["train", "--project", p, "--preset", "paper", "--test-folds", "2"];
    let refused = quarry(&paper).code(1);
    for part in ["`quarry weights import resnet50-0676ba61.pth --as resnet50", "detector.frozen_stages = 0"] {
        assert!(stderr(&refused).contains(part), "{}", stderr(&refused));
    }
    assert_eq!(json(&["status", "--project", p, "--json"])["rounds"], serde_json::json!([]));
    // There is no previous round to start from; the backbone is not needed.
    let previous = quarry(&[&paper[..], &["--init", "previous"]].concat()).code(1);
    assert!(stderr(&previous).contains("no earlier round"), "{}", stderr(&previous));
    assert!(!stderr(&previous).contains("random weights"), "{}", stderr(&previous));
}

#[cfg(feature = "torch")]
#[test]
fn nonsense_in_options_is_wrong_usage_and_help_names_the_presets() {
    let preset = quarry(&["train", "--project", "p", "--preset", "papper"]).code(2);
    assert!(stderr(&preset).contains("paper") && stderr(&preset).contains("overnight"), "{}", stderr(&preset));
    quarry(&["train", "--project", "p", "--iterations", "0"]).code(2);
    for command in ["train", "cross-validate"] {
        let help = quarry(&[command, "--help"]).success();
        let text = String::from_utf8_lossy(&help.get_output().stdout).into_owned();
        for (name, about) in quarry::training::PRESETS {
            let first_words = about.split(' ').take(3).collect::<Vec<_>>().join(" ");
            assert!(text.contains(name) && text.contains(&first_words), "{name} is missing in\n{text}");
        }
    }
}

#[cfg(all(feature = "torch", feature = "gui", target_os = "linux"))]
#[test]
fn without_a_display_the_window_says_so_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("p");
    let check = |args: &[&str], expected: &str| {
        let mut command = Command::cargo_bin("quarry").unwrap();
        let refused = command.args(args).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").assert().code(1);
        let message = stderr(&refused);
        assert!(message.contains("there is no display") && message.contains(expected), "{message}");
    };
    check(&[], "quarry --help");
    check(&["demo", "--project", project.to_str().unwrap()], "quarry demo --headless");
    assert!(!project.exists());
}

#[cfg(feature = "torch")]
#[test]
fn the_binary_starts_without_libtorch() {
    if option_env!("QUARRY_STARTS_WITHOUT_LIBTORCH").is_none() {
        println!("SKIPPED: with this target or linker the binary is linked to libtorch (see build.rs)");
        return;
    }
    // glibc's loader lists what it would load and exits.
    let output = Command::cargo_bin("quarry").unwrap().env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
    let loaded = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(loaded.contains("libc.so") && !loaded.contains("libtorch"), "{loaded}");
}

#[test]
fn a_roc_file_of_others_is_kept_in_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("p");
    let (p, file) = (project.to_str().unwrap(), dir.path().join("Net_DiscROC.txt"));
    quarry(&["new", p]).success();
    std::fs::write(&file, "0 0\n1 1\n").unwrap();
    let import = ["import", "roc", file.to_str().unwrap(), "--project", p];
    let dry = json(&[&import[..], &["--columns", "rate-first", "--dry-run", "--json"]].concat());
    assert_eq!((dry["name"].as_str(), project.join("curves").exists()), (Some("Net"), false), "nothing is written");
    let unclear = quarry(&import).code(1);
    assert!(stderr(&unclear).contains("--columns rate-first"), "{}", stderr(&unclear));
    let imported = json(&[&import[..], &["--columns", "rate-first", "--json"]].concat());
    assert_eq!(imported["name"], "Net");
    assert!(project.join("curves/Net.json").is_file());
}

#[test]
fn import_auto_says_which_format_it_sees_and_strict_refuses_bad_records() {
    let dir = tempfile::tempdir().unwrap();
    let (project, data) = (dir.path().join("p"), dir.path().join("set"));
    let (p, d) = (project.to_str().unwrap(), data.to_str().unwrap());
    std::fs::create_dir_all(data.join("images")).unwrap();
    image::RgbImage::new(40, 40).save(data.join("images/a.png")).unwrap();
    let coco = r#"{"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 5, "name": "car"}],
        "annotations": [{"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]}, {"image_id": 1, "category_id": 6, "bbox": [1, 2, 3, 4]}]}"#;
    std::fs::write(data.join("instances_train.json"), coco).unwrap();
    quarry(&["new", p]).success();
    let import = ["import", "auto", d, "--project", p];
    let found = json(&[&import[..], &["--json", "--dry-run"]].concat());
    assert_eq!((found["format"].as_str(), found["objects"].as_u64()), (Some("coco"), Some(1)), "{found}");
    assert!(found["recognised"].as_str().unwrap().contains("instances_train.json"), "{found}");
    assert_eq!((&found["classes"]["car"], &found["splits"]["train"]), (&1.into(), &1.into()), "{found}");
    assert!(found["bad_records"][0]["problem"].as_str().unwrap().contains("annotations[1]: category_id 6"), "{found}");
    let refused = quarry(&[&import[..], &["--strict"]].concat()).code(1);
    assert!(stderr(&refused).contains("instances_train.json:2: annotations[1]"), "{}", stderr(&refused));
    let shown = quarry(&import).success();
    let shown = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
    for words in ["Imported 1 image, 1 object", "Read as coco", "Classes: car: 1", "1 bad record, skipped:"] {
        assert!(shown.contains(words), "no {words:?} in {shown}");
    }
}

#[test]
fn import_auto_tells_a_list_of_detections_from_a_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let (project, data) = (dir.path().join("p"), dir.path().join("set"));
    let (p, d) = (project.to_str().unwrap(), data.to_str().unwrap());
    std::fs::create_dir_all(data.join("images")).unwrap();
    image::RgbImage::new(40, 40).save(data.join("images/a.png")).unwrap();
    quarry(&["new", p]).success();
    let plain = r#"[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]"#;
    let masks =
        r#" [ {"image_id": 1, "category_id": 1, "segmentation": {"size": [40, 40], "counts": "a"}, "score": 0.5}]"#;
    let file = data.join("results.json");
    let lists = [plain, masks, &format!("\u{feff}{plain}"), "[]", "\u{feff}[]", " [\n ]\n"].map(str::to_owned);
    for place in ["results.json", "found/results.json", "annotations/results.json", "images/results.json"] {
        let deeper = data.join(place);
        std::fs::create_dir_all(deeper.parent().unwrap()).unwrap();
        for text in &lists {
            std::fs::write(&deeper, text).unwrap();
            for path in [d, deeper.to_str().unwrap()] {
                let said = stderr(&quarry(&["import", "auto", path, "--project", p]).code(1));
                assert!(said.contains(place) && said.contains("quarry import detections"), "{path}: {text:?}: {said}");
            }
        }
        std::fs::remove_file(&deeper).unwrap();
    }
    // Annotations next to the list take precedence, and other JSON does not prevent importing a folder of images.
    let import = ["import", "auto", d, "--project", p, "--dry-run", "--json"];
    for text in [r#"[{"score": 1}]"#, "[1]", "[[]]", "{}", "[", ""] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(json(&import)["format"], "folder", "{text}");
    }
    std::fs::write(&file, plain).unwrap();
    let coco = r#"{"images": [{"id": 1, "file_name": "a.png"}], "categories": [], "annotations": []}"#;
    std::fs::write(data.join("instances_train.json"), coco).unwrap();
    assert_eq!(json(&import)["format"], "coco");
}

#[test]
fn ground_truth_is_exported_with_its_sources() {
    let dir = tempfile::tempdir().unwrap();
    let (project, data, out) = (dir.path().join("p"), dir.path().join("fddb"), dir.path().join("faces.txt"));
    let (p, d, o) = (project.to_str().unwrap(), data.to_str().unwrap(), out.to_str().unwrap());
    write_fddb(&data, GOOD);
    quarry(&["new", p]).success();
    json(&["import", "fddb", d, "--project", p, "--json"]);
    let export = ["export", "ground-truth", "--project", p, "--json", "--out", o, "--format"];
    let report = json(&[&export[..], &["fddb"]].concat());
    assert_eq!((report["images"].as_u64(), report["imported"].as_u64()), (Some(2), Some(3)));
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.starts_with("2002/08/11/big/img_1\n2\n12 8 1.4 20 20  1\n"), "{text}");
    assert!(
        std::fs::read_to_string(dir.path().join("faces.sources.csv")).unwrap().contains("img_2,1,imported,ellipse")
    );
    let existing = quarry(&[&export[..], &["coco"]].concat()).code(1);
    assert!(stderr(&existing).contains("faces.txt") && stderr(&existing).contains("--force"), "{}", stderr(&existing));
    json(&[&export[..], &["coco", "--force"]].concat());
    assert!(serde_json::from_slice::<Value>(&std::fs::read(&out).unwrap()).unwrap()["annotations"].is_array());
    let folder = dir.path().join("yolo");
    let yolo = ["export", "ground-truth", "--project", p, "--format", "yolo", "--out", folder.to_str().unwrap()];
    let shown = quarry(&yolo).success();
    let shown = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
    assert!(shown.contains("3 faces on 2 images") && shown.contains("3 ellipses are written as boxes"), "{shown}");
    assert!(folder.join("labels/originalPics/2002/08/11/big/img_1.txt").is_file());
    let refused = quarry(&[&export[..], &["xls"]].concat()).code(2);
    assert!(stderr(&refused).contains("fddb"), "{}", stderr(&refused));
}

#[test]
fn average_precision_of_coco_files_is_told_to_people_and_machines() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let truth = write(
        "truth.json",
        r#"{"images": [{"id": 4, "file_name": "a/one.jpg"}],
            "annotations": [{"image_id": 4, "category_id": 1, "bbox": [0, 0, 50, 50]},
                            {"image_id": 4, "category_id": 1, "bbox": [100, 0, 50, 50]}]}"#,
    );
    let found = write(
        "found.json",
        r#"[{"image_id": 1, "file_name": "a/one", "category_id": 1, "bbox": [0, 0, 50, 50], "score": 0.9}]"#,
    );
    let args = ["evaluate", "ap", "--ground-truth", truth.as_str(), "--detections", found.as_str()];
    let report = json(&[&args[..], &["--json"]].concat());
    // Half of the faces: 51 of 101 recalls.
    assert!((report["ap"].as_f64().unwrap() - 51.0 / 101.0).abs() < 1e-12, "{report}");
    assert_eq!((report["faces"].as_u64(), report["small"].is_null()), (Some(2), true));
    let output = quarry(&args).success().get_output().stdout.clone();
    assert!(String::from_utf8_lossy(&output).contains("AP50   0.5050"));
    let broken = write("broken.json", r#"[{"image_id": 9, "bbox": [0, 0, 5, 5], "score": 1}]"#);
    let message =
        stderr(&quarry(&["evaluate", "ap", "--ground-truth", truth.as_str(), "--detections", broken.as_str()]).code(1));
    assert!(message.contains("broken.json") && message.contains("entry 1") && message.contains("id 9"), "{message}");
}

#[test]
fn every_metric_of_coco_files_is_told_to_people_and_machines() {
    let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/evaluators/several_classes");
    let (truth, found) = (files.join("ground_truth.json"), files.join("detections.json"));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let cases = [
        ("coco", "ap_large", "ar100"),
        ("voc", "map_11_point", "ap all point"),
        ("pr", "overall", "best f1"),
        ("miss-rate", "mean_log_average_miss_rate", "log average miss rate"),
        ("tide", "main", "Dupe"),
    ];
    for (metric, key, word) in cases {
        let args =
            ["evaluate", metric, "--ground-truth", truth.to_str().unwrap(), "--detections", found.to_str().unwrap()];
        let report = json(&[&args[..], &["--json", "--out", out.to_str().unwrap()]].concat());
        assert!(!report[key].is_null() && report["images"] == 9, "{metric}: {report}");
        assert!(
            report["files"]
                .as_array()
                .unwrap()
                .iter()
                .all(|file| std::path::Path::new(file.as_str().unwrap()).is_file())
        );
        let output = quarry(&args).success().get_output().stdout.clone();
        assert!(String::from_utf8_lossy(&output).contains(word), "{metric}: {}", String::from_utf8_lossy(&output));
    }
    let refused = quarry(&["evaluate", "tide", "--ground-truth", "a", "--detections", "b", "--iou", "0"]).code(2);
    assert!(stderr(&refused).contains("above 0 and up to 1"), "{}", stderr(&refused));
}

#[test]
fn a_dataset_that_is_away_is_said_to_be_that_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (p, data) = (at("p"), dir.path().join("a folder with a long name".repeat(8)).join("fddb"));
    std::fs::create_dir_all(data.parent().unwrap()).unwrap();
    write_fddb(&data, GOOD);
    quarry(&["new", &p]).success();
    quarry(&["import", "fddb", data.to_str().unwrap(), "--project", &p]).success();
    let stdout = |args: &[&str]| String::from_utf8(quarry(args).get_output().stdout.clone()).unwrap();
    let status = || stdout(&["status", "--project", &p]);
    assert!(!status().contains("Away"), "{}", status());
    std::fs::rename(&data, dir.path().join("moved")).unwrap();
    // Then the mount point of an unmounted disk.
    for is_empty in [false, true] {
        if is_empty {
            std::fs::create_dir(&data).unwrap();
        }
        let checked = ["dataset", "check", "--project", &p];
        let told = [status(), stdout(&["dataset", "stats", "--project", &p]), stdout(&checked)];
        for text in told {
            assert!(
                text.contains("fddb: the dataset's folder")
                    && text.contains("Nothing is lost: the project keeps its data"),
                "{text}"
            );
            assert!(text.contains("`quarry dataset move NAME FOLDER`"), "{text}");
        }
        let text = stderr(&quarry(&checked).code(1));
        assert!(text.contains("fddb is away") && !text.contains("changed"), "{text}");
    }
    let text = stderr(&quarry(&["train", "--project", &p, "--preset", "quick", "--test-splits", "2"]).code(1));
    assert!(!cfg!(feature = "torch") || text.contains("`quarry dataset move NAME FOLDER`"), "{text}");
}

#[test]
fn paths_and_shares_that_are_wrong_are_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (p, data) = (at("p"), dir.path().join("fddb"));
    write_fddb(&data, GOOD);
    quarry(&["new", &p]).success();
    let coco = at("c.json");
    std::fs::write(&coco, r#"{"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}], "annotations": [], "categories": []}"#)
        .unwrap();
    let refused = |args: &[&str], words: &str| {
        let text = stderr(&quarry(args).failure());
        assert!(text.contains(words), "{args:?}: {text}");
        text
    };
    let text = refused(&["import", "coco", &coco, "--project", &p], "Name the folder of the images with --images DIR");
    assert!(text.contains("only listed image"), "{text}");
    let folder = data.to_str().unwrap();
    let text = refused(&["import", "coco", &coco, "--images", folder, "--project", &p], "--images takes the folder");
    assert!(!text.contains("Name the folder"), "{text}");
    refused(
        &["import", "coco", &coco, "--images", &at("none"), "--project", &p],
        "none does not exist or is not a folder: --images takes",
    );
    refused(&["import", "coco", &at("none.json"), "--project", &p], "Check the path");
    quarry(&["dataset", "split", "train=60%,val=0.2", "--project", &p]).code(2);
    refused(&["dataset", "split", "train=60%,val=0.2", "--project", &p], "write all as fractions");
    refused(&["dataset", "split", "train=0.9,val=0.2", "--project", &p], "add up to 1.1, not to 1");
    quarry(&["import", "fddb", folder, "--project", &p]).success();
    let divided = json(&["dataset", "split", "a=50%,b=50%", "--by-bytes", "--project", &p, "--json"]);
    assert_eq!(
        (&divided["splits"]["a"]["images"], &divided["splits"]["b"]["images"]),
        (&1.into(), &1.into()),
        "{divided}"
    );
    assert_eq!(divided["shares"], serde_json::json!([["a", 0.5], ["b", 0.5]]));
    if cfg!(feature = "torch") {
        refused(&["weights", "import", &at("none.pth"), "--as", "resnet50"], "there is no such file. Check the path");
        refused(&["weights", "export", &at("none"), &at("out.safetensors")], "there is no such file. Check the path");
        refused(&["train", "--project", &p, "--set", "preset=paper"], "--preset NAME");
        quarry(&["train", "--project", &p, "--resume", "--set", "preset=paper"]).code(1);
    }
    quarry(&["help", "--help"]).success();
}

/// The file is named once, whichever layer opens it.
#[test]
fn an_error_names_its_file_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let p = at("p");
    quarry(&["new", &p]).success();
    let check = |args: &[&str]| {
        let text = stderr(&quarry(args).failure());
        assert_eq!(text.matches("gone-file").count(), 1, "{args:?}: {text}");
        assert!(!text.trim_end().ends_with(':'), "{text}");
    };
    let [gone, onnx, script] = ["gone-file", "gone-file.onnx", "gone-file.torchscript"].map(at);
    for model in [&onnx, &script] {
        check(&["mine", "--project", &p, "--model", model, "--name", "other"]);
    }
    check(&["weights", "export", &gone, &at("out.safetensors")]);
    check(&["weights", "import", &gone, "--as", "resnet50"]);
    check(&["train", "--project", &p, "--config", &gone]);
    check(&["verdicts", "merge", &gone, "--project", &p]);
    check(&["evaluate", "coco", "--ground-truth", &gone, "--detections", &gone]);
    check(&["import", "coco", &gone, "--project", &p]);
    check(&["merge", &gone, "--project", &p]);
}
