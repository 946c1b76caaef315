//! Rounds of a small project through the binary: killed and resumed, run twice at once, on a full disk, tested on another dataset.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![cfg(feature = "torch")]

#[path = "support/tiny_project.rs"]
mod tiny_project;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use quarry::detector::Architecture;
use quarry::domain::{Cancel, RoundInit, RoundState, Shape, Verdict};
use quarry::training::{MinedNegatives, RoundConfig, ScheduleKind, TrainEvent};
use quarry::workflow::mine::mine;
use quarry::workflow::round_report::round_report;
use quarry::workflow::train::{TrainReport, extend, resume, train};
use quarry::workflow::{Project, WorkEvent, WorkflowError};

const ITERATIONS: u64 = 12;

/// Writes `round.toml` into the project's folder.
fn settings(project: &Project, more: &str) -> PathBuf {
    let file = project.dir().join("round.toml");
    fs::write(&file, tiny_project::settings(&format!("iterations = {ITERATIONS}\ncheckpoint_every = 4\n{more}")))
        .unwrap();
    file
}

fn config(more: &str) -> RoundConfig {
    RoundConfig::from_toml(&tiny_project::settings(more), "tests").unwrap()
}

fn quarry(project: &Project, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quarry"));
    command.arg("train").arg("--project").arg(project.dir()).args(more);
    // Several of these run at once.
    command.env("OMP_NUM_THREADS", "1").env("MKL_NUM_THREADS", "1");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn started(project: &Project, config: &Path) -> Child {
    quarry(project, &["--config", config.to_str().unwrap()]).spawn().unwrap()
}

fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn checkpoint(project: &Project, step: u64) -> PathBuf {
    project.run_dir(1).join(format!("checkpoints/step-{step:07}"))
}

fn wait_for(what: &str, child: &mut Child, is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !is_there() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {what}");
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_round_that_was_killed_resumes_to_the_same_weights_to_the_bit_and_holds_its_project_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let whole = tiny_project::make(dir.path(), "whole", 6, 2);
    let config = settings(&whole, "test_folds = [2]");
    finished(quarry(&whole, &["--config", config.to_str().unwrap()]));

    let killed = tiny_project::make(dir.path(), "killed", 6, 2);
    let config = settings(&killed, "test_folds = [2]");
    let mut child = started(&killed, &config);
    let holder = format!("process {}", child.id());
    let lock = killed.runs_dir().join("training.lock");
    wait_for("the lock", &mut child, || fs::read_to_string(&lock).is_ok_and(|text| text.contains(&holder)));
    let second = quarry(&killed, &["--config", config.to_str().unwrap()]).output().unwrap();
    let held = killed.open_store().unwrap().rounds().unwrap();
    wait_for("a checkpoint", &mut child, || checkpoint(&killed, 4).exists() || checkpoint(&killed, 8).exists());
    // SIGKILL: none of the program's own code runs any more.
    child.kill().unwrap();
    let status = child.wait().unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "it was done before the kill");
    assert!(!status.success() && !checkpoint(&killed, ITERATIONS).exists());

    assert_eq!(second.status.code(), Some(1));
    let message = stderr(&second);
    assert!(message.contains(&holder), "{message}");
    let states: Vec<RoundState> = held.iter().map(|r| r.state).collect();
    assert!(states.iter().all(|s| *s == RoundState::Running) && states.len() <= 1, "it left a trace: {states:?}");

    finished(quarry(&killed, &["--resume"]));
    for file in ["model.safetensors", "optim.safetensors"] {
        let read = |project: &Project| fs::read(checkpoint(project, ITERATIONS).join(file)).unwrap();
        assert!(read(&whole) == read(&killed), "{file} differs");
    }
    let held_out = |project: &Project| fs::read(project.run_dir(1).join("held-out-rectangle.txt")).unwrap();
    assert_eq!(held_out(&whole), held_out(&killed));
    assert_eq!(killed.open_store().unwrap().rounds().unwrap()[0].state, RoundState::Trained);
}

