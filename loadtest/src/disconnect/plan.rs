//! How clients vanish.

use crate::call::Transport;

/// How far a request is when its client vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Its head is not whole.
    Headers,
    /// Its body is not whole.
    Body,
    /// It waits for a worker.
    Queued,
    /// It runs.
    Running,
    /// Its answer is written, and not read.
    Answer,
    /// It was answered; the connection is kept for the next.
    Idle,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It closes the connection.
    Close,
    /// Its connection is reset, as when a process is killed with bytes unread.
    Abort,
    /// It resets the stream, and the connection stays: what a cancelled call of gRPC does.
    Reset,
}

/// One of the ways in which clients vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) stage: Stage,
    pub(super) transport: Transport,
    pub(super) way: Way,
}

impl Stage {
    /// All of them, in order.
    pub(super) const ALL: [Self; 6] =
        [Self::Headers, Self::Body, Self::Queued, Self::Running, Self::Answer, Self::Idle];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Headers => "during headers",
            Self::Body => "during body",
            Self::Queued => "while queued",
            Self::Running => "while running",
            Self::Answer => "while the answer is written",
            Self::Idle => "idle",
        }
    }

    /// Whether there is a request of which the gateway knows; else there is a connection alone.
    pub(super) fn has_request(self) -> bool {
        !matches!(self, Self::Headers | Self::Idle)
    }
}

impl Plan {
    /// All that make sense: a stream is there to be reset over HTTP/2 alone, and where there is a request.
    pub(super) fn all() -> Vec<Self> {
        let (mut plans, ways) = (Vec::new(), [Way::Close, Way::Abort, Way::Reset]);
        for stage in Stage::ALL {
            for transport in [Transport::Http1, Transport::Http2, Transport::Grpc] {
                let makes_sense =
                    |way: &Way| *way != Way::Reset || (stage.has_request() && transport != Transport::Http1);
                plans.extend(ways.into_iter().filter(makes_sense).map(|way| Self { stage, transport, way }));
            }
        }
        plans
    }

    /// Whether the gateway shows when it lets go. A request counts as ended once its answer was handed to the
    /// connection: what it then holds of a stream is memory alone.
    pub(super) fn is_shown(self) -> bool {
        self.stage != Stage::Answer || self.way != Way::Reset
    }

    /// Clients that vanish at the same time; while running there is one, as there is one worker.
    pub(super) fn clients(self, wave: usize) -> usize {
        if self.stage == Stage::Running { 1 } else { wave }
    }

    /// How often it takes its turn, so that all plans have as many clients.
    pub(super) fn times(self, wave: usize) -> usize {
        wave / self.clients(wave)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_left_over_every_transport_and_alike_often() {
        let plans = Plan::all();
        // Over HTTP/1.1 two ways, over the others three where there is a request.
        assert_eq!(plans.len(), 4 * (2 + 3 + 3) + 2 * (2 + 2 + 2));
        assert!(plans.iter().all(|plan| plan.clients(8) * plan.times(8) == 8));
    }
}
