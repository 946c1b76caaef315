//! Marks on whole images: who marked them as complete, for which content, and what removes a mark.

use quarry::domain::ImageId;
use quarry::store::{Store, StoreError};

use super::project::{dataset, project};

#[test]
fn a_mark_stands_until_its_annotator_takes_it_back() {
    let mut p = project();
    let images: Vec<ImageId> = p.store.images().unwrap().iter().map(|image| image.id).collect();
    assert_eq!(p.store.mark_images(&images[..2], "Ada", true).unwrap(), 2);
    assert_eq!(p.store.mark_images(&images[..3], "Ada", true).unwrap(), 1, "what is marked gets no second row");
    assert!(p.store.toggle_image_mark(images[0], "Grace").unwrap());
    assert_eq!(p.store.image_marks(images[0]).unwrap(), ["Ada", "Grace"]);
    assert!(!p.store.toggle_image_mark(images[0], "Ada").unwrap());
    let complete = p.store.complete_images().unwrap();
    assert_eq!(complete.keys().copied().collect::<Vec<_>>(), images[..3]);
    assert_eq!(complete[&images[0]], ["Grace"]);
    assert_eq!(p.store.mark_images(&images, "Ada", false).unwrap(), 2);
    assert_eq!(p.store.complete_images().unwrap().len(), 1);

    let missing = p.store.mark_images(&[images[1], ImageId(99)], "Ada", true).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }) && missing.to_string().contains("99"), "{missing}");
    assert_eq!(p.store.complete_images().unwrap().len(), 1, "all or none");
    assert!(p.store.mark_images(&images, " ", true).is_err(), "nobody");
    let path = p.store.path().to_owned();
    drop(p.store);
    assert_eq!(Store::open(&path).unwrap().complete_images().unwrap().len(), 1);
}

#[test]
fn another_file_under_the_name_has_to_be_looked_at_again() {
    let mut p = project();
    let image = p.store.images().unwrap()[1].id;
    p.store.mark_images(&[image], "Ada", true).unwrap();
    let mut new = dataset();
    new.images[1].content_hash = "another".to_owned();
    p.store.add_dataset(&new).unwrap();
    assert!(p.store.complete_images().unwrap().is_empty());
    assert_eq!(p.store.mark_images(&[image], "Ada", true).unwrap(), 1);
    // The first content returns: the newest mark was for other content.
    p.store.add_dataset(&dataset()).unwrap();
    assert!(p.store.image_marks(image).unwrap().is_empty());
    new.images.remove(1);
    p.store.add_dataset(&new).unwrap();
    let error = p.store.mark_images(&[image], "Ada", true).unwrap_err().to_string();
    assert!(error.contains("no longer in its dataset"), "{error}");
}