#[cfg(unix)]
#[test]
fn two_interrupts_end_a_training_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    // Long enough that it cannot finish before the signals arrive.
    let config = project.dir().join("round.toml");
    fs::write(&config, tiny_project::settings("iterations = 100000\ncheckpoint_every = 4\ntest_folds = [2]")).unwrap();
    let first = checkpoint(&project, 4);
    let mut child = started(&project, &config);
    wait_for("a checkpoint", &mut child, || first.exists());
    interrupt(&child);
    interrupt(&child);
    // It did not finish, however fast it was stopped; never a signal from libtorch.
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{status:?}");

    let left = newest_checkpoint(&project);
    let mut child = quarry(&project, &["--resume"]).spawn().unwrap();
    wait_for("the next checkpoint", &mut child, || newest_checkpoint(&project) > left);
    interrupt(&child);
    let stopped = child.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(1), "one interrupt stops at the next step");
    assert!(stderr(&stopped).contains("quarry train --resume"), "{}", stderr(&stopped));
    assert_eq!(project.open_store().unwrap().rounds().unwrap()[0].state, RoundState::Stopped);
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// Name of the checkpoint of the highest step.
fn newest_checkpoint(project: &Project) -> Option<String> {
    let entries = fs::read_dir(project.run_dir(1).join("checkpoints")).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("step-")).max()
}

#[cfg(unix)]
#[test]
fn a_full_disk_stops_the_round_on_its_last_good_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let config = settings(&project, "test_folds = [2]");
    let mut child = started(&project, &config);
    wait_for("a checkpoint", &mut child, || checkpoint(&project, 4).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let good = fs::read(checkpoint(&project, 4).join("model.safetensors")).unwrap();

    // No file may grow over 20 or 40 MB, in the shell's units; the weights are 45 MB.
    let limited = "trap '' XFSZ; ulimit -f 40960; exec \"$0\" train --resume --project \"$1\"";
    let failed = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_quarry"), project.dir().to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    assert!(stderr(&failed).contains("is full; free some space and resume"), "{}", stderr(&failed));
    let left: Vec<String> = fs::read_dir(project.run_dir(1).join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "marks.json")
        .collect();
    assert_eq!(left, ["step-0000004"], "nothing half written is left");
    assert!(fs::read(checkpoint(&project, 4).join("model.safetensors")).unwrap() == good);
    assert_eq!(project.open_store().unwrap().rounds().unwrap()[0].state, RoundState::Failed);

    finished(quarry(&project, &["--resume"]));
    assert!(checkpoint(&project, ITERATIONS).exists());
}

#[test]
fn a_round_is_tested_on_another_dataset_of_which_nothing_is_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let config = settings(&project, "init = \"backbone\"");
    let arguments = ["--json", "--test-dataset", "scenes", "--iterations", "1", "--config", config.to_str().unwrap()];
    let output = finished(quarry(&project, &arguments));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["training_images"].as_u64(), report["test_images"].as_u64()), (Some(4), Some(2)));
    let store = project.open_store().unwrap();
    let record = store.round_by_number(1).unwrap().unwrap();
    assert!(record.config_toml.contains("test_dataset = \"scenes\""), "{}", record.config_toml);
    let mined = Command::new(env!("CARGO_BIN_EXE_quarry"))
        .args(["mine", "--json", "--project", project.dir().to_str().unwrap()])
        .output()
        .unwrap();
    let mined: serde_json::Value = serde_json::from_slice(&mined.stdout).unwrap();
    assert_eq!(mined["images"], 4, "mining keeps off the test dataset too");
}

/// Trains `config` as the next round, or resumes one, and stops after `steps` steps in this session.
fn sit(project: &Project, config: Option<&RoundConfig>, steps: usize) -> Result<TrainReport, WorkflowError> {
    tch::set_num_threads(1);
    let (cancel, mut made) = (Cancel::new(), 0);
    let flag = cancel.clone();
    let mut watch = |event| {
        if let WorkEvent::Train(TrainEvent::Step(_)) = event {
            made += 1;
            if made == steps {
                flag.cancel();
            }
        }
    };
    match config {
        Some(config) => train(project, config, &mut watch, &cancel),
        None => resume(project, None, &mut watch, &cancel),
    }
}

