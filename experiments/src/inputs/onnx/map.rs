//! What a tensor of the graph is, in terms of the network that is being built: a map of a layer, its axes in some order,
//! with a quadratic polynomial by channel and a padding that no layer has done yet.

use std::rc::Rc;

use simulator::network::{Padding, Shape, Source};

use super::tensor::{places, strides};

/// `a x^2 + b x + c`, one of each per channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Polynomial {
    pub(super) a: Vec<f64>,
    pub(super) b: Vec<f64>,
    pub(super) c: Vec<f64>,
}

impl Polynomial {
    pub(super) fn identity(channels: usize) -> Self {
        Self { a: vec![0.0; channels], b: vec![1.0; channels], c: vec![0.0; channels] }
    }

    pub(super) fn is_identity(&self) -> bool {
        self.is_shift() && self.c.iter().all(|c| *c == 0.0)
    }

    /// Whether it only adds.
    pub(super) fn is_shift(&self) -> bool {
        self.is_line() && self.b.iter().all(|b| *b == 1.0)
    }

    pub(super) fn is_line(&self) -> bool {
        self.a.iter().all(|a| *a == 0.0)
    }

    pub(super) fn plus(&mut self, numbers: &[f64]) {
        self.c.iter_mut().zip(numbers).for_each(|(c, n)| *c += n);
    }

    pub(super) fn times(&mut self, numbers: &[f64]) {
        for list in [&mut self.a, &mut self.b, &mut self.c] {
            list.iter_mut().zip(numbers).for_each(|(v, n)| *v *= n);
        }
    }

    /// This one plus `sign` times another.
    pub(super) fn sum(&self, other: &Self, sign: f64) -> Self {
        let add = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x + sign * y).collect();
        Self { a: add(&self.a, &other.a), b: add(&self.b, &other.b), c: add(&self.c, &other.c) }
    }

    /// The product of two; none if it has a higher degree.
    pub(super) fn product(&self, other: &Self) -> Option<Self> {
        let constant = |p: &Self| p.is_line() && p.b.iter().all(|b| *b == 0.0);
        if !(self.is_line() && other.is_line() || constant(self) || constant(other)) {
            return None;
        }
        let (p, q) = (self, other);
        let each = |f: &dyn Fn(usize) -> f64| (0..p.a.len()).map(f).collect();
        Some(Self {
            a: each(&|k| p.a[k] * q.c[k] + p.b[k] * q.b[k] + p.c[k] * q.a[k]),
            b: each(&|k| p.b[k] * q.c[k] + p.c[k] * q.b[k]),
            c: each(&|k| p.c[k] * q.c[k]),
        })
    }
}

/// A map of a layer as a tensor of the graph.
#[derive(Debug, Clone)]
pub(super) struct Map {
    /// The layer, and the shape of what it gives.
    pub(super) source: Source,
    pub(super) shape: Shape,
    /// For each dimension after the first, which is the batch, the axes of the map that it is made of, the slowest first:
    /// 0 for channels, 1 for rows, 2 for columns. Axes of extent 1 may be missing.
    pub(super) dims: Vec<Vec<usize>>,
    /// Where the tensor's values are in the map, if it is neither in the order of the axes of `dims`.
    pub(super) order: Option<Rc<Vec<usize>>>,
    /// What is still to be applied to the map's values.
    pub(super) polynomial: Polynomial,
    /// Zeros that are still to be put around that.
    pub(super) padding: Padding,
    /// Whether nothing else reads the layer.
    pub(super) alone: bool,
}

impl Map {
    /// What a layer gives.
    pub(super) fn of(source: Source, shape: Shape) -> Self {
        Self {
            source,
            shape,
            dims: vec![vec![0], vec![1], vec![2]],
            order: None,
            polynomial: Polynomial::identity(shape.channels),
            padding: Padding::default(),
            alone: true,
        }
    }

    /// Extent of an axis, with what is padded.
    fn extent(&self, axis: usize) -> usize {
        let p = self.padding;
        match axis {
            0 => self.shape.channels,
            1 => self.shape.height + p.top + p.bottom,
            _ => self.shape.width + p.left + p.right,
        }
    }

    /// Extents of the dimensions after the first.
    pub(super) fn extents(&self) -> Vec<usize> {
        self.dims.iter().map(|axes| axes.iter().map(|axis| self.extent(*axis)).product()).collect()
    }

    /// Numbers of one image.
    pub(super) fn len(&self) -> usize {
        self.extents().iter().product()
    }

    /// Axes of more than one position, in the order of the tensor.
    fn axes(&self) -> impl Iterator<Item = usize> {
        self.dims.iter().flatten().copied().filter(|axis| self.extent(*axis) > 1)
    }

