//! The use case behind `quarry evaluate fddb` on small files: what it writes, what it refuses, and that a refusal leaves nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up shall fail")]

use std::path::{Path, PathBuf};

use quarry::domain::{Cancel, Output};
use quarry::evaluation::Matching;
use quarry::evaluation::fddb_text::{Order, Shape, UnreadableScores};
use quarry::evaluation::figure::FigureFormat;
use quarry::workflow::evaluate::{EvaluationReport, FddbEvaluation, SizeSource, evaluate_fddb};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fddb_edge").join(name)
}

fn config(folder: &Path, out: &Path) -> FddbEvaluation {
    FddbEvaluation {
        annotations: vec![folder.join("ellipseList.txt")],
        detections: vec![folder.join("dets.txt")],
        lists: Vec::new(),
        sizes: SizeSource::Table(folder.join("sizes.txt")),
        shape: Shape::Auto,
        matching: Matching::Official,
        order: Order::List,
        unreadable_scores: UnreadableScores::Refuse,
        out: Output::new(out, true),
        figures: Vec::new(),
        logarithmic: false,
        from_zero: false,
        published: false,
        most_hours: 1.0,
    }
}

/// An image that could take days is refused before the work, unless explicitly requested.
#[test]
fn a_hostile_crowd_is_refused_with_its_size() {
    let scratch = tempfile::tempdir().unwrap();
    let crowd = |faces: usize, detections: usize| {
        let ellipses = "5 4 0 9 9 1\n".repeat(faces);
        let boxes: Vec<String> = (0..detections).map(|k| format!("{} 0 9 9 0.{k:05}\n", k % 90)).collect();
        let boxes = boxes.concat();
        std::fs::write(scratch.path().join("ellipseList.txt"), format!("a\n{faces}\n{ellipses}")).unwrap();
        std::fs::write(scratch.path().join("dets.txt"), format!("a\n{detections}\n{boxes}")).unwrap();
        std::fs::write(scratch.path().join("sizes.txt"), "a 100 20\n").unwrap();
        config(scratch.path(), &scratch.path().join("out"))
    };
    let error = run(&crowd(9000, 20_000)).unwrap_err();
    assert!(error.contains("`a` has 9000 faces and 20000 detections") && error.contains("--most-hours"), "{error}");
    assert!(!scratch.path().join("out").exists());
    // Many detections on few faces, and WIDER FACE's most crowded image, are within the limit.
    run(&crowd(2, 3000)).unwrap();
    assert!(quarry::evaluation::most_seconds(1968, 5000) < 3600.0);
    assert!(run(&FddbEvaluation { most_hours: 1e-9, ..crowd(2, 3000) }).is_err());
}

fn run(config: &FddbEvaluation) -> Result<EvaluationReport, String> {
    evaluate_fddb(config, &mut |_| {}, &Cancel::new()).map_err(|e| e.to_string())
}

#[test]
fn writes_the_official_files_and_the_rest() {
    let (folder, scratch) = (fixture("suboptimal_3x4"), tempfile::tempdir().unwrap());
    let out = scratch.path().join("new/results");
    let report = run(&FddbEvaluation {
        figures: vec![FigureFormat::Svg, FigureFormat::Png],
        published: true,
        ..config(&folder, &out)
    })
    .unwrap();
    let mut written: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().path()).collect();
    let mut reported = report.files.clone();
    written.sort();
    reported.sort();
    assert_eq!(written, reported);
    for file in ["DiscROC.txt", "ContROC.txt"] {
        assert_eq!(std::fs::read(out.join(file)).unwrap(), std::fs::read(folder.join(file)).unwrap(), "{file}");
    }
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["faces"], report.faces);
    assert_eq!(summary["matching"], "official");
    let csv = std::fs::read_to_string(out.join("curves.csv")).unwrap();
    assert_eq!(csv.lines().count(), report.points + 1);
    let svg = std::fs::read_to_string(out.join("roc.svg")).unwrap();
    for part in ["@font-face", "base64,", "False positives", "Continuous score", "Viola-Jones (2001)"] {
        assert!(svg.contains(part), "{part}");
    }
    let png = image::open(out.join("roc.png")).unwrap().to_rgb8();
    let blue = png.pixels().filter(|p| p.0 == [0, 114, 178]).count();
    assert!(blue > 1000, "the curve is missing: {blue} pixels of its colour");
}

/// Two folds with one image each, in reverse order for `--order name`.
struct TwoFolds {
    dir: tempfile::TempDir,
}

