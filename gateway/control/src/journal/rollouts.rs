//! Rollouts in the journal: each as it was created, as it stands, and everything that happened to it.

use pointsman_core::ModelName;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Entry, Journal, JournalError, JournalReader};
use crate::committed::Committed;
use crate::rollout::{Phase, Record, Rollout};

/// The most rollouts that are kept; the oldest that are over go first, with their records.
const ROLLOUTS_MAX: i64 = 1000;
/// The most records of one rollout before the one that ends it; looks come the more seldom the longer it lasts, so that it has fewer.
pub(crate) const RECORDS_MAX: u64 = 100_000;
/// The most rollouts in one list.
const LISTED_MAX: u32 = 1000;

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

    /// Writes what happened to a rollout and how it stands since, with what is committed of its model from then on where
    /// that changes, in one step. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing of it is written, and nothing may be raised.
    pub fn commit_rollout(
        &mut self,
        step: &Step,
        committed: Option<&Committed>,
        entry: Option<&Entry>,
    ) -> Result<(), JournalError> {
        let Step { created, rollout, record, units } = step;
        if record.number > RECORDS_MAX && !rollout.phase.is_over() {
            return Err(unreadable(
                rollout,
                format!("it has {RECORDS_MAX} records, which is the most: end it"),
            ));
        }
        let (stands, record_text) = (written(rollout, rollout)?, written(rollout, record)?);
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = self.connection.transaction()?;
        if let Some(created) = created {
            create(&transaction, created)?;
        }
        let changed = transaction.execute(
            "UPDATE rollout SET stands = ?2, is_over = ?3 WHERE id = ?1",
            params![rollout.id.cast_signed(), stands, rollout.phase.is_over()],
        )?;
        if changed == 0 {
            return Err(unreadable(rollout, "it was never created".into()));
        }
        let (id, number) = (rollout.id.cast_signed(), record.number.cast_signed());
        transaction.execute(
            "INSERT INTO rollout_record (rollout, number, record) VALUES (?1, ?2, ?3)",
            params![id, number, record_text],
        )?;
        if rollout.phase.is_over() && rollout.phase != Phase::Promoted {
            // Nobody goes on from there: after a promotion labels still come.
            transaction.execute("DELETE FROM rollout_units WHERE rollout = ?1", [id])?;
        } else if !units.is_empty() {
            let insert = "INSERT INTO rollout_units (rollout, number, units) VALUES (?1, ?2, ?3)";
            transaction.execute(insert, params![id, number, units])?;
        }
        if let Some(entry) = entry {
            super::write(&transaction, committed, entry)?;
        }
        transaction.commit()?;
        self.grew();
        Ok(())
    }

    /// The rollouts that are not over, as they stand: they go on after a restart.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn rollouts_under_way(&self) -> Result<Vec<Resumed>, JournalError> {
        let mut statement = self.connection.prepare(
            "SELECT stands, (SELECT coalesce(max(number), 0) FROM rollout_record WHERE rollout = id)
             FROM rollout WHERE NOT is_over ORDER BY id",
        )?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        let resumed = |(text, records): (String, i64)| {
            let rollout: Rollout = read(&text)?;
            let units = self.units(rollout.id)?;
            Ok(Resumed { rollout, records: records.cast_unsigned(), units })
        };
        rows.into_iter().map(resumed).collect()
    }

    /// The last rollout of each model that is over: another one may have to follow it that never began.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn last_rollouts_over(&self) -> Result<Vec<Rollout>, JournalError> {
        let last =
            "SELECT stands FROM rollout WHERE is_over AND id IN (SELECT max(id) FROM rollout GROUP BY model)";
        let mut statement = self.connection.prepare(last)?;
        let texts = statement.query_map([], |row| row.get::<_, String>(0))?;
        texts.map(|text| read(&text?)).collect()
    }

    /// The last rollout of each model where it ended with a promotion: labels of it may still come.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn rollouts_promoted(&self) -> Result<Vec<Resumed>, JournalError> {
        let over = self.last_rollouts_over()?.into_iter();
        let resumed = |rollout: Rollout| {
            let units = self.units(rollout.id)?;
            Ok(Resumed { rollout, records: 0, units })
        };
        over.filter(|rollout| rollout.phase == Phase::Promoted).map(resumed).collect()
    }

    /// Writes how a rollout stands by labels that came after it ended, and what is to be known of that, in one step.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing of it is written.
    pub fn write_late(
        &mut self,
        rollout: &Rollout,
        units: &[u8],
        entry: Option<&Entry>,
    ) -> Result<(), JournalError> {
        let (stands, id) = (written(rollout, rollout)?, rollout.id.cast_signed());
        let transaction = self.connection.transaction()?;
        transaction.execute("UPDATE rollout SET stands = ?2 WHERE id = ?1", params![id, stands])?;
        if !units.is_empty() {
            let insert = "INSERT INTO rollout_units (rollout, number, units) VALUES
                          (?1, (SELECT coalesce(max(number), 0) + 1 FROM rollout_units WHERE rollout = ?1), ?2)";
            transaction.execute(insert, params![id, units])?;
        }
        if let Some(entry) = entry {
            super::write(&transaction, None, entry)?;
        }
        transaction.commit()?;
        self.grew();
        Ok(())
    }

    fn units(&self, id: u64) -> Result<Vec<u8>, JournalError> {
        let of = "SELECT units FROM rollout_units WHERE rollout = ?1 ORDER BY number";
        let mut statement = self.connection.prepare(of)?;
        let parts = statement.query_map([id.cast_signed()], |row| row.get::<_, Vec<u8>>(0))?;
        Ok(parts.collect::<Result<Vec<_>, _>>()?.concat())
    }
}