fn refusal(result: Result<TrainReport, WorkflowError>, expected: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in expected {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}

#[test]
fn what_is_reviewed_after_its_start_does_not_change_a_round() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let config = config("iterations = 4\ncheckpoint_every = 1\ntest_folds = [2]\nhard_negatives = \"unreviewed\"");
    train(&project, &config, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap().candidates > 0);
    let begun = sit(&project, Some(&config), 2).unwrap();
    assert!(begun.stopped && begun.hard_negatives > 0, "{begun:?}");

    let mut store = project.open_store().unwrap();
    let candidates: Vec<_> = store
        .images()
        .unwrap()
        .iter()
        .filter(|image| image.fold() != Some(2))
        .flat_map(|image| store.candidates_of_image(image.id).unwrap())
        .collect();
    let ids: Vec<_> = candidates.iter().map(|c| c.id).collect();
    let face = Shape::Rectangle(candidates[0].bbox);
    store.record_missed_object(ids[0], "tester", (face, None), None, 1).unwrap();
    store.record_verdicts(&ids[1..], "tester", Verdict::Rejected, None, 2).unwrap();
    let went_on = sit(&project, None, 1).unwrap();
    assert_eq!((went_on.steps, went_on.hard_negatives), (3, begun.hard_negatives));

    // A round of an older version has no such file: it only continues with what it started with.
    let file = project.run_dir(2).join("data.json");
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    refusal(sit(&project, None, 1), &["objects or hard negatives have changed"]);
    fs::write(&file, kept).unwrap();
    assert!(!sit(&project, None, 99).unwrap().stopped);
    refusal(sit(&project, None, 1), &["nothing to resume", "without `--resume`"]);
}

#[test]
fn a_baseline_learns_nothing_of_the_review() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let first = config("iterations = 2\ntest_folds = [2]\nhard_negatives = \"none\"");
    train(&project, &first, &mut |_| {}, &Cancel::new()).unwrap();
    mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    let mut store = project.open_store().unwrap();
    let images: Vec<_> = store.images().unwrap().into_iter().filter(|image| image.fold() != Some(2)).collect();
    let ids: Vec<_> =
        images.iter().flat_map(|i| store.candidates_of_image(i.id).unwrap()).map(|candidate| candidate.id).collect();
    store.record_verdicts(&ids[..1], "tester", Verdict::MissedObject, None, 1).unwrap();
    store.record_verdicts(&ids[1..], "tester", Verdict::Rejected, None, 2).unwrap();
    drop(store);
    let data = |number: u32| fs::read_to_string(project.run_dir(number).join("data.json")).unwrap();
    // The training data of a round before any review.
    let clean = data(1);
    train(&project, &first, &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!(data(2), clean, "no promoted object, no ignored region");
    let corrected = config("iterations = 2\ntest_folds = [2]\nhard_negatives = \"none\"\nground_truth = \"corrected\"");
    train(&project, &corrected, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(data(3).contains("\"ignored\"") && data(3).matches("ellipse ").count() > clean.matches("ellipse ").count());
}

#[test]
fn every_mini_batch_of_a_reviewed_round_holds_all_hard_negatives_of_its_images() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let config = config("iterations = 6\ntest_folds = [2]\nhard_negatives = \"confirmed\"");
    train(&project, &config, &mut |_| {}, &Cancel::new()).unwrap();
    mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();

    let mut store = project.open_store().unwrap();
    let mut confirmed = HashMap::new();
    for (k, image) in store.images().unwrap().iter().filter(|image| image.fold() != Some(2)).enumerate() {
        let ids: Vec<_> = store.candidates_of_image(image.id).unwrap().iter().map(|c| c.id).collect();
        // One image is all rejected; the others have at most as many hard negatives as there is room for.
        let chosen = &ids[..ids.len().min(12)];
        let verdict = if k == 0 { Verdict::Rejected } else { Verdict::Confirmed };
        store.record_verdicts(chosen, "tester", verdict, None, 1).unwrap();
        confirmed.insert(image.id.to_string(), if k == 0 { 0 } else { chosen.len() as u64 });
    }
    let report = train(&project, &config, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(report.round == 2 && report.hard_negatives > 0, "{report:?}");

    let table = fs::read_to_string(project.run_dir(2).join("sampler.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len() as u64, 6 * u64::from(config.accumulate), "{table}");
    let number = |row: &[&str], column: usize| row[column].parse::<u64>().unwrap();
    for row in &rows {
        let wanted: u64 = row[2].split(';').map(|image| confirmed[image]).sum();
        assert_eq!((number(row, 3), number(row, 6)), (wanted, wanted), "given and forced: {row:?}");
        assert!(number(row, 6) <= number(row, 5) && 3 * number(row, 4) <= number(row, 5).max(12), "{row:?}");
        assert!(wanted == 0 || number(row, 10) > 0, "they bind the RPN too: {row:?}");
    }
    let sum = |column: usize| rows.iter().map(|row| number(row, column)).sum::<u64>();
    assert!(sum(6) > 0 && sum(7) > 0, "hard negatives and ignored RoIs: {table}");
    let store = project.open_store().unwrap();
    let shown = round_report(&project, &store, &store.round_by_number(2).unwrap().unwrap()).unwrap().sampler.unwrap();
    let drawn = shown.drawn;
    let totals = [shown.hard_negatives, drawn.foreground, drawn.background, drawn.forced, drawn.ignored];
    assert_eq!(totals, [3, 4, 5, 6, 7].map(sum), "the round's report");
}

#[test]
fn a_round_outlasts_another_program_that_holds_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let config = config("iterations = 3\ncheckpoint_every = 1\ntest_folds = [2]");
    let database = project.dir().join("quarry.db");
    let (mut holder, mut waited) = (None, Vec::new());
    let mut watch = |event| match event {
        WorkEvent::Train(TrainEvent::Step(step)) if step.step == 3 => {
            let other = rusqlite::Connection::open(&database).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            // Longer than the store itself waits, in each of two attempts.
            holder = Some(std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(12));
                other.execute_batch("ROLLBACK").unwrap();
            }));
        }
        WorkEvent::Train(TrainEvent::Warning(text)) => waited.push(text),
        _ => {}
    };
    let report = train(&project, &config, &mut watch, &Cancel::new()).unwrap();
    holder.unwrap().join().unwrap();
    assert!(!report.stopped && !report.curves.is_empty(), "{report:?}");
    assert!(waited.iter().any(|text| text.contains("held by another program")), "{waited:?}");
    let store = project.open_store().unwrap();
    let round = store.round_by_number(1).unwrap().unwrap();
    assert_eq!(round.state, RoundState::Trained);
    assert_eq!(store.metric_summary(round.id, "loss").unwrap().count, 3, "no step is missing");
}

