//! Ground truth corrections: the effect of each, undo of one gesture, survival of an import, and exchange between copies.

use quarry::domain::{
    AnnotationSource, CandidateId, ClassId, CorrectionAct, FalsePositiveKind, GroundTruthId, HardNegativeSource,
    ImageId, ObjectChange, ObjectState, Output, Shape, Verdict,
};
use quarry::geometry::Ellipse;
use quarry::store::{CandidateQuery, GestureAction, NewDataset, NewImage, NewVerdict, ObjectRow, Store};
use quarry::workflow::verdicts::{VerdictFormat, export, export_as, merge};

use super::project::{bb, candidate, dataset, every_image, face, new_image};

const CAT: ClassId = ClassId(1);
const DOG: ClassId = ClassId(2);

fn rectangle(x1: f64, y1: f64, x2: f64, y2: f64) -> Shape {
    Shape::Rectangle(bb(x1, y1, x2, y2))
}

fn pets(objects: Vec<quarry::domain::Annotation>) -> NewDataset {
    NewDataset {
        name: "Pets".to_owned(),
        kind: "coco".to_owned(),
        root: "/pets".into(),
        classes: vec!["cat".to_owned(), "dog".to_owned()],
        images: vec![new_image("one", None, objects), new_image("two", None, Vec::new())],
    }
}

/// An image with two identical cats, and one further right; candidates on the last and on background.
fn project() -> (tempfile::TempDir, Store, ImageId, Vec<CandidateId>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, image, ids) = project_in(&dir, "quarry.db");
    (dir, store, image, ids)
}

fn project_in(dir: &tempfile::TempDir, name: &str) -> (Store, ImageId, Vec<CandidateId>) {
    let mut store = Store::create(&dir.path().join(name)).unwrap();
    let cat = |x: f64| face(bb(x, 0., x + 100., 100.));
    store.add_dataset(&pets(vec![cat(0.), cat(0.), cat(200.)])).unwrap();
    let image = store.images().unwrap()[0].id;
    let round = store.start_round("").unwrap().id;
    let mut on_cat = candidate(image, bb(200., 0., 240., 100.), 0.9);
    (on_cat.max_iou, on_cat.kind) = (0.4, FalsePositiveKind::Localisation);
    let new = [on_cat, candidate(image, bb(300., 300., 400., 400.), 0.8)];
    store.replace_candidates(round, &every_image(&store), &new).unwrap();
    let ids = store.candidates_of_image(image).unwrap().iter().map(|c| c.id).collect();
    (store, image, ids)
}

fn ids_of(store: &Store, image: ImageId) -> Vec<GroundTruthId> {
    store.objects_of_image(image).unwrap().iter().map(|object| object.id).collect()
}

fn kind(store: &Store, candidate: CandidateId) -> (FalsePositiveKind, f64) {
    let candidate = store.candidate(candidate).unwrap();
    (candidate.kind, (candidate.max_iou * 1000.0).round() / 1000.0)
}

/// Formats the current state briefly.
fn truth(store: &Store, image: ImageId) -> Vec<(AnnotationSource, i64, f64, bool)> {
    let objects = store.ground_truth(image).unwrap().into_iter();
    objects.map(|(_, o)| (o.source, o.class.0, o.shape.bounding_box().x1, o.ignored)).collect()
}

