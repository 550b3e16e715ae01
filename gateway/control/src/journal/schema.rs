//! The tables of the journal, and the steps from one form of them to the next.

use rusqlite::Connection;

use super::JournalError;

/// Each step makes the next version of the schema. Steps are only ever added.
pub(super) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE model (
         name TEXT PRIMARY KEY,
         committed TEXT NOT NULL
     ) WITHOUT ROWID;
     CREATE TABLE entry (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         at_ms INTEGER NOT NULL,
         what TEXT NOT NULL,
         model TEXT,
         version INTEGER,
         from_version INTEGER,
         by_whom TEXT NOT NULL,
         why TEXT NOT NULL,
         took_us INTEGER
     );
     CREATE INDEX entry_of_model ON entry (model, id);",
    "CREATE TABLE profile (subject TEXT PRIMARY KEY, sizes TEXT NOT NULL);",
    // What is committed of a model holds its plans from here on: earlier releases do not know them.
    "",
    "CREATE TABLE rollout (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         model TEXT NOT NULL,
         created TEXT NOT NULL,
         stands TEXT NOT NULL,
         is_over INTEGER NOT NULL
     );
     CREATE TABLE rollout_record (
         rollout INTEGER NOT NULL,
         number INTEGER NOT NULL,
         record TEXT NOT NULL,
         PRIMARY KEY (rollout, number)
     ) WITHOUT ROWID;",
    "CREATE TABLE rollout_units (
         rollout INTEGER NOT NULL,
         number INTEGER NOT NULL,
         units BLOB NOT NULL,
         PRIMARY KEY (rollout, number)
     ) WITHOUT ROWID;",
    "CREATE TABLE experiment (model TEXT NOT NULL, name TEXT NOT NULL, sums TEXT NOT NULL, PRIMARY KEY (model, name));",
    "CREATE TABLE alert (key TEXT PRIMARY KEY, alert TEXT NOT NULL) WITHOUT ROWID;
     CREATE TABLE alert_entry (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         at_ms INTEGER NOT NULL,
         key TEXT NOT NULL,
         from_state TEXT NOT NULL,
         alert TEXT NOT NULL
     );",
];

/// Takes the steps that are missing, each whole or not at all.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), JournalError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let taken = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(missing) = steps.get(taken..) else {
        return Err(JournalError::Newer { found, known: steps.len() });
    };
    for (version, step) in (found + 1..).zip(missing) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_schema_is_brought_up_to_date_step_by_step() {
        let mut connection = Connection::open_in_memory().expect("opens");
        let steps = ["CREATE TABLE a (x)", "INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (2)"];
        migrate(&mut connection, &steps[..1]).expect("the first form");
        migrate(&mut connection, &steps).expect("the others");
        migrate(&mut connection, &steps).expect("nothing more");
        let sum: i64 = connection.query_row("SELECT sum(x) FROM a", [], |row| row.get(0)).expect("a sum");
        assert_eq!(sum, 3);
        let broken = ["", "", "", "CREATE TABLE b (x); NO SQL"];
        assert!(migrate(&mut connection, &broken).is_err());
        let version: u32 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("reads");
        assert_eq!(version, 3);
        assert!(connection.query_row("SELECT count(*) FROM b", [], |row| row.get::<_, i64>(0)).is_err());
    }
}
