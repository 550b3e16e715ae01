//! Rollouts in the journal: each as it was created, as it stands, and everything that happened to it.

use rusqlite::{OptionalExtension, params};
use serde::de::DeserializeOwned;

use super::{Journal, JournalError};
use crate::rollout::{Record, Rollout};

/// The most rollouts that are kept; the oldest that are over go first, with their records.
const ROLLOUTS_MAX: i64 = 1000;
/// The most records of one rollout: eleven days of a look every ten seconds.
const RECORDS_MAX: u64 = 100_000;

impl Journal {
    /// The number of the next rollout. A number is never used twice.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn next_rollout(&self) -> Result<u64, JournalError> {
        let sequence = "SELECT seq FROM sqlite_sequence WHERE name = 'rollout'";
        let last: Option<i64> = self.connection.query_row(sequence, [], |row| row.get(0)).optional()?;
        Ok(last.unwrap_or(0).cast_unsigned() + 1)
    }

    /// Writes a rollout that was created, before anything happens to it.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing of it is written.
    pub fn create_rollout(&mut self, rollout: &Rollout) -> Result<(), JournalError> {
        let text = written(rollout, rollout)?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO rollout (id, model, created, stands, is_over) VALUES (?1, ?2, ?3, ?3, ?4)",
            params![rollout.id.cast_signed(), rollout.spec.model, text, rollout.phase.is_over()],
        )?;
        let old = "SELECT id FROM rollout WHERE is_over ORDER BY id DESC LIMIT -1 OFFSET ?1";
        transaction
            .execute(&format!("DELETE FROM rollout_record WHERE rollout IN ({old})"), [ROLLOUTS_MAX])?;
        transaction.execute(&format!("DELETE FROM rollout WHERE id IN ({old})"), [ROLLOUTS_MAX])?;
        transaction.commit()?;
        Ok(())
    }

    /// Writes what happened to a rollout and how it stands since, in one step. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing of it is written, and nothing may be raised.
    pub fn commit_rollout(&mut self, rollout: &Rollout, record: &Record) -> Result<(), JournalError> {
        if record.number > RECORDS_MAX {
            return Err(unreadable(
                rollout,
                format!("it has {RECORDS_MAX} records, which is the most: end it"),
            ));
        }
        let (stands, record_text) = (written(rollout, rollout)?, written(rollout, record)?);
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = self.connection.transaction()?;
        let changed = transaction.execute(
            "UPDATE rollout SET stands = ?2, is_over = ?3 WHERE id = ?1",
            params![rollout.id.cast_signed(), stands, rollout.phase.is_over()],
        )?;
        if changed == 0 {
            return Err(unreadable(rollout, "it was never created".into()));
        }
        transaction.execute(
            "INSERT INTO rollout_record (rollout, number, record) VALUES (?1, ?2, ?3)",
            params![rollout.id.cast_signed(), record.number.cast_signed(), record_text],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// The rollouts that are not over, as they stand: they go on after a restart.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn rollouts_under_way(&self) -> Result<Vec<Rollout>, JournalError> {
        let mut statement =
            self.connection.prepare("SELECT stands FROM rollout WHERE NOT is_over ORDER BY id")?;
        let texts = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        texts.iter().map(|text| read(text)).collect()
    }

    /// A rollout as it was created, with all its records: what [`verify`](crate::rollout::verify) takes. Nothing where
    /// there is none of that number.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn rollout(&self, id: u64) -> Result<Option<(Rollout, Vec<Record>)>, JournalError> {
        let of = "SELECT created FROM rollout WHERE id = ?1";
        let created: Option<String> =
            self.connection.query_row(of, [id.cast_signed()], |row| row.get(0)).optional()?;
        let Some(created) = created else { return Ok(None) };
        let records = "SELECT record FROM rollout_record WHERE rollout = ?1 ORDER BY number";
        let mut statement = self.connection.prepare(records)?;
        let texts = statement.query_map([id.cast_signed()], |row| row.get::<_, String>(0))?;
        let records = texts.map(|text| read(&text?)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some((read(&created)?, records)))
    }
}

fn unreadable(rollout: &Rollout, reason: String) -> JournalError {
    JournalError::Record { model: format!("{}, rollout {}", rollout.spec.model, rollout.id), reason }
}

