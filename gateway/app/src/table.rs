//! Tables for people, in columns as wide as what stands in them.

/// The longest bar of a plot, in characters.
const BAR_MAX: f64 = 40.0;

/// A bar of a plot, for a part of the largest figure.
#[must_use]
pub(crate) fn bar(part: f64) -> String {
    "#".repeat((part * BAR_MAX).round() as usize)
}

/// Lays rows out in columns two blanks apart. The last column is not padded.
#[must_use]
pub(crate) fn lay_out(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            let padding = width - cell.chars().count() + 2;
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', padding));
        }
        line.trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::lay_out;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["iris".to_owned(), "1".to_owned()], vec!["ä".to_owned(), "10 000".to_owned()]];
        assert_eq!(lay_out(&["MODEL", "V"], &rows), "MODEL  V\niris   1\nä      10 000\n");
    }
}
