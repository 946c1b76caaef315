//! Images with the same content in several datasets: which copy is used, and how the others' annotations are treated.
//!
//! The rule: of copies in several datasets, those of one dataset are trained on and mined: the first imported one that annotates an object,
//! otherwise the first imported. What only another copy annotates is an ignored region in training and not a false positive in mining.
//! Copies within one dataset are part of its protocol (FDDB counts both) and left alone.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{Annotation, CANDIDATE_MAX_IOU, DatasetId, ImageId, ImageRecord};
use crate::geometry::BoundingBox;

/// Annotations by image; an image without any may have no entry.
pub type Truth = HashMap<ImageId, Vec<Annotation>>;

/// Content that several datasets of a project share.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    by_hash: HashMap<String, Vec<(DatasetId, ImageId)>>,
    counting: HashMap<String, DatasetId>,
}

#[cfg_attr(not(feature = "torch"), allow(dead_code, reason = "nothing is trained or mined without libtorch"))]
impl Copies {
    pub fn new(images: &[ImageRecord], truth: &Truth) -> Self {
        let mut all: HashMap<&str, Vec<&ImageRecord>> = HashMap::new();
        for image in images {
            all.entry(image.content_hash.as_str()).or_default().push(image);
        }
        let mut copies = Self::default();
        for (hash, images) in all {
            if images.iter().all(|image| image.dataset == images[0].dataset) {
                continue;
            }
            // Annotated datasets first, then in import order.
            let mut datasets: BTreeMap<DatasetId, bool> = BTreeMap::new();
            for image in &images {
                let is_annotated = truth.get(&image.id).is_some_and(|annotations| !annotations.is_empty());
                *datasets.entry(image.dataset).or_default() |= is_annotated;
            }
            let first = datasets.iter().min_by_key(|(dataset, is_annotated)| (!**is_annotated, **dataset));
            copies.counting.extend(first.map(|(dataset, _)| (hash.to_owned(), *dataset)));
            copies.by_hash.insert(hash.to_owned(), images.iter().map(|image| (image.dataset, image.id)).collect());
        }
        copies
    }

    /// Whether the image is the copy that is used; true without copies.
    pub fn counts(&self, image: &ImageRecord) -> bool {
        self.counting.get(&image.content_hash).is_none_or(|dataset| *dataset == image.dataset)
    }

    /// Returns the images of other datasets with the same content.
    pub fn of<'a>(&'a self, image: &'a ImageRecord) -> impl Iterator<Item = ImageId> + 'a {
        let all = self.by_hash.get(&image.content_hash).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|(dataset, _)| *dataset != image.dataset).map(|(_, id)| *id)
    }

    /// Returns everything annotated on the image: its own annotations, then as ignored those that only copies have.
    pub fn annotations(&self, image: &ImageRecord, truth: &Truth) -> Vec<Annotation> {
        let of = |id: ImageId| truth.get(&id).map_or(&[][..], Vec::as_slice);
        let mut all = of(image.id).to_vec();
        for copy in self.of(image) {
            for annotation in of(copy) {
                let boxes: Vec<BoundingBox> = all.iter().map(|own| own.shape.bounding_box()).collect();
                let bbox = annotation.shape.bounding_box();
                if bbox.max_iou(&boxes).is_none_or(|(_, iou)| iou < CANDIDATE_MAX_IOU) {
                    all.push(Annotation { ignored: true, ..*annotation });
                }
            }
        }
        all
    }

    /// Returns the ground truth for testing `images`: each one's own annotations, or if it has none, those of the copy that is used.
    pub fn tested_with(&self, images: &[ImageRecord], truth: &Truth) -> Truth {
        let of = |id: ImageId| truth.get(&id).filter(|annotations| !annotations.is_empty());
        let annotations = |image: &ImageRecord| {
            let own = of(image.id);
            let counting = self.counting.get(&image.content_hash);
            let all = self.by_hash.get(&image.content_hash).map_or(&[][..], Vec::as_slice);
            let copied = || all.iter().filter(|(dataset, _)| Some(dataset) == counting).find_map(|(_, id)| of(*id));
            own.or_else(copied).map(|annotations| (image.id, annotations.clone()))
        };
        images.iter().filter_map(annotations).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AnnotationSource, ClassId, Shape};

    fn image(id: i64, dataset: i64, hash: &str) -> ImageRecord {
        ImageRecord {
            id: ImageId(id),
            dataset: DatasetId(dataset),
            name: format!("image {id}"),
            path: format!("{id}.jpg"),
            content_hash: hash.to_owned(),
            width: 400,
            height: 300,
            split: None,
        }
    }

    fn annotation(x: f64) -> Annotation {
        let shape = Shape::Rectangle(BoundingBox::from_xywh(x, 0.0, 10.0, 10.0));
        Annotation { class: ClassId::ONLY, shape, source: AnnotationSource::Imported, ignored: false }
    }

    #[test]
    fn annotated_copies_count_and_then_the_first_imported() {
        let images = [image(1, 1, "a"), image(2, 2, "a"), image(3, 3, "a"), image(4, 1, "b"), image(5, 2, "b")];
        let check = |annotated: &[i64], expected: &[i64]| {
            let truth = annotated.iter().map(|id| (ImageId(*id), vec![annotation(0.0)])).collect();
            let copies = Copies::new(&images, &truth);
            let counting: Vec<i64> = images.iter().filter(|i| copies.counts(i)).map(|i| i.id.0).collect();
            assert_eq!(counting, expected, "{annotated:?}");
        };
        check(&[], &[1, 4]);
        check(&[3], &[3, 4]);
        check(&[2, 3, 5], &[2, 5]);
        let one = [image(1, 1, "a"), image(2, 1, "a")];
        let copies = Copies::new(&one, &Truth::new());
        assert!(one.iter().all(|image| copies.counts(image)), "a dataset's own copies are its protocol");
    }

    #[test]
    fn what_only_a_copy_annotates_is_ignored_and_an_unannotated_test_image_takes_the_copys() {
        let images = [image(1, 1, "a"), image(2, 2, "a"), image(3, 3, "a")];
        let truth =
            Truth::from([(ImageId(2), vec![annotation(0.0)]), (ImageId(3), vec![annotation(1.0), annotation(50.0)])]);
        let copies = Copies::new(&images, &truth);
        let at = |annotations: &[Annotation]| -> Vec<(f64, bool)> {
            annotations.iter().map(|a| (a.shape.bounding_box().x1, a.ignored)).collect()
        };
        assert_eq!(at(&copies.annotations(&images[1], &truth)), [(0.0, false), (50.0, true)]);
        let tested = copies.tested_with(&images, &truth);
        assert_eq!(at(&tested[&ImageId(1)]), [(0.0, false)]);
        assert_eq!(
            at(&tested[&ImageId(3)]),
            [(1.0, false), (50.0, false)],
            "a published number counts the dataset's own"
        );
    }
}
