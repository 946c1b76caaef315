//! Nothing is lost by navigating, by closing the window, or when someone else decides on the same project.

use egui::accesskit::Role as AccessRole;
use egui::{Event, Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use quarry::app::QuarryApp;
use quarry::app::command::ImagesCommand;
use quarry::app::command::{Command, Screen};
use quarry::app::keymap::Keymap;
use quarry::app::options::{LastPlace, Options};
use quarry::store::CandidateQuery;

use super::app_project;
use super::window::{Window, counts, press, run_until, wait_for, wait_until, wheel_until, window};

fn press_with(window: &mut Window, modifiers: Modifiers, key: Key) {
    window.key_press_modifiers(modifiers, key);
    window.step();
}

fn is_grid(window: &Window) -> bool {
    window.state().as_ref().and_then(QuarryApp::last_place).is_some_and(|place| place.is_grid)
}

#[test]
fn escape_and_alt_left_go_back_to_filter_place_and_layout() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    for expected in ["2 of 18", "3 of 18"] {
        press(&mut window, Key::ArrowRight);
        wait_for(&mut window, expected);
    }
    // The disagreements, which are empty, and back.
    press_with(&mut window, Modifiers::SHIFT, Key::P);
    wait_for(&mut window, "Nothing passes the filter");
    press(&mut window, Key::Escape);
    wait_for(&mut window, "3 of 18");
    // The history, a candidate in it, and back in two steps.
    press(&mut window, Key::A);
    wait_until(&mut window, "the verdict", || counts(&project).confirmed == 1);
    wait_for(&mut window, "4 of 18");
    press(&mut window, Key::G);
    run_until(&mut window, "the grid", is_grid);
    press(&mut window, Key::H);
    run_until(&mut window, "the history", |window| !is_grid(window));
    press_with(&mut window, Modifiers::ALT, Key::ArrowLeft);
    run_until(&mut window, "the grid again", is_grid);
    press(&mut window, Key::G);
    wait_for(&mut window, "4 of 18");
}

/// Where nothing can be decided, no key that decides is shown, and no image can be marked as complete unseen.
#[test]
fn the_history_and_the_annotators_show_only_actions_that_work_there() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    let deciding = ["Hard negative", "Reject", "Missed object", "Skip", "Next undecided", "Image complete"];
    // The annotators' table has titles of these words too.
    let is_button = |name: &str, window: &Window| {
        window.query_all_by_label_contains(name).any(|node| node.accesskit_node().role() == AccessRole::Button)
    };
    let shown = |window: &Window| deciding.map(|name| is_button(name, window));
    let before = shown(&window);
    assert!(before.iter().all(|shown| *shown), "{deciding:?}: {before:?}");
    for (key, there) in [(Key::H, "Nothing was decided yet."), (Key::P, "Agreement")] {
        press(&mut window, key);
        wait_for(&mut window, there);
        assert_eq!(shown(&window), [false; 6], "{there}");
        assert!(window.query_all_by_label_contains("Undo").next().is_some(), "{there}");
        press(&mut window, Key::K);
        press(&mut window, Key::Escape);
        wait_for(&mut window, "1 of 6");
    }
    assert!(project.open_store().unwrap().complete_images().unwrap().is_empty());
}

/// The history and the annotators show no candidate: keys about one neither move the hidden place nor mark the hidden image.
#[test]
fn keys_about_a_candidate_do_nothing_where_none_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    press(&mut window, Key::A);
    press(&mut window, Key::A);
    wait_until(&mut window, "two verdicts", || counts(&project).confirmed == 2);
    wait_for(&mut window, "3 of 18");
    for (open, sign) in [(Key::H, "Search the history"), (Key::P, "Agreement")] {
        press(&mut window, open);
        wait_for(&mut window, sign);
        for key in [Key::End, Key::Tab, Key::PageDown, Key::PageDown, Key::ArrowRight, Key::ArrowRight, Key::K] {
            press(&mut window, key);
        }
        window.run_steps(20);
        press(&mut window, Key::Escape);
        wait_for(&mut window, "3 of 18");
        assert!(window.query_by_label("complete").is_none());
    }
    // In the history Home and End mark the newest and the oldest decision: the oldest is the first candidate's.
    press(&mut window, Key::H);
    wait_for(&mut window, "Search the history");
    press(&mut window, Key::End);
    press(&mut window, Key::L);
    wait_for(&mut window, "1 of 18");
}

/// A window that restores the previous session.
fn reopened(last: LastPlace) -> Window {
    let show = move |ui: &mut egui::Ui, app: &mut Option<QuarryApp>| {
        let app = app.get_or_insert_with(|| {
            let options = Options { last: Some(last.clone()), ..Options::default() };
            let mut app = QuarryApp::new(ui.ctx(), options, Keymap::default());
            app.reopen_last();
            app
        });
        app.tick(ui.ctx());
        app.show(ui);
    };
    Harness::builder().with_size(egui::vec2(1440.0, 900.0)).build_ui_state(show, None)
}

#[test]
fn reopening_brings_back_project_and_screen_and_says_when_the_project_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let mut first = window(Screen::Review, Some(project.dir()));
    wait_for(&mut first, "1 of 18");
    let last = first.state().as_ref().unwrap().last_place().unwrap();
    assert_eq!((last.screen, last.is_grid), (Screen::Review, false));
    drop(first);
    let mut second = reopened(last.clone());
    wait_for(&mut second, "1 of 18");
    drop(second);
    std::fs::remove_dir_all(project.dir()).unwrap();
    let mut third = reopened(last);
    wait_for(&mut third, "Dismiss error");
    assert!(third.state().as_ref().unwrap().last_place().is_none(), "it is not tried again");
}

