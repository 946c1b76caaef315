//! Tests running out of memory, which needs an injected failure, and being stopped during a test. Whole rounds are tested in
//! `tests/training_round.rs`.

use std::fs;

use super::super::step::fault;
use super::*;
use crate::domain::{ImageId, Shape};
use crate::geometry::BoundingBox;

struct Events(Vec<TrainEvent>);

impl RoundHooks for Events {
    fn event(&mut self, event: TrainEvent) {
        self.0.push(event);
    }

    fn evaluate(&mut self, _: u64, _: &Detector) -> Result<Option<f64>, String> {
        Ok(None)
    }

    fn mine(&mut self, _: u64, _: &Detector, _: &[&TrainingImage]) -> Result<Vec<Option<MinedNegatives>>, String> {
        Err("these rounds do not mine".to_owned())
    }
}

fn config() -> RoundConfig {
    let text = "preset = \"sample\"\niterations = 3\nbatch_images = 2\nevaluate_every = 0\ncheckpoint_every = 0\nworkers = 1\n[sampler]\n\
                batch_per_image = 32\nrpn_batch_per_image = 16\n[detector]\narchitecture = \"resnet18-fpn\"\nshorter_side = 48\n\
                longer_side_cap = 64\npyramid_channels = 16\n[detector.roi]\nhidden = 16\n";
    RoundConfig::from_toml(text, "tests").unwrap()
}

fn decode(path: &Path) -> Result<image::RgbImage, String> {
    let number: u32 = path.to_string_lossy().parse().map_err(|_| "not a picture".to_owned())?;
    Ok(image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([(x * number) as u8, (y * 5) as u8, 90])))
}

/// Cancels the round in its first test, which then fails.
struct Stopping<'a>(&'a Cancel);

impl RoundHooks for Stopping<'_> {
    fn event(&mut self, _: TrainEvent) {}

    fn evaluate(&mut self, _: u64, _: &Detector) -> Result<Option<f64>, String> {
        self.0.cancel();
        Err("stopped before the end, as asked".to_owned())
    }

    fn mine(&mut self, _: u64, _: &Detector, _: &[&TrainingImage]) -> Result<Vec<Option<MinedNegatives>>, String> {
        Err("these rounds do not mine".to_owned())
    }
}

fn train(run_dir: &Path, events: &mut Events) -> Result<TrainSummary, TrainingError> {
    train_with(run_dir, events, &Cancel::new())
}

fn train_with(run_dir: &Path, hooks: &mut dyn RoundHooks, cancel: &Cancel) -> Result<TrainSummary, TrainingError> {
    train_by(&config(), run_dir, hooks, cancel)
}

fn train_by(
    config: &RoundConfig,
    run_dir: &Path,
    hooks: &mut dyn RoundHooks,
    cancel: &Cancel,
) -> Result<TrainSummary, TrainingError> {
    tch::set_num_threads(1);
    let image = |n: u32| TrainingImage {
        id: ImageId(i64::from(n)),
        path: n.to_string().into(),
        size: (64, 48),
        labels: vec![],
        misclassified: vec![],
        faces: vec![Shape::Rectangle(BoundingBox::new(12.0, 10.0, 28.0, 34.0))],
        hard_negatives: vec![],
        hard_negative_labels: vec![],
        ignored: vec![],
    };
    let lock = RunLock::take(run_dir.parent().unwrap()).unwrap();
    let images = (1..=5).map(image).collect();
    let (left_out, sources, start) = (BTreeSet::new(), Sources::default(), Start::Fresh);
    let task = RoundTask { lock, images, left_out, sources, decode, backbone: None, previous: None, run_dir, start };
    train_round(config, task, hooks, cancel)
}

/// Formats `step: images` of every mini-batch in order.
fn drawn(run_dir: &Path) -> Vec<String> {
    let table = fs::read_to_string(run_dir.join("sampler.csv")).unwrap();
    table.lines().skip(1).map(|line| line.split(',').step_by(2).take(2).collect::<Vec<_>>().join(": ")).collect()
}

fn warnings(events: &Events) -> Vec<&str> {
    let reports = events.0.iter().filter_map(|event| match event {
        TrainEvent::Warning(text) if text.to_lowercase().contains("memory") => Some(text.as_str()),
        _ => None,
    });
    reports.collect()
}

#[test]
fn a_round_that_is_stopped_in_a_test_is_cancelled_not_failed() {
    let dir = tempfile::tempdir().unwrap();
    let cancel = Cancel::new();
    let summary = train_with(&dir.path().join("a/1"), &mut Stopping(&cancel), &cancel).unwrap();
    assert_eq!((summary.outcome, summary.step), (Outcome::Cancelled, 3));
}