#[test]
fn weights_of_another_architecture_are_refused_before_a_round_begins() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let config = config("iterations = 1\ntest_folds = [2]");
    sit(&project, Some(&config), 9).unwrap();
    let mut next = RoundConfig { init: RoundInit::Previous, ..config };
    next.detector.architecture = Architecture::ResNet50HalfFpn;
    refusal(sit(&project, Some(&next), 9), &["step-0000001", "resnet18-fpn", "resnet50-half-fpn"]);
    assert_eq!(project.open_store().unwrap().rounds().unwrap().len(), 1);
}

#[test]
fn a_round_goes_on_with_another_rate_or_device_and_with_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let none = quarry(&project, &["--resume"]).output().unwrap();
    assert!(none.status.code() == Some(1) && stderr(&none).contains("no round yet"), "{}", stderr(&none));
    let config = config("iterations = 4\ncheckpoint_every = 1\ntest_folds = [2]\nmax_loss = 0.001");
    refusal(sit(&project, Some(&config), 9), &["step 1", "scene_", "--resume --set base_lr="]);
    assert_eq!(project.open_store().unwrap().rounds().unwrap()[0].state, RoundState::Failed);
    let mined = mine(&project, Some(1), &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
    assert!(mined.contains("round 1 is failed"), "{mined}");

    for (option, value, key) in
        [("--seed", "9", "`seed`"), ("--iterations", "9", "`iterations`"), ("--set", "momentum=0.5", "`momentum`")]
    {
        let refused = quarry(&project, &["--resume", option, value]).output().unwrap();
        assert!(refused.status.code() == Some(1) && stderr(&refused).contains(key), "{}", stderr(&refused));
    }
    let file = project.dir().join("calmer.toml");
    fs::write(&file, "base_lr = 0.0005\nmax_loss = 1000\n").unwrap();
    finished(quarry(&project, &["--resume", "--config", file.to_str().unwrap(), "--device", "auto"]));
    let round = project.open_store().unwrap().rounds().unwrap().remove(0);
    let now = RoundConfig::from_toml(&round.config_toml, "stored").unwrap();
    let mut expected = RoundConfig { base_lr: 0.0005, max_loss: 1000.0, device: "auto".to_owned(), ..config };
    expected.detector.set_classes(&["face".to_owned()]);
    assert_eq!((round.state, now), (RoundState::Trained, expected));
    let log = fs::read_to_string(project.run_dir(1).join("log.txt")).unwrap();
    for part in ["Failed: step 1", "continues with changed settings: `base_lr` was 0.01 and is 0.0005", "`max_loss`"] {
        assert!(log.contains(part), "{log:?} lacks {part:?}");
    }
}

