//! A disk that is full at every byte of a workload, a limit on the length of files, a quota, and a
//! store that is overwritten or removed under its recorder: what the command prints and returns is
//! the same in each case, byte for byte. `IL_LONG=1` tries every byte of a page, and every block.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::plain::{Scratch, program, run, succeed};

/// Bytes of a page of the store, and of a block of a file system.
const PAGE: u64 = 16384;
const BLOCK: u64 = 4096;

/// Where the first session's pages start.
const FIRST_LEASE: u64 = 34 * PAGE;

/// What is recorded: output in pieces of many sizes, on both streams, and a status.
const WORK: &str = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i + 1)); done
cat text; echo to stderr >&2; cat text text; echo last; exit 7";

/// The shell functions that every script starts with. `recorded` runs the workload under il and
/// prints its status and a hash of what it printed: through a pipe, or on a terminal. What il says
/// itself goes elsewhere. `$limit` is a command in front of il.
const PRELUDE: &str = r#"
# A keyboard that nobody types on: at the end of its input `script` would type ^D.
[ -p keys ] || mkfifo -m 666 keys; exec 9<>keys
piped() { { $limit "$@" sh work 2>/dev/null; echo $? >status; } | sha256sum | cut -c 1-64; }
shown() {
    # A shell between, for `script` must print what it likes.
    echo "$limit $* sh work 2>/dev/null; echo \$? >status" >shown.sh
    script -qec 'sh shown.sh' /dev/null <&9 | sha256sum | cut -c 1-64
}
recorded() { hash=$($1 il run -q); echo "$2 $1 $(cat status) $hash"; }
"#;

struct Place {
    scratch: Scratch,
    /// What the workload prints when nobody records it: through a pipe, and on a terminal.
    bare: [String; 2],
}

fn is_long() -> bool {
    std::env::var_os("IL_LONG").is_some()
}

impl Place {
    fn new() -> Place {
        let scratch = Scratch::new();
        let mut x = 1u64;
        let mut text: Vec<u8> = Vec::new();
        while text.len() < 30_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push(b' ' + ((x >> 33) % 94) as u8);
            if text.len().is_multiple_of(77) {
                text.push(b'\n');
            }
        }
        fs::write(scratch.path().join("text"), text).expect("the text");
        fs::write(scratch.path().join("work"), WORK).expect("the workload");
        fs::create_dir(scratch.path().join("home")).expect("a home");
        let mut place = Place { scratch, bare: Default::default() };
        let bare = place.sh("limit=; for how in piped shown; do $how env; cat status; done");
        let lines: Vec<&str> = bare.lines().collect();
        let [piped, "7", shown, "7"] = lines[..] else { panic!("the workload alone: {bare}") };
        place.bare = [piped.to_owned(), shown.to_owned()];
        place
    }

    fn store(&self) -> PathBuf {
        self.scratch.path().join("home/store.il")
    }

    /// Runs a script in this place; what it printed.
    fn sh(&self, script: &str) -> String {
        self.run_sh(program("sh"), script)
    }

    /// As [`Place::sh`], in a mount namespace of its own and as root there.
    fn sh_mounting(&self, script: &str) -> String {
        let rootless = run(program("unshare").args(["-m", "true"])).status.success();
        let mut unshare = program("unshare");
        unshare.args([if rootless { "-m" } else { "-rm" }, "sh"]);
        self.run_sh(unshare, script)
    }

    fn run_sh(&self, mut command: std::process::Command, script: &str) -> String {
        command.current_dir(self.scratch.path()).env("INTENTLOOP_HOME", "home");
        let output = succeed(command.arg("-c").arg(format!("{PRELUDE}\n{script}")));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Each line is `WHAT HOW STATUS HASH`: the workload must be what it is alone.
    fn check(&self, lines: &str, count: usize) {
        assert_eq!(lines.lines().count(), count, "{lines}");
        for line in lines.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, how, status, hash] = words[..] else { panic!("{line}") };
            let bare = &self.bare[usize::from(how == "shown")];
            assert!((status, hash) == ("7", bare), "{line}: not what it is alone, {bare}");
        }
    }

    /// The store there is now, if it is one, is sound but for what was cut off.
    fn check_store(&self) {
        if fs::metadata(self.store()).is_ok_and(|meta| meta.len() >= FIRST_LEASE) {
            self.sh("il list --all >/dev/null && il verify >/dev/null");
        }
    }
}

