//! Operations on a project's datasets with real files: check, moved folder, splits, merging, deletion, and the training export for other
//! programs.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use quarry::domain::{
    Cancel, ClassId, FalsePositiveKind, HardNegativeSource, ImageId, ImageRecord, Output, Shape, Verdict,
};
use quarry::geometry::BoundingBox;
use quarry::store::{NewCandidate, NewDataset, NewImage, NewObject, Store};
use quarry::workflow::crops::crops;
use quarry::workflow::datasets::deletion::{self, Target};
use quarry::workflow::datasets::integrity::{check, move_to};
use quarry::workflow::datasets::merge::merge;
use quarry::workflow::datasets::splits::{SplitPlan, divide, parse_shares};
use quarry::workflow::datasets::{dataset_named, statistics::statistics};
use quarry::workflow::export::ExportScope;
use quarry::workflow::export_images::place_images;
use quarry::workflow::training_export::{
    Dose, ImagesAs, MANIFEST, NegativesAs, TrainingExport, TrainingFormat, export_training,
};
use quarry::workflow::{Project, WorkflowError};
use serde_json::Value;

/// An 80 x 60 image: a unique pattern, brightened by `light`.
fn pixels(pattern: u32, light: u8) -> RgbImage {
    RgbImage::from_fn(80, 60, |x, y| {
        let mut mixed = (x / 10) * 7919 + (y / 8) * 104_729 + (pattern.wrapping_mul(2_654_435_761) >> 3) + 1;
        for _ in 0..3 {
            mixed = (mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519);
        }
        let value = (mixed >> 24) as u8 / 2;
        Rgb([value + light, value, value / 2])
    })
}

fn object(x: f64, class: u32, ignored: bool) -> NewObject {
    NewObject { class, shape: Shape::Rectangle(BoundingBox::from_xywh(x, 5.0, 20.0, 20.0)), ignored }
}

