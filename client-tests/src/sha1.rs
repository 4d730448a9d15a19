//! SHA-1 of a script's text: the name under which servers remember it.

/// The digest in hexadecimal digits.
pub fn hexadecimal(text: &[u8]) -> String {
    let mut padded = text.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - text.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len();
    padded[end - 8..].copy_from_slice(&(text.len() as u64 * 8).to_be_bytes());
    let start = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let digest = padded.chunks_exact(64).fold(start, add_block);
    digest.map(|word| format!("{word:08x}")).concat()
}

fn add_block(digest: [u32; 5], block: &[u8]) -> [u32; 5] {
    let mut state = digest;
    for (round, word) in schedule(block).into_iter().enumerate() {
        let [first, x, y, z, last] = state;
        let (mixed, constant) = match round / 20 {
            0 => ((x & y) | (!x & z), 0x5a82_7999),
            1 => (x ^ y ^ z, 0x6ed9_eba1),
            2 => ((x & y) | (x & z) | (y & z), 0x8f1b_bcdc),
            _ => (x ^ y ^ z, 0xca62_c1d6_u32),
        };
        let rotated = first.rotate_left(5);
        let sum = [mixed, last, constant, word].into_iter().fold(rotated, u32::wrapping_add);
        state = [sum, first, x.rotate_left(30), y, z];
    }
    state.iter_mut().zip(digest).for_each(|(sum, before)| *sum = sum.wrapping_add(before));
    state
}

fn schedule(block: &[u8]) -> [u32; 80] {
    let mut words = [0; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().expect("a chunk has four bytes"));
    }
    for at in 16..80 {
        words[at] =
            (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn digests_are_those_of_the_standard() {
        for (text, digest) in [
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("return 1", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
            ),
        ] {
            assert_eq!(hexadecimal(text.as_bytes()), digest, "{text}");
        }
        assert_eq!(hexadecimal(&vec![b'a'; 1_000_000]), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }
}
