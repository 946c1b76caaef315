//! `quarry detect` as a use case: checkpoint, images, output.
#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use quarry::detector::{Architecture, Detector, DetectorConfig};
use quarry::domain::{Cancel, Output};
use quarry::workflow::detect::{DetectReport, DetectRequest, DetectionFormat, detect};
use quarry::workflow::weights::export;
use serde_json::Value;
use tch::Device;

/// An untrained detector, which detects something of every class everywhere.
fn save(path: &Path, classes: i64, ellipse_head: bool) {
    let mut config = DetectorConfig::of(Architecture::ResNet18Fpn);
    (config.shorter_side, config.longer_side_cap) = (48, 64);
    (config.pyramid_channels, config.roi.hidden) = (16, 16);
    (config.num_classes, config.ellipse_head) = (classes, ellipse_head);
    (config.detection.score_threshold, config.detection.max_detections) = (0.0, 1000);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Detector::new(&config, Device::Cpu, 3).unwrap().save(path).unwrap();
}

/// A folder with two images and a list of them.
fn pictures() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("photos")).unwrap();
    for name in ["one", "two"] {
        let picture = RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 3) as u8, (y * 5) as u8, name.as_bytes()[0]]));
        picture.save(dir.path().join(format!("photos/{name}.png"))).unwrap();
    }
    std::fs::write(dir.path().join("list.txt"), "one\ntwo\n").unwrap();
    dir
}

fn request(dir: &Path, checkpoint: &Path, format: DetectionFormat, ellipses: bool) -> DetectRequest {
    DetectRequest {
        checkpoint: checkpoint.to_owned(),
        images: dir.join("list.txt"),
        root: Some(dir.join("photos")),
        out: Output::new(dir.join("out.txt"), true),
        format,
        ellipses,
        scale: None,
        precision: None,
        device: "cpu".to_owned(),
    }
}

/// Returns the report and the log lines, or the error message.
fn run(request: &DetectRequest) -> Result<(DetectReport, Vec<String>), String> {
    let mut log = Vec::new();
    let mut observer = |event| {
        if let quarry::workflow::WorkEvent::Log(line) = event {
            log.push(line);
        }
    };
    let report = detect(request, &mut observer, &Cancel::new()).map_err(|e| e.to_string())?;
    Ok((report, log))
}

#[test]
fn coco_keeps_the_classes_and_fddb_the_faces_alone() {
    let dir = pictures();
    let model = dir.path().join("model.safetensors");
    save(&model, 4, false);
    let (all, log) = run(&request(dir.path(), &model, DetectionFormat::Coco, false)).unwrap();
    let results: Vec<Value> = serde_json::from_slice(&std::fs::read(&all.out).unwrap()).unwrap();
    let classes = |class: i64| results.iter().filter(|r| r["category_id"] == class).count();
    assert_eq!((results.len(), log.len()), (all.detections, 0));
    assert!(classes(1) > 0 && classes(2) + classes(3) > 0, "{results:?}");
    assert_eq!(classes(1) + classes(2) + classes(3), results.len());
    assert!(results.iter().all(|r| r.get("ellipse").is_none()));

    let (faces, log) = run(&request(dir.path(), &model, DetectionFormat::Fddb, false)).unwrap();
    assert_eq!(faces.detections, classes(1));
    assert!(log.iter().any(|line| line.contains(&format!("{} detections", results.len() - classes(1)))), "{log:?}");
    let text = std::fs::read_to_string(&faces.out).unwrap();
    assert_eq!(text.lines().count(), 4 + classes(1), "{text}");
}

#[test]
fn ellipses_are_written_by_a_detector_that_has_them_and_refused_by_another() {
    let dir = pictures();
    let model = dir.path().join("model.safetensors");
    save(&model, 2, true);
    let (report, _) = run(&request(dir.path(), &model, DetectionFormat::Coco, true)).unwrap();
    let results: Vec<Value> = serde_json::from_slice(&std::fs::read(&report.out).unwrap()).unwrap();
    assert!(!results.is_empty() && results.iter().all(|r| r["ellipse"].as_array().unwrap().len() == 5), "{results:?}");
    std::fs::remove_file(&report.out).unwrap();

    save(&model, 2, false);
    for format in [DetectionFormat::Coco, DetectionFormat::Fddb] {
        let message = run(&request(dir.path(), &model, format, true)).unwrap_err();
        assert!(message.contains("model.safetensors") && message.contains("--shape ellipse"), "{message}");
        assert!(!dir.path().join("out.txt").exists());
    }
}