impl TwoFolds {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let this = Self { dir };
        this.write("FDDB-fold-03-ellipseList.txt", "a/1\n1\n40 30 0 100 100 1\n");
        this.write("FDDB-fold-07-ellipseList.txt", "a/2\n1\n30 20 1.57 60 60 1\n");
        this.write("dets.txt", "a/1\n2\n60 70 80 60 0.9\n0 0 10 10 0.4\n\na/2\n0\n".replace("\n\n", "\n").as_str());
        this.write("sizes.txt", "a/1\t200\t180\t3\na/2\t200\t180\t3\n");
        this
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn config(&self) -> FddbEvaluation {
        let mut config = config(self.dir.path(), &self.dir.path().join("out"));
        config.annotations =
            ["03", "07"].iter().map(|k| self.dir.path().join(format!("FDDB-fold-{k}-ellipseList.txt"))).collect();
        config
    }

    #[track_caller]
    fn check_refused(config: &FddbEvaluation, parts: &[&str]) {
        let message = run(config).unwrap_err();
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        assert!(!config.out.path.exists(), "something was written");
    }
}

#[test]
fn folds_take_their_numbers_from_file_names() {
    let folds = TwoFolds::new();
    let report = run(&folds.config()).unwrap();
    assert_eq!(report.folds.keys().copied().collect::<Vec<_>>(), [3, 7]);
    assert_eq!((report.faces, report.curves.folds[&3].faces, report.curves.folds[&7].faces), (2, 1, 1));
    assert_eq!(report.curves.pooled.discrete_tpr_at(10), 0.5);
    assert_eq!(report.spread[0].discrete.mean, 0.5);
}

#[test]
fn detections_in_another_order_are_refused_or_taken_by_name() {
    let folds = TwoFolds::new();
    let in_order = run(&folds.config()).unwrap().curves;
    std::fs::remove_dir_all(folds.dir.path().join("out")).unwrap();
    folds.write("dets.txt", "a/2\n0\na/1\n2\n60 70 80 60 0.9\n0 0 10 10 0.4\n");
    TwoFolds::check_refused(&folds.config(), &["dets.txt:1: ", "the order differs", "--order name"]);
    let by_name = run(&FddbEvaluation { order: Order::ByName, ..folds.config() }).unwrap().curves;
    assert_eq!(in_order, by_name);
}

#[test]
fn bad_detection_files_are_refused_with_file_and_line() {
    let good = "a/1\n1\n60 70 80 60 0.9\n";
    for (text, parts) in [
        ("a/9\n0\na/2\n0\n".to_owned(), vec!["dets.txt:1: ", "no annotation mentions this image"]),
        (good.to_owned(), vec!["fold-07-ellipseList.txt:1: ", "no detections for image `a/2`", "1 annotated image(s)"]),
        (format!("{good}a/2\n0\na/3\n0\n"), vec!["dets.txt:6: ", "`a/3`"]),
        (format!("{good}a/1\n0\n"), vec!["dets.txt:4: ", "twice"]),
        ("a/1\n1\n60 70 80 60 nan\na/2\n0\n".to_owned(), vec!["dets.txt:3: ", "`nan` is not a finite number"]),
        ("a/1\n1\n60 70 80 60 inf\na/2\n0\n".to_owned(), vec!["dets.txt:3: ", "finite"]),
        ("a/1\n1\n60 NaN 80 60 0.5\na/2\n0\n".to_owned(), vec!["dets.txt:3: ", "finite"]),
        ("a/1\n1\n60 70 80 60\na/2\n0\n".to_owned(), vec!["dets.txt:3: ", "score is missing"]),
        ("a/1\n1\n60 70 3e9 60 0.5\na/2\n0\n".to_owned(), vec!["dets.txt:3: ", "32-bit"]),
        ("a/1\n0\n60 70 80 60 0.5\na/2\n0\n".to_owned(), vec!["dets.txt:3: ", "count before it is too small"]),
        ("a/1\nmany\na/2\n0\n".to_owned(), vec!["dets.txt:2: ", "`many`"]),
        ("a/1\n3\n60 70 80 60 0.5\n".to_owned(), vec!["dets.txt:4: ", "ends after 1 detection(s)"]),
        ("a/1\r\n0\r\na/2\r\n0\r\n".to_owned(), vec!["dets.txt:1: ", "Windows line ends"]),
        ("a/1\n1\n60 70 80 60 0.5 1\na/2\n0\n".to_owned(), vec!["dets.txt:3: ", "--shape"]),
        (
            "a/1\n1\n40.5 30 1.57 100 100\na/2\n1\n30 20 -1.2 60 60\n".to_owned(),
            vec!["dets.txt:3: ", "ellipses without a score"],
        ),
        ("a/1 \n0\na/2\n0\n".to_owned(), vec!["dets.txt:1: ", "blanks around"]),
    ] {
        let folds = TwoFolds::new();
        folds.write("dets.txt", &text);
        TwoFolds::check_refused(&folds.config(), &parts);
    }
}