#[test]
fn each_correction_does_what_it_says_and_undo_takes_it_back() {
    use AnnotationSource::{Edited, Imported};
    use FalsePositiveKind::{Background, Both, Duplicate, Localisation};
    let own = [(Imported, 1, 0., false), (Imported, 1, 0., false), (Imported, 1, 200., false)];
    let with = |last: (AnnotationSource, i64, f64, bool)| vec![own[0], own[1], last];
    for (change, act, expected, on_cat) in [
        (
            ObjectChange::Shape(rectangle(190., 0., 240., 100.)),
            CorrectionAct::Reshaped,
            with((Edited, 1, 190., false)),
            (Duplicate, 0.8),
        ),
        (ObjectChange::Class(DOG), CorrectionAct::Reclassed, with((Edited, 2, 200., false)), (Both, 0.4)),
        (ObjectChange::Ignored(true), CorrectionAct::Ignored, with((Edited, 1, 200., true)), (Duplicate, 0.4)),
        (ObjectChange::Deleted(true), CorrectionAct::Deleted, own[..2].to_vec(), (Background, 0.0)),
    ] {
        let (_dir, mut store, image, candidates) = project();
        let cat = ids_of(&store, image)[2];
        assert_eq!(kind(&store, candidates[0]), (Localisation, 0.4));
        let gesture = store.correct_objects(&[cat], "Ada", change, 1).unwrap().expect("a change");
        assert_eq!((gesture.act, gesture.verdict, gesture.images.as_slice()), (Some(act), None, &[image][..]));
        assert_eq!(gesture.objects, [cat], "the object is called as before");
        assert_eq!(truth(&store, image), expected, "{change:?}");
        assert_eq!(kind(&store, candidates[0]), on_cat, "{change:?}");
        assert_eq!(store.own_ground_truth().unwrap()[&image].len(), 3, "what is published stays");
        assert_eq!(store.correct_objects(&[cat], "Ada", change, 2).unwrap(), None, "it is so already");
        let undone = store.undo("Ada", 3).unwrap().unwrap();
        assert_eq!((undone.action, undone.act), (GestureAction::Undo, Some(act)));
        assert_eq!(truth(&store, image), own, "{change:?}");
        assert_eq!(kind(&store, candidates[0]), (Localisation, 0.4));
        assert_eq!(store.redo("Ada", 4).unwrap().unwrap().act, Some(act));
        assert_eq!(truth(&store, image), expected, "{change:?}");
    }
}

#[test]
fn verdicts_and_corrections_are_undone_in_one_line_without_limit() {
    let (_dir, mut store, image, candidates) = project();
    let objects = ids_of(&store, image);
    let before = truth(&store, image);
    store.record_verdicts(&candidates[1..], "Ada", Verdict::Confirmed, None, 1).unwrap();
    store.correct_objects(&objects, "Ada", ObjectChange::Class(DOG), 2).unwrap().unwrap();
    store.correct_objects(&objects[..1], "Ada", ObjectChange::Ignored(true), 3).unwrap().unwrap();
    store.correct_objects(&objects[..1], "Ada", ObjectChange::Deleted(true), 4).unwrap().unwrap();
    store.add_object(image, "Ada", (rectangle(500., 0., 560., 60.), DOG), 5).unwrap();
    store.record_verdicts(&candidates[..1], "Ada", Verdict::Rejected, None, 6).unwrap();
    let after = truth(&store, image);
    assert_eq!(after.len(), 3, "{after:?}");
    let mut texts = Vec::new();
    while let Some(undone) = store.undo("Ada", 10).unwrap() {
        texts.push((undone.act.map(CorrectionAct::as_str), undone.verdict, undone.candidates.len()));
    }
    let rejected = (None, Some(Verdict::Rejected), 1);
    let confirmed = (None, Some(Verdict::Confirmed), 1);
    let act = |word| (Some(word), None, 0);
    assert_eq!(texts, [rejected, act("added"), act("deleted"), act("ignored"), act("reclassed"), confirmed]);
    assert_eq!(truth(&store, image), before);
    assert_eq!(store.verdict_counts(None).unwrap().undecided, 2);
    while store.redo("Ada", 20).unwrap().is_some() {}
    assert_eq!(truth(&store, image), after);
    // Deleted, it keeps its state: restored it is ignored as before.
    store.correct_objects(&objects[..1], "Ada", ObjectChange::Deleted(false), 30).unwrap().unwrap();
    assert_eq!(truth(&store, image)[..4].iter().filter(|o| o.3).count(), 1);
    assert_eq!(store.undo("Grace", 40).unwrap(), None, "another annotator has nothing to take back");
    store.check_integrity().unwrap();
}

