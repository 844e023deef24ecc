//! Containers: against a fake engine that fails in each way, and a real one
//! where there is one.

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn at(sockets: &[&Path]) -> Containers {
    let sockets = sockets.iter().map(|path| path.to_path_buf()).collect();
    Containers { sockets, patience: AMPLE, own: String::new() }
}

/// A container as an engine describes it, with what it uses.
#[derive(Clone)]
struct Described {
    paused: bool,
    memory: i64,
    swap: i64,
    used: Option<u64>,
}

const ROOMY: Described = Described { paused: false, memory: 0, swap: 0, used: Some(100 << 20) };

/// Answers as an engine does; `orders` answers what is posted.
fn engine(
    socket: &Path,
    described: Described,
    orders: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> Scripted {
    Scripted::on_socket(socket, move |request| {
        if request.starts_with("POST") {
            return orders(request);
        }
        let body = if request.contains("/stats") {
            match described.used {
                Some(used) => {
                    let stats = json!({ "total_inactive_file": 7 << 20 });
                    json!({ "memory_stats": { "usage": used + (7 << 20), "stats": stats } })
                }
                None => json!({ "memory_stats": {} }),
            }
        } else {
            let limits = json!({ "Memory": described.memory, "MemorySwap": described.swap });
            let state = json!({ "Running": true, "Paused": described.paused });
            json!({ "State": state, "HostConfig": limits })
        };
        Answer::Status(200, body.to_string())
    })
}

fn agreed(_: &str) -> Answer {
    Answer::Status(204, String::new())
}

fn posts(engine: &Scripted) -> Vec<String> {
    let posted = |request: &String| {
        request.strip_prefix(&format!("POST /containers/{ID}/")).map(str::to_owned)
    };
    engine.seen().iter().filter_map(posted).collect()
}

#[tokio::test]
async fn each_deed_is_one_order_to_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    for (deed, paused, orders) in [
        (Deed::Pause, false, vec!["pause"]),
        (Deed::Resume, true, vec!["unpause"]),
        (Deed::Resume, false, vec![]),
        (Deed::Stop, false, vec!["stop?t=10"]),
        (Deed::Restart, false, vec!["restart?t=10"]),
        // A paused one cannot obey.
        (Deed::Stop, true, vec!["unpause", "stop?t=10"]),
        (Deed::Restart, true, vec!["unpause", "restart?t=10"]),
    ] {
        let engine = engine(&socket, Described { paused, ..ROOMY }, agreed);
        at(&[&socket]).carry_out(ID, &deed).await.unwrap();
        assert_eq!(posts(&engine), orders, "{deed:?}");
    }
}

#[tokio::test]
async fn a_limit_names_memory_and_swap_together_and_is_taken_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let mib = |mib: i64| mib << 20;
    let none = i64::MAX - 4095;
    for (deed, memory, swap, sent) in [
        (Deed::Limit { to: Bytes::mib(200) }, 0, 0, (mib(200), -1)),
        (Deed::Limit { to: Bytes::mib(200) }, mib(400), mib(400), (mib(200), mib(200))),
        (Deed::Limit { to: Bytes::mib(200) }, mib(400), mib(500), (mib(200), mib(300))),
        (Deed::Unlimit { to: None }, mib(200), -1, (none, -1)),
        (Deed::Unlimit { to: Some(Bytes::mib(400)) }, mib(200), mib(300), (mib(400), mib(500))),
    ] {
        let engine = engine(&socket, Described { memory, swap, ..ROOMY }, agreed);
        at(&[&socket]).carry_out(ID, &deed).await.unwrap();
        let [posted] = &posts(&engine)[..] else { panic!("{:?}", engine.seen()) };
        let body: Value = serde_json::from_str(posted.strip_prefix("update ").unwrap()).unwrap();
        assert_eq!(body, json!({ "Memory": sent.0, "MemorySwap": sent.1 }), "{deed:?}");
    }
}