    /// The axes that a dimension has, those of one position left out.
    pub(super) fn axes_of(&self, dimension: usize) -> Vec<usize> {
        let axes = self.dims[dimension].iter().copied();
        axes.filter(|axis| self.extent(*axis) > 1).collect()
    }

    /// Whether its dimensions are channels, rows and columns, in this order.
    pub(super) fn is_map(&self) -> bool {
        let is = |k: usize| self.axes_of(k).iter().all(|axis| *axis == k);
        self.order.is_none() && self.dims.len() == 3 && (0..3).all(is)
    }

    /// Whether all its values are in one dimension.
    pub(super) fn is_flat(&self) -> bool {
        (0..self.dims.len()).filter(|k| !self.axes_of(*k).is_empty()).count() <= 1
    }

    /// For each value of the tensor, in order, where it is in the map (channel, row, column). Nothing may be padded.
    pub(super) fn places(&self) -> Vec<usize> {
        if let Some(order) = &self.order {
            return order.to_vec();
        }
        let map = strides(&[self.shape.channels, self.shape.height, self.shape.width]);
        let axes: Vec<usize> = self.axes().collect();
        let extents: Vec<usize> = axes.iter().map(|axis| self.extent(*axis)).collect();
        places(&extents, &axes.iter().map(|axis| map[*axis]).collect::<Vec<_>>())
    }

    /// Whether the tensor's values are in the order of the map.
    pub(super) fn is_straight(&self) -> bool {
        self.order.is_none() && self.axes().is_sorted()
    }

    /// The same values with other dimensions, whose extents are given; none if they do not have whole axes each.
    pub(super) fn reshaped(&self, extents: &[usize]) -> Option<Self> {
        let mut axes = self.axes().peekable();
        let mut dims = Vec::with_capacity(extents.len());
        for wanted in extents {
            let (mut found, mut list) = (1usize, Vec::new());
            while found < *wanted {
                let axis = axes.next()?;
                found = found.checked_mul(self.extent(axis))?;
                list.push(axis);
            }
            if found != *wanted {
                return None;
            }
            dims.push(list);
        }
        axes.peek().is_none().then(|| Self { dims, ..self.clone() })
    }

    /// Its dimensions in another order: dimension `k` is dimension `order[k]` of this one, the batch not counted.
    pub(super) fn transposed(&self, order: &[usize]) -> Self {
        let dims = order.iter().map(|k| self.dims[*k].clone()).collect();
        Self { dims, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> Map {
        Map::of(Source::Input, Shape::new(2, 3, 4))
    }

    #[test]
    fn axes_are_followed_through_reshapes_and_transposes() {
        let last = map().transposed(&[1, 2, 0]);
        assert_eq!((last.extents(), last.is_map()), (vec![3, 4, 2], false));
        let flat = last.reshaped(&[24]).unwrap();
        assert!(flat.is_flat() && !flat.is_straight());
        // Row 1, column 2, channel 1.
        assert_eq!(flat.places()[(4 + 2) * 2 + 1], 12 + 4 + 2);
        assert!(flat.reshaped(&[3, 4, 2]).unwrap().transposed(&[2, 0, 1]).is_map());
        assert!(map().reshaped(&[24]).unwrap().is_straight());
        // An axis cannot be split, nor two become parts of others.
        assert!(map().reshaped(&[4, 6]).is_none() && flat.reshaped(&[6, 4]).is_none());
        assert!(map().reshaped(&[2, 12, 1]).is_some() && map().reshaped(&[2, 12, 2]).is_none());
        // Axes of one position are where they are wanted.
        let single = Map::of(Source::Input, Shape::new(6, 1, 1)).transposed(&[1, 2, 0]);
        assert!(single.reshaped(&[6]).unwrap().reshaped(&[6, 1, 1]).unwrap().is_map());
    }

    #[test]
    fn polynomials_are_multiplied_up_to_squares() {
        let line = |b: f64, c: f64| Polynomial { a: vec![0.0], b: vec![b], c: vec![c] };
        let square = line(2.0, 1.0).product(&line(3.0, -1.0)).unwrap();
        assert_eq!((square.a[0], square.b[0], square.c[0]), (6.0, 1.0, -1.0));
        assert!(square.product(&line(1.0, 0.0)).is_none());
        assert_eq!(square.product(&line(0.0, 2.0)).unwrap().a, [12.0]);
        let mut sum = square.sum(&line(1.0, 5.0), -1.0);
        sum.plus(&[1.0]);
        sum.times(&[2.0]);
        assert_eq!((sum.a[0], sum.b[0], sum.c[0]), (12.0, 0.0, -10.0));
    }
}
