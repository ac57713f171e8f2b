//! What a hub answers: status, headers, and a body that may be a model's description.

use igpt_tools::hub::answer;

/// The first two bytes are the status; lines `name: value` up to an empty one are headers; the rest is the body.
pub fn hub(data: &[u8]) -> bool {
    let Some((&[high, low], rest)) = data.split_first_chunk::<2>() else {
        return false;
    };
    let end = rest.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&rest[..end], &rest[end + 2..]),
        None => (rest, &[][..]),
    };
    let headers: Vec<(&[u8], &[u8])> = head
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
        .collect();
    let status = 100 + u16::from_be_bytes([high, low]) % 500;
    let Ok(files) = answer::read(status, &headers, &String::from_utf8_lossy(body)) else {
        return false;
    };
    // A name becomes part of a path: none may lead out of its folder.
    assert!(files.iter().all(|file| !file.contains('/') && file != ".."));
    true
}
