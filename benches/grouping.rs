//! Grouping at the supported size: a million candidates on 100,000 images, then 10,000 more. Their hashes exist already, as reading crops
//! is the decoder's work. `cargo bench --no-default-features --bench grouping` prints a table; meanwhile a second connection takes the write
//! lock and gives a verdict every 20 ms and reports the longest wait of both: that of the verdict includes its own commit to disk.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quarry::domain::{Cancel, CandidateId, ClassId, FalsePositiveKind, ImageId, PerceptualHashes, Verdict};
use quarry::geometry::BoundingBox;
use quarry::mining::GroupConfig;
use quarry::store::{CandidateQuery, NewCandidate, NewDataset, NewImage, Store, StoreError};
use quarry::workflow::group::group;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::Connection;

const IMAGES: usize = 100_000;
const NEW: usize = 10_000;
/// Number of crops that show the same thing.
const FAMILY: usize = 6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "| candidates | grouped in | groups | 10,000 more in | longest wait for the write lock | longest verdict |\n| --- | --- | --- | --- | --- | --- |"
    );
    for count in [10_000, 100_000, 1_000_000] {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("quarry.db");
        let mut store = generate(&path, count)?;
        let config = GroupConfig::default();
        let (mut first, mut more) = (Duration::ZERO, Duration::ZERO);
        let mut groups = 0;
        let (lock, verdict) = while_deciding(&path, || {
            let start = Instant::now();
            groups = group(&mut store, &config, &mut |_| {}, &Cancel::new())?.groups;
            first = start.elapsed();
            add(&mut store, count, NEW)?;
            let start = Instant::now();
            group(&mut store, &config, &mut |_| {}, &Cancel::new())?;
            more = start.elapsed();
            Ok::<_, Box<dyn std::error::Error>>(())
        })??;
        println!(
            "| {count} | {:.1} s | {groups} | {:.2} s | {:.0} ms | {:.0} ms |",
            first.as_secs_f64(),
            more.as_secs_f64(),
            lock.as_secs_f64() * 1000.0,
            verdict.as_secs_f64() * 1000.0
        );
    }
    Ok(())
}

/// Runs the work while another connection decides; returns its longest waits for the write lock and for a verdict. Adding candidates is not
/// part of grouping and excluded.
fn while_deciding<E>(
    path: &Path,
    work: impl FnOnce() -> Result<(), E>,
) -> Result<Result<(Duration, Duration), E>, StoreError> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let decider = scope.spawn(|| {
            let mut store = Store::open(path)?;
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::ZERO)?;
            let candidate = CandidateId(1);
            let (mut lock, mut verdict) = (Duration::ZERO, Duration::ZERO);
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                while connection.execute_batch("BEGIN IMMEDIATE").is_err() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let locked = start.elapsed();
                connection.execute_batch("ROLLBACK")?;
                let start = Instant::now();
                store.record_verdicts(&[candidate], "Ada", Verdict::Confirmed, None, 1)?;
                if !ADDING.load(Ordering::Relaxed) {
                    (lock, verdict) = (lock.max(locked), verdict.max(start.elapsed()));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok::<_, StoreError>((lock, verdict))
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let longest = decider.join().map_err(|_| StoreError::Invalid("the decider broke off".to_owned()))??;
        Ok(worked.map(|()| longest))
    })
}

static ADDING: AtomicBool = AtomicBool::new(false);

fn generate(path: &Path, count: usize) -> Result<Store, StoreError> {
    let mut store = Store::create(path)?;
    let image = |k: usize| NewImage {
        name: format!("img_{k}"),
        path: format!("{k}.jpg").into(),
        content_hash: format!("{k:064x}"),
        // Typical camera sizes, and many frames of few cameras.
        width: if k.is_multiple_of(4) { 1920 } else { 300 + (k % 37) as u32 * 10 },
        height: 1080,
        split: None,
        objects: Vec::new(),
    };
    store.add_dataset(&NewDataset {
        name: "Generated".to_owned(),
        kind: "folder".to_owned(),
        root: "/".into(),
        classes: vec!["face".to_owned()],
        images: (0..IMAGES).map(image).collect(),
    })?;
    add(&mut store, 0, count)?;
    Ok(store)
}

fn add(store: &mut Store, from: usize, count: usize) -> Result<(), StoreError> {
    ADDING.store(true, Ordering::Relaxed);
    let round = store.start_round("")?.id;
    let images: Vec<ImageId> = store.images()?.iter().map(|image| image.id).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(from as u64 + 1);
    let kinds = [FalsePositiveKind::Background, FalsePositiveKind::Background, FalsePositiveKind::Localisation];
    let new: Vec<NewCandidate> = (0..count)
        .map(|k| {
            let (side, x, y) =
                (rng.random_range(10.0..150.0), rng.random_range(0.0..250.0), rng.random_range(0.0..900.0));
            NewCandidate {
                image: images[rng.random_range(0..images.len())],
                class: ClassId::ONLY,
                bbox: BoundingBox::from_xywh(x, y, side, side * 1.2),
                score: rng.random_range(0.05..1.0),
                max_iou: 0.0,
                kind: kinds[k % kinds.len()],
            }
        })
        .collect();
    store.replace_candidates(round, &images, &new)?;
    let query = CandidateQuery { round: Some(round), collapse: false, ..CandidateQuery::default() };
    let ids = store.candidate_ids(&query)?;
    let hashes: Vec<(CandidateId, PerceptualHashes)> = ids
        .iter()
        .map(|id| {
            let family = rng.random_range(0..(1_000_000 / FAMILY) as u64);
            let perceptual = smooth(family) ^ flips(&mut rng, 4);
            let mut content = [0; 32];
            content[..8].copy_from_slice(&rng.random::<u64>().to_le_bytes());
            content[8..16].copy_from_slice(&id.0.to_le_bytes());
            (*id, PerceptualHashes { content, perceptual })
        })
        .collect();
    hashes.chunks(20_000).try_for_each(|part| store.put_hashes(part))?;
    ADDING.store(false, Ordering::Relaxed);
    Ok(())
}

/// A realistic hash: neighbouring bits are correlated, so that some values are far more frequent than others.
fn smooth(family: u64) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(family);
    let mut bits = 0_u64;
    let mut last = rng.random::<bool>();
    for bit in 0..64 {
        if rng.random_range(0..10) < 3 {
            last = !last;
        }
        bits |= u64::from(last) << bit;
    }
    bits
}

fn flips(rng: &mut ChaCha8Rng, most: u32) -> u64 {
    (0..rng.random_range(0..=most)).fold(0, |bits, _| bits | 1 << rng.random_range(0..64_u32))
}
