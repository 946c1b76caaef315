//! Tests the loader's guarantees: order, skipping, bounded memory.

use super::*;
use crate::geometry::Ellipse;

fn config(workers: u32) -> RoundConfig {
    let mut config = RoundConfig::preset("sample").unwrap();
    (config.workers, config.prefetch) = (workers, 4);
    (config.detector.shorter_side, config.detector.longer_side_cap) = (16, 32);
    config
}

/// The file name is the image's grey value; odd ones take longer, `bad` ones fail, `panic` ones panic.
fn decode(path: &Path) -> Result<RgbImage, String> {
    let name = path.to_string_lossy().into_owned();
    if name.starts_with("bad") {
        return Err("no picture".to_owned());
    }
    assert!(!name.starts_with("panic"), "decoder broke");
    let grey: u8 = name.parse().unwrap();
    if grey % 2 == 1 {
        thread::sleep(Duration::from_millis(2));
    }
    Ok(RgbImage::from_fn(16, 16, |x, _| image::Rgb([grey, x as u8, 0])))
}

fn image(name: &str) -> TrainingImage {
    let faces = vec![Shape::Rectangle(BoundingBox::new(1.0, 1.0, 5.0, 9.0))];
    TrainingImage {
        id: ImageId(1),
        path: name.into(),
        size: (64, 48),
        faces,
        labels: vec![],
        misclassified: vec![],
        hard_negatives: vec![],
        hard_negative_labels: vec![],
        ignored: vec![],
    }
}

fn images(names: &[&str]) -> Vec<TrainingImage> {
    names.iter().map(|name| image(name)).collect()
}

fn drawn(loader: &mut Loader, count: usize) -> (Vec<(u64, TrainingSample)>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut next = || loader.next(&Cancel::new(), &mut |w| warnings.push(w)).unwrap().unwrap();
    let samples = (0..count).map(|_| next()).map(|loaded| (loaded.slot.position, loaded.sample)).collect();
    (samples, warnings)
}

#[test]
fn order_and_flips_do_not_depend_on_threads_or_interruptions() {
    let names = ["10", "11", "12", "13", "14", "15", "16"];
    let start = |workers, position| {
        Loader::start(&config(workers), 1, images(&names), decode, position, BTreeSet::new()).unwrap()
    };
    let (one, _) = drawn(&mut start(1, 0), 30);
    let (four, _) = drawn(&mut start(4, 0), 30);
    assert!(one == four);
    let (later, _) = drawn(&mut start(3, 12), 18);
    assert!(later == one[12..]);
    let flipped = one.iter().filter(|(_, s)| s.image.pixels[1] > 0.5).count();
    assert!((5..=25).contains(&flipped), "{flipped} of 30 flipped");
}

#[test]
fn unreadable_images_are_reported_once_and_skipped_in_the_same_way_every_time() {
    let names = ["10", "bad1", "12", "panic", "14"];
    let run = |workers| {
        let mut loader = Loader::start(&config(workers), 1, images(&names), decode, 0, BTreeSet::new()).unwrap();
        let (samples, warnings) = drawn(&mut loader, 12);
        (samples, warnings, loader.position(), loader.unreadable().clone())
    };
    let (samples, warnings, position, unreadable) = run(1);
    assert_eq!((warnings.len(), unreadable.len()), (2, 2), "{warnings:?}");
    assert!(
        warnings.iter().any(|w| w.contains("bad1: no picture")) && warnings.iter().any(|w| w.contains("decoder broke"))
    );
    let again = run(3);
    assert!(again.0 == samples && again.2 == position);
    let mut resumed = Loader::start(&config(2), 1, images(&names), decode, samples[5].0 + 1, unreadable).unwrap();
    let (rest, silent) = drawn(&mut resumed, 6);
    assert!(rest == samples[6..] && silent.is_empty());
}