/// Returns the learning rates of a round's steps, from `log.csv`.
fn rates_of(project: &Project) -> Vec<(u64, f64)> {
    let table = fs::read_to_string(project.run_dir(1).join("log.csv")).unwrap();
    let mut lines = table.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let (step, lr) = (place("step"), place("lr"));
    let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
    rows.map(|row| (row[step].parse().unwrap(), row[lr].parse().unwrap())).collect()
}

#[test]
fn a_round_that_came_to_its_end_is_made_longer() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let none = quarry(&project, &["--extend", "2"]).output().unwrap();
    assert!(none.status.code() == Some(1) && stderr(&none).contains("none is trained yet"), "{}", stderr(&none));
    let config = RoundConfig {
        schedule: ScheduleKind::Step,
        milestones: vec![0.75],
        lr_factor: 0.1,
        base_lr: 0.01,
        warmup: 0.5,
        warmup_factor: 0.1,
        ..config("iterations = 4\nevaluate_every = 2\ncheckpoint_every = 2\ntest_folds = [2]")
    };
    assert!(sit(&project, Some(&config), 1).unwrap().stopped);
    refusal(
        extend(&project, 2, None, &mut |_| {}, &Cancel::new()),
        &["round 1 is stopped", "`quarry train --resume` first"],
    );
    assert!(!sit(&project, None, 99).unwrap().stopped);
    mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();

    for (option, value, key) in [("--seed", "9", "`seed`"), ("--set", "iterations=9", "`iterations`")] {
        let refused = quarry(&project, &["--extend", "2", option, value]).output().unwrap();
        assert!(refused.status.code() == Some(1) && stderr(&refused).contains(key), "{}", stderr(&refused));
    }
    let unasked = quarry(&project, &["--extend", "0"]).output().unwrap();
    assert_eq!(unasked.status.code(), Some(2));
    assert_eq!(
        project.open_store().unwrap().rounds().unwrap()[0].state,
        RoundState::Mined,
        "a refusal leaves no trace"
    );

    // Stopped before its first new checkpoint, and resumed.
    let (cancel, flag) = (Cancel::new(), Cancel::new());
    flag.cancel();
    let stopped = extend(&project, 4, None, &mut |_| {}, &flag).unwrap();
    assert_eq!((stopped.stopped, stopped.steps), (true, 4));
    assert_eq!(project.open_store().unwrap().rounds().unwrap()[0].state, RoundState::Stopped);
    let report = resume(&project, None, &mut |_| {}, &cancel).unwrap();
    assert_eq!((report.stopped, report.steps, report.round), (false, 8, 1));

    let store = project.open_store().unwrap();
    let round = store.rounds().unwrap().remove(0);
    assert_eq!((round.state, store.metric_summary(round.id, "loss").unwrap().count), (RoundState::Trained, 8));
    // Two warm-up steps and a milestone after the third; extended to eight it has its milestone after the sixth.
    let rates = rates_of(&project);
    let expected = [0.001, 0.0055, 0.01, 0.001, 0.01, 0.01, 0.001, 0.001];
    assert_eq!(rates.len(), expected.len(), "{rates:?}");
    for (k, ((step, lr), expected)) in rates.iter().zip(expected).enumerate() {
        assert!(*step == k as u64 + 1 && (lr - expected).abs() < 1e-9, "step {step}: {lr} instead of {expected}");
    }
    let log = fs::read_to_string(project.run_dir(1).join("log.txt")).unwrap();
    for part in [
        "from step 4 to step 8",
        "1.000e-2 in step 5 (step 4 had 1.000e-3)",
        "mine it again",
        "`iterations` was 4 and is 8",
    ] {
        assert!(log.contains(part), "{log:?} lacks {part:?}");
    }
    drop(store);
    let mined = mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!((mined.images, mined.resumed), (4, 0), "all images are mined with the new weights");
}

