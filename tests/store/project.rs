//! Small projects for the tests.

use std::path::PathBuf;

use quarry::domain::{Annotation, AnnotationSource, CandidateId, ClassId, FalsePositiveKind, ImageId, RoundId, Shape};
use quarry::geometry::BoundingBox;
use quarry::store::{CandidateQuery, NewCandidate, NewDataset, NewImage, NewObject, Store, VerdictFilter};
use tempfile::TempDir;

pub struct Project {
    pub dir: TempDir,
    pub store: Store,
    pub round: RoundId,
}

impl Project {
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("quarry.db")
    }

    /// Closes the database and opens it again.
    pub fn reopen(&mut self) {
        let other = Store::open_read_only(&self.path()).unwrap();
        drop(std::mem::replace(&mut self.store, other));
        self.store = Store::open(&self.path()).unwrap();
    }

    pub fn candidates(&self) -> Vec<CandidateId> {
        let all = CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..CandidateQuery::default() };
        self.store.candidate_ids(&all).unwrap()
    }
}

pub fn bb(x1: f64, y1: f64, x2: f64, y2: f64) -> BoundingBox {
    BoundingBox::new(x1, y1, x2, y2)
}

pub fn face(b: BoundingBox) -> Annotation {
    Annotation { class: ClassId::ONLY, shape: Shape::Rectangle(b), source: AnnotationSource::Imported, ignored: false }
}

pub fn new_object(of: &Annotation) -> NewObject {
    NewObject { class: of.class.0 as u32 - 1, shape: of.shape, ignored: of.ignored }
}

/// Annotation classes are those of the dataset, in order.
#[allow(clippy::needless_pass_by_value, reason = "tests read better with a list in place")]
pub fn new_image(name: &str, fold: Option<u8>, objects: Vec<Annotation>) -> NewImage {
    NewImage {
        name: name.to_owned(),
        path: PathBuf::from(format!("pics/{name}.jpg")),
        content_hash: format!("hash of {name}"),
        width: 640,
        height: 480,
        split: fold.map(|fold| fold.to_string()),
        objects: objects.iter().map(new_object).collect(),
    }
}

/// Four images in folds 1 and 2, each but the last with a face at 0,0 - 100,100.
pub fn dataset() -> NewDataset {
    let with_face = || vec![face(bb(0., 0., 100., 100.))];
    NewDataset {
        name: "Small".to_owned(),
        kind: "fddb".to_owned(),
        root: PathBuf::from("/photos/small"),
        classes: vec!["face".to_owned()],
        images: vec![
            new_image("a/one", Some(1), with_face()),
            new_image("a/two", Some(1), with_face()),
            new_image("b/three", Some(2), with_face()),
            new_image("b/FOUR_50%", None, Vec::new()),
        ],
    }
}

/// As if mining had processed all of them.
pub fn every_image(store: &Store) -> Vec<ImageId> {
    store.images().unwrap().iter().map(|image| image.id).collect()
}

pub fn candidate(image: ImageId, bbox: BoundingBox, score: f32) -> NewCandidate {
    NewCandidate { image, class: ClassId::ONLY, bbox, score, max_iou: 0.0, kind: FalsePositiveKind::Background }
}

/// Round 1 with one candidate on each image but the third, which has three: two overlapping and one separate.
pub fn project() -> Project {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create(&dir.path().join("quarry.db")).unwrap();
    store.add_dataset(&dataset()).unwrap();
    let images: Vec<ImageId> = store.images().unwrap().iter().map(|i| i.id).collect();
    let round = store.start_round("iterations = 10\n").unwrap().id;
    let new = [
        candidate(images[0], bb(200., 200., 260., 280.), 0.9),
        candidate(images[1], bb(200., 200., 260., 280.), 0.8),
        candidate(images[2], bb(200., 200., 260., 280.), 0.7),
        candidate(images[2], bb(202., 200., 262., 280.), 0.6),
        candidate(images[2], bb(400., 200., 460., 280.), 0.5),
        candidate(images[3], bb(10., 10., 60., 60.), 0.4),
    ];
    store.replace_candidates(round, &every_image(&store), &new).unwrap();
    Project { dir, store, round }
}
