//! Services: against a fake manager.

use super::*;

/// A manager that writes its words down and does as `script` says.
fn manager(folder: &Path, script: &str) -> Units {
    let program = folder.join("systemctl");
    let words = folder.join("words");
    let text = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\n{script}\n", words.display());
    fs::write(&program, text).expect("the folder is ours");
    let may_run = PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, may_run).expect("the file is ours");
    Units { systemctl: program.display().to_string(), patience: AMPLE, own_groups: String::new() }
}

fn words(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join("words")).ok().map(|words| words.trim().replace('\n', " "))
}

#[tokio::test]
async fn a_service_is_told_by_words() {
    let folder = tempfile::tempdir().unwrap();
    let units = manager(folder.path(), "");
    let deed = Deed::Limit { to: Bytes::gib(2) };
    assert_eq!(units.carry_out("jelly@1.service", true, &deed).await.unwrap(), None);
    let expected = "--user --no-ask-password --no-pager set-property --runtime \
                    jelly@1.service MemoryHigh=2147483648";
    assert_eq!(words(folder.path()).as_deref(), Some(expected));
}

#[tokio::test]
async fn a_managers_refusal_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let units = manager(folder.path(), "printf 'Unit a\\033[1m not loaded.\\n' >&2; exit 5");
    let refused = units.carry_out("a.service", false, &Deed::Stop).await.unwrap_err();
    let program = folder.path().join("systemctl");
    let expected = format!("`{}` ended with 5: Unit a[1m not loaded.", program.display());
    assert_eq!(refused.to_string(), expected);
    let nowhere = folder.path().join("nowhere").display().to_string();
    let units = Units { systemctl: nowhere, ..units };
    let refused = units.carry_out("a.service", false, &Deed::Stop).await.unwrap_err();
    assert!(refused.to_string().ends_with("cannot be started"), "{refused}");
}

#[tokio::test]
async fn a_manager_that_takes_long_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Duration::from_millis(300);
    let units = Units { patience, ..manager(folder.path(), "exec sleep 60") };
    let refused = units.carry_out("a.service", false, &Deed::Restart).await.unwrap_err();
    assert_eq!(refused.to_string(), "not done within 0.3 s; the manager goes on with it");
}

#[tokio::test]
async fn a_unit_that_must_run_is_refused_before_the_manager_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut units = manager(folder.path(), "");
    units.own_groups = "0::/system.slice/plimsoll.service\n".into();
    for name in ["sshd.service", "user@0.service", "plimsoll.service", "a b.service", "--all"] {
        for deed in [Deed::Stop, Deed::Pause, Deed::Restart, Deed::Limit { to: Bytes::gib(1) }] {
            let refused = units.carry_out(name, false, &deed).await;
            let is_refused = matches!(
                refused,
                Err(UnitFault::Protected(_) | UnitFault::Own(_) | UnitFault::Name(_))
            );
            assert!(is_refused, "{name}: {refused:?}");
        }
    }
    assert_eq!(words(folder.path()), None);
}