#[tokio::test]
async fn a_limit_too_near_the_use_is_refused_and_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let least = Bytes::mib(110);
    for (to, used, is_sent) in [
        (least, Some(100 << 20), true),
        (Bytes::new(least.get() - 1), Some(100 << 20), false),
        (Bytes::mib(1), Some(100 << 20), false),
        (Bytes::gib(100), None, false),
        (Bytes::gib(100), Some(u64::MAX >> 11), false),
    ] {
        let engine = engine(&socket, Described { used, ..ROOMY }, agreed);
        let limited = at(&[&socket]).carry_out(ID, &Deed::Limit { to }).await;
        assert_eq!((limited.is_ok(), posts(&engine).len()), (is_sent, usize::from(is_sent)));
        if !is_sent {
            let is_right = match used {
                Some(_) => matches!(limited, Err(ContainerFault::TooTight { .. })),
                None => matches!(limited, Err(ContainerFault::UseUnknown)),
            };
            assert!(is_right, "{limited:?}");
        }
    }
    // Somebody has raised it meanwhile: taking ours back would lower it.
    let raised = Described { memory: 1 << 30, ..ROOMY };
    let engine = engine(&socket, raised, agreed);
    let back = Deed::Unlimit { to: Some(Bytes::mib(50)) };
    let refused = at(&[&socket]).carry_out(ID, &back).await;
    assert!(matches!(refused, Err(ContainerFault::TooTight { .. })), "{refused:?}");
    assert_eq!(posts(&engine), [""; 0]);
}

#[tokio::test]
async fn somebody_elses_pause_is_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let engine = engine(&socket, Described { paused: true, ..ROOMY }, agreed);
    let refused = at(&[&socket]).carry_out(ID, &Deed::Pause).await;
    assert!(matches!(refused, Err(ContainerFault::PausedAlready)), "{refused:?}");
    assert_eq!(posts(&engine), [""; 0]);
}

#[tokio::test]
async fn an_engine_that_is_absent_or_has_left_its_socket_behind_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let [absent, left] = ["absent.sock", "left.sock"].map(|name| folder.path().join(name));
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    let refused = at(&[&absent, &left]).carry_out(ID, &Deed::Pause).await.unwrap_err();
    let ContainerFault::NoEngine(looked) = &refused else { panic!("{refused:?}") };
    assert_eq!(looked, &[absent.clone(), left]);
    assert!(refused.to_string().contains(absent.to_str().unwrap()), "{refused}");
}

#[tokio::test]
async fn an_engine_that_hangs_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let _engine = Scripted::on_socket(&socket, |_| Answer::Silence);
    let hasty = Containers { patience: Duration::from_millis(200), ..at(&[&socket]) };
    let started = Instant::now();
    let refused = hasty.carry_out(ID, &Deed::Stop).await;
    assert!(matches!(refused, Err(ContainerFault::Hangs(..))), "{refused:?}");
    assert!(started.elapsed() < AMPLE);
}

#[tokio::test]
async fn a_container_that_is_gone_is_looked_for_at_the_next_engine() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["1.sock", "2.sock"].map(|name| folder.path().join(name));
    let no_such = |_: &str| Answer::Status(404, r#"{"message":"No such container"}"#.into());
    let lacks = Scripted::on_socket(&first, no_such);
    let refused = at(&[&first]).carry_out(ID, &Deed::Pause).await;
    assert!(matches!(refused, Err(ContainerFault::Gone)), "{refused:?}");
    let has = engine(&second, ROOMY, agreed);
    at(&[&first, &second]).carry_out(ID, &Deed::Pause).await.unwrap();
    assert_eq!((posts(&lacks).len(), posts(&has)), (0, vec!["pause".to_owned()]));
    // Gone between the look and the deed.
    drop(has);
    let goes = engine(&second, ROOMY, no_such);
    let refused = at(&[&second]).carry_out(ID, &Deed::Stop).await;
    assert!(matches!(refused, Err(ContainerFault::Gone)), "{refused:?}");
    // An engine that lacks an order is not one that lacks the container.
    drop(goes);
    let _old = engine(&second, ROOMY, |_| Answer::Status(404, "page not found".into()));
    let refused = at(&[&second]).carry_out(ID, &Deed::Pause).await.unwrap_err();
    assert_eq!(refused.to_string(), "the container engine refuses (404): page not found");
    // What is gone owes nothing.
    let deeds = Deeds { containers: at(&[&first]), ..deeds() };
    let target = Target::Container { id: ID.into(), name: "web".into() };
    for undo in [Deed::Resume, Deed::Unlimit { to: None }] {
        let said = deeds.carry_out("container:web", &target, &undo).await.unwrap();
        assert_eq!(said.as_deref(), Some("the container is gone"));
    }
    let refused = deeds.carry_out("container:web", &target, &Deed::Stop).await;
    assert!(matches!(refused, Err(DeedFault::Container(ContainerFault::Gone))), "{refused:?}");
}