/// Writes the image and returns its description.
fn picture(
    root: &Path,
    name: &str,
    (pattern, light): (u32, u8),
    split: Option<&str>,
    objects: Vec<NewObject>,
) -> NewImage {
    let path = PathBuf::from(format!("{name}.png"));
    let file = root.join(&path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    pixels(pattern, light).save(&file).unwrap();
    let content_hash = blake3::hash(&fs::read(&file).unwrap()).to_hex().to_string();
    let split = split.map(str::to_owned);
    NewImage { name: name.to_owned(), path, content_hash, width: 80, height: 60, split, objects }
}

struct Made {
    dir: tempfile::TempDir,
    project: Project,
    store: Store,
}

impl Made {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p")).unwrap();
        let store = project.open_store().unwrap();
        Self { dir, project, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn add(&mut self, name: &str, images: Vec<NewImage>) {
        let classes = vec!["cat".to_owned(), "dog".to_owned()];
        let new = NewDataset { name: name.to_owned(), kind: "coco".to_owned(), root: self.path(name), classes, images };
        self.store.add_dataset(&new).unwrap();
    }

    fn image(&self, name: &str) -> ImageRecord {
        self.store.images().unwrap().into_iter().find(|image| image.name == name).unwrap()
    }
}

fn quiet(_: quarry::workflow::WorkEvent) {}

#[test]
fn a_check_finds_what_is_missing_changed_and_unreadable_and_a_moved_folder_has_to_hold_the_same_files() {
    let mut made = Made::new();
    let root = made.path("faces");
    let images = (0..4).map(|k| picture(&root, &format!("in/{k}"), (k, 0), None, vec![])).collect();
    made.add("faces", images);
    let dataset = dataset_named(&made.store, "faces").unwrap();
    let cancel = Cancel::new();
    let sound = check(&made.store, &dataset, true, &mut quiet, &cancel).unwrap();
    assert!(sound.is_sound() && sound.images == 4);

    let moved = made.path("elsewhere");
    fs::rename(&root, &moved).unwrap();
    let gone = check(&made.store, &dataset, false, &mut quiet, &cancel).unwrap();
    assert_eq!((gone.same, gone.missing.len()), (0, 4));
    let away = statistics(&made.store, None).unwrap()[0].away.clone();
    for away in [gone.away, away].map(Option::unwrap) {
        assert!(away.contains(root.to_str().unwrap()) && away.contains("Nothing is lost"), "{away}");
        assert!(away.contains("`quarry dataset move NAME FOLDER`"), "{away}");
    }
    // One level too low, and an unrelated folder.
    let refused = move_to(&mut made.store, &dataset, &moved.join("in"), false, &mut quiet, &cancel).unwrap_err();
    assert!(refused.to_string().contains("Did you mean") && refused.to_string().contains("elsewhere"), "{refused}");
    fs::create_dir(made.path("empty")).unwrap();
    let empty = made.path("empty");
    assert!(move_to(&mut made.store, &dataset, &empty, true, &mut quiet, &cancel).is_err());
    let nothing = made.path("nothing");
    assert!(move_to(&mut made.store, &dataset, &nothing, true, &mut quiet, &cancel).is_err());
    assert_eq!(dataset_named(&made.store, "faces").unwrap().root, root, "nothing was changed");
    let there = move_to(&mut made.store, &dataset, &moved, false, &mut quiet, &cancel).unwrap();
    assert!(there.is_sound());

    let dataset = dataset_named(&made.store, "faces").unwrap();
    fs::remove_file(moved.join("in/0.png")).unwrap();
    pixels(9, 9).save(moved.join("in/1.png")).unwrap();
    fs::remove_file(moved.join("in/2.png")).unwrap();
    fs::create_dir(moved.join("in/2.png")).unwrap();
    let found = check(&made.store, &dataset, false, &mut quiet, &cancel).unwrap();
    assert_eq!((found.others().as_str(), found.away.as_deref()), ("1 missing, 1 changed, 1 unreadable", None));
    assert_eq!((found.same, &found.missing, &found.changed), (1, &vec!["in/0".to_owned()], &vec!["in/1".to_owned()]));
    assert_eq!((found.unreadable.len(), found.unreadable[0].0.as_str()), (1, "in/2"));
    let refused = move_to(&mut made.store, &dataset, &moved, false, &mut quiet, &cancel).unwrap_err().to_string();
    assert!(refused.contains("3 of 4") && refused.contains("--anyway"), "{refused}");
    assert!(move_to(&mut made.store, &dataset, &moved, true, &mut quiet, &cancel).is_ok());
}

#[test]
fn near_duplicates_stay_in_one_split_and_an_import_leaves_the_splits_alone() {
    let mut made = Made::new();
    let root = made.path("objects");
    let mut images = Vec::new();
    for k in 0..30 {
        // Every third image has a copy with other brightness.
        images.push(picture(&root, &format!("{k:02}"), (k, 0), Some("own"), vec![object(1.0, k % 2, false)]));
        if k % 3 == 0 {
            images.push(picture(&root, &format!("{k:02}-twin"), (k, 6), Some("own"), vec![]));
        }
    }
    made.add("objects", images.clone());
    let plan = SplitPlan { shares: parse_shares("train=0.7,val=0.2,test=0.1").unwrap(), seed: 5, distance: Some(6) };
    // Without the images nobody knows which are near-duplicates.
    fs::rename(&root, made.path("away")).unwrap();
    let error = divide(&mut made.store, None, &plan, false, &mut quiet, &Cancel::new()).unwrap_err();
    assert!(matches!(error, WorkflowError::Away(_)), "{error}");
    fs::rename(made.path("away"), &root).unwrap();
    let dry = divide(&mut made.store, None, &plan, true, &mut quiet, &Cancel::new()).unwrap();
    assert!(made.store.images().unwrap().iter().all(|image| image.split.as_deref() == Some("own")));
    let report = divide(&mut made.store, Some("objects"), &plan, false, &mut quiet, &Cancel::new()).unwrap();
    assert_eq!(report, dry);
    assert_eq!((report.images, report.groups, report.grouped_images), (40, 10, 20));
    let sizes: Vec<usize> = ["train", "val", "test"].iter().map(|split| report.splits[*split].images).collect();
    assert_eq!(sizes, [28, 8, 4]);
    for k in (0..30).step_by(3) {
        assert_eq!(made.image(&format!("{k:02}")).split, made.image(&format!("{k:02}-twin")).split, "{k}");
    }
    let before = made.store.images().unwrap();
    images.push(picture(&root, "later", (99, 0), Some("own"), vec![]));
    made.add("objects", images.clone());
    let after = made.store.images().unwrap();
    assert_eq!(after[..40], before[..], "an import leaves them alone");
    assert_eq!(after[40].split, None);
    let id = after[0].dataset;
    made.store.set_splits(id, &[], None).unwrap();
    made.add("objects", images);
    assert!(made.store.images().unwrap().iter().all(|image| image.split.as_deref() == Some("own")), "undone");
}

/// FDDB's own near-duplicate pairs, if the images are available.
#[test]
fn fddbs_near_identical_images_are_found() {
    let Some(shared) = support::shared_dir() else { return };
    let root = shared.join("data/fddb/originalPics");
    let Ok(pairs) = fs::read_to_string(shared.join("data/fddb/near_duplicates.tsv")) else {
        eprintln!("SKIPPED: {} has no list of FDDB's near-duplicates", shared.display());
        return;
    };
    let pairs: Vec<[&str; 2]> = pairs
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|columns| [columns[0], columns[2]])
        .filter(|pair| pair.iter().all(|name| root.join(format!("{name}.jpg")).is_file()))
        .collect();
    let mut names: Vec<&str> = pairs.iter().flatten().copied().collect();
    names.sort_unstable();
    names.dedup();
    let image = |name: &&str| {
        let path = PathBuf::from(format!("{name}.jpg"));
        let content_hash = blake3::hash(&fs::read(root.join(&path)).unwrap()).to_hex().to_string();
        let (width, height) = image::image_dimensions(root.join(&path)).unwrap();
        NewImage { name: (*name).to_owned(), path, content_hash, width, height, split: None, objects: vec![] }
    };
    let mut made = Made::new();
    let new = NewDataset {
        name: "FDDB".to_owned(),
        kind: "folder".to_owned(),
        root: root.clone(),
        classes: vec![],
        images: names.iter().map(image).collect(),
    };
    made.store.add_dataset(&new).unwrap();
    let plan = SplitPlan { shares: parse_shares("a=1,b=1,c=1").unwrap(), seed: 1, distance: Some(6) };
    divide(&mut made.store, None, &plan, false, &mut quiet, &Cancel::new()).unwrap();
    let apart: Vec<_> = pairs.iter().filter(|[a, b]| made.image(a).split != made.image(b).split).collect();
    assert!(pairs.len() >= 10 && apart.is_empty(), "{} of {} pairs are apart: {apart:?}", apart.len(), pairs.len());
}

#[test]
fn two_datasets_become_one_with_all_that_hangs_on_them() {
    let mut made = Made::new();
    let (a, b) = (made.path("data/a"), made.path("data/b"));
    let first = vec![
        picture(&a, "1", (1, 0), Some("train"), vec![object(1.0, 0, false)]),
        picture(&a, "2", (2, 0), Some("train"), vec![]),
    ];
    let second = vec![
        picture(&b, "1", (3, 0), Some("val"), vec![object(1.0, 1, false)]),
        picture(&b, "copy", (2, 0), None, vec![object(9.0, 1, false)]),
    ];
    made.add("data/a", first);
    made.add("data/b", second);
    let round = made.store.start_round("").unwrap().id;
    let (kept, other) = (made.image("copy"), made.image("2"));
    let candidate = NewCandidate {
        image: other.id,
        class: ClassId(1),
        bbox: BoundingBox::from_xywh(40.0, 30.0, 20.0, 20.0),
        score: 0.5,
        max_iou: 0.0,
        kind: FalsePositiveKind::Background,
    };
    made.store.replace_candidates(round, &[other.id], &[candidate]).unwrap();
    let dry = merge(&mut made.store, "data/a", "data/b", Some("both"), true).unwrap();
    assert_eq!(made.store.datasets().unwrap().len(), 2);
    let report = merge(&mut made.store, "data/a", "data/b", Some("both"), false).unwrap();
    assert_eq!(report, dry);
    assert_eq!((report.images, report.repeated, report.renamed), (3, 1, 1));
    let datasets = made.store.datasets().unwrap();
    assert_eq!((datasets.len(), datasets[0].name.as_str(), datasets[0].kind.as_str()), (1, "both", "merged"));
    let names: Vec<String> = made.store.images().unwrap().into_iter().map(|image| image.name).collect();
    assert_eq!(names, ["1", "data/b/1", "copy"], "of the two copies the annotated one is used");
    let found = check(&made.store, &datasets[0], false, &mut quiet, &Cancel::new()).unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(made.image("copy").id, kept.id);
    assert!(merge(&mut made.store, "both", "both", None, false).is_err());
    let missing = merge(&mut made.store, "both", "c", None, false).unwrap_err().to_string();
    assert!(missing.contains("`both`"), "{missing}");
}

#[test]
fn a_round_is_deleted_with_its_folder_after_a_backup() {
    let mut made = Made::new();
    let root = made.path("faces");
    made.add("faces", vec![picture(&root, "1", (1, 0), None, vec![object(1.0, 0, false)])]);
    let image = made.image("1").id;
    let round = made.store.start_round("").unwrap();
    made.store.replace_candidates(round.id, &[image], &[negative(image, 40.0, 0.9)]).unwrap();
    let candidate = made.store.candidate_ids(&quarry::store::CandidateQuery::default()).unwrap()[0];
    made.store.record_verdicts(&[candidate], "Ada", Verdict::Confirmed, None, 1).unwrap();
    let run = made.project.run_dir(1);
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("checkpoint"), vec![0; 50_000]).unwrap();
    let target = Target::round(&made.store, 1).unwrap();
    let preview = deletion::preview(&made.project, &made.store, &target).unwrap();
    assert_eq!((preview.counts.candidates, preview.counts.verdicts, preview.folder_bytes), (1, 1, 50_000));
    let text = preview.to_string();
    assert!(text.contains("1 candidate is decided. Its 1 verdict stays") && text.contains("Frees about"), "{text}");
    assert!(run.is_dir() && preview.backup.is_none());
    let done = deletion::delete(&made.project, &target, true).unwrap();
    assert!(!run.exists() && done.backup.unwrap().is_file());
    assert!(made.store.rounds().unwrap().is_empty() && root.join("1.png").is_file());
    let dataset = Target::Dataset(dataset_named(&made.store, "faces").unwrap());
    deletion::delete(&made.project, &dataset, true).unwrap();
    assert!(made.store.images().unwrap().is_empty() && root.join("1.png").is_file(), "its files stay");
}

