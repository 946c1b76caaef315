//! Plans the export: images with their objects, background, and what is excluded and why.

use std::collections::{BTreeMap, HashMap};

use super::choice::choose;
use super::{Excluded, NegativesAs, TrainingExport, TrainingFormat};
use crate::domain::{Annotation, ClassId, DatasetId, ImageId, ImageRecord, Shape, sort_splits};
use crate::geometry::BoundingBox;
use crate::store::{MinedNegative, Store};
use crate::workflow::WorkflowError;
use crate::workflow::copies::Copies;
use crate::workflow::export::images_in;

/// Why an image without objects is excluded.
pub(super) const UNREVIEWED: &str = "no object is annotated, and nobody has confirmed that it has none";
/// ultralytics refuses smaller images.
const SMALLEST_SIDE: f64 = 10.0;
/// Margin of a crop around its region, as a fraction of the region's sides, if the whole image was reviewed.
const MARGIN: f64 = 0.5;

/// The part that an image belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Train,
    Val,
    Test,
}

impl Part {
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// An object with the index of its class in [`Plan::classes`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Labelled {
    pub class: usize,
    pub shape: Shape,
    pub source: &'static str,
}

/// An image of the export: whole, or a crop.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub image: ImageRecord,
    pub part: Part,
    /// The region to crop in whole pixels. `None`: the whole image.
    pub crop: Option<BoundingBox>,
    pub objects: Vec<Labelled>,
    /// Neither objects nor background.
    pub ignored: Vec<(usize, BoundingBox)>,
    /// The hard negatives that it contains.
    pub negatives: Vec<MinedNegative>,
    /// Additional entries in the training list.
    pub repeats: u32,
}

impl Item {
    pub fn is_crop(&self) -> bool {
        self.crop.is_some()
    }

    pub fn is_background(&self) -> bool {
        self.objects.is_empty() && self.ignored.is_empty()
    }
}

/// The export before any file is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub classes: Vec<String>,
    pub items: Vec<Item>,
    pub excluded: Vec<Excluded>,
    pub class_names: HashMap<ClassId, String>,
    pub datasets: HashMap<DatasetId, String>,
    /// Hard negatives that the dose selected and excluded.
    pub chosen: usize,
    pub left: usize,
    /// Number of images without objects that nobody marked as complete.
    pub unreviewed: usize,
}

/// What is known about an image.
struct Known {
    image: ImageRecord,
    part: Part,
    annotations: Vec<Annotation>,
    rejected: Vec<(ClassId, BoundingBox)>,
    is_complete: bool,
}

impl Known {
    fn has_objects(&self) -> bool {
        self.annotations.iter().any(|a| !a.ignored)
    }

    /// Whether no annotated object, including ignored ones, and no rejected region overlaps it.
    fn is_free(&self, region: &BoundingBox) -> bool {
        let boxes = self.annotations.iter().map(|a| a.shape.bounding_box()).chain(self.rejected.iter().map(|r| r.1));
        boxes.into_iter().all(|b| b.x1 >= region.x2 || b.x2 <= region.x1 || b.y1 >= region.y2 || b.y2 <= region.y1)
    }

    /// Returns the crop for a hard negative: whole pixels, without anything else in it. Larger than the region itself only if the whole
    /// image was reviewed.
    fn crop(&self, bbox: &BoundingBox) -> Result<BoundingBox, &'static str> {
        let (width, height) = (f64::from(self.image.width), f64::from(self.image.height));
        let whole = |b: BoundingBox| {
            let inside = b.clipped(width, height);
            BoundingBox::new(inside.x1.floor(), inside.y1.floor(), inside.x2.ceil(), inside.y2.ceil())
        };
        let (dx, dy) = (bbox.width() * MARGIN, bbox.height() * MARGIN);
        let larger = whole(BoundingBox::new(bbox.x1 - dx, bbox.y1 - dy, bbox.x2 + dx, bbox.y2 + dy));
        let region = if self.is_complete && self.is_free(&larger) { larger } else { whole(*bbox) };
        if !self.is_free(&region) {
            return Err("it contains an object or a rejected region");
        }
        if region.width() < SMALLEST_SIDE || region.height() < SMALLEST_SIDE {
            return Err("it is smaller than 10 pixels");
        }
        Ok(region)
    }
}

impl Plan {
    pub fn new(store: &Store, settings: &TrainingExport) -> Result<Self, WorkflowError> {
        let images = images_in(store, &settings.scope)?;
        check_splits(&images, settings)?;
        let classes = store.classes()?;
        let index: HashMap<ClassId, usize> = classes.iter().enumerate().map(|(k, class)| (class.id, k)).collect();
        let mut plan = Self {
            class_names: classes.iter().map(|class| (class.id, class.name.clone())).collect(),
            classes: classes.into_iter().map(|class| class.name).collect(),
            datasets: store.datasets()?.into_iter().map(|dataset| (dataset.id, dataset.name)).collect(),
            ..Self::default()
        };
        let known = plan.known(store, settings, images)?;
        let with_objects = known.iter().filter(|k| k.part == Part::Train && k.has_objects()).count();
        let place: BTreeMap<ImageId, usize> = known.iter().enumerate().map(|(k, known)| (known.image.id, k)).collect();
        let mined: Vec<MinedNegative> = store
            .mined_negatives(settings.hard_negatives)?
            .into_iter()
            .filter(|mined| place.get(&mined.image).is_some_and(|k| known[*k].part == Part::Train))
            .collect();
        let (chosen, left) = choose(&mined, &settings.dose, with_objects);
        (plan.chosen, plan.left) = (chosen.len(), left);
        let mut of_image: HashMap<ImageId, Vec<MinedNegative>> = HashMap::new();
        for mined in chosen {
            of_image.entry(mined.image).or_default().push(mined);
        }
        for known in known {
            let negatives = of_image.remove(&known.image.id).unwrap_or_default();
            plan.add(&known, negatives, settings, &index);
        }
        Ok(plan)
    }

