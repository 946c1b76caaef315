//! The guide is correct: its commands run, its links resolve, and the database page matches the migrations.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use quarry::dataset::sample::{self, SampleConfig};
use quarry::domain::Cancel;
use quarry::workflow::Project;
use quarry::workflow::import::import_read;
use rusqlite::{Connection, OpenFlags};

use super::{built, done, root};

/// Returns the text of every ```sh block of a page.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A small sample in FDDB's layout, in `FDDB`, and a shell folder for `quarry`.
fn sandbox(dir: &Path) -> PathBuf {
    let config = SampleConfig { scenes: 10, ..SampleConfig::default() };
    sample::write(&dir.join("FDDB"), &config, &mut |_| {}).unwrap();
    fs::remove_file(dir.join("FDDB/decoys.tsv")).unwrap();
    let bin = dir.join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(built(), bin.join("quarry")).unwrap();
    bin
}

#[test]
fn every_command_of_the_guide_runs() {
    let page = fs::read_to_string(root().join("docs/guide.md")).unwrap();
    let blocks = commands(&page);
    assert!(blocks.len() >= 6, "the guide's commands were not found");
    let dir = tempfile::tempdir().unwrap();
    let bin = sandbox(dir.path());
    run(dir.path(), &bin, &blocks);
}

/// Runs blocks of commands in `dir`, with a few steps instead of a full training.
fn run(dir: &Path, bin: &Path, blocks: &[String]) {
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // A symbolic link in bin/ would hide the program's library: a shell function calls it by its own path.
    let commands = blocks.join("\n").replace("iterations=300", "iterations=4");
    let script = format!("set -eu\nquarry() {{ '{}' \"$@\"; }}\n{}", built().display(), commands);
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(dir).env("PATH", path).env("HOME", dir);
    done(shell.env_remove("XDG_DATA_HOME").env_remove("XDG_STATE_HOME").env_remove("XDG_CONFIG_HOME"));
}

/// The page on three classes, with a smaller sample than `quarry demo` draws.
#[test]
fn every_command_of_the_page_on_three_classes_runs() {
    let page = fs::read_to_string(root().join("docs/three-classes.md")).unwrap();
    let blocks = commands(&page);
    let (demo, rest) = blocks.split_first().unwrap();
    let (demo, export) = demo.split_once('\n').unwrap();
    assert!(demo.starts_with("quarry demo --headless --classes --project drawn") && rest.len() == 4, "{blocks:?}");
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let (folder, config) = (dir.path().join("drawn/sample"), SampleConfig { scenes: 10, ..SampleConfig::default() });
    let drawn = Project::create(&dir.path().join("drawn")).unwrap();
    sample::write(&folder, &config, &mut |_| {}).unwrap();
    let read = sample::read_with_classes(&folder, &mut |_| {}, &Cancel::new()).unwrap();
    import_read(&drawn, &read, false).unwrap();
    run(dir.path(), &bin, &[&[export.to_owned()], rest].concat());
    let yaml = fs::read_to_string(dir.path().join("yolo/data.yaml")).unwrap();
    assert!(["face", "animal", "toy"].iter().all(|class| yaml.contains(class)), "{yaml}");
}

#[test]
fn links_between_pages_lead_to_files() {
    let mut pages: Vec<PathBuf> =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    let mut broken = String::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !link.contains("://") && !page.parent().unwrap().join(file).exists() {
                writeln!(broken, "{}: {link}", page.display()).unwrap();
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{broken}");
}

/// Returns the schema of a new project as a page with one table per database table.
fn schema_page(database: &Path) -> String {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let list = |sql: &str| -> Vec<Vec<String>> {
        let mut statement = db.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..columns).map(|k| Ok(row.get::<_, Option<String>>(k)?.unwrap_or_default())).collect()
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let mut page = format!(
        "# The database\n\nThe tables of `quarry.db` in format {version}. This page is made from the migrations (`src/store/migrations`): \
         `UPDATE_DOCS=1 cargo test --test distribution database`. Open a project's database with other programs for reading only.\n"
    );
    for table in list("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    {
        let name = &table[0];
        write!(page, "\n## {name}\n\n| column | type | null | refers to |\n|---|---|---|---|\n").unwrap();
        let keys = list(&format!(
            "SELECT \"from\", \"table\" || '.' || coalesce(\"to\", 'id') FROM pragma_foreign_key_list('{name}')"
        ));
        let columns = list(&format!(
            "SELECT name, type || CASE pk WHEN 0 THEN '' ELSE ', key' END, CASE \"notnull\" OR pk WHEN 0 THEN 'yes' ELSE 'no' END \
             FROM pragma_table_info('{name}') ORDER BY cid"
        ));
        for column in columns {
            let key = keys.iter().find(|key| key[0] == column[0]).map_or("", |key| &key[1]);
            writeln!(page, "| {} | {} | {} | {key} |", column[0], column[1], column[2]).unwrap();
        }
    }
    page
}

#[test]
fn the_database_page_is_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(&dir.path().join("p")).unwrap();
    let (page, file) = (schema_page(&project.database()), root().join("docs/database.md"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/database.md is not what the migrations make: UPDATE_DOCS=1 cargo test --test distribution database"
    );
}
