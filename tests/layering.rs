//! The layering test: reads every source file's imports and fails if a layer imports one above it, or if modules of a folder import each
//! other in a cycle.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a layer (a folder of src) may import from this crate.
const LAYERS: &[(&str, &[&str])] = &[
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

/// A foreign crate and the only layers that may use it.
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

/// The lines of code without comments, so that a doc comment may mention what it must not import.
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

/// Returns what a file imports from the crate root, with line numbers: `crate::store`, and every part of `crate::{store::Store, domain}`,
/// over any number of lines; also through as many `super::` as lead there from a module at `depth`.
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

/// Returns the first name of a path, or of every path in a braced group.
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

fn violations(src: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (layer, allowed) in LAYERS {
        let dir = src.join(layer);
        assert!(dir.is_dir(), "the folder src/{layer} is gone: correct this list and ARCHITECTURE.md");
        let mut files = Vec::new();
        rust_files(&dir, &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let place = |line: usize| format!("{}:{line}", file.display());
            assert!(text.starts_with("//!"), "{} does not open with //!: what the file does", file.display());
            let depth = file.strip_prefix(src).unwrap().components().count() - usize::from(file.ends_with("mod.rs"));
            for (line, other) in imports(&text, depth) {
                let is_layer = LAYERS.iter().any(|(r, _)| *r == other);
                if is_layer && other != *layer && !allowed.contains(&other.as_str()) {
                    found.push(format!("{}: {layer} imports {other}", place(line)));
                }
            }
            for (line, code) in code_lines(&text) {
                for (foreign, layers) in CRATES {
                    let named = ["use {};", "use {} as "].map(|form| form.replace("{}", foreign));
                    let used = !names(code, &format!("{foreign}::")).is_empty()
                        || named.iter().any(|form| code.contains(form.as_str()));
                    if used && !layers.contains(layer) {
                        found.push(format!("{}: {layer} names {foreign}", place(line)));
                    }
                }
                if code.contains("thread::spawn") || code.contains("thread::Builder") {
                    let threads = ["jobs", "training", "store", "dataset", "evaluation"];
                    if !threads.contains(layer) {
                        found.push(format!("{}: {layer} starts a thread", place(line)));
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
fn layers_import_only_what_is_below() {
    let found = violations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(found.is_empty(), "violations of the layering:\n{}", found.join("\n"));
}

#[test]
fn the_test_sees_a_violation() {
    let dir = tempfile::tempdir().unwrap();
    for (layer, _) in LAYERS {
        fs::create_dir_all(dir.path().join(layer)).unwrap();
    }
    let write = |file: &str, code: &str| fs::write(dir.path().join(file), format!("//! Test.\n{code}\n")).unwrap();
    write("mining/mod.rs", "use crate::store::Store;");
    write("workflow/mod.rs", "fn f() { let x = rusqlite::Connection::open(\"\"); }");
    write("training/mod.rs", "let t = t.cuda();");
    write("evaluation/mod.rs", "// crate::store is not known here\nuse crate::geometry::Ellipse;");
    fs::create_dir_all(dir.path().join("detector/ops")).unwrap();
    write("dataset/mod.rs", "use crate::{\n    domain::{ImageId, store},\n    geometry,\n    store::Store,\n};");
    write("detector/ops/nms.rs", "use super::super::super::training::Order;\nuse super::super::Detector;");
    let mut found = violations(dir.path());
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

/// Removes comments and code compiled only for tests.
fn production_code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
    let mut code = String::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].trim() != "#[cfg(test)]" {
            code.push_str(lines[at]);
            code.push('\n');
            at += 1;
            continue;
        }
        // The item or statement after the attribute: up to its closing brace or its semicolon.
        let (mut depth, mut opened) = (0, false);
        loop {
            at += 1;
            let Some(line) = lines.get(at) else { break };
            depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
            opened |= line.contains('{');
            let is_attribute = line.trim_start().starts_with("#[");
            if depth <= 0 && !is_attribute && (opened || line.trim_end().ends_with([';', ','])) {
                at += 1;
                break;
            }
        }
    }
    code
}

/// Returns all paths in `use` declarations and expressions, from the crate root: `["store", "error", "StoreError"]`.
fn paths(text: &str, module: &[String]) -> BTreeSet<Vec<String>> {
    fn leaves(tree: &str, prefix: &[String], out: &mut Vec<Vec<String>>) {
        let (path, group) = tree.split_once('{').map_or((tree, None), |(path, rest)| (path, Some(rest)));
        let path = path.split(" as ").next().unwrap_or("");
        let words = path.split("::").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned);
        let all: Vec<String> = prefix.iter().cloned().chain(words).collect();
        let Some(group) = group else { return out.push(all) };
        let group = group.rsplit_once('}').map_or(group, |(inner, _)| inner);
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if !group[start..at].trim().is_empty() {
                        leaves(&group[start..at], &all, out);
                    }
                    start = at + 1;
                }
                _ => {}
            }
        }
    }
    let code = production_code(text);
    let mut found = Vec::new();
    for top in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(top) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let is_use = code[..at].trim_end().ends_with("use");
            let rest = &code[at..];
            let end = if is_use {
                rest.find(';').unwrap_or(rest.len())
            } else {
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len())
            };
            leaves(&rest[..end], &[], &mut found);
        }
    }
    let absolute = |path: Vec<String>| {
        let supers = path.iter().take_while(|word| *word == "super").count();
        let (up, rest) = match path.first().map(String::as_str) {
            Some("crate") => (module.len(), &path[1..]),
            Some("self") => (0, &path[1..]),
            _ => (supers, &path[supers..]),
        };
        module[..module.len().saturating_sub(up)].iter().chain(rest).filter(|word| *word != "self").cloned().collect()
    };
    found.into_iter().map(absolute).collect()
}

