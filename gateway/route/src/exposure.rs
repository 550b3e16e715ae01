//! Whether a change of plan sends anybody to a version that did not have them.

use crate::document::{Document, Experiment};
use crate::settled::Settled;

impl Settled {
    /// Whether `after` only takes units from arms and requests from shadows and gives them to the default, so that it
    /// may take effect before it is written down. What is not seen to be so is not.
    #[must_use]
    pub fn only_lowers(&self, after: &Self) -> bool {
        let (before, after) = (self.document(), after.document());
        if *after == Document::default() {
            return true;
        }
        let same_frame = before.forced_arm_header == after.forced_arm_header
            && before.rules == after.rules
            && before.layers.len() == after.layers.len()
            && before.layers.iter().zip(&after.layers).all(|(before, after)| {
                (&before.name, &before.salt, &before.units) == (&after.name, &after.salt, &after.units)
                    && before.experiments.len() == after.experiments.len()
            });
        let before_experiments: Vec<&Experiment> = before.experiments().map(|(_, e)| e).collect();
        let after_experiments: Vec<&Experiment> = after.experiments().map(|(_, e)| e).collect();
        same_frame
            && before_experiments.len() == after_experiments.len()
            && before_experiments.iter().zip(&after_experiments).all(|(before, after)| lowers(before, after))
            && after.shadows.iter().all(|shadow| {
                let known = before.shadows.iter().find(|known| known.name == shadow.name);
                known.is_some_and(|known| {
                    (&known.version, &known.salt) == (&shadow.version, &shadow.salt)
                        && known.share >= shadow.share
                        && known.floor >= shadow.floor
                })
            })
    }
}

fn lowers(before: &Experiment, after: &Experiment) -> bool {
    let frame = |e: &Experiment| (e.name.clone(), e.salt.clone(), e.units.clone(), e.segment);
    frame(before) == frame(after)
        && after.arms.iter().all(|arm| {
            let known = before.arms.iter().find(|known| known.name == arm.name);
            known.is_some_and(|known| {
                (&known.version, known.anchor) == (&arm.version, arm.anchor) && known.weight >= arm.weight
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settled::Salts;

    fn settled(weights: &[(&str, u32, &str)], shadow: &str, header: &str) -> Settled {
        let mut text = format!("forced_arm_header = \"{header}\"\n[experiment]\nname = \"e\"\n");
        for (at, (name, version, weight)) in weights.iter().enumerate() {
            text += &format!(
                "[[experiment.arms]]\nname = \"{name}\"\nversion = {version}\nweight = \"{weight}\"\nanchor = \"{}%\"\n",
                at * 50
            );
        }
        text += &format!("[[shadows]]\nname = \"s\"\nversion = 9\nshare = {shadow}\n");
        Settled::new("m", Document::from_toml(&text).expect("a document"), &Salts::new()).expect("settled")
    }

    #[test]
    fn only_what_gives_units_back_lowers() {
        let both = settled(&[("a", 1, "5%"), ("b", 2, "5%")], "\"10%\"", "x");
        let lowered = [
            settled(&[("a", 1, "5%"), ("b", 2, "5%")], "\"10%\"", "x"),
            settled(&[("a", 1, "4.99%"), ("b", 2, "0%")], "\"0%\"", "x"),
            settled(&[("a", 1, "5%")], "\"10%\"", "x"),
            Settled::default(),
        ];
        let raised = [
            settled(&[("a", 1, "5.01%"), ("b", 2, "0%")], "\"10%\"", "x"),
            settled(&[("a", 3, "5%"), ("b", 2, "5%")], "\"10%\"", "x"),
            settled(&[("c", 1, "5%"), ("b", 2, "5%")], "\"10%\"", "x"),
            settled(&[("b", 2, "5%")], "\"10%\"", "x"),
            settled(&[("a", 1, "5%"), ("b", 2, "5%")], "\"10.01%\"", "x"),
            settled(&[("a", 1, "5%"), ("b", 2, "5%")], "\"10%\"", "y"),
            settled(&[("a", 1, "5%"), ("b", 2, "5%")], "\"10%\"\nfloor = true", "x"),
        ];
        assert!(lowered.iter().all(|after| both.only_lowers(after)));
        assert!(raised.iter().all(|after| !both.only_lowers(after)));
        assert!(
            !Settled::default().only_lowers(&both) && Settled::default().only_lowers(&Settled::default())
        );
    }
}
