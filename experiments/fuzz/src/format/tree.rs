//! Nested values, as TOML and JSON have them.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use serde_json::Value as Json;
use toml::Value as Toml;

use super::Rng;
use super::bytes::edge;

/// Most nodes of a tree that grows.
const MOST_NODES: usize = 2000;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Empty,
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<Tree>),
    Table(Vec<(String, Tree)>),
}

impl Tree {
    pub(super) fn from_json(text: &str) -> Option<Self> {
        fn tree(value: Json) -> Tree {
            match value {
                Json::Null => Tree::Empty,
                Json::Bool(b) => Tree::Flag(b),
                Json::Number(n) => match n.as_i64() {
                    Some(whole) => Tree::Whole(whole),
                    None => Tree::Number(n.as_f64().unwrap_or(0.0)),
                },
                Json::String(text) => Tree::Text(text),
                Json::Array(list) => Tree::List(list.into_iter().map(tree).collect()),
                Json::Object(map) => {
                    Tree::Table(map.into_iter().map(|(k, v)| (k, tree(v))).collect())
                }
            }
        }
        serde_json::from_str(text).ok().map(tree)
    }

    pub(super) fn from_toml(text: &str) -> Option<Self> {
        fn tree(value: Toml) -> Tree {
            match value {
                Toml::Boolean(b) => Tree::Flag(b),
                Toml::Integer(n) => Tree::Whole(n),
                Toml::Float(x) => Tree::Number(x),
                Toml::String(text) => Tree::Text(text),
                Toml::Datetime(date) => Tree::Text(date.to_string()),
                Toml::Array(list) => Tree::List(list.into_iter().map(tree).collect()),
                Toml::Table(map) => {
                    Tree::Table(map.into_iter().map(|(k, v)| (k, tree(v))).collect())
                }
            }
        }
        toml::from_str::<toml::Table>(text).ok().map(|table| tree(Toml::Table(table)))
    }

    pub(super) fn to_json(&self) -> String {
        fn json(tree: &Tree) -> Json {
            match tree {
                Tree::Empty => Json::Null,
                Tree::Flag(b) => Json::Bool(*b),
                Tree::Whole(n) => Json::from(*n),
                Tree::Number(x) => Json::from(*x),
                Tree::Text(text) => Json::String(text.clone()),
                Tree::List(list) => Json::Array(list.iter().map(json).collect()),
                Tree::Table(map) => {
                    Json::Object(map.iter().map(|(k, v)| (k.clone(), json(v))).collect())
                }
            }
        }
        json(self).to_string()
    }

