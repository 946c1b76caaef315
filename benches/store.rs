//! The store at the size that the review screen supports: 1,000,000 candidates on 100,000 images with two faces each, two rounds, two
//! annotators, 300,000 verdicts. `cargo bench --no-default-features --bench store` prints a table with the limits, then criterion's
//! statistics. The project is generated once, into `target/bench-store-2/`.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use quarry::domain::{CANDIDATE_MAX_IOU, CandidateId, ClassId, FalsePositiveKind, ImageId, Overlaps, Shape, Verdict};
use quarry::geometry::{BoundingBox, Ellipse};
use quarry::store::{
    CandidateQuery, Interval, NewCandidate, NewDataset, NewImage, NewObject, Sort, Store, StoreError, VerdictFilter,
};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const IMAGES: usize = 100_000;
const CANDIDATES: usize = 1_000_000;
/// Close to FDDB's number per image.
const FACES: usize = 2;

fn main() -> Result<(), StoreError> {
    let pristine = pristine()?;
    let scratch = pristine.with_file_name("scratch.db");
    copy(&pristine, &scratch);
    println!("| what | median | p99 | max | bar |\n| --- | --- | --- | --- | --- |");
    opening(&scratch)?;
    let mut store = Store::open(&scratch)?;
    store.warm_up()?;
    pages(&store)?;
    commits(&mut store)?;
    batches(&mut store)?;
    drop(store);
    let store = Store::open(&pristine)?;
    let mut criterion = Criterion::default()
        .without_plots()
        .configure_from_args()
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    statistics(&mut criterion, &store)?;
    criterion.final_summary();
    Ok(())
}

fn statistics(criterion: &mut Criterion, store: &Store) -> Result<(), StoreError> {
    store.warm_up()?;
    let mut group = criterion.benchmark_group("first_page");
    for (name, query) in queries() {
        group.bench_with_input(BenchmarkId::from_parameter(name), &query, |b, query| {
            b.iter(|| black_box(store.candidates_page(query, None, 100).map(|page| page.rows.len())));
        });
    }
    group.finish();
    criterion
        .bench_function("count", |b| b.iter(|| black_box(store.count_candidates(&CandidateQuery::default()).ok())));
    Ok(())
}

fn report(what: &str, times: &mut [Duration], bar: &str) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!("| {what} | {:.1} ms | {:.1} ms | {:.1} ms | {bar} |", at(0.5), at(0.99), at(1.0));
}

fn timed<T>(times: &mut Vec<Duration>, f: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let start = Instant::now();
    let value = f()?;
    times.push(start.elapsed());
    Ok(value)
}

fn opening(path: &Path) -> Result<(), StoreError> {
    let (mut opened, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let start = Instant::now();
        let store = Store::open(path)?;
        opened.push(start.elapsed());
        store.candidates_page(&CandidateQuery::default(), None, 100)?;
        warm.push(start.elapsed());
    }
    report("open", &mut opened, "1 s");
    report("open, first page of the queue on the screen", &mut warm, "1 s");
    Ok(())
}

/// Every sort with every filter, with and without collapsed groups, and combinations that match little or nothing.
fn queries() -> Vec<(String, CandidateQuery)> {
    let base = CandidateQuery::default;
    let filters: Vec<(&str, CandidateQuery)> = vec![
        ("undecided", base()),
        ("any verdict", CandidateQuery { verdict: VerdictFilter::Any, ..base() }),
        ("any verdict, singly", CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..base() }),
        ("confirmed", CandidateQuery { verdict: VerdictFilter::Is(Verdict::Confirmed), ..base() }),
        ("disputed", CandidateQuery { verdict: VerdictFilter::Disputed, ..base() }),
        ("one annotator's", CandidateQuery { annotator: Some("Ada".to_owned()), ..base() }),
        ("round", CandidateQuery { round: Some(quarry::domain::RoundId(2)), ..base() }),
        ("fold", CandidateQuery { split: Some("7".to_owned()), ..base() }),
        ("kind", CandidateQuery { kind: Some(FalsePositiveKind::Localisation), ..base() }),
        ("image name", CandidateQuery { image_name: "img_77".to_owned(), ..base() }),
        ("image name, none", CandidateQuery { image_name: "nowhere".to_owned(), ..base() }),
        ("thin score", CandidateQuery { score: Interval::new(0.500, 0.501), ..base() }),
        (
            "all intervals",
            CandidateQuery {
                score: Interval::new(0.2, 0.8),
                iou: Interval::new(0.05, 0.3),
                size: Interval::new(20.0, 60.0),
                split: Some("3".to_owned()),
                ..base()
            },
        ),
    ];
    let sorted = |sort| {
        filters
            .iter()
            .map(move |(name, query)| (format!("{name} by {sort:?}"), CandidateQuery { sort, ..query.clone() }))
    };
    Sort::ALL.into_iter().flat_map(sorted).collect()
}

