//! Several classes: kinds, verdicts with a class, corrections, renaming and merging.

use quarry::domain::FalsePositiveKind::{Background, Both, Classification, Duplicate, Localisation};
use quarry::domain::{
    AnnotationSource, CandidateId, ClassId, FalsePositiveKind, HardNegativeSource, Output, Shape, Verdict,
};
use quarry::store::{CandidateQuery, Deletion, NewCandidate, NewDataset, NewVerdict, Store, StoreError, VerdictFilter};
use quarry::workflow::verdicts::{export, merge};

use super::project::{Project, bb, face, new_image};

const CAT: ClassId = ClassId(1);
const DOG: ClassId = ClassId(2);
const ADA: &str = "Ada";

/// One image with a cat at 0,0 - 100,100 and a dog at 200,0 - 300,100, and candidates: a dog on the cat, a cat on background, a badly
/// localised dog, a cat that is a badly localised dog.
fn project() -> Project {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create(&dir.path().join("quarry.db")).unwrap();
    store.add_dataset(&dataset()).unwrap();
    let image = store.images().unwrap()[0].id;
    let round = store.start_round("").unwrap().id;
    let new = |class, bbox, score, max_iou, kind| NewCandidate { image, class, bbox, score, max_iou, kind };
    let new = [
        new(DOG, bb(0., 0., 100., 90.), 0.9, 0.9, FalsePositiveKind::Classification),
        new(CAT, bb(400., 200., 500., 300.), 0.8, 0.0, FalsePositiveKind::Background),
        new(DOG, bb(200., 0., 240., 100.), 0.7, 0.4, FalsePositiveKind::Localisation),
        new(CAT, bb(200., 0., 230., 100.), 0.6, 0.3, FalsePositiveKind::Both),
    ];
    store.replace_candidates(round, &[image], &new).unwrap();
    Project { dir, store, round }
}

fn dataset() -> NewDataset {
    let cat = face(bb(0., 0., 100., 100.));
    let dog = quarry::domain::Annotation { class: DOG, ..face(bb(200., 0., 300., 100.)) };
    NewDataset {
        name: "Pets".to_owned(),
        kind: "coco".to_owned(),
        root: "/pets".into(),
        classes: vec!["cat".to_owned(), "dog".to_owned()],
        images: vec![new_image("one", None, vec![cat, dog])],
    }
}

fn kinds(p: &Project) -> Vec<FalsePositiveKind> {
    ids(p).iter().map(|id| p.store.candidate(*id).unwrap().kind).collect()
}

fn ids(p: &Project) -> Vec<CandidateId> {
    (1..=4).map(CandidateId).collect::<Vec<_>>().into_iter().filter(|id| p.store.candidate(*id).is_ok()).collect()
}

/// Returns class and source of the image's current objects.
fn objects(store: &Store) -> Vec<(ClassId, AnnotationSource)> {
    let image = store.images().unwrap()[0].id;
    store.ground_truth(image).unwrap().into_iter().map(|(_, object)| (object.class, object.source)).collect()
}

fn ruling(verdict: Verdict, class: ClassId) -> NewVerdict<'static> {
    NewVerdict { class: Some(class), ..NewVerdict::plain(verdict) }
}

#[test]
fn a_wrong_class_corrects_the_object_that_lies_there_and_undo_brings_it_back() {
    use AnnotationSource::{Edited, Imported};
    use FalsePositiveKind::{Background, Both, Classification, Duplicate, Localisation};
    let mut p = project();
    let ids = ids(&p);
    assert_eq!(kinds(&p), [Classification, Background, Localisation, Both]);
    p.store.decide(&ids[..1], ADA, &ruling(Verdict::WrongClass, DOG), 1).unwrap();
    assert_eq!(objects(&p.store), [(DOG, Imported), (DOG, Edited)]);
    assert_eq!(kinds(&p)[0], Duplicate, "the detector was right: the object is a dog");
    let own = p.store.own_ground_truth().unwrap();
    let classes: Vec<ClassId> = own.values().flatten().map(|o| o.class).collect();
    assert_eq!(classes, [CAT, DOG], "a published number counts what the dataset says");
    assert_eq!(p.store.count_ground_truth().unwrap(), 2);

    p.store.undo(ADA, 2).unwrap();
    assert_eq!((objects(&p.store), kinds(&p)[0]), (vec![(CAT, Imported), (DOG, Imported)], Classification));
    p.store.redo(ADA, 3).unwrap();
    assert_eq!(objects(&p.store), [(DOG, Imported), (DOG, Edited)]);
    // The annotation's own class: nothing to correct.
    p.store.decide(&ids[..1], ADA, &ruling(Verdict::WrongClass, CAT), 4).unwrap();
    assert_eq!((objects(&p.store), kinds(&p)[0]), (vec![(CAT, Imported), (DOG, Imported)], Classification));
}