/// What happened to a rollout in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The rollout as it was created, where this is its first step.
    pub created: Option<Rollout>,
    /// How it stands since.
    pub rollout: Rollout,
    /// What happened.
    pub record: Record,
    /// Units of which something was seen for the first time.
    pub units: Vec<u8>,
}

/// A rollout that goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    /// How it stands.
    pub rollout: Rollout,
    /// The number of its last record.
    pub records: u64,
    /// The units that were seen.
    pub units: Vec<u8>,
}

/// One of the rollouts that there were, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub id: u64,
    /// Its model.
    pub model: String,
    /// Whether it is over.
    pub is_over: bool,
}

impl JournalReader {
    /// A rollout as it was created, with all its records: what [`verify`](crate::rollout::verify) takes; and as it stands.
    /// Nothing where there is none of that number.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn rollout(&self, id: u64) -> Result<Option<Told>, JournalError> {
        let connection = self.connection();
        let of = "SELECT created, stands FROM rollout WHERE id = ?1";
        let found: Option<(String, String)> =
            connection.query_row(of, [id.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((created, stands)) = found else { return Ok(None) };
        let records = "SELECT record FROM rollout_record WHERE rollout = ?1 ORDER BY number";
        let mut statement = connection.prepare(records)?;
        let texts = statement.query_map([id.cast_signed()], |row| row.get::<_, String>(0))?;
        let records = texts.map(|text| read(&text?)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Told { created: read(&created)?, stands: read(&stands)?, records }))
    }

    /// The last rollouts, of one model or of all, the latest last.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn rollouts(&self, model: Option<&ModelName>, limit: u32) -> Result<Vec<Listed>, JournalError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT id, model, is_over FROM rollout WHERE ?1 IS NULL OR model = ?1 ORDER BY id DESC LIMIT ?2",
        )?;
        let rows =
            statement.query_map(params![model.map(ModelName::as_str), limit.min(LISTED_MAX)], |row| {
                let id = row.get::<_, i64>(0)?.cast_unsigned();
                Ok(Listed { id, model: row.get(1)?, is_over: row.get(2)? })
            })?;
        let mut all: Vec<Listed> = rows.collect::<Result<_, _>>()?;
        all.reverse();
        Ok(all)
    }
}

/// A rollout with everything that happened to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// As it was created.
    pub created: Rollout,
    /// As it stands.
    pub stands: Rollout,
    /// What happened, in order.
    pub records: Vec<Record>,
}

