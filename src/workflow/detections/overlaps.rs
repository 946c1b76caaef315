//! Counts which classes of annotated objects the detections of each class number overlap: evidence for what the numbers mean.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Scene;
use super::pixels::Pixels;
use crate::dataset::results::{ClassKey, Results};
use crate::domain::{Class, ClassId};
use crate::geometry::BoundingBox;

/// Minimum IoU at which a detection is on an object.
const ON_OBJECT: f64 = 0.5;

/// For each class number of a file, the number of its detections on objects of each class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Overlaps(BTreeMap<i64, BTreeMap<ClassId, usize>>);

impl Overlaps {
    /// `places`: the index of each record's image in the scene.
    pub fn new(scene: &Scene, results: &Results, places: &[Result<usize, String>], pixels: &Pixels) -> Self {
        let mut found = Self::default();
        // By image: a crowded image has many records.
        let mut objects_of: HashMap<usize, (Vec<ClassId>, Vec<BoundingBox>)> = HashMap::new();
        for (record, place) in results.records.iter().zip(places) {
            let (ClassKey::Number(number), Ok(at)) = (&record.class, place) else { continue };
            let Some(image) = scene.images.get(*at) else { continue };
            let (classes, boxes) = objects_of.entry(*at).or_insert_with(|| {
                let annotations = scene.truth.get(&image.id).map_or(&[][..], Vec::as_slice);
                let objects = annotations.iter().filter(|annotation| !annotation.ignored);
                objects.map(|object| (object.class, object.shape.bounding_box())).unzip()
            });
            let bbox = pixels.shape(*at, image, &record.shape).bounding_box();
            let Some((nearest, iou)) = bbox.max_iou(boxes) else { continue };
            if iou >= ON_OBJECT
                && let Some(class) = classes.get(nearest)
            {
                *found.0.entry(*number).or_default().entry(*class).or_default() += 1;
            }
        }
        found
    }

    /// Returns the class whose objects most detections of this number overlap, their count, and the count on objects of any class.
    pub fn likely(&self, number: i64) -> Option<(ClassId, usize, usize)> {
        let on = self.0.get(&number)?;
        let (class, most) = on.iter().max_by_key(|(_, count)| **count)?;
        let all = self.on_any(number);
        (most * 2 > all).then_some((*class, *most, all))
    }

    /// Returns the number of detections with this class number on objects of any class.
    pub fn on_any(&self, number: i64) -> usize {
        self.0.get(&number).map_or(0, |on| on.values().sum())
    }

    /// Returns the number of them on objects of this class.
    pub fn of(&self, number: i64, class: ClassId) -> usize {
        self.0.get(&number).and_then(|on| on.get(&class)).copied().unwrap_or(0)
    }

    /// Returns the mapping that these objects suggest, in the syntax of `--map`; `None` if they do not determine all numbers.
    pub fn as_map(&self, numbers: &BTreeSet<i64>, classes: &[Class]) -> Option<String> {
        let pair = |number: &i64| {
            let (class, ..) = self.likely(*number)?;
            let class = classes.iter().find(|known| known.id == class)?;
            Some(format!("{number}={}", class.name))
        };
        Some(numbers.iter().map(pair).collect::<Option<Vec<_>>>()?.join(",")).filter(|map| !map.is_empty())
    }
}