/// Folder -> module -> the sibling modules that it imports, including through names re-exported by the folder's own module.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn imports_between_siblings(src: &Path) -> Imports {
    let mut files = Vec::new();
    rust_files(src, &mut files);
    let module_of = |file: &Path| -> Vec<String> {
        let words = file.strip_prefix(src).unwrap().with_extension("");
        let words = words.iter().map(|word| word.to_string_lossy().into_owned());
        words.filter(|word| !["mod", "lib", "main"].contains(&word.as_str())).collect()
    };
    let texts: BTreeMap<Vec<String>, String> =
        files.iter().map(|file| (module_of(file), fs::read_to_string(file).unwrap())).collect();
    let modules: BTreeSet<Vec<String>> =
        texts.keys().flat_map(|module| (1..=module.len()).map(|n| module[..n].to_vec())).collect();
    // What a module re-exports with `pub use`, by its name there.
    let mut handed_on: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (module, text) in &texts {
        let code = production_code(text);
        for declaration in code
            .split("pub use ")
            .chain(code.split("pub(super) use "))
            .chain(code.split("pub(crate) use "))
            .filter(|part| part.contains(';'))
        {
            let tree = declaration.split(';').next().unwrap_or("");
            let tree = ["self::", "super::", "crate::"]
                .iter()
                .find(|top| tree.starts_with(**top))
                .map_or_else(|| format!("use self::{tree};"), |_| format!("use {tree};"));
            for path in paths(&tree, module) {
                if let Some(name) = path.last() {
                    let own: Vec<String> = module.iter().cloned().chain([name.clone()]).collect();
                    if path.len() > module.len() && modules.contains(&path[..=module.len()]) {
                        handed_on.insert(own, path);
                    }
                }
            }
        }
    }
    let mut between = Imports::new();
    for (module, text) in &texts {
        for path in paths(text, module) {
            let path = (1..=path.len()).rev().find_map(|n| handed_on.get(&path[..n])).unwrap_or(&path);
            let common = module.iter().zip(path).take_while(|(own, other)| own == other).count();
            let (Some(own), Some(other)) = (module.get(common), path.get(common)) else { continue };
            if common > 0 && modules.contains(&path[..=common]) {
                let folder = between.entry(module[..common].join("/")).or_default();
                folder.entry(own.clone()).or_default().insert(other.clone());
            }
        }
    }
    between
}