#[test]
fn reopening_shows_the_same_candidate_if_the_filter_still_lists_it() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let mut first = window(Screen::Review, Some(project.dir()));
    wait_for(&mut first, "1 of 18");
    press(&mut first, Key::A);
    wait_until(&mut first, "the verdict", || counts(&project).confirmed == 1);
    wait_for(&mut first, "2 of 18");
    for at in 3..=5 {
        press(&mut first, Key::ArrowRight);
        wait_for(&mut first, &format!("{at} of 18"));
    }
    let last = first.state().as_ref().unwrap().last_place().unwrap();
    let listed = project.open_store_to_read().unwrap().candidate_ids(&CandidateQuery::default()).unwrap();
    assert_eq!((last.candidate, last.position), (Some(listed[3]), 3), "one of those before it is decided");
    drop(first);
    // The decided one is no longer listed.
    let mut second = reopened(last.clone());
    wait_for(&mut second, "4 of 17");
    let again = second.state().as_ref().unwrap().last_place().unwrap();
    assert_eq!(again, last);
    press(&mut second, Key::A);
    wait_until(&mut second, "the verdict", || counts(&project).confirmed == 2);
    drop(second);
    // Decided meanwhile: the list begins at its start.
    let mut third = reopened(last);
    wait_for(&mut third, "1 of 16");
    let place = third.state().as_ref().unwrap().last_place().unwrap();
    assert_eq!((place.candidate, place.position), (Some(listed[0]), 0));
}

#[test]
fn what_another_window_decides_appears_and_is_not_offered_again() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut one = window(Screen::Review, Some(project.dir()));
    let mut other = window(Screen::Review, Some(project.dir()));
    wait_for(&mut one, "1 of 6");
    wait_for(&mut other, "1 of 6");
    press(&mut one, Key::A);
    press(&mut one, Key::X);
    wait_until(&mut one, "two verdicts", || counts(&project).undecided == 4);
    wait_for(&mut other, "2 decided  ·  4 left");
    // The count may arrive before the rows that were decided.
    let skips_both = (0..1_000).any(|_| {
        press(&mut other, Key::Home);
        press(&mut other, Key::Tab);
        other.run_steps(3);
        std::thread::sleep(std::time::Duration::from_millis(20));
        other.query_by_label("3 of 6").is_some()
    });
    assert!(skips_both, "the second candidate is still offered");
    // What is undone there is offered here again.
    press(&mut one, Key::Backspace);
    wait_until(&mut one, "the undo", || counts(&project).undecided == 5);
    wait_for(&mut other, "1 decided  ·  5 left");
}

fn close_up(window: &Window) -> Option<(quarry::domain::ImageId, (f64, f64), f64)> {
    window.state().as_ref().and_then(QuarryApp::close_up)
}

/// Returns the view once scrolling has ended.
fn at_rest(window: &mut Window) -> Option<(quarry::domain::ImageId, (f64, f64), f64)> {
    let before = std::cell::Cell::new(None);
    run_until(window, "the wheel's end", |window| {
        let now = close_up(window);
        now.is_some() && now == before.replace(now)
    });
    close_up(window)
}

#[test]
fn zoom_and_place_are_kept_between_review_grid_image_and_browser() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 12");
    run_until(&mut window, "the image", |window| {
        window.state().as_ref().is_some_and(|app| app.shown_crop().is_some())
            && window.query_by_label_contains("Image scene_").is_some()
    });
    wheel_until(&mut window, "Image scene_", (0.7, 0.4), |window| close_up(window).is_some());
    let zoomed = at_rest(&mut window);
    let (image, _, scale) = zoomed.unwrap();
    // The pointer is not part of what is restored.
    window.event(Event::PointerGone);
    window.step();
    press(&mut window, Key::G);
    run_until(&mut window, "the grid", is_grid);
    press(&mut window, Key::G);
    run_until(&mut window, "the queue with its place", |window| !is_grid(window) && close_up(window) == zoomed);
    // The same image on the Images screen, in its browser and open again.
    press_with(&mut window, Modifiers::COMMAND, Key::Num5);
    wait_for(&mut window, "4 of 4 images");
    let open = Command::Images(ImagesCommand::Open(image));
    for _ in 0..2 {
        window.state_mut().as_mut().unwrap().push(open.clone());
        run_until(&mut window, "the image with its place", |window| close_up(window) == zoomed);
        press(&mut window, Key::Escape);
        run_until(&mut window, "the browser", |window| close_up(window).is_none());
    }
    // Changes there show in the review.
    window.state_mut().as_mut().unwrap().push(open);
    run_until(&mut window, "the image with its place", |window| close_up(window) == zoomed);
    press(&mut window, Key::Plus);
    run_until(&mut window, "a closer look", |window| close_up(window).is_some_and(|(_, _, now)| now > scale));
    let closer = close_up(&window);
    press_with(&mut window, Modifiers::COMMAND, Key::Num2);
    run_until(&mut window, "the review at the same place", |window| close_up(window) == closer);
    // Another image is shown as a whole, and the first one again as it was left.
    let store = project.open_store_to_read().unwrap();
    let listed = store.candidate_ids(&CandidateQuery::default()).unwrap();
    let image_of = |at: usize| store.candidate(listed[at]).unwrap().image;
    let other = (1..listed.len()).find(|at| image_of(*at) != image).unwrap();
    for at in 2..=other + 1 {
        press(&mut window, Key::ArrowRight);
        wait_for(&mut window, &format!("{at} of 12"));
    }
    run_until(&mut window, "another image", |window| close_up(window).is_none());
    press(&mut window, Key::Home);
    wait_for(&mut window, "1 of 12");
    run_until(&mut window, "the first again", |window| close_up(window).is_some());
    assert_eq!(close_up(&window), closer);
}
