//! Whole rounds of a tiny detector on drawn images: bit-exact resuming, cancelling, failures, sampling.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![cfg(feature = "torch")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use quarry::detector::Detector;
use quarry::domain::{Cancel, ImageId, Shape, Sources};
use quarry::geometry::BoundingBox;
use quarry::training::{
    MinedNegatives, Outcome, RoundConfig, RoundHooks, RoundTask, RunLock, Start, TrainEvent, TrainSummary,
    TrainingError, TrainingImage, last_model, train_round,
};
use tch::Tensor;

const MINING: quarry::detector::DetectionConfig = quarry::detector::DetectionConfig::DEFAULT;

type Evaluation = fn() -> Result<Option<f64>, String>;

/// Records events; cancels after a step, panics or fails in an evaluation on request.
#[derive(Default)]
struct Watch {
    events: Vec<TrainEvent>,
    evaluated: Vec<u64>,
    cancel_after: Option<(u64, Cancel)>,
    pause_after: Option<(u64, Cancel)>,
    evaluation: Option<Evaluation>,
    /// The weights of the last evaluation.
    tested: Vec<(String, Tensor)>,
    /// The steps that were mined after, with the images.
    mined: Vec<(u64, Vec<i64>)>,
    cancel_in_mining: Option<Cancel>,
}

impl RoundHooks for Watch {
    fn event(&mut self, event: TrainEvent) {
        if let (TrainEvent::Step(report), Some((step, cancel))) = (&event, &self.cancel_after)
            && report.step == *step
        {
            cancel.cancel();
        }
        if let (TrainEvent::Step(report), Some((step, cancel))) = (&event, &self.pause_after)
            && report.step == *step
        {
            cancel.pause();
        }
        if let (TrainEvent::Paused { step }, Some((_, cancel))) = (&event, &self.pause_after) {
            assert!(cancel.is_paused(), "at step {step}");
            cancel.resume();
        }
        self.events.push(event);
    }

    fn evaluate(&mut self, step: u64, detector: &Detector) -> Result<Option<f64>, String> {
        self.evaluated.push(step);
        self.tested = detector.state().into_iter().map(|(name, tensor)| (name, tensor.detach().copy())).collect();
        self.evaluation.map_or(Ok(Some(-(step as f64))), |evaluation| evaluation())
    }

    /// Every image gets one more hard negative, whose place and score follow from the weights, except the second, which is unreadable.
    fn mine(
        &mut self,
        step: u64,
        detector: &Detector,
        images: &[&TrainingImage],
    ) -> Result<Vec<Option<MinedNegatives>>, String> {
        if let Some(cancel) = &self.cancel_in_mining {
            cancel.cancel();
            return Err("stopped before the end, as asked".to_owned());
        }
        assert_eq!(detector.config().detection, quarry::detector::DetectionConfig { max_detections: 7, ..MINING });
        self.mined.push((step, images.iter().map(|image| image.id.0).collect()));
        let weight =
            detector.trainable().iter().map(|(_, w)| w.abs().mean(tch::Kind::Float).double_value(&[])).sum::<f64>();
        let place = BoundingBox::new(30.0 + weight.fract() * 10.0, 2.0, 60.0, 20.0);
        let again = |image: &&TrainingImage| {
            let mut hard_negatives = image.hard_negatives.clone();
            hard_negatives.push((place, weight.fract() as f32));
            let hard_negative_labels = vec![1; hard_negatives.len()];
            MinedNegatives { hard_negatives, hard_negative_labels, misclassified: vec![] }
        };
        Ok(images.iter().map(|image| (image.id.0 != 1).then(|| again(image))).collect())
    }
}

impl Watch {
    /// Formats the events as one line.
    fn words(&self) -> String {
        let words: Vec<String> = self
            .events
            .iter()
            .map(|event| match event {
                TrainEvent::Started(_) => "started".to_owned(),
                TrainEvent::Step(report) => report.step.to_string(),
                TrainEvent::Warning(_) => "warning".to_owned(),
                TrainEvent::Checkpoint { step, .. } => format!("c{step}"),
                TrainEvent::Evaluating { step } => format!("e{step}"),
                TrainEvent::Evaluated { .. } => "scored".to_owned(),
                TrainEvent::Paused { step } => format!("p{step}"),
                TrainEvent::Resumed { step } => format!("r{step}"),
                TrainEvent::Finished { .. } => "end".to_owned(),
            })
            .collect();
        words.join(" ")
    }

