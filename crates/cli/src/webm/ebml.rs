//! Elements in memory: RFC 8794.

/// An element's id and size.
pub(super) struct Head {
    pub(super) id: u32,
    /// Of the data; `None` is unknown: it ends where a sibling of its parent begins.
    pub(super) size: Option<u64>,
    /// Its own length.
    pub(super) bytes: usize,
}

pub(super) enum HeadError {
    /// More bytes are needed.
    Short,
    Malformed,
}

/// The head that these bytes begin with.
pub(super) fn head(bytes: &[u8]) -> Result<Head, HeadError> {
    let first = bytes.first().ok_or(HeadError::Short)?;
    let id_bytes = first.leading_zeros() as usize + 1;
    if id_bytes > 4 {
        return Err(HeadError::Malformed);
    }
    let id = bytes.get(..id_bytes).ok_or(HeadError::Short)?;
    let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let rest = &bytes[id_bytes..];
    if rest.first() == Some(&0) {
        return Err(HeadError::Malformed);
    }
    let (size, size_bytes) = vint(rest).ok_or(HeadError::Short)?;
    let unknown = (1 << (7 * size_bytes)) - 1;
    Ok(Head {
        id,
        size: (size != unknown).then_some(size),
        bytes: id_bytes + size_bytes,
    })
}

/// A variable-size integer at the beginning of these bytes, and how many of them it takes.
pub(super) fn vint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let rest = bytes.get(1..length).filter(|_| length <= 8)?;
    let value = u64::from(first) & (0xFF >> length);
    let value = rest
        .iter()
        .fold(value, |value, byte| value << 8 | u64::from(*byte));
    Some((value, length))
}

pub(super) struct ChildRange {
    start: usize,
    pub(super) data: usize,
    pub(super) end: usize,
}

impl ChildRange {
    pub(super) fn data(&self) -> std::ops::Range<usize> {
        self.data..self.end
    }

    pub(super) fn whole(&self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}

/// The children of a master element in memory; ends at the first that is torn.
pub(super) fn children(data: &[u8]) -> impl Iterator<Item = (u32, ChildRange)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let mut number = |keep_marker: bool| -> Option<u64> {
            let first = *data.get(at)?;
            let length = first.leading_zeros() as usize;
            let bytes = data.get(at..at + length + 1).filter(|_| length < 8)?;
            at += length + 1;
            let value = bytes
                .iter()
                .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            let marker = 1_u64 << (7 * (length + 1));
            Some(if keep_marker {
                value
            } else {
                value & (marker - 1)
            })
        };
        let id = u32::try_from(number(true)?).ok()?;
        let size = usize::try_from(number(false)?).ok()?;
        let range = ChildRange {
            start,
            data: at,
            end: at.checked_add(size).filter(|end| *end <= data.len())?,
        };
        at = range.end;
        Some((id, range))
    })
}

pub(super) fn uint(data: &[u8]) -> u64 {
    data.iter()
        .take(8)
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub(super) fn master(id: u32, data: &[u8]) -> Vec<u8> {
    [master_prefix(id, data.len() as u64).as_slice(), data].concat()
}

/// A four-byte id and an eight-byte size.
pub(super) fn master_prefix(id: u32, size: u64) -> Vec<u8> {
    let mut prefix = id.to_be_bytes().to_vec();
    prefix.extend_from_slice(&(size | 1 << 56).to_be_bytes());
    prefix
}

/// An element with the shortest id and a size of one, two or eight bytes.
pub(super) fn element(out: &mut Vec<u8>, id: u32, data: &[u8]) {
    let id = id.to_be_bytes();
    out.extend(id.iter().skip_while(|byte| **byte == 0));
    match data.len() {
        size @ 0..=0x7E => out.push(size as u8 | 0x80),
        size @ 0x7F..=0x3FFE => out.extend_from_slice(&(size as u16 | 0x4000).to_be_bytes()),
        size => out.extend_from_slice(&(size as u64 | 1 << 56).to_be_bytes()),
    }
    out.extend_from_slice(data);
}
