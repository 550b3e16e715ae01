//! The sections `[quality.MODEL]`: what figures of a model should reach by its labels.

use std::collections::BTreeMap;

use pointsman_core::ModelName;
use pointsman_observe::quality::ConcernLimits;

use super::reader::Section;

/// Figures that can be given a bound, as reports name them.
const FIGURES: [&str; 8] = ["accuracy", "macro_f1", "auc", "log_loss", "brier", "mae", "rmse", "bias"];

/// Reads them.
pub(super) fn read(root: &mut Section<'_>) -> BTreeMap<ModelName, ConcernLimits> {
    let mut all = BTreeMap::new();
    root.sections("quality", |name, section| {
        let mut limits = ConcernLimits::default();
        for figure in FIGURES {
            let mut bound: Option<f64> = None;
            section.set_optional(figure, &mut bound);
            limits.floors.extend(bound.map(|bound| (figure.to_owned(), bound)));
        }
        section.set_within("ece_max", &mut limits.ece_max, 0.0..=1.0);
        let mut rows_min = usize::try_from(limits.rows_min).unwrap_or(usize::MAX);
        section.set_within("rows_min", &mut rows_min, 1..=1_000_000_000);
        limits.rows_min = rows_min as u64;
        section.set_within("coverage_alpha", &mut limits.coverage_alpha, 1e-12..=0.5);
        if let Ok(model) = ModelName::new(name) {
            all.insert(model, limits);
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn bounds_are_read_and_unknown_figures_refused() {
        let config =
            Config::read("[quality.flights]\nauc = 0.65\nlog_loss = 0.6\nrows_min = 500\n").expect("good");
        let limits = &config.quality["flights"];
        assert_eq!(limits.floors, [("auc".to_owned(), 0.65), ("log_loss".to_owned(), 0.6)]);
        assert_eq!((limits.rows_min, limits.ece_max), (500, 0.1));
        for (text, part) in [
            ("[quality.m]\nacuracy = 1", "quality.m.acuracy: unknown key, did you mean `accuracy`?"),
            ("[quality.m]\nece_max = 2", "quality.m.ece_max: expected 0 to 1"),
            ("[quality.m]\nrows_min = 0", "quality.m.rows_min: expected 1 to"),
        ] {
            let problems = Config::read(text).expect_err(text);
            assert!(problems[0].to_string().contains(part), "{text}: {problems:?}");
        }
    }
}