    fn finished(&self) -> &Outcome {
        let ends = self.events.iter().filter(|event| matches!(event, TrainEvent::Finished { .. })).count();
        assert_eq!(ends, 1);
        match self.events.last() {
            Some(TrainEvent::Finished { outcome }) => outcome,
            other => panic!("{other:?} is not the end"),
        }
    }
}

fn config() -> RoundConfig {
    let text = "preset = \"sample\"\niterations = 6\ncheckpoint_every = 2\nkeep_every = 1\nevaluate_every = 3\nworkers = 2\n\
                schedule = \"cosine\"\nmilestones = []\n[sampler]\nbatch_per_image = 16\nrpn_batch_per_image = 16\n[detector]\narchitecture = \"resnet18-fpn\"\n\
                shorter_side = 48\nlonger_side_cap = 64\npyramid_channels = 16\n[detector.roi]\nhidden = 16\n";
    RoundConfig::from_toml(text, "tests").unwrap()
}

/// The number in the name determines the image: a bright square on a grey background, and a dark one that is not a face.
fn decode(path: &Path) -> Result<RgbImage, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let seed: u32 = name.parse().map_err(|_| "not a picture".to_owned())?;
    Ok(RgbImage::from_fn(64, 48, |x, y| {
        let texture = ((x * 7 + y * 13 + seed * 29) % 31) as u8;
        let face = (12..28).contains(&x) && (10..34).contains(&y);
        let decoy = (40..56).contains(&x) && (10..34).contains(&y);
        if face { Rgb([220, 180 + texture, 150]) } else { Rgb([60 + texture, if decoy { 10 } else { 90 }, 80]) }
    }))
}

fn images(hard_negatives: bool) -> Vec<TrainingImage> {
    let image = |index: u32| TrainingImage {
        id: ImageId(i64::from(index)),
        path: PathBuf::from(index.to_string()),
        size: if index.is_multiple_of(2) { (64, 48) } else { (48, 64) },
        labels: vec![],
        misclassified: vec![],
        // The last one is a background scene.
        faces: if index == 4 { vec![] } else { vec![Shape::Rectangle(BoundingBox::new(12.0, 10.0, 28.0, 34.0))] },
        hard_negatives: if hard_negatives { vec![(BoundingBox::new(40.0, 10.0, 56.0, 34.0), 0.9)] } else { vec![] },
        hard_negative_labels: vec![],
        ignored: if index == 2 { vec![BoundingBox::new(0.0, 0.0, 10.0, 48.0)] } else { vec![] },
    };
    (0..5).map(image).collect()
}

fn task(images: Vec<TrainingImage>, run_dir: &Path, start: Start) -> RoundTask<'_> {
    let lock = RunLock::take(run_dir.parent().unwrap()).unwrap();
    let (left_out, sources) = (BTreeSet::new(), Sources::default());
    RoundTask { lock, images, left_out, sources, decode, backbone: None, previous: None, run_dir, start }
}

fn train(config: &RoundConfig, run_dir: &Path, start: Start, watch: &mut Watch) -> Result<TrainSummary, TrainingError> {
    tch::set_num_threads(1);
    let asked = watch.cancel_after.as_ref().or(watch.pause_after.as_ref());
    let cancel = asked.map_or_else(Cancel::new, |(_, cancel)| cancel.clone());
    train_round(config, task(images(true), run_dir, start), watch, &cancel)
}

fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    Tensor::read_safetensors(path).unwrap().into_iter().collect()
}

