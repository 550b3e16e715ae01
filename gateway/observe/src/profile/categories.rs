//! The texts of a column that are counted one by one, fixed once and for all.

/// The most texts of a column that are counted one by one.
pub const CATEGORIES_MAX: usize = 100;
/// The longest of them, in bytes: a longer one is one of the others.
pub const CATEGORY_BYTES_MAX: usize = 128;

/// Known texts, ascending. Cell `i` counts the text `i`, the last one all others.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Categories(Box<[String]>);

impl Categories {
    /// Those of a list that can be counted.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> =
            names.into_iter().filter(|name| name.len() <= CATEGORY_BYTES_MAX).take(CATEGORIES_MAX).collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }

    /// The texts.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.0.len() + 1
    }

    /// The cell of a text.
    pub(super) fn cell(&self, text: &[u8]) -> usize {
        self.0.binary_search_by(|name| name.as_bytes().cmp(text)).unwrap_or(self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_are_told_apart_and_others_are_one() {
        let categories = Categories::new(["b", "a", "b", "c"].map(str::to_owned));
        let cells = [&b"a"[..], b"b", b"c", b"d", b"", &[0xff, 0xfe]].map(|text| categories.cell(text));
        assert_eq!(cells, [0, 1, 2, 3, 3, 3]);
        let long = "x".repeat(CATEGORY_BYTES_MAX + 1);
        assert_eq!(Categories::new([long]).cells(), 1);
        let many = (0..=CATEGORIES_MAX).map(|i| i.to_string());
        assert_eq!(Categories::new(many).cells(), CATEGORIES_MAX + 1);
    }
}