#[test]
fn a_round_that_mines_itself_finds_false_positives_on_its_own_images_alone() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "project", 6, 2);
    let text = "iterations = 4\ncheckpoint_every = 2\nmine_every = 2\nmine_images = 100\ntest_folds = [2]\nmining.score_threshold = 0.01";
    let mut lines = Vec::new();
    let mut observer = |event: WorkEvent| {
        if let WorkEvent::Log(text) = event {
            lines.push(text);
        }
    };
    let report = train(&project, &config(text), &mut observer, &Cancel::new()).unwrap();
    // Three pictures of fold 1 and two scenes; the three of fold 2 are held out.
    assert_eq!((report.training_images, report.test_images), (5, 3));
    let line = lines.iter().find(|line| line.contains("Mining after step 2")).unwrap();
    assert!(line.contains("5 images have") && line.contains("0 before the round"), "{lines:?}");
    let log = fs::read_to_string(project.run_dir(1).join("log.txt")).unwrap();
    assert!(log.contains("Mining after step 2"), "{log}");

    let mined = fs::read_to_string(checkpoint(&project, 4).join("mined.json")).unwrap();
    let mined: HashMap<usize, MinedNegatives> = serde_json::from_str(&mined).unwrap();
    assert_eq!(mined.len(), 5, "one entry for each training image and no other");
    let all: Vec<_> = mined.values().flat_map(|image| &image.hard_negatives).collect();
    assert!(!all.is_empty(), "a detector after two steps finds faces everywhere");
    assert!(report.sampler.forced > 0 && report.hard_negatives == 0, "{report:?}");
    // They are the round's own: nothing was stored for review, and its snapshot of the data is unchanged.
    let store = project.open_store().unwrap();
    assert_eq!(store.rounds().unwrap()[0].state, RoundState::Trained);
    let snapshot = fs::read_to_string(project.run_dir(1).join("data.json")).unwrap();
    assert!(!snapshot.contains("hard_negatives"), "{snapshot}");
    // No false positive by the definition of mining lies on a face.
    let faces = store.own_ground_truth().unwrap();
    let training: Vec<_> =
        store.images().unwrap().into_iter().filter(|image| image.split.as_deref() != Some("2")).collect();
    for (at, image) in training.iter().enumerate() {
        for (bbox, _) in &mined[&at].hard_negatives {
            let on_face =
                faces.get(&image.id).into_iter().flatten().any(|face| face.shape.bounding_box().iou(bbox) >= 0.5);
            assert!(!on_face, "{} {bbox:?}", image.name);
        }
    }
}

#[test]
fn held_out_pictures_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let broken = dir.path().join("pictures/scene_1.png");
    fs::write(&broken, "no picture").unwrap();
    let config = config("iterations = 2\nevaluate_every = 1\ntest_folds = [2]");
    let report = sit(&project, Some(&config), 9).unwrap();
    assert_eq!((report.unreadable, report.unreadable_test), (vec![], vec![broken]));
    let log = fs::read_to_string(project.run_dir(1).join("log.txt")).unwrap();
    assert_eq!(log.matches("1 of 2 held-out images cannot be read").count(), 1, "{log}");
    assert!(log.contains("scene_1.png"), "{log}");
}

#[test]
fn the_ground_truths_word_is_not_taken_for_a_users_images() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 2, 1);
    let demo = ["demo", "--headless", "--auto-review", "--project", project.dir().to_str().unwrap()];
    let refused = Command::new(env!("CARGO_BIN_EXE_quarry")).args(demo).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("has the dataset `drawn`"), "{}", stderr(&refused));
    assert!(project.open_store().unwrap().rounds().unwrap().is_empty());
}

/// Everything here but the last is repaired by putting the folder back.
#[test]
fn a_round_whose_folder_or_checkpoints_are_away_does_not_begin_again_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let config = config("iterations = 6\ncheckpoint_every = 1\ntest_folds = [2]");
    assert!(sit(&project, Some(&config), 3).unwrap().stopped);
    let (run, aside) = (project.run_dir(1), dir.path().join("aside"));

    fs::rename(&run, &aside).unwrap();
    refusal(sit(&project, None, 9), &["runs/1", "is missing", "Put it back"]);
    assert!(!run.exists(), "no folder is created in its place");
    fs::rename(&aside, &run).unwrap();

    fs::rename(run.join("checkpoints"), &aside).unwrap();
    refusal(sit(&project, None, 9), &["was at step 3", "checkpoints are missing", "Put them back"]);
    fs::remove_dir_all(run.join("checkpoints")).ok();
    fs::rename(&aside, run.join("checkpoints")).unwrap();
    assert_eq!(project.open_store().unwrap().rounds().unwrap()[0].state, RoundState::Stopped);

    // Of what it trains on, the project itself knows as much.
    fs::remove_file(run.join("data.json")).unwrap();
    let mut said = Vec::new();
    let mut watch = |event| {
        if let WorkEvent::Log(text) = event {
            said.push(text);
        }
    };
    let report = resume(&project, None, &mut watch, &Cancel::new()).unwrap();
    assert!(!report.stopped && report.steps == 6, "{report:?}");
    assert!(said.iter().any(|text| text.contains("data.json) is missing")), "{said:?}");
}