    /// None where TOML cannot say it.
    pub(super) fn to_toml(&self) -> Option<String> {
        fn toml(tree: &Tree) -> Option<Toml> {
            Some(match tree {
                Tree::Empty => return None,
                Tree::Flag(b) => Toml::Boolean(*b),
                Tree::Whole(n) => Toml::Integer(*n),
                Tree::Number(x) => Toml::Float(*x),
                Tree::Text(text) => Toml::String(text.clone()),
                Tree::List(list) => Toml::Array(list.iter().filter_map(toml).collect()),
                Tree::Table(map) => Toml::Table(
                    map.iter().filter_map(|(k, v)| Some((k.clone(), toml(v)?))).collect(),
                ),
            })
        }
        ::toml::to_string(&toml(self)?).ok()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Table(map) => map.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Table(map) => map.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(super) fn set(&mut self, key: &str, value: Self) {
        if let Self::Table(map) = self {
            map.retain(|(k, _)| k != key);
            map.push((key.to_owned(), value));
        }
    }

    /// Number of nodes, this one included.
    fn nodes(&self) -> usize {
        1 + match self {
            Self::List(list) => list.iter().map(Self::nodes).sum(),
            Self::Table(map) => map.iter().map(|(_, v)| v.nodes()).sum::<usize>(),
            _ => 0,
        }
    }

    /// Node number `n` of those below and this one, which is number zero.
    fn node(&mut self, n: &mut usize) -> Option<&mut Self> {
        if *n == 0 {
            return Some(self);
        }
        *n -= 1;
        match self {
            Self::List(list) => list.iter_mut().find_map(|v| v.node(n)),
            Self::Table(map) => map.iter_mut().find_map(|(_, v)| v.node(n)),
            _ => None,
        }
    }

    fn any(&self, rng: &mut Rng) -> Self {
        let mut n = rng.random_range(0..self.nodes());
        self.clone().node(&mut n).cloned().unwrap_or(Self::Empty)
    }

    /// Changes one node; values may come from elsewhere, or from another tree.
    pub(super) fn change(&mut self, other: &Self, rng: &mut Rng) {
        let nodes = self.nodes();
        let elsewhere = if rng.random() { self.any(rng) } else { other.any(rng) };
        let mut n = rng.random_range(0..nodes);
        let Some(node) = self.node(&mut n) else { return };
        // Numbers and words a little first: that is accepted at times.
        if rng.random() && node.adjust(&elsewhere, rng) {
            return;
        }
        let may_grow = nodes + elsewhere.nodes() < MOST_NODES;
        match rng.random_range(0..8) {
            0 => *node = scalar(rng),
            1 if may_grow => *node = elsewhere,
            2 => {
                // A number of the same kind as others, so that it is not refused at once.
                if let (Self::Whole(a), Self::Whole(b)) = (&mut *node, &elsewhere) {
                    *a = *b;
                } else if let (Self::Text(a), Self::Text(b)) = (&mut *node, &elsewhere) {
                    a.clone_from(b);
                } else {
                    node.nudge(elsewhere, may_grow, rng);
                }
            }
            _ => node.nudge(elsewhere, may_grow, rng),
        }
    }

    /// Changes a scalar into another that may make sense; false for what is none.
    fn adjust(&mut self, elsewhere: &Self, rng: &mut Rng) -> bool {
        match (self, elsewhere) {
            (Self::Flag(b), _) => *b = !*b,
            (Self::Whole(a), Self::Whole(b)) if rng.random() => *a = *b,
            (Self::Whole(n), _) => {
                *n = match rng.random_range(0..4) {
                    0 => n.saturating_mul(2),
                    1 => *n / 2,
                    2 => n.saturating_add(1),
                    _ => n.saturating_sub(1),
                }
            }
            (Self::Number(a), Self::Number(b)) if rng.random() => *a = *b,
            (Self::Number(x), _) => *x *= [0.5, 1.0625, 2.0].choose(rng).copied().unwrap_or(1.0),
            (Self::Text(a), Self::Text(b)) => a.clone_from(b),
            _ => return false,
        }
        true
    }

    /// Changes a node in any way.
    fn nudge(&mut self, elsewhere: Self, may_grow: bool, rng: &mut Rng) {
        match self {
            Self::Empty => *self = scalar(rng),
            Self::Flag(b) => *b = !*b,
            Self::Whole(n) => {
                *n = match rng.random_range(0..6) {
                    0 => edge(rng) as i64,
                    1 => n.wrapping_neg(),
                    2 => n.wrapping_mul(2),
                    3 => *n / 2,
                    4 => rng.random_range(0..20),
                    _ => n.wrapping_add(rng.random_range(0..5) - 2),
                }
            }
            Self::Number(x) => {
                *x = match rng.random_range(0..5) {
                    0 => number(rng),
                    1 => -*x,
                    2 => *x * 10f64.powi(rng.random_range(-300..300)),
                    3 => x.trunc(),
                    _ => *x * 1.0625,
                }
            }
            Self::Text(text) => match rng.random_range(0..5) {
                0 => text.clear(),
                1 => *text = text.repeat(rng.random_range(1..4)),
                2 => text.push(rng.random()),
                3 => *text = text.chars().skip(1).collect(),
                _ => {
                    text.push_str(["/", "..", "\0", "\n", " ", "9", "x"].choose(rng).unwrap_or(&""))
                }
            },
            Self::List(list) => {
                let at = rng.random_range(0..=list.len());
                match rng.random_range(0..4) {
                    0 if at < list.len() => drop(list.remove(at)),
                    1 if at < list.len() => {
                        let last = list.len() - 1;
                        list.swap(at, last);
                    }
                    2 if may_grow && at < list.len() => list.insert(at, list[at].clone()),
                    _ if may_grow => list.insert(at, elsewhere),
                    _ => list.clear(),
                }
            }
            Self::Table(map) => {
                let at = rng.random_range(0..=map.len());
                if at == map.len() {
                    if may_grow {
                        map.push((format!("x{}", rng.random_range(0..10)), elsewhere));
                    }
                    return;
                }
                match rng.random_range(0..3) {
                    0 => drop(map.remove(at)),
                    1 => {
                        let last = map.len() - 1;
                        let value = map[last].1.clone();
                        map[at].1 = value;
                    }
                    _ if may_grow => map[at].1 = elsewhere,
                    _ => {}
                }
            }
        }
    }
}

fn number(rng: &mut Rng) -> f64 {
    let odd = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        1e-300,
        1e18,
    ];
    match rng.random() {
        true => odd.choose(rng).copied().unwrap_or(0.0),
        false => f64::from_bits(edge(rng)),
    }
}

fn scalar(rng: &mut Rng) -> Tree {
    match rng.random_range(0..6) {
        0 => Tree::Empty,
        1 => Tree::Flag(rng.random()),
        2 | 3 => Tree::Whole(edge(rng) as i64),
        4 => Tree::Number(number(rng)),
        _ => Tree::Text(
            ["", "input", "x", "é", "\u{0}"].choose(rng).copied().unwrap_or("").to_owned(),
        ),
    }
}