fn negative(image: ImageId, x: f64, score: f32) -> NewCandidate {
    let bbox = BoundingBox::from_xywh(x, 30.0, 16.0, 16.0);
    NewCandidate { image, class: ClassId(1), bbox, score, max_iou: 0.0, kind: FalsePositiveKind::Background }
}

/// Images with objects, without, with ignored ones only, and in a held-out split; candidates with verdicts on them.
fn to_train() -> Made {
    let mut made = Made::new();
    let root = made.path("data");
    let train = Some("train");
    made.add(
        "data",
        vec![
            picture(&root, "objects", (1, 0), train, vec![object(1.0, 0, false), object(50.0, 1, false)]),
            picture(&root, "sub/empty reviewed", (2, 0), train, vec![]),
            picture(&root, "empty", (3, 0), train, vec![]),
            picture(&root, "only ignored", (4, 0), train, vec![object(1.0, 0, true)]),
            picture(&root, "some ignored", (5, 0), train, vec![object(1.0, 0, false), object(40.0, 1, true)]),
            picture(&root, "rejected", (6, 0), train, vec![object(1.0, 1, false)]),
            picture(&root, "held out", (7, 0), Some("val"), vec![object(1.0, 0, false)]),
            picture(&root, "held out empty", (8, 0), Some("val"), vec![]),
        ],
    );
    let id = |made: &Made, name: &str| made.image(name).id;
    let round = made.store.start_round("").unwrap().id;
    let images = ["objects", "sub/empty reviewed", "empty", "only ignored", "rejected"].map(|name| id(&made, name));
    let [objects, reviewed, empty, ignored, rejected] = images;
    let new = [
        negative(objects, 30.0, 0.9),
        // On an object: never background on its own.
        NewCandidate {
            kind: FalsePositiveKind::Localisation,
            bbox: BoundingBox::from_xywh(60.0, 10.0, 16.0, 20.0),
            max_iou: 0.3,
            ..negative(objects, 0.0, 0.8)
        },
        negative(reviewed, 30.0, 0.7),
        negative(empty, 30.0, 0.6),
        negative(ignored, 30.0, 0.5),
        negative(rejected, 30.0, 0.4),
    ];
    made.store.replace_candidates(round, &images, &new).unwrap();
    let all = made.store.candidate_ids(&quarry::store::CandidateQuery::default()).unwrap();
    let on = |image: ImageId| -> Vec<_> {
        all.iter().copied().filter(|c| made.store.candidate(*c).unwrap().image == image).collect()
    };
    let (confirmed, refused): (Vec<_>, Vec<_>) = (images[..4].iter().flat_map(|i| on(*i)).collect(), on(rejected));
    made.store.record_verdicts(&confirmed, "Ada", Verdict::Confirmed, None, 1).unwrap();
    made.store.record_verdicts(&refused, "Ada", Verdict::Rejected, None, 2).unwrap();
    made.store.mark_images(&[reviewed], "Ada", true).unwrap();
    made
}

