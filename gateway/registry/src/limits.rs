//! How much of a registry is read at most.

/// The most of each thing that one registry may hold. What is over a limit is named with the
/// limit's key, and the rest is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Models in the registry.
    pub models_max: usize,
    /// Versions of one model; of more, the highest are taken.
    pub versions_max: usize,
    /// Entries of one folder that are looked at, and of a version's folder with all below it.
    pub entries_max: usize,
    /// How deep folders may lie in a version's folder.
    pub depth_max: usize,
    /// Folders whose changes the system is asked to tell; of more, none is watched.
    pub watches_max: usize,
    /// Bytes of a card, a schema, a Triton configuration, a file of labels or a manifest.
    pub card_bytes_max: u64,
    /// Bytes of a file of golden cases.
    pub golden_bytes_max: u64,
    /// Bytes of a profile of training data.
    pub baseline_bytes_max: u64,
    /// Bytes of `model.onnx`.
    pub model_bytes_max: u64,
    /// Bytes of all the files of one version together.
    pub version_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            models_max: 1000,
            versions_max: 1000,
            entries_max: 100_000,
            depth_max: 16,
            // About a kilobyte of the kernel's memory each.
            watches_max: 16_384,
            card_bytes_max: 1 << 20,
            golden_bytes_max: 64 << 20,
            baseline_bytes_max: 16 << 20,
            // What protobuf itself can say: a larger model keeps its weights in external data.
            model_bytes_max: 2 << 30,
            version_bytes_max: 16 << 30,
        }
    }
}
