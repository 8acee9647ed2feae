//! Mutations: chosen by a seeded generator, or read from a fuzzer's bytes.

/// SplitMix64 (Steele, Lea, Flood 2014): enough for choosing where to break things.
#[derive(Debug, Clone)]
pub struct Mutator(u64);

impl Mutator {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit.max(1) as u64) as usize
    }

    /// Random bytes now and then, otherwise a seed with one to four changes; one in 32 stays as it is.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(16) == 0 || seeds.is_empty() {
            let len = self.below(200);
            return (0..len).map(|_| self.draw() as u8).collect();
        }
        let mut bytes = seeds[self.below(seeds.len())].clone();
        if self.below(32) == 0 {
            return bytes;
        }
        let other = self.below(seeds.len());
        for _ in 0..=self.below(4) {
            let edit = Edit {
                kind: self.draw() as u8,
                at: self.draw() as u16,
                value: self.draw() as u16,
            };
            edit.apply(&mut bytes, &seeds[other]);
        }
        bytes
    }
}

/// One change to a byte string.
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    pub kind: u8,
    pub at: u16,
    pub value: u16,
}

/// What lengths, tags and texts are made of at their edges.
const EDGES: [u8; 16] = [
    0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xff, b'"', b'{', b'}', b'[', b',', b'.', b'0', b'-',
];

impl Edit {
    /// Edits from a fuzzer's bytes, five for each.
    pub fn read(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        bytes.chunks_exact(5).map(|raw| Self {
            kind: raw[0],
            at: u16::from_be_bytes([raw[1], raw[2]]),
            value: u16::from_be_bytes([raw[3], raw[4]]),
        })
    }

    pub fn apply(self, bytes: &mut Vec<u8>, other: &[u8]) {
        let value = usize::from(self.value);
        // Heads are parsed, what follows is mostly authenticated: every other change is near the head.
        let reach = if self.kind & 0x80 == 0 {
            64
        } else {
            usize::MAX
        };
        let at = usize::from(self.at) % bytes.len().min(reach).max(1);
        let to = (at + 1 + value % 64).min(bytes.len());
        match self.kind % 8 {
            _ if bytes.is_empty() => bytes.push(value as u8),
            0 | 1 => bytes[at] ^= 1 << (value % 8),
            2 => bytes[at] = EDGES[value % EDGES.len()],
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..to)),
            5 => {
                let repeated = bytes[at..to].to_vec();
                bytes.splice(at..at, repeated);
            }
            6 => bytes[at] = value as u8,
            _ => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[value % other.len().max(1)..]);
            }
        }
    }
}