#[test]
fn a_scale_detects_as_a_detector_for_larger_pictures_does() {
    let dir = pictures();
    let (own, larger) = (dir.path().join("own/model.safetensors"), dir.path().join("larger/model.safetensors"));
    let save = |path: &Path, sides: (u32, u32), scale: f64| {
        let mut config = DetectorConfig::of(Architecture::ResNet18Fpn);
        (config.shorter_side, config.longer_side_cap) = sides;
        (config.pyramid_channels, config.roi.hidden) = (16, 16);
        (config.detection.score_threshold, config.detection.scale) = (0.0, scale);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        Detector::new(&config, Device::Cpu, 3).unwrap().save(path).unwrap();
    };
    save(&own, (48, 64), 1.0);
    save(&larger, (96, 128), 1.0);
    let written = |checkpoint: &Path, scale| {
        let request = DetectRequest { scale, ..request(dir.path(), checkpoint, DetectionFormat::Fddb, false) };
        run(&request).map(|(report, _)| std::fs::read_to_string(report.out).unwrap())
    };
    let (small, large) = (written(&own, None).unwrap(), written(&larger, None).unwrap());
    assert_ne!(small, large);
    assert_eq!(written(&own, Some(2.0)).unwrap(), large);
    assert_eq!(written(&larger, Some(0.5)).unwrap(), small);
    let message = written(&own, Some(0.0)).unwrap_err();
    assert!(message.contains("detection.scale"), "{message}");

    save(&own, (48, 64), 2.0);
    assert_eq!(written(&own, None).unwrap(), large);
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_read() {
    let dir = pictures();
    let check = |out: PathBuf, expected: &str| {
        let nowhere = dir.path().join("no-checkpoint");
        let message =
            run(&DetectRequest { out: out.into(), ..request(dir.path(), &nowhere, DetectionFormat::Fddb, false) })
                .unwrap_err();
        assert!(message.contains(expected), "{message}");
    };
    check(dir.path().to_owned(), "this is a folder");
    check(dir.path().join("gone/out.txt"), "gone");
    check(dir.path().join("photos/one.png/out.txt"), "one.png");
    check(dir.path().join("out.txt"), "no-checkpoint");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left behind");
}

#[test]
fn a_rounds_folder_means_its_last_checkpoint() {
    let dir = pictures();
    let round = dir.path().join("runs/1");
    std::fs::create_dir_all(&round).unwrap();
    let message = run(&request(dir.path(), &round, DetectionFormat::Fddb, false)).unwrap_err();
    assert!(message.contains("runs/1") && message.contains("no checkpoint in this folder"), "{message}");
    let model = |step: &str| round.join("checkpoints").join(step).join("model.safetensors");
    save(&model("step-0000002"), 2, false);
    save(&model("step-0000010"), 2, false);
    for (given, expected) in [
        (round.clone(), model("step-0000010")),
        (round.join("checkpoints/step-0000002"), model("step-0000002")),
        (model("step-0000002"), model("step-0000002")),
    ] {
        let (report, _) = run(&request(dir.path(), &given, DetectionFormat::Fddb, false)).unwrap();
        assert_eq!(report.checkpoint, expected);
    }
    let exported = export(&round, dir.path().join("exported.safetensors")).unwrap();
    assert!(exported.file.is_file());
}

/// The same walk as an import, unique names, and images that claim to be huge.
#[test]
fn a_folder_is_walked_as_an_import_walks_it_and_both_evaluations_take_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    let files = ["a.jpg", "a.png", "b.JPG", "scan.1.jpg", "scan.jpg", "sub/a.jpg"];
    for (k, name) in files.iter().chain(&["._a.jpg", ".thumbs/a.jpg", "__MACOSX/a.jpg"]).enumerate() {
        let path = images.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(64, 48, Rgb([20 * k as u8, 90, 9])).save(path).unwrap();
    }
    std::fs::write(images.join("bomb.ppm"), b"P6 100000 100000 255\n\0\0").unwrap();
    let model = dir.path().join("model.safetensors");
    save(&model, 2, false);
    let names = ["a.jpg", "a.png", "b", "scan.1", "scan", "sub/a"];

    let asked = |format, out: &str| DetectRequest {
        images: images.clone(),
        out: dir.path().join(out).into(),
        ..request(dir.path(), &model, format, false)
    };
    let (report, log) = run(&asked(DetectionFormat::Fddb, "out.txt")).unwrap();
    assert_eq!((report.images, report.unreadable.len()), (6, 1));
    assert!(log.iter().any(|line| line.contains("bomb.ppm") && line.contains("--max-megapixels")), "{log:?}");
    let text = std::fs::read_to_string(&report.out).unwrap();
    let written: Vec<&str> = text.lines().filter(|line| names.contains(line)).collect();
    assert_eq!(written, names);
    let truth: String = names.iter().map(|name| format!("{name}\n1\n12 8 1.4 20 20 1\n")).collect::<Vec<_>>().concat();
    std::fs::write(dir.path().join("truth.txt"), truth).unwrap();
    let quarry = |args: &[&str]| {
        assert_cmd::Command::cargo_bin("quarry").unwrap().current_dir(dir.path()).args(args).assert().success();
    };
    quarry(&[
        "evaluate",
        "fddb",
        "--annotations",
        "truth.txt",
        "--detections",
        "out.txt",
        "--images-root",
        "images",
        "--out",
        "curves",
    ]);

    let (report, _) = run(&asked(DetectionFormat::Coco, "out.json")).unwrap();
    let results: Vec<Value> = serde_json::from_slice(&std::fs::read(&report.out).unwrap()).unwrap();
    let last = results.iter().map(|r| r["image_id"].as_u64().unwrap()).max();
    assert_eq!(last, Some(7), "the place in the list, the unreadable one counted");
    let entries: Vec<Value> =
        files.iter().enumerate().map(|(k, name)| serde_json::json!({ "id": 100 + k, "file_name": name })).collect();
    let objects = [serde_json::json!({ "id": 1, "image_id": 100, "category_id": 1, "bbox": [1, 1, 20, 20] })];
    let truth =
        serde_json::json!({ "images": entries, "annotations": objects, "categories": [{ "id": 1, "name": "face" }] });
    std::fs::write(dir.path().join("truth.json"), truth.to_string()).unwrap();
    quarry(&["evaluate", "ap", "--ground-truth", "truth.json", "--detections", "out.json"]);
}

