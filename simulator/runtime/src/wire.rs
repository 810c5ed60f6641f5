//! Parts of a payload that several objects have.

use std::io::{Read, Write};

use engine::Result;
use engine::serial::{Sink, Source};
use simulator::layout::{Layout, Margin, Place};
use simulator::network::Shape;
use simulator::program::ValueInfo;

/// Records that memory is taken for before any of them is there.
const AT_ONCE: usize = 4096;
/// Longest name, in bytes.
const NAME_BYTES: usize = 1024;

/// A number that is written with 32 bits.
pub(crate) fn put(sink: &mut Sink<impl Write>, what: &'static str, value: usize) -> Result<()> {
    let fits = u32::try_from(value);
    sink.u32(fits.map_err(|_| engine::Error::argument(what, value, "below 2^32"))?)
}

/// The same, read.
pub(crate) fn get(source: &mut Source<impl Read>) -> Result<usize> {
    Ok(source.u32()? as usize)
}

/// A level, written with 16 bits.
pub(crate) fn put_level(sink: &mut Sink<impl Write>, level: usize) -> Result<()> {
    let fits = u16::try_from(level);
    sink.u16(fits.map_err(|_| engine::Error::argument("level", level, "below 2^16"))?)
}

/// The same, read.
pub(crate) fn get_level(source: &mut Source<impl Read>) -> Result<usize> {
    Ok(usize::from(source.u16()?))
}

/// Whether something is so.
pub(crate) fn get_flag(source: &mut Source<impl Read>, what: &str) -> Result<bool> {
    match source.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(source.error(format!("{what} is {other}, expected 0 or 1"))),
    }
}

/// A name: its length and its bytes.
pub(crate) fn put_name(sink: &mut Sink<impl Write>, name: &str) -> Result<()> {
    if name.len() > NAME_BYTES {
        let expected = format!("at most {NAME_BYTES} bytes");
        return Err(engine::Error::argument("length of a name", name.len(), expected));
    }
    put(sink, "length of a name", name.len())?;
    sink.bytes(name.as_bytes())
}

/// The same, read.
pub(crate) fn get_name(source: &mut Source<impl Read>) -> Result<String> {
    let length = get(source)?;
    if length > NAME_BYTES {
        let reason = format!("a name has {length} bytes, expected at most {NAME_BYTES}");
        return Err(source.error(reason));
    }
    let mut bytes = vec![0; length];
    source.bytes(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| source.error("a name is not UTF-8"))
}

/// Reads `count` parts of at least `least` bytes each. Memory is taken as they arrive: a declared length is only a bound.
pub(crate) fn get_list<R: Read, T>(
    source: &mut Source<R>,
    count: usize,
    least: usize,
    mut one: impl FnMut(&mut Source<R>) -> Result<T>,
) -> Result<Vec<T>> {
    source.need((count as u64).saturating_mul(least as u64))?;
    let mut all = Vec::with_capacity(count.min(AT_ONCE / size_of::<T>().max(1)));
    for _ in 0..count {
        all.push(one(source)?);
    }
    all.shrink_to_fit();
    Ok(all)
}

/// Reads `count` records of `N` bytes each, many at a time.
pub(crate) fn get_records<R: Read, T, const N: usize>(
    source: &mut Source<R>,
    count: usize,
    one: impl Fn(&[u8; N]) -> T,
) -> Result<Vec<T>> {
    source.need((count as u64).saturating_mul(N as u64))?;
    let mut all = Vec::with_capacity(count.min(AT_ONCE));
    let mut buffer = vec![0; N * count.min(AT_ONCE)];
    while all.len() < count {
        let bytes = &mut buffer[..N * (count - all.len()).min(AT_ONCE)];
        source.bytes(bytes)?;
        all.extend(bytes.as_chunks::<N>().0.iter().map(&one));
    }
    all.shrink_to_fit();
    Ok(all)
}

/// Writes records of `N` bytes each, many at a time.
pub(crate) fn put_records<T, const N: usize>(
    sink: &mut Sink<impl Write>,
    all: &[T],
    one: impl Fn(&T) -> [u8; N],
) -> Result<()> {
    let mut buffer = Vec::with_capacity(N * all.len().min(AT_ONCE));
    for some in all.chunks(AT_ONCE) {
        buffer.clear();
        buffer.extend(some.iter().flat_map(&one));
        sink.bytes(&buffer)?;
    }
    Ok(())
}

