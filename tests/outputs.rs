//! What the command line may write: no output replaces an input, a file of a dataset or of a project, or any other file without `--force`.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A project `p` with an FDDB dataset `fddb`, a detections file and an unrelated file.
struct Scene {
    dir: tempfile::TempDir,
}

const LIST: &str = "fddb/FDDB-folds/FDDB-fold-01-ellipseList.txt";

impl Scene {
    fn new() -> Self {
        let scene = Self { dir: tempfile::tempdir().unwrap() };
        let folds = scene.at("fddb/FDDB-folds");
        std::fs::create_dir_all(&folds).unwrap();
        std::fs::create_dir_all(scene.at("fddb/originalPics")).unwrap();
        for (name, shade) in [("one", 40), ("two", 200)] {
            let pixels = image::GrayImage::from_pixel(64, 48, image::Luma([shade]));
            pixels.save(scene.at(&format!("fddb/originalPics/{name}.jpg"))).unwrap();
        }
        scene.write("fddb/FDDB-folds/FDDB-fold-01.txt", "one\ntwo\n");
        scene.write(LIST, "one\n1\n12 8 1.4 20 20  1\ntwo\n0\n");
        scene.write("dets.txt", "one\n1\n10 5 20 25 0.9\ntwo\n0\n");
        scene.write("mine.txt", "somebody's own\n");
        scene.run(&["new", "p"]).success();
        scene.run(&["import", "fddb", "fddb", "--project", "p"]).success();
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        Command::cargo_bin("quarry").unwrap().current_dir(self.dir.path()).args(args).assert()
    }

    /// Returns every file below the folder with its content, except the database, whose WAL changes with every access.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut files, mut folders) = (BTreeMap::new(), vec![self.dir.path().to_path_buf()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let is_database = path.file_name().unwrap().to_string_lossy().starts_with("quarry.db");
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else if path.is_file() && !is_database {
                    files.insert(path.clone(), std::fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    /// Both with and without `--force`: exit code 1, these words, and no file has changed afterwards.
    fn refused(&self, args: &[&str], expected: &[&str]) {
        let before = self.files();
        for args in [args.to_vec(), [args, &["--force"]].concat()] {
            let failed = self.run(&args).code(1);
            let message = stderr(&failed);
            assert!(expected.iter().all(|part| message.contains(part)), "{args:?}: {message}");
            assert!(self.files() == before, "{args:?} changed a file: {message}");
        }
    }

    /// Without `--force` as above; with it the files are replaced.
    fn replaced_with_force(&self, args: &[&str], file: &str) {
        let before = self.files();
        let message = stderr(&self.run(args).code(1));
        assert!(message.contains(file) && message.contains("--force"), "{args:?}: {message}");
        assert!(self.files() == before, "{args:?} changed a file: {message}");
        self.run(&[args, &["--force"]].concat()).success();
        assert_ne!(std::fs::read(self.at(file)).unwrap(), before[&self.at(file)], "{args:?}");
    }
}

fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

fn export<'a>(format: &'a str, out: &'a str) -> [&'a str; 8] {
    ["export", "ground-truth", "--project", "p", "--format", format, "--out", out]
}

#[test]
fn exports_keep_off_datasets_projects_and_what_is_not_a_file() {
    let scene = Scene::new();
    scene.refused(&export("fddb", LIST), &["FDDB-fold-01-ellipseList.txt", "dataset", "fddb"]);
    scene.refused(&export("coco", "fddb/new/deep.json"), &["deep.json", "dataset"]);
    scene.refused(&export("coco", "fddb/originalPics/one.jpg"), &["one.jpg", "dataset"]);
    scene.refused(&export("coco", "p/quarry.db"), &["quarry.db", "project"]);
    scene.refused(&export("coco", "p/quarry.db-journal"), &["quarry.db-journal", "project"]);
    scene.refused(&export("coco", "p/runs/x.json"), &["x.json", "project"]);
    scene.refused(&export("coco", "p/curves/x.json"), &["x.json", "project"]);
    scene.refused(&export("coco", "p/backups/x.json"), &["x.json", "project"]);
    scene.refused(&export("coco", "p"), &["folder"]);
    scene.refused(&export("coco", "gone/x.json"), &["gone"]);
    scene.refused(&["verdicts", "export", "p/project.toml", "--project", "p"], &["project.toml"]);
    scene.refused(&["verdicts", "export", "fddb/v.jsonl", "--project", "p"], &["v.jsonl", "dataset"]);
    scene.run(&export("coco", "p/faces.json")).success();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(scene.at("fddb"), scene.at("link")).unwrap();
        symlink(scene.at("mine.txt"), scene.at("link.txt")).unwrap();
        symlink(scene.at("p"), scene.at("q")).unwrap();
        scene.refused(&export("coco", "link/x.json"), &["link/x.json", "dataset"]);
        scene.refused(&export("coco", "link.txt"), &["link.txt", "mine.txt"]);
        scene.refused(&export("coco", "q/quarry.db"), &["quarry.db", "project"]);
        scene.refused(&export("coco", "/dev/null"), &["/dev/null", "device"]);
        scene.refused(&export("coco", "/dev/stdout"), &["/dev/stdout", "link"]);
        make_fifo(&scene.at("fifo"));
        scene.refused(&export("coco", "fifo"), &["FIFO"]);
    }
}

