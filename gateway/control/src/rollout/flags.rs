//! A rollout as it is asked for on the command line: `--shadow 10m --canary 1,5,25,50 --guard default`.

use std::time::Duration;

use pointsman_core::{ModelName, VersionNumber};
use pointsman_route::{Share, UnitSource};
use pointsman_stats::{Alpha, Proportion, Ratio};
use serde::{Deserialize, Serialize};

use super::guard::{Guard, Question};
use super::spec::{Deadline, Exposure, OnNewVersion, Outcome, STAGES_MAX, Spec, Stage, Wrong};

/// The most times that `--guard` may be given.
const GUARDS_MAX: usize = 32;

/// What was said on the command line, word by word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flags {
    /// How long the candidate shadows first, such as `10m`, or `10m:20%` for a part of the requests.
    pub shadow: Option<String>,
    /// The shares of the canary in percent, such as `1,5,25,50`.
    pub canary: Option<String>,
    /// Guards: `default`, a question, or one with values, such as `errors:margin=1.5,floor=1%`. The later word counts.
    pub guard: Vec<String>,
    /// How often a good version may be rolled back, such as `0.05`.
    pub alpha: Option<String>,
    /// How long each share of the canary lasts at least, such as `5m`.
    pub time_min: Option<String>,
    /// How many requests or units the candidate sees at least in each stage.
    pub count_min: Option<String>,
    /// When it is to be decided, and what happens then, such as `6h` or `6h:rollback`.
    pub deadline: Option<String>,
    /// The shares after which somebody has to approve, such as `1,50`; `shadow` for the shadow.
    pub approve: Option<String>,
    /// Where a request says its unit, such as `header:x-user-id`; several in their order.
    pub unit: Vec<String>,
    /// Whether a second copy of the version that serves runs beside the shadow.
    pub floor: bool,
    /// How long an answer may take in any case, such as `50ms`.
    pub latency_objective: Option<String>,
    /// `supersede` or `queue`.
    pub on_new: Option<String>,
    /// Whom every transition is told.
    pub webhook: Option<String>,
}

impl Flags {
    /// What they ask for.
    ///
    /// # Errors
    /// The first flag that is wrong, with its value and the remedy.
    pub fn spec(&self, model: &ModelName, candidate: VersionNumber) -> Result<Spec, Wrong> {
        let mut spec = Spec::new(model, candidate, self.stages()?);
        spec.guards = guards(&self.guard)?;
        if let Some(alpha) = &self.alpha {
            let remedy = "give a number above 0 and below 1, such as 0.05";
            let level = alpha.parse().ok().and_then(|alpha| Alpha::new(alpha).ok());
            spec.alpha = level.ok_or_else(|| Wrong::new("--alpha", alpha, remedy))?;
        }
        if let Some(text) = &self.deadline {
            let (after, outcome) = text.split_once(':').unwrap_or((text, "ask"));
            let outcome = Outcome::ALL.into_iter().find(|(name, _)| *name == outcome);
            let remedy = "give a time and hold, rollback or ask, such as \"6h:rollback\"";
            let (_, outcome) = outcome.ok_or_else(|| Wrong::new("--deadline", text, remedy))?;
            spec.deadline = Some(Deadline { after: time("--deadline", after)?, outcome });
        }
        if let Some(text) = &self.on_new {
            let policy = OnNewVersion::ALL.into_iter().find(|(name, _)| name == text);
            let remedy = "give supersede or queue";
            spec.on_new = policy.ok_or_else(|| Wrong::new("--on-new", text, remedy))?.1;
        }
        for text in &self.unit {
            let remedy = "give header:NAME, cookie:NAME, parameter:NAME, tensor:NAME[INDEX] or request_id";
            spec.units.push(UnitSource::parse(text).ok_or_else(|| Wrong::new("--unit", text, remedy))?);
        }
        spec.floor = self.floor;
        if let Some(text) = &self.latency_objective {
            spec.latency_objective = Some(time("--latency-objective", text)?);
        }
        spec.webhook.clone_from(&self.webhook);
        spec.check()?;
        Ok(spec)
    }

