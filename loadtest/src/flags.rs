//! Flags that describe a load, alone or over what a scenario says.

use std::path::PathBuf;

use clap::Args;

use crate::call::{Body, Form, Transport};
use crate::report::fail_if_help;
use crate::scenario::{ArrivalsKind, Count, GatewayTable, Rate, Scenario, Seconds, Version};
use crate::threshold::Threshold;

/// What is loaded.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What is loaded")]
pub(crate) struct TargetFlags {
    /// A server that runs: where it listens for HTTP.
    #[arg(long, value_name = "http://HOST:PORT")]
    url: Option<String>,
    /// Where it listens for gRPC.
    #[arg(long, value_name = "HOST:PORT")]
    grpc: Option<String>,
    /// A gateway that is started for the run: its binary. [default with a scenario: what that says]
    #[arg(long, value_name = "BINARY", conflicts_with_all = ["url", "grpc"])]
    gateway: Option<PathBuf>,
    /// The registry that it serves.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["url", "grpc"])]
    registry: Option<PathBuf>,
    /// Its configuration.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "grpc"])]
    config: Option<PathBuf>,
    /// The core that it is bound to.
    #[arg(long, conflicts_with_all = ["url", "grpc"])]
    core: Option<usize>,
}

/// What is sent.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What is sent (with a scenario of several streams, its file says)")]
pub(crate) struct LoadFlags {
    /// The model that is asked.
    #[arg(long)]
    model: Option<String>,
    /// Its version, by number or alias.
    #[arg(long)]
    version: Option<String>,
    /// The form of paths and JSON.
    #[arg(long, value_enum)]
    form: Option<Form>,
    /// What requests go over.
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// How tensors are written.
    #[arg(long, value_enum)]
    body: Option<Body>,
    /// Rows of inputs that are made up from the model's metadata. [default: 1]
    #[arg(long)]
    rows: Option<Count<65_536>>,
    /// A golden.json: its inputs are sent, and its outputs are the right answers.
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    golden: Option<PathBuf>,
    /// A file of V2 requests in JSON, one in each line, that are sent.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rows", "golden"])]
    replay: Option<PathBuf>,
    /// How requests are spread over time.
    #[arg(long, value_enum)]
    arrivals: Option<ArrivalsKind>,
    /// Requests per second.
    #[arg(long)]
    rate: Option<Rate>,
    /// A file of moments at which requests leave, in seconds, one in each line.
    #[arg(long, value_name = "FILE", conflicts_with = "rate")]
    trace: Option<PathBuf>,
    /// Connections. [default: 16]
    #[arg(long)]
    connections: Option<Count<65_536>>,
    /// Requests that share a connection of HTTP/2 or gRPC. [default: 16]
    #[arg(long)]
    streams: Option<Count<1024>>,
    /// Seconds that an answer may take before it counts as lost. [default: 10]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<Seconds>,
    /// The V2 parameter `priority`.
    #[arg(long)]
    priority: Option<u64>,
}

/// For how long, and from what.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How it is measured")]
pub(crate) struct CourseFlags {
    /// Seconds that are measured. [default: 30]
    #[arg(long)]
    seconds: Option<Seconds>,
    /// Seconds of load before them. [default: 3]
    #[arg(long, value_name = "SECONDS")]
    warm_up: Option<Seconds>,
    /// Threads that send. [default: 1]
    #[arg(long)]
    threads: Option<Count<64>>,
    /// What random inputs and times are made from. [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Fail where this is so, as in 'p99 > 5ms'; may be given several times.
    #[arg(long, value_name = "CONDITION", long_help = fail_if_help())]
    fail_if: Vec<Threshold>,
}

impl TargetFlags {
    /// Puts what was given in the place of what the scenario says.
    pub(crate) fn apply(&self, scenario: &mut Scenario) {
        let Self { url, grpc, gateway, registry, config, core } = self;
        if url.is_some() || grpc.is_some() {
            (scenario.url, scenario.grpc) = (url.clone(), grpc.clone());
        }
        if gateway.is_none() && registry.is_none() && config.is_none() && core.is_none() {
            return;
        }
        (scenario.url, scenario.grpc) = (None, None);
        let table = scenario.gateway.get_or_insert_with(GatewayTable::default);
        put(&mut table.binary, gateway);
        put(&mut table.registry, registry);
        put(&mut table.config, &config.clone().map(Some));
        put(&mut table.core, &core.map(Some));
    }
}

impl LoadFlags {
    /// The scenario that a file describes, or these flags alone.
    ///
    /// # Errors
    /// Where the file is none, or there is neither a file nor a model.
    pub(crate) fn scenario(&self, file: Option<&std::path::Path>) -> Result<Scenario, String> {
        match (file, &self.model) {
            (Some(file), _) => Scenario::read(file),
            (None, Some(model)) => Ok(Scenario::of_flags(model)),
            (None, None) => {
                Err("nothing says what to send: name a scenario file, or a model with --model".into())
            }
        }
    }

