//! A queue before one server, simulated: what any server of one core comes to at best.

use std::time::Duration;

/// The time that each arrival spends in the queue and at the server, first come, first served (Lindley, "The theory of
/// queues with a single server", 1952). Arrivals ascend; `service` gives the time of the next one at the server.
pub(crate) fn sojourns(
    arrivals: impl IntoIterator<Item = Duration>,
    mut service: impl FnMut() -> Duration,
) -> impl Iterator<Item = Duration> {
    let mut free_at = Duration::ZERO;
    arrivals.into_iter().map(move |arrival| {
        free_at = free_at.max(arrival) + service();
        free_at - arrival
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn those_who_come_too_early_wait_for_those_before() {
        let arrivals = [0, 1, 10, 10, 30].map(|at| at * MS);
        let times: Vec<Duration> = sojourns(arrivals, || 5 * MS).collect();
        assert_eq!(times, [5, 9, 5, 10, 5].map(|time| time * MS));
    }

    #[test]
    fn the_mean_wait_is_that_of_theory() {
        // M/D/1 (Pollaczek and Khinchine): rho / (2 (1 - rho)) service times.
        let mut random = fastrand::Rng::with_seed(7);
        let mut at = 0.0;
        let arrivals = (0..400_000).map(move |_| {
            at += -(1.0 - random.f64()).ln() / 0.7;
            Duration::from_secs_f64(at)
        });
        let times: Vec<f64> =
            sojourns(arrivals, || Duration::from_secs(1)).map(|t| t.as_secs_f64()).collect();
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        assert!((mean - (1.0 + 0.7 / 0.6)).abs() < 0.05, "{mean}");
    }
}