fn settings(format: TrainingFormat) -> TrainingExport {
    TrainingExport {
        format,
        images: ImagesAs::Link,
        hard_negatives: HardNegativeSource::Confirmed,
        negatives_as: NegativesAs::Crops,
        dose: Dose::default(),
        val: vec!["val".to_owned()],
        test: vec![],
        scope: ExportScope::default(),
    }
}

/// What a round holds out by default is held out of an export too.
#[test]
fn splits_with_names_of_held_out_ones_are_not_exported_for_training() {
    let mut made = Made::new();
    let root = made.path("data");
    let splits = ["train", "Valid", "val2017", "minival", "testing", "trainval"];
    let with =
        |(k, split): (usize, &&str)| picture(&root, split, (k as u32 + 1, 0), Some(split), vec![object(1.0, 0, false)]);
    made.add("data", splits.iter().enumerate().map(with).collect());
    let usual = TrainingExport::usual(&made.store, TrainingFormat::Yolo).unwrap();
    assert_eq!((usual.val.join(" "), usual.test.join(" ")), ("Valid minival val2017".into(), "testing".into()));
    let out = made.path("out");
    let report = export_training(&made.store, &usual, &out, &mut quiet, &Cancel::new()).unwrap();
    let lines = |part: &str| fs::read_to_string(out.join(part)).unwrap().lines().count();
    assert_eq!((lines("train.txt"), lines("val.txt"), lines("test.txt")), (2, 3, 1), "{report:?}");
}

