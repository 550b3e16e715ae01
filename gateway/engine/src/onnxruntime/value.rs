//! Values of the runtime: tensors that borrow our bytes, and outputs that are used in place.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};

use bytes::Bytes;
use ort::sys;
use pointsman_core::{Datatype, Shape, StringTensorBuilder, Tensor};

/// What the runtime answered instead of a value.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) invalid_argument: bool,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { invalid_argument: false, message: message.into() }
    }
}

/// Turns a status of the C interface into a result, and frees it.
pub(super) fn check(status: sys::OrtStatusPtr) -> Result<(), Refusal> {
    let Some(status) = NonNull::new(status.0) else { return Ok(()) };
    let api = ort::api();
    // SAFETY: `status` is a status that the runtime just gave; it is read and then released, once.
    unsafe {
        let code = (api.GetErrorCode)(status.as_ptr());
        let message = CStr::from_ptr((api.GetErrorMessage)(status.as_ptr())).to_string_lossy().into_owned();
        (api.ReleaseStatus)(status.as_ptr());
        Err(Refusal { invalid_argument: code == sys::OrtErrorCode::ORT_INVALID_ARGUMENT, message })
    }
}

/// A value of the runtime, released when dropped.
pub(super) struct OrtValue(NonNull<sys::OrtValue>);

// SAFETY: a value is plain data behind a reference-counted allocator of the CPU provider, which may
// be read and released from any thread.
unsafe impl Send for OrtValue {}
// SAFETY: as above; nothing writes to a value once it is made.
unsafe impl Sync for OrtValue {}

impl Drop for OrtValue {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and released once.
        unsafe { (ort::api().ReleaseValue)(self.0.as_ptr()) };
    }
}

impl OrtValue {
    /// Takes over what a call of the runtime put into its out parameter.
    pub(super) fn from_out(pointer: *mut sys::OrtValue) -> Result<Self, Refusal> {
        NonNull::new(pointer).map(Self).ok_or_else(|| Refusal::new("the runtime gave no value"))
    }

    pub(super) fn as_ptr(&self) -> *const sys::OrtValue {
        self.0.as_ptr()
    }

    /// A value for a run: numbers are borrowed from `tensor`, strings are copied into the runtime.
    ///
    /// # Safety
    /// The value must be dropped before `tensor` is.
    pub(super) unsafe fn borrow(tensor: &Tensor, memory: &CpuMemory) -> Result<Self, Refusal> {
        let dims: Vec<i64> =
            tensor.shape().dims().iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
        if tensor.datatype() == Datatype::Bytes {
            return Self::strings(tensor, &dims);
        }
        let data = tensor.data();
        let mut out = ptr::null_mut();
        // SAFETY: the pointers are valid for the call, the data for the life of the value (by contract);
        // the runtime does not write to inputs.
        check(unsafe {
            (ort::api().CreateTensorWithDataAsOrtValue)(
                memory.0.as_ptr(),
                data.as_ptr().cast_mut().cast::<c_void>(),
                data.len(),
                dims.as_ptr(),
                dims.len(),
                element_type(tensor.datatype()),
                &raw mut out,
            )
        })?;
        Self::from_out(out)
    }

    /// A string tensor, filled by the sized call: elements may hold NUL and any other byte.
    fn strings(tensor: &Tensor, dims: &[i64]) -> Result<Self, Refusal> {
        let api = ort::api();
        let mut allocator = ptr::null_mut();
        // SAFETY: gives the runtime's own default allocator, which is never released.
        check(unsafe { (api.GetAllocatorWithDefaultOptions)(&raw mut allocator) })?;
        let mut out = ptr::null_mut();
        let kind = sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING;
        // SAFETY: the pointers are valid for the call.
        check(unsafe {
            (api.CreateTensorAsOrtValue)(allocator, dims.as_ptr(), dims.len(), kind, &raw mut out)
        })?;
        let value = Self::from_out(out)?;
        for (index, element) in tensor.strings().into_iter().flatten().enumerate() {
            let mut buffer: *mut c_char = ptr::null_mut();
            // SAFETY: `index` is below the number of elements; the buffer has room for the element.
            unsafe {
                check((api.GetResizedStringTensorElementBuffer)(
                    value.0.as_ptr(),
                    index,
                    element.len(),
                    &raw mut buffer,
                ))?;
                ptr::copy_nonoverlapping(element.as_ptr(), buffer.cast::<u8>(), element.len());
            }
        }
        Ok(value)
    }

