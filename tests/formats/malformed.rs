//! Malformed annotation files of every format with their messages: `expected.txt` next to them has a line for each file. Nothing panics,
//! and every message names the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quarry::dataset::formats::ReadOptions;

use crate::support::{Set, bad};

fn folder(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats").join(format)
}

/// A valid dataset except for the file `name`; returns the file's path in it, and what is imported.
fn place(format: &str, name: &str) -> (Set, &'static str, &'static str) {
    let set = match format {
        "yolo" => Set::new(&["images/a.png", "images/b.png"]),
        "voc" => Set::new(&["JPEGImages/a.png", "JPEGImages/b.png"]),
        "wider" => Set::new(&["WIDER_train/images/a.png", "WIDER_train/images/b.png"]),
        "fddb" => Set::new(&["originalPics/a/1.jpg", "originalPics/a/2.jpg"]),
        _ => Set::new(&["a.png", "b.png"]),
    };
    let (file, imported) = match (format, name) {
        ("coco", _) => ("instances.json", "instances.json"),
        ("yolo", name) if name.starts_with("yaml") => ("data.yaml", "data.yaml"),
        ("yolo", name) if name.starts_with("list") => {
            set.write("data.yaml", "train: list.txt\nnames: [car]\n");
            ("list.txt", "")
        }
        ("yolo", _) => {
            set.write("data.yaml", "train: images\nnames: [car]\n");
            ("labels/a.txt", "")
        }
        ("voc", name) if name.starts_with("set") => {
            set.write("Annotations/a.xml", "<annotation><filename>a.png</filename></annotation>");
            ("ImageSets/Main/train.txt", "")
        }
        ("voc", _) => ("Annotations/a.xml", ""),
        ("wider", _) => ("wider_face_split/wider_face_train_bbx_gt.txt", ""),
        ("cvat", _) => ("annotations.xml", "annotations.xml"),
        ("label-studio", _) => ("tasks.json", "tasks.json"),
        ("labelme", _) => ("a.json", ""),
        ("fddb", _) => {
            set.write("FDDB-folds/FDDB-fold-01.txt", "a/1\na/2\n");
            ("FDDB-folds/FDDB-fold-01-ellipseList.txt", "")
        }
        other => panic!("{other:?}"),
    };
    (set, file, imported)
}

/// Returns what the import reports about the file: an error, bad records, or names of missing images.
fn message(format: &str, name: &str) -> String {
    let (set, file, imported) = place(format, name);
    set.write(file, std::fs::read(folder(format).join("bad").join(name)).unwrap());
    match set.read_with(format, imported, &ReadOptions::default()) {
        Err(error) => {
            let root = set.path("").canonicalize().unwrap();
            let said = error.to_string().replace(&format!("{}/", root.display()), "");
            said.replace(&root.display().to_string(), "ROOT")
        }
        Ok(dataset) => {
            let missing = dataset.summary.missing.iter().map(|name| format!("missing: {name}"));
            bad(&dataset).into_iter().chain(missing).collect::<Vec<_>>().join(" | ")
        }
    }
}

#[test]
fn every_malformed_file_gives_its_message() {
    let mut wrong = Vec::new();
    for format in ["coco", "yolo", "voc", "wider", "cvat", "label-studio", "labelme", "fddb"] {
        let table = folder(format).join("expected.txt");
        let text = std::fs::read_to_string(&table).unwrap_or_default();
        let expected: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(": ")).collect();
        let files = std::fs::read_dir(folder(format).join("bad")).unwrap();
        let mut names: Vec<String> =
            files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        assert!(names.len() >= 20, "{format} has only {} malformed files", names.len());
        let found: Vec<(String, String)> =
            names.into_iter().map(|name| (name.clone(), message(format, &name))).collect();
        if std::env::var_os("QUARRY_WRITE_EXPECTED").is_some() {
            let lines: Vec<String> = found.iter().map(|(name, message)| format!("{name}: {message}\n")).collect();
            std::fs::write(&table, lines.concat()).unwrap();
        }
        for (name, message) in found {
            if message.is_empty() || expected.get(name.as_str()).is_none_or(|expected| *expected != message) {
                wrong.push(format!("{format}/{name}: {message}"));
            }
        }
    }
    assert!(wrong.is_empty(), "not as in expected.txt:\n{}", wrong.join("\n"));
}

/// Images outside the dataset's folder are not read, however a file names them, including links in the folder.
#[test]
fn no_format_reads_an_image_outside_of_the_datasets_folder() {
    let outside = tempfile::tempdir().unwrap();
    let secret = Set::new(&["secret.png"]);
    std::fs::copy(secret.path("secret.png"), outside.path().join("secret.png")).unwrap();
    let absolute = outside.path().join("secret.png").to_str().unwrap().to_owned();
    let up = format!("{}{absolute}", "../".repeat(12).trim_end_matches('/'));
    for format in ["coco", "yolo", "voc", "wider", "cvat", "label-studio", "labelme"] {
        for name in [absolute.as_str(), up.as_str(), "link.png"] {
            // A list, so that YOLO names images too.
            let (set, file, imported) = place(format, if format == "yolo" { "list.txt" } else { "x" });
            for folder in ["", "images", "JPEGImages", "WIDER_train/images"] {
                let folder = set.path(folder);
                #[cfg(unix)]
                if folder.is_dir() {
                    let _ = std::os::unix::fs::symlink(&absolute, folder.join("link.png"));
                }
            }
            let text = match format {
                "coco" => format!(
                    r#"{{"images": [{{"id": 1, "file_name": "{name}"}}], "annotations": [], "categories": []}}"#
                ),
                "yolo" if name == "link.png" => "images/link.png\n".to_owned(),
                "yolo" => format!("{name}\n"),
                "voc" => format!("<annotation><filename>{name}</filename></annotation>"),
                "wider" => format!("{name}\n1\n1 1 9 9 0 0 0 0 0 0\n"),
                "cvat" => format!(
                    r#"<annotations><image id="0" name="{name}" width="100" height="80"></image></annotations>"#
                ),
                "label-studio" => format!(r#"[{{"id": 1, "data": {{"image": "{name}"}}, "annotations": []}}]"#),
                _ => format!(r#"{{"version": "5.0.1", "flags": {{}}, "shapes": [], "imagePath": "{name}"}}"#),
            };
            set.write(file, text);
            if let Ok(dataset) = set.read_with(format, imported, &ReadOptions::default()) {
                let read: Vec<_> = dataset.images.iter().map(|image| dataset.root.join(&image.path)).collect();
                let root = set.path("").canonicalize().unwrap();
                let is_inside = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path.starts_with(&root));
                assert!(read.iter().all(is_inside), "{format}, {name}: {read:?}");
            }
        }
    }
}
