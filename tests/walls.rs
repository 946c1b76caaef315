//! The walls of the house: reads every source file's imports and fails on a breach. Knows paths and words, no behaviour.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// What a room may import from this crate.
const ROOMS: &[(&str, &[&str])] = &[
    ("geometry", &[]),
    ("domain", &["geometry"]),
    ("dataset", &["domain", "geometry"]),
    ("evaluation", &["domain", "geometry"]),
    ("mining", &["domain", "geometry"]),
    ("store", &["domain", "geometry"]),
    ("detector", &["domain", "geometry"]),
    ("training", &["detector", "domain", "geometry"]),
    ("models", &["detector", "domain", "geometry"]),
    ("workflow", &["models", "training", "detector", "store", "mining", "evaluation", "dataset", "domain", "geometry"]),
    ("jobs", &["workflow", "training", "store", "mining", "evaluation", "dataset", "domain", "geometry"]),
    (
        "app",
        &["jobs", "workflow", "training", "detector", "store", "mining", "evaluation", "dataset", "domain", "geometry"],
    ),
    // Without a subcommand, and for `demo`, the command line opens the window.
    (
        "cli",
        &["app", "workflow", "training", "detector", "store", "mining", "evaluation", "dataset", "domain", "geometry"],
    ),
];

/// A foreign crate and the only rooms that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("egui", &["app"]),
    ("eframe", &["app"]),
    ("egui_plot", &["app"]),
    ("egui_extras", &["app"]),
    ("egui_notify", &["app"]),
    ("rfd", &["app"]),
    ("tch", &["detector", "training", "models"]),
    ("ort", &["models"]),
    ("poll_promise", &["jobs"]),
    ("nvml_wrapper", &["training"]),
    ("rusqlite", &["store"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("ureq", &["workflow"]),
    ("indicatif", &["cli"]),
    ("anyhow", &["cli", "app"]),
];

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The lines of code with comments cut off, so that a doc comment may name what it must not know.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.split("//").next().unwrap_or("")))
        .filter(|(_, l)| !l.trim().is_empty())
}

fn names(line: &str, prefix: &str) -> Vec<String> {
    line.match_indices(prefix)
        .filter(|(at, _)| *at == 0 || !line[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|(at, _)| {
            line[at + prefix.len()..]
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
                .collect()
        })
        .collect()
}

/// What a file names of the crate's top, with the lines: `crate::store`, and every part of `crate::{store::Store, domain}`, over
/// however many lines; the same after as many `super::` as lead there from a module `depth` below it.
fn imports(text: &str, depth: usize) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
    let code = lines.join("\n");
    let supers = "super::".repeat(depth);
    let mut found = Vec::new();
    for top in ["crate::", supers.as_str()] {
        for (at, _) in code.match_indices(top) {
            let before = &code[..at];
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') || before.ends_with("super::") {
                continue;
            }
            let line = before.matches('\n').count() + 1;
            found.extend(first_words(&code[at + top.len()..]).into_iter().map(|word| (line, word)));
        }
    }
    found
}

/// The first name of a path, or of every path in a braced group.
fn first_words(code: &str) -> Vec<String> {
    let word = |code: &str| -> String {
        code.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect()
    };
    let Some(group) = code.strip_prefix('{') else { return vec![word(code)] };
    let (mut depth, mut start, mut words) = (1, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            words.push(word(&group[start..at]));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    words
}

fn breaches(src: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (room, allowed) in ROOMS {
        let dir = src.join(room);
        assert!(dir.is_dir(), "the room src/{room} is gone: mend this list and ARCHITECTURE.md");
        let mut files = Vec::new();
        rust_files(&dir, &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let place = |line: usize| format!("{}:{line}", file.display());
            assert!(
                text.starts_with("//!"),
                "{} does not open with //!: its purpose and what it must not know",
                file.display()
            );
            let depth = file.strip_prefix(src).unwrap().components().count() - usize::from(file.ends_with("mod.rs"));
            for (line, other) in imports(&text, depth) {
                let is_room = ROOMS.iter().any(|(r, _)| *r == other);
                if is_room && other != *room && !allowed.contains(&other.as_str()) {
                    found.push(format!("{}: {room} imports {other}", place(line)));
                }
            }
            for (line, code) in code_lines(&text) {
                for (foreign, rooms) in CRATES {
                    let named = ["use {};", "use {} as "].map(|form| form.replace("{}", foreign));
                    let used = !names(code, &format!("{foreign}::")).is_empty()
                        || named.iter().any(|form| code.contains(form.as_str()));
                    if used && !rooms.contains(room) {
                        found.push(format!("{}: {room} names {foreign}", place(line)));
                    }
                }
                if code.contains("thread::spawn") || code.contains("thread::Builder") {
                    let threads = ["jobs", "training", "store", "dataset", "evaluation"];
                    if !threads.contains(room) {
                        found.push(format!("{}: {room} starts a thread", place(line)));
                    }
                }
                if code.contains(".cuda()") || (code.contains("Device::Cuda(") && !file.ends_with("detector/device.rs"))
                {
                    found.push(format!("{}: chooses a device outside detector/device.rs", place(line)));
                }
            }
        }
    }
    found
}

#[test]
fn no_room_reaches_through_a_wall() {
    let found = breaches(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(found.is_empty(), "breaches of the walls:\n{}", found.join("\n"));
}

#[test]
fn the_test_sees_a_breach() {
    let dir = tempfile::tempdir().unwrap();
    for (room, _) in ROOMS {
        fs::create_dir_all(dir.path().join(room)).unwrap();
    }
    let write = |file: &str, code: &str| fs::write(dir.path().join(file), format!("//! Test.\n{code}\n")).unwrap();
    write("mining/mod.rs", "use crate::store::Store;");
    write("workflow/mod.rs", "fn f() { let x = rusqlite::Connection::open(\"\"); }");
    write("training/mod.rs", "let t = t.cuda();");
    write("evaluation/mod.rs", "// crate::store is not known here\nuse crate::geometry::Ellipse;");
    fs::create_dir_all(dir.path().join("detector/ops")).unwrap();
    write("dataset/mod.rs", "use crate::{\n    domain::{ImageId, store},\n    geometry,\n    store::Store,\n};");
    write("detector/ops/nms.rs", "use super::super::super::training::Order;\nuse super::super::Detector;");
    let mut found = breaches(dir.path());
    found.sort();
    let expected = [
        "dataset/mod.rs:2: dataset imports store",
        "detector/ops/nms.rs:2: detector imports training",
        "mining/mod.rs:2: mining imports store",
        "training/mod.rs:2: chooses a device outside detector/device.rs",
        "workflow/mod.rs:2: workflow names rusqlite",
    ];
    let place = |line: &str| format!("{}/{line}", dir.path().display());
    assert_eq!(found, expected.map(place));
}

#[test]
fn main_is_thin() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 60);
}

