//! `quarry doctor`, and missing devices.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use assert_cmd::Command;
use serde_json::Value;

fn quarry(args: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("quarry").unwrap().args(args).assert()
}

fn json(args: &[&str]) -> Value {
    let output = quarry(args).success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

#[cfg(feature = "torch")]
fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

#[test]
fn the_doctor_reports_also_where_libtorch_does_not_load() {
    let report = json(&["doctor", "--json"]);
    assert!(["cpu", "cuda"].contains(&report["device"].as_str().unwrap()), "{report}");
    assert!(report["system"]["threads"].as_u64() > Some(0), "{report}");
    assert_eq!(report["libtorch"].is_object(), cfg!(feature = "torch"), "{report}");
    let text = quarry(&["doctor"]).success().get_output().stdout.clone();
    let text = String::from_utf8(text).unwrap();
    for name in ["Quarry", "System", "CPU", "Memory", "Device", "Driver", "libtorch", "cuDNN", "OpenGL", "Display"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing in\n{text}");
    }

    // Without its own library the program cannot reach libtorch.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("bin")).unwrap();
    let alone = dir.path().join("bin/quarry");
    std::fs::copy(assert_cmd::cargo::cargo_bin("quarry"), &alone).unwrap();
    let alone = |args: &[&str]| Command::new(&alone).args(args).assert();
    let output = alone(&["doctor", "--json"]).success().get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&output).unwrap();
    let reason = report["libtorch_error"].as_str().unwrap();
    assert!(!cfg!(feature = "torch") || reason.contains("libquarry"), "{report}");
    let project = dir.path().join("p");
    let p = project.to_str().unwrap();
    quarry(&["new", p]).success();
    alone(&["status", "--project", p]).success();
}

#[test]
fn the_doctor_names_crash_reports_that_nobody_has_seen() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("quarry/crashes");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["crash-0000000000002-7.txt", "crash-0000000000001-7.txt", "seen-crash-0000000000003-7.txt"] {
        std::fs::write(folder.join(name), "report").unwrap();
    }
    let mut command = Command::cargo_bin("quarry").unwrap();
    let output = command.env("XDG_STATE_HOME", state.path()).args(["doctor", "--json"]).assert().success();
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let named: Vec<_> = report["crash_reports"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    assert_eq!(named, [path("crash-0000000000002-7.txt"), path("crash-0000000000001-7.txt")]);
}

#[cfg(feature = "torch")]
#[test]
fn a_gpu_that_is_not_there_is_refused_before_anything_is_written() {
    let gpu = &json(&["doctor", "--json"])["gpu"];
    if gpu["state"] == "usable" {
        eprintln!("SKIPPED: this machine has a CUDA GPU, so `--device cuda` is not refused");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("p");
    let p = project.to_str().unwrap();
    quarry(&["new", p]).success();
    let refused = stderr(&quarry(&["train", "--project", p, "--preset", "sample", "--device", "cuda"]).code(1));
    let expected = format!("{} Choose auto or cpu.", gpu["text"].as_str().unwrap());
    assert!(refused.contains(&expected), "{refused:?} lacks {expected:?}");
    assert_eq!(json(&["status", "--project", p, "--json"])["rounds"], serde_json::json!([]));
    let unknown = stderr(&quarry(&["train", "--project", p, "--preset", "sample", "--device", "tpu"]).code(1));
    assert!(unknown.contains("auto, cpu, cuda or cuda:N"), "{unknown}");
}