#[test]
fn the_newest_of_several_corrections_of_an_object_counts() {
    let mut p = project();
    let ids = ids(&p);
    let bird = p.store.add_class("bird", "user").unwrap();
    p.store.decide(&ids[..1], ADA, &ruling(Verdict::WrongClass, DOG), 1).unwrap();
    p.store.decide(&ids[..1], "Grace", &ruling(Verdict::WrongClass, bird), 2).unwrap();
    assert_eq!(objects(&p.store)[1].0, bird);
    let disputed = CandidateQuery { verdict: VerdictFilter::Disputed, ..CandidateQuery::default() };
    assert_eq!(p.store.candidate_ids(&disputed).unwrap(), [ids[0]], "another class is another decision");
    p.store.undo("Grace", 3).unwrap();
    assert_eq!(objects(&p.store)[1].0, DOG);
    assert_eq!(p.store.count_candidates(&disputed).unwrap(), 0);
    let held = p.store.candidate_row(ids[0]).unwrap();
    assert_eq!((held.held.len(), held.held[0].class), (1, Some(DOG)));
}

#[test]
fn an_object_where_nothing_is_annotated_is_promoted_with_its_class() {
    let mut p = project();
    let ids = ids(&p);
    p.store.decide(&ids[1..2], ADA, &ruling(Verdict::WrongClass, DOG), 1).unwrap();
    assert_eq!(objects(&p.store)[2], (DOG, AnnotationSource::Promoted));
    p.store.decide(&ids[1..2], ADA, &NewVerdict::plain(Verdict::MissedObject), 2).unwrap();
    assert_eq!(objects(&p.store)[2], (CAT, AnnotationSource::Promoted), "what the detector took it for");
    p.store.decide(&ids[1..2], ADA, &ruling(Verdict::MissedObject, DOG), 3).unwrap();
    assert_eq!(objects(&p.store)[2], (DOG, AnnotationSource::Promoted));
    let image = p.store.images().unwrap()[0].id;
    let shape = p.store.ground_truth(image).unwrap()[2].1.shape;
    assert_eq!(shape, Shape::Rectangle(bb(400., 200., 500., 300.)), "as dogs are annotated");
    p.store.undo(ADA, 4).unwrap();
    assert_eq!(objects(&p.store)[2].0, CAT);
}

#[test]
fn verdicts_that_make_no_sense_are_refused() {
    let mut p = project();
    let ids = ids(&p);
    let mut refused = |ruling: &NewVerdict<'_>, part: &str| {
        let message = p.store.decide(&ids[..1], ADA, ruling, 1).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(&NewVerdict::plain(Verdict::WrongClass), "needs the right class");
    refused(&ruling(Verdict::Confirmed, DOG), "takes no class");
    refused(&ruling(Verdict::WrongClass, ClassId(9)), "no class 9");
}

