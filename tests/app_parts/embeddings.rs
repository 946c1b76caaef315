//! Interrupted embeddings of imported detections resume when the project is opened again.

use std::path::Path;

use egui::Key;
use egui_kittest::kittest::Queryable as _;
use quarry::app::command::{Command, Screen};
use quarry::domain::Cancel;
use quarry::store::{NewCandidate, Store};
use quarry::workflow::embed::embed;
use quarry::workflow::{Project, WorkEvent};

use super::app_project;
use super::window::{Window, counts, press, run_until, wait_for, wait_until, window};

fn is_skipped() -> bool {
    let is_there = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/open-nsfw.onnx").is_file();
    if !is_there {
        println!("SKIPPED: models/open-nsfw.onnx is not there (make setup); no embeddings were computed");
    }
    !is_there
}

/// A project with an own and an imported round; the embeddings of the first images exist, as after an interrupted run.
fn cut_off(dir: &Path, images: u32) -> Project {
    let project = app_project::make(dir, images, 1);
    let mut store = project.open_store().unwrap();
    let round = store.start_imported_round("yolo", "found.json", "").unwrap().id;
    let images: Vec<_> = store.images().unwrap().iter().map(|image| image.id).collect();
    let own = store.candidate_hashes().unwrap();
    let new: Vec<NewCandidate> = own
        .iter()
        .map(|c| NewCandidate { image: c.image, class: c.class, bbox: c.bbox, score: 0.99, max_iou: 0.0, kind: c.kind })
        .collect();
    store.replace_candidates(round, &images, &new).unwrap();
    store.end_mining(round).unwrap();
    let cancel = Cancel::new();
    let mut stop_after_one = |event: WorkEvent| {
        if let WorkEvent::Progress(_) = event {
            cancel.cancel();
        }
    };
    assert!(embed(&mut store, &mut stop_after_one, &cancel).is_err());
    assert!(lacking(&project) > 0 && lacking(&project) < new.len(), "a part is there");
    project
}

/// [`cut_off`] with a window on the review.
fn reviewing(dir: &Path) -> (Project, Window) {
    let project = cut_off(dir, 24);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 144");
    (project, window)
}

fn lacking(project: &Project) -> usize {
    Store::open_read_only(&project.database()).unwrap().candidates_without_embedding().unwrap().len()
}

/// Whether everything is embedded and grouped.
fn is_done(project: &Project) -> bool {
    let store = Store::open_read_only(&project.database()).unwrap();
    !store.lacks_embeddings().unwrap() && store.candidate_hashes().unwrap().iter().all(|candidate| !candidate.is_new)
}

/// Whether the status bar shows the job's progress.
fn has_begun(window: &Window) -> bool {
    window.query_all_by_label_contains("features of the crops").next().is_some()
}

fn open(window: &mut Window, project: &Project) {
    window.state_mut().as_mut().unwrap().push(Command::Open(project.dir().to_owned()));
}

#[test]
fn embeddings_that_were_cut_off_go_on_when_the_project_is_opened_and_verdicts_do_not_wait() {
    if is_skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (project, mut window) = reviewing(dir.path());
    press(&mut window, Key::A);
    wait_until(&mut window, "a verdict", || counts(&project).undecided == 143);
    wait_until(&mut window, "every embedding", || is_done(&project));
    assert!(Store::open_read_only(&project.database()).unwrap().candidate_features().unwrap().len() >= 72);
}

#[test]
fn embeddings_keep_nobody_from_opening_another_project() {
    if is_skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (project, mut window) = reviewing(&dir.path().join("a"));
    let other = app_project::make(&dir.path().join("b"), 3, 1);
    // Stopped at any point: before, within or after the last embeddings, or while they are grouped.
    run_until(&mut window, "the embeddings' begin", |window| has_begun(window) || lacking(&project) == 0);
    open(&mut window, &other);
    wait_for(&mut window, "1 of 9");
    open(&mut window, &project);
    wait_for(&mut window, "1 of 144");
    wait_until(&mut window, "every embedding", || is_done(&project));
}

#[test]
fn embeddings_give_way_to_groups_that_are_asked_for() {
    if is_skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (project, mut window) = reviewing(dir.path());
    press(&mut window, Key::Slash);
    wait_for(&mut window, "Regroup");
    run_until(&mut window, "the embeddings' begin", |window| has_begun(window) || lacking(&project) == 0);
    // By name: counts that arrive above the button move it.
    window.get_by_label("Regroup").click_accesskit();
    wait_until(&mut window, "every embedding, and groups", || is_done(&project));
    assert_eq!(window.query_all_by_label_contains("is still running").count(), 0);
}