fn assert_same_tensors(a: &Path, b: &Path) {
    let (a, b) = (tensors(a), tensors(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, tensor) in &a {
        assert!(tensor.equal(&b[name]), "{name} differs");
    }
}

fn losses(run_dir: &Path) -> Vec<String> {
    let log = fs::read_to_string(run_dir.join("log.csv")).unwrap();
    // Without the two time columns.
    log.lines().map(|line| line.rsplitn(3, ',').last().unwrap().to_owned()).collect()
}

#[test]
fn an_interrupted_round_ends_with_the_same_weights_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, broken) = (dir.path().join("a/1"), dir.path().join("b/1"));
    let summary = train(&config(), &whole, Start::Fresh, &mut Watch::default()).unwrap();
    assert_eq!((summary.outcome, summary.step), (Outcome::Done, 6));

    // Stopped after step 3, then killed after step 5: a kill leaves the checkpoint of step 4 and rows up to step 5.
    let mut stopped = Watch { cancel_after: Some((3, Cancel::new())), ..Watch::default() };
    let summary_3 = train(&config(), &broken, Start::Fresh, &mut stopped).unwrap();
    assert_eq!((summary_3.outcome, summary_3.step, stopped.finished()), (Outcome::Cancelled, 3, &Outcome::Cancelled));
    let mut stopped = Watch { cancel_after: Some((5, Cancel::new())), ..Watch::default() };
    train(&config(), &broken, Start::Resume, &mut stopped).unwrap();
    fs::remove_dir_all(broken.join("checkpoints/step-0000005")).unwrap();
    fs::create_dir(broken.join("checkpoints/.unfinished-5")).unwrap();
    let mut last = Watch::default();
    let resumed = train(&config(), &broken, Start::Resume, &mut last).unwrap();
    assert!(matches!(&last.events[0], TrainEvent::Started(start) if start.step == 4), "{:?}", last.events[0]);

    assert_eq!((resumed.step, resumed.counts), (6, summary.counts));
    assert_same_tensors(&last_model(&whole).unwrap(), &last_model(&broken).unwrap());
    let optimiser = "checkpoints/step-0000006/optim.safetensors";
    assert_same_tensors(&whole.join(optimiser), &broken.join(optimiser));
    assert_eq!(losses(&whole), losses(&broken));
    let sampler = |run: &Path| fs::read_to_string(run.join("sampler.csv")).unwrap();
    assert_eq!(sampler(&whole), sampler(&broken));
}

/// The tensors of a file of the checkpoint after `step` steps.
fn of_step(run: &Path, step: u64, file: &str) -> BTreeMap<String, Tensor> {
    tensors(&run.join(format!("checkpoints/step-{step:07}/{file}")))
}

#[test]
fn averaged_weights_follow_their_formula_and_everything_that_detects_uses_them() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, averaged) = (dir.path().join("a/1"), dir.path().join("b/1"));
    let every = RoundConfig { checkpoint_every: 1, evaluate_every: 0, ..config() };
    let decay = 0.3;
    let with_average = RoundConfig { ema: decay, ..every.clone() };
    train(&every, &plain, Start::Fresh, &mut Watch::default()).unwrap();
    let mut watch = Watch::default();
    train(&with_average, &averaged, Start::Fresh, &mut watch).unwrap();
    assert!(!plain.join("checkpoints/step-0000006/trained.safetensors").exists());
    let initial: BTreeMap<String, Tensor> =
        Detector::new(&every.detector, tch::Device::Cpu, every.seed).unwrap().state().into_iter().collect();
    let mut expected: BTreeMap<String, Tensor> = initial.into_iter().map(|(n, t)| (n, t.detach().copy())).collect();
    let mut moved = 0;
    for step in 1..=6_u64 {
        // The average does not change what is learnt.
        let trained = of_step(&averaged, step, "trained.safetensors");
        for (name, tensor) in of_step(&plain, step, "model.safetensors") {
            assert!(tensor.equal(&trained[&name]), "{name} at step {step}");
        }
        let kept = decay.min((1.0 + step as f64) / (10.0 + step as f64));
        let found = of_step(&averaged, step, "model.safetensors");
        for (name, average) in &mut expected {
            *average = &*average * kept + &trained[name] * (1.0 - kept);
            let off = (&*average - &found[name]).abs().max().double_value(&[]);
            assert!(off <= 1e-6 * average.abs().max().double_value(&[]).max(1.0), "{name} at step {step}: {off}");
            moved += usize::from(!found[name].equal(&trained[name]));
        }
    }
    assert!(moved > 60, "{moved} tensors differ from the trained ones");
    // What is evaluated is what the checkpoint's model holds.
    let model = of_step(&averaged, 6, "model.safetensors");
    assert!(watch.tested.iter().all(|(name, tensor)| tensor.equal(&model[name])) && !watch.tested.is_empty());
}

