//! Values of one column, as they are collected for a batch.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder,
    StringBuilder, UInt8Builder, UInt16Builder, UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, FixedSizeListArray, ListArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef};
use pointsman_core::{Datatype, Elements};

/// Room for so many values, before more is needed.
const BATCH: usize = 64;
/// Values of a column that are brought together before they are added.
const TOGETHER: usize = 32;

/// Defines the kinds of numbers with their builders, the elements that are such numbers, and those that become such.
macro_rules! numbers {
    ($($kind:ident: $builder:ident, $same:ident $(, ($elements:ident, $convert:expr))*;)+) => {
        /// Numbers of one kind.
        #[derive(Debug)]
        pub(super) enum Numbers {
            /// Yes or no.
            Bool(BooleanBuilder),
            $(#[doc = "Of this kind."] $kind($builder),)+
        }

        impl Numbers {
            /// How many there are.
            pub(super) fn len(&self) -> usize {
                use arrow_array::builder::ArrayBuilder;
                match self {
                    Self::Bool(all) => all.len(),
                    $(Self::$kind(all) => all.len(),)+
                }
            }

            /// Adds elements that lie a stride apart; null for each where they are of another kind.
            pub(super) fn push(&mut self, elements: &Elements<'_>, from: usize, stride: usize, count: usize) {
                let places = (0..count).map(|place| from + place * stride);
                match (self, elements) {
                    (Self::Bool(to), Elements::U8(all)) => {
                        places.for_each(|place| to.append_option(all.get(place).map(|x| *x != 0)));
                    }
                    $((Self::$kind(to), Elements::$same(all)) => {
                        // A list, or the value of a request with one row.
                        let beside = if stride == 1 || count == 1 { all.get(from..from + count) } else { None };
                        let last = from + count.saturating_sub(1) * stride;
                        match (beside, all.get(last)) {
                            (Some(all), _) => to.append_slice(all),
                            // Brought together first: a slice is added with one look at its nulls and its room.
                            (None, Some(last)) => {
                                let mut together = [*last; TOGETHER];
                                for first in (0..count).step_by(TOGETHER) {
                                    let some = &mut together[..TOGETHER.min(count - first)];
                                    for (place, value) in (first..).zip(&mut *some) {
                                        *value = all[from + place * stride];
                                    }
                                    to.append_slice(some);
                                }
                            }
                            (None, None) => places.for_each(|place| to.append_option(all.get(place).copied())),
                        }
                    }
                    $((Self::$kind(to), Elements::$elements(all)) => {
                        let convert = $convert;
                        places.for_each(|place| to.append_option(all.get(place).map(|x| convert(*x))));
                    })*)+
                    (other, _) => other.push_nulls(count),
                }
            }

            /// Adds nulls.
            pub(super) fn push_nulls(&mut self, count: usize) {
                match self {
                    Self::Bool(to) => to.append_nulls(count),
                    $(Self::$kind(to) => to.append_nulls(count),)+
                }
            }

            /// All of them, of which nothing is left here.
            pub(super) fn finish(&mut self) -> ArrayRef {
                match self {
                    Self::Bool(all) => Arc::new(all.finish()),
                    $(Self::$kind(all) => Arc::new(all.finish()),)+
                }
            }
        }
    };
}

numbers! {
    U8: UInt8Builder, U8;
    U16: UInt16Builder, U16;
    U32: UInt32Builder, U32;
    U64: UInt64Builder, U64;
    I8: Int8Builder, I8;
    I16: Int16Builder, I16;
    I32: Int32Builder, I32;
    I64: Int64Builder, I64;
    F32: Float32Builder, F32, (F16, |x: half::f16| x.to_f32()), (Bf16, |x: half::bf16| x.to_f32());
    F64: Float64Builder, F64;
}

impl Numbers {
    /// None yet, for the elements of a datatype; nothing for BYTES.
    pub(super) fn of(datatype: Datatype) -> Option<Self> {
        Some(match datatype {
            Datatype::Bool => Self::Bool(BooleanBuilder::with_capacity(BATCH)),
            Datatype::Uint8 => Self::U8(UInt8Builder::with_capacity(BATCH)),
            Datatype::Uint16 => Self::U16(UInt16Builder::with_capacity(BATCH)),
            Datatype::Uint32 => Self::U32(UInt32Builder::with_capacity(BATCH)),
            Datatype::Uint64 => Self::U64(UInt64Builder::with_capacity(BATCH)),
            Datatype::Int8 => Self::I8(Int8Builder::with_capacity(BATCH)),
            Datatype::Int16 => Self::I16(Int16Builder::with_capacity(BATCH)),
            Datatype::Int32 => Self::I32(Int32Builder::with_capacity(BATCH)),
            Datatype::Int64 => Self::I64(Int64Builder::with_capacity(BATCH)),
            Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 => {
                Self::F32(Float32Builder::with_capacity(BATCH))
            }
            Datatype::Fp64 => Self::F64(Float64Builder::with_capacity(BATCH)),
            Datatype::Bytes => return None,
        })
    }

    /// The type of a column of such elements; nothing for BYTES. Half floats become floats, which other readers know.
    pub(super) fn data_type(datatype: Datatype) -> Option<DataType> {
        Some(match datatype {
            Datatype::Bool => DataType::Boolean,
            Datatype::Uint8 => DataType::UInt8,
            Datatype::Uint16 => DataType::UInt16,
            Datatype::Uint32 => DataType::UInt32,
            Datatype::Uint64 => DataType::UInt64,
            Datatype::Int8 => DataType::Int8,
            Datatype::Int16 => DataType::Int16,
            Datatype::Int32 => DataType::Int32,
            Datatype::Int64 => DataType::Int64,
            Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 => DataType::Float32,
            Datatype::Fp64 => DataType::Float64,
            Datatype::Bytes => return None,
        })
    }
}

/// Lists of numbers, one for each row.
#[derive(Debug)]
pub(super) struct Lists {
    item: FieldRef,
    numbers: Numbers,
    /// How long each is; nothing where each is as long as it comes.
    length: Option<i32>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Lists {
    /// None yet.
    pub(super) fn new(datatype: Datatype, length: Option<i32>) -> Option<Self> {
        let numbers = Numbers::of(datatype)?;
        let item = item(Numbers::data_type(datatype)?);
        Some(Self { item, numbers, length, offsets: vec![0], nulls: NullBufferBuilder::new(0) })
    }

    /// The type of a column of such lists.
    pub(super) fn data_type(datatype: Datatype, length: Option<i32>) -> Option<DataType> {
        let item = item(Numbers::data_type(datatype)?);
        Some(length.map_or_else(
            || DataType::List(item.clone()),
            |length| DataType::FixedSizeList(item.clone(), length),
        ))
    }

    /// How many elements the next list may have: any, or so many.
    pub(super) fn length(&self) -> Option<usize> {
        self.length.and_then(|length| usize::try_from(length).ok())
    }

    /// The numbers of the list that is to be [closed](Lists::close) next.
    pub(super) fn numbers(&mut self) -> &mut Numbers {
        &mut self.numbers
    }

    /// The numbers that were added since are one list.
    pub(super) fn close(&mut self) {
        self.nulls.append_non_null();
        self.offsets.push(i32::try_from(self.numbers.len()).unwrap_or(i32::MAX));
    }

    /// There is no list in this row.
    pub(super) fn push_null(&mut self) {
        if let Some(length) = self.length() {
            self.numbers.push_nulls(length);
        }
        self.nulls.append_null();
        self.offsets.push(i32::try_from(self.numbers.len()).unwrap_or(i32::MAX));
    }

    /// All of them, of which nothing is left here.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let (numbers, nulls) = (self.numbers.finish(), self.nulls.finish());
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        match self.length {
            Some(length) => Arc::new(FixedSizeListArray::new(self.item.clone(), length, numbers, nulls)),
            None => {
                Arc::new(ListArray::new(self.item.clone(), OffsetBuffer::new(offsets.into()), numbers, nulls))
            }
        }
    }
}

/// Lists of texts, one for each row.
#[derive(Debug)]
pub(super) struct TextLists {
    texts: StringBuilder,
    offsets: Vec<i32>,
}

impl Default for TextLists {
    fn default() -> Self {
        Self { texts: StringBuilder::new(), offsets: vec![0] }
    }
}

impl TextLists {
    /// The type of a column of such lists.
    pub(super) fn data_type() -> DataType {
        DataType::List(item(DataType::Utf8))
    }

    /// Adds a list.
    pub(super) fn push<T: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = T>) {
        use arrow_array::builder::ArrayBuilder;
        texts.into_iter().for_each(|text| self.texts.append_value(text));
        self.offsets.push(i32::try_from(self.texts.len()).unwrap_or(i32::MAX));
    }

    /// All of them, of which nothing is left here.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let texts = Arc::new(self.texts.finish());
        Arc::new(ListArray::new(item(DataType::Utf8), OffsetBuffer::new(offsets.into()), texts, None))
    }
}

/// The field of a list's elements.
pub(super) fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, true))
}
