//! How fast FDDB is evaluated: whole detectors, and one fold as a running round evaluates it. Needs ../shared.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

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

/// Seconds that FDDB's official program takes for each detector, as it is and with decoding taken out, on the machine that
/// `../shared/golden/fddb/README.md` describes. Ratios to them mean something on a similar machine only.
const OFFICIAL: [(&str, f64, f64); 3] =
    [("frcnn_vgg16_walkoncross", 13.8, 1.4), ("pyface_imistyrain", 12.7, 2.2), ("s3fd_lippman", 20.9, 8.4)];

/// The whole command, process start included: the median of nine runs beside the official program's time.
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

fn evaluation(c: &mut Criterion) {
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
