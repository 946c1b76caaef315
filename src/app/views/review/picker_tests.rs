//! Tests the class picker: keys in, classes out.

use super::super::decision::Decision;
use super::super::layout::Layout;
use super::super::model::tests::{model, saved};
use super::*;
use crate::domain::{CandidateId, Verdict};

fn classes() -> Vec<Class> {
    let class = |(name, id): (&str, i64)| {
        let (name, origin) = (name.to_owned(), "user".to_owned());
        Class { id: ClassId(id), name, color: [0; 3], position: id as u32, origin }
    };
    ["face", "bobcat", "cat", "Dog"].into_iter().zip(1..).map(class).collect()
}

fn open(last: Option<i64>, nearest: Option<i64>) -> ReviewModel<char> {
    let mut model = model(3);
    model.last_class = last.map(ClassId);
    model.open_picker(Question::WrongClass, &classes(), nearest.map(ClassId));
    model
}

fn press(model: &mut ReviewModel<char>, keys: &[PickerKey<'_>]) -> Option<i64> {
    keys.iter().find_map(|key| model.press_in_picker(*key)).map(|(_, class)| class.0)
}

#[test]
fn enter_takes_the_class_used_last_else_that_of_the_nearest_object_else_the_detectors() {
    let detectors = ClassId::ONLY.0;
    for (last, nearest, expected) in
        [(Some(4), Some(3), 4), (None, Some(3), 3), (None, None, detectors), (Some(9), None, detectors)]
    {
        let mut model = open(last, nearest);
        assert_eq!(press(&mut model, &[PickerKey::Enter]), Some(expected), "{last:?} {nearest:?}");
        assert_eq!((model.picker.clone(), model.last_class), (None, Some(ClassId(expected))));
    }
}

#[test]
fn letters_filter_and_digits_count_what_is_listed() {
    use PickerKey::{Backspace, Digit, Enter, Text};
    for (keys, expected) in [
        (&[Digit(2)][..], Some(2)),
        (&[Digit(5)], None),
        (&[Text("C"), Text("a"), Text("t"), Enter], Some(3)),
        (&[Text("ca"), Digit(1)], Some(2)),
        (&[Text("ca"), Enter], Some(3)),
        (&[Text("do"), Text("g"), Enter], Some(4)),
        (&[Text("x"), Enter], None),
        (&[Text("x"), Enter, Backspace, Backspace, Digit(1)], Some(1)),
    ] {
        assert_eq!(press(&mut open(Some(1), None), keys), expected, "{keys:?}");
    }
}

#[test]
fn escape_decides_nothing() {
    let mut model = open(Some(2), None);
    assert_eq!(press(&mut model, &[PickerKey::Escape, PickerKey::Enter]), None);
    assert_eq!((model.picker.clone(), model.is_saving(), model.position()), (None, false, 0));
}

/// The window's part: handles a key when it is its turn.
fn take(model: &mut ReviewModel<char>, key: char) -> Option<Decision> {
    match key {
        digit if model.picker.is_some() => {
            let (_, class) = model.press_in_picker(PickerKey::Digit(digit.to_digit(10)? as usize))?;
            model.decide_class(class)
        }
        'W' => {
            model.open_picker(Question::WrongClass, &classes(), None);
            None
        }
        _ => model.decide(Verdict::Confirmed, None),
    }
}

#[test]
fn keys_that_were_typed_ahead_go_to_the_picker_and_those_behind_it_decide() {
    let mut model = model(3);
    model.decide(Verdict::Rejected, None);
    for key in ['W', '2', 'A'] {
        assert!(model.must_wait());
        model.wait(key);
    }
    let mut decisions = Vec::new();
    for candidate in [1, 2] {
        let done = saved(&model, &[candidate]);
        model.confirmed(&done, 0.0);
        while let Some(key) = model.next_queued() {
            decisions.extend(take(&mut model, key));
        }
    }
    let given = [(2, Verdict::WrongClass, Some(ClassId(2))), (3, Verdict::Confirmed, None)];
    let expected = given.map(|(candidate, verdict, class)| {
        let candidates = vec![CandidateId(candidate)];
        Decision::Verdict { candidates, groups: Vec::new(), verdict, class, reason: None }
    });
    assert_eq!(decisions, expected);
}

#[test]
fn the_picker_goes_with_its_candidate_and_opens_on_none() {
    let mut passed = open(None, None);
    passed.step(1);
    assert_eq!(press(&mut passed, &[PickerKey::Enter]), None, "another candidate is the current one");
    let mut gone = open(None, None);
    gone.restart(Some(CandidateId(1)));
    assert!(gone.picker.is_some());
    gone.return_loaded(None);
    assert!(gone.picker.is_none());
    let mut empty = model(0);
    empty.open_picker(Question::WrongClass, &classes(), None);
    assert!(empty.picker.is_none());
    let mut history = model(1);
    history.layout = Layout::History;
    history.open_picker(Question::MissedObject, &classes(), None);
    assert!(history.picker.is_none());
}

#[test]
fn a_missed_object_is_written_with_the_class_that_was_chosen() {
    let mut model = model(1);
    model.start_adjusting(None, Some(ClassId(3)));
    let Some(Decision::Face { class, .. }) = model.commit_adjusted() else { panic!() };
    assert_eq!(class, Some(ClassId(3)));
    model.failed("full".to_owned());
    assert_eq!(model.adjusting.as_ref().and_then(|adjusting| adjusting.class), Some(ClassId(3)));
}
