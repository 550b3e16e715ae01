//! `GET /v2/models/stats` and `GET /v2/models/M/stats`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::document;
use crate::view::{CountedTime, StatisticsView};

/// The document. All eight members of `inference_stats` are there even at zero: `perf_analyzer`
/// reads those of the response cache as well, which not every version has.
#[must_use]
pub fn statistics(versions: &[StatisticsView]) -> Bytes {
    let rows: Vec<Value> = versions.iter().map(row).collect();
    document(&json!({ "model_stats": rows }))
}

fn row(version: &StatisticsView) -> Value {
    json!({
        "name": version.name.as_str(),
        "version": version.version.to_string(),
        "last_inference": version.last_inference_ms,
        "inference_count": version.inference_count,
        "execution_count": version.execution_count,
        "inference_stats": {
            "success": duration(version.success),
            "fail": duration(version.fail),
            "queue": duration(version.queue),
            "compute_input": duration(version.compute_input),
            "compute_infer": duration(version.compute_infer),
            "compute_output": duration(version.compute_output),
            "cache_hit": duration(version.cache_hit),
            "cache_miss": duration(version.cache_miss),
        },
        "response_stats": {},
        "batch_stats": [],
        "memory_usage": [],
    })
}

fn duration(time: CountedTime) -> Value {
    json!({ "count": time.count, "ns": u64::try_from(time.total.as_nanos()).unwrap_or(u64::MAX) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pointsman_core::{ModelName, VersionNumber};

    use super::super::tests::parsed;
    use super::*;

    #[test]
    fn all_eight_members_are_there() {
        let time = |count| CountedTime { count, total: Duration::from_micros(count) };
        let view = StatisticsView {
            name: ModelName::new("m").expect("a name"),
            version: VersionNumber::new(7).expect("above 0"),
            last_inference_ms: 1_700_000_000_000,
            inference_count: 24,
            execution_count: 1,
            success: time(3),
            fail: time(0),
            queue: time(3),
            compute_input: time(3),
            compute_infer: time(3),
            compute_output: time(3),
            cache_hit: time(2),
            cache_miss: time(0),
        };
        let document = parsed(&statistics(&[view]));
        let row = &document["model_stats"][0];
        assert_eq!(row["version"], "7");
        assert_eq!((&row["inference_count"], &row["execution_count"]), (&json!(24), &json!(1)));
        assert_eq!(row["inference_stats"]["success"], json!({ "count": 3, "ns": 3000 }));
        assert_eq!(row["inference_stats"].as_object().map(serde_json::Map::len), Some(8));
        assert_eq!(row["inference_stats"]["cache_hit"], json!({ "count": 2, "ns": 2000 }));
        assert_eq!(row["inference_stats"]["cache_miss"], json!({ "count": 0, "ns": 0 }));
    }
}
