//! The header of a weights file on this machine: the same shape as a server
//! tells, for one that does not tell it.
//!
//! A file is untrusted, whoever wrote it. Nothing is allocated by a length it
//! names, each list is walked and not held, and no more than the header is
//! read. Opened are only regular files named by their digest in a models
//! folder that the caller gives; never a path that came from a server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};

use super::metadata::{MOST_LAYERS, Metadata, Value};
use crate::domain::shape::Shape;
use crate::domain::tensors::{MOST_DIMENSIONS, MOST_TENSORS, TensorType, Tensors};
use crate::domain::{BlobDigest, Bytes};

/// The largest vocabularies with their scores and merges take a fifth of it.
const LONGEST_HEADER: u64 = 64 << 20;

/// The longest text skipped: templates of prompts are some tens of kilobytes.
const LONGEST_TEXT: u64 = 1 << 20;

/// The longest name kept: ggml's own names of tensors end at 64 bytes.
const LONGEST_NAME: u64 = 256;

/// Real files have some fifty.
const MOST_KEYS: u64 = 65_536;

/// Lists of lists are allowed, and nobody writes them.
const DEEPEST: u32 = 4;

/// The shape of the model whose weights have this digest. An error where no
/// folder has them, or where their header is none or does not tell it.
pub fn shape(folders: &[PathBuf], blob: &BlobDigest, capabilities: &[String]) -> io::Result<Shape> {
    let (file, _) = open(folders, blob)?;
    read(file, capabilities)
}

/// How large the file with this digest is; an error where no folder has it.
pub fn size(folders: &[PathBuf], blob: &BlobDigest) -> io::Result<Bytes> {
    open(folders, blob).map(|(_, size)| size)
}

