//! The evaluators of COCO files against pycocotools, tidecv and short ports of VOC's and Dollár's programs: small random sets with several
//! classes, id gaps, score ties, crowds, images without objects or detections. Made by `scripts/evaluator_fixtures.py`.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};

use quarry::domain::Output;
use quarry::evaluation::coco::Coco;
use quarry::evaluation::miss_rate::MissRate;
use quarry::evaluation::precision_recall::PrecisionRecall;
use quarry::evaluation::tide::Tide;
use quarry::evaluation::voc::Voc;
use quarry::evaluation::{EvaluationSet, Evaluator, Tabular};
use quarry::workflow::evaluate::{CocoEvaluation, CocoFiles, MetricReport, evaluate_coco_files};
use serde_json::Value;

const SETS: [&str; 3] = ["several_classes", "one_class", "many_detections"];

fn folder(set: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/evaluators").join(set)
}

fn expected(set: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(set).join("expected.json")).unwrap()).unwrap()
}

fn evaluated<E>(folder: &Path, evaluator: &E) -> MetricReport<E::Report>
where
    E: Evaluator<Input = EvaluationSet>,
    E::Report: Tabular,
{
    let files =
        CocoFiles { ground_truth: folder.join("ground_truth.json"), detections: folder.join("detections.json") };
    evaluate_coco_files(&CocoEvaluation { files, out: None }, evaluator).unwrap()
}

#[track_caller]
fn near(ours: Option<f64>, reference: &Value, tolerance: f64, what: &str) {
    match (ours, reference.as_f64()) {
        (Some(ours), Some(reference)) => assert!((ours - reference).abs() <= tolerance, "{what}: {ours} {reference}"),
        (ours, reference) => assert_eq!(ours, reference, "{what}"),
    }
}

#[test]
fn coco_is_pycocotools() {
    for set in SETS {
        let (report, expected) = (evaluated(&folder(set), &Coco), expected(set));
        let check = |ours: [Option<f64>; 12], reference: &Value, what: &str| {
            for (k, ours) in ours.into_iter().enumerate() {
                near(ours, &reference[k], 1e-9, &format!("{set}, {what}, number {k}"));
            }
        };
        check(report.result.overall.values(), &expected["coco"]["overall"], "overall");
        for class in &report.result.classes {
            let id = class.class.id.to_string();
            check(class.metrics.values(), &expected["coco"]["classes"][&id], &id);
        }
    }
}

#[test]
fn tide_is_tidecv() {
    for set in SETS {
        let (report, expected) = (evaluated(&folder(set), &Tide::default()).result, &expected(set)["tide"]);
        near(report.ap, &expected["ap"], 1e-6, set);
        let ours = serde_json::to_value(&report).unwrap();
        for group in ["main", "special", "counts"] {
            for (name, reference) in expected[group].as_object().unwrap() {
                near(ours[group][name].as_f64(), reference, 1e-6, &format!("{set}, {group}, {name}"));
            }
        }
    }
}

#[test]
fn voc_is_the_development_kit() {
    for set in SETS {
        let (report, expected) = (evaluated(&folder(set), &Voc::default()).result, expected(set));
        for class in report.classes {
            let reference = &expected["voc"][class.class.id.to_string()];
            near(class.ap_11_point, &reference[0], 1e-9, set);
            near(class.ap_all_point, &reference[1], 1e-9, set);
        }
    }
}

#[test]
fn log_average_miss_rate_is_the_toolbox() {
    for set in SETS {
        let (report, expected) = (evaluated(&folder(set), &MissRate::default()).result, expected(set));
        for class in report.classes {
            near(class.log_average_miss_rate, &expected["miss_rate"][class.class.id.to_string()], 1e-9, set);
        }
    }
}

#[test]
fn the_best_f1_is_that_of_cocos_matches() {
    for set in SETS {
        let dir = tempfile::tempdir().unwrap();
        let without_ignore =
            std::fs::read_to_string(folder(set).join("ground_truth.json")).unwrap().replace(",\"ignore\":1", "");
        std::fs::write(dir.path().join("ground_truth.json"), without_ignore).unwrap();
        std::fs::copy(folder(set).join("detections.json"), dir.path().join("detections.json")).unwrap();
        let expected = expected(set);
        for class in evaluated(dir.path(), &PrecisionRecall::default()).result.classes {
            let reference = &expected["best_f1_without_ignore"][class.class.id.to_string()];
            let best = class.curve.best;
            let ours =
                [best.map(|p| p.f1), best.map(|p| p.threshold), best.map(|p| p.precision), best.map(|p| p.recall)];
            for (k, ours) in ours.into_iter().enumerate() {
                near(ours, &reference[k], 1e-9, set);
            }
        }
    }
}

