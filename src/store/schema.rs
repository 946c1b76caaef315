//! Checks that a database contains exactly what the migrations create: a file with foreign triggers, views or virtual tables is not a
//! project, whatever its header says.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use super::{StoreError, migrations};

/// Schema object name -> its kind, table and SQL without spaces and quotes, which SQLite may write differently.
type Schema = BTreeMap<String, (String, String, String)>;

/// Refuses a database whose schema differs from that of its format.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = read(connection)?;
    let expected = expected(migrations::version(connection)?)?;
    let differs = |name: &&String| found.get(*name) != expected.get(*name);
    match found.keys().chain(expected.keys()).find(differs) {
        None => Ok(()),
        Some(name) => {
            let what = match (found.get(name), expected.contains_key(name)) {
                (Some((kind, ..)), false) => {
                    let article = if kind == "index" { "an" } else { "a" };
                    format!("it has {article} {kind} `{name}`, which Quarry does not make")
                }
                (Some((kind, ..)), true) => format!("its {kind} `{name}` is not Quarry's"),
                (None, _) => format!("`{name}` is missing"),
            };
            Err(StoreError::Foreign { path: path.to_owned(), what })
        }
    }
}

/// Returns the schema after the first `version` migrations.
fn expected(version: i64) -> Result<Schema, StoreError> {
    let connection = Connection::open_in_memory()?;
    migrations::apply_first(&connection, version)?;
    read(&connection)
}

fn read(connection: &Connection) -> Result<Schema, StoreError> {
    // Excludes SQLite's own constraint indexes, which have no SQL, and its statistics. A name alone does not prove that an object is
    // SQLite's: in a schema edited as text, a trigger may be called `sqlite_x`.
    let sql = "SELECT name, type, tbl_name, coalesce(sql, '') FROM sqlite_schema \
               WHERE NOT (type = 'index' AND sql IS NULL) AND NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4'))";
    let mut statement = connection.prepare(sql)?;
    let plain = |text: String| {
        text.chars().filter(|c| !c.is_whitespace() && !"\"`[]".contains(*c)).collect::<String>().to_lowercase()
    };
    let rows = statement.query_map([], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?, plain(r.get(3)?)))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