#[test]
fn an_interrupted_round_with_averaged_weights_ends_with_the_same_ones_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, broken) = (dir.path().join("a/1"), dir.path().join("b/1"));
    let config = RoundConfig { ema: 0.9, ..config() };
    train(&config, &whole, Start::Fresh, &mut Watch::default()).unwrap();
    let mut stopped = Watch { cancel_after: Some((3, Cancel::new())), ..Watch::default() };
    train(&config, &broken, Start::Fresh, &mut stopped).unwrap();
    train(&config, &broken, Start::Resume, &mut Watch::default()).unwrap();
    for file in ["model.safetensors", "trained.safetensors", "optim.safetensors"] {
        let file = format!("checkpoints/step-0000006/{file}");
        assert_same_tensors(&whole.join(&file), &broken.join(&file));
    }
    assert_eq!(losses(&whole), losses(&broken));

    // A checkpoint whose trained weights are damaged is passed over like any other.
    let path = broken.join("checkpoints/step-0000006/trained.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut resumed = Watch::default();
    train(&config, &broken, Start::Resume, &mut resumed).unwrap();
    assert!(resumed.words().starts_with("warning started 5 6"), "{}", resumed.words());
    assert_same_tensors(&last_model(&whole).unwrap(), &last_model(&broken).unwrap());

    // The average belongs to the round: it can be neither added nor removed on the way.
    let without = RoundConfig { ema: 0.0, ..config };
    let message = train(&without, &broken, Start::Resume, &mut Watch::default()).unwrap_err().to_string();
    assert!(message.contains("`ema` was 0.9 and is 0.0"), "{message}");
}

#[test]
fn a_checkpoint_from_before_averages_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, old) = (dir.path().join("a/1"), dir.path().join("b/1"));
    train(&config(), &whole, Start::Fresh, &mut Watch::default()).unwrap();
    let mut stopped = Watch { cancel_after: Some((3, Cancel::new())), ..Watch::default() };
    train(&config(), &old, Start::Fresh, &mut stopped).unwrap();
    let state = old.join("checkpoints/step-0000003/state.json");
    let text = fs::read_to_string(&state).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(
        value.get("averaged").is_none() && value.get("mined_at").is_none(),
        "a round without them writes what it always wrote: {text}"
    );
    let settings = value["config_toml"].as_str().unwrap().to_owned();
    let is_new = |line: &&str| {
        ["ema =", "mine_every =", "mine_images =", "forced_order =", "box_loss ="].iter().any(|k| line.starts_with(k))
    };
    let older: Vec<&str> = settings.lines().filter(|line| !is_new(line)).collect();
    assert_eq!(older.len() + 5, settings.lines().count());
    value["config_toml"] = older.join("\n").into();
    fs::write(&state, value.to_string()).unwrap();
    // Their checksum was of the former text; older checkpoints have none.
    fs::remove_file(old.join("checkpoints/step-0000003/checksums.json")).unwrap();
    train(&config(), &old, Start::Resume, &mut Watch::default()).unwrap();
    assert_same_tensors(&last_model(&whole).unwrap(), &last_model(&old).unwrap());
}

fn mining_config() -> RoundConfig {
    let mut config = RoundConfig { mine_every: 2, mine_images: 3, ema: 0.5, evaluate_every: 0, ..config() };
    config.mining.max_detections = 7;
    config
}

/// The number of hard negatives that each mini-batch was given, in order.
fn given(run: &Path) -> Vec<u64> {
    let table = fs::read_to_string(run.join("sampler.csv")).unwrap();
    let at = table.lines().next().unwrap().split(',').position(|name| name == "hard_negatives").unwrap();
    table.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().parse().unwrap()).collect()
}

#[test]
fn a_round_that_mines_itself_trains_on_what_it_finds_from_the_next_step_on() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("1");
    let mut watch = Watch::default();
    let config = RoundConfig { mine_images: 5, ..mining_config() };
    train(&config, &run, Start::Fresh, &mut watch).unwrap();
    let all = vec![0, 1, 2, 3, 4];
    assert_eq!(watch.mined, [(2, all.clone()), (4, all)], "not after the last step");
    // Two images a step with one hard negative each; from step 3 on two each, except the unreadable one, which keeps its own.
    let given = given(&run);
    assert_eq!(given[..2], [2, 2]);
    let table = fs::read_to_string(run.join("sampler.csv")).unwrap();
    for (row, given) in table.lines().skip(3).zip(&given[2..]) {
        let unreadable = row.split(',').nth(2).unwrap().split(';').filter(|image| *image == "1").count() as u64;
        assert_eq!(*given, 4 - unreadable, "{row}");
    }
    let few = RoundConfig { mine_images: 2, ..mining_config() };
    let mut watch = Watch::default();
    train(&few, &dir.path().join("2"), Start::Fresh, &mut watch).unwrap();
    assert!(watch.mined.iter().all(|(_, images)| images.len() == 2), "{:?}", watch.mined);
    let mut never = Watch::default();
    train(&RoundConfig { mine_every: 0, ..few }, &dir.path().join("3"), Start::Fresh, &mut never).unwrap();
    assert!(never.mined.is_empty());
}