/// Nothing is written where links in a dataset lead; results may be next to a single linked file.
#[cfg(unix)]
#[test]
fn exports_keep_off_what_links_in_a_dataset_lead_to() {
    use std::os::unix::fs::symlink;
    let scene = Scene::new();
    for (name, shade) in [("far/a/x.png", 10), ("far/a/deep/y.png", 20), ("lone/z.png", 30), ("lone/w.png", 40)] {
        picture(&scene.at(name), shade);
    }
    std::fs::create_dir_all(scene.at("set/own")).unwrap();
    picture(&scene.at("set/own/v.png"), 50);
    symlink(scene.at("far/a"), scene.at("set/linked")).unwrap();
    symlink(scene.at("lone/z.png"), scene.at("set/own/z.png")).unwrap();
    scene.run(&["new", "q"]).success();
    scene.run(&["import", "folder", "set", "--project", "q"]).success();
    let export = |out| ["export", "ground-truth", "--project", "q", "--format", "coco", "--out", out];
    for out in ["far/a/new.json", "far/a/x.png", "far/a/deep/new.json", "far/a/new/new.json", "set/linked/new.json"] {
        scene.refused(&export(out), &[out.rsplit('/').next().unwrap(), "only reads"]);
    }
    scene.refused(&export("lone/z.png"), &["lone/z.png", "set/own/z.png", "which is an input"]);
    let crops = ["export", "crops", "--project", "q", "--out", "far/a/crops"];
    scene.refused(&crops, &["far/a", "only reads"]);
    for out in ["far/new.json", "lone/new.json"] {
        scene.run(&export(out)).success();
    }
    scene.replaced_with_force(&export("lone/w.png"), "lone/w.png");
}

#[test]
fn other_files_are_replaced_with_force_only() {
    let scene = Scene::new();
    scene.replaced_with_force(&export("coco", "mine.txt"), "mine.txt");
    scene.write("mine.sources.csv", "somebody's own\n");
    std::fs::remove_file(scene.at("mine.txt")).unwrap();
    scene.replaced_with_force(&export("fddb", "mine.txt"), "mine.sources.csv");
    scene.replaced_with_force(&["verdicts", "export", "mine.txt", "--project", "p"], "mine.txt");
    std::fs::create_dir(scene.at("results")).unwrap();
    scene.write("results/curves.csv", "somebody's own\n");
    scene.replaced_with_force(&evaluate("results"), "results/curves.csv");
}

fn evaluate(out: &str) -> [&str; 10] {
    evaluate_with(LIST, "dets.txt", out)
}

fn evaluate_with<'a>(annotations: &'a str, detections: &'a str, out: &'a str) -> [&'a str; 10] {
    let images = ["--images-root", "fddb/originalPics"];
    ["evaluate", "fddb", "--annotations", annotations, "--detections", detections, images[0], images[1], "--out", out]
}