/// Ids as floats or strings, masks, missing `area` and `iscrowd`, no list of categories: the same numbers.
#[test]
fn files_are_read_as_they_come() {
    let read = |truth: &str, found: &str| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ground_truth.json"), truth).unwrap();
        std::fs::write(dir.path().join("detections.json"), found).unwrap();
        let report = evaluated(dir.path(), &Coco);
        (report.result.overall, report.objects, report.ignored)
    };
    let plain = read(
        r#"{"images": [{"id": 7}], "categories": [{"id": 5, "name": "a"}, {"id": 90, "name": "b"}], "annotations": [
            {"id": 1, "image_id": 7, "category_id": 5, "bbox": [0, 0, 50, 50], "area": 2500, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 90, "bbox": [0, 0, 20, 20], "area": 400, "iscrowd": 1},
            {"id": 3, "image_id": 7, "category_id": 90, "bbox": [100, 0, 20, 20], "area": 400, "iscrowd": 0}]}"#,
        r#"[{"image_id": 7, "category_id": 5, "bbox": [0, 0, 50, 50], "score": 0.5}]"#,
    );
    assert_eq!((plain.0.ap, plain.1, plain.2), (Some(0.5), 2, 1));
    let odd = read(
        "\u{feff}{\"info\": null, \"images\": [{\"id\": \"7\", \"license\": 3}], \"annotations\": [
            {\"image_id\": 7.0, \"category_id\": \"5\", \"bbox\": [0, 0, 50, 50], \"segmentation\": [[0, 0, 50, 0, 50, 50]]},
            {\"image_id\": \"7\", \"category_id\": 90.0, \"bbox\": [0, 0, 20, 20], \"iscrowd\": true, \"segmentation\": {\"counts\": \"x\"}},
            {\"image_id\": 7, \"category_id\": 90, \"bbox\": [100, 0, 20, 20], \"iscrowd\": null, \"area\": null}]}",
        r#"[{"image_id": "7.0", "category_id": 5.0, "bbox": [0, 0, 50, 50], "score": 0.5, "segmentation": {"size": [1, 2]}}]"#,
    );
    assert_eq!(odd, plain);
}

#[test]
fn malformed_files_are_refused_with_file_and_record() {
    let good_truth = r#"{"images": [{"id": 7}], "annotations": [{"image_id": 7, "category_id": 5, "bbox": [0, 0, 5, 5]},
        {"image_id": 7, "category_id": 6, "bbox": [0, 0, 5, 5]}]}"#;
    let annotation = |text: &str| format!(r#"{{"images": [{{"id": 7}}], "annotations": [{text}]}}"#);
    let cases = [
        (
            annotation(r#"{"image_id": 7, "category_id": 5, "bbox": [0, 0, 5]}"#),
            "[]",
            "annotations, entry 1: invalid length 3",
        ),
        (annotation(r#"{"image_id": 7, "category_id": 5, "bbox": [0, 0, 5, 5, 5]}"#), "[]", "invalid length 5"),
        (annotation(r#"{"image_id": 7.5, "category_id": 5, "bbox": [0, 0, 5, 5]}"#), "[]", "whole number for an id"),
        (annotation(r#"{"image_id": "x", "category_id": 5, "bbox": [0, 0, 5, 5]}"#), "[]", "whole number for an id"),
        (annotation(r#"{"image_id": 7, "category_id": 5}"#), "[]", "annotations, entry 1: missing field `bbox`"),
        (annotation(r#"{"image_id": 7, "category_id": 5, "bbox": [0, 0, NaN, 5]}"#), "[]", "annotations, entry 1"),
        (annotation(r#"{"image_id": 7, "category_id": 5, "bbox": [0, 0, 1e999, 5]}"#), "[]", "annotations, entry 1"),
        (annotation(r#"{"image_id": 8, "category_id": 5, "bbox": [0, 0, 5, 5]}"#), "[]", "image 8 is not among"),
        (
            r#"{"images": [{"id": 7}, {"id": "7"}], "annotations": []}"#.to_owned(),
            "[]",
            "images, entry 2: id 7 appears twice",
        ),
        (
            r#"{"images": [], "annotations": [], "categories": [{"id": 1}, {"id": 1}]}"#.to_owned(),
            "[]",
            "categories, entry 2",
        ),
        (r#"{"images": []}"#.to_owned(), "[]", "missing field `annotations`"),
        ("{".to_owned(), "[]", "EOF"),
        (
            good_truth.to_owned(),
            r#"[{"image_id": 7, "category_id": 5, "bbox": [0, 0, 5, 5], "score": "high"}]"#,
            "entry 1: invalid type",
        ),
        (
            good_truth.to_owned(),
            r#"[{"image_id": 7, "category_id": 5, "bbox": [0, 0, 5, 5], "score": 1}, 3]"#,
            "entry 2",
        ),
        (
            good_truth.to_owned(),
            r#"[{"image_id": 9, "category_id": 5, "bbox": [0, 0, 5, 5], "score": 1}]"#,
            "entry 1: the ground truth has no image with id 9",
        ),
        (
            good_truth.to_owned(),
            r#"[{"image_id": 7, "bbox": [0, 0, 5, 5], "score": 1}]"#,
            "entry 1: `category_id` is missing",
        ),
        (
            good_truth.to_owned(),
            r#"[{"image_id": 7, "category_id": 5, "bbox": [0, 0, -5, 5], "score": 1}]"#,
            "entry 1: a box of -5 x 5",
        ),
        (good_truth.to_owned(), r#"{"images": []}"#, "--detections"),
    ];
    for (truth, found, part) in cases {
        let dir = tempfile::tempdir().unwrap();
        let (truth_path, found_path) = (dir.path().join("truth.json"), dir.path().join("found.json"));
        std::fs::write(&truth_path, &truth).unwrap();
        std::fs::write(&found_path, found).unwrap();
        let files = CocoFiles { ground_truth: truth_path, detections: found_path };
        let message = evaluate_coco_files(&CocoEvaluation { files, out: None }, &Coco).unwrap_err().to_string();
        assert!(message.contains(part) && message.contains(".json: "), "`{part}` is not in: {message}");
    }
    let dir = tempfile::tempdir().unwrap();
    let (truth_path, found_path) = (dir.path().join("truth.json"), dir.path().join("found.json"));
    let utf16: Vec<u8> = good_truth.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&truth_path, utf16).unwrap();
    std::fs::write(&found_path, "[]").unwrap();
    let files = CocoFiles { ground_truth: truth_path, detections: found_path };
    let message = evaluate_coco_files(&CocoEvaluation { files, out: None }, &Coco).unwrap_err().to_string();
    assert!(message.contains("truth.json: the text is UTF-16"), "{message}");
}

#[test]
fn reports_are_written_and_never_over_an_input() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("coco.json");
    std::fs::copy(folder("several_classes").join("ground_truth.json"), &input).unwrap();
    let files =
        CocoFiles { ground_truth: input.clone(), detections: folder("several_classes").join("detections.json") };
    let over = CocoEvaluation { files: files.clone(), out: Some(Output::new(dir.path(), true)) };
    let before = std::fs::read(&input).unwrap();
    assert!(evaluate_coco_files(&over, &Coco).unwrap_err().to_string().contains("an input"));
    assert_eq!(std::fs::read(&input).unwrap(), before);
    let out = dir.path().join("out");
    let report =
        evaluate_coco_files(&CocoEvaluation { files, out: Some(Output::from(&out)) }, &MissRate::default()).unwrap();
    assert_eq!(report.files.len(), 3);
    let csv = std::fs::read_to_string(out.join("miss-rate.csv")).unwrap();
    assert!(csv.starts_with("class,objects,detections,log_average_miss_rate\nall,"), "{csv}");
    let json: Value = serde_json::from_slice(&std::fs::read(out.join("miss-rate.json")).unwrap()).unwrap();
    assert_eq!((json["metric"].as_str(), json["classes"].as_array().map(Vec::len)), (Some("miss-rate"), Some(5)));
}
