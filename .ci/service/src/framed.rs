//! Messages as the connectconformance runner writes them: behind their length in four bytes.

use std::io::{self, ErrorKind, Read, Write};

use prost::Message;

/// The next message of standard input; none where it ends.
pub(crate) fn read<M: Message + Default>() -> anyhow::Result<Option<M>> {
    let mut input = io::stdin().lock();
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut message = vec![0; u32::from_be_bytes(length).try_into()?];
    input.read_exact(&mut message)?;
    Ok(Some(M::decode(&message[..])?))
}

/// Writes `message` to standard output, whole before any other.
pub(crate) fn write(message: &impl Message) -> anyhow::Result<()> {
    let message = message.encode_to_vec();
    let mut output = io::stdout().lock();
    output.write_all(&u32::try_from(message.len())?.to_be_bytes())?;
    output.write_all(&message)?;
    Ok(output.flush()?)
}