fn excluded(out: &Path) -> BTreeMap<String, String> {
    let table = fs::read_to_string(out.join("excluded.csv")).unwrap();
    let row = |line: &str| line.splitn(3, ',').skip(1).map(str::to_owned).collect::<Vec<_>>();
    table.lines().skip(1).map(row).map(|row| (row[0].clone(), row[1].clone())).collect()
}

#[test]
fn a_yolo_export_has_only_reviewed_background_and_paints_ignored_regions_out() {
    let made = to_train();
    let out = made.path("out");
    let bytes = fs::read(made.path("data/some ignored.png")).unwrap();
    let report =
        export_training(&made.store, &settings(TrainingFormat::Yolo), &out, &mut quiet, &Cancel::new()).unwrap();
    let found = &report.found;
    // objects, the reviewed one, some ignored, rejected, held out; crops on: objects, empty, only ignored.
    assert_eq!((found.images, found.of_part["train"], found.of_part["val"]), (8, 7, 1), "{report}");
    assert_eq!((found.objects, found.empty, found.lines), (5, 4, 8), "{report}");
    assert_eq!((report.crops, report.on_background_images, report.repeated_images), (3, 1, 1));
    assert_eq!((report.painted_images, report.painted_regions), (2, 2));
    let left_out = excluded(&out);
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    assert!(
        left_out["empty"].contains("nobody has confirmed")
            && left_out["held out empty"].contains("nobody has confirmed")
    );
    assert!(left_out["only ignored"].contains("ignored"));
    assert_eq!(report.unreviewed_background, 2);

    let list = fs::read_to_string(out.join("train.txt")).unwrap();
    assert_eq!(list.lines().count(), 8);
    let repeated =
        list.lines().filter(|line| line.contains("_objects.")).filter(|line| !line.contains("negative")).count();
    assert_eq!(repeated, 2, "a hard negative on an object repeats its image\n{list}");
    for line in list.lines() {
        let label = out.join(line.replace("/images/", "/labels/")).with_extension("txt");
        assert!(out.join(line).is_file() && label.is_file(), "{line}");
    }
    let whole = list.lines().find(|line| line.contains("_objects.") && !line.contains("negative")).unwrap();
    assert!(out.join(whole).symlink_metadata().unwrap().is_symlink());
    let label = fs::read_to_string(out.join(whole.replace("/images/", "/labels/")).with_extension("txt")).unwrap();
    assert_eq!(label, "0 0.1375 0.25 0.25 0.3333333333333333\n1 0.75 0.25 0.25 0.3333333333333333\n");
    let painted = list.lines().find(|line| line.contains("some_ignored")).unwrap();
    let painted = image::open(out.join(painted)).unwrap().to_rgb8();
    let original = image::open(made.path("data/some ignored.png")).unwrap().to_rgb8();
    assert_eq!((painted.get_pixel(45, 10), painted.get_pixel(5, 10)), (&Rgb([114; 3]), original.get_pixel(5, 10)));
    assert_eq!(fs::read(made.path("data/some ignored.png")).unwrap(), bytes, "the original is as it was");
    let yaml = fs::read_to_string(out.join("data.yaml")).unwrap();
    assert!(yaml.contains("train: train.txt\nval: val.txt\nnc: 2\nnames:\n  0: \"cat\"\n  1: \"dog\"\n"), "{yaml}");
    let manifest: Value = serde_json::from_slice(&fs::read(out.join(MANIFEST)).unwrap()).unwrap();
    assert_eq!(manifest["export"]["found"]["images"], 8);
    assert_eq!(manifest["export"]["dose"]["repeat"], 1);
    let weights = fs::read_to_string(out.join("weights.csv")).unwrap();
    assert_eq!(weights.lines().count(), 8, "{weights}");
    // A crop has no margin if its image was not reviewed as a whole.
    let crop = fs::read_dir(out.join("images/train")).unwrap().map(|e| e.unwrap().path());
    let sizes: Vec<_> = crop
        .filter(|path| path.to_string_lossy().contains("negative"))
        .map(|path| image::image_dimensions(path).unwrap())
        .collect();
    assert_eq!(sizes, [(16, 16); 3]);

    let again = export_training(&made.store, &settings(TrainingFormat::Yolo), &out, &mut quiet, &Cancel::new());
    let refused = again.unwrap_err().to_string();
    assert!(refused.contains("the file exists"), "{refused}");
    let inside = made.path("data/out");
    assert!(
        export_training(&made.store, &settings(TrainingFormat::Yolo), &inside, &mut quiet, &Cancel::new()).is_err()
    );
    assert!(!inside.exists());
}

