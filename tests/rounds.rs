//! Rounds of a small project through the binary: killed and resumed, run twice at once, on a full disk, tested on another dataset.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![cfg(feature = "torch")]

#[path = "support/tiny_project.rs"]
mod tiny_project;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use quarry::domain::RoundState;
use quarry::workflow::Project;

const ITERATIONS: u64 = 12;

/// Writes `round.toml` into the project's folder.
fn settings(project: &Project, more: &str) -> PathBuf {
    let file = project.dir().join("round.toml");
    fs::write(&file, tiny_project::settings(&format!("iterations = {ITERATIONS}\ncheckpoint_every = 4\n{more}")))
        .unwrap();
    file
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
    // SIGKILL: nothing of the program's own runs any more.
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
    // So long that it cannot be done before the signals come.
    let config = project.dir().join("round.toml");
    fs::write(&config, tiny_project::settings("iterations = 100000\ncheckpoint_every = 4\ntest_folds = [2]")).unwrap();
    let first = checkpoint(&project, 4);
    let mut child = started(&project, &config);
    wait_for("a checkpoint", &mut child, || first.exists());
    interrupt(&child);
    interrupt(&child);
    // 130 at once, or 0 (stopped, as asked) when the step was done between the two; never a signal of libtorch's.
    let status = child.wait().unwrap();
    assert!(matches!(status.code(), Some(0 | 130)), "{status:?}");

    let left = newest_checkpoint(&project);
    let mut child = quarry(&project, &["--resume"]).spawn().unwrap();
    wait_for("the next checkpoint", &mut child, || newest_checkpoint(&project) > left);
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0), "one interrupt stops at the next step");
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

    // No file may grow over 20 or 40 MB, by the shell's units; the weights are 45 MB.
    let limited = "trap '' XFSZ; ulimit -f 40960; exec \"$0\" train --resume --project \"$1\"";
    let failed = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_quarry"), project.dir().to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    assert!(stderr(&failed).contains("is full; make room and resume"), "{}", stderr(&failed));
    let left: Vec<String> = fs::read_dir(project.run_dir(1).join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
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