    fn stages(&self) -> Result<Vec<Stage>, Wrong> {
        let mut stages = Vec::new();
        if let Some(text) = &self.shadow {
            let (lasts, share) = text.split_once(':').unwrap_or((text, "100%"));
            let share = Share::parse(share).filter(|share| *share > Share::NONE);
            let remedy = "give a time, or a time and a share of the requests, such as \"10m:20%\"";
            let share = share.ok_or_else(|| Wrong::new("--shadow", text, remedy))?;
            let time_min = time("--shadow", lasts)?;
            stages.push(Stage { time_min, ..Stage::new(Exposure::Shadow(share)) });
        }
        for text in parts(self.canary.as_deref()) {
            let share = percent(text).filter(|share| *share > Share::NONE && *share < Share::ALL);
            let remedy = "give percent that rise and are above 0 and below 100, such as 1,5,25,50";
            let exposure = Exposure::Canary(share.ok_or_else(|| Wrong::new("--canary", text, remedy))?);
            if stages.last().is_some_and(|stage: &Stage| stage.exposure >= exposure) {
                return Err(Wrong::new("--canary", text, remedy));
            }
            if stages.len() == STAGES_MAX {
                return Err(Wrong::new("--canary", text, format!("give at most {STAGES_MAX} stages")));
            }
            let time_min =
                self.time_min.as_ref().map_or(Ok(Stage::TIME_MIN), |text| time("--time-min", text))?;
            stages.push(Stage { time_min, ..Stage::new(exposure) });
        }
        if stages.is_empty() {
            let remedy = "give --shadow with a time, --canary with shares such as 1,5,25,50, or both";
            return Err(Wrong::new("--canary", "", remedy));
        }
        if let Some(text) = &self.count_min {
            let remedy = "give a whole number of at least 1";
            let count = text.parse().map_err(|_| Wrong::new("--count-min", text, remedy))?;
            stages.iter_mut().for_each(|stage| stage.count_min = count);
        }
        for text in parts(self.approve.as_deref()) {
            let named = |stage: &&mut Stage| match stage.exposure {
                Exposure::Shadow(_) => text == "shadow",
                exposure => percent(text).map(Exposure::Canary) == Some(exposure),
            };
            let remedy = "give shadow, or a share that --canary has";
            let stage = stages.iter_mut().find(named);
            stage.ok_or_else(|| Wrong::new("--approve", text, remedy))?.approval = true;
        }
        Ok(stages)
    }
}

/// What stands between commas; nothing where nothing was said.
fn parts(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.into_iter().flat_map(|text| text.split(',')).map(str::trim)
}

/// `5`, `2.5` or `2.5%`.
fn percent(text: &str) -> Option<Share> {
    Share::parse(text).or_else(|| Share::parse(&format!("{text}%")))
}

fn time(key: &str, text: &str) -> Result<Duration, Wrong> {
    humantime::parse_duration(text)
        .map_err(|_| Wrong::new(key, text, "give a time such as 90s, 10m or 1h30m"))
}

/// Reads `--guard`, as often as it was given; the default set where it was not.
fn guards(words: &[String]) -> Result<Vec<Guard>, Wrong> {
    if words.is_empty() {
        return Ok(Guard::default_set());
    }
    if words.len() > GUARDS_MAX {
        let remedy = format!("give it at most {GUARDS_MAX} times");
        return Err(Wrong::new("--guard", &words.len().to_string(), remedy));
    }
    let mut guards: Vec<Guard> = Vec::new();
    let mut put = |guard: Guard| {
        guards.retain(|earlier| earlier.question != guard.question);
        guards.push(guard);
    };
    for word in words {
        if word == "default" {
            Guard::default_set().into_iter().for_each(&mut put);
        } else {
            put(guard(word)?);
        }
    }
    guards.sort_by_key(|guard| guard.question);
    Ok(guards)
}