#[test]
fn a_step_that_does_not_fit_is_made_again_with_the_same_images_in_smaller_mini_batches() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, tight) = (dir.path().join("a/1"), dir.path().join("b/1"));
    train(&whole, &mut Events(vec![])).unwrap();
    let mut events = Events(vec![]);
    fault::arm(2, 2);
    let summary = train(&tight, &mut events).unwrap();
    assert_eq!((summary.outcome, summary.step), (Outcome::Done, 3));
    let reports = warnings(&events);
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(
        reports[0].contains("step 2") && reports[0].contains("images in a mini-batch: 1 instead of 2"),
        "{reports:?}"
    );
    assert!(reports[1].contains("RoIs of an image: 16 instead of 32"), "{reports:?}");

    let (whole, tight) = (drawn(&whole), drawn(&tight));
    assert_eq!((whole.len(), tight.len()), (3, 5), "{tight:?}");
    assert_eq!(whole[0], tight[0]);
    let pairs: Vec<String> =
        tight[1..].chunks(2).map(|pair| format!("{};{}", pair[0], pair[1].rsplit(' ').next().unwrap())).collect();
    assert_eq!(pairs, whole[1..]);
}

#[test]
fn a_panic_while_the_gradients_are_measured_leaves_gradients_on_for_the_next_try() {
    let dir = tempfile::tempdir().unwrap();
    let mut events = Events(vec![]);
    fault::arm_norm(2);
    let summary = train(&dir.path().join("1"), &mut events).unwrap();
    assert_eq!((summary.outcome, summary.step), (Outcome::Done, 3));
    let reports = warnings(&events);
    assert!(reports.len() == 1 && reports[0].contains("step 2"), "{reports:?}");
    let leaf = tch::Tensor::from(1.0).set_requires_grad(true);
    assert!((leaf * 2.0).requires_grad(), "gradients are off on this thread");
}

#[test]
fn when_nothing_is_left_to_halve_the_round_stops_with_advice_and_can_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut events = Events(vec![]);
    fault::arm(2, 3);
    let error = train(&dir.path().join("1"), &mut events).unwrap_err();
    assert!(matches!(error, TrainingError::OutOfMemory { step: 2, .. }), "{error}");
    assert!(error.to_string().contains("device = \"cpu\""), "{error}");
    assert_eq!(events.0.last(), Some(&TrainEvent::Finished { outcome: Outcome::Failed(error.to_string()) }));
}

#[test]
fn a_gradient_or_weights_that_are_no_numbers_name_the_images_of_their_step() {
    let dir = tempfile::tempdir().unwrap();
    fault::arm_gradient(2);
    let error = train(&dir.path().join("1"), &mut Events(vec![])).unwrap_err().to_string();
    fault::arm_gradient(0);
    let images = drawn(&dir.path().join("1"));
    let check = |error: &str, step: usize, what: &str| {
        let of_step = images[step - 1].split_once(": ").unwrap().1.replace(';', ", ");
        for part in [&format!("step {step}: "), &format!(" on {of_step}; "), what] {
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
    };
    check(&error, 2, "gradient is NaN or infinite");

    fault::arm_weights(1);
    let config = RoundConfig { checkpoint_every: 1, ..config() };
    let error = train_by(&config, &dir.path().join("2"), &mut Events(vec![]), &Cancel::new()).unwrap_err().to_string();
    fault::arm_weights(0);
    check(&error, 1, "hold NaN or infinity");
}

/// At each test the detector must find what a detector newly built from the same weights finds, although layers cache prepared weights.
struct Comparing(Vec<Vec<f32>>);

impl RoundHooks for Comparing {
    fn event(&mut self, _: TrainEvent) {}

    fn evaluate(&mut self, step: u64, detector: &Detector) -> Result<Option<f64>, String> {
        let image = decode(Path::new("3"))?;
        let scores = |detector: &Detector| -> Vec<f32> {
            detector.detect(&image).unwrap().iter().map(|found| found.score).collect()
        };
        let state = detector.state().into_iter().collect();
        let rebuilt = Detector::from_state(detector.config(), detector.device(), state).unwrap();
        assert_eq!(scores(detector), scores(&rebuilt), "after step {step}");
        self.0.push(scores(detector));
        Ok(Some(step as f64))
    }

    fn mine(&mut self, _: u64, _: &Detector, _: &[&TrainingImage]) -> Result<Vec<Option<MinedNegatives>>, String> {
        Err("these rounds do not mine".to_owned())
    }
}

#[test]
fn detections_between_steps_are_those_of_the_weights_at_that_step() {
    for ema in [0.0, 0.5] {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = Comparing(Vec::new());
        let mut config = RoundConfig { evaluate_every: 1, ema, ..config() };
        config.detector.detection.score_threshold = 0.0;
        train_by(&config, dir.path(), &mut seen, &Cancel::new()).unwrap();
        let mut different = seen.0.clone();
        different.dedup();
        assert!(seen.0.len() >= 3 && different.len() == seen.0.len(), "ema {ema}: {:?}", seen.0);
        assert!(seen.0.iter().all(|scores| !scores.is_empty()));
    }
}
