//! What shadows answered, on its way to the log's thread.

use std::collections::VecDeque;

use parking_lot::Mutex;
use pointsman_core::{Pair, RequestId};
use pointsman_observe::sample_log::ShadowAnswer;

/// The most answers that wait, and bytes of them: what is not waited for is hardly ever more than a few.
const WAITING_MAX: usize = 1024;
const BYTES_MAX: usize = 16 << 20;

/// Answers that wait. A shadow's thread may be held up while it has the lock: the log's thread only ever tries it.
#[derive(Default)]
pub(crate) struct Answers(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    answers: VecDeque<(RequestId, ShadowAnswer)>,
    bytes: usize,
}

impl Answers {
    /// A shadow has answered, and a comparison found that it `disagrees` or does not. Where there is no room the oldest
    /// one goes: its request is written without it.
    pub(crate) fn tell(&self, pair: &Pair<'_>, disagrees: Option<bool>) {
        let answer = ShadowAnswer {
            version: pair.shadow.version.get(),
            outputs: pair.shadow.outputs.map(<[_]>::to_vec),
            run: pair.shadow.times.run,
            disagrees,
        };
        let bytes = answer.bytes();
        if bytes > BYTES_MAX {
            return;
        }
        let mut waiting = self.0.lock();
        while waiting.answers.len() >= WAITING_MAX || waiting.bytes + bytes > BYTES_MAX {
            let Some((_, oldest)) = waiting.answers.pop_front() else { break };
            waiting.bytes -= oldest.bytes();
        }
        waiting.bytes += bytes;
        waiting.answers.push_back((pair.id, answer));
    }

    /// All that wait; none where a shadow's thread is just telling.
    pub(super) fn take(&self) -> VecDeque<(RequestId, ShadowAnswer)> {
        let Some(mut waiting) = self.0.try_lock() else { return VecDeque::new() };
        waiting.bytes = 0;
        std::mem::take(&mut waiting.answers)
    }
}
