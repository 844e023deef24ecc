//! A recorded machine of 16 GiB that tells nothing but its memory, a sample a
//! second.

use serde_json::json;

/// The text of a recording in which so many GiB are available, sample by
/// sample.
pub fn recording(available_gib: &[u64]) -> String {
    let gib = 1024 * 1024 * 1024;
    let absent = json!({"Err": {"detail": "not here", "kind": "absent"}});
    let host = json!({"name": "there", "system": "Linux", "kernel": "6.1"});
    let head = json!({"format": "plimsoll recording", "version": 1, "host": host});
    let sample = |(second, available): (usize, &u64)| {
        let wall = format!("2026-03-01T10:00:{second:02}Z");
        let sample = json!({
            "at": {"mono_ms": 7000 + second * 1000, "wall": wall},
            "memory": {"Ok": {
                "total": 16 * gib, "available": available * gib, "available_source": "kernel",
                "free": available * gib / 2,
                "parts": {"system": "linux", "anonymous": null, "cached": null, "shared": null,
                          "slab_unreclaimable": null},
            }},
            "swap": absent, "pressure": absent, "paging": absent, "zram": absent,
            "limit": absent, "gpus": absent, "processes": absent,
        });
        format!("{}\n", json!({ "s": sample }))
    };
    let samples: String = available_gib.iter().enumerate().map(sample).collect();
    format!("{head}\n{samples}")
}
