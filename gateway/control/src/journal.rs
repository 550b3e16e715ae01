//! The journal: what was wished, decided and done, and what is committed, in an embedded SQL database.

mod alerts;
mod experiments;
mod reader;
mod rollouts;
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pointsman_core::{ModelName, SizeTime, VersionNumber};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::committed::Committed;
use crate::profiles::PROFILES_MAX;

pub use alerts::{AlertEntry, AlertStore};
pub use experiments::ExperimentStore;
pub use reader::JournalReader;
pub(crate) use rollouts::RECORDS_MAX;
pub use rollouts::{Listed, Resumed, Step, Told};

/// The database's file in the state directory.
const FILE: &str = "journal.sqlite";
/// The most entries that are kept; the oldest go first.
const ENTRIES_MAX: i64 = 100_000;
/// How long one connection waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How many entries may come before the oldest are taken out again.
const COMPACT_EVERY: i64 = 1000;

/// The journal of one gateway. Its thread is the only one that writes.
#[derive(Debug)]
pub struct Journal {
    connection: Connection,
    /// Its file, or the name of its memory.
    place: PathBuf,
    since_compaction: i64,
}

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database says so.
    #[error("the journal cannot be used: {0}")]
    Sql(#[from] rusqlite::Error),
    /// A later release of the gateway has written it.
    #[error(
        "the journal has schema version {found}, and this gateway knows {known}: use the gateway that wrote it, or \
         another state directory"
    )]
    Newer {
        /// Its version.
        found: u32,
        /// The newest known here.
        known: usize,
    },
    /// What it says of a model makes no sense.
    #[error("the journal's record of model '{model}' cannot be read: {reason}")]
    Record {
        /// The model.
        model: String,
        /// What is wrong.
        reason: String,
    },
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A wish of an operator was granted.
    Wish,
    /// A wish of an operator was refused, failed or was replaced by a later one.
    WishRefused,
    /// A version passed its gates and can be reached.
    Ready,
    /// A version failed at a gate.
    Refused,
    /// Another version answers callers that name none.
    Swap,
    /// Another version answers, as somebody or something led callers back.
    Rollback,
    /// An alias stands for another version.
    Alias,
    /// A version left.
    Unload,
    /// Callers that name no version are split another way.
    Plan,
    /// A rollout began, moved on or ended.
    Rollout,
    /// The gateway started or its configuration was read again.
    Gateway,
}

impl What {
    pub(crate) const ALL: [Self; 11] = [
        Self::Wish,
        Self::WishRefused,
        Self::Ready,
        Self::Refused,
        Self::Swap,
        Self::Rollback,
        Self::Alias,
        Self::Unload,
        Self::Plan,
        Self::Rollout,
        Self::Gateway,
    ];

    /// The word in the database and in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wish => "wish",
            Self::WishRefused => "wish-refused",
            Self::Ready => "ready",
            Self::Refused => "refused",
            Self::Swap => "swap",
            Self::Rollback => "rollback",
            Self::Alias => "alias",
            Self::Unload => "unload",
            Self::Plan => "plan",
            Self::Rollout => "rollout",
            Self::Gateway => "gateway",
        }
    }

    /// Whether what serves after a start follows from it: then it is on the disk before anything else is done.
    /// Anything else may be lost with the machine's power, and not with the process.
    fn decides(self) -> bool {
        match self {
            Self::Wish | Self::Swap | Self::Rollback | Self::Alias | Self::Plan | Self::Rollout => true,
            Self::WishRefused | Self::Ready | Self::Refused | Self::Unload | Self::Gateway => false,
        }
    }

    fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|what| what.name() == name).unwrap_or(Self::Gateway)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is about.
    pub what: What,
    /// The model; nothing for the gateway itself.
    pub model: Option<ModelName>,
    /// The version that it is about, or that answers from now on.
    pub version: Option<VersionNumber>,
    /// The version that answered before.
    pub from: Option<VersionNumber>,
    /// Who wanted it: an operator, the registry, the configuration or the gateway.
    pub by: String,
    /// Why, or what exactly.
    pub why: String,
    /// How long it took, where that can be said.
    pub took: Option<Duration>,
    /// When it happened.
    pub at: SystemTime,
}

/// An entry as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its place, ascending.
    pub id: i64,
    /// When, in RFC 3339, UTC.
    pub at: String,
    /// The entry.
    pub entry: Entry,
}

/// Which entries are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Those of this model alone.
    pub model: Option<ModelName>,
    /// Those after this place.
    pub after: Option<i64>,
    /// The last so many.
    pub limit: u32,
}

