//! The real FDDB, if it is available next to the repository.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::collections::HashMap;
use std::path::Path;

use image::{ImageDecoder, ImageReader};
use quarry::dataset::{decode_rgb, read_fddb, read_folder};
use quarry::domain::Cancel;

/// `image_sizes.tsv`: name -> (width, height).
fn image_sizes(fddb: &Path) -> HashMap<String, (u32, u32)> {
    let text = std::fs::read_to_string(fddb.join("image_sizes.tsv")).unwrap();
    let entry = |line: &str| {
        let words: Vec<&str> = line.split('\t').collect();
        (words[0].to_owned(), (words[1].parse().unwrap(), words[2].parse().unwrap()))
    };
    text.lines().map(entry).collect()
}

#[test]
fn eight_folds_of_fddb_are_read_and_the_two_missing_ones_told() {
    let Some(shared) = support::shared_dir() else { return };
    let fddb = shared.join("data/fddb");
    let mut last = None;
    let dataset = read_fddb(&fddb, &mut |progress| last = Some(progress), &Cancel::new()).unwrap();
    let summary = &dataset.summary;
    assert_eq!(summary.images, 2306);
    let folds: Vec<(&str, usize)> = summary.splits.iter().map(|(fold, &images)| (fold.as_str(), images)).collect();
    let expected = [("1", 290), ("2", 285), ("3", 274), ("4", 302), ("5", 298), ("6", 302), ("7", 279), ("8", 276)];
    assert_eq!(folds, expected);
    assert_eq!(summary.missing.len(), 539);
    assert_eq!(summary.unreadable, []);
    assert!(
        summary.warnings[0].contains("539 of 2845") && summary.warnings[0].contains("259 of fold 9, 280 of fold 10")
    );
    assert_eq!(summary.objects, dataset.images.iter().map(|image| image.objects.len()).sum::<usize>());
    assert_eq!(last.map(|p| (p.done, p.total)), Some((2306, 2306)));
    let sizes = image_sizes(&fddb);
    for image in &dataset.images {
        let (width, height) = sizes[&image.name];
        assert_eq!((image.width, image.height), (width, height), "{}", image.name);
    }
    println!("{summary}");
}

#[test]
fn the_grey_pictures_of_fddb_decode_as_rgb() {
    let Some(shared) = support::shared_dir() else { return };
    let pictures = shared.join("data/fddb/originalPics");
    let mut grey = 0;
    for (name, size) in image_sizes(&shared.join("data/fddb")) {
        let path = pictures.join(format!("{name}.jpg"));
        if !path.is_file() || channels(&path) == 3 {
            continue;
        }
        grey += 1;
        let picture = decode_rgb(&path).unwrap();
        assert_eq!(picture.dimensions(), size);
        assert!(picture.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]), "{name}");
    }
    // FDDB has 18; two of them are in the folds missing here.
    assert_eq!(grey, 16);
}

/// Of a JPEG as stored.
fn channels(path: &Path) -> u8 {
    ImageReader::open(path).unwrap().into_decoder().unwrap().color_type().channel_count()
}

#[test]
fn the_background_scenes_are_read_as_a_plain_folder() {
    let Some(shared) = support::shared_dir() else { return };
    let dataset = read_folder(&shared.join("data/background_scenes"), &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!((dataset.images.len() + dataset.summary.duplicates.len(), dataset.summary.objects), (274, 0));
    println!("{}", dataset.summary);
}
