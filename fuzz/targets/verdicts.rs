//! A file of verdicts, merged into a project with two candidates.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use quarry::domain::FalsePositiveKind;
use quarry::geometry::BoundingBox;
use quarry::store::{NewCandidate, NewDataset, NewImage, Store};
use quarry::workflow::verdicts::{MergeOptions, merge, merge_with};
use quarry_fuzz::{file, folder};

/// A file that matches nothing here is merged too.
const KEPT: MergeOptions = MergeOptions { keep: true, days_ahead: 1 };

fn template() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| make().expect("a project")).clone()
}

fn make() -> Result<PathBuf, quarry::store::StoreError> {
    let path = folder().join("template.db");
    let mut store = Store::create(&path)?;
    let image = NewImage {
        path: "a.ppm".into(),
        content_hash: "0".repeat(64),
        name: "a".to_owned(),
        width: 64,
        height: 48,
        split: None,
        objects: vec![],
    };
    let classes = vec!["face".to_owned()];
    store.add_dataset(&NewDataset {
        name: "a".to_owned(),
        kind: "folder".to_owned(),
        root: folder().to_owned(),
        classes,
        images: vec![image],
    })?;
    let round = store.start_round("")?.id;
    let (image, class) = (store.images()?[0].id, store.add_class("face", "fuzz")?);
    let candidate = |x: f64| NewCandidate {
        image,
        class,
        bbox: BoundingBox::from_xywh(x, 12.0, 20.0, 20.0),
        score: 0.5,
        max_iou: 0.0,
        kind: FalsePositiveKind::Background,
    };
    store.replace_candidates(round, &[image], &[candidate(5.0), candidate(35.0)])?;
    Ok(path)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = file("v.jsonl", bytes);
    let database = folder().join("merged.db");
    thread_local!(static STORE: std::cell::RefCell<Option<Store>> = const { std::cell::RefCell::new(None) });
    STORE.with_borrow_mut(|kept| {
        let store = kept.get_or_insert_with(|| {
            std::fs::copy(template(), &database).expect("a copy of the project");
            Store::open(&database).expect("a project")
        });
        let is_changed = merge(store, &file).is_ok_and(|report| report.added > 0)
            | merge_with(store, &file, KEPT).is_ok_and(|report| report.added + report.without_candidate > 0);
        if is_changed {
            store.check_integrity().expect("a sound database");
            *kept = None;
        }
    });
});