#[tokio::test]
async fn an_engine_that_hangs_leaves_the_next_one_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["1.sock", "2.sock"].map(|name| folder.path().join(name));
    let _hangs = Scripted::on_socket(&first, |_| Answer::Silence);
    let has = engine(&second, ROOMY, agreed);
    // A third of it goes to the first.
    let patience = Duration::from_secs(6);
    let containers = Containers { patience, ..at(&[&first, &second]) };
    containers.carry_out(ID, &Deed::Pause).await.unwrap();
    assert_eq!(posts(&has), ["pause"]);
}

#[tokio::test]
async fn an_engines_refusal_is_kept_cleaned() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let refuses = |_: &str| {
        let message = "Cannot update\u{1b}[31m: memory\nswap limit";
        Answer::Status(409, json!({ "message": message }).to_string())
    };
    let _engine = engine(&socket, ROOMY, refuses);
    let refused = at(&[&socket]).carry_out(ID, &Deed::Limit { to: Bytes::gib(1) }).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the container engine refuses (409): Cannot update[31m: memory swap limit"
    );
}

#[tokio::test]
async fn an_answer_of_another_program_is_no_container() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    for body in ["", "<html>", "{}", "[1]", "{\"State\":{\"Running\":\"yes\"}}"] {
        let other = Scripted::on_socket(&socket, |_| Answer::Status(200, body.to_owned()));
        let refused = at(&[&socket]).carry_out(ID, &Deed::Stop).await;
        assert!(matches!(refused, Err(ContainerFault::Rubbish(_))), "{body}: {refused:?}");
        assert_eq!(posts(&other), [""; 0]);
    }
}

#[tokio::test]
async fn what_is_no_id_and_our_own_container_are_never_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let engine = engine(&socket, ROOMY, agreed);
    for id in ["", "web", "../images/prune", &format!("{ID}/../x"), &ID.replace('0', "?")] {
        let refused = at(&[&socket]).carry_out(id, &Deed::Stop).await;
        assert!(matches!(refused, Err(ContainerFault::NotAnId(_))), "{id}: {refused:?}");
    }
    let inside = Containers { own: format!("0::/docker/{ID}"), ..at(&[&socket]) };
    let refused = inside.carry_out(ID, &Deed::Stop).await;
    assert!(matches!(refused, Err(ContainerFault::Own)), "{refused:?}");
    for deed in [Deed::Term, Deed::Kill] {
        let refused = at(&[&socket]).carry_out(ID, &deed).await;
        assert!(matches!(refused, Err(ContainerFault::NotForContainers(_))), "{refused:?}");
    }
    assert_eq!(posts(&engine), [""; 0]);
}

#[tokio::test]
async fn a_socket_that_may_not_be_used_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let engine = engine(&socket, ROOMY, agreed);
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, PermissionsExt::from_mode(0o600)).unwrap();
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
        let refused = at(&[&socket]).carry_out(ID, &Deed::Stop).await;
        assert!(matches!(refused, Err(ContainerFault::Forbidden(_))), "{refused:?}");
        return;
    }
    // Permissions do not bind root, so somebody else asks.
    let program = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["--exact", "containers::a_user_without_rights", "--nocapture"]);
    command.env(FORBIDDEN_SOCKET, &socket).uid(65534).gid(65534);
    let output = tokio::task::spawn_blocking(move || {
        command.current_dir("/").output().expect("root may start it as anybody")
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("it was refused"), "{said}");
    assert_eq!(engine.seen(), [""; 0]);
}

/// Does nothing as a test; started by the one above it asks as another user.
#[tokio::test]
async fn a_user_without_rights() {
    let Some(socket) = std::env::var_os(FORBIDDEN_SOCKET).map(PathBuf::from) else { return };
    let refused = at(&[&socket]).carry_out(ID, &Deed::Stop).await;
    assert!(matches!(refused, Err(ContainerFault::Forbidden(_))), "{refused:?}");
    println!("it was refused");
}

