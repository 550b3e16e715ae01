//! A sample log in a folder of its own, and requests for it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_array::{Array, RecordBatch};
use pointsman_core::{
    ColumnSchema, Datatype, Dim, ModelName, OutputTensor, ParameterValue, Parameters, Redaction, RequestId,
    Schema, Shape, Signature, StageTimes, StringTensorBuilder, Tensor, TensorSpec, TraceId, VersionNumber,
};
use pointsman_observe::sample_log::{
    Account, Bounds, Chosen, Class, Directory, Drawn, HashKey, Layout, Made, Origin, Reader, Record,
    Retention, ShadowAnswer, Store, Writer,
};

pub(super) const SECRET: &str = "secret-4711";

pub(super) fn model() -> ModelName {
    ModelName::new("m").expect("a name")
}

pub(super) fn spec(name: &str, datatype: Datatype, shape: &[Option<u64>], labels: &[&str]) -> TensorSpec {
    let dims = shape.iter().map(|dim| dim.map_or(Dim::Dynamic(None), Dim::Fixed)).collect();
    let labels = (!labels.is_empty()).then(|| labels.iter().map(|label| (*label).to_owned()).collect());
    TensorSpec { name: name.into(), datatype, shape: Some(dims), optional: false, labels }
}

pub(super) fn signature() -> Signature {
    Signature {
        inputs: vec![
            spec("temp", Datatype::Fp32, &[None, Some(1)], &[]),
            spec("carrier", Datatype::Bytes, &[None], &[]),
            spec("X", Datatype::Int64, &[None, Some(2)], &["age", "visits"]),
            spec("picture", Datatype::Uint8, &[None, Some(2), Some(2)], &[]),
        ],
        outputs: vec![
            spec("label", Datatype::Int64, &[None], &[]),
            spec("probabilities", Datatype::Fp32, &[None, Some(2)], &["no", "yes"]),
        ],
    }
}

pub(super) fn tensor<T: bytemuck::Pod + Send + Sync>(
    datatype: Datatype,
    dims: &[u64],
    values: Vec<T>,
) -> Tensor {
    Tensor::from_vec(datatype, Shape::new(dims).expect("small"), values).expect("fits")
}

pub(super) fn strings(all: &[&str]) -> Tensor {
    let mut builder = StringTensorBuilder::default();
    all.iter().for_each(|text| builder.push(text.as_bytes()).expect("short"));
    let shape = Shape::new(&[all.len() as u64]).expect("small");
    Tensor::new(Datatype::Bytes, shape, builder.finish()).expect("fits")
}

/// A request of two rows.
pub(super) struct Exchange {
    pub(super) id: RequestId,
    pub(super) at: SystemTime,
    pub(super) parameters: Parameters,
    pub(super) inputs: Vec<Option<Tensor>>,
    pub(super) outputs: Vec<OutputTensor>,
    pub(super) shadows: Vec<ShadowAnswer>,
}

pub(super) fn output(name: &str, tensor: Tensor) -> OutputTensor {
    OutputTensor { name: name.into(), tensor, labels: None }
}

/// What version 4 answers beside the one that serves: the probabilities of two rows of two classes.
pub(super) fn shadow(probabilities: Vec<f32>) -> ShadowAnswer {
    ShadowAnswer {
        version: 4,
        outputs: Ok(vec![output("probabilities", tensor(Datatype::Fp32, &[2, 2], probabilities))]),
        run: Duration::from_micros(9),
        disagrees: Some(true),
    }
}

impl Exchange {
    pub(super) fn new(temp: f32) -> Self {
        Self {
            id: RequestId::generate(),
            at: UNIX_EPOCH + Duration::from_secs(1_500_000_000),
            parameters: vec![("region".into(), ParameterValue::String("north".into()))],
            inputs: vec![
                Some(tensor(Datatype::Fp32, &[2, 1], vec![temp, f32::NAN])),
                Some(strings(&[SECRET, "AA"])),
                Some(tensor(Datatype::Int64, &[2, 2], vec![31_i64, 7, 49, i64::MAX])),
                Some(tensor(Datatype::Uint8, &[2, 2, 2], (0..8_u8).collect())),
            ],
            outputs: vec![
                output("label", tensor(Datatype::Int64, &[2], vec![1_i64, 0])),
                output("probabilities", tensor(Datatype::Fp32, &[2, 2], vec![0.25_f32, 0.75, 0.5, 0.5])),
            ],
            shadows: Vec::new(),
        }
    }