/// Numbers below 2^32, with how many there are.
pub(crate) fn put_numbers(
    sink: &mut Sink<impl Write>,
    what: &'static str,
    all: impl ExactSizeIterator<Item = usize>,
) -> Result<()> {
    put(sink, what, all.len())?;
    for value in all {
        put(sink, what, value)?;
    }
    Ok(())
}

/// The same, read.
pub(crate) fn get_numbers(source: &mut Source<impl Read>) -> Result<Vec<usize>> {
    let count = get(source)?;
    get_records(source, count, |bytes| u32::from_le_bytes(*bytes) as usize)
}

/// Level and scale.
pub(crate) fn put_info(sink: &mut Sink<impl Write>, info: ValueInfo) -> Result<()> {
    put_level(sink, info.level)?;
    sink.f64(info.scale)
}

/// The same, read, and not checked.
pub(crate) fn get_info(source: &mut Source<impl Read>) -> Result<ValueInfo> {
    Ok(ValueInfo { level: get_level(source)?, scale: source.f64()? })
}

/// The shape of a map.
pub(crate) fn put_shape(sink: &mut Sink<impl Write>, shape: Shape) -> Result<()> {
    let Shape { channels, height, width } = shape;
    [channels, height, width].into_iter().try_for_each(|v| put(sink, "extent of a map", v))
}

/// The same, read. Extents of more than [`simulator::network::MOST_VALUES`] together are refused.
pub(crate) fn get_shape(source: &mut Source<impl Read>) -> Result<Shape> {
    let shape = Shape::new(get(source)?, get(source)?, get(source)?);
    let Shape { channels, height, width } = shape;
    let values = channels.checked_mul(height).and_then(|v| v.checked_mul(width));
    let most = simulator::layout::MAX_VALUES;
    if values.is_none_or(|v| v > most) {
        return Err(source.error(format!("a map is {shape}, expected at most {most} values")));
    }
    Ok(shape)
}

/// A layout of what a client sends or receives: every channel of it is there.
pub(crate) fn put_layout(sink: &mut Sink<impl Write>, layout: &Layout) -> Result<()> {
    assert!(layout.unread.is_empty(), "images and results are read whole");
    put_shape(sink, layout.shape)?;
    put(sink, "channels", layout.channels.len())?;
    for place in &layout.channels {
        put(sink, "ciphertext of a channel", place.ct)?;
        put(sink, "base of a channel", place.base)?;
    }
    let Layout { phases, row, col, tile, period, margin, .. } = *layout;
    for value in [phases, row, col, tile, period, margin.before, margin.after] {
        put(sink, "number of a layout", value)?;
    }
    sink.u8(u8::from(layout.inner))?;
    sink.u8(u8::from(layout.spread))?;
    sink.u8(u8::from(layout.clean))
}

/// The same, read and checked, in ciphertexts of so many slots.
pub(crate) fn get_layout(source: &mut Source<impl Read>, slots: usize) -> Result<Layout> {
    let shape = get_shape(source)?;
    let count = get(source)?;
    let channels = get_records(source, count, |bytes: &[u8; 8]| {
        let [a, b, c, d, e, f, g, h] = *bytes;
        let [ct, base] = [[a, b, c, d], [e, f, g, h]].map(|v| u32::from_le_bytes(v) as usize);
        Place { ct, base }
    })?;
    let layout = Layout {
        slots,
        shape,
        channels,
        phases: get(source)?,
        row: get(source)?,
        col: get(source)?,
        tile: get(source)?,
        period: get(source)?,
        margin: Margin { before: get(source)?, after: get(source)? },
        inner: get_flag(source, "whether channels are innermost")?,
        spread: get_flag(source, "whether channels are spread")?,
        clean: get_flag(source, "whether a layout is clean")?,
        unread: Default::default(),
        shared: Vec::new(),
    };
    layout.check().map_err(|e| source.error(e.to_string()))?;
    Ok(layout)
}
