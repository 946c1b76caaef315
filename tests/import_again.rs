//! Datasets that change between two imports, and images that two datasets hold, through the command line.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use serde_json::Value;

const FACE: &str = "12 8 1.5 20 22  1";

/// An FDDB folder in `dir`; `folds[k]` are the names in fold k + 1, each with one face.
fn fddb(dir: &Path, folds: &[&[&str]]) {
    fs::create_dir_all(dir.join("FDDB-folds")).unwrap();
    for (k, names) in folds.iter().enumerate() {
        let list: String = names.iter().map(|name| format!("{name}\n")).collect::<Vec<_>>().concat();
        let ellipses: String = names.iter().map(|name| format!("{name}\n1\n{FACE}\n")).collect::<Vec<_>>().concat();
        fs::write(dir.join(format!("FDDB-folds/FDDB-fold-{:02}.txt", k + 1)), list).unwrap();
        fs::write(dir.join(format!("FDDB-folds/FDDB-fold-{:02}-ellipseList.txt", k + 1)), ellipses).unwrap();
        for name in *names {
            let file = dir.join("originalPics").join(format!("{name}.jpg"));
            if !file.exists() {
                picture(&file, name);
            }
        }
    }
}

/// An image whose bytes only depend on `name`.
fn picture(file: &Path, name: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let seed = name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let pixels = RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 3 + seed) as u8, (y * 5) as u8, (seed >> 8) as u8]));
    pixels.save(file).unwrap();
}

struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Self { dir };
        project.quarry(&["new", project.path("p").to_str().unwrap()]);
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    #[allow(clippy::unused_self, reason = "reads as the project's own command")]
    fn quarry(&self, args: &[&str]) -> String {
        let output = Command::cargo_bin("quarry").unwrap().args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn import(&self, format: &str, folder: &str, more: &[&str]) -> String {
        let (folder, project) = (self.path(folder), self.path("p"));
        let fixed = ["import", format, folder.to_str().unwrap(), "--project", project.to_str().unwrap()];
        self.quarry(&[&fixed[..], more].concat())
    }

    fn import_json(&self, format: &str, folder: &str, more: &[&str]) -> Value {
        serde_json::from_str(&self.import(format, folder, &[&["--json"], more].concat())).unwrap()
    }

    fn status(&self) -> Value {
        let project = self.path("p");
        serde_json::from_str(&self.quarry(&["status", "--json", "--project", project.to_str().unwrap()])).unwrap()
    }
}

fn counts(report: &Value) -> [u64; 6] {
    ["added", "removed", "changed", "moved", "returned", "unchanged"].map(|key| report[key].as_u64().unwrap())
}

#[test]
fn a_changed_fddb_folder_is_the_same_dataset() {
    let p = Project::new();
    fddb(&p.path("FDDB"), &[&["a/1", "a/2"], &["b/3", "b/4"]]);
    assert_eq!(counts(&p.import_json("fddb", "FDDB", &[])), [4, 0, 0, 0, 0, 0]);
    assert_eq!(counts(&p.import_json("fddb", "FDDB", &[])), [0, 0, 0, 0, 0, 4]);

    fs::remove_dir_all(p.path("FDDB/FDDB-folds")).unwrap();
    fs::remove_file(p.path("FDDB/originalPics/a/2.jpg")).unwrap();
    fddb(&p.path("FDDB"), &[&["a/1"], &["b/3", "b/4"]]);
    let would = p.import("fddb", "FDDB", &["--dry-run"]);
    assert!(would.starts_with("Would update") && would.contains("1 removed") && would.contains("a/2"), "{would}");
    assert_eq!(p.status()["datasets"][0]["images"], 4, "a dry run writes nothing");
    let report = p.import_json("fddb", "FDDB", &[]);
    assert_eq!((counts(&report), &report["names"]["removed"][0]), ([0, 1, 0, 0, 0, 3], &Value::from("a/2")));
    let status = p.status();
    assert_eq!(status["datasets"].as_array().unwrap().len(), 1);
    let dataset = &status["datasets"][0];
    assert_eq!((&dataset["images"], &dataset["faces"], &dataset["removed"]), (&3.into(), &3.into(), &1.into()));
    let shown = p.quarry(&["status", "--project", p.path("p").to_str().unwrap()]);
    assert!(shown.contains("1 image was removed: kept with its verdicts"), "{shown}");

    // A copy elsewhere with the image again, a renamed one, one with other bytes, one in another fold and a new one.
    fs::remove_dir_all(p.path("FDDB/FDDB-folds")).unwrap();
    fs::rename(p.path("FDDB/originalPics/a/1.jpg"), p.path("FDDB/originalPics/a/one.jpg")).unwrap();
    picture(&p.path("FDDB/originalPics/b/3.jpg"), "other bytes");
    fddb(&p.path("FDDB"), &[&["a/one", "a/2", "b/4", "new"], &["b/3"]]);
    fs::rename(p.path("FDDB"), p.path("moved")).unwrap();
    let report = p.import_json("fddb", "moved", &[]);
    assert_eq!(p.status()["datasets"].as_array().unwrap().len(), 2, "less than half of the bytes are the same");
    assert_eq!(report["same_bytes"], 2, "so the copies are told: {report}");
}