    pub(super) fn record(&self) -> Record<'_> {
        Record {
            id: self.id,
            trace: Some(TraceId([0xab; 16])),
            at: self.at,
            origin: Origin {
                protocol: "v2-rest",
                arm: Some("next"),
                way: Some("experiment"),
                drawn: Some(Drawn { experiment: "e", unit: 0xab, unit_kind: "header", propensity: 0.05 }),
            },
            chosen: Chosen { probability: 0.5, class: Class::Uniform, is_kept: true },
            parameters: &self.parameters,
            inputs: &self.inputs,
            rows: 2,
            violations: &[],
            outputs: Ok(&self.outputs),
            times: StageTimes { run: Duration::from_micros(7), batch_requests: 1, ..StageTimes::default() },
            decode: Duration::from_nanos(500),
            encode: Duration::ZERO,
            total: Duration::from_millis(1),
            shadows: &self.shadows,
        }
    }
}

/// A log in a folder of its own.
pub(super) struct Log {
    pub(super) folder: tempfile::TempDir,
    pub(super) layout: Arc<Layout>,
    pub(super) account: Arc<Account>,
    pub(super) writer: Writer,
    pub(super) now: Instant,
}

impl Log {
    pub(super) fn new(schema: Option<&Schema>) -> Self {
        Self::within(schema, Bounds::default())
    }

    pub(super) fn within(schema: Option<&Schema>, bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let account = Arc::new(Account::default());
        let layout = layout(&signature(), schema, account.clone());
        let writer = Writer::new(folder.path(), "host", bounds);
        Self { layout, account, writer, now: Instant::now(), folder }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn take(&mut self, exchange: &Exchange) {
        self.account.queued();
        self.writer.take(&self.layout, &exchange.record(), self.clock(), self.now);
    }

    pub(super) fn clock(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_700_000_000_000)
    }

    pub(super) fn store(&self, retention: Retention) -> Store {
        Store::of(&self.writer, Arc::new(Directory::new(self.path())), retention)
    }

    /// Makes parts of all that was taken.
    pub(super) fn finish(&mut self) -> Store {
        self.writer.finish(self.now);
        let store = self.store(Retention::default());
        for path in self.writer.sealed() {
            store.make_part(&path).expect("a part");
        }
        store
    }

    pub(super) fn rows(&self) -> Vec<RecordBatch> {
        read(&Reader::open(self.path()))
    }

    pub(super) fn check_account(&self) {
        let standing = self.account.standing();
        assert_eq!(
            standing.sampled,
            standing.written + standing.all_dropped() + standing.queued,
            "{standing:?}"
        );
    }
}

pub(super) fn layout(signature: &Signature, schema: Option<&Schema>, account: Arc<Account>) -> Arc<Layout> {
    let mut warnings = Vec::new();
    let layout = Layout::new(
        Made {
            model: &model(),
            version: VersionNumber::new(3).expect("above zero"),
            digest: "d1",
            signature,
            schema,
            key: &HashKey::new([7; 32]),
            sampling: "{\"uniform_rate\":0.5}",
            gateway: "0.0.0",
        },
        account,
        &mut warnings,
    );
    assert_eq!(warnings, [""; 0]);
    Arc::new(layout)
}

pub(super) fn read(reader: &Reader) -> Vec<RecordBatch> {
    reader.batches().expect("files").collect::<Result<_, _>>().expect("batches")
}

pub(super) fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a dyn Array {
    batch.column_by_name(name).expect(name).as_ref()
}

pub(super) fn schema(inputs: &[(&str, Redaction)]) -> Schema {
    let of = |(name, log): &(&str, Redaction)| {
        let bins: Arc<[f64]> = vec![18.0, 40.0].into();
        let column = ColumnSchema { log: Some(log.clone()), bins: Some(bins), ..ColumnSchema::default() };
        (Arc::<str>::from(*name), column)
    };
    Schema {
        digest: "s1".into(),
        slices: vec!["parameter.region".into(), "temp".into()],
        inputs: inputs.iter().map(of).collect(),
        ..Schema::default()
    }
}

/// All bytes of all files below a folder.
pub(super) fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            bytes.extend(all_bytes(&path));
        } else {
            bytes.extend(std::fs::read(path).expect("a file"));
        }
    }
    bytes
}

pub(super) fn holds(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}
