//! Reimporting a dataset after it changed, and the same images in two datasets.

use std::collections::HashSet;

use quarry::domain::{FalsePositiveKind, HardNegativeSource, Verdict};
use quarry::store::{NewDataset, Store};

use super::project::{bb, candidate, dataset, new_image, project};

/// Returns the names of the project's images.
fn names(store: &Store) -> Vec<String> {
    store.images().unwrap().into_iter().map(|image| image.name).collect()
}

#[test]
fn what_a_dataset_no_longer_holds_is_kept_and_used_for_nothing_until_it_is_there_again() {
    let mut p = project();
    let first = p.candidates()[0];
    p.store.record_verdicts(&[first], "Ada", Verdict::Confirmed, None, 1).unwrap();
    let image = p.store.candidate(first).unwrap().image;
    let mut fewer = dataset();
    fewer.images.retain(|image| image.name != "a/one");
    // In place, then a copy of it elsewhere.
    for (root, removed) in [("/photos/small", vec!["a/one".to_owned()]), ("/photos/again", vec![])] {
        fewer.root = root.into();
        let preview = p.store.preview_import(&fewer, &[]).unwrap();
        assert_eq!((&preview.removed, preview.unchanged, preview.added.len()), (&removed, 3, 0));
        let counts = p.store.add_dataset(&fewer).unwrap();
        assert_eq!(preview, counts);
        assert_eq!(p.store.datasets().unwrap().len(), 1);
        assert_eq!(names(&p.store), ["a/two", "b/three", "b/FOUR_50%"]);
        assert_eq!((p.store.count_ground_truth().unwrap(), p.candidates().len()), (2, 5));
        assert_eq!(p.store.removed_images().unwrap().values().sum::<usize>(), 1);
        assert_eq!(
            p.store.images_of_splits().unwrap(),
            [(None, 1), (Some("1".to_owned()), 1), (Some("2".to_owned()), 1)]
        );
        assert_eq!(p.store.candidate_hashes().unwrap().len(), 5);
    }
    let back = p.store.add_dataset(&dataset()).unwrap();
    assert_eq!((back.returned, back.unchanged), (vec!["a/one".to_owned()], 3));
    assert_eq!(p.store.candidate(first).unwrap().verdict, Some(Verdict::Confirmed));
    assert_eq!((p.store.images().unwrap()[0].id, p.candidates().len()), (image, 6));
}

#[test]
fn a_copy_without_one_picture_is_the_same_dataset() {
    let mut p = project();
    let mut copy = dataset();
    copy.root = "/elsewhere".into();
    copy.images.remove(1);
    let counts = p.store.add_dataset(&copy).unwrap();
    assert_eq!((counts.removed, counts.unchanged), (vec!["a/two".to_owned()], 3));
    assert_eq!(p.store.datasets().unwrap().len(), 1);
}

#[test]
fn what_could_not_be_read_is_not_removed() {
    let mut p = project();
    let mut fewer = dataset();
    fewer.images.remove(0);
    let counts = p.store.import_dataset(&fewer, &["a/one".to_owned()]).unwrap();
    assert!(counts.removed.is_empty(), "{counts:?}");
    fewer.images.remove(0);
    // An unreadable folder.
    let counts = p.store.import_dataset(&fewer, &["a".to_owned()]).unwrap();
    assert!(counts.removed.is_empty() && names(&p.store).len() == 4, "{counts:?}");
}

