//! The section `[staleness]`: from what age on versions and their data are too old.

use crate::monitoring::AgeLimits;

use super::reader::Section;

/// Reads the limits, each of which may be left out.
pub(super) fn read(section: &mut Section<'_>, limits: &mut AgeLimits) {
    let AgeLimits { model, data } = limits;
    let keys = [(["model_warn", "model_critical"], model), (["data_warn", "data_critical"], data)];
    for ([warn_key, critical_key], [warn, critical]) in keys {
        section.set_optional(warn_key, warn);
        section.set_optional(critical_key, critical);
        if let (Some(warn), Some(critical)) = (warn, critical)
            && warn > critical
        {
            section.problem(
                warn_key,
                format!("is more than {critical_key}; give less, or a longer {critical_key}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn limits_are_read_and_held_against_each_other() {
        let config =
            Config::read("[staleness]\nmodel_warn = \"43200m\"\ndata_critical = \"60s\"\n").expect("good");
        assert_eq!(
            config.staleness.model.map(|limit| limit.map(|limit| limit.as_secs())),
            [Some(2_592_000), None]
        );
        let found =
            Config::read("[staleness]\nmodel_warn = \"2m\"\nmodel_critical = \"1m\"\n").expect_err("turned");
        assert!(found[0].to_string().starts_with("staleness.model_warn: is more than"), "{found:?}");
    }
}