/// Writes a rollout that was created, and takes out the oldest that are over.
fn create(transaction: &Transaction<'_>, rollout: &Rollout) -> Result<(), JournalError> {
    let text = written(rollout, rollout)?;
    transaction.execute(
        "INSERT INTO rollout (id, model, created, stands, is_over) VALUES (?1, ?2, ?3, ?3, ?4)",
        params![rollout.id.cast_signed(), rollout.spec.model, text, rollout.phase.is_over()],
    )?;
    // Labels of earlier rollouts of the model count no more.
    transaction.execute(
        "DELETE FROM rollout_units WHERE rollout IN (SELECT id FROM rollout WHERE model = ?1 AND is_over)",
        params![rollout.spec.model],
    )?;
    let old = "SELECT id FROM rollout WHERE is_over ORDER BY id DESC LIMIT -1 OFFSET ?1";
    for table in ["rollout_record", "rollout_units"] {
        let of_old = format!("DELETE FROM {table} WHERE rollout IN ({old})");
        transaction.execute(&of_old, [ROLLOUTS_MAX])?;
    }
    transaction.execute(&format!("DELETE FROM rollout WHERE id IN ({old})"), [ROLLOUTS_MAX])?;
    Ok(())
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
    use pointsman_core::VersionNumber;

    use super::*;
    use crate::rollout::{Counted, Event, Flags, Frozen, Look, Moment, Phase, transition, verify};

    fn created(id: u64) -> Rollout {
        let flags = Flags { canary: Some("1,50".into()), ..Flags::default() };
        let version = VersionNumber::new(3).expect("a version");
        let spec = flags.spec(&ModelName::new("iris").expect("a name"), version).expect("a spec");
        let (unit, salt) = ("request_id".into(), "iris/rollout/1".into());
        let frozen = Frozen {
            contents: [None, None],
            counted: Counted::Requests,
            unit,
            salt,
            slow_us: [1, 2, 3],
            classes: 0,
            newest: version,
        };
        Rollout::new(id, spec, frozen, Moment(1000))
    }

    /// Its first step.
    fn started(id: u64) -> Step {
        let created = created(id);
        let taken = transition(&created, &Event::Start, Moment(2000)).expect("it can begin");
        let record = Record::new(1, Moment(2000), "ada", Event::Start, &taken);
        let rollout = taken.change.rollout().clone();
        Step { created: Some(created), rollout, record, units: Vec::new() }
    }

    #[test]
    fn a_rollout_goes_on_where_it_was_and_can_be_computed_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(Some(dir.path())).expect("opens");
        let mut rollout = created(journal.next_rollout().expect("a number"));
        let orphan = created(9);
        let events = [Event::Start, Event::Looked(vec![Look::default()]), Event::Advance];
        let mut last = None;
        for (number, event) in (1..).zip(events) {
            let at = Moment(2000 * number);
            let taken = transition(&rollout, &event, at).expect("it can happen");
            let record = Record::new(number, at, "ada", event, &taken);
            let created = (number == 1).then(|| rollout.clone());
            rollout = taken.change.rollout().clone();
            let step = Step { created, rollout: rollout.clone(), record, units: vec![number as u8; 12] };
            journal.commit_rollout(&step, None, None).expect("writes");
            last = Some(step);
        }
        let last = last.expect("a step");
        assert!(journal.commit_rollout(&last, None, None).is_err(), "what is written stays as it is");
        let orphan = Step { rollout: orphan, ..last.clone() };
        assert!(journal.commit_rollout(&orphan, None, None).is_err(), "nobody created it");
        let record = Record { number: RECORDS_MAX + 1, ..last.record.clone() };
        assert!(journal.commit_rollout(&Step { record, ..last.clone() }, None, None).is_err());
        drop(journal);

        let mut journal = Journal::open(Some(dir.path())).expect("opens");
        let units = [[1; 12], [2; 12], [3; 12]].concat();
        let resumed = Resumed { rollout: rollout.clone(), records: 3, units };
        assert_eq!(journal.rollouts_under_way().expect("reads"), [resumed]);
        let reader = journal.reader().expect("opens");
        let told = reader.rollout(1).expect("reads").expect("there is one");
        assert_eq!((verify(&told.created, &told.records), told.records.len()), (vec![], 3));
        assert_eq!(told.stands, rollout);
        assert!(reader.rollout(2).expect("reads").is_none());
        assert_eq!(journal.next_rollout().expect("a number"), 2);
        let mut over = started(2);
        over.rollout.phase = Phase::Aborted;
        journal.commit_rollout(&over, None, None).expect("writes");
        assert_eq!(journal.rollouts_under_way().expect("reads").len(), 1);
        let name = ModelName::new("iris").expect("a name");
        let listed = |model: Option<&ModelName>| {
            let listed = reader.rollouts(model, 10).expect("reads");
            listed.into_iter().map(|one| (one.id, one.is_over)).collect::<Vec<_>>()
        };
        assert_eq!(listed(None), [(1, false), (2, true)]);
        assert_eq!(listed(Some(&name)), listed(None));
        assert_eq!(listed(Some(&ModelName::new("digits").expect("a name"))), []);
    }

    #[test]
    fn what_labels_say_after_a_promotion_is_there_after_a_start_and_ends_with_the_next_rollout() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(Some(dir.path())).expect("opens");
        let first = Step { units: vec![1; 12], ..started(1) };
        journal.commit_rollout(&first, None, None).expect("writes");
        let taken = transition(&first.rollout, &Event::Promote, Moment(3000)).expect("it can be promoted");
        let record = Record::new(2, Moment(3000), "ada", Event::Promote, &taken);
        let mut rollout = taken.change.rollout().clone();
        assert_eq!(rollout.phase, Phase::Promoted);
        let step = Step { created: None, rollout: rollout.clone(), record, units: Vec::new() };
        journal.commit_rollout(&step, None, None).expect("writes");
        rollout.evidence.lost = 7;
        journal.write_late(&rollout, &[2; 12], None).expect("writes");
        drop(journal);

        let mut journal = Journal::open(Some(dir.path())).expect("opens");
        let units = [[1; 12], [2; 12]].concat();
        assert_eq!(journal.rollouts_promoted().expect("reads"), [Resumed { rollout, records: 0, units }]);
        let told = journal.reader().expect("opens").rollout(1).expect("reads").expect("there is one");
        assert_eq!(verify(&told.created, &told.records), []);
        journal.commit_rollout(&started(2), None, None).expect("writes");
        assert!(journal.units(1).expect("reads").is_empty());
        let mut over = started(2);
        over.created = None;
        over.rollout.phase = Phase::Aborted;
        over.record.number = 2;
        journal.commit_rollout(&over, None, None).expect("writes");
        assert_eq!(journal.rollouts_promoted().expect("reads"), []);
    }

    #[test]
    fn what_ends_a_rollout_is_written_with_its_model_and_its_units_go() {
        let mut journal = Journal::open(None).expect("opens");
        let first = Step { units: vec![1; 12], ..started(1) };
        journal.commit_rollout(&first, None, None).expect("writes");
        assert_eq!(journal.units(1).expect("reads").len(), 12);
        let taken = transition(&first.rollout, &Event::Abort, Moment(3000)).expect("it can be aborted");
        let record = Record::new(2, Moment(3000), "ada", Event::Abort, &taken);
        let rollout = taken.change.rollout().clone();
        let model = ModelName::new("iris").expect("a name");
        let entry = Entry {
            what: crate::journal::What::Rollout,
            model: Some(model.clone()),
            version: None,
            from: None,
            by: "ada".into(),
            why: "aborted".into(),
            took: None,
            at: std::time::SystemTime::now(),
        };
        let committed = Committed { default: VersionNumber::new(2), ..Committed::default() };
        let step = Step { created: None, rollout, record, units: vec![1; 12] };
        journal.commit_rollout(&step, Some(&committed), Some(&entry)).expect("writes");
        assert_eq!(journal.committed().expect("reads")[&model], committed);
        assert!(journal.rollouts_under_way().expect("reads").is_empty());
        assert!(journal.units(1).expect("reads").is_empty());
    }

    #[test]
    fn the_oldest_that_are_over_go_first_and_none_that_is_under_way() {
        let mut journal = Journal::open(None).expect("opens");
        journal.commit_rollout(&started(1), None, None).expect("writes");
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {ROLLOUTS_MAX} + 2)
             INSERT INTO rollout SELECT i, 'digits', '', '', 1 FROM n;
             INSERT INTO rollout_record VALUES (2, 1, ''), (4, 1, '');
             INSERT INTO rollout_units VALUES (2, 1, ''), (4, 1, '');"
        );
        journal.connection.execute_batch(&fill).expect("fills");
        let next = started(journal.next_rollout().expect("a number"));
        journal.commit_rollout(&next, None, None).expect("writes");
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
        assert_eq!((of, records), (1, 3));
        let units = "SELECT count(*) FROM rollout_units";
        let units: i64 = journal.connection.query_row(units, [], |row| row.get(0)).expect("counts");
        assert_eq!(units, 1);
        assert_eq!(journal.rollouts_under_way().expect("reads").len(), 2);
    }
}