    /// Returns the images in use, with everything known about them.
    fn known(
        &mut self,
        store: &Store,
        settings: &TrainingExport,
        images: Vec<ImageRecord>,
    ) -> Result<Vec<Known>, WorkflowError> {
        let truth = store.all_ground_truth()?;
        let copies = Copies::new(&store.images()?, &truth);
        let complete = store.complete_images()?;
        let mut rejected = store.rejected_regions_of_classes()?;
        let mut known = Vec::new();
        for image in images {
            if !copies.counts(&image) {
                self.exclude(&image, "its bytes are those of an image of another dataset, which is exported");
                continue;
            }
            let is_in = |splits: &[String]| image.split.as_ref().is_some_and(|split| splits.contains(split));
            let part = match (is_in(&settings.val), is_in(&settings.test)) {
                (true, _) => Part::Val,
                (_, true) => Part::Test,
                _ => Part::Train,
            };
            known.push(Known {
                part,
                annotations: copies.annotations(&image, &truth),
                rejected: rejected.remove(&image.id).unwrap_or_default(),
                is_complete: complete.contains_key(&image.id),
                image,
            });
        }
        Ok(known)
    }

    fn exclude(&mut self, image: &ImageRecord, reason: &str) {
        let dataset = self.datasets.get(&image.dataset).cloned().unwrap_or_default();
        self.excluded.push(Excluded { dataset, image: image.name.clone(), reason: reason.to_owned() });
    }

    fn add(
        &mut self,
        known: &Known,
        negatives: Vec<MinedNegative>,
        settings: &TrainingExport,
        index: &HashMap<ClassId, usize>,
    ) {
        let whole = self.whole(known, settings, index);
        let mut shown = Vec::new();
        let mut crops = Vec::new();
        let mut repeated = Vec::new();
        for mined in negatives {
            match &whole {
                Some(item) if item.objects.is_empty() => shown.push(mined),
                Some(_) if settings.negatives_as == NegativesAs::Repeats => repeated.push(mined),
                _ => match known.crop(&mined.negative.bbox) {
                    Ok(region) => crops.push((mined, region)),
                    Err(_) if whole.is_some() => repeated.push(mined),
                    Err(why) => {
                        let reason =
                            format!("hard negative {}: {why}, and the image itself is not exported", mined.candidate);
                        self.exclude(&known.image, &reason);
                    }
                },
            }
        }
        if let Some(mut item) = whole {
            item.repeats = if repeated.is_empty() { 0 } else { settings.dose.repeat };
            item.negatives = shown.into_iter().chain(repeated).collect();
            self.items.push(item);
        }
        for (mined, region) in crops {
            self.items.push(Item {
                image: known.image.clone(),
                part: known.part,
                crop: Some(region),
                objects: Vec::new(),
                ignored: Vec::new(),
                negatives: vec![mined],
                repeats: 0,
            });
        }
    }

    /// Exports the image as a whole, if possible.
    fn whole(&mut self, known: &Known, settings: &TrainingExport, index: &HashMap<ClassId, usize>) -> Option<Item> {
        if known.annotations.is_empty() && !known.is_complete {
            self.unreviewed += 1;
            self.exclude(&known.image, UNREVIEWED);
            return None;
        }
        let only_ignored = !known.annotations.is_empty() && !known.has_objects();
        if only_ignored && settings.format == TrainingFormat::Yolo {
            self.exclude(&known.image, "all of its objects are ignored: an empty label would call them background");
            return None;
        }
        let class = |class: &ClassId| index.get(class).copied();
        let objects = known
            .annotations
            .iter()
            .filter(|a| !a.ignored)
            .filter_map(|a| Some(Labelled { class: class(&a.class)?, shape: a.shape, source: a.source.as_str() }));
        let ignored = known
            .annotations
            .iter()
            .filter(|a| a.ignored)
            .map(|a| (a.class, a.shape.bounding_box()))
            .chain(known.rejected.iter().copied())
            .filter_map(|(of, bbox)| Some((class(&of)?, bbox)));
        Some(Item {
            objects: objects.collect(),
            ignored: ignored.collect(),
            image: known.image.clone(),
            part: known.part,
            crop: None,
            negatives: Vec::new(),
            repeats: 0,
        })
    }
}

/// Refuses splits without images, and repeated ones.
fn check_splits(images: &[ImageRecord], settings: &TrainingExport) -> Result<(), WorkflowError> {
    let mut there: Vec<String> = images.iter().filter_map(|image| image.split.clone()).collect();
    sort_splits(&mut there);
    if let Some(split) = settings.val.iter().find(|split| settings.test.contains(split)) {
        return Err(WorkflowError::Refused(format!(
            "split `{split}` is named for validation and for testing. Choose one of the two."
        )));
    }
    match settings.val.iter().chain(&settings.test).find(|split| !there.contains(split)) {
        None => Ok(()),
        Some(split) => {
            let text = format!("there is no split `{split}` here; there are {}.", there.join(", "));
            Err(WorkflowError::Refused(text))
        }
    }
}