    /// The tensor that this value is; its memory is used in place and released with the tensor.
    ///
    /// An output that is an input of the graph is given back as the very memory that was borrowed for
    /// it, which is gone with the request: such a one is copied. `borrowed` are all of them.
    pub(super) fn into_tensor(self, borrowed: &[Option<Tensor>]) -> Result<Tensor, Refusal> {
        let (datatype, shape) = self.type_and_shape()?;
        let mut data = if datatype == Datatype::Bytes {
            self.string_data(&shape)?
        } else {
            self.into_bytes(datatype, &shape)?
        };
        if borrowed.iter().flatten().any(|tensor| tensor.data().as_ptr_range().contains(&data.as_ptr())) {
            data = Bytes::copy_from_slice(&data);
        }
        Tensor::new(datatype, shape, data).map_err(|e| Refusal::new(e.to_string()))
    }

    /// Datatype and shape of a tensor.
    fn type_and_shape(&self) -> Result<(Datatype, Shape), Refusal> {
        let api = ort::api();
        let mut info = ptr::null_mut();
        // SAFETY: the value is valid; the information is released below.
        check(unsafe { (api.GetTensorTypeAndShape)(self.as_ptr(), &raw mut info) })?;
        let mut kind = 0_i32;
        let mut rank = 0;
        let mut dims = [0_i64; Shape::RANK_MAX];
        // SAFETY: `info` is valid until released; `kind` is an integer because the runtime may know
        // element types that the binding's enumeration does not; `dims` has room for `rank` sizes.
        let read = unsafe {
            let read = check((api.GetTensorElementType)(info, (&raw mut kind).cast()))
                .and_then(|()| check((api.GetDimensionsCount)(info, &raw mut rank)))
                .and_then(|()| check((api.GetDimensions)(info, dims.as_mut_ptr(), rank.min(dims.len()))));
            (api.ReleaseTensorTypeAndShapeInfo)(info);
            read
        };
        read?;
        let datatype =
            datatype(kind).ok_or_else(|| Refusal::new(format!("an output has element type {kind}")))?;
        let sizes: Option<Vec<u64>> =
            dims.get(..rank).and_then(|d| d.iter().map(|&d| u64::try_from(d).ok()).collect());
        let shape = sizes.and_then(|sizes| Shape::new(&sizes));
        Ok((datatype, shape.ok_or_else(|| Refusal::new(format!("an output has {rank} dimensions")))?))
    }

    /// The memory of a tensor of numbers as bytes that own the value.
    fn into_bytes(self, datatype: Datatype, shape: &Shape) -> Result<Bytes, Refusal> {
        let length = shape.elements().and_then(|n| n.checked_mul(datatype.size()?));
        let length = length.ok_or_else(|| Refusal::new("an output is larger than memory"))?;
        let mut data = ptr::null_mut();
        // SAFETY: the value is a tensor of numbers.
        check(unsafe { (ort::api().GetTensorMutableData)(self.0.as_ptr(), &raw mut data) })?;
        match NonNull::new(data.cast::<u8>()) {
            Some(data) if length > 0 => Ok(Bytes::from_owner(OutputMemory { data, length, _value: self })),
            _ => Ok(Bytes::new()),
        }
    }