fn pages(store: &Store) -> Result<(), StoreError> {
    let (mut first, mut next, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let mut slowest = (Duration::ZERO, String::new());
    for (name, query) in queries() {
        let page = timed(&mut first, || store.candidates_page(&query, None, 100))?;
        slowest = slowest.max((first.last().copied().unwrap_or_default(), name));
        if let Some(cursor) = page.next {
            timed(&mut next, || store.candidates_page(&query, Some(&cursor), 100))?;
        }
        timed(&mut counts, || store.count_candidates(&query))?;
    }
    report(
        &format!("first page (100), {} filters and sorts; slowest: {}", first.len(), slowest.1),
        &mut first,
        "50 ms",
    );
    report("following page", &mut next, "50 ms");
    report("count", &mut counts, "50 ms");
    Ok(())
}

/// The reviewer's loop: decide, then request the next.
fn commits(store: &mut Store) -> Result<(), StoreError> {
    let query = CandidateQuery::default();
    let ids = store.candidate_ids(&CandidateQuery { collapse: false, ..query.clone() })?;
    let (mut commit, mut next, mut undo) = (Vec::new(), Vec::new(), Vec::new());
    for (k, id) in ids.iter().take(2000).enumerate() {
        let verdict = if k % 50 == 0 { Verdict::MissedObject } else { Verdict::Confirmed };
        timed(&mut commit, || store.record_verdicts(&[*id], "Ada", verdict, None, k as i64))?;
        if k % 10 == 0 {
            timed(&mut next, || store.next_undecided(&query, Some(*id)))?;
        }
    }
    for k in 0..500 {
        timed(&mut undo, || store.undo("Ada", k))?;
    }
    report("verdict commit (2,000)", &mut commit, "10 ms (p99)");
    report("next undecided after a verdict", &mut next, "50 ms");
    report("undo commit (500)", &mut undo, "10 ms (p99)");
    Ok(())
}

fn batches(store: &mut Store) -> Result<(), StoreError> {
    let mut ids = store.candidate_ids(&CandidateQuery { collapse: false, ..CandidateQuery::default() })?;
    ids.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
    let (mut decide, mut undo) = (Vec::new(), Vec::new());
    for part in ids.chunks(10_000).take(5) {
        timed(&mut decide, || store.record_verdicts(part, "Ada", Verdict::Confirmed, None, 1))?;
        timed(&mut undo, || store.undo("Ada", 2))?;
    }
    report("10,000 candidates in one batch, from all over", &mut decide, "1 s");
    report("undo of that batch", &mut undo, "1 s");
    Ok(())
}

/// Returns the generated project; created if missing.
fn pristine() -> Result<PathBuf, StoreError> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    // Numbered by its content: one that was generated before is not this project.
    let folder = target.join("bench-store-2");
    let (path, unfinished) = (folder.join("pristine.db"), folder.join("unfinished.db"));
    if path.exists() {
        return Ok(path);
    }
    // A folder that cannot be created fails in the next line.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|cause| StoreError::Io { path: folder.clone(), cause })?;
    let start = Instant::now();
    let mut store = Store::create(&unfinished)?;
    generate(&mut store)?;
    drop(store);
    copy(&unfinished, &path);
    println!("generated {} in {:.0} s", path.display(), start.elapsed().as_secs_f64());
    Ok(path)
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("there is room for a copy of the generated project");
}