#[test]
fn a_coco_export_keeps_ignored_regions_and_empty_images() {
    let made = to_train();
    let out = made.path("out");
    let copies = TrainingExport { images: ImagesAs::Copy, ..settings(TrainingFormat::Coco) };
    let report = export_training(&made.store, &copies, &out, &mut quiet, &Cancel::new()).unwrap();
    let found = &report.found;
    assert_eq!((found.images, found.objects, found.ignored, found.empty), (8, 5, 3, 3), "{report}");
    assert_eq!(report.painted_images, 0);
    let train: Value = serde_json::from_slice(&fs::read(out.join("train.json")).unwrap()).unwrap();
    let of = |name: &str| {
        let images = train["images"].as_array().unwrap();
        let id = &images
            .iter()
            .find(|image| image["name"] == name && !image["file_name"].as_str().unwrap().contains("negative"))
            .unwrap()["id"];
        train["annotations"].as_array().unwrap().iter().filter(|a| a["image_id"] == *id).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of("rejected").iter().map(|a| a["iscrowd"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(of("only ignored").len(), 1);
    assert!(of("sub/empty reviewed").is_empty(), "there, and without objects");
    let file = train["images"][0]["file_name"].as_str().unwrap();
    assert!(!out.join(file).symlink_metadata().unwrap().is_symlink());
}

#[test]
fn the_dose_is_kept_and_what_changed_on_disk_is_left_out() {
    let made = to_train();
    let run = |change: &dyn Fn(&mut TrainingExport), name: &str| {
        let mut settings = settings(TrainingFormat::Yolo);
        change(&mut settings);
        export_training(&made.store, &settings, made.path(name), &mut quiet, &Cancel::new()).unwrap()
    };
    let two = run(&|s| s.dose.number = Some(2), "two");
    assert_eq!((two.hard_negatives_chosen, two.hard_negatives_left, two.crops, two.repeated_images), (2, 3, 1, 1));
    let none = run(&|s| s.hard_negatives = HardNegativeSource::None, "none");
    assert_eq!((none.hard_negatives_chosen, none.crops, none.found.lines), (0, 0, 4));
    let repeats = run(
        &|s| {
            s.negatives_as = NegativesAs::Repeats;
            s.dose.repeat = 3;
        },
        "repeats",
    );
    assert_eq!((repeats.crops, repeats.repeated_images, repeats.found.lines), (2, 1, 9));
    // Three training images with objects: a quarter of four is one.
    let quarter = run(&|s| s.dose.share = Some(0.25), "quarter");
    assert_eq!((quarter.hard_negatives_chosen, quarter.hard_negatives_left), (1, 4));
    let no_val = run(&|s| s.val.clear(), "no val");
    assert!(no_val.losses.iter().any(|loss| loss.contains("--val")), "{no_val}");

    pixels(50, 0).save(made.path("data/objects.png")).unwrap();
    fs::remove_file(made.path("data/rejected.png")).unwrap();
    let changed = run(&|_| (), "changed");
    let left_out = excluded(&made.path("changed"));
    assert!(left_out["objects"].contains("changed") && left_out.contains_key("rejected"), "{left_out:?}");
    assert_eq!((changed.found.images, changed.found.objects), (5, 2), "{changed}");
    let unknown = TrainingExport { val: vec!["nope".to_owned()], ..settings(TrainingFormat::Yolo) };
    let error = export_training(&made.store, &unknown, made.path("no"), &mut quiet, &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("`nope`") && !made.path("no").exists(), "{error}");
}

#[test]
fn exports_of_images_stop_while_their_dataset_is_away() {
    let made = to_train();
    let (data, away, out) = (made.path("data"), made.path("away"), made.path("out"));
    let (scope, negatives) = (ExportScope::default(), HardNegativeSource::Confirmed);
    fs::rename(&data, &away).unwrap();
    for (words, is_empty) in [("the dataset's folder does not exist", false), ("cannot open", true)] {
        if is_empty {
            fs::create_dir(&data).unwrap();
        }
        let check = |error: WorkflowError| {
            assert!(matches!(error, WorkflowError::Away(_)) && error.to_string().contains(words), "{error}");
            assert!(!out.exists(), "nothing is written");
        };
        for (format, images) in [(TrainingFormat::Yolo, ImagesAs::Link), (TrainingFormat::Coco, ImagesAs::Copy)] {
            let settings = TrainingExport { images, ..settings(format) };
            check(export_training(&made.store, &settings, &out, &mut quiet, &Cancel::new()).unwrap_err());
        }
        check(crops(&made.store, &scope, negatives, &out, &mut quiet, &Cancel::new()).unwrap_err());
        for how in [ImagesAs::Link, ImagesAs::Copy] {
            let into = Output::new(&out, false);
            check(place_images(&made.store, &scope, how, &into, &mut quiet, &Cancel::new()).unwrap_err());
        }
    }
    fs::remove_dir(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    fs::remove_file(made.path("data/rejected.png")).unwrap();
    let found = crops(&made.store, &scope, negatives, &out, &mut quiet, &Cancel::new()).unwrap();
    assert!(found.crops > 0 && found.left_out.len() <= 1, "{found:?}");
}

/// As imports count them: of two images with the same bytes one is a copy.
#[test]
fn copies_are_counted_without_their_originals() {
    let mut made = Made::new();
    let root = made.path("faces");
    let image = |name: &str, pattern: u32| picture(&root, name, (pattern, 0), None, vec![]);
    let mut images = vec![image("a", 1), image("b", 1), image("c", 1), image("d", 2)];
    let same = images[0].content_hash.clone();
    images[1..3].iter_mut().for_each(|image| image.content_hash.clone_from(&same));
    made.add("faces", images);
    assert_eq!(statistics(&made.store, None).unwrap()[0].copies, 2);
}

#[test]
fn statistics_count_what_a_dataset_holds() {
    let made = to_train();
    let all = statistics(&made.store, None).unwrap();
    let found = &all[0];
    assert_eq!((found.images, found.background_images, found.complete_images), (8, 3, 1));
    assert_eq!((found.objects, found.ignored, found.promoted), (7, 2, 0));
    assert_eq!((found.classes["cat"], found.classes["dog"]), (4, 3));
    let splits: Vec<_> = found.splits.iter().map(|s| (s.split.as_deref(), s.images, s.objects)).collect();
    assert_eq!(splits, [(Some("train"), 6, 6), (Some("val"), 2, 1)]);
    assert_eq!(found.by_area, [7, 0, 0]);
    assert_eq!(found.object_size.unwrap().median, 20.0);
    assert!(statistics(&made.store, Some("other")).is_err());
}