#[test]
fn a_checkpoint_in_a_folder_of_another_step_is_passed_over_for_the_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let config = config("iterations = 6\ncheckpoint_every = 1\nkeep_every = 1\ntest_folds = [2]");
    assert!(sit(&project, Some(&config), 3).unwrap().stopped);
    fs::rename(checkpoint(&project, 3), checkpoint(&project, 600)).unwrap();
    let report = resume(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(!report.stopped && report.steps == 6, "{report:?}");
    let log = fs::read_to_string(project.run_dir(1).join("log.txt")).unwrap();
    assert!(log.contains("the state of step 3, in the folder of step 600"), "{log}");
}

#[test]
fn a_killed_round_is_shown_as_interrupted_and_a_running_one_as_running() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let status = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quarry"));
        let output = finished({
            command.arg("status").arg("--project").arg(project.dir());
            command
        });
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // Far more steps than are made while it is looked at.
    let file = project.dir().join("round.toml");
    fs::write(&file, tiny_project::settings("iterations = 100000\ncheckpoint_every = 4\ntest_folds = [2]")).unwrap();
    let mut child = started(&project, &file);
    wait_for("the first checkpoint", &mut child, || newest_checkpoint(&project).is_some());
    assert!(status().contains("Round 1: running;"), "{}", status());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(status().contains("Round 1: interrupted (continue with `quarry train --resume`);"), "{}", status());
}

/// Splits that change after a round has begun do not make its training images test images.
#[test]
fn a_resumed_round_is_not_tested_on_what_it_trains_on() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 6, 2);
    let config = config("iterations = 2\ncheckpoint_every = 1\ntest_folds = [2]");
    assert!(sit(&project, Some(&config), 1).unwrap().stopped);
    let mut store = project.open_store().unwrap();
    let trained = store.images().unwrap().into_iter().find(|image| image.split.as_deref() == Some("1")).unwrap();
    store.set_splits(trained.dataset, &[(trained.id, Some("2".to_owned()))], None).unwrap();
    drop(store);
    let resumed = finished(quarry(&project, &["--resume"]));
    let text = stderr(&resumed) + &String::from_utf8_lossy(&resumed.stdout);
    assert!(text.contains("1 image is not tested on: the round trains on what is held out now"), "{text}");
    let tested = fs::read_to_string(project.run_dir(1).join("held-out-rectangle.txt")).unwrap();
    assert!(!tested.lines().any(|line| line == trained.name), "{tested}");
    let longer = finished(quarry(&project, &["--extend", "2"]));
    let text = stderr(&longer) + &String::from_utf8_lossy(&longer.stdout);
    assert!(text.contains("1 image is not tested on"), "{text}");
}

/// The same for the weights that a round starts from: they may have learned what is held out by now.
#[test]
fn a_round_whose_first_weights_saw_its_test_images_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 6, 2);
    let run = |init: &str| {
        let file = settings(&project, &format!("test_folds = [2]\ninit = \"{init}\""));
        let output = finished(quarry(&project, &["--config", file.to_str().unwrap()]));
        stderr(&output)
    };
    run("backbone");
    assert!(!run("previous").contains("were trained on"), "the splits are those of round 1");
    let mut store = project.open_store().unwrap();
    let trained = store.images().unwrap().into_iter().find(|image| image.split.as_deref() == Some("1")).unwrap();
    store.set_splits(trained.dataset, &[(trained.id, Some("2".to_owned()))], None).unwrap();
    drop(store);
    // Round 2 was trained on it, from the weights of round 1.
    let text = run("previous");
    assert!(text.contains("1 of 4 test images are among those that the weights of round 2 were trained on"), "{text}");
    assert!(fs::read_to_string(project.run_dir(3).join("log.txt")).unwrap().contains("1 of 4 test images"));
    assert!(!run("backbone").contains("were trained on"));
}