#[test]
fn an_interrupted_round_that_mines_itself_ends_with_the_same_weights_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole/1");
    let config = mining_config();
    let mut through = Watch::default();
    train(&config, &whole, Start::Fresh, &mut through).unwrap();
    // Stopped right at a step after which it mines, after one later, and in the mining itself.
    for stop in [2, 3, 5] {
        let broken = dir.path().join(format!("{stop}/1"));
        let mut stopped = Watch { cancel_after: Some((stop, Cancel::new())), ..Watch::default() };
        train(&config, &broken, Start::Fresh, &mut stopped).unwrap();
        let mut resumed = Watch::default();
        train(&config, &broken, Start::Resume, &mut resumed).unwrap();
        assert_eq!([stopped.mined, resumed.mined].concat(), through.mined, "{stop}");
        assert_same_tensors(&last_model(&whole).unwrap(), &last_model(&broken).unwrap());
        assert_eq!(losses(&whole), losses(&broken), "{stop}");
        assert_eq!(given(&whole), given(&broken), "{stop}");
    }
    let broken = dir.path().join("in/1");
    let cancel = Cancel::new();
    let mut stopped =
        Watch { cancel_in_mining: Some(cancel.clone()), cancel_after: Some((9, cancel)), ..Watch::default() };
    let summary = train(&config, &broken, Start::Fresh, &mut stopped).unwrap();
    assert_eq!((summary.outcome, summary.step), (Outcome::Cancelled, 2));
    train(&config, &broken, Start::Resume, &mut Watch::default()).unwrap();
    assert_same_tensors(&last_model(&whole).unwrap(), &last_model(&broken).unwrap());
    let mined = fs::read_to_string(broken.join("checkpoints/step-0000006/mined.json")).unwrap();
    // A failure keeps what was trained before it.
    let failed = dir.path().join("failed/1");
    let off_checkpoints = RoundConfig { mine_every: 3, checkpoint_every: 0, ..config.clone() };
    let mut failing = Watch { cancel_in_mining: Some(Cancel::new()), ..Watch::default() };
    let error = train(&off_checkpoints, &failed, Start::Fresh, &mut failing).unwrap_err().to_string();
    assert!(error.contains("mining after step 3 failed: stopped before the end"), "{error}");
    assert!(failed.join("checkpoints/step-0000003/state.json").is_file());
    assert_eq!(mined, fs::read_to_string(whole.join("checkpoints/step-0000006/mined.json")).unwrap());
}

#[test]
fn a_damaged_checkpoint_or_marks_file_costs_no_round() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, broken) = (dir.path().join("a/1"), dir.path().join("b/1"));
    train(&config(), &whole, Start::Fresh, &mut Watch::default()).unwrap();
    let mut stopped = Watch { cancel_after: Some((5, Cancel::new())), ..Watch::default() };
    train(&config(), &broken, Start::Fresh, &mut stopped).unwrap();
    let checkpoints = broken.join("checkpoints");
    // A changed weight is still a valid number.
    let model = checkpoints.join("step-0000005/model.safetensors");
    let mut bytes = fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&model, bytes).unwrap();
    fs::write(checkpoints.join("marks.json"), "{\"evaluated\": 3, \"be").unwrap();

    let message = Detector::load(&model, tch::Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("model.safetensors") && message.contains("checksum"), "{message}");
    let mut resumed = Watch::default();
    let summary = train(&config(), &broken, Start::Resume, &mut resumed).unwrap();
    let warnings: Vec<&String> = resumed
        .events
        .iter()
        .filter_map(|event| match event {
            TrainEvent::Warning(text) => Some(text),
            _ => None,
        })
        .collect();
    assert!(warnings[0].contains("step 5 is damaged") && warnings[0].contains("resumes from step 4"), "{warnings:?}");
    assert!(warnings[1].contains("marks.json") && !warnings[1].contains("remove"), "{warnings:?}");
    assert_eq!(summary.step, 6);
    assert_same_tensors(&last_model(&whole).unwrap(), &last_model(&broken).unwrap());
    assert!(checkpoints.join("damaged-step-0000005-1/model.safetensors").is_file(), "nothing is removed");
}