#[test]
fn renamed_files_keep_their_verdicts_also_when_they_swap_names() {
    let mut p = project();
    let before = p.store.images().unwrap();
    let mut new = dataset();
    let name = new.images[0].name.clone();
    new.images[0].name = std::mem::replace(&mut new.images[1].name, name);
    new.images[2].name = "b/renamed".to_owned();
    new.images[3].name = "b/three".to_owned();
    let counts = p.store.add_dataset(&new).unwrap();
    let moved: HashSet<(&str, &str)> = counts.moved.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let expected = [("a/two", "a/one"), ("a/one", "a/two"), ("b/three", "b/renamed"), ("b/FOUR_50%", "b/three")];
    assert_eq!(moved, HashSet::from(expected));
    assert!(counts.added.is_empty() && counts.removed.is_empty() && counts.changed.is_empty());
    for (old, now) in before.iter().zip(p.store.images().unwrap()) {
        assert_eq!((old.id, &old.content_hash), (now.id, &now.content_hash), "bytes identify an image");
    }
    assert_eq!(names(&p.store), ["a/two", "a/one", "b/renamed", "b/three"]);

    // A moved image takes the name of a removed one.
    let mut other = new.clone();
    other.images[3] = new_image("c/new", None, Vec::new());
    p.store.add_dataset(&other).unwrap();
    other.images[2].name = "b/three".to_owned();
    let counts = p.store.add_dataset(&other).unwrap();
    assert_eq!(counts.moved, [("b/renamed".to_owned(), "b/three".to_owned())]);
    let back = p.store.add_dataset(&dataset()).unwrap();
    assert_eq!((back.returned, back.removed), (vec!["b/FOUR_50%".to_owned()], vec!["c/new".to_owned()]));
    assert_eq!(names(&p.store), names(&project().store));
}

#[test]
fn candidates_of_changed_bytes_wait_to_be_mined_or_judged_again() {
    let mut p = project();
    let all = p.candidates();
    p.store.record_verdicts(&all, "Ada", Verdict::Confirmed, None, 1).unwrap();
    let given = |store: &Store| -> usize {
        store.hard_negatives(HardNegativeSource::Confirmed, 9).unwrap().values().map(Vec::len).sum()
    };
    assert_eq!(given(&p.store), 6);
    let mut new = dataset();
    new.images[2].content_hash = "other bytes".to_owned();
    let counts = p.store.add_dataset(&new).unwrap();
    assert_eq!((counts.changed, counts.stale_candidates), (vec!["b/three".to_owned()], 3));
    assert_eq!(given(&p.store), 3, "what was found on other bytes is not trained with");
    assert!(all.iter().all(|id| p.store.candidate(*id).unwrap().verdict == Some(Verdict::Confirmed)));

    let of_image = p.store.candidates_of_image(p.store.images().unwrap()[2].id).unwrap();
    p.store.record_verdicts(&[of_image[0].id], "Ada", Verdict::Confirmed, None, 2).unwrap();
    assert_eq!(given(&p.store), 4, "decided again");
    let mined: Vec<_> = of_image.iter().map(|c| candidate(c.image, c.bbox, c.score)).collect();
    p.store.replace_candidates(p.round, &[of_image[0].image], &mined).unwrap();
    assert_eq!(given(&p.store), 6, "mined again");
}

#[test]
fn plain_folders_that_share_some_files_are_two_datasets() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create(&dir.path().join("quarry.db")).unwrap();
    let folder = |name: &str, images: &[&str]| {
        let root = dir.path().join(name);
        std::fs::create_dir_all(&root).unwrap();
        let images = images.iter().map(|image| new_image(image, None, Vec::new())).collect();
        NewDataset { name: name.to_owned(), kind: "folder".to_owned(), root, classes: vec!["face".to_owned()], images }
    };
    store.add_dataset(&folder("one", &["a", "b", "c"])).unwrap();
    let counts = store.add_dataset(&folder("two", &["b", "c", "d"])).unwrap();
    assert_eq!(
        (counts.added.len(), store.datasets().unwrap().len()),
        (3, 2),
        "both are there, neither holds the other"
    );
    let same: Vec<&str> = counts.same_bytes.iter().map(|same| same.other.as_str()).collect();
    assert_eq!((same, counts.same_bytes[0].dataset.as_str()), (vec!["b", "c"], "one"));
    let counts = store.add_dataset(&folder("three", &["a", "b"])).unwrap();
    assert_eq!(counts.removed, ["c"], "one holds the other: a copy that was cleared up");
    std::fs::remove_dir(dir.path().join("two")).unwrap();
    let counts = store.add_dataset(&folder("four", &["c", "d", "e"])).unwrap();
    assert_eq!(
        (counts.added, counts.removed),
        (vec!["e".to_owned()], vec!["b".to_owned()]),
        "the other folder is gone"
    );
}

