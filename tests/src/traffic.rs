//! Steady traffic beside a test: every answer is checked, and none may fail.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::connection::Connection;
use crate::wait::wait_for;

/// Callers that ask one model the same thing, one request after the other, until they are stopped.
#[derive(Debug)]
pub struct Traffic {
    stops: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: Vec<JoinHandle<BTreeMap<String, u64>>>,
}

impl Traffic {
    /// Starts so many callers that post `body` to `path`.
    #[must_use]
    pub fn start(http: SocketAddr, path: &str, body: &str, callers: usize) -> Self {
        let (stops, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let callers = (0..callers).map(|_| {
            let (stops, answered) = (stops.clone(), answered.clone());
            let (path, body) = (path.to_owned(), body.to_owned());
            std::thread::spawn(move || {
                let mut versions = BTreeMap::new();
                let mut connection = Connection::open(http);
                while !stops.load(Ordering::Acquire) {
                    connection.post(&path, body.as_bytes());
                    let answer = connection.answer().expect("an answer");
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    let version = answer.header("pointsman-version").expect("names its version").to_owned();
                    assert!(
                        answer.text().contains(&format!("\"model_version\":\"{version}\"")),
                        "{}",
                        answer.text()
                    );
                    *versions.entry(version).or_default() += 1;
                    answered.fetch_add(1, Ordering::Release);
                }
                versions
            })
        });
        let callers = callers.collect();
        Self { stops, answered, callers }
    }

    /// Waits until so many more requests were answered.
    ///
    /// # Panics
    /// Where one failed, or they are not within half a minute.
    pub fn wait_for_more(&self, requests: u64) {
        let wanted = self.answered.load(Ordering::Acquire) + requests;
        wait_for("requests to be answered", || {
            assert!(self.callers.iter().all(|caller| !caller.is_finished()), "a request failed");
            (self.answered.load(Ordering::Acquire) >= wanted).then_some(())
        });
    }

    /// Stops the callers; gives how many requests each version answered.
    ///
    /// # Panics
    /// Where a request failed.
    #[must_use]
    pub fn stop(self) -> BTreeMap<String, u64> {
        self.stops.store(true, Ordering::Release);
        let mut versions = BTreeMap::new();
        for caller in self.callers {
            for (version, count) in caller.join().expect("no request failed") {
                *versions.entry(version).or_default() += count;
            }
        }
        versions
    }
}
