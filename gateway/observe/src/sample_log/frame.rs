//! Messages of an Arrow IPC stream, as spool files hold them one after the other.
//!
//! A message is `0xFFFFFFFF`, the length of its head (i32), the head, which is padded to 8 bytes and says how long the
//! body is, and the body. The first has the schema, each further one a batch.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use arrow_array::RecordBatch;
use arrow_ipc::root_as_message;
use arrow_ipc::writer::{
    DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow_schema::{ArrowError, Schema};

const CONTINUATION: [u8; 4] = [0xff; 4];
/// The longest head that is believed: that of a batch of many thousand columns.
const HEAD_MAX: u64 = 16 << 20;

/// The message with a schema.
pub(super) fn schema_message(schema: &Schema) -> Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::default();
    let mut dictionaries = DictionaryTracker::new(true);
    let generator = IpcDataGenerator::default();
    bytes(generator.schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options))
}

/// The message with a batch.
pub(super) fn batch_message(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::default();
    let (mut dictionaries, mut context) = (DictionaryTracker::new(true), IpcWriteContext::default());
    let generator = IpcDataGenerator::default();
    let (_, message) = generator.encode(batch, &mut dictionaries, &options, &mut context)?;
    bytes(message)
}

fn bytes(message: EncodedData) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::with_capacity(message.ipc_message.len() + message.arrow_data.len() + 64);
    write_message(&mut bytes, message, &IpcWriteOptions::default())?;
    Ok(bytes)
}

/// How much of a file is whole messages: what comes behind was cut off while it was written.
pub(super) fn whole(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut whole = 0;
    while let Some(end) = message_end(file, whole, length)? {
        whole = end;
    }
    Ok(whole)
}

/// Where the message at this place ends; nothing where it is not whole.
fn message_end(file: &File, at: u64, length: u64) -> io::Result<Option<u64>> {
    let mut prefix = [0; 8];
    let Some(head_at) = at.checked_add(8).filter(|end| *end <= length) else { return Ok(None) };
    file.read_exact_at(&mut prefix, at)?;
    let (continuation, head) = prefix.split_at(4);
    let head = head.try_into().map_or(0, i32::from_le_bytes);
    let head = u64::try_from(head).unwrap_or(0);
    let body_at = head_at + head;
    if continuation != CONTINUATION || head == 0 || head > HEAD_MAX || body_at > length {
        return Ok(None);
    }
    let mut bytes = vec![0; head as usize];
    file.read_exact_at(&mut bytes, head_at)?;
    let Ok(message) = root_as_message(&bytes) else { return Ok(None) };
    let body = u64::try_from(message.bodyLength()).ok();
    Ok(body.and_then(|body| body_at.checked_add(body)).filter(|end| *end <= length))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::{DataType, Field};

    use super::*;

    #[test]
    fn a_file_that_is_cut_at_any_byte_is_whole_up_to_the_last_message_before() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
        ]));
        let mut bytes = schema_message(&schema).expect("a message");
        let mut ends = vec![0, bytes.len() as u64];
        for n in 0..4 {
            let columns: Vec<arrow_array::ArrayRef> =
                vec![Arc::new(Int64Array::from(vec![n; 5])), Arc::new(StringArray::from(vec!["ab"; 5]))];
            let batch = RecordBatch::try_new(schema.clone(), columns).expect("a batch");
            bytes.extend(batch_message(&batch).expect("a message"));
            ends.push(bytes.len() as u64);
        }
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&bytes, 0).expect("written");
        for cut in (0..=bytes.len() as u64).rev() {
            file.set_len(cut).expect("cut");
            let last = ends.iter().rfind(|end| **end <= cut).copied();
            assert_eq!(whole(&file).ok(), last, "cut at {cut}");
        }
    }
}