#[test]
fn a_round_keeps_its_written_order_and_its_best_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("1");
    let mut watch = Watch::default();
    let config = RoundConfig { keep_every: 0, ..config() };
    let summary = train(&config, &run, Start::Fresh, &mut watch).unwrap();
    assert_eq!(summary.best, Some((3, -3.0)), "the score falls with the steps here");
    assert_eq!(watch.evaluated, [3, 6]);
    let expected = "warning started 1 2 c2 3 c3 e3 scored 4 c4 5 6 c6 e6 scored end";
    assert_eq!(watch.words(), expected);
    let mut kept: Vec<String> = fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    kept.sort();
    assert_eq!(kept, ["marks.json", "step-0000003", "step-0000006"]);
    let again = train(&config, &run, Start::Fresh, &mut Watch::default()).unwrap_err().to_string();
    assert!(again.contains("already holds a round at step 6"), "{again}");
    let mut nothing_left = Watch::default();
    let resumed = train(&config, &run, Start::Resume, &mut nothing_left).unwrap();
    assert_eq!((resumed.outcome, resumed.step, nothing_left.evaluated.len()), (Outcome::Done, 6, 0));
}

#[test]
fn a_paused_round_rests_on_a_checkpoint_and_ends_as_if_it_had_not() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, paused) = (dir.path().join("a/1"), dir.path().join("b/1"));
    let config = RoundConfig { evaluate_every: 0, ..config() };
    train(&config, &whole, Start::Fresh, &mut Watch::default()).unwrap();
    let mut watch = Watch { pause_after: Some((3, Cancel::new())), ..Watch::default() };
    let summary = train(&config, &paused, Start::Fresh, &mut watch).unwrap();
    assert_eq!((summary.outcome, summary.step), (Outcome::Done, 6));
    assert_eq!(watch.words(), "warning started 1 2 c2 3 c3 p3 r3 4 c4 5 6 c6 e6 scored end");
    assert_same_tensors(&last_model(&whole).unwrap(), &last_model(&paused).unwrap());
}

#[test]
fn memory_is_measured_from_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let mut watch = Watch::default();
    train(&config(), &dir.path().join("1"), Start::Fresh, &mut watch).unwrap();
    let measured = |event: &TrainEvent| match event {
        TrainEvent::Step(report) => Some(report.usage.memory_bytes.is_some() || !cfg!(target_os = "linux")),
        _ => None,
    };
    let measured: Vec<bool> = watch.events.iter().filter_map(measured).collect();
    assert_eq!(measured, [true; 6]);
}

#[test]
fn every_hard_negative_of_a_mini_batch_is_selected_and_the_ratio_stays() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("1");
    let summary = train(&config(), &run, Start::Fresh, &mut Watch::default()).unwrap();
    let table = fs::read_to_string(run.join("sampler.csv")).unwrap();
    let mut rows = table.lines();
    let names: Vec<&str> = rows.next().unwrap().split(',').collect();
    let column = |row: &str, name: &str| -> u64 {
        let at = names.iter().position(|n| *n == name).unwrap();
        row.split(',').nth(at).unwrap().parse().unwrap()
    };
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows.len(), 6);
    for row in &rows {
        assert_eq!(column(row, "hard_negatives"), 2, "{row}: two images a step, one each");
        assert_eq!(column(row, "forced"), 2, "{row}: each hard negative is selected");
        assert!(column(row, "rpn_forced") >= 2, "{row}: they bind the RPN too");
        assert!(column(row, "foreground") <= 8 && column(row, "forced") <= column(row, "background"), "{row}");
        assert!(column(row, "foreground") + column(row, "background") <= 32, "{row}");
    }
    let sum = |name: &str| rows.iter().map(|row| column(row, name)).sum::<u64>();
    let counts = summary.counts;
    let summed = [counts.foreground, counts.background, counts.forced, counts.ignored];
    assert_eq!(summed, ["foreground", "background", "forced", "ignored"].map(sum));
    assert!(sum("foreground") > 0 && sum("rpn_ignored") > 0, "{table}");
}