#[test]
fn nothing_readable_is_an_error_and_cancel_ends_the_wait() {
    let mut loader = Loader::start(&config(2), 1, images(&["bad1", "bad2"]), decode, 0, BTreeSet::new()).unwrap();
    let error = loader.next(&Cancel::new(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("no picture"), "{error}");
    let cancel = Cancel::new();
    cancel.cancel();
    let mut loader = Loader::start(&config(2), 1, images(&["10"]), decode, 0, BTreeSet::new()).unwrap();
    assert!(loader.next(&cancel, &mut |_| {}).unwrap().is_none());
}

#[test]
fn hard_negatives_come_by_score_and_rotate_when_there_is_no_room() {
    let mut image = image("10");
    let boxes =
        (0..10).map(|k| (BoundingBox::new(f64::from(k) * 10.0 + 10.0, 0.0, f64::from(k) * 10.0 + 18.0, 8.0), k as f32));
    image.hard_negatives = boxes.collect();
    image.hard_negatives.push((BoundingBox::new(1.0, 1.0, 5.0, 8.0), 99.0));
    let sampler = |batch_per_image| SamplerConfig { batch_per_image, ..SamplerConfig::default() };
    let order = |batch, epoch| -> Vec<i64> {
        prioritised(&image, &sampler(batch), epoch).iter().map(|(b, _)| (b.x1 / 10.0) as i64 - 1).collect()
    };
    assert_eq!(order(128, 3), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], "room for all, and the one on the face is gone");
    assert_eq!(order(8, 0)[..6], [9, 8, 7, 6, 5, 4]);
    assert_eq!(order(8, 1)[..6], [3, 2, 1, 0, 9, 8]);
}

#[test]
fn shapes_arrive_in_network_pixels() {
    let mut image = image("10");
    image.faces.push(Shape::Ellipse(Ellipse::new(4.0, 2.0, 0.0, 8.0, 8.0)));
    image.faces.push(Shape::Rectangle(BoundingBox::new(3.0, 3.0, 3.0, 9.0)));
    image.ignored.push(BoundingBox::new(0.0, 0.0, 2.0, 2.0));
    let mut detector = config(1).detector;
    detector.shorter_side = 32;
    let prepared = NetworkImage::prepare(&decode(Path::new("10")).unwrap(), &detector).unwrap();
    let sample = sample_of(&image, prepared, &SamplerConfig::default(), 0);
    assert_eq!(sample.faces.len(), 2, "a face without area can't be learnt");
    assert_eq!(sample.faces[0], BoundingBox::new(2.0, 2.0, 10.0, 18.0));
    assert_eq!(sample.ellipses[1].unwrap().ra, 8.0);
    image.faces = vec![
        Shape::Ellipse(Ellipse::new(4.0, 4.0, 0.0, 15.0, 8.0)),
        Shape::Rectangle(BoundingBox::new(20.0, 0.0, 25.0, 5.0)),
    ];
    let prepared = NetworkImage::prepare(&decode(Path::new("10")).unwrap(), &detector).unwrap();
    let cut = sample_of(&image, prepared, &SamplerConfig::default(), 0);
    assert_eq!(cut.faces, [BoundingBox::new(22.0, 8.0, 32.0, 24.0)], "cut at the border; one wholly outside is gone");
    assert_eq!(cut.ellipses[0].unwrap().cx, 30.0);
    assert_eq!(sample.ignored[0], BoundingBox::new(0.0, 0.0, 4.0, 4.0));
}

/// Shapes that an import skips today may still be in a project, or come with a merged verdict.
#[test]
fn shapes_that_cannot_be_objects_are_never_learnt() {
    let mut image = image("10");
    let good = Shape::Rectangle(BoundingBox::new(3.0, 3.0, 9.0, 9.0));
    image.faces = vec![
        good,
        Shape::Rectangle(BoundingBox::new(40.0, 3.0, 49.0, 9.0)),
        Shape::Rectangle(BoundingBox::new(3.0, 3.0, 3.01, 9.0)),
        Shape::Rectangle(BoundingBox::new(-1e300, 0.0, 1e300, 9.0)),
        Shape::Ellipse(Ellipse::new(1e308, 2.0, 0.0, 8.0, 8.0)),
        Shape::Ellipse(Ellipse::new(f64::NAN, 2.0, 0.0, 8.0, 8.0)),
    ];
    image.hard_negatives =
        vec![(BoundingBox::new(30.0, 1.0, 35.0, 8.0), 0.9), (BoundingBox::new(9.0, 9.0, 15.0, 15.0), 0.8)];
    image.ignored = vec![BoundingBox::new(f64::NEG_INFINITY, 0.0, 2.0, 2.0), BoundingBox::new(0.0, 0.0, 2.0, 2.0)];
    let kept = with_valid_shapes(&image, (16, 16));
    assert_eq!(kept.faces, [good]);
    assert_eq!((kept.hard_negatives.len(), kept.hard_negatives[0].1, kept.ignored.len()), (1, 0.8, 1));
}