#[test]
fn an_updated_folder_counts_every_kind_of_change() {
    let p = Project::new();
    fddb(&p.path("FDDB"), &[&["a/1", "a/2", "a/5"], &["b/3", "b/4", "b/6"]]);
    p.import("fddb", "FDDB", &[]);
    fs::remove_dir_all(p.path("FDDB/FDDB-folds")).unwrap();
    fs::rename(p.path("FDDB/originalPics/a/1.jpg"), p.path("FDDB/originalPics/a/one.jpg")).unwrap();
    picture(&p.path("FDDB/originalPics/b/3.jpg"), "other bytes");
    fs::remove_file(p.path("FDDB/originalPics/a/5.jpg")).unwrap();
    fddb(&p.path("FDDB"), &[&["a/one", "a/2", "b/4", "new"], &["b/3", "b/6"]]);
    let report = p.import_json("fddb", "FDDB", &[]);
    // Changed: other bytes, and another fold.
    assert_eq!(counts(&report), [1, 1, 2, 1, 0, 2], "{report}");
    assert_eq!(report["names"]["moved"][0], serde_json::json!(["a/1", "a/one"]));
    // A listed but missing image is not removed, even if the whole folder was moved.
    fs::rename(p.path("FDDB/originalPics/a/2.jpg"), p.path("away.jpg")).unwrap();
    fs::rename(p.path("FDDB"), p.path("elsewhere")).unwrap();
    let report = p.import_json("fddb", "elsewhere", &[]);
    assert_eq!((counts(&report), &report["kept_unread"]), ([0, 0, 0, 0, 0, 5], &1.into()), "{report}");
    let status = p.status();
    assert_eq!((&status["datasets"][0]["images"], &status["datasets"][0]["removed"]), (&6.into(), &1.into()));
    assert!(status["datasets"][0]["root"].as_str().unwrap().ends_with("elsewhere"));
}

#[test]
fn the_same_pictures_in_two_datasets_are_told_in_either_order() {
    for formats in
        [[("fddb", "FDDB"), ("folder", "FDDB/originalPics")], [("folder", "FDDB/originalPics"), ("fddb", "FDDB")]]
    {
        let p = Project::new();
        fddb(&p.path("FDDB"), &[&["a/1", "a/2"], &["b/3"]]);
        picture(&p.path("FDDB/originalPics/only_here.jpg"), "only here");
        let first = p.import_json(formats[0].0, formats[0].1, &[]);
        assert_eq!(first["same_bytes"], 0);
        let told = p.import(formats[1].0, formats[1].1, &["--dry-run"]);
        assert!(told.contains("3 images have the same bytes as images of other datasets"), "{told}");
        assert!(told.contains("a/1") && told.contains("the annotated one counts"), "{told}");
        let second = p.import_json(formats[1].0, formats[1].1, &[]);
        assert_eq!((&second["same_bytes"], second["names"]["same_bytes"].as_array().unwrap().len()), (&3.into(), 3));
        let status = p.status();
        for dataset in status["datasets"].as_array().unwrap() {
            let unused = if dataset["kind"] == "folder" { 3 } else { 0 };
            assert_eq!(dataset["copies"], unused, "the annotated copies count: {status}");
        }
    }
}
