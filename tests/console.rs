//! Output: nothing printed can end the work, nothing read can control a terminal, and no file blocks a command.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![cfg(unix)]

#[cfg(feature = "torch")]
#[path = "support/tiny_project.rs"]
mod tiny_project;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn quarry(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quarry"));
    command.current_dir(dir).args(args).stdin(Stdio::null());
    command
}

fn output(dir: &Path, args: &[&str]) -> Output {
    quarry(dir, args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The write end of a pipe without a reader.
fn closed_pipe() -> Stdio {
    let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = child.stdin.take().unwrap();
    child.wait().unwrap();
    pipe.into()
}

/// Returns the exit codes with closed stdout and stderr, and with a full disk under both.
fn codes(dir: &Path, args: &[&str]) -> Vec<Option<i32>> {
    let mut codes = vec![quarry(dir, args).stdout(closed_pipe()).stderr(closed_pipe()).status().unwrap().code()];
    if let Ok(full) = File::options().write(true).open("/dev/full") {
        let (out, err) = (full.try_clone().unwrap(), full);
        codes.push(quarry(dir, args).stdout(out).stderr(err).status().unwrap().code());
    }
    codes
}

fn picture(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::GrayImage::from_pixel(32, 24, image::Luma([path.as_os_str().len() as u8])).save(path).unwrap();
}

#[test]
fn a_closed_pipe_or_a_full_disk_under_the_output_changes_no_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    picture(&at.join("scenes/a.png"));
    fs::write(at.join("scenes/broken.png"), "x").unwrap();
    assert!(output(at, &["new", "p"]).status.success());
    for code in codes(at, &["import", "folder", "scenes", "--project", "p"]) {
        assert_eq!(code, Some(0));
    }
    let export = ["export", "ground-truth", "--project", "p", "--format", "coco", "--force", "--out", "a.json"];
    for code in codes(at, &export) {
        assert_eq!(code, Some(0), "the work is done");
    }
    assert!(at.join("a.json").is_file());
    for code in codes(at, &["status", "--project", "gone"]) {
        assert_eq!(code, Some(1), "a failure stays one");
    }
    let status = codes(at, &["status", "--project", "p"]);
    assert_eq!(status[0], Some(0), "nobody reads on");
    assert!(status[1..].iter().all(|code| *code == Some(1)), "what was asked for could not be written");
    assert_eq!(codes(at, &["--help"])[0], Some(0));
}

#[cfg(feature = "torch")]
#[test]
fn training_goes_on_when_nobody_reads_its_progress() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 6, 2);
    fs::write(dir.path().join("round.toml"), tiny_project::settings("iterations = 2\ncheckpoint_every = 1")).unwrap();
    let mut train = quarry(dir.path(), &["train", "--project", "p", "--config", "round.toml", "--test-folds", "2"]);
    let train = train.env("OMP_NUM_THREADS", "1").env("QUARRY_LOG", "debug").env("QUARRY_MODELS", dir.path());
    let status = train.stdout(closed_pipe()).stderr(closed_pipe()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(project.run_dir(1).join("checkpoints").is_dir());
    assert_eq!(project.open_store().unwrap().rounds().unwrap()[0].state.as_str(), "trained");
}

