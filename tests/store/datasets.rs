//! Import, import again, moved folders.

use std::path::Path;

use quarry::domain::{AnnotationSource, Verdict};
use quarry::store::{Store, StoreError};

use super::project::{bb, dataset, face, new_image, new_object, project};

#[test]
fn an_import_is_read_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create(&dir.path().join("quarry.db")).unwrap();
    let counts = store.add_dataset(&dataset()).unwrap();
    assert_eq!((counts.added.len(), counts.changed.len(), counts.unchanged), (4, 0, 0));
    let images = store.images().unwrap();
    assert_eq!(
        images.iter().map(quarry::domain::ImageRecord::fold).collect::<Vec<_>>(),
        [Some(1), Some(1), Some(2), None]
    );
    assert_eq!(images[3].path, "pics/b/FOUR_50%.jpg");
    assert_eq!(store.image(images[2].id).unwrap(), images[2]);
    assert_eq!(store.ground_truth(images[0].id).unwrap()[0].1, face(bb(0., 0., 100., 100.)));
    let all = store.all_ground_truth().unwrap();
    assert_eq!(all.len(), 3, "the image without faces has no entry");
    assert_eq!(store.image_file(images[0].id).unwrap(), Path::new("/photos/small/pics/a/one.jpg"));
}

#[test]
fn importing_again_changes_nothing_but_what_changed() {
    let mut p = project();
    let again = p.store.add_dataset(&dataset()).unwrap();
    assert_eq!((again.added.len(), again.changed.len(), again.unchanged), (0, 0, 4));
    assert_eq!(p.candidates().len(), 6);

    let mut new = dataset();
    new.images[0].objects.push(new_object(&face(bb(195., 195., 265., 285.))));
    new.images[1].content_hash = "another".to_owned();
    new.images.push(new_image("c/five", Some(3), Vec::new()));
    let changed = p.store.add_dataset(&new).unwrap();
    assert_eq!((changed.added.len(), changed.changed.len(), changed.unchanged), (1, 2, 2));
    assert_eq!(p.store.datasets().unwrap().len(), 1);
    assert_eq!(p.candidates().len(), 5, "a candidate on the new face is none any more");
}

#[test]
fn promoted_faces_outlive_an_import() {
    let mut p = project();
    let first = p.candidates()[0];
    p.store.record_verdicts(&[first], "Ada", Verdict::MissedObject, None, 1).unwrap();
    p.store.add_dataset(&dataset()).unwrap();
    let image = p.store.candidate(first).unwrap().image;
    let sources: Vec<_> = p.store.ground_truth(image).unwrap().iter().map(|(_, a)| a.source).collect();
    assert_eq!(sources, [AnnotationSource::Imported, AnnotationSource::Promoted]);
}

#[test]
fn a_moved_folder_keeps_its_images() {
    let mut p = project();
    let image = p.store.images().unwrap()[0].clone();
    let mut moved = dataset();
    moved.root = "/elsewhere".into();
    let counts = p.store.add_dataset(&moved).unwrap();
    assert_eq!(
        (counts.added.len(), counts.unchanged),
        (0, 4),
        "the same content under another root is the same dataset"
    );
    assert_eq!(p.store.image_file(image.id).unwrap(), Path::new("/elsewhere/pics/a/one.jpg"));
    p.store.move_dataset(image.dataset, Path::new("/third")).unwrap();
    assert_eq!(p.store.image_file(image.id).unwrap(), Path::new("/third/pics/a/one.jpg"));

    let mut other = dataset();
    other.root = "/other".into();
    for image in &mut other.images[..2] {
        image.content_hash += ", not the same";
    }
    assert_eq!(p.store.add_dataset(&other).unwrap().added.len(), 4, "what is half another is another dataset");
}

#[test]
fn a_bad_image_leaves_nothing_of_the_import() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create(&dir.path().join("quarry.db")).unwrap();
    let mut new = dataset();
    new.images[3].path = "/absolute.jpg".into();
    assert!(matches!(store.add_dataset(&new), Err(StoreError::Invalid(_))));
    let mut twice = dataset();
    twice.images[3].name = "a/one".to_owned();
    let message = store.add_dataset(&twice).unwrap_err().to_string();
    assert!(message.contains("`a/one` is listed twice"), "{message}");
    assert!(store.datasets().unwrap().is_empty() && store.images().unwrap().is_empty());
}
