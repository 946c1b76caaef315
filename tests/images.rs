//! Image files on the command line: huge ones, hidden ones, oddly named ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// Runs `quarry` with at most 2 GB of address space, so that no allocation by a claimed size succeeds.
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

/// Returns the names in a list of pairs in a summary.
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
    for part in ["200000 x 200000 pixels: 40000 megapixels", "100000 x 100000", "limit of 256", "--max-megapixels"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The option raises the limit, and the project stores it.
    let raised = json(&["import", "folder", i, "--project", p, "--json", "--max-megapixels", "400"]);
    assert_eq!(names(&raised, "unreadable"), ["bomb.png", "bomb.ppm"]);
    let again = json(&["import", "folder", i, "--project", p, "--json", "--dry-run"]);
    assert_eq!(names(&again, "unreadable"), ["bomb.png", "bomb.ppm"]);
    let refused = quarry(&["status", "--project", p, "--max-megapixels", "0"]).code(2);
    assert!(stderr(&refused).contains("1..=10000"), "{}", stderr(&refused));
}

/// An FDDB dataset with one fold.
fn write_fddb(dir: &Path, names: &str, ellipses: &str) {
    let folds = dir.join("FDDB-folds");
    std::fs::create_dir_all(&folds).unwrap();
    std::fs::write(folds.join("FDDB-fold-01.txt"), names).unwrap();
    std::fs::write(folds.join("FDDB-fold-01-ellipseList.txt"), ellipses).unwrap();
}

#[test]
fn the_walk_passes_over_hidden_files_and_goes_round_no_loop() {
    let dir = tempfile::tempdir().unwrap();
    let (project, images) = (dir.path().join("p"), dir.path().join("images"));
    let (p, i) = (project.to_str().unwrap(), images.to_str().unwrap());
    for (k, name) in
        ["a.png", "sub/b.png", "._a.png", ".thumbs/a.png", "__MACOSX/a.png", "sub/@eaDir/b.png"].iter().enumerate()
    {
        picture(&images.join(name), 10 * (k as u8 + 1));
    }
    std::fs::create_dir(images.join("folder.jpg")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&images, images.join("sub/round")).unwrap();
    quarry(&["new", p]).success();
    let summary = json(&["import", "folder", i, "--project", p, "--json"]);
    assert_eq!((&summary["images"], names(&summary, "unreadable").len()), (&2.into(), 0), "{summary}");
}

#[cfg(unix)]
/// Such a link leads to the whole disk.
#[cfg(unix)]
#[test]
fn a_link_to_a_folder_around_the_dataset_is_told_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (project, images) = (dir.path().join("p"), dir.path().join("images"));
    let (p, i) = (project.to_str().unwrap(), images.to_str().unwrap());
    picture(&images.join("sub/a.png"), 10);
    picture(&dir.path().join("private/b.png"), 20);
    picture(&dir.path().join("beside/c.png"), 30);
    std::os::unix::fs::symlink("../..", images.join("sub/up")).unwrap();
    std::os::unix::fs::symlink("/", images.join("disk")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("beside"), images.join("linked")).unwrap();
    quarry(&["new", p]).success();
    let summary = json(&["import", "folder", i, "--project", p, "--json"]);
    let told = names(&summary, "unreadable");
    assert_eq!((&summary["images"], told.len()), (&2.into(), 2), "{summary}");
    assert!(["sub/up", "disk"].iter().all(|link| told.iter().any(|name| name.contains(link))), "{told:?}");
}

#[test]
fn a_folder_that_cannot_be_listed_is_told_and_the_rest_is_taken() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (project, images) = (dir.path().join("p"), dir.path().join("images"));
    picture(&images.join("a.png"), 50);
    let closed = images.join("closed");
    picture(&closed.join("b.png"), 60);
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read_dir(&closed).is_ok() {
        eprintln!("SKIPPED: this user may list every folder");
        return;
    }
    let p = project.to_str().unwrap();
    quarry(&["new", p]).success();
    let summary = json(&["import", "folder", images.to_str().unwrap(), "--project", p, "--json"]);
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        (&summary["images"], names(&summary, "unreadable")),
        (&1.into(), vec!["closed".to_owned()]),
        "{summary}"
    );
}