#[test]
fn an_evaluation_keeps_off_what_it_reads() {
    let scene = Scene::new();
    scene.refused(&evaluate("fddb/originalPics/results"), &["originalPics", "images"]);
    scene.refused(&evaluate("fddb/FDDB-folds"), &["FDDB-folds"]);
    scene.refused(&evaluate("p/runs/1"), &["project"]);
    scene.refused(&evaluate("mine.txt"), &["mine.txt", "found a file"]);
    // An input with the name of a result, and a result that is a hard link to an input.
    std::fs::create_dir(scene.at("results")).unwrap();
    std::fs::copy(scene.at("dets.txt"), scene.at("results/DiscROC.txt")).unwrap();
    let mut args = evaluate("results");
    args[5] = "results/DiscROC.txt";
    scene.refused(&args, &["DiscROC.txt", "input"]);
    std::fs::rename(scene.at("results/DiscROC.txt"), scene.at("results/curves.csv")).unwrap();
    std::fs::hard_link(scene.at("results/curves.csv"), scene.at("linked.txt")).unwrap();
    args[5] = "linked.txt";
    scene.refused(&args, &["curves.csv", "linked.txt", "input"]);
    scene.run(&evaluate("new/results")).success();
    assert!(scene.at("new/results/summary.json").is_file());
}

#[cfg(feature = "torch")]
#[test]
fn detections_keep_off_their_list_their_images_and_the_checkpoint() {
    let scene = Scene::new();
    let detect = |images: &str, out: &str, expected: &[&str]| {
        let args = ["detect", "--checkpoint", "model.safetensors", "--images", images, "--out", out];
        scene.refused(&args, expected);
    };
    scene.write("model.safetensors", "x");
    scene.write("list.txt", "fddb/originalPics/one\n");
    detect("list.txt", "list.txt", &["list.txt", "input"]);
    detect("list.txt", "model.safetensors", &["model.safetensors", "input"]);
    detect("list.txt", "fddb/originalPics/one.jpg", &["one.jpg", "input"]);
    detect("fddb/originalPics", "fddb/originalPics/dets.txt", &["dets.txt", "originalPics"]);
    detect("list.txt", "p/quarry.db", &["quarry.db", "project"]);
    scene.write("names.txt", "originalPics/one\n");
    let with_root = ["--images", "names.txt", "--root", "fddb", "--out", "fddb/dets.txt"];
    scene.refused(&[&["detect", "--checkpoint", "model.safetensors"], &with_root[..]].concat(), &["fddb", "images"]);
    // A checkpoint in a project: its dataset is protected too.
    std::fs::create_dir_all(scene.at("p/runs/1")).unwrap();
    scene.write("p/runs/1/model.safetensors", "x");
    let in_project = ["--checkpoint", "p/runs/1", "--images", "list.txt", "--out", "fddb/dets.txt"];
    scene.refused(&[&["detect"], &in_project[..]].concat(), &["fddb", "dataset"]);
}

