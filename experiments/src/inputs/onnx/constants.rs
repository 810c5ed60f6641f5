//! What the graph computes of constants: shapes, paddings, transposed and pruned weights.

use super::error::Result;
use super::messages::{Attribute, Node};
use super::tensor::{Constant, Data, MOST_REPEATED, common, places, strides};

/// The constant that a node computes of constants; none if it is no operator that is computed here. What is missing among the
/// inputs is left out at their end.
pub(super) fn fold(node: &Node, inputs: &[Constant]) -> Result<Option<Constant>> {
    let first = || inputs.first().ok_or_else(|| node.refuse("it has no input"));
    let second = || inputs.get(1).ok_or_else(|| node.refuse("its second input is missing"));
    let title = node.title();
    // What is repeated takes no more than that, or than the largest of what is given.
    let most = inputs.iter().map(Constant::len).max().unwrap_or(0).max(MOST_REPEATED);
    Ok(Some(match node.operator.as_str() {
        "Identity" | "Dropout" => first()?.clone(),
        "Cast" => cast(node, first()?)?,
        "Shape" => {
            let extents: Vec<i64> = first()?.shape.iter().map(|e| *e as i64).collect();
            shape(node, &extents)?
        }
        "Size" => Constant::integers(vec![], vec![first()?.len() as i64]),
        "ConstantOfShape" => {
            let extents = sizes(node, &first()?.whole(title)?, most)?;
            let value = match node.attribute("value") {
                Some(Attribute::Tensor(value)) => match (&value.floats[..], &value.integers[..]) {
                    ([v], _) => Constant::floats(vec![1], vec![*v]),
                    (_, [v]) => Constant::integers(vec![1], vec![*v]),
                    _ => Constant::integers(vec![1], vec![0]),
                },
                _ => Constant::floats(vec![1], vec![0.0]),
            };
            expand(node, &value, &extents, most)?
        }
        "Expand" => {
            let (value, extents) = (first()?, sizes(node, &second()?.whole(title)?, most)?);
            let shape = common(&value.shape, &extents)
                .ok_or_else(|| node.refuse(format!("{:?} to {extents:?}", value.shape)))?;
            expand(node, value, &shape, most)?
        }
        "Reshape" => {
            let value = first()?;
            let extents: Vec<i64> = value.shape.iter().map(|e| *e as i64).collect();
            let shape = target(node, &second()?.whole(title)?, &extents)?;
            value.reshaped(shape)
        }
        "Flatten" => {
            let value = first()?;
            let axis = node.integer("axis", 1)?;
            let axis = node.axis(axis, value.shape.len() + 1)?;
            let (rows, cols) = value.shape.split_at(axis);
            value.reshaped(vec![rows.iter().product(), cols.iter().product()])
        }
        "Squeeze" => {
            let value = first()?;
            let axes = axes(node, inputs.get(1), value.shape.len())?;
            let gone = |(k, e): (usize, &usize)| match &axes {
                Some(axes) => axes.contains(&k),
                None => *e == 1,
            };
            let kept = value.shape.iter().enumerate().filter(|at| !gone(*at));
            let shape: Vec<usize> = kept.map(|(_, e)| *e).collect();
            same_size(node, value, &shape)?;
            value.reshaped(shape)
        }
        "Unsqueeze" => {
            let value = first()?;
            let count = match (node.integers("axes")?, inputs.get(1)) {
                (Some(list), _) => list.len(),
                (None, Some(list)) => list.len(),
                _ => 0,
            };
            let rank = value.shape.len() + count;
            let axes = axes(node, inputs.get(1), rank)?.unwrap_or_default();
            let mut own = value.shape.iter();
            let next = |k: usize| if axes.contains(&k) { Some(1) } else { own.next().copied() };
            let shape: Vec<usize> = (0..rank).map_while(next).collect();
            same_size(node, value, &shape)?;
            value.reshaped(shape)
        }
        "Transpose" => {
            let value = first()?;
            value.transposed(&permutation(node, value.shape.len())?)
        }
        "Concat" => concat(node, inputs)?,
        "Gather" => gather(node, first()?, second()?, most)?,
        "Slice" => slice(node, inputs)?,
        "Range" => {
            let one = |k: usize| -> Result<i64> {
                let list = inputs.get(k).map(|c| c.whole(title)).transpose()?;
                list.and_then(|l| l.first().copied()).ok_or_else(|| node.refuse("an empty input"))
            };
            let (start, limit, step) = (one(0)?, one(1)?, one(2)?);
            let count = (i128::from(limit) - i128::from(start)).checked_div(i128::from(step));
            let rest = i128::from(limit) - i128::from(start);
            let count = count.map(|n| n + i128::from(n * i128::from(step) != rest)).unwrap_or(-1);
            let count = usize::try_from(count.max(0)).ok().filter(|n| step != 0 && *n <= 1 << 16);
            let count = count.ok_or_else(|| node.refuse("a range of over 65536 numbers"))?;
            Constant::list((0..count as i64).map(|k| start + k * step).collect())
        }
        "Where" => {
            let (on, yes, no) = (first()?, second()?, inputs.get(2));
            let no = no.ok_or_else(|| node.refuse("its third input is missing"))?;
            choose(node, on, yes, no)?
        }
        "Neg" => one(first()?, |v| -v),
        "Abs" => one(first()?, f64::abs),
        "Sqrt" => one(&floating(first()?), f64::sqrt),
        "Reciprocal" => one(&floating(first()?), f64::recip),
        "Floor" => one(first()?, f64::floor),
        "Ceil" => one(first()?, f64::ceil),
        "Not" => one(first()?, |v| f64::from(u8::from(v == 0.0))),
        "Add" => elementwise(node, first()?, second()?, |a, b| a + b)?,
        "Sub" => elementwise(node, first()?, second()?, |a, b| a - b)?,
        "Mul" => elementwise(node, first()?, second()?, |a, b| a * b)?,
        "Pow" => elementwise(node, first()?, second()?, f64::powf)?,
        "Min" => elementwise(node, first()?, second()?, f64::min)?,
        "Max" => elementwise(node, first()?, second()?, f64::max)?,
        "Div" => {
            let whole = matches!(first()?.data, Data::Integers(_));
            let divide = |a: f64, b: f64| if whole { (a / b).trunc() } else { a / b };
            elementwise(node, first()?, second()?, divide)?
        }
        "Mod" => elementwise(node, first()?, second()?, |a, b| match node.integer("fmod", 0) {
            Ok(0) => a - b * (a / b).floor(),
            _ => a % b,
        })?,
        "Equal" => elementwise(node, first()?, second()?, |a, b| truth(a == b))?,
        "Less" => elementwise(node, first()?, second()?, |a, b| truth(a < b))?,
        "Greater" => elementwise(node, first()?, second()?, |a, b| truth(a > b))?,
        "And" => elementwise(node, first()?, second()?, |a, b| truth(a != 0.0 && b != 0.0))?,
        "Or" => elementwise(node, first()?, second()?, |a, b| truth(a != 0.0 || b != 0.0))?,
        _ => return Ok(None),
    }))
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Extents from `start` to `end` of a shape.
pub(super) fn shape(node: &Node, extents: &[i64]) -> Result<Constant> {
    let rank = extents.len() as i64;
    let at = |k: i64| (if k < 0 { k + rank } else { k }).clamp(0, rank) as usize;
    let (start, end) = (at(node.integer("start", 0)?), at(node.integer("end", rank)?));
    Ok(Constant::list(extents[start..end.max(start)].to_vec()))
}

/// The shape that a reshape asks for, of a tensor of these extents.
pub(super) fn target(node: &Node, wanted: &[i64], extents: &[i64]) -> Result<Vec<usize>> {
    let zero = node.integer("allowzero", 0)? != 0;
    let given = |(k, e): (usize, &i64)| match *e {
        0 if !zero => extents.get(k).copied().unwrap_or(-2),
        e => e,
    };
    let mut shape: Vec<i64> = wanted.iter().enumerate().map(given).collect();
    let refuse = || node.refuse(format!("{extents:?} to {wanted:?}, which has other values"));
    let product = |list: &[i64]| {
        let extents = list.iter().filter(|e| **e != -1);
        extents.copied().try_fold(1i64, |n, e| n.checked_mul(e).filter(|n| e >= 0 && *n >= 0))
    };
    let (all, known) = product(extents).zip(product(&shape)).ok_or_else(refuse)?;
    if let Some(open) = shape.iter().position(|e| *e == -1) {
        shape[open] = all.checked_div(known).ok_or_else(refuse)?;
    }
    if product(&shape) != Some(all) || shape.contains(&-1) {
        return Err(refuse());
    }
    Ok(shape.into_iter().map(|e| e as usize).collect())
}

/// The order of axes that a transpose asks for: the reverse one, if none is told.
pub(super) fn permutation(node: &Node, rank: usize) -> Result<Vec<usize>> {
    let Some(list) = node.integers("perm")? else { return Ok((0..rank).rev().collect()) };
    let order: Vec<usize> = list.iter().map(|k| node.axis(*k, rank)).collect::<Result<_>>()?;
    if order.len() != rank || (0..rank).any(|k| !order.contains(&k)) {
        return Err(node.refuse(format!("perm is {list:?} for {rank} dimensions")));
    }
    Ok(order)
}

/// Axes that a node names in its attribute or its second input, of a tensor of this rank; none where it names none.
pub(super) fn axes(
    node: &Node,
    input: Option<&Constant>,
    rank: usize,
) -> Result<Option<Vec<usize>>> {
    let list = match (node.integers("axes")?, input) {
        (Some(list), _) => list.to_vec(),
        (None, Some(list)) => list.whole(node.title())?.to_vec(),
        (None, None) => return Ok(None),
    };
    list.iter().map(|k| node.axis(*k, rank)).collect::<Result<_>>().map(Some)
}

fn sizes(node: &Node, extents: &[i64], most: usize) -> Result<Vec<usize>> {
    let size = |e: &i64| usize::try_from(*e).ok();
    let sizes: Option<Vec<usize>> = extents.iter().map(size).collect();
    let count = |list: &Vec<usize>| list.iter().try_fold(1usize, |n, e| n.checked_mul(*e));
    sizes
        .filter(|list| count(list).is_some_and(|n| n <= most))
        .ok_or_else(|| node.refuse(format!("a shape {extents:?}, expected at most {most} values")))
}

fn expand(node: &Node, value: &Constant, shape: &[usize], most: usize) -> Result<Constant> {
    value
        .broadcast(shape, most)
        .ok_or_else(|| node.refuse(format!("{:?} cannot be repeated to {shape:?}", value.shape)))
}

fn same_size(node: &Node, value: &Constant, shape: &[usize]) -> Result<()> {
    match shape.iter().product::<usize>() == value.len() {
        true => Ok(()),
        false => {
            Err(node.refuse(format!("{:?} to {shape:?}, which has other values", value.shape)))
        }
    }
}

fn cast(node: &Node, value: &Constant) -> Result<Constant> {
    let floats = matches!(node.integer("to", 1)?, 1 | 10 | 11 | 16);
    Ok(match (&value.data, floats) {
        (Data::Floats(data), false) => {
            Constant::integers(value.shape.clone(), data.iter().map(|v| *v as i64).collect())
        }
        (Data::Integers(_), true) => floating(value),
        _ => value.clone(),
    })
}

fn floating(value: &Constant) -> Constant {
    match value.numbers() {
        Some(data) => Constant { shape: value.shape.clone(), data: Data::Floats(data) },
        None => value.clone(),
    }
}

fn one(value: &Constant, f: impl Fn(f64) -> f64) -> Constant {
    let Some(data) = value.numbers() else { return value.clone() };
    like(value, value.shape.clone(), data.iter().map(|v| f(*v)).collect())
}

/// Numbers of the same kind as others.
fn like(value: &Constant, shape: Vec<usize>, data: Vec<f64>) -> Constant {
    match value.data {
        Data::Integers(_) => {
            Constant::integers(shape, data.into_iter().map(|v| v as i64).collect())
        }
        _ => Constant::floats(shape, data),
    }
}

fn elementwise(
    node: &Node,
    a: &Constant,
    b: &Constant,
    f: impl Fn(f64, f64) -> f64,
) -> Result<Constant> {
    let shape = common(&a.shape, &b.shape)
        .ok_or_else(|| node.refuse(format!("shapes {:?} and {:?}", a.shape, b.shape)))?;
    let most = a.len().max(b.len()).max(MOST_REPEATED);
    let (a, b) = (expand(node, a, &shape, most)?, expand(node, b, &shape, most)?);
    let (Some(x), Some(y)) = (a.numbers(), b.numbers()) else {
        return Ok(Constant { shape, data: Data::Later });
    };
    let data: Vec<f64> = x.iter().zip(y.iter()).map(|(x, y)| f(*x, *y)).collect();
    let kind = if matches!(b.data, Data::Floats(_)) { &b } else { &a };
    Ok(like(kind, shape, data))
}

/// Where a constant is not zero numbers of one, elsewhere those of another.
fn choose(node: &Node, on: &Constant, yes: &Constant, no: &Constant) -> Result<Constant> {
    let shape = common(&on.shape, &yes.shape).and_then(|s| common(&s, &no.shape));
    let shape = shape.ok_or_else(|| node.refuse("shapes that do not fit"))?;
    let most = on.len().max(yes.len()).max(no.len()).max(MOST_REPEATED);
    let all = [on, yes, no].map(|c| expand(node, c, &shape, most));
    let [on, yes, no] = all;
    let (on, yes, no) = (on?.numbers(), yes?, no?);
    let (Some(on), Some(y), Some(n)) = (on, yes.numbers(), no.numbers()) else {
        return Ok(Constant { shape, data: Data::Later });
    };
    let pick = |k: usize| if on[k] != 0.0 { y[k] } else { n[k] };
    let data = (0..on.len()).map(pick).collect();
    let kind = if matches!(no.data, Data::Floats(_)) { &no } else { &yes };
    Ok(like(kind, shape, data))
}

fn concat(node: &Node, inputs: &[Constant]) -> Result<Constant> {
    let first = inputs.first().ok_or_else(|| node.refuse("it has no input"))?;
    let axis = node.axis(node.integer("axis", 0)?, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for value in inputs {
        let fits = value.shape.len() == shape.len()
            && (0..shape.len()).all(|k| k == axis || value.shape[k] == shape[k]);
        if !fits {
            return Err(node.refuse(format!("shapes {:?} and {:?}", first.shape, value.shape)));
        }
        shape[axis] += value.shape[axis];
    }
    let outer: usize = shape[..axis].iter().product();
    let Some(lists) = inputs.iter().map(Constant::numbers).collect::<Option<Vec<_>>>() else {
        return Ok(Constant { shape, data: Data::Later });
    };
    let mut data = Vec::with_capacity(lists.iter().map(|list| list.len()).sum());
    for k in 0..outer {
        for list in &lists {
            let each = list.len() / outer;
            data.extend_from_slice(&list[k * each..][..each]);
        }
    }
    Ok(like(first, shape, data))
}

fn gather(node: &Node, value: &Constant, indices: &Constant, most: usize) -> Result<Constant> {
    let axis = node.axis(node.integer("axis", 0)?, value.shape.len())?;
    let list = indices.whole(node.title())?;
    let along: Vec<usize> =
        list.iter().map(|k| node.axis(*k, value.shape[axis])).collect::<Result<_>>()?;
    let (before, after) = (&value.shape[..axis], &value.shape[axis + 1..]);
    let shape: Vec<usize> = [before, &indices.shape, after].concat();
    let count = shape.iter().try_fold(1usize, |n, e| n.checked_mul(*e));
    if count.is_none_or(|n| n > most) {
        return Err(node.refuse("more values than a constant may have"));
    }
    let inner: usize = after.iter().product();
    let outer: usize = before.iter().product();
    let extent = value.shape[axis];
    let place = |k: usize| {
        along.iter().flat_map(move |at| (0..inner).map(move |i| (k * extent + at) * inner + i))
    };
    let from: Vec<usize> = (0..outer).flat_map(place).collect();
    Ok(value.gathered(shape, &from))
}

fn slice(node: &Node, inputs: &[Constant]) -> Result<Constant> {
    let value = inputs.first().ok_or_else(|| node.refuse("it has no input"))?;
    let rank = value.shape.len();
    let list = |name: &str, k: usize| -> Result<Option<Vec<i64>>> {
        match (node.integers(name)?, inputs.get(k)) {
            (Some(list), _) => Ok(Some(list.to_vec())),
            (None, Some(list)) => Ok(Some(list.whole(node.title())?.to_vec())),
            _ => Ok(None),
        }
    };
    let missing = || node.refuse("starts or ends are missing");
    let starts = list("starts", 1)?.ok_or_else(missing)?;
    let ends = list("ends", 2)?.ok_or_else(missing)?;
    let axes = list("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()].iter().any(|n| *n != starts.len()) {
        return Err(node.refuse("starts, ends, axes and steps are of different lengths"));
    }
    let mut kept: Vec<Vec<usize>> = value.shape.iter().map(|e| (0..*e).collect()).collect();
    for (((start, end), axis), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = node.axis(*axis, rank)?;
        let extent = value.shape[axis] as i64;
        if extent == 0 {
            continue;
        }
        let from_start = |k: i64| if k < 0 { k.saturating_add(extent) } else { k };
        let (low, high) = if *step > 0 { (0, extent) } else { (-1, extent - 1) };
        if *step == 0 {
            return Err(node.refuse("a step of zero"));
        }
        let start = from_start(*start).clamp(low.max(0), high);
        let end = from_start(*end).clamp(low, high);
        let next = |at: &i64| at.checked_add(*step);
        let within = |at: &i64| if *step > 0 { *at < end } else { *at > end };
        let all = std::iter::successors(Some(start), next).take_while(within);
        kept[axis] = all.map(|at| at as usize).collect();
    }
    let shape: Vec<usize> = kept.iter().map(Vec::len).collect();
    let own = strides(&value.shape);
    // Where each kept index is, axis by axis.
    let mut from = places(&[], &[]);
    for (list, step) in kept.iter().zip(&own) {
        from = from.iter().flat_map(|at| list.iter().map(move |k| at + k * step)).collect();
    }
    Ok(value.gathered(shape, &from))
}