    /// The elements of a string tensor in the form of [`Datatype::Bytes`].
    pub(super) fn string_data(&self, shape: &Shape) -> Result<Bytes, Refusal> {
        let api = ort::api();
        let count = shape.elements().ok_or_else(|| Refusal::new("an output is larger than memory"))?;
        let mut length = 0;
        // SAFETY: the value is a string tensor.
        check(unsafe { (api.GetStringTensorDataLength)(self.as_ptr(), &raw mut length) })?;
        let mut content = vec![0_u8; length];
        let mut offsets = vec![0_usize; count];
        // SAFETY: both buffers have the sizes that the runtime just named.
        check(unsafe {
            let start = content.as_mut_ptr().cast::<c_void>();
            (api.GetStringTensorContent)(self.as_ptr(), start, length, offsets.as_mut_ptr(), count)
        })?;
        let mut builder = StringTensorBuilder::with_capacity(count, length);
        for (i, &start) in offsets.iter().enumerate() {
            let end = offsets.get(i + 1).copied().unwrap_or(length);
            let element =
                content.get(start..end).ok_or_else(|| Refusal::new("string offsets are out of range"))?;
            builder.push(element).map_err(|e| Refusal::new(e.to_string()))?;
        }
        Ok(builder.finish())
    }

    /// How many parts a sequence or map has.
    pub(super) fn count(&self) -> Result<usize, Refusal> {
        let mut count = 0;
        // SAFETY: the value is valid.
        check(unsafe { (ort::api().GetValueCount)(self.as_ptr(), &raw mut count) })?;
        Ok(count)
    }

    /// One part: an element of a sequence; of a map 0 gives its keys and 1 its values.
    pub(super) fn part(&self, index: usize) -> Result<Self, Refusal> {
        let api = ort::api();
        let index = i32::try_from(index).map_err(|_| Refusal::new("a sequence is too long"))?;
        let mut allocator = ptr::null_mut();
        let mut out = ptr::null_mut();
        // SAFETY: the value is valid and the allocator is the runtime's own.
        unsafe {
            check((api.GetAllocatorWithDefaultOptions)(&raw mut allocator))?;
            check((api.GetValue)(self.as_ptr(), index, allocator, &raw mut out))?;
        }
        Self::from_out(out)
    }
}

/// The memory of an output. The value keeps its allocator alive by itself (its tensor holds a shared
/// pointer to it; an output that is an initializer is the runtime's own copy of it), so an answer that is still being written does not keep the session, and a session
/// is never freed by the thread that finishes the writing.
struct OutputMemory {
    data: NonNull<u8>,
    length: usize,
    _value: OrtValue,
}

// SAFETY: the memory belongs to the value, is not written again, and may be read from any thread.
unsafe impl Send for OutputMemory {}
// SAFETY: as above.
unsafe impl Sync for OutputMemory {}

impl AsRef<[u8]> for OutputMemory {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the runtime keeps `length` bytes there for as long as the value lives.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.length) }
    }
}

/// The description of ordinary memory, needed for tensors that borrow.
pub(super) struct CpuMemory(NonNull<sys::OrtMemoryInfo>);

// SAFETY: the description is immutable.
unsafe impl Send for CpuMemory {}

impl CpuMemory {
    pub(super) fn new() -> Result<Self, Refusal> {
        let mut out = ptr::null_mut();
        // SAFETY: the pointer is valid for the call.
        check(unsafe {
            (ort::api().CreateCpuMemoryInfo)(
                sys::OrtAllocatorType::OrtDeviceAllocator,
                sys::OrtMemType::OrtMemTypeDefault,
                &raw mut out,
            )
        })?;
        NonNull::new(out).map(Self).ok_or_else(|| Refusal::new("the runtime gave no memory description"))
    }
}

impl Drop for CpuMemory {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and released once.
        unsafe { (ort::api().ReleaseMemoryInfo)(self.0.as_ptr()) };
    }
}

fn element_type(datatype: Datatype) -> sys::ONNXTensorElementDataType {
    use sys::ONNXTensorElementDataType as Onnx;
    match datatype {
        Datatype::Bool => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        Datatype::Uint8 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        Datatype::Uint16 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        Datatype::Uint32 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        Datatype::Uint64 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        Datatype::Int8 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        Datatype::Int16 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        Datatype::Int32 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        Datatype::Int64 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        Datatype::Fp16 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        Datatype::Bf16 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
        Datatype::Fp32 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        Datatype::Fp64 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        Datatype::Bytes => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
    }
}

fn datatype(kind: i32) -> Option<Datatype> {
    Datatype::ALL.into_iter().find(|d| element_type(*d) as i32 == kind)
}