/// A program that takes so many MiB, ends on TERM and needs no libraries.
const HOLDER: &str = r#"
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
static void end(int n) { _exit(0); }
int main(int count, char **words) {
    signal(SIGTERM, end);
    size_t size = (size_t)atoi(words[1]) << 20;
    volatile char *held = malloc(size);
    for (size_t at = 0; at < size; at += 4096) held[at] = 1;
    write(1, "ready\n", 6);
    for (;;) pause();
}"#;

fn ran(program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(words).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A real container that holds 32 MiB, and its image. Both go with it.
struct RealContainer {
    id: String,
    image: String,
}

impl RealContainer {
    fn start() -> Result<RealContainer, String> {
        ran("docker", &["version"])?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("hold.c"), HOLDER).map_err(|error| error.to_string())?;
        ran("gcc", &["-static", "-O1", "-w", "-o", &path("hold"), &path("hold.c")])?;
        ran("tar", &["-C", &path(""), "-cf", &path("hold.tar"), "hold"])?;
        let image = format!("plimsoll-deeds:{}", std::process::id());
        ran("docker", &["import", &path("hold.tar"), &image])?;
        let started = ran("docker", &["run", "-d", "--network", "none", &image, "/hold", "32"]);
        let container = RealContainer { id: started.unwrap_or_default(), image };
        if container.id.is_empty() {
            return Err("no container can be started".to_owned());
        }
        wait_until("it holds its memory", || {
            ran("docker", &["logs", &container.id]).is_ok_and(|said| said == "ready")
        });
        Ok(container)
    }

    fn told(&self, what: &str) -> String {
        ran("docker", &["inspect", "-f", what, &self.id]).expect("it is there")
    }

    fn limits(&self) -> String {
        self.told("{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}")
    }

    fn remove(&self) {
        let _ = ran("docker", &["rm", "-f", &self.id]);
    }
}

impl Drop for RealContainer {
    fn drop(&mut self) {
        self.remove();
        let _ = ran("docker", &["rmi", "-f", &self.image]);
    }
}

#[tokio::test]
async fn a_real_engine_does_each_deed() {
    let container = match RealContainer::start() {
        Ok(container) => container,
        Err(why) => return println!("skipped: no container engine to use here: {why}"),
    };
    let containers = Containers::of_this_machine();
    let carry_out = async |deed: Deed| containers.carry_out(&container.id, &deed).await;

    carry_out(Deed::Limit { to: Bytes::mib(64) }).await.unwrap();
    assert_eq!(container.limits(), "67108864 -1");
    // It uses 32 MiB and its own code.
    let refused = carry_out(Deed::Limit { to: Bytes::mib(35) }).await;
    assert!(matches!(refused, Err(ContainerFault::TooTight { .. })), "{refused:?}");
    assert_eq!(container.limits(), "67108864 -1");
    carry_out(Deed::Unlimit { to: Some(Bytes::mib(128)) }).await.unwrap();
    assert_eq!(container.limits(), "134217728 -1");
    carry_out(Deed::Unlimit { to: None }).await.unwrap();
    assert_eq!(container.limits(), format!("{} -1", i64::MAX - 4095));
    assert_eq!(container.told("{{.State.OOMKilled}} {{.State.Running}}"), "false true");

    carry_out(Deed::Pause).await.unwrap();
    assert_eq!(container.told("{{.State.Paused}}"), "true");
    let again = carry_out(Deed::Pause).await;
    assert!(matches!(again, Err(ContainerFault::PausedAlready)), "{again:?}");
    carry_out(Deed::Resume).await.unwrap();
    assert_eq!(container.told("{{.State.Paused}}"), "false");

    let before = container.told("{{.State.StartedAt}}");
    carry_out(Deed::Restart).await.unwrap();
    assert_ne!(container.told("{{.State.StartedAt}}"), before);
    // Renamed: it goes by its id.
    ran("docker", &["rename", &container.id, &format!("{}-x", &container.id[..12])]).unwrap();
    carry_out(Deed::Pause).await.unwrap();
    carry_out(Deed::Stop).await.unwrap();
    assert_eq!(container.told("{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
    let said = carry_out(Deed::Stop).await.unwrap();
    assert_eq!(said.as_deref(), Some("it was so already"));
    let refused = carry_out(Deed::Pause).await;
    assert!(matches!(refused, Err(ContainerFault::NotRunning)), "{refused:?}");
    container.remove();
    let refused = carry_out(Deed::Stop).await;
    assert!(matches!(refused, Err(ContainerFault::Gone)), "{refused:?}");
}
