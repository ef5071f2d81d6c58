//! Patterns of module aliases: fnmatch(3) without flags, as modprobe uses it,
//! with `-` and `_` the same outside brackets.

/// Does `text` match `pattern`? Takes time proportional to both lengths
/// multiplied, whatever the pattern.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star was, and how much of the text it has swallowed.
    let mut star = None;
    while let Some(&byte) = text.get(t) {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => match bracket(pattern.get(p + 1..).unwrap_or_default(), byte) {
                Some((length, true)) => Some(1 + length),
                Some((_, false)) => None,
                None => (byte == b'[').then_some(1),
            },
            Some(&expected) => (fold(expected) == fold(byte)).then_some(1),
            None => None,
        };
        match (step, star) {
            (Some(step), _) => {
                p += step;
                t += 1;
            }
            (None, Some((after, swallowed))) => {
                star = Some((after, swallowed + 1));
                p = after;
                t = swallowed + 1;
            }
            (None, None) => return false,
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

fn fold(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

/// Matches `byte` against what follows a `[`: the length up to and including
/// `]`, and whether it matches. `None` when the bracket never closes.
fn bracket(set: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(set.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let mut at = start;
    let mut found = false;
    loop {
        let low = *set.get(at)?;
        // A closing bracket in the first place stands for itself.
        if low == b']' && at > start {
            return Some((at + 1, found != negated));
        }
        match (set.get(at + 1), set.get(at + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                found |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= low == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_questions_and_brackets_match_as_fnmatch_does() {
        for (pattern, text, expected) in [
            (
                "pci:v00008086d0000100Esv*sd*bc*sc*i*",
                "pci:v00008086d0000100Esv1sd2bc3sc4i5",
                true,
            ),
            (
                "pci:v00008086d0000100Esv*sd*bc*sc*i*",
                "pci:v00008086d0000100Fsv1sd2bc3sc4i5",
                false,
            ),
            (
                "usb:v0BDAp8153d*dc*dsc*dp*ic*isc*ip*in*",
                "usb:v0BDAp8153d3100dc00dsc00dp00icFFiscFFip00in00",
                true,
            ),
            ("a[0-9]c", "a5c", true),
            ("a[!0-9]c", "a5c", false),
            ("a[]x]c", "a]c", true),
            ("usb:v*d[0-2]*", "usb:v1d25", true),
            ("a[b", "a[b", true),
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "abbbcc", true),
            ("sdhci-acpi", "sdhci_acpi", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        assert!(!matches(&"*a".repeat(200), &"b".repeat(4000)));
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in "[a\\[\\]!*?^-]{0,12}", text in "[ab\\[\\]-]{0,12}") {
            let _ = matches(&pattern, &text);
        }

        #[test]
        fn plain_text_matches_only_itself(a in "[a-c]{0,6}", b in "[a-c]{0,6}") {
            prop_assert_eq!(matches(&a, &b), a == b);
        }
    }
}