#[test]
fn import_and_evaluation_find_the_same_files_and_take_names_of_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (project, data) = (dir.path().join("p"), dir.path().join("fddb"));
    let p = project.to_str().unwrap();
    let list = ["a/1", "2024 05 17 093012", "2024 05 17 09 30 12", "7", "scan.1", "scan"];
    for (k, name) in list.iter().enumerate() {
        let extension = ["JPG", "png", "jpg", "PNG", "jpg", "jpg"][k];
        picture(&data.join("originalPics").join(format!("{name}.{extension}")), 10 + 9 * k as u8);
    }
    let ellipses: String =
        list.iter().map(|name| format!("{name}\n1\n12 8 1.4 20 20  1\n")).collect::<Vec<_>>().concat();
    write_fddb(&data, &format!("{}\n", list.join("\n")), &ellipses);
    quarry(&["new", p]).success();
    let summary = json(&["import", "fddb", data.to_str().unwrap(), "--project", p, "--json"]);
    assert_eq!(
        (&summary["images"], &summary["faces"], &summary["missing"]),
        (&6.into(), &6.into(), &serde_json::json!([]))
    );
    let found = dir.path().join("found.txt");
    let detections = |extension: &str| -> String {
        list.iter().map(|name| format!("{name}{extension}\n1\n12 8 1.4 20 20 0.9\n")).collect::<Vec<_>>().concat()
    };
    let root = data.join("originalPics");
    let annotations = data.join("FDDB-folds/FDDB-fold-01-ellipseList.txt");
    let lists = data.join("FDDB-folds/FDDB-fold-01.txt");
    for (k, extension) in ["", ".jpg"].iter().enumerate() {
        std::fs::write(&found, detections(extension)).unwrap();
        let out = dir.path().join(format!("out{k}"));
        let paths = [&annotations, &found, &root, &lists, &out].map(|path| path.to_str().unwrap().to_owned());
        let [annotations, found, root, list, out] = &paths;
        let report = json(&[
            "evaluate",
            "fddb",
            "--annotations",
            annotations,
            "--detections",
            found,
            "--images-root",
            root,
            "--list",
            list,
            "--out",
            out,
            "--json",
        ]);
        assert_eq!((&report["images"], &report["faces"]), (&6.into(), &6.into()));
        assert_eq!(report["pooled"][0]["discrete"], 1.0, "{report}");
    }
}

#[test]
fn shapes_that_cannot_be_objects_are_counted_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (project, data) = (dir.path().join("p"), dir.path().join("fddb"));
    let p = project.to_str().unwrap();
    picture(&data.join("originalPics/a/1.jpg"), 70);
    let faces = ["12 8 1.4 20 20", "12 8 1.4 500 20", "0.01 0.01 0 20 20", "1e308 8 1.4 20 20", "12 8 1.4 -3 20"];
    let lines: String = faces.iter().map(|face| format!("{face}  1\n")).collect::<Vec<_>>().concat();
    write_fddb(&data, "a/1\n", &format!("a/1\n{}\n{lines}", faces.len()));
    quarry(&["new", p]).success();
    let summary = json(&["import", "fddb", data.to_str().unwrap(), "--project", p, "--json"]);
    assert_eq!((&summary["faces"], names(&summary, "shapes")), (&2.into(), vec!["a/1".to_owned(); 3]), "{summary}");
    let text = quarry(&["import", "fddb", data.to_str().unwrap(), "--project", p, "--dry-run"]).success();
    let text = String::from_utf8_lossy(&text.get_output().stdout).into_owned();
    assert!(
        text.contains("3 objects left out because of their shape: a/1 (it is outside its image of 64 x 48"),
        "{text}"
    );
    assert_eq!(json(&["status", "--project", p, "--json"])["datasets"][0]["faces"], 2);
}