fn written(rollout: &Rollout, value: &impl serde::Serialize) -> Result<String, JournalError> {
    serde_json::to_string(value).map_err(|error| unreadable(rollout, error.to_string()))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, JournalError> {
    let wrong = |error: serde_json::Error| JournalError::Record {
        model: "of a rollout".into(),
        reason: error.to_string(),
    };
    serde_json::from_str(text).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use pointsman_core::{ModelName, VersionNumber};

    use super::*;
    use crate::rollout::{Counted, Event, Flags, Frozen, Look, Moment, Phase, transition, verify};

    fn created(id: u64) -> Rollout {
        let flags = Flags { canary: Some("1,50".into()), ..Flags::default() };
        let version = VersionNumber::new(3).expect("a version");
        let spec = flags.spec(&ModelName::new("iris").expect("a name"), version).expect("a spec");
        let (unit, salt) = ("request_id".into(), "iris/rollout/1".into());
        let frozen = Frozen { counted: Counted::Requests, unit, salt, slow_us: [1, 2, 3], classes: 0 };
        Rollout::new(id, spec, frozen, Moment(1000))
    }

    #[test]
    fn a_rollout_goes_on_where_it_was_and_can_be_computed_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(Some(dir.path())).expect("opens");
        let mut rollout = created(journal.next_rollout().expect("a number"));
        let orphan = created(9);
        journal.create_rollout(&rollout).expect("writes");
        let events = [Event::Start, Event::Looked(vec![Look::default()]), Event::Advance];
        let mut last = None;
        for (number, event) in (1..).zip(events) {
            let at = Moment(2000 * number);
            let taken = transition(&rollout, &event, at).expect("it can happen");
            let record = Record::new(number, at, "ada", event, &taken);
            rollout = taken.change.rollout().clone();
            journal.commit_rollout(&rollout, &record).expect("writes");
            last = Some(record);
        }
        let last = last.expect("a record");
        assert!(journal.commit_rollout(&rollout, &last).is_err(), "what is written stays as it is");
        assert!(journal.commit_rollout(&orphan, &last).is_err(), "nobody created it");
        let over = Record { number: RECORDS_MAX + 1, ..last };
        assert!(journal.commit_rollout(&rollout, &over).is_err());
        drop(journal);

        let mut journal = Journal::open(Some(dir.path())).expect("opens");
        assert_eq!(journal.rollouts_under_way().expect("reads"), [rollout.clone()]);
        let (start, records) = journal.rollout(1).expect("reads").expect("there is one");
        assert_eq!((verify(&start, &records), records.len()), (vec![], 3));
        assert!(journal.rollout(2).expect("reads").is_none());
        assert_eq!(journal.next_rollout().expect("a number"), 2);
        let mut over = created(2);
        over.phase = Phase::Aborted;
        journal.create_rollout(&over).expect("writes");
        assert_eq!(journal.rollouts_under_way().expect("reads").len(), 1);
    }

    #[test]
    fn the_oldest_that_are_over_go_first_and_none_that_is_under_way() {
        let mut journal = Journal::open(None).expect("opens");
        journal.create_rollout(&created(1)).expect("writes");
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {ROLLOUTS_MAX} + 2)
             INSERT INTO rollout SELECT i, 'iris', '', '', 1 FROM n;
             INSERT INTO rollout_record VALUES (2, 1, ''), (4, 1, '');"
        );
        journal.connection.execute_batch(&fill).expect("fills");
        journal.create_rollout(&created(journal.next_rollout().expect("a number"))).expect("writes");
        let ids = |table: &str| {
            let of = format!(
                "SELECT min({table}), count(*) FROM {}",
                if table == "id" { "rollout WHERE is_over" } else { "rollout_record" }
            );
            journal.connection.query_row(&of, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("counts")
        };
        let (first, count): (i64, i64) = ids("id");
        assert_eq!((first, count), (3, ROLLOUTS_MAX));
        let (of, records): (i64, i64) = ids("rollout");
        assert_eq!((of, records), (4, 1));
        assert_eq!(journal.rollouts_under_way().expect("reads").len(), 2);
    }
}
