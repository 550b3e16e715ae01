//! Alerts and their history, each as one document, over a connection of their own: nothing that is decided waits for them.

use rusqlite::{Connection, OpenFlags, params};

use super::{BUSY_TIMEOUT, Journal, JournalError};

/// The most transitions that are kept; the oldest go first.
const TRANSITIONS_MAX: i64 = 10_000;

/// Keeps alerts.
#[derive(Debug)]
pub struct AlertStore {
    connection: Connection,
}

/// A transition that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertEntry {
    /// Its number; later ones have higher ones.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Where the alert stood before.
    pub from: String,
    /// The alert as it stood then.
    pub document: String,
}

impl Journal {
    /// Where alerts are kept.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn alerts(&self) -> Result<AlertStore, JournalError> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.place, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(AlertStore { connection })
    }
}

impl AlertStore {
    /// The documents of all alerts.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn load(&self) -> Result<Vec<String>, JournalError> {
        let mut statement = self.connection.prepare("SELECT alert FROM alert ORDER BY key")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes that an alert has come from one state to another, and what it is now; `is_over` forgets it but for that.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing of it is written.
    pub fn write(
        &mut self,
        at_ms: u64,
        key: &str,
        from: &str,
        document: &str,
        is_over: bool,
    ) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO alert_entry (at_ms, key, from_state, alert) VALUES (?1, ?2, ?3, ?4)",
            params![i64::try_from(at_ms).unwrap_or(i64::MAX), key, from, document],
        )?;
        let last = transaction.last_insert_rowid();
        transaction.execute("DELETE FROM alert_entry WHERE id <= ?1", params![last - TRANSITIONS_MAX])?;
        if is_over {
            transaction.execute("DELETE FROM alert WHERE key = ?1", params![key])?;
        } else {
            transaction.execute(
                "INSERT INTO alert (key, alert) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET alert = excluded.alert",
                params![key, document],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Forgets every alert that is none of these.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn keep(&self, keys: &[String]) -> Result<(), JournalError> {
        let mut statement = self.connection.prepare_cached("SELECT key FROM alert")?;
        let written: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for key in written.iter().filter(|key| !keys.contains(key)) {
            self.connection.execute("DELETE FROM alert WHERE key = ?1", params![key])?;
        }
        Ok(())
    }

    /// The last transitions, of all models or of one, the newest first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn history(&self, model: Option<&str>, limit: u32) -> Result<Vec<AlertEntry>, JournalError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, at_ms, from_state, alert FROM alert_entry
             WHERE ?1 IS NULL OR (json_valid(alert) AND json_extract(alert, '$.signal.model') = ?1) ORDER BY id DESC LIMIT ?2",
        )?;
        let rows = statement.query_map(params![model, limit], |row| {
            let at_ms: i64 = row.get(1)?;
            let at_ms = u64::try_from(at_ms).unwrap_or(0);
            Ok(AlertEntry { id: row.get(0)?, at_ms, from: row.get(2)?, document: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_there_after_a_restart_with_how_it_came() {
        let dir = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(Some(dir.path())).expect("opens");
        let mut store = journal.alerts().expect("opens");
        store.write(1, "a", "ok", "pending a", false).expect("is written");
        store.write(2, "a", "pending", "firing a", false).expect("is written");
        store.write(3, "b", "ok", "pending b", false).expect("is written");
        store.write(4, "b", "pending", "ok b", true).expect("is written");
        store.write(5, "c", "ok", "firing c", false).expect("is written");
        drop((store, journal));
        let journal = Journal::open(Some(dir.path())).expect("opens");
        let store = journal.alerts().expect("opens");
        assert_eq!(store.load().expect("reads"), ["firing a", "firing c"]);
        let history = store.history(None, 2).expect("reads");
        let told: Vec<(u64, &str, &str)> =
            history.iter().map(|one| (one.at_ms, one.from.as_str(), one.document.as_str())).collect();
        assert_eq!(told, [(5, "ok", "firing c"), (4, "pending", "ok b")]);
        store.keep(&["a".into()]).expect("is forgotten");
        assert_eq!(store.load().expect("reads"), ["firing a"]);
    }

    #[test]
    fn the_history_of_one_model_can_be_asked_for() {
        let journal = Journal::open(None).expect("opens");
        let mut store = journal.alerts().expect("opens");
        let of = |model: &str| format!("{{\"signal\": {{\"model\": \"{model}\"}}}}");
        store.write(1, "a", "ok", &of("iris"), false).expect("is written");
        store.write(2, "b", "ok", &of("digits"), false).expect("is written");
        store.write(3, "c", "ok", "no JSON", false).expect("is written");
        let times = |model: Option<&str>| -> Vec<u64> {
            store.history(model, 9).expect("reads").iter().map(|one| one.at_ms).collect()
        };
        assert_eq!((times(None), times(Some("iris")), times(Some("i"))), (vec![3, 2, 1], vec![1], vec![]));
    }

    #[test]
    fn the_history_is_bounded() {
        let journal = Journal::open(None).expect("opens");
        let mut store = journal.alerts().expect("opens");
        let past = u64::try_from(TRANSITIONS_MAX).expect("positive") + 3;
        store.connection.execute_batch("PRAGMA synchronous = OFF").expect("is set");
        for at in 0..past {
            store.write(at, "a", "ok", "x", false).expect("is written");
        }
        let count = "SELECT count(*) FROM alert_entry";
        let count: i64 = store.connection.query_row(count, [], |row| row.get(0)).expect("reads");
        assert_eq!(count, TRANSITIONS_MAX);
        assert_eq!(store.history(None, 1).expect("reads")[0].at_ms, past - 1);
    }
}
