//! The sums of experiments, each as one document that another takes the place of.
//!
//! They are written over a connection and by a thread of their own: nothing that is decided waits for them, but for the
//! moment in which the database takes one document in.

use rusqlite::{Connection, OpenFlags, params};

use super::{BUSY_TIMEOUT, Journal, JournalError};

/// Keeps the sums of experiments.
#[derive(Debug)]
pub struct ExperimentStore {
    connection: Connection,
}

impl Journal {
    /// Where the sums of experiments are kept.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn experiments(&self) -> Result<ExperimentStore, JournalError> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.place, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // What is lost with the machine's power is at most what came since the last time.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(ExperimentStore { connection })
    }
}

impl ExperimentStore {
    /// All documents.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn load(&self) -> Result<Vec<String>, JournalError> {
        let mut statement = self.connection.prepare("SELECT sums FROM experiment ORDER BY model, name")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes the document of one experiment.
    ///
    /// # Errors
    /// [`JournalError`]; then the one before stays.
    pub fn save(&self, model: &str, name: &str, document: &str) -> Result<(), JournalError> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO experiment (model, name, sums) VALUES (?1, ?2, ?3)
             ON CONFLICT (model, name) DO UPDATE SET sums = excluded.sums",
        )?;
        statement.execute(params![model, name, document])?;
        Ok(())
    }

    /// Forgets one experiment.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn remove(&self, model: &str, name: &str) -> Result<(), JournalError> {
        self.connection
            .execute("DELETE FROM experiment WHERE model = ?1 AND name = ?2", params![model, name])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_document_of_an_experiment_is_there_when_it_is_opened_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(Some(dir.path())).expect("opens");
        let store = journal.experiments().expect("opens");
        for (name, document) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")] {
            store.save("iris", name, document).expect("is written");
        }
        store.remove("iris", "c").expect("is removed");
        drop((store, journal));
        let journal = Journal::open(Some(dir.path())).expect("opens");
        assert_eq!(journal.experiments().expect("opens").load().expect("reads"), ["3", "2"]);
    }
}
