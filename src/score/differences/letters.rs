//! Letters of groups that do not differ.
//!
//! Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons", 2004.

use std::collections::BTreeSet;

/// Letters for `n` items, of which the pairs `differ`: two items share a letter if and only if they
/// do not differ. Earlier items have earlier letters. None if there are more groups than letters.
pub(super) fn letters(n: usize, differ: &[(usize, usize)]) -> Option<Vec<String>> {
    let mut groups: BTreeSet<Vec<usize>> = BTreeSet::from([(0..n).collect()]);
    for &(a, b) in differ {
        let (both, mut rest): (BTreeSet<_>, BTreeSet<_>) =
            groups.into_iter().partition(|group| group.contains(&a) && group.contains(&b));
        for group in both {
            let without = |item: usize| group.iter().copied().filter(|&i| i != item).collect();
            rest.extend([without(a), without(b)]);
        }
        let within = |group: &Vec<usize>, other: &Vec<usize>| {
            group != other && group.iter().all(|item| other.contains(item))
        };
        let is_largest = |group: &&Vec<usize>| !rest.iter().any(|other| within(group, other));
        groups = rest.iter().filter(is_largest).cloned().collect();
    }
    let alphabet: Vec<char> = ('a'..='z').chain('A'..='Z').collect();
    if groups.len() > alphabet.len() {
        return None;
    }
    let of_item = |item: usize| {
        let shared = groups.iter().zip(&alphabet).filter(|(group, _)| group.contains(&item));
        shared.map(|(_, letter)| letter).collect()
    };
    Some((0..n).map(of_item).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_by_hand() {
        assert_eq!(letters(3, &[]).unwrap(), ["a", "a", "a"]);
        assert_eq!(letters(3, &[(0, 2)]).unwrap(), ["a", "ab", "b"]);
        assert_eq!(letters(3, &[(0, 1), (0, 2), (1, 2)]).unwrap(), ["a", "b", "c"]);
        assert_eq!(letters(1, &[]).unwrap(), ["a"]);
        assert!(letters(0, &[]).unwrap().is_empty());
    }

    #[test]
    fn items_share_a_letter_if_and_only_if_they_do_not_differ() {
        // All graphs of five items.
        let pairs: Vec<(usize, usize)> =
            (0..5).flat_map(|a| (a + 1..5).map(move |b| (a, b))).collect();
        for graph in 0..1_u32 << pairs.len() {
            let differ: Vec<_> = (0..pairs.len())
                .filter(|&bit| graph >> bit & 1 == 1)
                .map(|bit| pairs[bit])
                .collect();
            let found = letters(5, &differ).unwrap();
            for &(a, b) in &pairs {
                let shared = found[a].chars().any(|letter| found[b].contains(letter));
                assert_eq!(shared, !differ.contains(&(a, b)), "{found:?} {differ:?}");
            }
            assert!(found[0].contains('a') && found.iter().all(|letters| !letters.is_empty()));
        }
    }

    #[test]
    fn more_groups_than_letters_have_none() {
        let all: Vec<_> = (0..60).flat_map(|a| (a + 1..60).map(move |b| (a, b))).collect();
        assert!(letters(60, &all).is_none());
    }
}
