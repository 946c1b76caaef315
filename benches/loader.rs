//! The loader's cost: step time with the loader divided by step time with the data already in memory. The same steps on the same images
//! from the same weights, alternating. Usage: `cargo bench --bench loader -- [DIR] [PAIRS] [STEPS] [PRESET]`; without a folder of images it
//! draws the built-in sample. The ratio should be at most 1.05. On FDDB's images, preset cpu, two cores shared with other work: 1.011 (7
//! pairs of 16 steps).

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::RgbImage;
use quarry::dataset::{decode_rgb, is_image, sample};
use quarry::detector::Detector;
use quarry::domain::{Cancel, ImageId, Shape, Sources};
use quarry::geometry::BoundingBox;
use quarry::training::{
    MinedNegatives, RoundConfig, RoundHooks, RoundTask, RunLock, Start, TrainEvent, TrainingImage, train_round,
};

/// Initial steps of a run that are not counted: the queue fills, libtorch warms up.
const WARM_UP: usize = 4;

/// Every image of the run, decoded.
static DECODED: OnceLock<HashMap<PathBuf, RgbImage>> = OnceLock::new();

fn from_disk(path: &Path) -> Result<RgbImage, String> {
    decode_rgb(path).map_err(|e| e.to_string())
}

fn from_memory(path: &Path) -> Result<RgbImage, String> {
    let decoded = DECODED.get().and_then(|pictures| pictures.get(path));
    decoded.cloned().ok_or_else(|| format!("{} was not decoded", path.display()))
}

#[derive(Default)]
struct Steps {
    seconds: Vec<f64>,
    waited: f64,
}

impl RoundHooks for Steps {
    fn event(&mut self, event: TrainEvent) {
        if let TrainEvent::Step(report) = event {
            self.seconds.push(report.seconds);
            self.waited += report.loader_wait_s;
        }
    }

    fn evaluate(&mut self, _: u64, _: &Detector) -> Result<Option<f64>, String> {
        Ok(None)
    }

    fn mine(&mut self, _: u64, _: &Detector, _: &[&TrainingImage]) -> Result<Vec<Option<MinedNegatives>>, String> {
        Err("these rounds do not mine".to_owned())
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
    let number = |k: usize, default: u64| words.get(k).and_then(|w| w.parse().ok()).unwrap_or(default);
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = words.first().filter(|word| !word.is_empty()).map_or_else(|| drawn(scratch.path()), PathBuf::from);
    let (pairs, steps) = (number(1, 4) as usize, number(2, 20));
    let mut config = RoundConfig::preset(words.get(3).map_or("cpu", String::as_str)).expect("a preset");
    (config.iterations, config.checkpoint_every) = (steps, 0);

    let images = images(&folder, (steps * config.images_per_step()) as usize);
    let decode = |image: &TrainingImage| (image.path.clone(), from_disk(&image.path).expect("an image"));
    DECODED.set(images.iter().map(decode).collect()).expect("decoded once");

    let (mut ratios, mut means) = (Vec::new(), [0.0; 2]);
    for pair in 0..pairs {
        // The second run meets different conditions; the order alternates.
        let run = |in_memory: bool, name: &str| run(&config, &images, in_memory, &scratch.path().join(name));
        let first_in_memory = pair % 2 == 1;
        let first = run(first_in_memory, &format!("runs/{pair}a"));
        let second = run(!first_in_memory, &format!("runs/{pair}b"));
        let (loader, memory) = if first_in_memory { (second, first) } else { (first, second) };
        println!(
            "pair {pair}: {:.4} s with the loader ({:.4} s of it waiting), {:.4} s in memory, ratio {:.4}",
            loader.0,
            loader.1,
            memory.0,
            loader.0 / memory.0
        );
        ratios.push(loader.0 / memory.0);
        means[0] += loader.0 / pairs as f64;
        means[1] += memory.0 / pairs as f64;
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "{} steps of {} images, preset {}: ratio {:.4} (median of {pairs} pairs, {:.4} to {:.4}); step {:.4} s with the loader, {:.4} s in memory",
        steps,
        config.images_per_step(),
        config.preset,
        ratios[pairs / 2],
        ratios[0],
        ratios[pairs - 1],
        means[0],
        means[1]
    );
}

/// Returns the median step in seconds, and the mean wait for the loader in it.
fn run(config: &RoundConfig, images: &[TrainingImage], in_memory: bool, run_dir: &Path) -> (f64, f64) {
    let mut config = config.clone();
    if in_memory {
        // Everything is prepared during the first steps; the workers are idle while the others are timed.
        config.prefetch = (config.iterations * config.images_per_step()) as u32;
        config.workers = 2;
    }
    let lock = RunLock::take(run_dir.parent().expect("a folder of runs")).expect("the lock");
    let decode = if in_memory { from_memory } else { from_disk };
    let images = images.to_vec();
    let (left_out, sources, start) = (BTreeSet::new(), Sources::default(), Start::Fresh);
    let task = RoundTask { lock, images, left_out, sources, decode, backbone: None, previous: None, run_dir, start };
    let mut watch = Steps::default();
    train_round(&config, task, &mut watch, &Cancel::new()).expect("a round");
    let mut timed = watch.seconds.split_off(WARM_UP.min(watch.seconds.len() - 1));
    timed.sort_by(f64::total_cmp);
    // The weights of a run are of no use to the next.
    let _ = std::fs::remove_dir_all(run_dir);
    (timed[timed.len() / 2], watch.waited / config.iterations as f64)
}

fn drawn(dir: &Path) -> PathBuf {
    let config = sample::SampleConfig::default();
    sample::write(&dir.join("sample"), &config, &mut |_| {}).expect("the sample");
    dir.join("sample")
}

/// The first `count` images below `folder`, each with one face somewhere in it.
fn images(folder: &Path, count: usize) -> Vec<TrainingImage> {
    let (mut folders, mut paths) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(dir) = folders.pop() {
        for entry in std::fs::read_dir(&dir).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_image(&path) {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.truncate(count);
    assert!(!paths.is_empty(), "no images below {}", folder.display());
    let image = |(index, path): (usize, PathBuf)| TrainingImage {
        id: ImageId(index as i64),
        path,
        size: (0, 0),
        labels: vec![],
        misclassified: vec![],
        faces: vec![Shape::Rectangle(BoundingBox::new(40.0, 40.0, 120.0, 150.0))],
        hard_negatives: vec![],
        hard_negative_labels: vec![],
        ignored: vec![],
    };
    paths.into_iter().enumerate().map(image).collect()
}