impl Journal {
    /// Opens the journal of a state directory, and brings an older one up to date. Without a
    /// directory it is kept in memory, and gone with the process.
    ///
    /// # Errors
    /// [`JournalError`] where it cannot be read, or was written by a later release.
    pub fn open(directory: Option<&Path>) -> Result<Self, JournalError> {
        let place = directory.map_or_else(in_memory, |directory| directory.join(FILE));
        let mut connection = Connection::open(&place)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        schema::migrate(&mut connection, schema::MIGRATIONS)?;
        let mut journal = Self { connection, place, since_compaction: COMPACT_EVERY };
        journal.compact()?;
        Ok(journal)
    }

    /// Another way to read it, from any thread and beside the one that writes.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn reader(&self) -> Result<JournalReader, JournalError> {
        JournalReader::open(&self.place)
    }

    /// What is committed of every model.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn committed(&self) -> Result<BTreeMap<ModelName, Committed>, JournalError> {
        let mut statement = self.connection.prepare("SELECT name, committed FROM model")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let mut models = BTreeMap::new();
        for row in rows {
            let (model, text) = row?;
            let unreadable = |reason: String| JournalError::Record { model: model.clone(), reason };
            let name = ModelName::new(&model).map_err(|e| unreadable(e.to_string()))?;
            let committed = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
            models.insert(name, committed);
        }
        Ok(models)
    }

    /// Writes an entry, and what is committed of its model from now on, in one step.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing of it is written.
    pub fn commit(&mut self, committed: Option<&Committed>, entry: &Entry) -> Result<(), JournalError> {
        // With FULL a commit is on the disk when it returns, and all before it; to wait for that holds a core for half
        // a millisecond.
        let synchronous = if entry.what.decides() { "FULL" } else { "NORMAL" };
        self.connection.pragma_update(None, "synchronous", synchronous)?;
        let transaction = self.connection.transaction()?;
        write(&transaction, committed, entry)?;
        transaction.commit()?;
        self.grew();
        Ok(())
    }

    /// Gives space back once in a while.
    fn grew(&mut self) {
        self.since_compaction += 1;
        if self.since_compaction > COMPACT_EVERY {
            self.since_compaction = 0;
            // What was to be written is; space is given back another time.
            if let Err(error) = self.compact() {
                tracing::warn!("the journal cannot be made smaller: {error}");
            }
        }
    }

    /// How long runs took, by what was run and where.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn profiles(&self) -> Result<Vec<(String, Vec<SizeTime>)>, JournalError> {
        let mut statement = self.connection.prepare("SELECT subject, sizes FROM profile")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        // What an earlier release wrote otherwise is measured again.
        let read = |(subject, sizes): (String, String)| Some((subject, serde_json::from_str(&sizes).ok()?));
        Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(read).collect())
    }

    /// Writes how long runs took.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing of it is written.
    pub(crate) fn write_profiles(
        &mut self,
        profiles: &[(String, Vec<SizeTime>)],
    ) -> Result<(), JournalError> {
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        let transaction = self.connection.transaction()?;
        for (subject, sizes) in profiles {
            let sizes = serde_json::to_string(sizes).unwrap_or_default();
            transaction.execute(
                "INSERT OR REPLACE INTO profile (subject, sizes) VALUES (?1, ?2)",
                params![subject, sizes],
            )?;
        }
        transaction.execute(
            "DELETE FROM profile WHERE rowid NOT IN (SELECT rowid FROM profile ORDER BY rowid DESC LIMIT ?1)",
            params![PROFILES_MAX as i64],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Takes out what is over the limit and gives the space back.
    fn compact(&mut self) -> Result<(), JournalError> {
        let last: Option<i64> = self
            .connection
            .query_row("SELECT max(id) FROM entry", [], |row| row.get(0))
            .optional()?
            .flatten();
        let first_kept = last.unwrap_or(0) - ENTRIES_MAX;
        self.connection.execute("DELETE FROM entry WHERE id <= ?1", params![first_kept])?;
        self.connection.execute_batch("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")?;
        self.since_compaction = 0;
        Ok(())
    }
}

/// The name of a database in memory that every connection of this process finds, and nobody else.
fn in_memory() -> PathBuf {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    format!("file:/journal-{}?vfs=memdb", OPENED.fetch_add(1, Ordering::Relaxed)).into()
}

/// Writes an entry, and what is committed of its model.
fn write(
    transaction: &Transaction<'_>,
    committed: Option<&Committed>,
    entry: &Entry,
) -> Result<(), JournalError> {
    if let (Some(model), Some(committed)) = (&entry.model, committed) {
        let text = serde_json::to_string(committed)
            .map_err(|e| JournalError::Record { model: model.to_string(), reason: e.to_string() })?;
        let mut statement = transaction.prepare_cached(
            "INSERT INTO model (name, committed) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET committed = excluded.committed",
        )?;
        statement.execute(params![model.as_str(), text])?;
    }
    insert(transaction, entry)?;
    Ok(())
}

fn insert(transaction: &Transaction<'_>, entry: &Entry) -> Result<(), rusqlite::Error> {
    let number = |version: Option<VersionNumber>| version.map(|version| version.get().cast_signed());
    let at_ms = entry.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut statement = transaction.prepare_cached(
        "INSERT INTO entry (at_ms, what, model, version, from_version, by_whom, why, took_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        i64::try_from(at_ms).unwrap_or(i64::MAX),
        entry.what.name(),
        entry.model.as_ref().map(ModelName::as_str),
        number(entry.version),
        number(entry.from),
        entry.by,
        entry.why,
        entry.took.map(|took| i64::try_from(took.as_micros()).unwrap_or(i64::MAX)),
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> Option<VersionNumber> {
        VersionNumber::new(number)
    }

    fn entry(model: &str, to: u64) -> Entry {
        Entry {
            what: What::Swap,
            model: Some(ModelName::new(model).expect("a name")),
            version: version(to),
            from: version(u64::MAX),
            by: "ada".into(),
            why: "serve = latest".into(),
            took: Some(Duration::from_micros(1500)),
            at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        }
    }

    #[test]
    fn what_was_committed_is_there_when_it_is_opened_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(Some(dir.path())).expect("opens");
        let mut committed = Committed { default: version(3), ..Committed::default() };
        journal.commit(Some(&committed), &entry("iris", 3)).expect("commits");
        committed.default = version(4);
        journal.commit(Some(&committed), &entry("iris", 4)).expect("commits");
        journal.commit(None, &entry("digits", 1)).expect("commits");
        drop(journal);

        let journal = Journal::open(Some(dir.path())).expect("opens");
        let models = journal.committed().expect("reads");
        assert_eq!(models.len(), 1);
        assert_eq!(models["iris"], committed);
        let reader = journal.reader().expect("opens");
        let all = reader.entries(&Question { limit: 100, ..Question::default() }).expect("reads");
        assert_eq!(
            all.iter().map(|w| w.entry.version).collect::<Vec<_>>(),
            [version(3), version(4), version(1)]
        );
        assert_eq!((all[0].at.as_str(), &all[0].entry), ("2023-11-14T22:13:20.123Z", &entry("iris", 3)));
        let question =
            Question { model: Some(ModelName::new("iris").expect("a name")), after: Some(1), limit: 1 };
        let some = reader.entries(&question).expect("reads");
        assert_eq!(some.iter().map(|w| w.id).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_was_measured_is_there_when_it_is_opened_again_and_bounded() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(Some(dir.path())).expect("opens");
        let subjects = (0..PROFILES_MAX + 5).map(|n| (n.to_string(), Vec::new())).collect::<Vec<_>>();
        journal.write_profiles(&subjects).expect("writes");
        journal.write_profiles(&[("7".into(), Vec::new())]).expect("writes");
        drop(journal);
        let journal = Journal::open(Some(dir.path())).expect("opens");
        let mut read: Vec<String> =
            journal.profiles().expect("reads").into_iter().map(|(key, _)| key).collect();
        assert_eq!(read.len(), PROFILES_MAX);
        read.sort();
        assert!(read.binary_search(&"7".to_owned()).is_ok(), "the newest stay");
        journal.connection.execute("UPDATE profile SET sizes = 'no JSON'", []).expect("writes");
        assert!(journal.profiles().expect("reads").is_empty());
    }

    #[test]
    fn the_oldest_entries_go_first() {
        let mut journal = Journal::open(None).expect("opens");
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ENTRIES_MAX})
             INSERT INTO entry (at_ms, what, by_whom, why) SELECT i, 'swap', 'x', 'y' FROM n"
        );
        journal.connection.execute_batch(&fill).expect("fills");
        for _ in 0..=COMPACT_EVERY {
            journal.commit(None, &entry("iris", 1)).expect("commits");
        }
        let (count, first): (i64, i64) = journal
            .connection
            .query_row("SELECT count(*), min(id) FROM entry", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("counts");
        assert_eq!((count, first), (ENTRIES_MAX, COMPACT_EVERY + 2));
    }

    #[test]
    fn a_journal_of_a_later_release_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(Some(dir.path())).expect("opens");
        journal.connection.pragma_update(None, "user_version", 999).expect("is written");
        drop(journal);
        let error = Journal::open(Some(dir.path())).expect_err("is newer").to_string();
        assert!(error.contains("schema version 999"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_database_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(FILE), "no database at all, and longer than a header ".repeat(20))
            .expect("a file");
        assert!(matches!(Journal::open(Some(dir.path())), Err(JournalError::Sql(_))));
    }
}