/// Placeholders in SQL that are no constants of the store, each with the proof that nothing from outside gets there.
const SQL_PLACEHOLDERS: &[(&str, &str, &str)] = &[
    ("candidates.rs", "table", "one of the names in the array above it"),
    ("candidates.rs", "of_image", "a constant text in that function"),
    ("classes.rs", "table", "one of the names in the array above it"),
    ("connection.rs", "table", "the two names that the function passes"),
    ("ground_truth.rs", "", "present(): see images.rs"),
    ("hard_negatives.rs", "wanted", "one of two constant texts, by where hard negatives come from"),
    ("hard_negatives.rs", "", "fresh(): one of two constant texts, by whether the format has the table"),
    ("looks.rs", "", "present(): see images.rs"),
    ("reimport.rs", "", "present(): see images.rs"),
    ("rescue.rs", "class", "one of two constant texts, by whether the format has the column"),
    ("ground_truth.rs", "wanted", "one of two constant texts, by a flag"),
    ("history.rs", "of_gesture", "empty or an integer, in the lines above"),
    ("history.rs", "id", "an integer of the store's own"),
    ("images.rs", "", "present(): one of two constant texts, by whether the format has the column"),
    ("ground_truth.rs", "condition", "a constant text of its callers"),
    ("ground_truth.rs", "column", "one of three column names, in the lines above"),
    ("history.rs", "", "texts of the program's own: a CASE over the acts, and a constant condition"),
    ("deletion.rs", "table", "a table's name: Deletion::start, or a constant of its callers"),
    ("deletion.rs", "child", "a name that the schema gives, quoted"),
    ("deletion.rs", "column", "a name that the schema gives, quoted"),
    ("deletion.rs", "sql", "a constant text of its callers"),
    ("deletion.rs", "", "quoted(): a name that the schema gives"),
    ("image_marks.rs", "", "present(): see images.rs"),
    ("rescue.rs", "table", "one of the names of the two logs"),
    ("rescue.rs", "basis", "one of two constant texts, by whether the format has the column"),
    ("features.rs", "", "present(): see images.rs"),
    ("rescue.rs", "since", "one of two constant texts, by whether the format has the column"),
    ("log_lines.rs", "", "a constant text"),
    ("log.rs", "table", "a field of one of the two constants above"),
    ("log.rs", "column", "a field of one of the two constants above"),
];

/// The text literals of `format!` in a source that are SQL.
fn formatted_sql(text: &str) -> Vec<String> {
    const SQL: [&str; 13] = [
        "SELECT ", "INSERT ", "UPDATE ", "DELETE ", "REPLACE ", "PRAGMA ", "CREATE ", "DROP ", "ALTER ", "ATTACH ",
        " WHERE ", " FROM ", "AND ",
    ];
    let literals = text.split("format!(").skip(1).filter_map(|rest| {
        let (literal, end) = (rest.trim_start().strip_prefix('"')?, &mut false);
        let is_end = |c: char| {
            let is_end = c == '"' && !*end;
            *end = c == '\\' && !*end;
            is_end
        };
        Some(literal.split(is_end).next().unwrap_or("").to_owned())
    });
    literals.filter(|literal| SQL.iter().any(|word| literal.contains(word))).collect()
}

