//! Gzip as Python and the command `gzip` read it: members one after the other, zeros behind them.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// What all the members hold.
///
/// `flate2::bufread::MultiGzDecoder` takes the zeros, with which tapes and disks fill their blocks, for a
/// member's header and refuses them.
pub(super) struct Members<R> {
    /// None at the end.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    /// Of a stream that begins with a member.
    pub(super) fn new(stream: R) -> Self {
        Self {
            member: Some(GzDecoder::new(stream)),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        while let Some(mut member) = self.member.take() {
            let count = member.read(bytes)?;
            if count > 0 {
                self.member = Some(member);
                return Ok(count);
            }
            let mut stream = member.into_inner();
            if skip_zeros(&mut stream)? {
                self.member = Some(GzDecoder::new(stream));
            }
        }
        Ok(0)
    }
}

/// Reads on to what is not zero, and whether there is such.
fn skip_zeros(stream: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let ahead = stream.fill_buf()?;
        if ahead.is_empty() {
            return Ok(false);
        }
        let zeros = ahead.iter().take_while(|byte| **byte == 0).count();
        let all = zeros == ahead.len();
        stream.consume(zeros);
        if !all {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};

    use super::*;

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        // A buffer shorter than the padding.
        let stream = BufReader::with_capacity(7, bytes);
        Members::new(stream).read_to_end(&mut found)?;
        Ok(found)
    }

    #[test]
    fn members_with_zeros_between_and_behind_are_one_and_the_rest_is_refused() {
        let member = |bytes: &[u8]| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let (one, none, two) = (member(b"one"), member(b""), member(b"two"));
        for parts in [
            vec![one.clone(), two.clone()],
            vec![one.clone(), none, two.clone(), vec![0; 100]],
            vec![one.clone(), vec![0; 20], two.clone(), vec![0]],
        ] {
            assert_eq!(unpacked(&parts.concat()).unwrap(), b"onetwo");
        }
        for tail in [b"junk".to_vec(), b"\0\0junk".to_vec(), two[..9].to_vec()] {
            assert!(unpacked(&[one.clone(), tail].concat()).is_err());
        }
        let mut damaged = one.clone();
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        assert!(unpacked(&damaged).is_err());
        assert!(unpacked(&one[..one.len() - 1]).is_err());
    }
}
