//! The order of chunks in a block: like beside like.

use std::collections::{BTreeMap, HashMap};

use super::alike::Sketch;
use super::kept::Waiting;

/// Puts chunks in order of base name, and each behind those before it that it
/// resembles. Stable: pieces of one large file stay in order otherwise.
pub(super) fn arrange(chunks: &mut Vec<Waiting>) {
    chunks.sort_by(|one, other| one.base.cmp(&other.base));
    // The newest chunk that has a feature.
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let mut families: Vec<usize> = Vec::with_capacity(chunks.len());
    for (number, chunk) in chunks.iter().enumerate() {
        let mut family = number;
        if let Some(sketch) = &chunk.sketch {
            if let Some(like) = most_alike(sketch, &seen) {
                family = families.get(like).copied().unwrap_or(number);
            }
            seen.extend(sketch.features().map(|feature| (feature, number)));
        }
        families.push(family);
    }
    let mut arranged: Vec<_> = families.into_iter().zip(chunks.drain(..)).collect();
    arranged.sort_by_key(|(family, _)| *family);
    chunks.extend(arranged.into_iter().map(|(_, chunk)| chunk));
}

fn most_alike(sketch: &Sketch, seen: &HashMap<u64, usize>) -> Option<usize> {
    let mut agreeing: BTreeMap<usize, usize> = BTreeMap::new();
    for number in sketch.features().filter_map(|feature| seen.get(&feature)) {
        *agreeing.entry(*number).or_default() += 1;
    }
    let most = agreeing
        .into_iter()
        .max_by_key(|&(number, all)| (all, number));
    most.map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ChunkId;
    use crate::lane::alike::mixed;

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let byte = |at| mixed(seed << 32 | at).to_le_bytes()[0];
        (0..length as u64).map(byte).collect()
    }

    fn chunk(base: &str, bytes: &[u8]) -> Waiting {
        let mut chunk = Waiting::plain(base.into(), ChunkId::of(bytes), bytes.to_vec());
        chunk.sketch = Sketch::of(bytes);
        chunk
    }

    fn arranged(mut chunks: Vec<Waiting>) -> Vec<String> {
        arrange(&mut chunks);
        let base = |chunk: Waiting| String::from_utf8(chunk.base).unwrap();
        chunks.into_iter().map(base).collect()
    }

    #[test]
    fn what_has_half_in_common_stands_side_by_side_wherever_that_is() {
        let of = |parts: [u64; 2]| -> Vec<u8> {
            let part = |seed| noise(seed, 40_000);
            parts.into_iter().flat_map(part).collect()
        };
        let chunks = vec![
            chunk("e", &noise(3, 50_000)),
            chunk("d", &of([7, 2])[3..]),
            chunk("b", &noise(4, 50_000)),
            chunk("a", &of([1, 7])),
            chunk("c", &[]),
        ];
        assert_eq!(arranged(chunks), ["a", "d", "b", "c", "e"]);
    }

    #[test]
    fn what_has_nothing_in_common_stands_in_order_of_name_and_equal_names_as_they_came() {
        let chunks = (0..60_u64).map(|number| {
            let name = format!("{:02}", (number * 7) % 20);
            let mut chunk = chunk(&name, &noise(number, 20_000));
            chunk.length = usize::try_from(number).unwrap();
            chunk
        });
        let mut chunks: Vec<_> = chunks.collect();
        arrange(&mut chunks);
        let rows: Vec<_> = chunks.iter().map(|at| (&at.base, at.length)).collect();
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "{rows:?}");
    }

    #[test]
    fn bytes_that_are_all_equal_have_a_sketch_too() {
        let zeros = chunk("b", &vec![0; 100_000]);
        assert_eq!(arranged(vec![zeros, chunk("a", &[1; 100_000])]).len(), 2);
    }
}