/// Returns the modules that can be reached from themselves, with the path.
fn cycles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, Vec<String>> {
    let way_back = |start: &String| {
        let mut ways: Vec<Vec<String>> = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        let mut at = 0;
        while at < ways.len() {
            for next in imports.get(ways[at].last()?).into_iter().flatten() {
                let way: Vec<String> = ways[at].iter().chain([next]).cloned().collect();
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    ways.push(way);
                }
            }
            at += 1;
        }
        None
    };
    imports.keys().filter_map(|module| Some((module.clone(), way_back(module)?))).collect()
}

fn import_cycles(src: &Path) -> Vec<String> {
    let between = imports_between_siblings(src);
    let of_folder = |(folder, imports)| {
        let ways = cycles(imports).into_values();
        ways.map(|way| format!("src/{folder}: {}", way.join(" -> "))).collect::<Vec<_>>()
    };
    between.iter().flat_map(of_folder).collect()
}

#[test]
fn modules_of_a_folder_import_one_way() {
    let faults = import_cycles(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(faults.is_empty(), "import cycles between modules of one folder:\n{}", faults.join("\n"));
}

#[test]
fn the_test_sees_a_cycle() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("store/log")).unwrap();
    let write = |file: &str, code: &str| fs::write(dir.path().join(file), format!("//! Test.\n{code}\n")).unwrap();
    write("store/mod.rs", "mod a; mod b; mod c; mod d; mod log;\npub use b::{\n    B,\n    Other as Renamed,\n};");
    write("store/a.rs", "// use super::c::C;\nuse super::{B, d::D};");
    write(
        "store/b.rs",
        "fn f() -> crate::store::c::C { super::c::new() }\n#[cfg(test)]\nmod tests {\n    use super::super::d::D;\n}",
    );
    write("store/c.rs", "use super::{\n    d::{self, D},\n    a,\n};");
    write("store/d.rs", "#[cfg(test)]\nuse super::a;\npub struct D;");
    write("store/log/mod.rs", "mod x; mod y;");
    write("store/log/x.rs", "use super::y::Y;");
    write("store/log/y.rs", "use super::super::a::A;");
    let cycle = ["a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"].map(|way| format!("src/store: {way}"));
    assert_eq!(import_cycles(dir.path()), cycle);
}

#[test]
fn main_is_thin() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 60);
}

/// Placeholders in SQL that are not constants of the store, each with the proof that no outside data gets there.
const SQL_PLACEHOLDERS: &[(&str, &str, &str)] = &[
    ("candidates.rs", "table", "one of the names in the array above it"),
    ("candidates.rs", "shown", "is_present(): see left.rs"),
    ("groups.rs", "shown", "is_present(): see left.rs"),
    ("left.rs", "", "present(): see present_images.rs"),
    ("left.rs", "shown", "is_present(), in the same file"),
    ("candidates.rs", "of_image", "a constant text in that function"),
    ("classes.rs", "table", "one of the names in the array above it"),
    ("connection.rs", "table", "the two names that the function passes"),
    ("ground_truth.rs", "", "present(): see present_images.rs"),
    ("hard_negatives.rs", "wanted", "one of two constant texts, by where hard negatives come from"),
    ("hard_negatives.rs", "", "fresh(): one of two constant texts, by whether the format has the table"),
    ("hashes.rs", "", "present(): see present_images.rs"),
    ("reimport.rs", "", "present(): see present_images.rs"),
    ("rescue.rs", "class", "one of two constant texts, by whether the format has the column"),
    ("ground_truth.rs", "wanted", "one of two constant texts, by a flag"),
    ("history.rs", "of_gesture", "empty or an integer, in the lines above"),
    ("history.rs", "id", "an integer of the store's own"),
    ("images.rs", "", "present(): see present_images.rs"),
    ("present_images.rs", "", "present(): one of two constant texts, by whether the format has the column"),
    ("ground_truth.rs", "condition", "a constant text of its callers"),
    ("ground_truth.rs", "column", "one of three column names, in the lines above"),
    ("history.rs", "", "texts of the program's own: a CASE over the acts, and a constant condition"),
    ("deletion.rs", "table", "a table's name: Deletion::start, or a constant of its callers"),
    ("deletion.rs", "child", "a name that the schema gives, quoted"),
    ("deletion.rs", "column", "a name that the schema gives, quoted"),
    ("deletion.rs", "sql", "a constant text of its callers"),
    ("deletion.rs", "", "quoted(): a name that the schema gives"),
    ("image_marks.rs", "", "present(): see present_images.rs"),
    ("rescue.rs", "table", "one of the names of the two logs"),
    ("rescue.rs", "basis", "one of two constant texts, by whether the format has the column"),
    ("features.rs", "", "present(): see present_images.rs"),
    ("rescue.rs", "since", "one of two constant texts, by whether the format has the column"),
    ("log_lines.rs", "", "a constant text"),
    ("log.rs", "table", "a field of one of the two constants above"),
    ("log.rs", "column", "a field of one of the two constants above"),
];