/// Images without detections are reported as missing, even in the middle, never as another order.
#[test]
fn a_fold_that_is_left_out_is_named() {
    for order in [Order::List, Order::ByName] {
        let folds = TwoFolds::new();
        folds.write("FDDB-fold-03-ellipseList.txt", "a/1\n1\n40 30 0 100 100 1\na/3\n1\n40 30 0 100 100 1\n");
        folds.write("sizes.txt", "a/1 200 180\na/2 200 180\na/3 200 180\n");
        let config = FddbEvaluation { order, ..folds.config() };
        folds.write("dets.txt", "a/2\n0\n");
        let parts =
            ["fold-03-ellipseList.txt:1: ", "image `a/1`: 2 annotated image(s)", "all of FDDB-fold-03-ellipseList.txt"];
        TwoFolds::check_refused(&config, &parts);
        folds.write("dets.txt", "a/1\n0\na/2\n0\n");
        TwoFolds::check_refused(&config, &["fold-03-ellipseList.txt:4: ", "image `a/3`: 1 annotated image(s)"]);
        assert!(!run(&config).unwrap_err().contains("left out"));
        folds.write("dets.txt", "a/1\n0\na/3\n0\n");
        TwoFolds::check_refused(&config, &["fold-07-ellipseList.txt:1: ", "all of FDDB-fold-07-ellipseList.txt"]);
    }
}

#[test]
fn bad_annotations_sizes_and_lists_are_refused() {
    let folds = TwoFolds::new();
    folds.write("FDDB-fold-07-ellipseList.txt", "a/2\n1\n-30 20 1.57 60 60 1\n");
    TwoFolds::check_refused(&folds.config(), &["FDDB-fold-07-ellipseList.txt:3: ", "negative half axes"]);

    let folds = TwoFolds::new();
    folds.write("sizes.txt", "a/1 200 180\n");
    TwoFolds::check_refused(&folds.config(), &["FDDB-fold-07-ellipseList.txt:1: ", "size of image `a/2`"]);

    let folds = TwoFolds::new();
    let list = folds.write("list.txt", "a/2\na/1\n");
    let config = FddbEvaluation { lists: vec![list], ..folds.config() };
    TwoFolds::check_refused(&config, &["FDDB-fold-03-ellipseList.txt:1: ", "must follow the list"]);

    let folds = TwoFolds::new();
    for nothing in ["", "\r\n\n"] {
        let list = folds.write("list.txt", nothing);
        let config = FddbEvaluation { lists: vec![list], ..folds.config() };
        TwoFolds::check_refused(&config, &["list.txt", "names no image"]);
    }

    let folds = TwoFolds::new();
    let config = FddbEvaluation { detections: vec![folds.dir.path().join("none.txt")], ..folds.config() };
    TwoFolds::check_refused(&config, &["none.txt", "cannot read"]);
}

/// The official program stops at the end of its list, and accepts Windows line ends.
#[test]
fn a_shorter_list_ends_the_evaluation() {
    let folds = TwoFolds::new();
    let list = folds.write("list.txt", "a/1\r\n");
    let report = run(&FddbEvaluation { lists: vec![list], ..folds.config() }).unwrap();
    assert_eq!((report.images, report.faces), (1, 1));
}

#[test]
fn sizes_come_from_image_headers() {
    let folds = TwoFolds::new();
    let table = run(&folds.config()).unwrap().curves;
    std::fs::create_dir_all(folds.dir.path().join("pics/a")).unwrap();
    let picture = image::RgbImage::new(200, 180);
    picture.save(folds.dir.path().join("pics/a/1.jpg")).unwrap();
    let sizes = SizeSource::Images(folds.dir.path().join("pics"));
    std::fs::remove_dir_all(folds.dir.path().join("out")).unwrap();
    let config = FddbEvaluation { sizes, ..folds.config() };
    TwoFolds::check_refused(&config, &["a/2", "no file"]);
    picture.save(folds.dir.path().join("pics/a/2.png")).unwrap();
    assert_eq!(run(&config).unwrap().curves, table);
    std::fs::write(folds.dir.path().join("pics/a/1.jpg"), "no picture").unwrap();
    assert!(run(&config).unwrap_err().contains("a/1"));
}

#[test]
fn a_cancelled_evaluation_writes_nothing() {
    let folds = TwoFolds::new();
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(evaluate_fddb(&folds.config(), &mut |_| {}, &cancel).is_err());
    assert!(!folds.dir.path().join("out").exists());
}
