//! Parts of a search that processes on several machines take, one each.

use std::str::FromStr;

/// Part `index` of `count`: of a list, every `count`-th entry from the `index`-th on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1 to `count`.
    index: usize,
    count: usize,
}

impl Shard {
    /// Its entries of a list, in order.
    pub fn of<T>(self, list: Vec<T>) -> Vec<T> {
        list.into_iter().skip(self.index - 1).step_by(self.count).collect()
    }
}

impl FromStr for Shard {
    type Err = String;

    /// Reads `2/4`, the second of four.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if index >= 1 && index <= count => Ok(Self { index, count }),
            _ => Err("expected I/N with I from 1 to N, such as 2/4".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_part_a_list() {
        let list: Vec<usize> = (0..7).collect();
        let mut all: Vec<usize> = (1..=3)
            .flat_map(|i| format!("{i}/3").parse::<Shard>().unwrap().of(list.clone()))
            .collect();
        assert_eq!(all[..3], [0, 3, 6]);
        all.sort_unstable();
        assert_eq!(all, list);
        assert!("9/9".parse::<Shard>().unwrap().of(list).is_empty());
        for bad in ["", "1", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