/// Returns the `format!` string literals in a source that are SQL.
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

/// How outside bytes are opened and parsed.
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

/// Whether the file, or a module that contains it, denies indexing.
fn denies_indexing(src: &Path, file: &Path) -> bool {
    let denies = |file: &Path| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| line.starts_with("#![deny(") && line.contains("clippy::indexing_slicing"))
    };
    let above = file.ancestors().skip(1).take_while(|dir| *dir != src);
    denies(file) || above.into_iter().any(|dir| denies(&dir.join("mod.rs")) || denies(&dir.with_extension("rs")))
}

/// Returns files below `src` that read outside bytes and may index: no file may make its reader panic.
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

/// Tables for spreadsheets are written by the two functions that neutralise formulas.
#[test]
fn tables_are_written_cell_texts() {
    let mut files = Vec::new();
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let texts: Vec<(PathBuf, String)> =
        files.into_iter().map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect();
    let writers: Vec<_> = texts.iter().filter(|(_, text)| text.contains("csv::Writer")).collect();
    assert!(!writers.is_empty());
    for (file, text) in writers {
        assert!(text.contains("cell_text("), "{} writes a table without domain::cell_text", file.display());
    }
}

/// Returns the packages of a lock file with their versions, and the dependencies of the package `quarry`.
fn locked(file: &str) -> (Vec<(String, String)>, Vec<String>) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let lock: toml::Table = toml::from_str(&text).unwrap();
    let packages = lock["package"].as_array().unwrap();
    let word = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
    let own = packages.iter().find(|package| word(package, "name") == "quarry").unwrap();
    let needs = own["dependencies"].as_array().unwrap();
    // `name` or `name version`.
    let needs = needs.iter().map(|need| need.as_str().unwrap().split(' ').next().unwrap().to_owned());
    (packages.iter().map(|package| (word(package, "name"), word(package, "version"))).collect(), needs.collect())
}

/// What is fuzzed is what is built. `cargo update --workspace --manifest-path fuzz/Cargo.toml` adds new dependencies.
#[test]
fn the_fuzz_targets_are_locked_to_the_same_versions() {
    let ((own, _), (fuzz, needs)) = (locked("Cargo.lock"), locked("fuzz/Cargo.lock"));
    let others = ["libfuzzer-sys", "quarry-fuzz"];
    let differs: Vec<_> = fuzz.iter().filter(|one| !own.contains(one) && !others.contains(&one.0.as_str())).collect();
    assert_eq!(differs, Vec::<&(String, String)>::new());
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let wanted = manifest["dependencies"].as_table().unwrap().iter();
    // libtorch and other dependencies that no target uses are not locked.
    let is_optional =
        |entry: &toml::Value| entry.get("optional").is_some_and(|optional| optional.as_bool() == Some(true));
    let wanted = wanted.filter(|(_, entry)| !is_optional(entry)).map(|(name, _)| name);
    let missing: Vec<&String> = wanted.filter(|name| !needs.contains(name)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "fuzz/Cargo.lock is older than Cargo.toml");
}
