//! The window's messages, and its behaviour when something is missing: no project, a moved folder, an error.

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use quarry::app::command::{Command, DatasetCommand, Screen};

use super::app_project;
use super::window::{press_at_once, run_until, wait_for, wait_for_part, window};

#[test]
fn without_a_project_the_review_says_so() {
    let mut window = window(Screen::Review, None);
    wait_for(&mut window, "No project is open");
    assert!(window.query_by_label_contains("Looking for candidates").is_none());
    window.get_by_label("Open or make a project").click_accesskit();
    wait_for(&mut window, "Make new");
}

#[test]
fn what_repeats_is_one_line_with_a_count() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    press_at_once(&mut window, &[(Key::Backspace, ""); 100]);
    wait_for(&mut window, "Nothing to undo ×100");
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    wait_for(&mut window, "Nothing to redo");
}

#[test]
fn an_error_stays_until_it_was_read_and_the_log_outlives_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let log = project.dir().join("messages.txt");
    let mut first = window(Screen::Review, Some(project.dir()));
    wait_for(&mut first, "1 of 6");
    let open = Command::Open(dir.path().join("gone"));
    for _ in 0..2 {
        first.state_mut().as_mut().unwrap().push(open.clone());
        first.step();
    }
    wait_for_part(&mut first, "×2");
    run_until(&mut first, "the log's file", |_| std::fs::read_to_string(&log).is_ok_and(|text| text.contains("gone")));
    first.get_by_label("Dismiss error").click_accesskit();
    run_until(&mut first, "the error's end", |window| window.query_by_label("Dismiss error").is_none());
    drop(first);
    let mut second = window(Screen::Review, Some(project.dir()));
    wait_for(&mut second, "1 of 6");
    second.get_by_label("Log").click_accesskit();
    wait_for_part(&mut second, "gone");
    assert!(second.query_by_label("Dismiss error").is_none(), "it was read");
}

#[test]
fn a_moved_dataset_is_located_from_the_review_and_shown_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let (here, elsewhere) = (dir.path().join("pictures"), dir.path().join("elsewhere"));
    std::fs::rename(&here, &elsewhere).unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "The image cannot be shown");
    wait_for(&mut window, "Locate folder…");
    // The system's dialog cannot be driven here; this is its reply.
    let dataset = project.open_store_to_read().unwrap().datasets().unwrap().remove(0).id;
    let command = Command::Dataset(DatasetCommand::MoveTo(dataset, elsewhere));
    window.state_mut().as_mut().unwrap().push(command);
    run_until(&mut window, "the image", |window| window.state().as_ref().is_some_and(|app| app.shown_crop().is_some()));
    run_until(&mut window, "no complaint", |window| window.query_by_label("The image cannot be shown").is_none());
}