/// Reads `errors` or `errors:margin=1.5,floor=1%,part=3`.
fn guard(word: &str) -> Result<Guard, Wrong> {
    let (name, values) = word.split_once(':').map_or((word, None), |(name, values)| (name, Some(values)));
    let question = Question::parse(name).ok_or_else(|| {
        let names = Question::ALL.map(Question::name).join(", ");
        Wrong::new("--guard", word, format!("give default, or one of {names}"))
    })?;
    let mut guard = Guard::default_of(question);
    for value in parts(values) {
        let remedy = "give margin=RATIO, floor=PERCENT% or part=NUMBER, such as errors:margin=1.5,floor=1%";
        let wrong = || Wrong::new("--guard", word, remedy);
        match value.split_once('=').ok_or_else(wrong)? {
            ("margin", ratio) => {
                let ratio = ratio.parse().ok().and_then(|ratio| Ratio::new(ratio).ok());
                guard.margin = ratio.filter(|ratio| ratio.get() >= 1.0).ok_or_else(wrong)?;
            }
            ("floor", share) => {
                let share = Share::parse(share).ok_or_else(wrong)?;
                guard.floor = Proportion::new(share.fraction()).map_err(|_| wrong())?;
            }
            ("part", part) => guard.part = part.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        }
    }
    Ok(guard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(change: impl FnOnce(&mut Flags)) -> Result<Spec, String> {
        let mut flags = Flags { canary: Some("1,5,25,50".into()), ..Flags::default() };
        change(&mut flags);
        let version = VersionNumber::new(3).expect("a version");
        flags.spec(&ModelName::new("iris").expect("a name"), version).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn the_first_canary_of_the_manual_is_read() {
        let spec = spec(|flags| {
            flags.shadow = Some("10m".into());
            flags.guard = vec!["default".into()];
        })
        .expect("a rollout");
        let shown: Vec<String> = spec.stages.iter().map(|stage| stage.exposure.to_string()).collect();
        assert_eq!(shown, ["shadow of 100%", "1%", "5%", "25%", "50%"]);
        assert_eq!(spec.stages[0].time_min, Duration::from_secs(600));
        assert_eq!((spec.guards, spec.alpha.get()), (Guard::default_set(), 0.05));
    }

    #[test]
    fn everything_can_be_said_otherwise() {
        let spec = spec(|flags| {
            flags.shadow = Some("90s:20%".into());
            flags.canary = Some("0.5%, 10".into());
            flags.guard =
                ["errors", "latency:margin=1.5,floor=1%,part=3", "errors:margin=2"].map(Into::into).into();
            flags.alpha = Some("0.01".into());
            flags.time_min = Some("1h30m".into());
            flags.count_min = Some("5000".into());
            flags.deadline = Some("6h:rollback".into());
            flags.approve = Some("shadow,10".into());
            flags.on_new = Some("queue".into());
            flags.webhook = Some("https://example.org/hook".into());
        })
        .expect("a rollout");
        assert_eq!(spec.stages.iter().map(|s| s.approval).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!((spec.stages[1].time_min.as_secs(), spec.stages[0].count_min), (5400, 5000));
        assert_eq!(spec.guards.len(), 2);
        assert_eq!(
            (spec.guards[0].margin.get(), spec.guards[1].floor.get(), spec.guards[1].part),
            (2.0, 0.01, 3)
        );
        assert_eq!(spec.deadline.map(|deadline| deadline.outcome), Some(Outcome::Rollback));
        let text = serde_json::to_string(&spec).expect("JSON");
        assert_eq!(serde_json::from_str::<Spec>(&text).expect("a rollout"), spec);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value_and_the_remedy() {
        type Change = fn(&mut Flags);
        let cases: [(&str, Change); 18] = [
            ("--canary = \"0\"; give percent", |f| f.canary = Some("0,5".into())),
            ("--canary = \"100\"; give percent", |f| f.canary = Some("5,100".into())),
            ("--canary = \"5\"; give percent", |f| f.canary = Some("5,5".into())),
            ("--canary = \"x\"; give percent", |f| f.canary = Some("x".into())),
            ("--canary = \"1.001\"; give percent", |f| f.canary = Some("1.001".into())),
            ("--canary = \"\"; give --shadow", |f| f.canary = None),
            ("--canary = \"33\"; give at most 32", |f| {
                f.canary = Some((1..50).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
            }),
            ("--shadow = \"soon\"; give a time", |f| f.shadow = Some("soon".into())),
            ("--shadow = \"1m:0%\"; give a time", |f| f.shadow = Some("1m:0%".into())),
            ("--guard = \"error\"; give default, or one of errors", |f| f.guard = vec!["error".into()]),
            ("--guard = \"errors:margin=0.5\"; give margin", |f| f.guard = vec!["errors:margin=0.5".into()]),
            ("--guard = \"errors:floor=0%\"; give margin", |f| f.guard = vec!["errors:floor=0%".into()]),
            ("guards.errors.part = \"0\"; give from 1", |f| f.guard = vec!["errors:part=0".into()]),
            ("--alpha = \"1\"; give a number", |f| f.alpha = Some("1".into())),
            ("--deadline = \"6h:panic\"; give a time and hold", |f| f.deadline = Some("6h:panic".into())),
            ("--approve = \"2\"; give shadow", |f| f.approve = Some("2".into())),
            ("webhook = \"ftp://x\"; give an address", |f| f.webhook = Some("ftp://x".into())),
            ("stages[0].time_min = ", |f| f.time_min = Some("91days".into())),
        ];
        for (expected, change) in cases {
            let found = spec(change).expect_err(expected);
            assert!(found.starts_with(expected), "{found}");
        }
        let many = spec(|flags| flags.guard = vec!["errors".into(); GUARDS_MAX + 1]).expect_err("too many");
        assert!(many.starts_with("--guard = \"33\""), "{many}");
    }
}
