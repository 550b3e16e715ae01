//! Reading the journal beside the thread that writes it: a question of thousands of entries holds up no rollback.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use pointsman_core::{ModelName, VersionNumber};
use rusqlite::{Connection, OpenFlags, params};

use super::{BUSY_TIMEOUT, Entry, JournalError, Question, What, Written};

/// The most entries that one question is answered with.
const ANSWER_MAX: u32 = 10_000;

/// Answers questions one after the other, over a connection of its own.
#[derive(Clone, Debug)]
pub struct JournalReader {
    connection: Arc<Mutex<Connection>>,
}

impl JournalReader {
    pub(super) fn open(place: &Path) -> Result<Self, JournalError> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(place, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last entries that are asked for, the oldest first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn entries(&self, question: &Question) -> Result<Vec<Written>, JournalError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT id, strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch'), at_ms, what, model, version,
                    from_version, by_whom, why, took_us
             FROM entry WHERE (?1 IS NULL OR model = ?1) AND id > ?2 ORDER BY id DESC LIMIT ?3",
        )?;
        let model = question.model.as_ref().map(ModelName::as_str);
        let (after, limit) = (question.after.unwrap_or(0), question.limit.min(ANSWER_MAX));
        let rows = statement.query_map(params![model, after, limit], |row| {
            let number = |column: usize| row.get::<_, Option<i64>>(column);
            let version = |number: Option<i64>| number.and_then(|n| VersionNumber::new(n.cast_unsigned()));
            let model: Option<String> = row.get(4)?;
            let at_ms = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
            let took = number(9)?.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros);
            let entry = Entry {
                what: What::parse(&row.get::<_, String>(3)?),
                model: model.and_then(|name| ModelName::new(&name).ok()),
                version: version(number(5)?),
                from: version(number(6)?),
                by: row.get(7)?,
                why: row.get(8)?,
                took,
                at: UNIX_EPOCH + Duration::from_millis(at_ms),
            };
            Ok(Written { id: row.get(0)?, at: row.get(1)?, entry })
        })?;
        let mut entries: Vec<Written> = rows.collect::<Result<_, _>>()?;
        entries.reverse();
        Ok(entries)
    }
}
