//! What one request of the mix is: a function of its number.

use fastrand::Rng;
use pointsman_core::{Datatype, InputTensor, ParameterValue, Shape, Tensor, TensorError};
use pointsman_registry::ExpectedOutput;

use crate::call::{Body, Expected, Form, Input, Kind, Transport};

/// All kinds of requests, which are drawn alike often.
pub(super) const KINDS: [(Transport, Body); 6] = [
    (Transport::Http1, Body::Json),
    (Transport::Http1, Body::Binary),
    (Transport::Http2, Body::Json),
    (Transport::Http2, Body::Binary),
    (Transport::Grpc, Body::Json),
    (Transport::Grpc, Body::Binary),
];

/// The models, both of which answer with the negative of each number.
pub(super) const MODELS: [&str; 2] = ["rows", "table"];

/// Columns of `rows`.
const COLUMNS: usize = 4;

/// The most columns of `table`.
const COLUMNS_MAX: usize = 6;

/// Priorities of `table`.
const PRIORITIES: i64 = 3;

/// Rows that the cards of the models let run together.
pub(super) const PART_ROWS: u64 = 16;

/// Rows of a request that is cut into parts.
const LARGE_ROWS: std::ops::RangeInclusive<usize> = 17..=60;

/// Microseconds until deadlines that may pass.
const DEADLINE_US: std::ops::RangeInclusive<u64> = 50..=5000;

/// The longest that a client waits before it leaves, in turns of its thread.
const TURNS_MAX: u32 = 8;

/// The shares of the mix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    /// Clients that leave.
    pub(super) cancelled: f64,
    /// Requests that cannot be answered.
    pub(super) odd: f64,
    /// Requests with a deadline.
    pub(super) deadlines: f64,
    /// Requests that are cut.
    pub(super) large: f64,
    /// The most rows of the others.
    pub(super) rows_max: usize,
}

/// What is to come of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The right answer.
    Answered,
    /// Its client leaves after so many turns of its thread, unless the answer is there.
    Cancelled { turns: u32 },
    /// The right answer, or none in time.
    Late,
    /// A refusal: it fits no model.
    Odd,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// An index into [`KINDS`].
    pub(super) kind: usize,
    /// An index into [`MODELS`].
    pub(super) model: usize,
    pub(super) fate: Fate,
    pub(super) input: Input,
}

impl Asked {
    /// The request of a number, always the same for the same seed.
    pub(super) fn draw(shares: &Shares, seed: u64, number: u64) -> Result<Self, String> {
        let mut random = Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (kind, model) = (random.usize(..KINDS.len()), random.usize(..MODELS.len()));
        let fate = fate(shares, &mut random);
        let rows = match random.f64() < shares.large {
            true => random.usize(LARGE_ROWS),
            false => random.usize(1..=shares.rows_max.max(1)),
        };
        let columns = if MODELS[model] == "rows" { COLUMNS } else { random.usize(1..=COLUMNS_MAX) };
        let input = match fate {
            Fate::Odd => odd(number, model, rows, &mut random)?,
            _ => Input {
                tensors: vec![numbers("x", number, rows, columns, 1)?],
                expected: Some(negative(number, rows, columns)?),
                timeout: (fate == Fate::Late)
                    .then(|| std::time::Duration::from_micros(random.u64(DEADLINE_US))),
                parameters: priority(model, &mut random),
                ..Input::default()
            },
        };
        Ok(Self { kind, model, fate, input: Input { id: number.to_string(), ..input } })
    }

    /// How it is sent.
    pub(super) fn kind(&self) -> Kind {
        let (transport, body) = KINDS[self.kind];
        Kind { form: Form::V2, transport, body }
    }
}

fn fate(shares: &Shares, random: &mut Rng) -> Fate {
    let Shares { cancelled, odd, deadlines, .. } = *shares;
    match random.f64() {
        at if at < cancelled => Fate::Cancelled { turns: random.u32(..=TURNS_MAX) },
        at if at < cancelled + odd => Fate::Odd,
        at if at < cancelled + odd + deadlines => Fate::Late,
        _ => Fate::Answered,
    }
}

