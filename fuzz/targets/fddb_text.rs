//! FDDB's text files for the evaluation: an ellipse list, detections, an image list, sizes, with separators between.
#![no_main]

use quarry::evaluation::fddb_text::{
    Shape, UnreadableScores, read_annotations, read_detections, read_list, read_sizes,
};
use quarry_fuzz::{file, parts};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let parts = parts(bytes);
    let part = |k: usize, name: &str| file(name, parts.get(k).copied().unwrap_or_default());
    let _ = read_annotations(&part(0, "truth.txt"));
    let detections = part(1, "detections.txt");
    for shape in [Shape::Auto, Shape::Rectangle, Shape::Ellipse] {
        for unreadable in [UnreadableScores::Refuse, UnreadableScores::AsOfficial] {
            let _ = read_detections(&[&detections], shape, unreadable);
        }
    }
    let _ = read_list(&part(2, "list.txt"));
    let _ = read_sizes(&part(3, "sizes.txt"));
});