    /// Puts what was given in the place of what the scenario's stream says.
    ///
    /// # Errors
    /// Where there are several streams: a flag does not say which one is meant.
    pub(crate) fn apply(&self, scenario: &mut Scenario) -> Result<(), String> {
        let Some(flag) = self.given() else { return Ok(()) };
        let streams = scenario.streams.len();
        let [stream] = &mut scenario.streams[..] else {
            return Err(format!(
                "--{flag} is for one stream, and {:?} has {streams}: change its file",
                scenario.name
            ));
        };
        put(&mut stream.model, &self.model);
        put(&mut stream.version, &self.version.clone().map(|version| Some(Version::Alias(version))));
        put(&mut stream.form, &self.form);
        put(&mut stream.transport, &self.transport);
        put(&mut stream.body, &self.body);
        put(&mut stream.arrivals, &self.arrivals);
        put(&mut stream.connections, &self.connections);
        put(&mut stream.streams, &self.streams);
        put(&mut stream.timeout, &self.timeout);
        put(&mut stream.priority, &self.priority.map(Some));
        // One of several keys takes the place of the others.
        if self.rows.is_some() || self.golden.is_some() || self.replay.is_some() {
            (stream.rows, stream.size) = (self.rows, None);
            (stream.golden, stream.replay) = (self.golden.clone(), self.replay.clone());
        }
        if self.rate.is_some() || self.trace.is_some() || self.arrivals == Some(ArrivalsKind::Closed) {
            (stream.rate, stream.ramp, stream.steps) = (self.rate, None, None);
            stream.trace.clone_from(&self.trace);
        }
        Ok(())
    }

    /// One of the flags that were given.
    fn given(&self) -> Option<&'static str> {
        let given = [
            ("model", self.model.is_some()),
            ("version", self.version.is_some()),
            ("form", self.form.is_some()),
            ("transport", self.transport.is_some()),
            ("body", self.body.is_some()),
            ("rows", self.rows.is_some()),
            ("golden", self.golden.is_some()),
            ("replay", self.replay.is_some()),
            ("arrivals", self.arrivals.is_some()),
            ("rate", self.rate.is_some()),
            ("trace", self.trace.is_some()),
            ("connections", self.connections.is_some()),
            ("streams", self.streams.is_some()),
            ("timeout", self.timeout.is_some()),
            ("priority", self.priority.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

impl CourseFlags {
    /// Puts what was given in the place of what the scenario says. Conditions are added to its own.
    pub(crate) fn apply(&self, scenario: &mut Scenario) {
        put(&mut scenario.seconds, &self.seconds.map(Some));
        put(&mut scenario.warm_up, &self.warm_up);
        put(&mut scenario.threads, &self.threads);
        put(&mut scenario.seed, &self.seed);
        scenario.fail_if.extend(self.fail_if.iter().cloned());
    }
}

/// Takes what was given.
fn put<T: Clone>(place: &mut T, given: &Option<T>) {
    if let Some(given) = given {
        *place = given.clone();
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::schedule::Pattern;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        target: TargetFlags,
        #[command(flatten)]
        load: LoadFlags,
        #[command(flatten)]
        course: CourseFlags,
    }

    /// The scenario of these flags, over a shipped one where a name is given.
    fn scenario(shipped: Option<&str>, flags: &str) -> Result<Scenario, String> {
        let line = Line::try_parse_from(["run"].into_iter().chain(flags.split_whitespace()));
        let line = line.map_err(|e| e.to_string())?;
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let file = shipped.map(|name| folder.join(name));
        let mut scenario = line.load.scenario(file.as_deref())?;
        line.target.apply(&mut scenario);
        line.course.apply(&mut scenario);
        line.load.apply(&mut scenario)?;
        scenario.check().map(|()| scenario)
    }

    #[test]
    fn flags_alone_are_a_scenario() {
        let found =
            scenario(None, "--url http://h:1 --model m --rate 5 --seconds 2 --threads 3").expect("one");
        let stream = &found.streams[0];
        assert_eq!((stream.name(), stream.rate, found.threads.0), ("m", Some(Rate(5.0)), 3));
        assert_eq!(found.time().as_secs(), 2);
        let closed = scenario(None, "--url http://h:1 --model m --arrivals closed").expect("one");
        let pattern = closed.streams[0].pattern(closed.warm_up);
        assert!(matches!(pattern, Ok(Pattern::Closed)), "{pattern:?}");
    }

    #[test]
    fn flags_take_the_place_of_what_a_file_says() {
        let shipped = scenario(Some("saturation.toml"), "").expect("it is one");
        assert!(shipped.gateway.is_some() && shipped.url.is_none());
        let flags = "--url http://h:1 --rows 4 --rate 9 --transport http2 --fail-if p99>5ms";
        let changed = scenario(Some("saturation.toml"), flags).expect("one stream");
        let stream = &changed.streams[0];
        assert_eq!(changed.url.as_deref(), Some("http://h:1"));
        assert!(
            stream.golden.is_none() && stream.rows == Some(Count(4)),
            "rows take the place of golden cases"
        );
        assert_eq!((stream.rate, stream.transport), (Some(Rate(9.0)), Transport::Http2));
        assert_eq!(changed.fail_if.len(), shipped.fail_if.len() + 1);
        let started = scenario(Some("saturation.toml"), "--gateway other --core 1").expect("a gateway");
        let table = started.gateway.expect("a gateway");
        assert_eq!((table.binary.to_str(), table.core), (Some("other"), Some(1)));
    }

    #[test]
    fn a_flag_that_cannot_be_meant_is_refused_by_name() {
        for (shipped, flags, said) in [
            (Some("steady.toml"), "--rate 5", "--rate is for one stream"),
            (Some("swap.toml"), "--model iris", "--model is for one stream"),
            (None, "--url http://h:1", "--model"),
            (None, "--model m --rate 5", "--url"),
            (None, "--url http://h:1 --gateway g --model m", "--gateway"),
            (None, "--url http://h:1 --model m --rate 0", "a rate is above 0"),
        ] {
            let problem = scenario(shipped, flags).expect_err(flags);
            assert!(problem.contains(said), "{said}: {problem}");
        }
    }
}