#[test]
fn a_confirmed_classification_error_is_a_hard_negative_with_its_class_and_kind() {
    let mut p = project();
    let ids = ids(&p);
    p.store.record_verdicts(&ids, ADA, Verdict::Confirmed, None, 1).unwrap();
    let hard = p.store.hard_negatives(HardNegativeSource::Confirmed, 2).unwrap();
    let found: Vec<(ClassId, FalsePositiveKind)> = hard.values().flatten().map(|h| (h.class, h.kind)).collect();
    assert_eq!(found, [(DOG, Classification), (CAT, Background), (DOG, Localisation), (CAT, Both)]);
    p.store.decide(&ids[1..2], "Grace", &ruling(Verdict::WrongClass, DOG), 2).unwrap();
    let hard = p.store.hard_negatives(HardNegativeSource::Unreviewed, 2).unwrap();
    assert_eq!(hard.values().flatten().count(), 3, "an object to anyone is no hard negative");
}

#[test]
fn a_renamed_class_is_found_by_either_name() {
    let mut p = project();
    p.store.rename_class(CAT, "kitten").unwrap();
    assert_eq!(p.store.class_by_name("cat").unwrap(), Some(CAT));
    let again = p.store.add_dataset(&dataset()).unwrap();
    assert_eq!((again.unchanged, p.store.classes().unwrap().len()), (1, 2), "the dataset still says cat");
    let error = p.store.rename_class(DOG, "cat").unwrap_err();
    assert!(error.to_string().contains("merge"), "{error}");
    p.store.rename_class(CAT, "cat").unwrap();
    assert_eq!(p.store.class_by_name("kitten").unwrap(), Some(CAT));
    for bad in ["", " ", "a\nb"] {
        assert!(matches!(p.store.rename_class(CAT, bad), Err(StoreError::Invalid(_))), "{bad:?}");
    }
}

#[test]
fn merging_classes_takes_everything_along() {
    let mut p = project();
    let ids = ids(&p);
    p.store.decide(&ids[1..2], ADA, &ruling(Verdict::MissedObject, DOG), 1).unwrap();
    p.store.record_verdicts(&ids[2..3], ADA, Verdict::Rejected, None, 2).unwrap();
    p.store.merge_classes(DOG, CAT).unwrap();
    let names: Vec<String> = p.store.classes().unwrap().into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["cat"]);
    assert_eq!(p.store.class_by_name("dog").unwrap(), Some(CAT));
    assert!(objects(&p.store).iter().all(|(class, _)| *class == CAT));
    assert_eq!(kinds(&p), [Duplicate, Background, Localisation, Localisation]);
    let counts = p.store.verdict_counts(None).unwrap();
    assert_eq!((counts.missed_object, counts.rejected), (1, 1));
    assert_eq!(p.store.rejected_regions().unwrap().len(), 1);
    // Undone and redone, the verdict is one on a cat.
    p.store.undo(ADA, 3).unwrap();
    p.store.undo(ADA, 4).unwrap();
    p.store.redo(ADA, 5).unwrap();
    assert_eq!(objects(&p.store)[2], (CAT, AnnotationSource::Promoted));
    assert_eq!(p.store.candidate_row(ids[1]).unwrap().held[0].class, Some(CAT));
    let again = p.store.add_dataset(&dataset()).unwrap();
    assert_eq!((again.unchanged, p.store.classes().unwrap().len()), (1, 1), "the dataset still says dog");
    assert!(p.store.merge_classes(CAT, CAT).is_err() && p.store.merge_classes(DOG, CAT).is_err());
    assert_eq!(p.store.class_counts(CAT).unwrap().verdicts, 2);
}

#[test]
fn classes_travel_with_verdicts_by_their_names() {
    let (mut one, mut other) = (project(), project());
    let ids = ids(&one);
    let bird = one.store.add_class("bird", "user").unwrap();
    one.store.decide(&ids[..1], ADA, &ruling(Verdict::WrongClass, bird), 1).unwrap();
    one.store.decide(&ids[1..2], ADA, &ruling(Verdict::MissedObject, DOG), 2).unwrap();
    other.store.rename_class(DOG, "hound").unwrap();
    let file = one.dir.path().join("v.jsonl");
    assert_eq!(export(&one.store, Output::new(&file, true)).unwrap(), 2);
    for added in [2, 0] {
        assert_eq!(merge(&mut other.store, &file).unwrap().added, added);
    }
    let names: Vec<String> = other.store.classes().unwrap().into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["cat", "hound", "bird"]);
    let classes: Vec<ClassId> = objects(&other.store).into_iter().map(|(class, _)| class).collect();
    let bird = other.store.class_by_name("bird").unwrap().unwrap();
    assert_eq!(classes, [DOG, DOG, bird], "the dog is promoted, the cat corrected to a bird");
}

