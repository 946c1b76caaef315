//! Image files as the command line meets them: huge ones, hidden ones, oddly named ones. Knows only the binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// Runs `quarry` with at most 2 GB of address space, so that no allocation by a header's word goes through.
fn quarry(args: &[&str]) -> assert_cmd::assert::Assert {
    let program = assert_cmd::cargo::cargo_bin("quarry");
    Command::new("sh").args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\""]).arg(program).args(args).assert()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_slice(&quarry(args).success().get_output().stdout).unwrap()
}

fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

fn picture(path: &Path, shade: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::GrayImage::from_pixel(64, 48, image::Luma([shade])).save(path).unwrap();
}

/// Names of a list of pairs in a summary.
fn names(summary: &Value, key: &str) -> Vec<String> {
    summary[key].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_import_lists_images_that_claim_to_be_huge_and_takes_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (project, images) = (dir.path().join("p"), dir.path().join("images"));
    let (p, i) = (project.to_str().unwrap(), images.to_str().unwrap());
    picture(&images.join("good.png"), 90);
    std::fs::write(images.join("bomb.ppm"), b"P6 100000 100000 255\n\0\0").unwrap();
    std::fs::write(images.join("bomb.pgm"), b"P2\n20000 20000\n255\n1").unwrap();
    let mut png = std::fs::read(images.join("good.png")).unwrap();
    png[16..24].copy_from_slice(&[0, 3, 13, 64, 0, 3, 13, 64]);
    std::fs::write(images.join("bomb.png"), png).unwrap();
    quarry(&["new", p]).success();
    let summary = json(&["import", "folder", i, "--project", p, "--json"]);
    assert_eq!(summary["images"], 1);
    assert_eq!(names(&summary, "unreadable"), ["bomb.pgm", "bomb.png", "bomb.ppm"]);
    let text = summary.to_string();
    for part in
        ["200000 x 200000 pixels, which is 40000 megapixels", "100000 x 100000", "limit of 256", "--max-megapixels"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The option raises the limit, and the project remembers it.
    let raised = json(&["import", "folder", i, "--project", p, "--json", "--max-megapixels", "400"]);
    assert_eq!(names(&raised, "unreadable"), ["bomb.png", "bomb.ppm"]);
    let again = json(&["import", "folder", i, "--project", p, "--json", "--dry-run"]);
    assert_eq!(names(&again, "unreadable"), ["bomb.png", "bomb.ppm"]);
    let refused = quarry(&["status", "--project", p, "--max-megapixels", "0"]).code(2);
    assert!(stderr(&refused).contains("1..=10000"), "{}", stderr(&refused));
}