#[test]
fn an_object_is_added_where_nothing_was_and_can_be_corrected_in_turn() {
    let (_dir, mut store, image, candidates) = project();
    let drawn = Shape::Ellipse(Ellipse::new(50., 40., 0.3, 350., 350.));
    let gesture = store.add_object(image, "Ada", (drawn, CAT), 1).unwrap();
    let &[added] = gesture.objects.as_slice() else { panic!("{gesture:?}") };
    let row = |store: &Store| -> ObjectRow {
        store.objects_of_image(image).unwrap().into_iter().find(|row| row.id == added).expect("the added one")
    };
    assert_eq!((row(&store).source, row(&store).own, row(&store).state.shape), (AnnotationSource::Added, None, drawn));
    assert_eq!(kind(&store, candidates[1]).0, FalsePositiveKind::Duplicate, "a detection of it is no false positive");
    assert!(store.hard_negatives(HardNegativeSource::Unreviewed, 2).unwrap()[&image].len() == 1);
    store.correct_objects(&[added], "Grace", ObjectChange::Class(DOG), 2).unwrap().unwrap();
    assert_eq!((row(&store).state.class, kind(&store, candidates[1]).0), (DOG, FalsePositiveKind::Classification));
    // A wrong class is a correction of it too: no second object is added.
    let ruling = NewVerdict {
        verdict: Verdict::WrongClass,
        class: Some(CAT),
        reason: None,
        basis: quarry::domain::Basis::Reviewed,
    };
    store.decide(&candidates[1..], "Ada", &ruling, 3).unwrap();
    assert_eq!((row(&store).state.class, store.objects_of_image(image).unwrap().len()), (CAT, 4));
    store.correct_objects(&[added], "Ada", ObjectChange::Deleted(true), 4).unwrap().unwrap();
    assert!(row(&store).state.deleted);
    assert_eq!((truth(&store, image).len(), store.count_ground_truth().unwrap()), (3, 3));
    store.undo("Ada", 5).unwrap();
    store.undo("Ada", 6).unwrap();
    assert_eq!(row(&store).state.class, DOG, "Grace's still");
    store.undo("Ada", 7).unwrap();
    // Grace corrected it: her current state is an object.
    assert_eq!(row(&store).state, ObjectState { class: DOG, shape: drawn, ignored: false, deleted: false });
    store.undo("Grace", 8).unwrap();
    assert_eq!(store.objects_of_image(image).unwrap().len(), 3, "nobody says any more that it is there");
}