fn generate(store: &mut Store) -> Result<(), StoreError> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let faces: Vec<Vec<NewObject>> = (0..IMAGES).map(|_| new_faces(&mut rng)).collect();
    let images = faces.iter().enumerate().map(|(k, faces)| new_image(k, faces)).collect();
    let (name, kind, root) = ("Generated".to_owned(), "fddb".to_owned(), PathBuf::from("/photos"));
    store.add_dataset(&NewDataset { name, kind, root, classes: vec!["face".to_owned()], images })?;
    let images: Vec<ImageId> = store.images()?.iter().map(|image| image.id).collect();
    for _ in 0..2 {
        let round = store.start_round("")?.id;
        let new: Vec<NewCandidate> =
            (0..CANDIDATES / 2).map(|k| new_candidate(&mut rng, images[k / 5], &faces[k / 5])).collect();
        store.replace_candidates(round, &images, &new)?;
    }
    let any = CandidateQuery { verdict: VerdictFilter::Any, ..CandidateQuery::default() };
    let mut ids = store.candidate_ids(&any)?;
    ids.shuffle(&mut rng);
    let mut groups: Vec<Vec<CandidateId>> = vec![ids[..10_000].to_vec()];
    groups.extend(ids[10_000..400_000].chunks(3).map(<[CandidateId]>::to_vec));
    store.set_groups(&groups)?;
    ids.shuffle(&mut rng);
    for (k, part) in ids[..300_000].chunks(5000).enumerate() {
        let verdict = [Verdict::Confirmed, Verdict::Confirmed, Verdict::Rejected, Verdict::Skipped][k % 4];
        store.record_verdicts(part, ["Ada", "Grace"][k % 2], verdict, None, k as i64)?;
        store.record_verdicts(&part[..200], ["Grace", "Ada"][k % 2], Verdict::Confirmed, None, k as i64)?;
    }
    Ok(())
}

fn new_faces(rng: &mut ChaCha8Rng) -> Vec<NewObject> {
    let mut face = || {
        let (ra, rb) = (rng.random_range(30.0..70.0), rng.random_range(20.0..45.0));
        let (cx, cy) = (rng.random_range(70.0..380.0), rng.random_range(70.0..330.0));
        let shape = Shape::Ellipse(Ellipse::new(ra, rb, rng.random_range(1.2..1.9), cx, cy));
        NewObject { class: 0, shape, ignored: false }
    };
    (0..FACES).map(|_| face()).collect()
}

fn new_image(k: usize, faces: &[NewObject]) -> NewImage {
    let name = format!("2002/{:02}/{:02}/big/img_{k}", k % 12 + 1, k % 28 + 1);
    let path = PathBuf::from(format!("{name}.jpg"));
    let content_hash = format!("{k:064x}");
    let (split, objects) = (Some((k % 10 + 1).to_string()), faces.to_vec());
    NewImage { name, path, content_hash, width: 450, height: 400, split, objects }
}

/// A box without a face.
fn new_candidate(rng: &mut ChaCha8Rng, image: ImageId, faces: &[NewObject]) -> NewCandidate {
    loop {
        let (side, x, y) = (rng.random_range(10.0..150.0), rng.random_range(0.0..300.0), rng.random_range(0.0..250.0));
        let bbox = BoundingBox::from_xywh(x, y, side, side * 1.3);
        let max_iou = faces.iter().map(|face| bbox.iou(&face.shape.bounding_box())).fold(0.0, f64::max);
        if max_iou < CANDIDATE_MAX_IOU {
            let kind = FalsePositiveKind::of(Overlaps { own: max_iou, other: 0.0 });
            return NewCandidate {
                image,
                class: ClassId::ONLY,
                bbox,
                score: rng.random_range(0.05..1.0),
                max_iou,
                kind,
            };
        }
    }
}
