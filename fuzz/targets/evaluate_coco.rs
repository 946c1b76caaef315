//! COCO's ground truth and result list, read and evaluated by every evaluator of such files.
#![no_main]

use quarry::evaluation::coco::Coco;
use quarry::evaluation::tide::Tide;
use quarry::workflow::evaluate::{CocoEvaluation, CocoFiles, evaluate_coco_files};
use quarry_fuzz::{file, parts};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let parts = parts(bytes);
    let ground_truth = file("truth.json", parts[0]);
    let detections = file("detections.json", parts.get(1).copied().unwrap_or(b"[]"));
    let config = CocoEvaluation { files: CocoFiles { ground_truth, detections }, out: None };
    let _ = evaluate_coco_files(&config, &Coco);
    let _ = evaluate_coco_files(&config, &Tide::default());
});
