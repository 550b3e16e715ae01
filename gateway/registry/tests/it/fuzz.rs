//! A fuzz target for each kind of file of a registry.
//!
//! As tests they replay the seeds of `__fuzz__/<target>/corpus`, with everything that a fuzzer once
//! found, and a bounded number of random inputs. `cargo bolero test -p pointsman-registry <target>`
//! runs one under a real fuzzer.
//!
//! What must hold for any bytes: no panic; every problem is one short line without control
//! characters; and what is read takes no more memory than a small multiple of the file.

use bytes::Bytes;
use pointsman_registry::{Card, GoldenCases, Manifest, Problem, TritonConfig, compare, look, serving};

/// Random inputs of one target when it runs as a test.
const RANDOM: usize = 2000;

/// The most that the bytes of tensors may take for one byte of a file: `0,` is eight bytes of FP64.
const GROWTH_MAX: usize = 4;

/// The longest line that names a problem: file, fact and remedy of at most 400 characters each.
const LINE_MAX: usize = 1300;

/// Runs a target, a function that says whether it accepts some bytes: with the seeds, of which those
/// named `good-*` have to be accepted and those named `bad-*` refused, and with what bolero gives it.
macro_rules! fuzz {
    ($accepts:expr) => {{
        let accepts = $accepts;
        check_seeds(&accepts);
        bolero::check!().with_iterations(RANDOM).for_each(|bytes: &[u8]| {
            accepts(bytes);
        });
    }};
}

/// The seeds of the target in whose function the closure stands (`it::fuzz::TARGET::{{closure}}`).
fn check_seeds<F: Fn(&[u8]) -> bool>(accepts: &F) {
    let target = std::any::type_name::<F>().split("::").nth(2).expect("a function of this module");
    let folder = format!("{}/tests/it/__fuzz__/fuzz__{target}/corpus", env!("CARGO_MANIFEST_DIR"));
    for seed in std::fs::read_dir(&folder).expect("a target has seeds").flatten() {
        let accepted = accepts(&std::fs::read(seed.path()).expect("a seed"));
        let name = seed.file_name().into_string().expect("UTF-8");
        assert!(!name.starts_with("good-") || accepted, "{target}: {name} is refused");
        assert!(!name.starts_with("bad-") || !accepted, "{target}: {name} is accepted");
    }
}

fn check_line(line: &str) {
    assert!(line.len() <= LINE_MAX, "{} bytes: {line}", line.len());
    assert!(!line.contains(char::is_control), "{line:?}");
}

/// Checks the reasons for a refusal; a target that ends with them does not accept.
fn refuse(problems: &[Problem]) -> bool {
    assert!(!problems.is_empty(), "refused without a reason");
    problems.iter().for_each(|problem| check_line(&problem.to_string()));
    false
}

#[test]
fn card() {
    fuzz!(|bytes: &[u8]| match Card::parse("m/model.toml", bytes) {
        Ok(card) => {
            // What is wanted of no version is nothing, whatever the card says.
            let wanted = serving(&card, None, &[]);
            assert!(wanted.load.is_empty() && wanted.default.is_none());
            !refuse(&wanted.problems)
        }
        Err(problems) => refuse(&problems),
    });
}

#[test]
fn manifest() {
    fuzz!(|bytes: &[u8]| match Manifest::parse("m/1/manifest.toml", bytes) {
        Ok(_) => true,
        Err(problems) => refuse(&problems),
    });
}

#[test]
fn golden() {
    fuzz!(|bytes: &[u8]| match GoldenCases::parse("m/1/golden.json", bytes) {
        Ok(golden) => {
            let inputs = golden.cases.iter().flat_map(|case| &case.inputs).map(|input| &input.tensor);
            let outputs = golden.cases.iter().flat_map(|case| &case.outputs).map(|output| &output.tensor);
            let taken: usize = inputs.chain(outputs.clone()).map(|tensor| tensor.data().len()).sum();
            assert!(taken <= GROWTH_MAX * bytes.len(), "{taken} bytes from {}", bytes.len());
            // Every expected output is itself, NaN included.
            for tensor in outputs {
                assert_eq!(compare(tensor, tensor, golden.rtol, golden.atol), Ok(()));
            }
            true
        }
        Err(problem) => refuse(&[problem]),
    });
}

#[test]
fn triton() {
    fuzz!(|bytes: &[u8]| match TritonConfig::parse("m/config.pbtxt", "m", bytes) {
        Ok((_, warnings)) => {
            warnings.iter().for_each(|warning| check_line(&warning.to_string()));
            true
        }
        Err(problems) => refuse(&problems),
    });
}

#[test]
fn onnx() {
    fuzz!(|bytes: &[u8]| match look(&Bytes::copy_from_slice(bytes)) {
        Ok(summary) => {
            // Files beside the model have names that stay in its folder.
            let inside = |name: &String| !name.starts_with('/') && name.split('/').all(|part| part != "..");
            assert!(summary.external.keys().all(inside), "{:?}", summary.external);
            summary.integer_division.iter().for_each(|node| check_line(node));
            true
        }
        Err(_) => false,
    });
}
