//! docs/verdicts.md row by row: how each verdict on each kind of candidate affects training and the ground truth.

use quarry::domain::{
    Annotation, AnnotationSource, CandidateId, ClassId, CorrectionAct, FalsePositiveKind, HardNegativeSource,
    ObjectChange, Output, Shape, Verdict,
};
use quarry::store::{NewCandidate, NewDataset, NewVerdict, Store};
use quarry::workflow::export::{
    ExportReport, ExportScope, WriteFormat, ground_truth, hard_negatives, ignored_regions, imported_ground_truth,
};

use super::project::{bb, face, new_image};

const CAT: ClassId = ClassId(1);
const DOG: ClassId = ClassId(2);
const BIRD: ClassId = ClassId(3);

/// Returns the rows of the page's table whose first column is called `first`.
fn rows(first: &str) -> Vec<Vec<String>> {
    let text = include_str!("../../docs/verdicts.md");
    let lines = text.lines().skip_while(|line| !line.starts_with(&format!("| {first} "))).skip(2);
    let lines = lines.take_while(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Returns the sources of the objects in a table export, with ignored ones marked.
fn sources(file: &std::path::Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let source = |line: &str| {
        let cells: Vec<&str> = line.rsplit(',').collect();
        if cells[2] == "true" { format!("{}, ignored", cells[1]) } else { cells[1].to_owned() }
    };
    // An image without objects has a line of its own.
    let found: Vec<String> = text.lines().skip(1).map(source).filter(|source| !source.is_empty()).collect();
    if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
}

/// Returns what each kind of `quarry export` writes: ground truth, hard negatives, the same unreviewed, ignored regions. Checks that every
/// format writes the same.
/// the same.
fn exported(store: &Store, dir: &std::path::Path) -> [String; 4] {
    let exported = |format| exported_as(store, dir, format);
    let table = exported(WriteFormat::Csv);
    let truth = sources(&dir.join("truth-csv"));
    // Some formats cannot represent an ignored object; the table of formats says so.
    for format in WriteFormat::ALL.into_iter().filter(|_| !truth.contains("ignored")) {
        assert_eq!(exported(format), table, "{format:?}");
    }
    let [counted, rest @ ..] = table;
    // The report counts what the table contains; only the table shows ignored ones.
    let words = |text: &str| text.split(", ").filter(|word| *word != "ignored").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&truth), words(&counted));
    let [negatives, unreviewed, ignored] = rest;
    [truth, negatives, unreviewed, ignored]
}

fn exported_as(store: &Store, dir: &std::path::Path, format: WriteFormat) -> [String; 4] {
    let all = ExportScope::default();
    // Folders are written to new ones.
    let out = |name: &str| {
        let path = dir.join(format!("{name}-{}", format.as_str()));
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        Output::new(path, true)
    };
    let report = ground_truth(store, &all, format, out("truth")).unwrap();
    let counted = [
        ("imported", report.imported),
        ("edited", report.edited),
        ("promoted", report.promoted),
        ("added", report.added),
    ];
    let words: Vec<&str> = counted.iter().flat_map(|(word, count)| std::iter::repeat_n(*word, *count)).collect();
    let truth = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
    let yes = |report: ExportReport| if report.objects > 0 { "yes" } else { "no" }.to_owned();
    let negatives = |source| yes(hard_negatives(store, &all, source, format, out("negatives")).unwrap());
    [
        truth,
        negatives(HardNegativeSource::Confirmed),
        negatives(HardNegativeSource::Unreviewed),
        yes(ignored_regions(store, &all, format, out("ignored")).unwrap()),
    ]
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
    let rows = rows("kind");
    for row in &rows {
        let [kind, verdict, confirmed, unreviewed, ground_truth, written @ ..] = row.as_slice() else {
            panic!("{row:?}")
        };
        let (dir, mut store, id) = project(FalsePositiveKind::parse(kind).unwrap());
        if verdict != "none" {
            let verdict = Verdict::parse(verdict).unwrap();
            let ruling = NewVerdict { class: verdict.has_class().then_some(BIRD), ..NewVerdict::plain(verdict) };
            store.decide(&[id], "Ada", &ruling, 1).unwrap();
        }
        assert_eq!(learns(&store, HardNegativeSource::Confirmed), confirmed, "{row:?}");
        assert_eq!(learns(&store, HardNegativeSource::Unreviewed), unreviewed, "{row:?}");
        assert_eq!(truth(&store), ground_truth, "{row:?}");
        assert_eq!(exported(&store, dir.path()).as_slice(), written, "{row:?}");
        let own = store.own_ground_truth().unwrap();
        assert_eq!(own.values().flatten().map(|o| o.class).collect::<Vec<_>>(), [CAT], "{row:?}");
        if store.undo("Ada", 2).unwrap().is_some() {
            assert_eq!((truth(&store), store.rejected_regions().unwrap().len()), ("as it was", 0), "undone {row:?}");
        }
    }
}

#[test]
fn the_table_has_every_kind_and_verdict() {
    let rows = rows("kind");
    let kinds = FalsePositiveKind::ALL.into_iter().filter(|kind| *kind != FalsePositiveKind::Duplicate);
    for kind in kinds {
        for verdict in Verdict::ALL.map(Verdict::as_str).into_iter().chain(["none"]) {
            let found = rows.iter().filter(|row| row[0] == kind.as_str() && row[1] == verdict).count();
            assert_eq!(found, 1, "{} x {verdict}", kind.as_str());
        }
    }
    assert_eq!(rows.len(), 4 * 6);
}