#[test]
fn sql_has_bound_parameters_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src/store"), &mut files);
    let all: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let is_constant = |name: &str| {
        let is_named_so = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_named_so && all.contains(&format!("const {name}: &str ="))
    };
    let (mut found, mut faults, mut used) = (0, Vec::new(), vec![false; SQL_PLACEHOLDERS.len()]);
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for literal in formatted_sql(&fs::read_to_string(file).unwrap()) {
            found += 1;
            for placeholder in literal.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or("")) {
                let known =
                    SQL_PLACEHOLDERS.iter().position(|(file, allowed, _)| *file == name && *allowed == placeholder);
                match known {
                    Some(k) => used[k] = true,
                    None if is_constant(placeholder) => {}
                    None => faults.push(format!("{name}: {{{placeholder}}} in: {literal}")),
                }
            }
        }
    }
    assert!(found > 10, "the store's SQL was not found");
    assert!(faults.is_empty(), "bind the value, or prove that nothing from outside gets there:\n{}", faults.join("\n"));
    let unused: Vec<_> = SQL_PLACEHOLDERS.iter().zip(&used).filter(|(_, used)| !**used).collect();
    assert!(unused.is_empty(), "no longer needed: {unused:?}");

    // The test itself can fail.
    let evil = "let s = format!(\"SELECT {COLUMNS} FROM images WHERE name = '{name}' AND x = \\\"y\\\"\");";
    assert_eq!(formatted_sql(evil).len(), 1);
    assert!(formatted_sql(evil)[0].contains("{name}") && !is_constant("name"));
    assert!(formatted_sql("format!(\"{} images\")").is_empty());
}

/// How bytes from outside are opened and parsed.
const READS: [&str; 15] = [
    "read_text(",
    "read_bytes(",
    "open_regular(",
    "from_toml(",
    "serde_json::from_",
    "serde_saphyr::",
    "toml::from_str",
    "toml::Table",
    "quick_xml::",
    "csv::Reader",
    "prost::",
    "safetensors::",
    "zip::",
    "image::codecs",
    "image::ImageReader",
];

/// Whether the file, or a module that it lies in, denies indexing.
fn denies_indexing(src: &Path, file: &Path) -> bool {
    let denies = |file: &Path| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| line.starts_with("#![deny(") && line.contains("clippy::indexing_slicing"))
    };
    let above = file.ancestors().skip(1).take_while(|dir| *dir != src);
    denies(file) || above.into_iter().any(|dir| denies(&dir.join("mod.rs")) || denies(&dir.with_extension("rs")))
}

/// Files below `src` that read bytes from outside and may index: a file of others must not be able to panic its reader.
fn readers_that_index(src: &Path) -> (usize, Vec<String>) {
    let mut files = Vec::new();
    rust_files(src, &mut files);
    let (mut readers, mut found) = (0, Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let program = text.split("#[cfg(test)]").next().unwrap_or("");
        let is_named = |what: &str| {
            code_lines(program).any(|(_, line)| {
                line.match_indices(what).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            })
        };
        let name = file.strip_prefix(src).unwrap().to_string_lossy().replace('\\', "/");
        if !name.ends_with("tests.rs") && READS.iter().any(|what| is_named(what)) {
            readers += 1;
            if !denies_indexing(src, &file) {
                found.push(name);
            }
        }
    }
    (readers, found)
}

#[test]
fn readers_of_outside_bytes_do_not_index() {
    let (readers, found) = readers_that_index(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(readers > 40, "only {readers} readers were found");
    let advice = "put `#![deny(clippy::indexing_slicing, clippy::string_slice)]` below the first line of";
    assert!(found.is_empty(), "{advice}:\n{}", found.join("\n"));

    // The test itself can fail.
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, code: &str| {
        let file = dir.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, code).unwrap();
    };
    let deny = "#![deny(clippy::indexing_slicing)]";
    write("a.rs", "fn f() { read_text(path) }");
    write("b.rs", &format!("{deny}\nfn f() {{ open_regular(path) }}"));
    write("c/mod.rs", deny);
    write("c/d/e.rs", "fn f() { toml::from_str(text) }");
    write("g.rs", deny);
    write("g/h.rs", "fn f() { serde_json::from_slice(bytes) }");
    write("i.rs", "// read_text(\nfn f() {}\n#[cfg(test)]\nmod tests { fn g() { read_text(path) } }");
    write("k/l.rs", "fn f() { crate::domain::read_bytes(path) }");
    let (readers, mut found) = readers_that_index(dir.path());
    found.sort();
    assert_eq!((readers, found), (5, vec!["a.rs".to_owned(), "k/l.rs".to_owned()]));
}

/// Tables for spreadsheets are written by the two functions that leave no formula in them.
#[test]
fn tables_are_written_without_formulas() {
    let mut files = Vec::new();
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let texts: Vec<(PathBuf, String)> =
        files.into_iter().map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect();
    let writers: Vec<_> = texts.iter().filter(|(_, text)| text.contains("csv::Writer")).collect();
    assert!(!writers.is_empty());
    for (file, text) in writers {
        assert!(text.contains("without_formula("), "{} writes a table without domain::without_formula", file.display());
    }
}
