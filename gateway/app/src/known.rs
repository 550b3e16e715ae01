//! What there is, for whoever asked for something that there is not.

use std::fmt::Display;

/// The most names that a message lists.
const NAMED_MAX: usize = 20;

/// A clause with the names: `there are 1, 2 and 3 more`.
pub(crate) fn known<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter().map(|name| name.to_string());
    let named: Vec<String> = names.by_ref().take(NAMED_MAX).collect();
    let (named, more) = (named.join(", "), names.count());
    match (&*named, more) {
        ("", _) => "there is none".into(),
        (one, 0) if !one.contains(", ") => format!("there is {one}"),
        (few, 0) => format!("there are {few}"),
        (many, more) => format!("there are {many} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_is_listed_up_to_a_bound() {
        let of = |count: usize| known(1..=count);
        assert_eq!([of(0), of(1), of(2)], ["there is none", "there is 1", "there are 1, 2"]);
        assert!(of(NAMED_MAX).ends_with(", 20"), "{}", of(NAMED_MAX));
        assert!(of(NAMED_MAX + 1).ends_with(", 20 and 1 more"), "{}", of(NAMED_MAX + 1));
    }
}
