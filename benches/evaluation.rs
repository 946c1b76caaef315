//! Speed of FDDB's evaluation: whole detectors, one fold as evaluated by a running round (both need ../shared), and a worst-case image.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use quarry::evaluation::fddb_text::{
    Order, Shape, UnreadableScores, join, read_annotations, read_detections, read_sizes,
};
use quarry::evaluation::{EvaluatedImage, Matching, Region, ScoredRegion, match_image, roc};

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

/// Seconds that FDDB's official program takes for each detector, unchanged and without decoding, on the machine described in
/// `../shared/golden/fddb/README.md`. Ratios to them are only meaningful on a similar machine.
const OFFICIAL: [(&str, f64, f64); 3] =
    [("frcnn_vgg16_walkoncross", 13.8, 1.4), ("pyface_imistyrain", 12.7, 2.2), ("s3fd_lippman", 20.9, 8.4)];

/// The whole command including process start: the median of nine runs compared with the official program's time.
fn whole_command(shared: &std::path::Path) {
    let out = tempfile::tempdir().expect("a temporary folder");
    for (detector, official, without_decoding) in OFFICIAL {
        let mut seconds: Vec<f64> = (0..9)
            .map(|_| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_quarry"));
                command.args(["evaluate", "fddb", "--annotations"]);
                command.args(
                    (1..=10).map(|k| shared.join(format!("data/fddb/FDDB-folds/FDDB-fold-{k:02}-ellipseList.txt"))),
                );
                command.arg("--detections").arg(shared.join(format!("golden/fddb/real/{detector}/dets.txt")));
                command.arg("--sizes").arg(shared.join("data/fddb/image_sizes.tsv")).arg("--out").arg(out.path());
                let begun = Instant::now();
                let done = command.output().expect("quarry runs");
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
                begun.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        println!(
            "{detector}: whole command {:.0} ms, 1/{:.0} of the official program (limit 1/100), 1/{:.0} without decoding (limit 1/10)",
            median * 1000.0,
            official / median,
            without_decoding / median
        );
    }
}

/// 12 identical faces, a box over them, and 100,000 one-pixel specks: the solver's other start, with every speck a threshold.
fn crowd_under_specks() -> EvaluatedImage {
    let face = Region::Ellipse { ra: 100.0, rb: 75.0, theta: 0.0, cx: 225.0, cy: 225.0 };
    let over = Region::Rectangle { x: 135.0, y: 160.0, w: 180.0, h: 130.0 };
    let specks = (0..100_000_u32).map(|k| {
        let (x, y) = (f64::from(140 + k % 997 * 7919 % 170), f64::from(165 + k % 991 * 104_729 % 120));
        ScoredRegion { region: Region::Rectangle { x, y, w: 0.0, h: 0.0 }, score: -f64::from(k) }
    });
    let detections = std::iter::once(ScoredRegion { region: over, score: 1.0 }).chain(specks).collect();
    EvaluatedImage { name: "crowd".into(), width: 450, height: 450, faces: vec![face; 12], detections }
}

/// 600 faces of a crowd and as many boxes around them or elsewhere, each a threshold: like WIDER FACE's crowds.
fn crowd_of_faces() -> EvaluatedImage {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as f64
    };
    let faces: Vec<[f64; 4]> =
        (0..600).map(|_| [random(1000), random(700), 12.0 + random(20), 14.0 + random(24)]).collect();
    let near = |[x, y, w, h]: [f64; 4], random: &mut dyn FnMut(u64) -> f64| {
        [x + random(6) - 3.0, y + random(6) - 3.0, w + random(6) - 3.0, h + random(6) - 3.0]
    };
    let boxes: Vec<[f64; 4]> = faces.iter().map(|face| near(*face, &mut random)).collect();
    let region = |[x, y, w, h]: [f64; 4]| Region::Rectangle { x, y, w, h };
    let scored = |(k, at): (usize, &[f64; 4])| ScoredRegion { region: region(*at), score: (k * 7919 % 600) as f64 };
    EvaluatedImage {
        name: "crowd".into(),
        width: 1024,
        height: 768,
        faces: faces.iter().map(|face| region(*face)).collect(),
        detections: boxes.iter().enumerate().map(scored).collect(),
    }
}

fn evaluation(c: &mut Criterion) {
    let faces = crowd_of_faces();
    c.bench_function("600 faces of a crowd, 600 detections", |b| {
        b.iter(|| match_image(black_box(&faces), Matching::Official));
    });
    let crowd = crowd_under_specks();
    c.bench_function("12 faces under 100,000 specks", |b| {
        b.iter(|| match_image(black_box(&crowd), Matching::Official));
    });
    let Some(shared) = shared() else {
        println!("SKIPPED: the evaluation benchmark needs ../shared");
        return;
    };
    whole_command(&shared);
    for (detector, ..) in OFFICIAL {
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