#[test]
fn without_hard_negatives_none_is_forced_and_ohem_trains_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = RoundConfig { iterations: 2, ..config() };
    for (name, kind) in [("a", "random"), ("b", "ohem")] {
        config.sampler.kind = serde_json::from_value(kind.into()).unwrap();
        let run = dir.path().join(name);
        let summary =
            train_round(&config, task(images(false), &run, Start::Fresh), &mut Watch::default(), &Cancel::new())
                .unwrap();
        assert_eq!((summary.step, summary.counts.forced, summary.counts.rpn_forced), (2, 0, 0));
        assert!(summary.losses.classifier > 0.0 && summary.counts.background > 0);
    }
}

#[test]
fn failures_end_the_round_with_a_reason_and_finished_last() {
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, config: &RoundConfig, mut watch: Watch, expected: &[&str]| {
        let error = train(config, &dir.path().join(name), Start::Fresh, &mut watch).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
        assert_eq!(watch.finished(), &Outcome::Failed(error));
    };
    let failing = Watch { evaluation: Some(|| Err("no test images".to_owned())), ..Watch::default() };
    check("fails", &config(), failing, &["step 3", "no test images"]);
    let panicking = Watch { evaluation: Some(|| panic!("index 9 out of range")), ..Watch::default() };
    check("panics", &config(), panicking, &["index 9 out of range"]);
    assert!(dir.path().join("panics/checkpoints/step-0000003").exists(), "the last good checkpoint stays");
    let exploding = RoundConfig { max_loss: 0.001, ..config() };
    check("explodes", &exploding, Watch::default(), &["step 1", "No checkpoint", "base_lr"]);
    let previous = RoundConfig { init: quarry::domain::RoundInit::Previous, ..config() };
    check("previous", &previous, Watch::default(), &["backbone"]);
    let wrong = RoundConfig { flip: 7.0, ..config() };
    check("config", &wrong, Watch::default(), &["`flip`"]);
}

#[test]
fn images_without_faces_or_none_at_all_are_refused_and_unreadable_ones_reported_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, images: Vec<TrainingImage>, watch: &mut Watch| {
        train_round(&config(), task(images, &dir.path().join(name), Start::Fresh), watch, &Cancel::new())
    };
    let none = run("none", vec![], &mut Watch::default()).unwrap_err();
    assert!(matches!(none, TrainingError::NoImages), "{none}");
    let faceless = run("faceless", images(false).split_off(4), &mut Watch::default()).unwrap_err();
    assert!(matches!(faceless, TrainingError::NoFaces { images: 1 }), "{faceless}");

    let mut some = images(false);
    some[1].path = PathBuf::from("broken.jpg");
    let mut watch = Watch::default();
    let summary = run("some", some, &mut watch).unwrap();
    let reported = watch
        .events
        .iter()
        .filter(|event| matches!(event, TrainEvent::Warning(text) if text.contains("broken.jpg")))
        .count();
    assert_eq!((reported, summary.unreadable), (1, vec![PathBuf::from("broken.jpg")]));
}

#[test]
fn a_round_of_other_settings_or_data_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("1");
    let mut watch = Watch { cancel_after: Some((2, Cancel::new())), ..Watch::default() };
    train(&config(), &run, Start::Fresh, &mut watch).unwrap();
    let exploding = RoundConfig { max_loss: 0.001, ..config() };
    let message = train(&exploding, &run, Start::Resume, &mut Watch::default()).unwrap_err().to_string();
    assert!(message.contains("step 3") && message.contains("The last good checkpoint is step 2"), "{message}");
    let other = RoundConfig { seed: 99, ..config() };
    let message = train(&other, &run, Start::Resume, &mut Watch::default()).unwrap_err().to_string();
    assert!(message.contains("`seed` was 1 and is 99"), "{message}");
    let fewer = task(images(false), &run, Start::Resume);
    let message = train_round(&config(), fewer, &mut Watch::default(), &Cancel::new()).unwrap_err().to_string();
    assert!(message.contains("hard negatives have changed"), "{message}");

    // A diverged round resumes with another rate, which its checkpoints record from then on.
    let slower = RoundConfig { base_lr: config().base_lr / 4.0, warmup: 0.5, clip_norm: 1.0, ..config() };
    let summary = train(&slower, &run, Start::Resume, &mut Watch::default()).unwrap();
    assert_eq!((summary.outcome, summary.step), (Outcome::Done, 6));
    let state = fs::read_to_string(run.join("checkpoints/step-0000006/state.json")).unwrap();
    assert!(state.contains("clip_norm = 1.0"), "{state}");
}
