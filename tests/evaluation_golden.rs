//! FDDB's evaluation against the official program's outputs, byte for byte: real detectors, edge cases, ellipse masks.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up shall fail")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use quarry::evaluation::fddb_text::{
    FddbTextError, Order, Shape, UnreadableScores, join, read_annotations, read_detections, read_list, read_sizes,
};
use quarry::evaluation::{EvaluatedImage, Matching, PixelSet, RocCurve, roc};

struct Case {
    list: Option<PathBuf>,
    annotations: Vec<PathBuf>,
    detections: PathBuf,
    sizes: PathBuf,
    shape: Shape,
    unreadable: UnreadableScores,
}

impl Case {
    fn edge(folder: &Path) -> Self {
        let flag = std::fs::read_to_string(folder.join("README.txt")).unwrap();
        Self {
            list: Some(folder.join("imList.txt")),
            annotations: vec![folder.join("ellipseList.txt")],
            detections: folder.join("dets.txt"),
            sizes: folder.join("sizes.txt"),
            shape: if flag.contains("-f 1") { Shape::Ellipse } else { Shape::Rectangle },
            unreadable: UnreadableScores::Refuse,
        }
    }

    fn images(&self) -> Result<Vec<EvaluatedImage>, FddbTextError> {
        let list = self.list.as_deref().map(read_list).transpose()?;
        let mut annotations = Vec::new();
        for path in &self.annotations {
            annotations.extend(read_annotations(path)?);
        }
        let detections = read_detections(&[&self.detections], self.shape, self.unreadable)?;
        let sizes = read_sizes(&self.sizes)?;
        join(list.as_deref(), &annotations, &detections, Order::List, |name| sizes.get(name).copied())
    }

    fn curve(&self) -> RocCurve {
        roc(&self.images().unwrap(), Matching::Official)
    }
}

fn assert_files_equal(name: &str, curve: &RocCurve, folder: &Path) {
    for (file, text) in [("DiscROC.txt", curve.disc_text()), ("ContROC.txt", curve.cont_text())] {
        let expected = std::fs::read_to_string(folder.join(file)).unwrap();
        let differing = text.lines().zip(expected.lines()).position(|(a, b)| a != b);
        let row = differing.map(|k| (k + 1, text.lines().nth(k), expected.lines().nth(k)));
        assert!(text == expected, "{name}/{file}: first differing row (line, ours, official) {row:?}");
    }
}

/// The checked-in edge cases work without ../shared.
#[test]
fn fixtures_are_byte_identical() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fddb_edge");
    let mut checked = 0;
    for entry in std::fs::read_dir(&root).unwrap() {
        let folder = entry.unwrap().path();
        assert_files_equal(&folder.display().to_string(), &Case::edge(&folder).curve(), &folder);
        checked += 1;
    }
    assert!(checked >= 10, "{checked} fixtures");
}

#[test]
fn edge_cases_are_byte_identical_or_refused_with_file_and_line() {
    let Some(shared) = support::shared_dir() else { return };
    let mut table = String::new();
    for entry in std::fs::read_dir(shared.join("golden/fddb/edge")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        if !folder.is_dir() || name == "fp_million" {
            continue;
        }
        let mut case = Case::edge(&folder);
        if name == "bad_scores" {
            // Refused by default; read like the official program misreads it on request.
            check_refusal(&name, &case, "dets.txt:3: ");
            case.unreadable = UnreadableScores::AsOfficial;
        }
        if folder.join("DiscROC.txt").exists() {
            assert_files_equal(&name, &case.curve(), &folder);
            writeln!(table, "{name}: identical").unwrap();
        } else {
            let place = match name.as_str() {
                "count_too_large" => "dets.txt:4: ",
                "crlf_dets" | "wrong_order" => "dets.txt:1: ",
                "missing_image" => "sizes.txt:1: ",
                "union_zero" => "dets.txt:3: ",
                other => panic!("{other}: no ROC files, and no expectation here"),
            };
            writeln!(table, "{name}: {}", check_refusal(&name, &case, place)).unwrap();
        }
    }
    println!("{table}");
    assert!(table.lines().count() > 30, "{table}");
}

