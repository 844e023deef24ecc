//! The bytes of `kern.proc.all`: one `kinfo_proc` for each process.
//!
//! It tells parent, user and start time of every user's processes in one call
//! and without privilege, which the calls for single processes do not. Neither
//! libc nor mach2 has the structure, so its offsets are here, and are proved on
//! our own entry each time: an unexpected layout is a fault, not garbage.

use crate::domain::process::ProcessKey;
use crate::domain::sample::Reading;

use super::{malformed, text, u32_at, u64_at};

/// One process of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: ProcessKey,
    pub parent: u32,
    pub uid: u32,
    /// At most 16 bytes of the executable's name, cleaned.
    pub name: String,
    pub is_zombie: bool,
}

/// Who we are, to check the layout by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub pid: u32,
    pub parent: u32,
    pub uid: u32,
}

/// The size of a `kinfo_proc` on 64-bit systems, unchanged since 10.5.
pub const ENTRY_SIZE: usize = 648;

// Offsets inside an entry: `kp_proc` begins at 0, `kp_eproc` at 296.
pub(super) const STARTED_SECONDS: usize = 0;
pub(super) const STARTED_MICROSECONDS: usize = 8;
pub(super) const STATE: usize = 36;
pub(super) const PID: usize = 40;
pub(super) const NAME: usize = 243;
pub(super) const UID: usize = 420;
pub(super) const PARENT: usize = 560;

const NAME_LENGTH: usize = 17;

/// `SZOMB` of `sys/proc.h`.
pub(super) const ZOMBIE: u8 = 5;

/// Every process of the list, or a fault where it is not laid out as we know.
pub fn parse(bytes: &[u8], own: Identity) -> Reading<Vec<Listed>> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(ENTRY_SIZE) {
        return Err(malformed(format!(
            "kern.proc.all: {} bytes are not entries of {ENTRY_SIZE}",
            bytes.len()
        )));
    }
    let processes: Vec<Listed> = bytes.chunks_exact(ENTRY_SIZE).filter_map(entry).collect();
    let is_known = processes.iter().any(|listed| {
        listed.key.pid == own.pid && listed.parent == own.parent && listed.uid == own.uid
    });
    if is_known {
        Ok(processes)
    } else {
        Err(malformed("kern.proc.all: our own entry is not in it as it should be"))
    }
}

/// The kernel's own process, pid 0, is none of ours.
fn entry(bytes: &[u8]) -> Option<Listed> {
    let pid = u32_at(bytes, PID).filter(|pid| *pid != 0)?;
    let seconds = u64_at(bytes, STARTED_SECONDS)?;
    let microseconds = u64::from(u32_at(bytes, STARTED_MICROSECONDS)?);
    Some(Listed {
        key: ProcessKey {
            pid,
            started: seconds.saturating_mul(1_000_000).saturating_add(microseconds),
        },
        parent: u32_at(bytes, PARENT)?,
        uid: u32_at(bytes, UID)?,
        name: text(bytes.get(NAME..NAME + NAME_LENGTH)?),
        is_zombie: *bytes.get(STATE)? == ZOMBIE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::FaultKind;
    use crate::sense::mach::tests::{OWN, listed, listing};

    #[test]
    fn entries_are_read_and_the_kernel_is_left_out() {
        let mut processes = vec![listed(700, 1, "ollama"), listed(OWN.pid, OWN.parent, "plimsoll")];
        processes[0].uid = 0;
        processes[0].is_zombie = true;
        let mut bytes = listing(&processes);
        bytes.extend(listing(&[listed(0, 0, "kernel_task")]));
        assert_eq!(parse(&bytes, OWN), Ok(processes));
    }

    #[test]
    fn a_name_fills_its_field_and_is_cleaned() {
        let bytes = listing(&[
            listed(OWN.pid, OWN.parent, "plimsoll"),
            listed(9, 1, "a-very-long-name\u{7}and more"),
        ]);
        let names: Vec<String> =
            parse(&bytes, OWN).unwrap().into_iter().map(|listed| listed.name).collect();
        assert_eq!(names, ["plimsoll", "a-very-long-name"]);
    }

    #[test]
    fn another_layout_is_a_fault() {
        let own = listing(&[listed(OWN.pid, OWN.parent, "plimsoll")]);
        let mut longer = own.clone();
        longer.extend([0; 8]);
        let mut shifted = vec![0; 8];
        shifted.extend(&own[..ENTRY_SIZE - 8]);
        for wrong in [&[][..], &longer, &shifted, &own[..ENTRY_SIZE - 1]] {
            assert_eq!(
                parse(wrong, OWN).map_err(|fault| fault.kind),
                Err(FaultKind::Malformed),
                "{} bytes",
                wrong.len()
            );
        }
        let stranger = Identity { uid: 77, ..OWN };
        assert!(parse(&own, stranger).is_err());
    }
}