/// Performs a row of the table of corrections; returns the meaning of its other words too.
fn correct(store: &mut Store, word: &str) {
    let image = store.images().unwrap()[0].id;
    let cat = store.objects_of_image(image).unwrap()[0].id;
    let better = Shape::Rectangle(bb(0., 0., 45., 100.));
    let change = match CorrectionAct::parse(word) {
        None if word == "none" => return,
        Some(CorrectionAct::Added) => {
            store.add_object(image, "Ada", (better, CAT), 1).unwrap();
            return;
        }
        Some(CorrectionAct::Reshaped) => ObjectChange::Shape(better),
        Some(CorrectionAct::Reclassed) => ObjectChange::Class(DOG),
        Some(CorrectionAct::Ignored) => ObjectChange::Ignored(true),
        Some(CorrectionAct::Deleted) => ObjectChange::Deleted(true),
        other => panic!("{word}: {other:?}"),
    };
    let gesture = store.correct_objects(&[cat], "Ada", change, 1).unwrap().unwrap();
    assert_eq!(gesture.act.map(CorrectionAct::as_str), Some(word));
}

fn learnt(objects: Option<&Vec<Annotation>>) -> String {
    let own = face(bb(0., 0., 100., 100.));
    let word = |object: &Annotation| match object {
        object if object.ignored => "ignored",
        object if object.source == AnnotationSource::Edited && object.class != own.class => "object, reclassed",
        object if object.source == AnnotationSource::Edited && object.shape != own.shape => "object, reshaped",
        _ => "object",
    };
    objects
        .filter(|objects| !objects.is_empty())
        .map_or("nothing".to_owned(), |objects| objects.iter().map(word).collect::<Vec<_>>().join(", "))
}

#[test]
fn every_row_of_the_table_of_corrections_is_true() {
    let rows = rows("correction");
    assert_eq!(rows.len(), 6);
    for row in &rows {
        let [word, corrected, imported, written, imported_only, on_it] = row.as_slice() else { panic!("{row:?}") };
        let (dir, mut store, id) = project(FalsePositiveKind::Localisation);
        let image = store.images().unwrap()[0].id;
        correct(&mut store, word);
        assert_eq!(learnt(store.all_ground_truth().unwrap().get(&image)), *corrected, "{row:?}");
        assert_eq!(learnt(store.own_ground_truth().unwrap().get(&image)), *imported, "{row:?}");
        assert_eq!(exported(&store, dir.path())[0], *written, "{row:?}");
        let out = dir.path().join("own.csv");
        imported_ground_truth(&store, &ExportScope::default(), WriteFormat::Csv, &out).unwrap();
        assert_eq!(sources(&out), *imported_only, "{row:?}");
        assert_eq!(store.candidate(id).unwrap().kind.as_str(), on_it, "{row:?}");
        let is_hard = !store.hard_negatives(HardNegativeSource::Unreviewed, 2).unwrap().is_empty();
        assert_eq!(is_hard, on_it != "duplicate", "{row:?}");
        store.undo("Ada", 2).unwrap();
        assert_eq!(learnt(store.all_ground_truth().unwrap().get(&image)), "object", "undone {row:?}");
    }
}

#[test]
fn each_format_flags_what_was_corrected_or_says_that_it_cannot() {
    let rows = rows("format");
    assert_eq!(rows.len(), WriteFormat::ALL.len());
    for format in WriteFormat::ALL {
        let row = rows.iter().find(|row| row[0] == format.as_str()).expect("a row of each format");
        for (word, source, is_ignored) in
            [("reclassed", "edited", false), ("added", "added", false), ("ignored", "edited", true)]
        {
            let (dir, mut store, _) = project(FalsePositiveKind::Localisation);
            correct(&mut store, word);
            let out = dir.path().join("out");
            let report = ground_truth(&store, &ExportScope::default(), format, &out).unwrap();
            let mut text = String::new();
            for entry in walk(dir.path()).into_iter().filter(|file| !file.ends_with("quarry.db")) {
                text += &std::fs::read_to_string(entry).unwrap_or_default();
            }
            let losses = report.losses.join(" ");
            let flags = match format {
                WriteFormat::Coco => (format!("\"source\":\"{source}\""), "\"iscrowd\":1"),
                WriteFormat::Voc => (format!("<source>{source}</source>"), "<difficult>1</difficult>"),
                WriteFormat::Cvat => (format!("<attribute name=\"source\">{source}</attribute>"), "\"ignored\">true"),
                WriteFormat::Csv => (format!(",{source},"), ",true,"),
                WriteFormat::Fddb => (format!(",{source},"), "left out"),
                WriteFormat::Yolo => ("promoted, edited, added".to_owned(), "left out"),
            };
            let (in_text, in_losses) = (text.contains(&flags.0), losses.contains(&flags.0));
            let is_left_out = is_ignored && row[2].starts_with("left out");
            assert_eq!(report.left_out, usize::from(is_left_out), "{format:?} {word}");
            if is_left_out {
                assert!(losses.contains("1 ignored region is left out"), "{format:?}: {losses}");
                continue;
            }
            assert_eq!(
                (in_text, in_losses),
                (!row[1].contains("not held"), row[1].contains("not held")),
                "{format:?} {word}: {text} {losses}"
            );
            assert_eq!(text.contains(flags.1), is_ignored, "{format:?} {word}: {text}");
            let counts = (report.imported, report.edited, report.added);
            assert_eq!(counts, if word == "added" { (1, 0, 1) } else { (0, 1, 0) }, "{format:?} {word}");
        }
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