#[test]
fn promoted_objects_are_corrected_like_others_until_their_verdict_is_newer() {
    let (_dir, mut store, image, candidates) = project();
    store.record_missed_object(candidates[1], "Ada", (rectangle(300., 300., 380., 380.), None), None, 1).unwrap();
    let promoted = *ids_of(&store, image).last().unwrap();
    store
        .correct_objects(&[promoted], "Ada", ObjectChange::Shape(rectangle(310., 300., 380., 380.)), 2)
        .unwrap()
        .unwrap();
    assert_eq!(
        truth(&store, image)[3],
        (AnnotationSource::Promoted, 1, 310., false),
        "it stays apart from the dataset's own"
    );
    store.correct_objects(&[promoted], "Ada", ObjectChange::Ignored(true), 3).unwrap().unwrap();
    assert!(truth(&store, image)[3].3);
    store.correct_objects(&[promoted], "Ada", ObjectChange::Deleted(true), 4).unwrap().unwrap();
    assert_eq!(truth(&store, image).len(), 3);
    let row = store.objects_of_image(image).unwrap()[3];
    assert_eq!((row.candidate, row.state.deleted), (Some(candidates[1]), true));
    store.record_missed_object(candidates[1], "Ada", (rectangle(320., 300., 380., 380.), None), None, 5).unwrap();
    assert_eq!(truth(&store, image)[3], (AnnotationSource::Promoted, 1, 320., false), "drawn again");
    store.undo("Ada", 6).unwrap();
    assert_eq!(truth(&store, image).len(), 3, "deleted again");
    for _ in 0..3 {
        store.undo("Ada", 7).unwrap();
    }
    assert_eq!(truth(&store, image)[3], (AnnotationSource::Promoted, 1, 300., false));
    store.undo("Ada", 8).unwrap();
    assert_eq!(truth(&store, image).len(), 3, "no verdict, no object");
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written() {
    let (_dir, mut store, image, _) = project();
    let objects = ids_of(&store, image);
    let before = truth(&store, image);
    let check = |found: Result<Option<quarry::store::Gesture>, quarry::store::StoreError>, part: &str| {
        let message = found.expect_err(part).to_string();
        assert!(message.contains(part), "{message}");
    };
    let shape = |s| ObjectChange::Shape(s);
    for (bad, part) in [
        (rectangle(700., 0., 800., 50.), "outside its image of 640 x 480"),
        (rectangle(10., 10., 10.1, 50.), "at least 0.5"),
        (rectangle(f64::NAN, 0., 800., 50.), "at least 0.5"),
        (Shape::Ellipse(Ellipse::new(-5., 4., 0., 50., 50.)), "half axes"),
    ] {
        check(store.correct_objects(&objects[..1], "Ada", shape(bad), 1), part);
        check(store.add_object(image, "Ada", (bad, CAT), 1).map(Some), part);
    }
    check(
        store.correct_objects(&objects[..2], "Ada", shape(rectangle(0., 0., 9., 9.)), 1),
        "a shape applies to one object",
    );
    check(store.correct_objects(&objects[..1], "Ada", ObjectChange::Class(ClassId(9)), 1), "no class 9");
    check(store.correct_objects(&[GroundTruthId(99)], "Ada", ObjectChange::Deleted(true), 1), "no object 99");
    check(store.add_object(ImageId(99), "Ada", (rectangle(0., 0., 9., 9.), CAT), 1).map(Some), "no image 99");
    store.correct_objects(&objects[..1], "Ada", ObjectChange::Deleted(true), 1).unwrap().unwrap();
    check(store.correct_objects(&objects[..1], "Ada", ObjectChange::Class(DOG), 2), "restore it first");
    assert_eq!(store.correct_objects(&[], "Ada", ObjectChange::Ignored(true), 2).unwrap(), None);
    store.undo("Ada", 3).unwrap();
    assert_eq!(truth(&store, image), before);
}

#[test]
fn the_newest_of_both_logs_counts_whoever_wrote_it() {
    let (_dir, mut store, image, candidates) = project();
    // Of the candidate's size, so that its verdict applies to the cat.
    let cat = ids_of(&store, image)[2];
    store.correct_objects(&[cat], "Ada", ObjectChange::Shape(rectangle(200., 0., 245., 100.)), 1).unwrap().unwrap();
    let ruling = NewVerdict {
        verdict: Verdict::WrongClass,
        class: Some(DOG),
        reason: None,
        basis: quarry::domain::Basis::Reviewed,
    };
    store.decide(&candidates[..1], "Grace", &ruling, 2).unwrap();
    let now = |store: &Store| {
        let state = store.objects_of_image(image).unwrap()[2].state;
        (state.class, state.shape.bounding_box().x2, state.deleted)
    };
    assert_eq!(now(&store), (DOG, 245., false), "class of the verdict, shape of the correction");
    store.correct_objects(&[cat], "Ada", ObjectChange::Deleted(true), 3).unwrap().unwrap();
    assert_eq!(now(&store), (DOG, 245., true));
    store.decide(&candidates[..1], "Grace", &ruling, 4).unwrap();
    assert_eq!(now(&store), (DOG, 245., false), "a real object, says the newer verdict");
    assert_eq!(store.objects_of_image(image).unwrap().len(), 3, "and no second one comes");
    store.undo("Grace", 5).unwrap();
    store.undo("Ada", 6).unwrap();
    assert_eq!(now(&store), (DOG, 245., false));
    // After moving away it keeps the verdict's class, and the verdict creates an object of its own.
    store.correct_objects(&[cat], "Ada", ObjectChange::Shape(rectangle(400., 0., 500., 100.)), 7).unwrap().unwrap();
    assert_eq!((now(&store), store.objects_of_image(image).unwrap().len()), ((DOG, 500., false), 4));
}

#[test]
fn corrections_rest_while_the_dataset_says_otherwise_and_stand_again_when_it_does_not() {
    let (_dir, mut store, image, candidates) = project();
    let cat = |x: f64| face(bb(x, 0., x + 100., 100.));
    let objects = ids_of(&store, image);
    store.correct_objects(&objects[1..2], "Ada", ObjectChange::Class(DOG), 1).unwrap().unwrap();
    store.correct_objects(&objects[2..], "Ada", ObjectChange::Deleted(true), 2).unwrap().unwrap();
    store.add_object(image, "Ada", (rectangle(500., 0., 560., 60.), CAT), 3).unwrap();
    let mut corrected = truth(&store, image);
    corrected.sort_by(PartialCmpBy::partial_cmp_by);
    let sorted = |store: &Store| {
        let mut found = truth(store, image);
        found.sort_by(PartialCmpBy::partial_cmp_by);
        found
    };
    // The same again, in another order, and with one more.
    store.add_dataset(&pets(vec![cat(200.), cat(0.), cat(0.)])).unwrap();
    assert_eq!(sorted(&store), corrected);
    // The deleted cat is a different one now: the correction does not apply to it.
    let counts = store.add_dataset(&pets(vec![cat(0.), cat(0.), cat(201.)])).unwrap();
    assert_eq!(counts.resting_corrections, 1);
    assert!(truth(&store, image).iter().any(|o| o.2 == 201. && o.0 == AnnotationSource::Imported));
    assert_eq!(kind(&store, candidates[0]).0, FalsePositiveKind::Localisation);
    // One cat fewer: the second of the equal ones is gone, and its correction becomes inactive too. Added ones stay.
    let counts = store.add_dataset(&pets(vec![cat(0.)])).unwrap();
    assert_eq!(counts.resting_corrections, 2);
    let left: Vec<_> = truth(&store, image).into_iter().map(|o| (o.0, o.2)).collect();
    assert_eq!(left, [(AnnotationSource::Imported, 0.), (AnnotationSource::Added, 500.)]);
    // Inactive corrections can be undone, and are active again with their objects.
    let counts = store.add_dataset(&pets(vec![cat(0.), cat(0.), cat(200.)])).unwrap();
    assert_eq!((sorted(&store), counts.resting_corrections), (corrected, 0));
    assert_eq!(kind(&store, candidates[0]).0, FalsePositiveKind::Background);
    store.add_dataset(&pets(Vec::new())).unwrap();
    while store.undo("Ada", 9).unwrap().is_some() {}
    store.add_dataset(&pets(vec![cat(0.), cat(0.), cat(200.)])).unwrap();
    assert!(truth(&store, image).iter().all(|o| o.0 == AnnotationSource::Imported), "taken back while they rested");
    store.check_integrity().unwrap();
}

trait PartialCmpBy {
    fn partial_cmp_by(&self, other: &Self) -> std::cmp::Ordering;
}

impl PartialCmpBy for (AnnotationSource, i64, f64, bool) {
    fn partial_cmp_by(&self, other: &Self) -> std::cmp::Ordering {
        (self.2, self.1, self.0.as_str()).partial_cmp(&(other.2, other.1, other.0.as_str())).unwrap()
    }
}

#[test]
fn copies_end_up_the_same_whichever_merges_first_also_where_each_imported_by_itself() {
    for is_copy in [true, false] {
        let (dir, mut store, image, candidates) = project();
        let mut other = if is_copy {
            let copy = dir.path().join("copy.db");
            std::fs::copy(store.back_up().unwrap(), &copy).unwrap();
            Store::open(&copy).unwrap()
        } else {
            project_in(&dir, "other.db").0
        };
        let objects = ids_of(&store, image);
        store.correct_objects(&objects[..1], "Ada", ObjectChange::Class(DOG), 10).unwrap().unwrap();
        store.record_verdicts(&candidates[1..], "Ada", Verdict::MissedObject, None, 11).unwrap();
        let promoted = *ids_of(&store, image).last().unwrap();
        store.correct_objects(&[promoted], "Ada", ObjectChange::Shape(rectangle(310., 300., 400., 390.)), 12).unwrap();
        store.add_object(image, "Ada", (rectangle(500., 0., 560., 60.), DOG), 13).unwrap();
        let theirs = ids_of(&other, image);
        other.correct_objects(&theirs[..2], "Grace", ObjectChange::Ignored(true), 20).unwrap().unwrap();
        other.correct_objects(&theirs[2..], "Grace", ObjectChange::Deleted(true), 21).unwrap().unwrap();
        other.undo("Grace", 22).unwrap().unwrap();
        other.correct_objects(&theirs[2..], "Ada", ObjectChange::Shape(rectangle(201., 0., 300., 100.)), 23).unwrap();

        let (left, right) = (dir.path().join("left.jsonl"), dir.path().join("right.jsonl"));
        assert_eq!((export(&store, &left).unwrap(), export(&other, &right).unwrap()), (4, 5));
        let text = std::fs::read_to_string(&left).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains("\"format\":3")).count(), 3, "verdicts stay of format 2");
        // The lists are in memory already: a merge must update them too.
        assert_eq!(store.count_candidates(&CandidateQuery::default()).unwrap(), 1);
        let report = merge(&mut store, &right).unwrap();
        assert_eq!((report.added, report.known, report.without_object), (5, 0, 0));
        assert_eq!(merge(&mut other, &left).unwrap().added, 4);
        let state = |store: &Store| {
            let objects = store.objects_of_image(image).unwrap().into_iter();
            objects.map(|o| format!("{:?} {:?} {:?}", o.own, o.source, o.state)).collect::<Vec<_>>()
        };
        assert_eq!(state(&store), state(&other), "copy: {is_copy}");
        assert_eq!(truth(&store, image).iter().filter(|o| o.3).count(), 2, "Grace's are newer");
        assert_eq!((merge(&mut store, &right).unwrap().added, merge(&mut other, &left).unwrap().added), (0, 0));
        // What came from the other copy is not undone here, and stays after what is.
        store.undo("Ada", 30).unwrap();
        store.undo("Ada", 31).unwrap();
        assert_eq!(truth(&store, image).iter().filter(|o| o.2 == 201.).count(), 1);
        // Each knows the other's objects under its own class names.
        let again = dir.path().join("again.jsonl");
        export(&other, &again).unwrap();
        assert_eq!(merge(&mut store, &again).unwrap().added, 0);
        store.check_integrity().unwrap();
    }
}

