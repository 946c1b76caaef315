//! The built-in sample: the same bytes from the same seed, readable by the FDDB importer, with matching ground truth.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage, imageops};
use quarry::dataset::sample::{self, DecoyKind, SampleConfig};
use quarry::dataset::{ImportedDataset, decode_rgb};
use quarry::domain::Cancel;
use quarry::geometry::BoundingBox;

/// The whole sample, as users get it.
fn default_sample() -> (tempfile::TempDir, ImportedDataset) {
    let folder = tempfile::tempdir().unwrap();
    let start = std::time::Instant::now();
    sample::write(folder.path(), &SampleConfig::default(), &mut |_| {}).unwrap();
    println!("the sample was drawn in {:.2} s", start.elapsed().as_secs_f64());
    let dataset = sample::read(folder.path(), &mut |_| {}, &Cancel::new()).unwrap();
    (folder, dataset)
}

/// Every file below `folder`, by its path.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn written(config: &SampleConfig, threads: usize) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| sample::write(folder.path(), config, &mut |_| {})).unwrap();
    contents(folder.path())
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let config = SampleConfig { scenes: 30, ..SampleConfig::default() };
    let one = written(&config, 1);
    assert!(one == written(&config, 3), "threads changed the sample");
    let other = written(&SampleConfig { seed: 8, ..config }, 2);
    let pictures = |files: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        files.keys().filter(|name| name.starts_with("originalPics")).cloned().collect()
    };
    assert_eq!(pictures(&one), pictures(&other));
    assert!(pictures(&one).iter().all(|name| one[name] != other[name]), "the seed changes every scene");
}

#[test]
fn the_sample_is_a_dataset_with_ten_folds_and_two_faces_a_scene() {
    let (folder, dataset) = default_sample();
    assert_eq!((dataset.kind, dataset.images.len()), ("sample", 240));
    assert_eq!(dataset.summary.splits, (1..=10).map(|fold| (fold.to_string(), 24)).collect());
    assert!(
        dataset.summary.missing.is_empty()
            && dataset.summary.unreadable.is_empty()
            && dataset.summary.duplicates.is_empty()
    );
    let mean = dataset.summary.objects as f64 / 240.0;
    assert!((1.6..=2.4).contains(&mean), "{mean} faces a scene");
    assert!(dataset.images.iter().any(|image| image.objects.is_empty()));
    for image in &dataset.images {
        assert_eq!((image.width, image.height), (320, 240));
        assert!(image.objects.len() <= 4);
        for face in &image.objects {
            let e = face.shape.ellipse().unwrap();
            assert!(
                (10.0..=56.0).contains(&e.ra) && e.rb < e.ra && e.theta.abs() <= std::f64::consts::FRAC_PI_2,
                "{e:?}"
            );
        }
    }
    if let Some(out) = std::env::var_os("QUARRY_CONTACT_SHEET") {
        contact_sheet(&dataset, folder.path(), Path::new(&out));
    }
}

#[test]
fn decoys_are_plenty_of_every_kind_and_not_faces() {
    let (folder, dataset) = default_sample();
    let decoys = sample::read_decoys(folder.path()).unwrap();
    let mut counts: HashMap<DecoyKind, usize> = HashMap::new();
    let faces: HashMap<&str, Vec<BoundingBox>> = dataset
        .images
        .iter()
        .map(|i| (i.name.as_str(), i.objects.iter().map(|f| f.shape.bounding_box()).collect()))
        .collect();
    for (name, decoy) in &decoys {
        *counts.entry(decoy.kind).or_default() += 1;
        let overlap = decoy.bbox.max_iou(&faces[name.as_str()]).map_or(0.0, |(_, iou)| iou);
        assert!(overlap < 0.3, "{name} {decoy:?} {overlap}");
    }
    assert!(decoys.len() > 480, "{}", decoys.len());
    for kind in DecoyKind::ALL {
        assert!(counts.get(&kind).copied().unwrap_or(0) >= 10, "{kind:?} {counts:?}");
    }
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "words").unwrap();
    let error = sample::write(folder.path(), &SampleConfig::default(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("not empty") && error.contains("choose a new folder"), "{error}");
    assert_eq!(contents(folder.path()).len(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = sample::write(&file.join("sample"), &SampleConfig::default(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("file/sample"), "{error}");
}

#[test]
fn a_second_write_replaces_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let config = SampleConfig { scenes: 10, ..SampleConfig::default() };
    let mut last = None;
    for seed in [1, 2] {
        sample::write(folder.path(), &SampleConfig { seed, ..config }, &mut |p| last = Some((p.done, p.total)))
            .unwrap();
    }
    assert_eq!(last, Some((10, 10)));
    assert!(contents(folder.path()) == written(&SampleConfig { seed: 2, ..config }, 1));
}

/// For visual inspection: 6 columns of scenes in `out`-1.png, `out`-2.png ..., faces outlined in green and decoys boxed in red on every
/// second page.
fn contact_sheet(dataset: &ImportedDataset, root: &Path, out: &Path) {
    let decoys = sample::read_decoys(root).unwrap();
    for (page, images) in dataset.images.chunks(24).take(4).enumerate() {
        let mut sheet = RgbImage::new(6 * 324, 4 * 244);
        for (k, image) in images.iter().enumerate() {
            let mut picture = decode_rgb(&dataset.root.join(&image.path)).unwrap();
            if page % 2 == 1 {
                for face in &image.objects {
                    draw(&mut picture, &face.shape.ellipse().unwrap().outline(400), Rgb([60, 255, 60]));
                }
                for (_, decoy) in decoys.iter().filter(|(name, _)| *name == image.name) {
                    let b = decoy.bbox;
                    let along = |a: f64, z: f64| (0..100).map(move |t| a + (z - a) * f64::from(t) / 100.0);
                    let mut points: Vec<(f64, f64)> = along(b.x1, b.x2).flat_map(|x| [(x, b.y1), (x, b.y2)]).collect();
                    points.extend(along(b.y1, b.y2).flat_map(|y| [(b.x1, y), (b.x2, y)]));
                    draw(&mut picture, &points, Rgb([255, 50, 50]));
                }
            }
            imageops::replace(&mut sheet, &picture, (k as i64 % 6) * 324, (k as i64 / 6) * 244);
        }
        sheet.save(format!("{}-{}.png", out.display(), page + 1)).unwrap();
    }
}

fn draw(picture: &mut RgbImage, points: &[(f64, f64)], colour: Rgb<u8>) {
    for &(x, y) in points {
        if (0.0..320.0).contains(&x) && (0.0..240.0).contains(&y) {
            picture.put_pixel(x as u32, y as u32, colour);
        }
    }
}
