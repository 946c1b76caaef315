//! Maps the classes of a third-party model to the project's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::classes::{ClassFinder, ClassHints};
use super::overlaps::Overlaps;
use super::{Facts, ModelRequest};
use crate::dataset::BadRecord;
use crate::dataset::results::ClassKey;
use crate::domain::{ClassId, Detection, ImageRecord, Shape, check_shape, counted_as};
use crate::models::ModelDetection;
use crate::store::Store;
use crate::workflow::WorkflowError;
use crate::workflow::mine::Seen;

/// The project's classes for the model's, and what could not be matched.
pub(super) struct ModelClasses {
    names: Vec<String>,
    finder: ClassFinder,
    left_out: BTreeMap<String, usize>,
    problems: Vec<BadRecord>,
    notes: Vec<String>,
}

impl ModelClasses {
    /// Refuses a model without any class of the project.
    /// If the project is opened `only_read`, it must have the classes already.
    pub fn new(
        store: &mut Store,
        names: &[String],
        request: &ModelRequest,
        only_read: bool,
    ) -> Result<Self, WorkflowError> {
        if only_read && store.classes()?.is_empty() {
            return Err(WorkflowError::Refused(
                "the project has no class yet, and a shard only reads it. Import a dataset with annotations first."
                    .to_owned(),
            ));
        }
        let names = class_names(store, names, request)?;
        let keys: BTreeSet<ClassKey> = names.iter().cloned().map(ClassKey::Name).collect();
        let mut notes = Vec::new();
        let (names_of_numbers, overlaps) = (BTreeMap::new(), Overlaps::default());
        let hints = ClassHints {
            names: &names_of_numbers,
            map: &request.map,
            only: None,
            overlaps: &overlaps,
            dry_run: only_read,
        };
        let finder = ClassFinder::new(store, &keys.iter().collect(), &hints, &mut notes)?;
        let problems: Vec<String> = keys.iter().filter_map(|key| finder.find(key).err()).collect();
        if let Some(first) = problems.first()
            && problems.len() == keys.len()
        {
            return Err(WorkflowError::Refused(format!(
                "no class of {} is one of the project: {first}. Add the class with `quarry classes`, or say what the model's classes are \
                 called in the project: --map NAME=CLASS",
                request.path.display()
            )));
        }
        Ok(Self { names, finder, left_out: BTreeMap::new(), problems: Vec::new(), notes })
    }

    fn class(&self, class: usize) -> Result<ClassId, String> {
        let unnamed = || unnamed(class);
        self.finder.find(&ClassKey::Name(self.names.get(class).cloned().unwrap_or_else(unnamed)))
    }

    /// Returns the detections with the project's classes; those of unknown classes are counted.
    pub fn seen(&mut self, image: &ImageRecord, found: Vec<ModelDetection>) -> Vec<Seen> {
        let mut seen = Vec::with_capacity(found.len());
        for detection in found {
            let class = match self.class(detection.class) {
                Ok(class) => class,
                Err(problem) => {
                    *self.left_out.entry(problem).or_default() += 1;
                    continue;
                }
            };
            let kept = Detection { class, bbox: detection.bbox, ellipse: None, score: detection.score };
            match check_shape(&Shape::Rectangle(detection.bbox), image.width, image.height) {
                Ok(()) => seen.push((kept, None)),
                Err(problem) => {
                    let file = PathBuf::from(&image.name);
                    self.problems.push(BadRecord { file, line: None, problem: problem.to_string() });
                }
            }
        }
        seen
    }

    pub fn facts(self, unreadable: Vec<PathBuf>, format: &'static str) -> Facts {
        let Self { left_out, mut problems, mut notes, .. } = self;
        problems.extend(unreadable.into_iter().map(|file| BadRecord {
            file,
            line: None,
            problem: "the image cannot be read: nothing is known of it".to_owned(),
        }));
        notes.extend(
            left_out.into_iter().map(|(problem, n)| {
                format!("{} left out: {problem}", counted_as(n, "detection was", "detections were"))
            }),
        );
        Facts { problems, notes, unscored: 0, format }
    }
}

/// Maximum class number if a model names no class and its outputs do not determine their number.
const UNNAMED: usize = 1000;

fn unnamed(class: usize) -> String {
    format!("class {class}")
}

fn class_names(store: &Store, names: &[String], request: &ModelRequest) -> Result<Vec<String>, WorkflowError> {
    if !names.is_empty() {
        return Ok(names.to_vec());
    }
    if store.classes()?.is_empty() {
        return Err(WorkflowError::Refused(format!(
            "{}: neither the model nor the project names a class. Write `classes = [\"...\"]` into a model.toml next to the model.",
            request.path.display()
        )));
    }
    Ok((0..UNNAMED).map(unnamed).collect())
}