#[test]
fn corrections_wait_for_their_images_and_bad_lines_are_refused() {
    let (dir, mut store, image, candidates) = project();
    let objects = ids_of(&store, image);
    store.correct_objects(&objects[2..], "Ada", ObjectChange::Deleted(true), 1).unwrap().unwrap();
    store.add_object(image, "Ada", (rectangle(500., 0., 560., 60.), DOG), 2).unwrap();
    store.record_verdicts(&candidates[1..], "Ada", Verdict::MissedObject, None, 3).unwrap();
    let promoted = *ids_of(&store, image).last().unwrap();
    store.correct_objects(&[promoted], "Ada", ObjectChange::Ignored(true), 4).unwrap().unwrap();
    let file = dir.path().join("v.jsonl");
    assert_eq!(export(&store, &file).unwrap(), 4);

    let mut later = Store::create(&dir.path().join("later.db")).unwrap();
    let report = merge(&mut later, &file).unwrap();
    assert_eq!((report.added, report.without_candidate, report.without_object), (0, 1, 3));
    assert_eq!(export(&later, dir.path().join("on.jsonl")).unwrap(), 4, "they travel on");
    let cat = |x: f64| face(bb(x, 0., x + 100., 100.));
    later.add_dataset(&pets(vec![cat(0.), cat(0.), cat(200.)])).unwrap();
    let there = later.images().unwrap()[0].id;
    assert_eq!(truth(&later, there).len(), 3, "one deleted, one added");

    let text = std::fs::read_to_string(&file).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        let changed = text.replacen(from, to, 9);
        assert_ne!(changed, text, "{from}");
        std::fs::write(&file, changed).unwrap();
        let other = tempfile::tempdir().unwrap();
        let (mut store, image, _) = project_in(&other, "quarry.db");
        let before = truth(&store, image);
        let message = merge(&mut store, &file).unwrap_err().to_string();
        assert!(message.contains("v.jsonl:") && message.contains(expected), "{to}: {message}");
        assert_eq!(truth(&store, image), before);
    };
    check("\"act\":\"deleted\"", "\"act\":\"moved\"", "unknown variant `moved`");
    check("[500.0,0.0,560.0,60.0]", "[900.0,0.0,960.0,60.0]", "outside its image");
    check("[500.0,0.0,560.0,60.0]", "[500.0,0.0,500.0,60.0]", "at least 0.5");
    check("\"tick\":1000,", "\"tick\":-1,", "its tick -1");
    check("\"format\":3", "\"format\":4", "update Quarry");
    check("\"deleted\":true", "\"deleted\":1", "invalid type");
}

