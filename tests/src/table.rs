//! A table for people: columns as wide as their widest cell.

/// Rows under a heading, as text.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: usize, column: usize| rows[row].get(column).map_or("", String::as_str);
    let width = |column: usize| {
        let longest = (0..rows.len())
            .map(|row| cells(row, column).chars().count())
            .max();
        heading[column].chars().count().max(longest.unwrap_or(0))
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |texts: Vec<&str>| {
        let padded: Vec<String> = texts
            .iter()
            .zip(&widths)
            .map(|(text, &width)| format!("{text:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(heading.to_vec());
    text += &line(widths.iter().map(|_| "").collect());
    for row in 0..rows.len() {
        text += &line(
            (0..heading.len())
                .map(|column| cells(row, column))
                .collect(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["pc1".to_owned(), "BIOS".to_owned()],
            vec!["laptop".to_owned()],
        ];
        assert_eq!(
            table(&["name", "firmware"], &rows),
            "name    firmware\n\npc1     BIOS\nlaptop\n"
        );
    }
}
