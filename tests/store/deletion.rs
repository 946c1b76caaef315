//! Deleting a dataset or a round: what is deleted, what is kept, and that verdicts return.

use quarry::domain::{Verdict, VerdictRecord};
use quarry::store::{Deletion, NewCandidate, NewDataset, Store, StoreError};
use rusqlite::Connection;

use super::project::{bb, candidate, dataset, every_image, face, new_image, project};

fn rows(store: &Store) -> Vec<(String, i64)> {
    let c = Connection::open(store.path()).unwrap();
    let mut names = c
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")
        .unwrap();
    let names: Vec<String> = names.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |name: &String| c.query_row(&format!("SELECT count(*) FROM {name}"), [], |r| r.get(0)).unwrap();
    names.iter().map(|name| (name.clone(), count(name))).collect()
}

#[test]
fn a_dataset_goes_with_all_that_hangs_on_it_and_its_verdicts_come_back() {
    let mut p = project();
    let id = p.store.datasets().unwrap()[0].id;
    let other = NewDataset {
        name: "Other".to_owned(),
        root: "/photos/other".into(),
        images: vec![new_image("c/kept", None, vec![face(bb(0., 0., 50., 50.))])],
        ..dataset()
    };
    p.store.add_dataset(&other).unwrap();
    let all = p.candidates();
    p.store.record_verdicts(&all[..1], "Ada", Verdict::Confirmed, None, 1).unwrap();
    p.store.record_verdicts(&all[1..2], "Ada", Verdict::MissedObject, None, 2).unwrap();
    p.store.record_verdicts(&all[..1], "Ada", Verdict::Rejected, Some("a drawing"), 3).unwrap();
    p.store.undo("Ada", 4).unwrap();
    let images = every_image(&p.store);
    p.store.mark_images(&images, "Ada", true).unwrap();

    let before = rows(&p.store);
    let preview = p.store.preview_deletion(Deletion::Dataset(id)).unwrap();
    assert_eq!(rows(&p.store), before, "a preview changes nothing");
    assert_eq!(
        (preview.images, preview.objects, preview.found_objects, preview.candidates, preview.verdicts, preview.decided),
        (4, 3, 1, 6, 4, 2)
    );
    assert_eq!((preview.image_marks, preview.about_bytes > 0), (4, true));
    assert_eq!(p.store.delete(Deletion::Dataset(id)).unwrap(), preview);
    p.reopen();
    assert_eq!(p.store.datasets().unwrap().len(), 1);
    assert_eq!(p.store.images().unwrap().len(), 1);
    assert!(p.candidates().is_empty());
    p.store.check_integrity().unwrap();
    let mut lines = 0;
    p.store
        .export_verdicts(|_| {
            lines += 1;
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(lines, 4, "they wait, and are exported");
    let c = Connection::open(p.path()).unwrap();
    assert!(c.execute("DELETE FROM gestures", []).is_err(), "the log is append-only again");
    assert!(c.query_row("PRAGMA foreign_key_check", [], |_| Ok(())).is_err(), "nothing refers to what is gone");
    drop(c);

    p.store.add_dataset(&dataset()).unwrap();
    let images: Vec<_> = p.store.images().unwrap().into_iter().filter(|image| image.name != "c/kept").collect();
    let again = [
        candidate(images[0].id, bb(200., 200., 260., 280.), 0.9),
        candidate(images[1].id, bb(200., 200., 260., 280.), 0.8),
    ];
    p.store.replace_candidates(p.round, &every_image(&p.store), &again).unwrap();
    let verdicts: Vec<Option<Verdict>> = p
        .candidates()
        .into_iter()
        .map(|c| p.store.current_verdicts(c).unwrap().pop().and_then(|held: VerdictRecord| held.verdict))
        .collect();
    assert_eq!(verdicts, [Some(Verdict::Confirmed), Some(Verdict::MissedObject)]);
    assert!(p.store.undo("Ada", 9).unwrap().is_some(), "undo goes on");
}

#[test]
fn a_round_goes_and_the_others_stay_with_the_objects_that_they_found() {
    let mut p = project();
    let images = every_image(&p.store);
    let second = p.store.start_round("").unwrap().id;
    p.store.replace_candidates(second, &images, &[candidate(images[3], bb(300., 300., 360., 380.), 0.9)]).unwrap();
    let all = p.candidates();
    let of = |round, p: &super::project::Project| {
        all.iter().copied().find(|c| p.store.candidate(*c).unwrap().round == round).unwrap()
    };
    let (first, newer) = (of(p.round, &p), of(second, &p));
    p.store.record_verdicts(&[first, newer], "Ada", Verdict::MissedObject, None, 1).unwrap();
    let promoted = |store: &Store| store.count_ground_truth().unwrap();
    assert_eq!(promoted(&p.store), 5);
    let gone = p.store.delete(Deletion::Round(second)).unwrap();
    assert_eq!((gone.images, gone.objects, gone.found_objects, gone.candidates), (0, 0, 1, 1));
    assert_eq!((promoted(&p.store), p.candidates().len(), p.store.rounds().unwrap().len()), (4, 6, 1));
    let missing = p.store.delete(Deletion::Round(second)).unwrap_err().to_string();
    assert!(missing.contains("round"), "{missing}");
}

#[test]
fn copies_of_images_that_go_are_compared_with_what_is_left() {
    let mut p = project();
    // The same bytes as the first image, without its face.
    let mut copy = new_image("copy", None, Vec::new());
    copy.content_hash = "hash of a/one".to_owned();
    let scenes = NewDataset {
        name: "Scenes".to_owned(),
        kind: "folder".to_owned(),
        root: "/scenes".into(),
        images: vec![copy],
        ..dataset()
    };
    p.store.add_dataset(&scenes).unwrap();
    let copy = p.store.images().unwrap().pop().unwrap();
    p.store
        .replace_candidates(
            p.round,
            &[copy.id],
            &[NewCandidate { max_iou: 0.25, ..candidate(copy.id, bb(60., 0., 160., 100.), 0.5) }],
        )
        .unwrap();
    let found = p.candidates().into_iter().find(|c| p.store.candidate(*c).unwrap().image == copy.id).unwrap();
    let dataset = p.store.datasets().unwrap()[0].id;
    p.store.delete(Deletion::Dataset(dataset)).unwrap();
    assert_eq!(p.store.candidate(found).unwrap().max_iou, 0.0);
}