#[test]
fn candidates_of_one_place_and_several_classes_are_told_apart() {
    let mut p = project();
    let image = p.store.images().unwrap()[0].id;
    let new = |class| NewCandidate {
        image,
        class,
        bbox: bb(400., 200., 500., 300.),
        score: 0.5,
        max_iou: 0.0,
        kind: FalsePositiveKind::Background,
    };
    p.store.replace_candidates(p.round, &[image], &[new(CAT), new(DOG)]).unwrap();
    let mine = p.candidates();
    assert_eq!(mine[0], CandidateId(2), "the cat is the one from before");
    let of = |class| CandidateQuery { class: Some(class), ..CandidateQuery::default() };
    assert_eq!(p.store.candidate_ids(&of(DOG)).unwrap(), mine[1..]);
    p.store.record_verdicts(&mine[1..], ADA, Verdict::Rejected, None, 1).unwrap();
    let mut other = project();
    other.store.replace_candidates(other.round, &[image], &[new(CAT), new(DOG)]).unwrap();
    let file = p.dir.path().join("v.jsonl");
    export(&p.store, Output::new(&file, true)).unwrap();
    merge(&mut other.store, &file).unwrap();
    assert_eq!(other.store.candidate(mine[1]).unwrap().verdict, Some(Verdict::Rejected));
}

/// A verdict on a dog says nothing about the same box as a cat.
#[test]
fn a_verdict_waits_for_a_candidate_of_its_class() {
    let mut p = project();
    let box_of = bb(400., 200., 500., 300.);
    p.store.record_verdicts(&ids(&p)[1..2], ADA, Verdict::Confirmed, None, 1).unwrap();
    p.store.delete(Deletion::Round(p.round)).unwrap();
    let image = p.store.images().unwrap()[0].id;
    let mut mine_again = |class| {
        let round = p.store.start_round("").unwrap().id;
        let new = NewCandidate { image, class, bbox: box_of, score: 0.8, max_iou: 0.0, kind: Background };
        p.store.replace_candidates(round, &[image], &[new]).unwrap();
        let query = CandidateQuery { round: Some(round), verdict: VerdictFilter::Any, ..CandidateQuery::default() };
        let candidate = p.store.candidate_ids(&query).unwrap()[0];
        p.store.candidate(candidate).unwrap().verdict
    };
    assert_eq!(mine_again(DOG), None);
    assert_eq!(mine_again(CAT), Some(Verdict::Confirmed));
}

/// Two annotators who see objects of different classes do not agree.
#[test]
fn agreement_is_about_the_class_too() {
    let mut p = project();
    let ids = ids(&p);
    let missed = |class| ruling(Verdict::MissedObject, class);
    p.store.decide(&ids[1..2], ADA, &missed(CAT), 1).unwrap();
    p.store.decide(&ids[1..2], "Grace", &missed(DOG), 2).unwrap();
    p.store.decide(&ids[3..4], ADA, &missed(DOG), 3).unwrap();
    p.store.decide(&ids[3..4], "Grace", &missed(DOG), 4).unwrap();
    p.store.record_verdicts(&ids[2..3], ADA, Verdict::Confirmed, None, 5).unwrap();
    p.store.record_verdicts(&ids[2..3], "Grace", Verdict::Confirmed, None, 6).unwrap();
    let pair = |p: &Project| {
        let pairs = quarry::workflow::verdicts::agreement(&p.store).unwrap();
        (pairs[0].both, pairs[0].observed)
    };
    assert_eq!(pair(&p), (3, 2.0 / 3.0));
    p.store.merge_classes(DOG, CAT).unwrap();
    assert_eq!(pair(&p), (3, 1.0), "one class now");
}