#[test]
fn a_candidate_on_an_object_that_another_dataset_annotates_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create(&dir.path().join("quarry.db")).unwrap();
    let images = vec![new_image("a/one", None, Vec::new()), new_image("x", None, Vec::new())];
    let (name, kind) = ("scenes".to_owned(), "folder".to_owned());
    let classes = vec!["face".to_owned()];
    let scenes = NewDataset { name, kind, root: "/scenes".into(), classes, images };
    store.add_dataset(&scenes).unwrap();
    let copy = store.images().unwrap()[0].id;
    let round = store.start_round("").unwrap().id;
    let mined = [bb(0., 0., 100., 90.), bb(300., 300., 360., 360.)].map(|b| candidate(copy, b, 0.5));
    store.replace_candidates(round, &[copy], &mined).unwrap();
    let kinds = |store: &Store| -> Vec<FalsePositiveKind> {
        store.candidates_of_image(copy).unwrap().iter().map(|c| c.kind).collect()
    };
    let hard = |store: &Store| store.hard_negatives(HardNegativeSource::Unreviewed, 9).unwrap()[&copy].len();
    assert_eq!(hard(&store), 2);

    let counts = store.add_dataset(&dataset()).unwrap();
    assert_eq!(counts.same_bytes.len(), 1);
    assert_eq!(kinds(&store), [FalsePositiveKind::Duplicate, FalsePositiveKind::Background]);
    assert_eq!(hard(&store), 1, "the face is no hard negative");

    // A promoted object on one copy is an object on the other.
    let annotated = store.images().unwrap().into_iter().rfind(|image| image.name == "a/one").unwrap().id;
    store.replace_candidates(round, &[annotated], &[candidate(annotated, bb(300., 300., 360., 361.), 0.4)]).unwrap();
    let found = store.candidates_of_image(annotated).unwrap()[0].id;
    store.record_verdicts(&[found], "Ada", Verdict::MissedObject, None, 1).unwrap();
    assert_eq!(kinds(&store), [FalsePositiveKind::Duplicate; 2]);

    let mut fewer = dataset();
    fewer.images.remove(0);
    store.add_dataset(&fewer).unwrap();
    assert_eq!(kinds(&store), [FalsePositiveKind::Background; 2], "an annotation that is removed counts no more");
}

/// `train.json` and `val.json` of one folder of images.
#[test]
fn lists_of_different_images_of_one_folder_are_datasets_with_names_of_their_own() {
    let mut p = project();
    let other = |names: [&str; 2], root: &str| NewDataset {
        images: names.map(|name| new_image(name, None, Vec::new())).into(),
        root: root.into(),
        ..dataset()
    };
    let (train, val) = (dataset(), other(["x", "y"], dataset().root.to_str().unwrap()));
    let all = p.store.images().unwrap().len();
    let added = p.store.import_dataset(&val, &[]).unwrap();
    assert_eq!((added.added.len(), added.removed.len()), (2, 0));
    assert_eq!(p.store.images().unwrap().len(), all + 2);
    // Each is found again, and keeps its name; so does a folder of the same name elsewhere.
    let far = other(["far", "away"], "/elsewhere");
    p.store.import_dataset(&far, &[]).unwrap();
    for new in [&val, &train, &far] {
        let again = p.store.import_dataset(new, &[]).unwrap();
        assert_eq!((again.unchanged, again.added.len(), again.removed.len()), (new.images.len(), 0, 0));
    }
    let name = train.name;
    let names: Vec<String> = p.store.datasets().unwrap().into_iter().map(|dataset| dataset.name).collect();
    assert_eq!(names, [name.clone(), format!("{name}-2"), format!("{name}-3")]);
}