/// A stopped run, and one killed in the middle of a line, are resumed; the file equals that of an uninterrupted run.
#[test]
fn a_run_that_was_cut_off_goes_on_and_writes_what_one_in_one_go_writes() {
    const IMAGES: usize = 8;
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    std::fs::create_dir(&images).unwrap();
    for k in 0..IMAGES {
        let shade = |x: u32, y: u32| Rgb([(x * 3) as u8, (y * 5) as u8, k as u8 * 20]);
        RgbImage::from_fn(64, 48, shade).save(images.join(format!("{k:02}.png"))).unwrap();
    }
    std::fs::write(images.join("03.png"), "no image").unwrap();
    let model = dir.path().join("model.safetensors");
    save(&model, 3, true);
    let to = |out: &str, format| DetectRequest {
        images: images.clone(),
        out: Output::new(dir.path().join(out), false),
        ..request(dir.path(), &model, format, format == DetectionFormat::Coco)
    };
    for (format, whole, cut) in
        [(DetectionFormat::Coco, "whole.json", "cut.json"), (DetectionFormat::Fddb, "whole.txt", "cut.txt")]
    {
        let (expected, _) = run(&to(whole, format)).unwrap();
        let unfinished = dir.path().join(format!("{cut}.unfinished"));
        for stop_at in [2, 5, 6] {
            let cancel = Cancel::new();
            let mut stop = |event| {
                if let quarry::workflow::WorkEvent::Progress(progress) = event
                    && progress.done >= stop_at
                {
                    cancel.cancel();
                }
            };
            detect(&to(cut, format), &mut stop, &cancel).unwrap_err();
            let bytes = std::fs::read(&unfinished).unwrap();
            // As left by a kill in the middle of a line.
            std::fs::write(&unfinished, &bytes[..bytes.len() - 5]).unwrap();
        }
        let (report, log) = run(&to(cut, format)).unwrap();
        assert!(log.iter().any(|line| line.contains("Resuming") && !line.contains(": 0 of ")), "{log:?}");
        assert_eq!((report.images, report.detections), (IMAGES - 1, expected.detections));
        assert_eq!(report.unreadable, expected.unreadable);
        for (file, expected) in report.files.iter().zip(&expected.files) {
            assert!(std::fs::read(file).unwrap() == std::fs::read(expected).unwrap(), "{}", file.display());
        }
        assert!(!unfinished.exists());
        // A file with that name that is not Quarry's is kept, also where the output may be replaced.
        std::fs::write(&unfinished, "mine").unwrap();
        report.files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
        for replace in [false, true] {
            let request = to(cut, format);
            let message = run(&DetectRequest { out: Output::new(&request.out.path, replace), ..request }).unwrap_err();
            assert!(message.contains(".unfinished"), "{message}");
            assert_eq!(std::fs::read(&unfinished).unwrap(), b"mine");
        }
    }
}
