//! On which annotated objects the detections of each class number lie: that shows what the numbers mean.

use std::collections::{BTreeMap, BTreeSet};

use super::{Scene, in_pixels};
use crate::dataset::results::{ClassKey, Results, Unit};
use crate::domain::{Class, ClassId};
use crate::geometry::BoundingBox;

/// A detection lies on an object from this IoU on.
const ON_OBJECT: f64 = 0.5;
/// For each class number of a file, on objects of which class its detections lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Overlaps(BTreeMap<i64, BTreeMap<ClassId, usize>>);

impl Overlaps {
    /// `places`: of each record's image in the scene.
    pub fn new(scene: &Scene, results: &Results, places: &[Result<usize, String>], unit: Unit) -> Self {
        let mut found = Self::default();
        for (record, place) in results.records.iter().zip(places) {
            let (ClassKey::Number(number), Ok(at)) = (&record.class, place) else { continue };
            let Some(image) = scene.images.get(*at) else { continue };
            let annotations = scene.truth.get(&image.id).map_or(&[][..], Vec::as_slice);
            let objects = annotations.iter().filter(|annotation| !annotation.ignored);
            let (classes, boxes): (Vec<ClassId>, Vec<BoundingBox>) =
                objects.map(|object| (object.class, object.shape.bounding_box())).unzip();
            let bbox = in_pixels(&record.shape, unit, image.width, image.height).bounding_box();
            let Some((nearest, iou)) = bbox.max_iou(&boxes) else { continue };
            if iou >= ON_OBJECT
                && let Some(class) = classes.get(nearest)
            {
                *found.0.entry(*number).or_default().entry(*class).or_default() += 1;
            }
        }
        found
    }

    /// The class on whose objects most detections of this number lie, with their number and that of all on objects.
    pub fn likely(&self, number: i64) -> Option<(ClassId, usize, usize)> {
        let on = self.0.get(&number)?;
        let (class, most) = on.iter().max_by_key(|(_, count)| **count)?;
        let all = self.on_any(number);
        (most * 2 > all).then_some((*class, *most, all))
    }

    /// Detections of this number on objects of any class.
    pub fn on_any(&self, number: i64) -> usize {
        self.0.get(&number).map_or(0, |on| on.values().sum())
    }

    /// On objects of this class.
    pub fn of(&self, number: i64, class: ClassId) -> usize {
        self.0.get(&number).and_then(|on| on.get(&class)).copied().unwrap_or(0)
    }

    /// What the numbers would be mapped to by these objects, as `--map` takes it; `None` where they do not tell it of all.
    pub fn as_map(&self, numbers: &BTreeSet<i64>, classes: &[Class]) -> Option<String> {
        let pair = |number: &i64| {
            let (class, ..) = self.likely(*number)?;
            let class = classes.iter().find(|known| known.id == class)?;
            Some(format!("{number}={}", class.name))
        };
        Some(numbers.iter().map(pair).collect::<Option<Vec<_>>>()?.join(",")).filter(|map| !map.is_empty())
    }
}