/// The first folder that has it. Never waits: what is no regular file, or a
/// link, is none.
fn open(folders: &[PathBuf], blob: &BlobDigest) -> io::Result<(File, Bytes)> {
    let name = format!("sha256-{}", blob.as_str());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for folder in folders.iter().filter(|folder| folder.is_absolute()) {
        let path = folder.join("blobs").join(&name);
        let Ok(opened) = rustix::fs::open(&path, flags, Mode::empty()) else { continue };
        let file = File::from(opened);
        let about = file.metadata()?;
        if about.is_file() {
            return Ok((file, Bytes::new(about.len())));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no models folder has this file"))
}

/// Reads a header from its first byte.
fn read(source: impl Read, capabilities: &[String]) -> io::Result<Shape> {
    let mut header = Header(BufReader::new(source).take(LONGEST_HEADER));
    if header.bytes::<4>()? != *b"GGUF" {
        return Err(wrong("no GGUF file"));
    }
    // Version 1 counted in 32 bits and was given up within weeks.
    if !matches!(header.u32()?, 2 | 3) {
        return Err(wrong("a version of GGUF that is not known"));
    }
    let tensor_count = header.count(MOST_TENSORS as u64, "too many tensors")?;
    let key_count = header.count(MOST_KEYS, "too many keys")?;
    let mut metadata = Metadata::default();
    for _ in 0..key_count {
        let key = header.text(LONGEST_NAME)?;
        let kind = header.u32()?;
        match key.filter(|key| Metadata::wants(key)) {
            Some(key) => {
                if let Some(value) = header.value(kind)? {
                    metadata.insert(key, value);
                }
            }
            None => header.skip_value(kind, 0)?,
        }
    }
    let mut tensors = Tensors::default();
    for _ in 0..tensor_count {
        header.tensor(&mut tensors)?;
    }
    metadata
        .shape(tensors, capabilities)
        .ok_or_else(|| wrong("the header does not tell the model's shape"))
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What is left of the header.
struct Header<R: Read>(io::Take<BufReader<R>>);

impl<R: Read> Header<R> {
    fn bytes<const LENGTH: usize>(&mut self) -> io::Result<[u8; LENGTH]> {
        let mut bytes = [0; LENGTH];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> io::Result<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn count(&mut self, most: u64, beyond: &'static str) -> io::Result<u64> {
        let count = self.u64()?;
        if count > most { Err(wrong(beyond)) } else { Ok(count) }
    }

    fn skip(&mut self, mut length: u64) -> io::Result<()> {
        while length > 0 {
            let here = self.0.fill_buf()?.len();
            if here == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let step = here.min(usize::try_from(length).unwrap_or(usize::MAX));
            self.0.consume(step);
            length = length.saturating_sub(step as u64);
        }
        Ok(())
    }

    /// A text, or `None` where it is longer than what is worth keeping.
    fn text(&mut self, most: u64) -> io::Result<Option<String>> {
        let length = self.count(LONGEST_TEXT, "a text without end")?;
        if length > most {
            return self.skip(length).map(|()| None);
        }
        let mut text = Vec::new();
        let read = self.0.by_ref().take(length).read_to_end(&mut text)?;
        if read as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }

    /// A value that matters, or `None` where it says nothing.
    fn value(&mut self, kind: u32) -> io::Result<Option<Value>> {
        match kind {
            TEXT => Ok(self.text(LONGEST_NAME)?.map(Value::Word)),
            LIST => self.list(),
            BOOL => Ok(Some(Value::Truth(self.bytes::<1>()? != [0]))),
            _ => Ok(self.number(kind)?.map(Value::Count)),
        }
    }

    /// A number that is a count; negative ones and fractions are none.
    fn number(&mut self, kind: u32) -> io::Result<Option<u64>> {
        let [byte] = if length_of(kind) == Some(1) { self.bytes()? } else { [0] };
        Ok(match kind {
            U8 => Some(u64::from(byte)),
            I8 => u64::try_from(i8::from_le_bytes([byte])).ok(),
            U16 => Some(u64::from(self.bytes().map(u16::from_le_bytes)?)),
            I16 => u64::try_from(self.bytes().map(i16::from_le_bytes)?).ok(),
            U32 => Some(u64::from(self.u32()?)),
            I32 => u64::try_from(self.bytes().map(i32::from_le_bytes)?).ok(),
            U64 => Some(self.u64()?),
            I64 => u64::try_from(self.bytes().map(i64::from_le_bytes)?).ok(),
            F32 => self.skip(4).map(|()| None)?,
            F64 => self.skip(8).map(|()| None)?,
            _ => return Err(wrong("a value of a type that is not known")),
        })
    }

    fn list(&mut self) -> io::Result<Option<Value>> {
        let kind = self.u32()?;
        let length = self.u64()?;
        let kept = length.min(MOST_LAYERS as u64);
        match kind {
            TEXT | LIST | F32 | F64 => {
                self.skip_entries(kind, length, 0)?;
                Ok((kind == TEXT).then_some(Value::Length(length)))
            }
            BOOL => {
                let truths = (0..kept).map(|_| self.bytes::<1>().map(|byte| byte != [0]));
                let truths = truths.collect::<io::Result<Vec<bool>>>()?;
                self.skip(length - kept)?;
                Ok(Some(Value::Truths(truths)))
            }
            _ => {
                let counts = (0..kept).map(|_| self.number(kind));
                let counts = counts.collect::<io::Result<Vec<_>>>()?;
                self.skip_entries(kind, length - kept, 0)?;
                Ok(Some(Value::Counts(counts)))
            }
        }
    }

    fn skip_value(&mut self, kind: u32, depth: u32) -> io::Result<()> {
        match kind {
            TEXT => self.text(0).map(drop),
            LIST => {
                let kind = self.u32()?;
                let length = self.u64()?;
                self.skip_entries(kind, length, depth)
            }
            _ => self.skip_entries(kind, 1, depth),
        }
    }

    /// Each entry takes some bytes, so the header's limit ends any list.
    fn skip_entries(&mut self, kind: u32, count: u64, depth: u32) -> io::Result<()> {
        if let Some(length) = length_of(kind) {
            let all = count.checked_mul(length).ok_or_else(|| wrong("a list without end"))?;
            return self.skip(all);
        }
        if !matches!(kind, TEXT | LIST) {
            return Err(wrong("a value of a type that is not known"));
        }
        if kind == LIST && depth >= DEEPEST {
            return Err(wrong("lists within lists"));
        }
        for _ in 0..count {
            self.skip_value(kind, depth + 1)?;
        }
        Ok(())
    }

    fn tensor(&mut self, tensors: &mut Tensors) -> io::Result<()> {
        let name = self.text(LONGEST_NAME)?.ok_or_else(|| wrong("a name without end"))?;
        let rank = self.u32()? as usize;
        let mut lengths = [0; MOST_DIMENSIONS];
        let lengths = lengths.get_mut(..rank).ok_or_else(|| wrong("too many dimensions"))?;
        for length in lengths.iter_mut() {
            *length = self.u64()?;
        }
        let kind = TensorType::numbered(self.u32()?);
        // Where its bytes begin.
        self.skip(8)?;
        tensors.add(&name, kind, lengths);
        Ok(())
    }
}

// GGUF's numbers of types of values.
const U8: u32 = 0;
const I8: u32 = 1;
const U16: u32 = 2;
const I16: u32 = 3;
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const LIST: u32 = 9;
const U64: u32 = 10;
const I64: u32 = 11;
const F64: u32 = 12;

/// Bytes of a value, where all of its type have the same.
fn length_of(kind: u32) -> Option<u64> {
    match kind {
        U8 | I8 | BOOL => Some(1),
        U16 | I16 => Some(2),
        U32 | I32 | F32 => Some(4),
        U64 | I64 | F64 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
