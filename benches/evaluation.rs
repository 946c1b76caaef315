//! How fast FDDB is evaluated: whole detectors, and one fold as a running round evaluates it. Needs ../shared.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, criterion_group, criterion_main};
use quarry::evaluation::fddb_text::{
    Order, Shape, UnreadableScores, join, read_annotations, read_detections, read_sizes,
};
use quarry::evaluation::{EvaluatedImage, Matching, roc};

fn shared() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("QUARRY_SHARED").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// The images of all ten folds with the detections of `detector`, and how many of them are in fold 1.
fn images(shared: &std::path::Path, detector: &str) -> (Vec<EvaluatedImage>, usize) {
    let fold = |k| shared.join(format!("data/fddb/FDDB-folds/FDDB-fold-{k:02}-ellipseList.txt"));
    let folds: Vec<_> = (1..=10).map(|k| read_annotations(&fold(k)).expect("annotations")).collect();
    let first = folds[0].len();
    let detections = shared.join(format!("golden/fddb/real/{detector}/dets.txt"));
    let detections = read_detections(&[detections], Shape::Auto, UnreadableScores::Refuse).expect("detections");
    let sizes = read_sizes(&shared.join("data/fddb/image_sizes.tsv")).expect("sizes");
    let annotations = folds.concat();
    let size = |name: &str| sizes.get(name).copied();
    (join(None, &annotations, &detections, Order::List, size).expect("join"), first)
}

fn evaluation(c: &mut Criterion) {
    let Some(shared) = shared() else {
        println!("SKIPPED: the evaluation benchmark needs ../shared");
        return;
    };
    for detector in ["frcnn_vgg16_walkoncross", "pyface_imistyrain", "s3fd_lippman"] {
        let (all, first) = images(&shared, detector);
        c.bench_function(&format!("{detector}: read, evaluate, format"), |b| {
            b.iter(|| {
                let (all, _) = images(&shared, detector);
                let curve = roc(&all, Matching::Official);
                black_box((curve.disc_text(), curve.cont_text()))
            });
        });
        c.bench_function(&format!("{detector}: fold 1 alone (limit 50 ms)"), |b| {
            b.iter(|| roc(black_box(&all[..first]), Matching::Official));
        });
    }
}

criterion_group! { name = benches; config = Criterion::default().sample_size(10); targets = evaluation }
criterion_main!(benches);
