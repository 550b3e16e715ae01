//! Webhooks: whoever should know of transitions of rollouts and of alerts is told, signed as the Standard Webhooks
//! specification (1.0.0) says, at addresses that the configuration allows and nowhere else.
//!
//! Telling never waits: a notice gets one of `webhook.queue_max` places or is dropped and counted. A thread of its own
//! delivers them (`courier`), those for one address in their order. A receiver that hangs or fails holds up those for
//! its own address alone, and each of them for a bounded number of tries.

mod address;
mod backoff;
mod body;
mod call;
mod counts;
mod courier;
mod secrets;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use uuid::Uuid;

pub(crate) use self::address::Address;
pub(crate) use self::backoff::Backoff;
use self::call::Caller;
use self::counts::{Counts, Dropped};
use self::courier::{Courier, Message};
use self::secrets::Secrets;
pub(crate) use self::secrets::{PREFIX as SECRET_PREFIX, REMEDY as SECRET_REMEDY};
use crate::config::Webhook;

/// The most threads that look up names of hosts.
const LOOKUPS_MAX: usize = 4;

/// What a receiver is sent.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// What it is about, for the log.
    pub(crate) about: String,
    /// The media type of its body.
    pub(crate) content_type: &'static str,
    /// What the receiver reads.
    pub(crate) body: Bytes,
}

/// What calls receivers, and what signs. The files that the configuration names are read.
fn means(config: &Webhook) -> Result<(Caller, Secrets), String> {
    let secret_file = config.secret_file.as_deref();
    let secret_file =
        secret_file.ok_or_else(|| format!("webhook.secret_file is not set; {SECRET_REMEDY}"))?;
    let caller = Caller::new(&config.allowed, config.ca_file.as_deref(), config.timeout)?;
    Ok((caller, Secrets::read(secret_file)?))
}

/// Whether receivers could be told, as the configuration is.
///
/// # Errors
/// As [`Webhooks::start`].
pub(crate) fn check(config: &Webhook) -> Result<(), String> {
    if config.allowed.is_empty() { Ok(()) } else { means(config).map(drop) }
}

/// An address at or below one that is allowed.
///
/// # Errors
/// A line that says why notices may not go there, and what to do.
pub(crate) fn find(allowed: &[Address], address: &str) -> Result<Address, String> {
    let address = Address::parse(address).map_err(|problem| format!("webhook: {problem}"))?;
    if allowed.iter().any(|allowed| allowed.covers(&address)) {
        return Ok(address);
    }
    Err(format!(
        "webhook: this address at {address} is not below any of webhook.allowed; add it there \
         (deploy/pointsman.toml) and start the gateway again"
    ))
}

/// Tells receivers of notices.
pub(crate) struct Webhooks {
    allowed: Vec<Address>,
    queue_max: usize,
    counts: Counts,
    /// Nothing where no address is allowed, and after the stop.
    courier: Mutex<Option<mpsc::UnboundedSender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Webhooks {
    /// Starts the thread, where an address is allowed.
    ///
    /// # Errors
    /// A line that says which file is wrong and what to do, or that the system has no more threads.
    pub(crate) fn start(config: &Webhook, instruments: &mut Registry) -> Result<Self, String> {
        let counts = Counts::register(instruments);
        let webhooks = Self {
            allowed: config.allowed.clone(),
            queue_max: config.queue_max,
            counts: counts.clone(),
            courier: Mutex::new(None),
            thread: Mutex::new(None),
        };
        if config.allowed.is_empty() {
            return Ok(webhooks);
        }
        let (caller, secrets) = means(config)?;
        let courier = Courier {
            caller,
            secrets,
            backoff: config.backoff,
            tries_max: config.tries_max,
            drain_timeout: config.drain_timeout,
            counts,
        };
        let cannot = |e: std::io::Error| format!("cannot start the thread of webhooks: {e}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .thread_name("pointsman-webhook")
            .max_blocking_threads(LOOKUPS_MAX)
            .build()
            .map_err(cannot)?;
        let (sender, told) = mpsc::unbounded_channel();
        let deliver = move || {
            runtime.block_on(courier::run(courier, told));
            // A name may be looked up without end: nothing waits for it.
            runtime.shutdown_background();
        };
        let thread =
            thread::Builder::new().name("pointsman-webhook".into()).spawn(deliver).map_err(cannot)?;
        *webhooks.courier.lock() = Some(sender);
        *webhooks.thread.lock() = Some(thread);
        Ok(webhooks)
    }

    /// Whether notices may go to an address.
    ///
    /// # Errors
    /// A line that says why not, and what to do.
    pub(crate) fn allows(&self, address: &str) -> Result<(), String> {
        find(&self.allowed, address).map(drop)
    }

    /// Tells a receiver of a notice, without waiting. What cannot be told is dropped, counted and in the log.
    pub(crate) fn tell(&self, address: &str, letter: impl Into<Letter>) {
        let letter = letter.into();
        let about = letter.about.clone();
        self.counts.told();
        if let Err((reason, why)) = self.hand_over(address, letter) {
            self.counts.dropped(reason);
            tracing::warn!(about, why, "a notice of a webhook is dropped");
        }
    }

    fn hand_over(&self, address: &str, letter: Letter) -> Result<(), (Dropped, String)> {
        let address = find(&self.allowed, address).map_err(|why| (Dropped::NotAllowed, why))?;
        // The identifier of a notice has no full stop: they part what is signed.
        let id = format!("msg_{}", Uuid::now_v7().simple());
        let courier = self.courier.lock();
        let stopped = || (Dropped::Stopped, "the gateway stops".to_owned());
        let sender = courier.as_ref().ok_or_else(stopped)?;
        if self.counts.waiting() >= self.queue_max {
            return Err((
                Dropped::QueueFull,
                format!("{} wait, as many as webhook.queue_max", self.queue_max),
            ));
        }
        let message = Message { address: Arc::new(address), id, letter, place: self.counts.wait() };
        sender.send(message).map_err(|_| stopped())
    }

    /// Takes no more notices, tries what waits once more within `webhook.drain_timeout`, and says in the log how many
    /// were lost. Blocks for that long at most.
    pub(crate) fn stop(&self) {
        drop(self.courier.lock().take());
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of webhooks panicked: what waited is lost");
        }
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.stop();
    }
}