fn check_refusal(name: &str, case: &Case, place: &str) -> String {
    let message = case.images().expect_err(name).to_string();
    assert!(message.contains(place), "{name}: {message}");
    message
}

/// 1,200,000 detections, which the folder describes instead of containing them.
#[test]
fn a_million_false_positives_print_as_the_official_program_prints_them() {
    let Some(shared) = support::shared_dir() else { return };
    let folder = shared.join("golden/fddb/edge/fp_million");
    let scratch = tempfile::tempdir().unwrap();
    let detections = scratch.path().join("dets.txt");
    std::fs::write(&detections, format!("m/1\n1200000\n{}", "9 9 2 2 0.5\n".repeat(1_200_000))).unwrap();
    let case = Case { detections, ..Case::edge(&folder) };
    assert_files_equal("fp_million", &case.curve(), &folder);
}

fn fddb_case(shared: &Path, detections: &Path, shape: Shape) -> Case {
    let fold = |k| shared.join(format!("data/fddb/FDDB-folds/FDDB-fold-{k:02}-ellipseList.txt"));
    Case {
        list: None,
        annotations: (1..=10).map(fold).collect(),
        detections: detections.to_owned(),
        sizes: shared.join("data/fddb/image_sizes.tsv"),
        shape,
        unreadable: UnreadableScores::Refuse,
    }
}

#[test]
fn real_detectors_are_byte_identical() {
    let Some(shared) = support::shared_dir() else { return };
    let mut checked = BTreeMap::new();
    for entry in std::fs::read_dir(shared.join("golden/fddb/real")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        // Auto must detect which of them are ellipses.
        let images = fddb_case(&shared, &folder.join("dets.txt"), Shape::Auto).images().unwrap();
        let curve = roc(&images, Matching::Official);
        let started = std::time::Instant::now();
        let fold_1 = roc(&images[..290], Matching::Official);
        println!("{name}: fold 1 again ({} points) in {:?}", fold_1.points.len(), started.elapsed());
        assert_files_equal(&name, &curve, &folder);
        checked.insert(name, curve.points.len());
    }
    println!("{checked:?}");
    assert_eq!(checked.len(), 6, "{checked:?}");
}

/// The official matching is not always optimal; the optimal one must differ for this detector.
#[test]
fn optimal_matching_finds_at_least_the_official_sum() {
    let Some(shared) = support::shared_dir() else { return };
    let detections = shared.join("golden/fddb/real/frcnn_zf_nms08_walkoncross/dets.txt");
    let images = fddb_case(&shared, &detections, Shape::Rectangle).images().unwrap();
    let (official, optimal) = (roc(&images, Matching::Official), roc(&images, Matching::Optimal));
    let mut better = 0;
    for (a, b) in official.points.iter().zip(&optimal.points) {
        assert!(a.continuous <= b.continuous + 1e-6, "{a:?} {b:?}");
        better += usize::from(b.continuous > a.continuous + 1e-6);
    }
    assert!(better > 0);
}

#[test]
fn every_face_of_fddb_is_painted_as_opencv_paints_it() {
    use md5::{Digest, Md5};
    let Some(shared) = support::shared_dir() else { return };
    let sizes = read_sizes(&shared.join("data/fddb/image_sizes.tsv")).unwrap();
    let masks = std::fs::read_to_string(shared.join("golden/fddb/ellipse_masks.txt")).unwrap();
    let mut expected = masks.lines();
    let mut count = 0;
    for k in 1..=10 {
        let list = shared.join(format!("data/fddb/FDDB-folds/FDDB-fold-{k:02}-ellipseList.txt"));
        for annotated in read_annotations(&list).unwrap() {
            let (width, height) = sizes[&annotated.name];
            for face in &annotated.regions {
                let words: Vec<&str> = expected.next().unwrap().split_ascii_whitespace().collect();
                let set = PixelSet::paint(face, width, height);
                let md5 = format!("{:x}", Md5::digest(set.mask(width, height)));
                let ours = [annotated.name.as_str(), &set.area().to_string(), &md5].map(str::to_owned);
                assert_eq!(ours.as_slice(), [words[0], words[7], words[8]].map(str::to_owned), "{face:?}");
                count += 1;
            }
        }
    }
    assert_eq!((count, expected.next()), (5171, None));
}