/// Without a project that knows which folders are datasets: every command that takes a folder or a list of images, with a path that it must
/// not write to, and an allowed one next to its input. Only `detect` would need a model to continue.
#[test]
fn a_folder_that_is_read_is_not_written_into() {
    let scene = Scene::new();
    for name in ["scenes/a.png", "scenes/sub/b.png", "lists/c.png", "far/away/d.png"] {
        picture(&scene.at(name), 90);
    }
    scene.write("lists/near.txt", "c\n");
    scene.write("lists/both.txt", &format!("c\n{}\n", scene.at("far/away/d.png").display()));
    scene.write("lists/relative.txt", "../far/away/d.png\n");
    scene.write("model.safetensors", "x");
    std::fs::create_dir_all(scene.at("round/checkpoints")).unwrap();
    std::fs::create_dir(scene.at("shards")).unwrap();
    let detect = "detect --checkpoint model.safetensors --images";
    std::fs::create_dir_all(scene.at("folds/FDDB-folds")).unwrap();
    let list = "folds/FDDB-folds/FDDB-fold-01-ellipseList.txt";
    std::fs::copy(scene.at(LIST), scene.at(list)).unwrap();
    let fddb = "evaluate fddb --detections dets.txt --images-root scenes --annotations";
    let mut refused = vec![
        (format!("{fddb} {list} --out scenes/sub/new"), "scenes"),
        (format!("{fddb} {list} --out folds/FDDB-folds/results"), "FDDB-folds"),
        (format!("{fddb} folds --out folds/results"), "folds"),
        (format!("{fddb} mine.txt --list folds --out folds/results"), "folds"),
        ("weights export round round/out.pt".to_owned(), "round"),
        ("merge shards shards --out shards/found.txt".to_owned(), "shards"),
    ];
    for (benchmark, truth, found) in
        [("coco", "scenes", "mine.txt"), ("voc", "mine.txt", "scenes"), ("tide", "scenes/sub", "mine.txt")]
    {
        let words = format!("evaluate {benchmark} --out scenes/sub --ground-truth {truth} --detections {found}");
        refused.push((words, "scenes"));
    }
    if cfg!(feature = "torch") {
        for (images, out, folder) in [
            ("scenes", "scenes/new.txt", "scenes"),
            ("scenes", "scenes/sub/new.txt", "scenes"),
            ("lists/near.txt", "lists/found.txt", "lists"),
            ("lists/near.txt", "lists/new/found.txt", "lists"),
            ("lists/both.txt", "far/away/found.txt", "far/away"),
            ("lists/relative.txt", "far/away/found.txt", "far/away"),
        ] {
            refused.push((format!("{detect} {images} --out {out}"), folder));
        }
        for (images, out) in [("scenes", "scenes/sub"), ("lists/near.txt", "lists")] {
            refused.push((format!("{detect} {images} --out {out} --shard 1/2"), out.split('/').next().unwrap()));
        }
    }
    let before = scene.files();
    for (words, folder) in &refused {
        // Permission to replace files does not allow writing into such a folder.
        let words: Vec<&str> = words.split(' ').chain(["--force"]).collect();
        let message = stderr(&scene.run(&words).code(1));
        let parts = ["this is inside ", folder, "which Quarry only reads"];
        assert!(parts.iter().all(|part| message.contains(part)), "{words:?}: {message}");
    }
    assert!(scene.files() == before, "a file was changed");
    // Results may be next to a single file, and never replace it.
    let truth = r#"{"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "clock"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}]}"#;
    std::fs::create_dir(scene.at("results")).unwrap();
    scene.write("results/truth.json", truth);
    scene.write("results/dets.json", r#"[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 0.5}]"#);
    for (benchmark, report) in [("coco", "coco"), ("pr", "precision-recall")] {
        let files = ["--ground-truth", "results/truth.json", "--detections", "results/dets.json", "--out", "results"];
        let mut words = [&["evaluate", benchmark], &files[..]].concat();
        scene.run(&words).success();
        let taken = format!("results/{report}.json");
        std::fs::rename(scene.at("results/truth.json"), scene.at(&taken)).unwrap();
        words[3] = &taken;
        scene.refused(&words, &["which is an input", report]);
        std::fs::rename(scene.at(&taken), scene.at("results/truth.json")).unwrap();
    }
    std::fs::copy(scene.at("dets.txt"), scene.at("results/dets.txt")).unwrap();
    std::fs::copy(scene.at(LIST), scene.at("results/list.txt")).unwrap();
    let mut words = evaluate_with("results/list.txt", "results/dets.txt", "results");
    scene.run(&words).success();
    words[5] = "results/DiscROC.txt";
    scene.refused(&words, &["which is an input"]);
}

#[test]
fn weights_keep_off_their_inputs_and_other_files() {
    let scene = Scene::new();
    scene.write("resnet18.safetensors", "x");
    let import = ["weights", "import", "resnet18.safetensors", "--as", "resnet18", "--models", "."];
    scene.refused(&import, &["resnet18.safetensors", "input"]);
    scene.refused(&["weights", "export", "resnet18.safetensors", "resnet18.safetensors"], &["input"]);
    scene.refused(&["weights", "export", "resnet18.safetensors", "p/runs/x"], &["project"]);
    scene.write("other.safetensors", "x");
    let import = ["weights", "import", "other.safetensors", "--as", "resnet18", "--models", "."];
    let message = stderr(&scene.run(&import).code(1));
    assert!(message.contains("resnet18.safetensors") && message.contains("--force"), "{message}");
}

#[test]
fn a_project_is_not_made_over_somebody_elses_files() {
    let scene = Scene::new();
    let refused = |dir: &str, expected: &str| {
        let before = scene.files();
        let message = stderr(&scene.run(&["new", dir]).code(1));
        assert!(message.contains(dir) && message.contains(expected), "{message}");
        assert!(scene.files() == before, "{message}");
    };
    std::fs::create_dir_all(scene.at("theirs/runs/exp1")).unwrap();
    refused("theirs", "runs is in the way");
    std::fs::create_dir_all(scene.at("other")).unwrap();
    scene.write("other/project.toml", "[tool]\n");
    refused("other", "project.toml is in the way");
    refused("mine.txt", "mine.txt");
    refused("p/runs/new", "project");
    std::fs::create_dir(scene.at("empty")).unwrap();
    scene.run(&["new", "empty"]).success();
}

fn picture(path: &Path, shade: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::GrayImage::from_pixel(64, 48, image::Luma([shade])).save(path).unwrap();
}

#[test]
fn ground_truth_of_a_folder_is_evaluated_against_its_own_images() {
    let scene = Scene::new();
    for (name, shade) in [("a.jpg", 10), ("b.1.png", 20), ("twin.jpg", 30), ("twin.png", 40), ("sub/c.JPG", 50)] {
        let (stem, extension) = name.rsplit_once('.').unwrap();
        let file = scene.at(&format!("scenes/{stem}.{}", extension.to_lowercase()));
        picture(&file, shade);
        std::fs::rename(file, scene.at(&format!("scenes/{name}"))).unwrap();
    }
    scene.run(&["new", "q"]).success();
    scene.run(&["import", "folder", "scenes", "--project", "q"]).success();
    let export = ["export", "ground-truth", "--project", "q", "--format", "fddb", "--out", "truth.txt"];
    scene.run(&export).success();
    let truth = std::fs::read_to_string(scene.at("truth.txt")).unwrap();
    assert_eq!(truth, "a\n0\nb.1\n0\nsub/c\n0\ntwin.jpg\n0\ntwin.png\n0\n");
    let evaluate = ["evaluate", "fddb", "--annotations", "truth.txt", "--detections", "truth.txt"];
    scene.run(&[&evaluate[..], &["--images-root", "scenes", "--out", "results"]].concat()).success();
}

#[cfg(unix)]
#[test]
fn a_name_that_no_list_can_hold_is_refused_in_fddbs_format() {
    let scene = Scene::new();
    picture(&scene.at("scenes/a\nb.png"), 10);
    picture(&scene.at("scenes/=1+2.png"), 20);
    scene.run(&["new", "q"]).success();
    scene.run(&["import", "folder", "scenes", "--project", "q"]).success();
    let export = |format| ["export", "ground-truth", "--project", "q", "--format", format, "--out", "truth.txt"];
    let message = stderr(&scene.run(&export("fddb")).code(1));
    assert!(message.contains("a\\nb") && message.contains("line break") && message.contains("coco"), "{message}");
    assert!(!scene.at("truth.txt").exists());
    scene.run(&export("coco")).success();
    #[cfg(feature = "torch")]
    {
        scene.write("model.safetensors", "x");
        let detect = ["detect", "--checkpoint", "model.safetensors", "--images", "scenes", "--out", "dets.new.txt"];
        let message = stderr(&scene.run(&detect).code(1));
        assert!(message.contains("a\\nb") && message.contains("line break"), "{message}");
    }
}

#[test]
fn what_a_killed_process_left_is_cleared_when_the_project_is_opened() {
    let scene = Scene::new();
    for name in ["p/.quarry-4000000000-left", "p/runs/.quarry-4000000000-left"] {
        scene.write(name, "half");
    }
    scene.run(&["status", "--project", "p"]).success();
    assert!(
        scene.files().keys().all(|path| !path.to_string_lossy().contains(".quarry-")),
        "{:?}",
        scene.files().keys()
    );
}

#[test]
fn exports_write_nothing_while_the_images_are_away() {
    let scene = Scene::new();
    std::fs::rename(scene.at("fddb"), scene.at("away")).unwrap();
    let before = scene.files();
    for empty in [false, true] {
        if empty {
            std::fs::create_dir(scene.at("fddb")).unwrap();
        }
        for how in ["link", "copy"] {
            let truth = [&export("yolo", "out")[..], &["--images", how]].concat();
            let training =
                ["export", "training", "--project", "p", "--format", "yolo", "--out", "out", "--images", how];
            for args in [&truth[..], &training] {
                let message = stderr(&scene.run(args).code(1));
                assert!(message.contains("fddb") && message.contains("Mount or restore it"), "{message}");
                assert!(scene.files() == before && !scene.at("out").exists(), "{args:?}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn a_training_export_clears_the_folder_that_a_killed_one_left() {
    let scene = Scene::new();
    for file in ["images/train/1.jpg", ".lock"] {
        let path = scene.at(".quarry-export-4000000000-left").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "half").unwrap();
    }
    scene.run(&["export", "training", "--project", "p", "--format", "coco", "--out", "out"]).success();
    let names: Vec<_> = std::fs::read_dir(scene.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with(".quarry-")), "{names:?}");
    assert!(!scene.at("out/.lock").exists());
}

#[cfg(unix)]
fn make_fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The same folder under other names: through a bind mount of it, and of a folder in it.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_is_kept_off_under_its_names_through_mounts_too() {
    let scene = Scene::new();
    let Some(_whole) = Mounted::new(&scene.at("fddb"), scene.at("whole")) else { return };
    let _part = Mounted::new(&scene.at("fddb/originalPics"), scene.at("part"));
    let _runs = Mounted::new(&scene.at("p/runs"), scene.at("runs"));
    for out in ["whole/new.json", "part/new.json", "part/one.jpg", "part/new/deep.json"] {
        scene.refused(&export("coco", out), &[out, "dataset"]);
    }
    scene.refused(&export("coco", "runs/new.json"), &["runs/new.json", "project"]);
}

/// A bind mount until it is dropped.
#[cfg(target_os = "linux")]
struct Mounted(PathBuf);

#[cfg(target_os = "linux")]
impl Mounted {
    fn new(folder: &Path, place: PathBuf) -> Option<Self> {
        std::fs::create_dir(&place).unwrap();
        let mut mount = std::process::Command::new("mount");
        if mount.arg("--bind").arg(folder).arg(&place).output().is_ok_and(|output| output.status.success()) {
            return Some(Self(place));
        }
        println!("SKIPPED: this process may not mount a folder at another place");
        None
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The links of an earlier export give way to `--force`; the links that a dataset consists of never do.
#[cfg(unix)]
#[test]
fn links_of_an_export_are_replaced_and_those_of_a_dataset_are_not() {
    use std::os::unix::fs::symlink;
    let scene = Scene::new();
    picture(&scene.at("far/x.png"), 10);
    std::fs::create_dir(scene.at("set")).unwrap();
    symlink(scene.at("far/x.png"), scene.at("set/x.png")).unwrap();
    scene.run(&["new", "q"]).success();
    scene.run(&["import", "folder", "set", "--project", "q"]).success();
    let export = |out, how| {
        ["export", "ground-truth", "--project", "q", "--format", "yolo", "--images", how, "--out", out, "--force"]
    };
    std::fs::create_dir(scene.at("out")).unwrap();
    symlink(scene.at("set"), scene.at("out/images")).unwrap();
    for how in ["link", "copy"] {
        let message = stderr(&scene.run(&export("out", how)).code(1));
        assert!(message.contains("x.png") && message.contains("dataset"), "{message}");
        assert_eq!(std::fs::read_link(scene.at("set/x.png")).unwrap(), scene.at("far/x.png"));
    }
    std::fs::create_dir_all(scene.at("new/images")).unwrap();
    symlink(scene.at("gone"), scene.at("new/images/x.png")).unwrap();
    scene.run(&export("new", "link")).success();
    assert_eq!(std::fs::canonicalize(scene.at("new/images/x.png")).unwrap(), scene.at("far/x.png"));
    scene.run(&export("new", "copy")).success();
    assert!(!scene.at("new/images/x.png").is_symlink());
    scene.write("new/images/x.png", "old");
    scene.run(&export("new", "link")).success();
    assert_eq!(std::fs::canonicalize(scene.at("new/images/x.png")).unwrap(), scene.at("far/x.png"));
    assert_eq!(std::fs::read_dir(scene.at("new/images")).unwrap().count(), 1, "nothing unfinished is left");
}