#[test]
fn the_table_of_both_logs_has_as_many_cells_in_every_row() {
    let (dir, mut store, image, candidates) = project();
    store.record_verdicts(&candidates, "Ada", Verdict::Confirmed, Some("a, b"), 1).unwrap();
    let objects = ids_of(&store, image);
    store.correct_objects(&objects[2..], "Ada", ObjectChange::Shape(rectangle(201., 0., 300., 99.)), 2).unwrap();
    store.add_object(image, "Ada", (rectangle(500., 0., 560., 60.), DOG), 3).unwrap();
    store.undo("Ada", 4).unwrap();
    let file = dir.path().join("v.csv");
    assert_eq!(export_as(&store, VerdictFormat::Csv, Output::new(&file, false)).unwrap(), 5);
    let text = std::fs::read_to_string(&file).unwrap();
    let cells = |line: &str| line.replace("\"a, b\"", "ab").split(',').count();
    assert!(text.lines().all(|line| cells(line) == 25), "{text}");
    assert!(
        text.contains("rectangle 201 0 300 99,edited,")
            && text.contains(",reshaped,false,false,rectangle 200 0 300 100")
    );
    assert!(text.lines().last().unwrap().contains(",undone,,,"), "{text}");
}

#[test]
fn a_dataset_of_the_same_bytes_is_told_of_a_correction() {
    let (_dir, mut store, image, candidates) = project();
    let copy = NewImage { name: "again".to_owned(), ..new_image("one", None, Vec::new()) };
    let again = NewDataset { name: "Again".to_owned(), root: "/again".into(), images: vec![copy], ..dataset() };
    store.add_dataset(&NewDataset { kind: "voc".to_owned(), classes: vec!["cat".to_owned()], ..again }).unwrap();
    let other = store.images().unwrap().last().unwrap().id;
    store.add_object(other, "Ada", (rectangle(300., 300., 400., 400.), CAT), 1).unwrap();
    assert_eq!(kind(&store, candidates[1]).0, FalsePositiveKind::Duplicate);
    assert_eq!(store.count_candidates(&CandidateQuery::default()).unwrap(), 1, "{image}");
}