/// Some requests say how urgent they are.
fn priority(model: usize, random: &mut Rng) -> Vec<(String, ParameterValue)> {
    let has_levels = MODELS[model] == "table" && random.bool();
    let level = has_levels.then(|| ("priority".into(), ParameterValue::Int(random.i64(1..=PRIORITIES))));
    level.into_iter().collect()
}

/// An input that fits no model: of another name, datatype or rank, or of too many columns.
fn odd(number: u64, model: usize, rows: usize, random: &mut Rng) -> Result<Input, String> {
    let named = |tensor: Result<Tensor, TensorError>| {
        Ok::<_, String>(InputTensor { name: "x".into(), tensor: tensor.map_err(|e| e.to_string())? })
    };
    let tensor = match random.u8(..4) {
        0 => numbers("z", number, rows, COLUMNS, 1)?,
        1 => named(Tensor::from_vec(Datatype::Uint64, shape(&[rows, 1])?, vec![number; rows]))?,
        2 if MODELS[model] == "rows" => numbers("x", number, rows, COLUMNS + 1, 1)?,
        _ => named(Tensor::from_vec(Datatype::Int64, shape(&[rows])?, vec![1_i64; rows]))?,
    };
    Ok(Input { tensors: vec![tensor], ..Input::default() })
}

/// Numbers that no other request has: the request, the row and the column can be read from each.
fn numbers(name: &str, number: u64, rows: usize, columns: usize, sign: i64) -> Result<InputTensor, String> {
    let first = i64::try_from(number).map_err(|e| e.to_string())? << 16;
    let place = |at: usize| sign * (first | ((at / columns) << 8 | (at % columns + 1)) as i64);
    let values = (0..rows * columns).map(place).collect::<Vec<i64>>();
    let tensor = Tensor::from_vec(Datatype::Int64, shape(&[rows, columns])?, values);
    Ok(InputTensor { name: name.into(), tensor: tensor.map_err(|e| e.to_string())? })
}

fn negative(number: u64, rows: usize, columns: usize) -> Result<Expected, String> {
    let InputTensor { name, tensor } = numbers("y", number, rows, columns, -1)?;
    Ok(Expected { outputs: vec![ExpectedOutput { name, tensor }], rtol: 0.0, atol: 0.0 })
}

fn shape(dims: &[usize]) -> Result<Shape, String> {
    let dims: Vec<u64> = dims.iter().map(|&size| size as u64).collect();
    Shape::new(&dims).ok_or_else(|| "a shape of too many dimensions".into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SHARES: Shares = Shares { cancelled: 0.2, odd: 0.2, deadlines: 0.2, large: 0.1, rows_max: 8 };

    #[test]
    fn no_two_requests_share_a_number() {
        let mut seen = BTreeSet::new();
        for number in 0..2000 {
            let asked = Asked::draw(&SHARES, 7, number).expect("a request");
            let Some(expected) = asked.input.expected else { continue };
            let sent = asked.input.tensors[0].tensor.values::<i64>().expect("whole numbers");
            let right = expected.outputs[0].tensor.values::<i64>().expect("whole numbers");
            assert!(sent.iter().zip(right).all(|(sent, right)| *right == -*sent), "{number}");
            assert!(sent.iter().all(|value| seen.insert(*value)), "{number}");
        }
        assert!(seen.len() > 5000, "{}", seen.len());
    }

    #[test]
    fn everything_is_drawn_and_the_same_again() {
        let draw = |number| Asked::draw(&SHARES, 7, number).expect("a request");
        let asked: Vec<Asked> = (0..2000).map(draw).collect();
        let share = |of: &dyn Fn(&Asked) -> bool| asked.iter().filter(|asked| of(asked)).count();
        for kind in 0..KINDS.len() {
            assert!(share(&|asked| asked.kind == kind) > 200, "kind {kind}");
        }
        assert!((300..500).contains(&share(&|asked| asked.fate == Fate::Odd)));
        assert!((300..500).contains(&share(&|asked| matches!(asked.fate, Fate::Cancelled { .. }))));
        let large = |asked: &Asked| asked.input.tensors[0].tensor.shape().dims()[0] > 16;
        assert!((100..300).contains(&share(&large)));
        let again = draw(77);
        assert_eq!((again.kind, again.model, again.fate), (asked[77].kind, asked[77].model, asked[77].fate));
    }
}
