//! What is measured of an experiment.

use super::*;

#[test]
fn a_covariate_is_read_and_chooses_nothing() {
    let text = |covariate: &str| {
        format!(
            "[experiment]\nname = \"e\"\nunits = [\"header:user\"]\n{covariate}\n\
             metrics = [{{ name = \"late\", output = \"p\", index = 1 }}]\n\
             arms = [{{ name = \"a\", version = 2, weight = \"50%\" }}, {{ name = \"b\", version = 9, weight = \"1%\" }}]\n"
        )
    };
    let versions = Versions { aliases: &aliases(), standing: &standing };
    let split = |covariate: &str| Split::of_what_serves(&settled(&text(covariate)), &versions).0;
    let (plain, header, parameter) =
        (split(""), split("covariate = \"header:X-History\""), split("covariate = \"parameter:history\""));
    assert!(!plain.needs_body() && !header.needs_body() && parameter.needs_body());
    for user in 0..50 {
        let request = |history: &str| Request {
            headers: vec![("user", user.to_string()), ("x-history", history.into())],
            parameters: vec![("history", Value::Int(7))],
            ..Request::default()
        };
        let drawn = |split: &Split, history: &str| {
            let request = request(history);
            let chosen = split.choose(&request).expect("a version");
            (chosen.arm.map(|arm| arm.1), chosen.assignment)
        };
        let (arm, assignment) = drawn(&plain, "1.5");
        let Some(assignment) = assignment else { continue };
        assert_eq!(assignment.covariate, None);
        for (split, history, found) in
            [(&header, "1.5", Some(1.5)), (&header, "x", None), (&parameter, "1.5", Some(7.0))]
        {
            let expected = Assignment { covariate: found.and_then(Covariate::new), ..assignment.clone() };
            assert_eq!(drawn(split, history), (arm, Some(expected)));
        }
    }
    let design = &header.designs()[0];
    assert_eq!((&*design.name, &*design.salt, design.rest.to_string().as_str()), ("e", "iris/e/1", "49%"));
    let arms: Vec<_> =
        design.arms.iter().map(|arm| (&*arm.name, arm.version, arm.weight.to_string())).collect();
    assert_eq!(arms, [("a", Some(version(2)), "50%".into()), ("b", None, "1%".into())]);
    assert_eq!((design.metrics.len(), design.units.len()), (1, 2));
}
