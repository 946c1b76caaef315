//! docs/verdicts.md, row by row: what each verdict on each kind of candidate teaches, and what it does to the ground truth.

use quarry::domain::{AnnotationSource, CandidateId, ClassId, FalsePositiveKind, HardNegativeSource, Verdict};
use quarry::store::{NewCandidate, NewDataset, Ruling, Store};

use super::project::{bb, face, new_image};

const CAT: ClassId = ClassId(1);
const DOG: ClassId = ClassId(2);
const BIRD: ClassId = ClassId(3);

/// The table's cells, a row each.
fn rows() -> Vec<Vec<String>> {
    let text = include_str!("../../docs/verdicts.md");
    let lines = text.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// One image with a cat at 0,0 - 100,100, and one candidate of this kind.
fn project(kind: FalsePositiveKind) -> (tempfile::TempDir, Store, CandidateId) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create(&dir.path().join("quarry.db")).unwrap();
    let dataset = NewDataset {
        name: "Pets".to_owned(),
        kind: "coco".to_owned(),
        root: "/pets".into(),
        classes: ["cat", "dog", "bird"].map(str::to_owned).to_vec(),
        images: vec![new_image("one", None, vec![face(bb(0., 0., 100., 100.))])],
    };
    store.add_dataset(&dataset).unwrap();
    let image = store.images().unwrap()[0].id;
    let round = store.start_round("").unwrap().id;
    let (class, bbox, max_iou) = match kind {
        FalsePositiveKind::Background => (DOG, bb(300., 300., 400., 400.), 0.0),
        FalsePositiveKind::Localisation => (CAT, bb(0., 0., 40., 100.), 0.4),
        FalsePositiveKind::Classification => (DOG, bb(0., 0., 90., 100.), 0.9),
        _ => (DOG, bb(0., 0., 40., 100.), 0.4),
    };
    let new = NewCandidate { image, class, bbox, score: 0.9, max_iou, kind };
    store.replace_candidates(round, &[image], &[new]).unwrap();
    let id = store.candidates_of_image(image).unwrap()[0].id;
    assert_eq!(store.candidate(id).unwrap().kind, kind);
    (dir, store, id)
}

fn truth(store: &Store) -> &'static str {
    let image = store.images().unwrap()[0].id;
    let objects: Vec<_> = store.ground_truth(image).unwrap().into_iter().map(|(_, o)| (o.source, o.class)).collect();
    match objects.as_slice() {
        [(AnnotationSource::Imported, CAT)] => "as it was",
        [(AnnotationSource::Imported, CAT), (AnnotationSource::Promoted, BIRD)] => "promoted",
        [(AnnotationSource::Edited, BIRD)] => "edited",
        other => panic!("{other:?}"),
    }
}

fn learns(store: &Store, source: HardNegativeSource) -> &'static str {
    let hard = store.hard_negatives(source, 2).unwrap();
    let rejected = store.rejected_regions().unwrap();
    match (hard.values().flatten().next(), rejected.is_empty(), truth(store)) {
        (Some(negative), true, "as it was") if negative.kind == FalsePositiveKind::Classification => "foreground",
        (Some(_), true, "as it was") => "background",
        (None, false, "as it was") => "ignored",
        (None, true, "promoted") => "object",
        (None, true, "edited") => "corrected",
        (None, true, "as it was") => "nothing",
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_row_of_the_table_is_true() {
    let rows = rows();
    for row in &rows {
        let [kind, verdict, confirmed, unreviewed, ground_truth] = row.as_slice() else { panic!("{row:?}") };
        let (_dir, mut store, id) = project(FalsePositiveKind::parse(kind).unwrap());
        if verdict != "none" {
            let verdict = Verdict::parse(verdict).unwrap();
            let ruling = Ruling { verdict, class: verdict.has_class().then_some(BIRD), reason: None };
            store.decide(&[id], "Ada", &ruling, 1).unwrap();
        }
        assert_eq!(learns(&store, HardNegativeSource::Confirmed), confirmed, "{row:?}");
        assert_eq!(learns(&store, HardNegativeSource::Unreviewed), unreviewed, "{row:?}");
        assert_eq!(truth(&store), ground_truth, "{row:?}");
        let own = store.own_ground_truth().unwrap();
        assert_eq!(own.values().flatten().map(|o| o.class).collect::<Vec<_>>(), [CAT], "{row:?}");
        if store.undo("Ada", 2).unwrap().is_some() {
            assert_eq!((truth(&store), store.rejected_regions().unwrap().len()), ("as it was", 0), "undone {row:?}");
        }
    }
}

#[test]
fn the_table_has_every_kind_and_verdict() {
    let rows = rows();
    let kinds = FalsePositiveKind::ALL.into_iter().filter(|kind| *kind != FalsePositiveKind::Duplicate);
    for kind in kinds {
        for verdict in Verdict::ALL.map(Verdict::as_str).into_iter().chain(["none"]) {
            let found = rows.iter().filter(|row| row[0] == kind.as_str() && row[1] == verdict).count();
            assert_eq!(found, 1, "{} x {verdict}", kind.as_str());
        }
    }
    assert_eq!(rows.len(), 4 * 6);
}
