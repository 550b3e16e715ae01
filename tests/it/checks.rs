//! What `pointsman check` says of a configuration: what the gateway would say of it, and which of its names no model has.

use pointsman_tests::{Pointsman, Start, Stopped};

use crate::swaps::iris;

fn check(registry: &std::path::Path, config: &str) -> Stopped {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pointsman.toml");
    std::fs::write(&file, config).expect("a configuration");
    Pointsman::new(["check".as_ref(), registry.as_os_str(), "--config".as_ref(), file.as_os_str()]).run()
}

#[test]
fn what_the_gateway_does_not_start_for_is_a_problem_of_check_in_the_same_words() {
    let registry = iris("serve = 3\n", &[3]);
    for (config, said) in [
        ("[alert.a]\non = [\"skw\"]\n", "alert.a.on: expected any of skew, drift"),
        ("[alert.a]\nrepeat = \"0s\"\n", "alert.a.repeat: give a time of 1s at least"),
        (
            "[alert.a]\nwebhook = [\"https://hooks.example.com/x\"]\n",
            "alert.a: webhook: this address at https://hooks.example.com is not below any of webhook.allowed",
        ),
        ("[drift]\nwindow = \"5ms\"\n", "drift.window: give whole seconds, from 1s to 366d"),
        (
            "[drift.models.iris]\ncolumns.a = { psy = 1 }\n",
            "drift.models.iris.columns.a: unknown field `psy`",
        ),
        ("[quality.iris]\nacuracy = 1\n", "quality.iris.acuracy: unknown key, did you mean `accuracy`?"),
        ("[sample_log]\ndirectory = 1\n", "sample_log.directory: expected"),
        (
            "[webhook]\nallowed = [\"https://a.example\"]\nsecret_file = \"/nowhere/secret\"\n",
            "webhook.secret_file /nowhere/secret: No such file",
        ),
        ("[log]\nlevel = \"loud\"\n", "log.level: `loud` is no level"),
    ] {
        let served = Start::over(registry.path()).config(config).run_to_end();
        assert!(served.code != Some(0) && served.stderr.contains(said), "{config}: {served:?}");
        let checked = check(registry.path(), config);
        let text = format!("{}{}", checked.stdout, checked.stderr);
        assert!(checked.code != Some(0) && text.contains(said), "{config}: {text}");
    }
}

#[test]
fn names_that_no_model_has_and_a_log_that_cannot_be_are_warnings() {
    let registry = iris("serve = 3\n", &[3]);
    let file = registry.join("iris/model.toml");
    let config = format!(
        "[alert.a]\nmodels = [\"irsi\"]\n[drift.models.iris]\ncolumns.sepal = {{ psi = 0.3 }}\n\
         [quality.irsi]\naccuracy = 0.9\n[sample_log]\ndirectory = {file:?}\n[sample_log.model.irsi]\nenabled = false\n"
    );
    let checked = check(registry.path(), &config);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for said in [
        "alert.a.models: there is no model irsi in the registry; there is iris",
        "drift.models.iris.columns.sepal: no version of the model has this column; there are",
        "quality.irsi: there is no such model in the registry; there is iris",
        "sample_log.model.irsi: there is no such model",
        "sample_log.directory: nothing would be logged in",
    ] {
        let line = checked.stdout.lines().find(|line| line.contains(said));
        assert!(line.is_some_and(|line| line.contains("warning")), "{said}\n{}", checked.stdout);
    }
    let clean = check(registry.path(), "[quality.iris]\naccuracy = 0.9\n");
    assert!(clean.code == Some(0) && !clean.stdout.contains("warning"), "{clean:?}");
}