#[test]
fn names_cannot_take_a_terminal_over_nor_a_long_line_fill_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let check = |args: &[&str], expected: &str| {
        let output = output(at, args);
        let text = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        let is_raw = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
        assert!(!text.contains(is_raw), "{args:?}: {text:?}");
        assert!(text.contains(expected) && text.len() < 6000, "{args:?}: {} bytes: {text:.2000}", text.len());
    };
    let bad = "a\u{1b}]0;x\u{7}\u{9b}31m\u{202e}b";
    let name = format!("{bad}.txt");
    check(&["evaluate", "ap", "--ground-truth", &name, "--detections", &name], "\\u{1b}]0;x");
    check(&["status", "--project", &format!("gone/{bad}\nline")], "\\nline");
    let evaluate = |list: &str, dets: &str| {
        fs::write(at.join("list.txt"), list).unwrap();
        fs::write(at.join("dets.txt"), dets).unwrap();
        fs::write(at.join("sizes.tsv"), "a\t32\t24\n").unwrap();
    };
    let args = ["evaluate", "fddb", "--annotations", "list.txt", "--detections", "dets.txt", "--sizes", "sizes.tsv"];
    let args = [&args[..], &["--out", "out"]].concat();
    let long = "x".repeat(20_000_000);
    evaluate(&format!("a\n{long}\n"), "a\n0\n");
    check(&args, "list.txt:2");
    evaluate(&format!("a\n1\n1 2 3 {long} 5\n"), "a\n0\n");
    check(&args, "list.txt:3");
    evaluate(&format!("{bad}\n0\n"), "a\n0\n");
    check(&args, "\\u{202e}");
    fs::write(at.join("truth.json"), format!("{{\"images\": \"{long}\"}}")).unwrap();
    check(&["evaluate", "ap", "--ground-truth", "truth.json", "--detections", "truth.json"], "truth.json");
    assert!(output(at, &["new", "p"]).status.success());
    fs::write(at.join("round.toml"), format!("preset = \"{long}\"\n")).unwrap();
    picture(&at.join(format!("scenes/{bad}\nb.png")));
    picture(&at.join("scenes/c.png"));
    fs::write(at.join(format!("scenes/{bad}\nbroken.png")), "x").unwrap();
    check(&["import", "folder", "scenes", "--project", "p"], "");
    check(&["status", "--project", "p"], "");
}

#[test]
fn a_fifo_or_an_endless_file_keeps_no_command_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    assert!(output(at, &["new", "p"]).status.success());
    assert!(Command::new("mkfifo").arg(at.join("fifo")).status().unwrap().success());
    fs::create_dir_all(at.join("p/curves")).unwrap();
    for fifo in ["p/curves/a.json", "x_DiscROC.txt", "fifo.toml"] {
        assert!(Command::new("mkfifo").arg(at.join(fifo)).status().unwrap().success());
    }
    fs::write(at.join("list.txt"), "a\n0\n").unwrap();
    fs::write(at.join("sizes.tsv"), "a 9 9\n").unwrap();
    let check = |args: &[&str], expected: &str| {
        let output = output(at, args);
        let message = stderr(&output);
        assert!(output.status.code() == Some(1) && message.contains(expected), "{args:?}: {message}");
    };
    for other in ["fifo", "/dev/zero"] {
        let kind = if other == "fifo" { "FIFO" } else { "device" };
        check(&["evaluate", "ap", "--ground-truth", other, "--detections", "list.txt"], kind);
        for (annotations, detections, sizes) in
            [(other, "list.txt", "sizes.tsv"), ("list.txt", other, "sizes.tsv"), ("list.txt", "list.txt", other)]
        {
            let read = ["--annotations", annotations, "--detections", detections, "--sizes", sizes];
            check(&[&["evaluate", "fddb", "--out", "out"], &read[..]].concat(), kind);
        }
        check(&["weights", "import", other, "--as", "resnet18", "--models", "models"], kind);
    }
    check(&["import", "roc", "x_DiscROC.txt", "--project", "p"], "FIFO");
    fs::remove_file(at.join("p/project.toml")).unwrap();
    fs::rename(at.join("fifo"), at.join("p/project.toml")).unwrap();
    assert!(output(at, &["status", "--project", "p"]).status.success(), "the name in it is not needed");
}

#[test]
fn byte_order_marks_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let mark = "\u{feff}";
    let write = |name: &str, text: &str| fs::write(at.join(name), format!("{mark}{text}")).unwrap();
    write("list.txt", "a\n1\n5 4 0 10 10  1\n");
    write("names.txt", "a\n");
    write("dets.txt", "a\n1\n5 6 10 8 0.5\n");
    write("sizes.tsv", "a\t32\t24\n");
    let args = ["--annotations", "list.txt", "--detections", "dets.txt", "--sizes", "sizes.tsv", "--list", "names.txt"];
    let done = output(at, &[&["evaluate", "fddb", "--out", "out"], &args[..]].concat());
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(output(at, &["new", "p"]).status.success());
    write("Net_DiscROC.txt", "0.5 10\n0.7 20\n");
    let done = output(at, &["import", "roc", "Net_DiscROC.txt", "--project", "p"]);
    assert!(done.status.success(), "{}", stderr(&done));
    write("truth.json", r#"{"images": [{"id": 1}], "annotations": []}"#);
    write("found.json", "[]");
    let done = output(at, &["evaluate", "ap", "--ground-truth", "truth.json", "--detections", "found.json"]);
    assert!(done.status.success(), "{}", stderr(&done));
}