fn words<'a>(numbers: impl IntoIterator<Item = &'a u64>) -> String {
    numbers.into_iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// Runs the workload with files limited to each of these lengths, in a new store, or in one that
/// has a session. Each processor takes its share of them, with a store of its own.
fn check_limits(limits: &BTreeSet<u64>, prepare: &str) {
    let shares = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let limits: Vec<u64> = limits.iter().copied().collect();
    std::thread::scope(|scope| {
        for share in limits.chunks(limits.len().div_ceil(shares)) {
            scope.spawn(move || check_share(share, prepare));
        }
    });
}

fn check_share(limits: &[u64], prepare: &str) {
    let place = Place::new();
    // One in eight on a terminal: a `script` each takes its time.
    let script = format!(
        "limit=; {prepare}
         for n in {}; do
             rm -f home/store.il; [ ! -e kept ] || cp --sparse=always kept home/store.il
             limit=\"prlimit --fsize=$n\"
             if [ $((n % 8)) = 0 ]; then recorded shown $n; else recorded piped $n; fi
         done",
        words(limits)
    );
    let lines = place.sh(&script);
    place.check(&lines, limits.len());
    place.check_store();
}

/// A session's own pages begin where the file ends.
const WITH_A_SESSION: &str = "il run -q true; il show >/dev/null
    while ! il compact >/dev/null 2>&1; do sleep 0.01; done; cp --sparse=always home/store.il kept";

#[test]
fn a_limit_at_each_byte_of_a_new_store_changes_nothing() {
    let step = if is_long() { 511 } else { 40_009 };
    let mut limits: BTreeSet<u64> = (0..FIRST_LEASE + 20 * PAGE).step_by(step).collect();
    let ends = [0, 1, PAGE, 2 * PAGE, FIRST_LEASE, FIRST_LEASE + PAGE, FIRST_LEASE + 5 * PAGE];
    for end in ends {
        limits.extend([end.saturating_sub(1), end, end + 1]);
    }
    check_limits(&limits, ":");
}

#[test]
fn a_limit_at_each_byte_of_a_session_changes_nothing() {
    // The session that is there has one page.
    let start = FIRST_LEASE + PAGE;
    let mut limits: BTreeSet<u64> = BTreeSet::new();
    if is_long() {
        limits.extend(start - 8..start + PAGE + 8);
    }
    for page in 0..24 {
        let end = start + page * PAGE;
        limits.extend([end - 1, end, end + 1, end + 24, end + 64, end + 5000]);
    }
    check_limits(&limits, WITH_A_SESSION);
}

/// Runs the workload in file systems of each of these numbers of blocks.
fn check_small_disks(blocks: &BTreeSet<u64>, prepare: &str, mount: &str) {
    let place = Place::new();
    let script = format!(
        "set -e; limit=; {prepare}
         for n in {}; do
             {mount}
             [ ! -e kept ] || cp --sparse=always kept home/store.il || true
             if [ $((n % 4)) = 0 ]; then recorded shown $n; else recorded piped $n; fi
             il list --all >listed 2>&1 || true; ! grep -q panicked listed
             # Whoever packs behind il's back may still be at it.
             umount -l home
         done",
        words(blocks)
    );
    let lines = place.sh_mounting(&script);
    place.check(&lines, blocks.len());
}

/// Every number of blocks from none to more than enough.
fn disk_sizes() -> BTreeSet<u64> {
    let most = 420_000 / BLOCK;
    (1..most).step_by(if is_long() { 1 } else { 5 }).collect()
}

#[test]
fn a_disk_that_is_full_at_each_block_changes_nothing() {
    let mount = "mount -t tmpfs -o size=$((n * 4))k,mode=700 tmpfs home";
    check_small_disks(&disk_sizes(), ":", mount);
    check_small_disks(&disk_sizes(), WITH_A_SESSION, mount);
}

/// The recorder of another user, for root has no quota.
const AS_NOBODY: &str = "limit='setpriv --reuid 65534 --regid 65534 --clear-groups'";

#[test]
fn a_quota_changes_nothing() {
    let quota = "mount -t tmpfs -o usrquota,usrquota_block_hardlimit=$((n * 4))k,uid=65534,gid=65534,\
         mode=700 tmpfs home";
    let has_quotas = |place: &Place| {
        let probe =
            format!("n=9; ({quota} && {AS_NOBODY} && $limit true) >/dev/null 2>&1 && echo y");
        place.sh_mounting(&format!("{probe} || true")) == "y\n"
    };
    let place = Place::new();
    if !has_quotas(&place) {
        // Only root may limit users, on kernels from 6.6 on; the errors of quotas are those of a
        // limit to all il can tell.
        println!("no quotas here: their place is taken by a limit on the length of files");
        let limits = (0..24).map(|page| FIRST_LEASE + page * PAGE + 9).collect();
        return check_limits(&limits, ":");
    }
    // The other user must reach what it runs and reads.
    let prepare = format!(
        "{AS_NOBODY}; d=$(mktemp -d /tmp/il-quota-XXXXXX); cp text work $(command -v il) $d
         chmod 755 $d; chmod 644 $d/text $d/work; mkdir $d/home; cd $d; PATH=$d:$PATH
         touch status shown.sh; chmod 666 status shown.sh"
    );
    let sizes: BTreeSet<u64> = disk_sizes().into_iter().step_by(4).collect();
    check_small_disks(&sizes, &prepare, quota);
}

#[test]
fn a_store_replaced_or_removed_while_it_is_written_changes_nothing() {
    let place = Place::new();
    place.sh("il run -q sh work >/dev/null 2>&1; cp home/store.il other");
    let harms = [
        "cp other home/store.il",
        "cp /dev/null home/store.il",
        "cp text home/store.il",
        "cat other >home/store.il",
        "head -c 600000 /dev/urandom >home/store.il",
        "dd if=/dev/zero of=home/store.il bs=64k count=20 conv=notrunc 2>/dev/null",
        "mv other home/store.il; cp home/store.il other",
        "rm home/store.il",
        "rm -r home",
        "truncate -s 0 home/store.il",
        "truncate -s 557057 home/store.il",
        "chmod 0 home/store.il home; chmod 700 home",
    ];
    let rounds = if is_long() { 40 } else { 1 };
    let mut count = 0;
    let mut script = String::from("limit=\n");
    for harm in harms {
        for round in 0..rounds {
            // In the middle of the output, and again near its end.
            let delay = f64::from(round) / 1000.0;
            let how = if round % 2 == 0 { "piped" } else { "shown" };
            script.push_str(&format!(
                "rm -rf home; mkdir home; il run -q true
                 {{ sleep {delay}; {harm}; }} 2>/dev/null & recorded {how} {count}; wait\n"
            ));
            count += 1;
        }
    }
    place.check(&place.sh(&script), count);
}

/// Copies of a store that is being written are stores: whatever they hold was written.
#[test]
fn a_copy_taken_while_sessions_are_written_is_a_store() {
    let place = Place::new();
    let script = "limit=; mkdir copies
        for i in 1 2 3 4; do (for j in 1 2 3; do il run -q sh work >/dev/null 2>&1; done) & done
        i=0; while [ $i -lt 20 ]; do
            mkdir copies/$i; cp home/store.il copies/$i/ 2>/dev/null || rmdir copies/$i
            i=$((i + 1)); sleep 0.01
        done; wait
        for copy in copies/*; do
            INTENTLOOP_HOME=$copy il list --all >/dev/null || echo unlisted $copy
            # A session cut short may end anywhere; none may say what was never printed.
            for id in $(INTENTLOOP_HOME=$copy il list --all | tail -n +2 | cut -f 1); do
                INTENTLOOP_HOME=$copy il dump stdout $id >out 2>/dev/null
                cmp -n $(wc -c <out) out whole >/dev/null 2>&1 || echo other bytes in $copy $id
            done
        done";
    let whole = place.sh("sh work 2>/dev/null >whole; [ $? = 7 ] && wc -c <whole");
    assert!(whole.trim().parse::<u64>().expect("a length") > 90_000);
    assert_eq!(place.sh(script), "");
    assert!(Path::new(&place.scratch.path().join("copies/19/store.il")).exists());
}