/// Two folders with a `1.jpg` each, as COCO: Quarry reads what it writes.
#[test]
fn an_export_with_equal_names_can_be_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("p");
    let p = project.to_str().unwrap();
    quarry(&["new", p]).success();
    for (k, folder) in ["one", "two"].iter().enumerate() {
        let folder = dir.path().join(folder);
        picture(&folder.join("1.jpg"), 40 + 90 * k as u8);
        quarry(&["import", "folder", folder.to_str().unwrap(), "--project", p]).success();
    }
    let (truth, found) = (dir.path().join("truth.json"), dir.path().join("found.json"));
    let [t, f] = [&truth, &found].map(|path| path.to_str().unwrap());
    quarry(&["export", "ground-truth", "--format", "coco", "--out", t, "--project", p]).success();
    std::fs::write(&found, r#"[{"image_id": 2, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 0.5}]"#).unwrap();
    let report = json(&["evaluate", "ap", "--ground-truth", t, "--detections", f, "--json"]);
    assert_eq!((&report["images"], &report["detections"]), (&2.into(), &1.into()), "{report}");
}

#[cfg(unix)]
#[test]
fn paths_that_are_not_utf8_work_or_are_refused_clearly() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&odd).unwrap();
    let project = odd.join("p");
    let (images, oddly) = (dir.path().join("images"), odd.join("images"));
    picture(&images.join("a.png"), 50);
    picture(&oddly.join("b.png"), 60);
    std::fs::copy(images.join("a.png"), images.join(OsStr::from_bytes(b"\xff.png"))).unwrap();
    let run = |args: &[&OsStr]| Command::cargo_bin("quarry").unwrap().args(args).assert();
    let word = OsStr::new;
    let shown = |assert: &assert_cmd::assert::Assert| {
        let output = assert.get_output();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let p = project.as_os_str();
    let made = run(&[word("new"), p, word("--json")]).success();
    assert!(shown(&made).contains("caf\u{fffd}/p"), "{}", shown(&made));
    let import = [word("import"), word("folder"), images.as_os_str(), word("--project"), p, word("--json")];
    let summary: Value = serde_json::from_slice(&run(&import).success().get_output().stdout).unwrap();
    assert_eq!(
        (&summary["images"], names(&summary, "unreadable")),
        (&1.into(), vec!["\u{fffd}.png".to_owned()]),
        "{summary}"
    );
    run(&[word("status"), word("--project"), p, word("--json")]).success();
    let out = odd.join(OsStr::from_bytes(b"v\xe9rit\xe9.json"));
    let exported = run(&[
        word("export"),
        word("ground-truth"),
        word("--format"),
        word("coco"),
        word("--out"),
        out.as_os_str(),
        word("--project"),
        p,
        word("--json"),
    ]);
    assert!(
        exported.get_output().status.code() != Some(101) && (out.is_file() || shown(&exported).contains("UTF-8")),
        "{}",
        shown(&exported)
    );
    let refused = run(&[word("import"), word("folder"), oddly.as_os_str(), word("--project"), p]).code(1);
    assert!(shown(&refused).contains("is not a UTF-8 path; rename the folder"), "{}", shown(&refused));
    let list = dir.path().join(OsStr::from_bytes(b"l\xe9.txt"));
    std::fs::write(&list, "a/1\n1\n12 8 1.4 20 20 0.9\n").unwrap();
    let sizes = dir.path().join("sizes.tsv");
    std::fs::write(&sizes, "a/1\t64\t48\n").unwrap();
    let evaluated = run(&[
        word("evaluate"),
        word("fddb"),
        word("--annotations"),
        list.as_os_str(),
        word("--detections"),
        list.as_os_str(),
        word("--sizes"),
        sizes.as_os_str(),
        word("--out"),
        odd.join("curves").as_os_str(),
        word("--json"),
    ])
    .success();
    assert!(shown(&evaluated).contains("caf\u{fffd}/curves/DiscROC.txt"), "{}", shown(&evaluated));
}
