//! Detections of other detectors: COCO's list, FDDB's text, YOLO's text, CSV. The first byte picks the format.
#![no_main]

use quarry::dataset::results::{ConfidencePlace, ResultFormat, read_results, recognise};
use quarry_fuzz::{file, folder};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let (format, name) = match first % 4 {
        0 => (ResultFormat::Coco, "results.json"),
        1 => (ResultFormat::Fddb, "results.txt"),
        2 => (ResultFormat::Yolo, "labels/a.txt"),
        _ => (ResultFormat::Csv, "results.csv"),
    };
    let written = file(name, rest);
    let path = if format == ResultFormat::Yolo { folder().join("labels") } else { written.clone() };
    let _ = recognise(&written);
    for confidence in [None, Some(ConfidencePlace::First), Some(ConfidencePlace::Last)] {
        let _ = read_results(&path, format, confidence);
    }
});
